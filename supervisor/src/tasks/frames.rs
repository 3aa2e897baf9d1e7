//! What a task asks its worker for.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use msup_protocol::codec::{self, CommandInput, Work};
use msup_protocol::env as names;
use msup_protocol::extent;
use serde_bytes::ByteBuf;

use crate::engine::TaskRecord;
use crate::os::run_folder;
use crate::template::{Facts, Feeding, Job, SlotMark, Surroundings, Template, Totals};

/// What is the same for all commands of a run.
#[derive(Clone, Copy)]
pub(super) struct OfRun<'a> {
    /// Bytes that each process may have, 0 for no limit.
    pub(super) memory: u64,
    pub(super) totals: Totals,
    pub(super) surroundings: &'a Surroundings,
    /// The run's folder.
    pub(super) folder: &'a Path,
    /// Whether commands are written into their outputs, and to standard error at once.
    pub(super) announced: [bool; 2],
}

/// The work of a task. The file that it makes is written to `out`. `describe`: its command as it is
/// shown.
pub(super) fn work(
    job: &Job,
    task: &TaskRecord,
    out: Option<&Path>,
    given: &OfRun<'_>,
    describe: impl Fn() -> Vec<u8>,
) -> Work {
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
        Job::Commands(template) => Work::Command(command(template, task, out, given, describe)),
        Job::Stages(stages) => {
            let (job, arguments) = stages.of(task.seq).expect("it has not finished");
            let given = OfRun { memory: job.memory.unwrap_or(given.memory), ..*given };
            if let Some(program) = &job.program {
                let out = out.map(|out| out.as_os_str().as_bytes());
                let value = job.line(arguments.as_deref().unwrap_or_default(), out);
                let program = codec::Program::clone(program);
                return Work::Line(codec::Line { program, value: value.into() });
            }
            let template = job.template(arguments.as_deref());
            let threads = job.threads.unwrap_or(task.threads);
            let value = arguments.unwrap_or_default();
            let task = TaskRecord { value, threads, ..task.clone() };
            Work::Command(command(template, &task, out, &given, describe))
        }
    }
}

fn command(
    template: &Template,
    task: &TaskRecord,
    out: Option<&Path>,
    given: &OfRun<'_>,
    describe: impl Fn() -> Vec<u8>,
) -> codec::Command {
    let OfRun { memory, totals, surroundings, folder, announced } = *given;
    let seen = out.map(|out| surroundings.seen_from_there(out)).unwrap_or_default();
    let path = seen.as_os_str().as_bytes();
    let facts = Facts { seq: task.seq, threads: task.threads, out: path, totals };
    let input = input(template.feeding, task, folder);
    let mut rendered = match &input {
        CommandInput::File(name, _) | CommandInput::Filled(name, _) => template.render(name, facts),
        _ => template.render(&task.value, facts),
    };
    // A script that names it has it among its own variables.
    if out.is_some() && !rendered.env.iter().any(|(name, _)| name == names::OUT.as_bytes()) {
        rendered.env.push((names::OUT.into(), path.to_vec()));
    }
    codec::Command {
        argv: rendered.argv.into_iter().map(ByteBuf::from).collect(),
        env: rendered.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        slot_marks: rendered.slot_marks.iter().map(mark).collect(),
        stops: template.is_of_xargs(),
        threads: task.threads,
        memory,
        announced: announced.map(|is_asked| match is_asked {
            true => [describe().as_slice(), b"\n"].concat().into(),
            false => ByteBuf::new(),
        }),
        input,
        place: place(template, task, given),
    }
}

/// Where and how a task's command runs.
fn place(template: &Template, task: &TaskRecord, given: &OfRun<'_>) -> codec::Place {
    let OfRun { totals, surroundings, folder, .. } = *given;
    let mut place = surroundings.of(&task.value, (task.seq, task.attempt), totals, folder);
    if !template.slot_variable().is_empty() {
        place.slot_variable = template.slot_variable().to_vec().into();
    }
    place
}

/// What a task reads.
fn input(feeding: Feeding, task: &TaskRecord, folder: &Path) -> CommandInput {
    // Values of blocks are made by msup alone, and kept with a checksum.
    let block = || extent::of_value(&task.value).unwrap_or_default();
    let name = || {
        let file = folder.join(format!("block-{}-{}", task.seq, task.attempt));
        ByteBuf::from(file.into_os_string().into_vec())
    };
    match feeding {
        Feeding::Values | Feeding::Nothing => CommandInput::Nothing,
        Feeding::Blocks => CommandInput::Parts(block()),
        Feeding::BlockFiles => CommandInput::File(name(), block()),
        Feeding::BlockFifos => CommandInput::Filled(name(), block()),
        Feeding::ManyBlocks => {
            let fifo = run_folder::fifo(folder, task.seq);
            CommandInput::Fifo(fifo.into_os_string().into_vec().into())
        }
        Feeding::Whole(part) => CommandInput::Parts(vec![part]),
    }
}

fn mark(mark: &SlotMark) -> codec::SlotPlace {
    codec::SlotPlace { argument: mark.arg, at: mark.at, digits: mark.digits }
}
