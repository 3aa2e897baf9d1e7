//! COMMAND: what is done with each value, and by which program.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use msup_protocol::env as names;

use super::Refusal;
use super::gnu::{self, GnuFlags};
use super::shared::Runners;
use super::usage::{BadValue, UsageError};
use crate::os::programs;
use crate::template::Job;
use crate::template::{Reading, Shell, Strings, Template, has_replacement, refuse_foreign};

/// What is done with each value, by workers of this program.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) worker_program: PathBuf,
    pub(crate) worker_arguments: Vec<OsString>,
    /// Bytes of data memory that each process of a command may use.
    pub(crate) memory_per_task: Option<u64>,
}

/// Takes the words of COMMAND. `arguments`: the number of arguments of each value. Also returns the
/// shell that was chosen for scripts, if there may be one and none was given.
///
/// # Errors
/// The command, its program or the worker's program cannot be used.
pub(super) fn read(
    running: &Runners,
    words: Vec<OsString>,
    (arguments, style): (usize, CommandStyle),
    memory_per_task: Option<u64>,
) -> Result<(Work, Option<Vec<u8>>), Refusal> {
    let words: Vec<Vec<u8>> = words.into_iter().map(OsString::into_vec).collect();
    let (job, worker_program, worker_arguments) = match &running.worker {
        Some(program) => task_loop(program, words, running.literal)?,
        None => commands(running, words, arguments, style)?,
    };
    let shell = match &job {
        Job::Commands(template) if running.shell.is_none() => template.shell().map(<[u8]>::to_vec),
        Job::Commands(_) | Job::Values | Job::Lines(_) => None,
    };
    Ok((Work { job, worker_program, worker_arguments, memory_per_task }, shell))
}

/// How the words of COMMAND are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandStyle {
    Own,
    /// As GNU parallel does it: a shell reads them.
    Gnu,
    /// The same with its `-q`: no shell does.
    GnuQuoted,
}

impl CommandStyle {
    pub(super) fn of(flags: &GnuFlags) -> CommandStyle {
        match (flags.gnu, flags.quotes) {
            (false, _) => CommandStyle::Own,
            (true, false) => CommandStyle::Gnu,
            (true, true) => CommandStyle::GnuQuoted,
        }
    }
}

/// What is done, by which program with which arguments.
type Done = (Job, PathBuf, Vec<OsString>);

fn task_loop(program: &Path, words: Vec<Vec<u8>>, literal: bool) -> Result<Done, UsageError> {
    if !literal && (has_replacement(&words) || refuse_foreign(&words, 1).is_err()) {
        return Err(UsageError::TaskLoop(words.join(&b' ')));
    }
    let worker_program = find(program, "--worker")?;
    let worker_arguments = words.into_iter().map(OsString::from_vec).collect();
    Ok((Job::Values, worker_program, worker_arguments))
}

fn commands(
    running: &Runners,
    words: Vec<Vec<u8>>,
    arguments: usize,
    style: CommandStyle,
) -> Result<Done, Refusal> {
    let reading = reading(running, arguments, style)?;
    let template = if words.is_empty() {
        Template::each_input(reading)
    } else {
        if !running.literal {
            refuse_foreign(&words, arguments)?;
        }
        match style {
            CommandStyle::Own => Template::from_words(words, &reading)?,
            CommandStyle::Gnu => Template::pasted(&words, &reading)?,
            CommandStyle::GnuQuoted => Template::several_words(&words, &reading)?,
        }
    };
    if let Some(program) = template.fixed_program() {
        programs::find(Path::new(OsStr::from_bytes(program)))?;
    }
    Ok((Job::Commands(Box::new(template)), worker_beside_us()?, Vec::new()))
}

/// The replacement strings of a run whose values have this number of arguments. With --literal,
/// braces with a number are taken literally.
pub(super) fn strings(running: &Runners, arguments: usize) -> Strings {
    let mut strings = Strings::of(arguments);
    if running.literal {
        strings.numbered = None;
    }
    if let Some(whole) = &running.replace {
        strings.whole = whole.as_bytes().to_vec().into();
    }
    strings
}

/// How commands are read: for the shell that was asked for; else the user's own if scripts are
/// written for it and it is there; else `sh`.
///
/// # Errors
/// The shell of --shell cannot be used.
pub(super) fn reading(
    running: &Runners,
    arguments: usize,
    style: CommandStyle,
) -> Result<Reading, UsageError> {
    if running.replace.as_ref().is_some_and(|replace| replace.is_empty()) {
        return Err(BadValue::new("-I", "''", "a string of at least one character").into());
    }
    let shell = match running.shell.as_deref() {
        Some(program) => {
            find(program, "--shell")?;
            let wanted = "sh, bash, dash, zsh, ksh, mksh or busybox";
            let other = || BadValue::new("--shell", &program.display().to_string(), wanted);
            Shell::named(program.as_os_str()).ok_or_else(other)?
        }
        None => {
            let known = |program: PathBuf| {
                programs::find(&program).ok().and_then(|_| Shell::named(program.as_os_str()))
            };
            let own = || std::env::var_os("SHELL").map(PathBuf::from).and_then(known);
            let found = match style {
                CommandStyle::Own => own(),
                CommandStyle::Gnu | CommandStyle::GnuQuoted => gnu::shells().find_map(known),
            };
            found.unwrap_or_else(Shell::sh)
        }
    };
    let environment: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
    Ok(Reading {
        shell: shell.with_functions(environment.iter().map(OsString::as_os_str)),
        fixed_shell: running.shell.is_some(),
        unsafe_replace: running.unsafe_replace,
        strings: strings(running, arguments),
    })
}

/// `msup-worker`: where `MSUP_WORKER` says, else beside this program.
///
/// # Errors
/// It is not there, or cannot be executed.
pub(super) fn worker_beside_us() -> Result<PathBuf, UsageError> {
    if let Some(program) = std::env::var_os(names::WORKER_PROGRAM) {
        return find(Path::new(&program), names::WORKER_PROGRAM);
    }
    let own = std::env::current_exe().map_err(UsageError::OwnPath)?;
    programs::find(&own.with_file_name("msup-worker")).map_err(UsageError::NoWorker)
}

/// The program that a flag or a variable gives.
fn find(program: &Path, given: &'static str) -> Result<PathBuf, UsageError> {
    programs::find(program).map_err(|why| UsageError::Program { given, why })
}
