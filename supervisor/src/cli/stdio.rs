//! `--worker-stdio`: COMMAND is a program that keeps running and reads the values.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use msup_protocol::codec::Program;

use super::Refusal;
use super::args::Args;
use super::command::{CommandReading, Work, reading, worker_beside_us};
use super::plan::Failures;
use super::usage::UsageError;
use crate::engine::{Leave, Step};
use crate::os::programs;
use crate::template::{Job, Strings, Surroundings, has_replacement, program_argv, refuse_foreign};

/// Takes the words of COMMAND. `values`: those that were typed. `memory`: bytes of data that each
/// process of the program may use. `failures`: how the program is stopped. Also returns the shell
/// that was chosen if COMMAND may be a script and none was given.
///
/// # Errors
/// The program or one of the values cannot be used, or a flag has no effect on such programs.
pub(super) fn read<'a>(
    args: &Args,
    words: Vec<OsString>,
    mut values: impl Iterator<Item = &'a OsString>,
    memory: Option<u64>,
    failures: &Failures,
) -> Result<(Work, Option<Vec<u8>>), Refusal> {
    let exits_within = check(args, failures.leave)?;
    let words: Vec<Vec<u8>> = words.into_iter().map(OsString::into_vec).collect();
    if words.is_empty() {
        return Err(UsageError::NoStdioWorker.into());
    }
    let has_others = || refuse_foreign(&words, &Strings::USUAL).is_err();
    if !args.running.literal && (has_replacement(&words) || has_others()) {
        return Err(UsageError::StdioWorker(words.join(&b' ')).into());
    }
    let &[terminator] = args.input.separator()?.as_slice() else {
        let why = "a program reads values up to a single byte";
        return Err(UsageError::NotWithStdio { flag: "-d with several bytes", why }.into());
    };
    let is_cut = |value: &&OsString| value.as_bytes().contains(&terminator);
    if let Some(value) = values.find(is_cut) {
        return Err(UsageError::NewlineInValue(value.as_bytes().to_vec()).into());
    }
    let reading = reading(&args.running, CommandReading::plain(&args.running, 1)?)?;
    let argv = program_argv(&words, &reading)?;
    programs::find(Path::new(OsStr::from_bytes(&argv[0])))?;
    let program = program(argv, terminator, memory, (exits_within, failures));
    let may_be_script = words.len() == 1 && args.running.shell.is_none();
    let shell = may_be_script.then(|| reading.shell.program().to_vec());
    let work = Work {
        job: Job::Lines(Box::new(program)),
        surroundings: Surroundings::default(),
        worker_program: worker_beside_us()?,
        worker_arguments: Vec::new(),
        memory_per_task: memory,
        own_stdin: false,
        keeps_ignored: false,
    };
    Ok((work, shell))
}

/// A program that reads values which this byte ends. It has some time to exit after the end of its
/// input; then it is stopped like a task that has failed.
pub(super) fn program(
    argv: Vec<Vec<u8>>,
    terminator: u8,
    memory: Option<u64>,
    (exits_within, failures): (Duration, &Failures),
) -> Program {
    Program {
        argv: argv.into_iter().map(Into::into).collect(),
        terminator,
        memory: memory.unwrap_or(0),
        exits_within_ms: ms(exits_within),
        signals: failures.stop_steps.iter().map(signal).collect(),
    }
}

/// Refuses flags that cannot be heeded. Some of them can also be given to a resume. Returns how
/// long a program may take to exit after the end of its input.
fn check(args: &Args, leave: Leave) -> Result<Duration, UsageError> {
    if args.limits.memory.is_some() {
        let why = "a program without a task keeps its memory; --mem-per-task limits each program";
        return Err(UsageError::NotWithStdio { flag: "--memory", why });
    }
    match leave {
        Leave::Wait(patience) => Ok(patience),
        Leave::Kill => Ok(Duration::ZERO),
        Leave::Alone => {
            let why = "the program is stopped when there are no more values";
            Err(UsageError::NotWithStdio { flag: "--leave ok", why })
        }
    }
}

fn signal(step: &Step) -> (i32, u64) {
    (step.signal, ms(step.wait))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
