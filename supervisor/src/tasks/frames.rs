//! What a task asks its worker for.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use msup_protocol::codec::{self, Work};
use msup_protocol::env as names;
use serde_bytes::ByteBuf;

use crate::engine::TaskRecord;
use crate::template::{Facts, Job, Template};

/// The work of a task. The file that it makes is written to `out`; `memory`: bytes that each
/// process of a command may have, 0 for no limit.
pub(super) fn work(job: &Job, task: &TaskRecord, out: Option<&Path>, memory: u64) -> Work {
    match job {
        Job::Values => {
            let out = out.map(|out| out.as_os_str().as_bytes().to_vec()).unwrap_or_default();
            let state = task.state.as_ref().map(|state| state.to_vec().into());
            Work::Value { value: task.value.clone().into(), out: out.into(), state }
        }
        Job::Lines(program) => {
            let (program, value) = (codec::Program::clone(program), task.value.clone().into());
            Work::Line(codec::Line { program, value })
        }
        Job::Commands(template) => Work::Command(command(template, task, out, memory)),
    }
}

fn command(
    template: &Template,
    task: &TaskRecord,
    out: Option<&Path>,
    memory: u64,
) -> codec::Command {
    let path = out.unwrap_or(Path::new("")).as_os_str().as_bytes();
    let facts = Facts { seq: task.seq, threads: task.threads, out: path };
    let mut rendered = template.render(&task.value, facts);
    // A script that names it has it among its own variables.
    if out.is_some() && !rendered.env.iter().any(|(name, _)| name == names::OUT.as_bytes()) {
        rendered.env.push((names::OUT.into(), path.to_vec()));
    }
    codec::Command {
        argv: rendered.argv.into_iter().map(ByteBuf::from).collect(),
        env: rendered.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        slot_marks: rendered.slot_marks.iter().map(|mark| (mark.arg, mark.at)).collect(),
        threads: task.threads,
        memory,
    }
}
