//! COMMAND: what is done with each value, and by which program.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use msup_protocol::env as names;

use super::Refusal;
use super::gnu::{self, GnuFlags};
use super::shared::Runners;
use super::string_flags::StringFlags;
use super::usage::{BadValue, UsageError};
use crate::os::programs;
use crate::template::Job;
use crate::template::{
    Feeding, Reading, Shell, Strings, Surroundings, Template, has_replacement, refuse_foreign,
};

/// What is done with each value, by workers of this program.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) surroundings: Surroundings,
    pub(crate) worker_program: PathBuf,
    pub(crate) worker_arguments: Vec<OsString>,
    /// Bytes of data memory that each process of a command may use.
    pub(crate) memory_per_task: Option<u64>,
    /// Commands have the standard input of msup, not an empty one.
    pub(crate) own_stdin: bool,
    /// Signals that msup was started to ignore stay ignored in commands.
    pub(crate) keeps_ignored: bool,
}

/// How COMMAND is read.
#[derive(Debug)]
pub(super) struct CommandReading {
    pub(super) strings: Strings,
    pub(super) style: CommandStyle,
    /// What commands read.
    pub(super) feeding: Feeding,
    /// Commands run in another folder: whether a program is there is not known.
    pub(super) elsewhere: bool,
}

impl CommandReading {
    /// As msup reads it without further flags, for values of this number of arguments.
    ///
    /// # Errors
    /// A flag does not give a replacement string.
    pub(super) fn plain(running: &Runners, arguments: usize) -> Result<CommandReading, UsageError> {
        let style = CommandStyle::Own;
        let strings = StringFlags::default().strings(running, style, arguments, Vec::new())?;
        Ok(CommandReading { strings, style, feeding: Feeding::Values, elsewhere: false })
    }
}

/// Takes the words of COMMAND. Also returns the shell that was chosen for scripts, if there may be
/// one and none was given.
///
/// # Errors
/// The command, its program or the worker's program cannot be used.
pub(super) fn read(
    running: &Runners,
    words: Vec<OsString>,
    read: CommandReading,
    memory_per_task: Option<u64>,
) -> Result<(Work, Option<Vec<u8>>), Refusal> {
    let words: Vec<Vec<u8>> = words.into_iter().map(OsString::into_vec).collect();
    let (job, worker_program, worker_arguments) = match &running.worker {
        Some(program) => task_loop(program, words, running.literal)?,
        None => commands(running, words, read)?,
    };
    let shell = match &job {
        Job::Commands(template) if running.shell.is_none() => template.shell().map(<[u8]>::to_vec),
        Job::Commands(_) | Job::Values | Job::Lines(_) | Job::Stages(_) => None,
    };
    let surroundings = Surroundings::default();
    let (own_stdin, keeps_ignored) = (false, false);
    let work = Work {
        job,
        surroundings,
        worker_program,
        worker_arguments,
        memory_per_task,
        own_stdin,
        keeps_ignored,
    };
    Ok((work, shell))
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
    let has_others = || refuse_foreign(&words, &Strings::USUAL).is_err();
    if !literal && (has_replacement(&words) || has_others()) {
        return Err(UsageError::TaskLoop(words.join(&b' ')));
    }
    let worker_program = find(program, "--worker")?;
    let worker_arguments = words.into_iter().map(OsString::from_vec).collect();
    Ok((Job::Values, worker_program, worker_arguments))
}

fn commands(running: &Runners, words: Vec<Vec<u8>>, read: CommandReading) -> Result<Done, Refusal> {
    let (style, elsewhere, feeding) = (read.style, read.elsewhere, read.feeding);
    let reading = reading(running, read)?;
    let template = if words.is_empty() {
        if !matches!(feeding, Feeding::Values | Feeding::Nothing) {
            return Err(UsageError::NoCommandForBlocks.into());
        }
        Template::each_input(reading)
    } else {
        if !running.literal {
            refuse_foreign(&words, &reading.strings)?;
        }
        match style {
            CommandStyle::Own => Template::from_words(words, &reading)?,
            CommandStyle::Gnu => Template::pasted(&words, &reading)?,
            CommandStyle::GnuQuoted => Template::several_words(&words, &reading)?,
        }
    };
    let is_relative = |program: &&[u8]| program.contains(&b'/') && !program.starts_with(b"/");
    let program = template.fixed_program();
    if let Some(program) = program.filter(|program| !elsewhere || !is_relative(program)) {
        programs::find(Path::new(OsStr::from_bytes(program)))?;
    }
    Ok((Job::Commands(Box::new(template)), worker_beside_us()?, Vec::new()))
}

/// How commands are read: for the shell that was asked for; else the user's own if scripts are
/// written for it and it is there; else `sh`.
///
/// # Errors
/// The shell of --shell cannot be used.
pub(super) fn reading(running: &Runners, read: CommandReading) -> Result<Reading, UsageError> {
    if running.replace.as_ref().is_some_and(|replace| replace.is_empty()) {
        return Err(BadValue::new("-I", "''", "a string of at least one character").into());
    }
    let shell = shell(running, read.style)?;
    let environment: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
    Ok(Reading {
        shell: shell.with_functions(environment.iter().map(OsString::as_os_str)),
        fixed_shell: running.shell.is_some(),
        unsafe_replace: running.unsafe_replace,
        strings: read.strings,
        feeding: read.feeding,
    })
}

/// The shell that runs command lines.
///
/// # Errors
/// The shell of --shell cannot be used.
pub(super) fn shell(running: &Runners, style: CommandStyle) -> Result<Shell, UsageError> {
    Ok(match running.shell.as_deref() {
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
