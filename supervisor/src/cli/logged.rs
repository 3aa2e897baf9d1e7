//! What a joblog, of msup or of GNU parallel, tells of tasks that have run.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use super::usage::UsageError;
use crate::os::files;
use crate::template::{Outline, unquoted};

/// `Seq Host Starttime JobRuntime Send Receive Exitval Signal Command`, separated by tabs.
const FIELDS: usize = 9;
const SENT: usize = 4;
const EXIT: usize = 6;
const SIGNAL: usize = 7;
const COMMAND: usize = 8;

/// The tasks of a joblog.
#[derive(Debug)]
pub(crate) struct LoggedJobs {
    path: PathBuf,
    lines: HashMap<u64, Vec<LoggedLine>>,
    /// Tasks that failed are not run again.
    keeps_failed: bool,
}

/// A line of a joblog.
#[derive(Clone, Copy, Debug)]
struct LoggedLine {
    number: usize,
    /// The number of bytes that the task got.
    sent: u64,
    /// Checksums of its command as it is written; and by template and value.
    written: u64,
    outlined: Option<u64>,
    has_succeeded: bool,
}

/// What a joblog tells of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoggedState {
    /// It is to be run.
    Open,
    Succeeded,
    /// It failed, and is not run again.
    Failed,
}

/// Why a joblog does not tell what has run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggedError {
    #[error("--joblog {}: {why}", path.display())]
    File {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error(
        "--joblog {}, line {line}: not a line of a joblog (9 fields, tabs between them)",
        path.display()
    )]
    NoJoblog { path: PathBuf, line: usize },
    #[error(
        "--joblog {}: its last line is cut off, so the command of that task is not known; give the \
         whole command line again, with --resume-failed",
        .0.display()
    )]
    CutOff(PathBuf),
}

/// What stands in a line of a joblog.
struct ReadLine<'a> {
    number: usize,
    seq: u64,
    sent: u64,
    has_succeeded: bool,
    command: &'a [u8],
}

/// Commands with the numbers of their tasks, in the order of these.
pub(super) type NumberedCommands = Vec<(u64, Vec<u8>)>;

/// A task is not the one of its line in the joblog.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OtherTask {
    #[error(
        "--joblog {}, line {line}: the command of task {seq} is another one now: the values or \
         COMMAND have changed since, so it is not known what has run; use the same ones, or \
         another joblog",
        path.display()
    )]
    Command { path: PathBuf, line: usize, seq: u64 },
    #[error(
        "--joblog {}, line {line}: task {seq} got a block of {sent} bytes, now of {now}: the input \
         or its blocks have changed since, so it is not known what has run; use the same ones, or \
         another joblog",
        path.display()
    )]
    Block { path: PathBuf, line: usize, seq: u64, sent: u64, now: u64 },
}

impl LoggedJobs {
    /// Reads a joblog for commands of this template. A file that does not exist, or is empty, tells
    /// of no task.
    ///
    /// # Errors
    /// It cannot be read, or is no joblog.
    pub(super) fn read(
        path: &Path,
        outline: &Outline,
        keeps_failed: bool,
    ) -> Result<LoggedJobs, LoggedError> {
        let mut lines: HashMap<u64, Vec<LoggedLine>> = HashMap::new();
        each_line(path, |ReadLine { number, seq, sent, has_succeeded, command }| {
            lines.entry(seq).or_default().push(LoggedLine {
                number,
                sent,
                written: checksum(&unquoted(command)),
                outlined: outline.key_of(command).map(|key| checksum(&key)),
                has_succeeded,
            });
        })?;
        Ok(LoggedJobs { path: path.to_owned(), lines, keeps_failed })
    }

    /// What is known of the task with this number, command and key by template and value. `block`:
    /// the size of its block, if it gets one.
    ///
    /// # Errors
    /// Its lines are about another command, or another block.
    pub(crate) fn look(
        &self,
        seq: u64,
        command: &[u8],
        key: &[u8],
        block: Option<u64>,
    ) -> Result<LoggedState, OtherTask> {
        let Some(lines) = self.lines.get(&seq) else { return Ok(LoggedState::Open) };
        let (written, outlined) = (checksum(&unquoted(command)), checksum(key));
        let agrees =
            |line: &&LoggedLine| line.written == written || line.outlined == Some(outlined);
        let same: Vec<&LoggedLine> = lines.iter().filter(agrees).collect();
        let path = || self.path.clone();
        let Some(last) = same.last() else {
            let line = lines.last().map_or(0, |line| line.number);
            return Err(OtherTask::Command { path: path(), line, seq });
        };
        if let Some(now) = block.filter(|now| *now != last.sent) {
            let (line, sent) = (last.number, last.sent);
            return Err(OtherTask::Block { path: path(), line, seq, sent, now });
        }
        let mut same = same.into_iter();
        Ok(match (same.any(|line| line.has_succeeded), self.keeps_failed) {
            (true, _) => LoggedState::Succeeded,
            (false, true) => LoggedState::Failed,
            (false, false) => LoggedState::Open,
        })
    }
}

/// The last command of each task of a joblog.
///
/// # Errors
/// It cannot be read, is no joblog, or its commands had an input.
pub(super) fn commands(path: &Path) -> Result<NumberedCommands, UsageError> {
    if files::read_named(path).is_ok_and(|text| text.last().is_some_and(|byte| *byte != b'\n')) {
        return Err(UsageError::Logged(LoggedError::CutOff(path.to_owned())));
    }
    let mut commands = BTreeMap::new();
    let mut fed = None;
    each_line(path, |ReadLine { number, seq, sent, command, .. }| {
        fed = fed.or((sent > 0).then_some(number));
        // A line break is written as a NUL byte.
        let command = command.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte });
        commands.insert(seq, command.collect());
    })
    .map_err(UsageError::Logged)?;
    match fed {
        Some(line) => Err(UsageError::RetriesBlock { path: path.to_owned(), line }),
        None => Ok(commands.into_iter().collect()),
    }
}

/// Takes each line. What a kill has left of the last line is no line.
fn each_line(path: &Path, mut take: impl FnMut(ReadLine<'_>)) -> Result<(), LoggedError> {
    let text = match files::read_named(path) {
        Ok(text) => text,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(LoggedError::File { path: path.to_owned(), why }),
    };
    let lines = text.split_inclusive(|byte| *byte == b'\n').zip(1..);
    for (line, number) in lines.filter_map(|(line, n)| Some((line.strip_suffix(b"\n")?, n))) {
        if line.is_empty() || number == 1 && line.starts_with(b"Seq\t") {
            continue;
        }
        take(
            parsed(line, number)
                .ok_or_else(|| LoggedError::NoJoblog { path: path.to_owned(), line: number })?,
        );
    }
    Ok(())
}

fn parsed(line: &[u8], place: usize) -> Option<ReadLine<'_>> {
    let fields: Vec<&[u8]> = line.splitn(FIELDS, |byte| *byte == b'\t').collect();
    let number = |at: usize| str::from_utf8(fields.get(at)?).ok()?.parse::<i64>().ok();
    let seq = u64::try_from(number(0)?).ok().filter(|seq| *seq > 0)?;
    let has_succeeded = number(EXIT)? == 0 && number(SIGNAL)? == 0;
    let sent = number(SENT).and_then(|sent| u64::try_from(sent).ok()).unwrap_or(0);
    Some(ReadLine { number: place, seq, sent, has_succeeded, command: fields.get(COMMAND)? })
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::template::{Feeding, Reading, Shell, Strings, Template};

    fn logged(text: &str, keeps_failed: bool) -> Result<LoggedJobs, LoggedError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, text).expect("writable");
        let (shell, strings) = (Shell::sh(), Strings::USUAL);
        let reading = Reading {
            shell,
            fixed_shell: false,
            unsafe_replace: false,
            strings,
            feeding: Feeding::Values,
        };
        let template = Template::pasted(&[b"echo {} {%}".to_vec()], &reading).expect("valid");
        LoggedJobs::read(&path, template.outline(), keeps_failed)
    }

    fn line(seq: u64, exit: i32, command: &str) -> String {
        format!("{seq}\t:\t1795478552.077\t     1.000\t0\t4\t{exit}\t0\t{command}\n")
    }

    /// What the log tells of `echo a 1` as task 1; the number of the slot makes no difference.
    fn state(lines: &[String], keeps_failed: bool) -> Result<LoggedState, usize> {
        let logged = logged(&lines.concat(), keeps_failed).expect("a joblog");
        look(&logged, None)
    }

    fn look(logged: &LoggedJobs, block: Option<u64>) -> Result<LoggedState, usize> {
        logged.look(1, b"echo a 1", b"echo a \0", block).map_err(|other| match other {
            OtherTask::Command { line, .. } | OtherTask::Block { line, .. } => line,
        })
    }

    #[test]
    fn a_line_counts_if_its_block_has_the_same_size() {
        let line = line(1, 0, "echo a 1").replace("\t0\t4\t", "\t17\t4\t");
        let logged = logged(&line, true).expect("a joblog");
        assert_eq!(look(&logged, Some(17)), Ok(LoggedState::Succeeded));
        assert_eq!(look(&logged, Some(18)), Err(1));
        assert_eq!(look(&logged, None), Ok(LoggedState::Succeeded), "it gets none");
    }

    #[test]
    fn a_line_counts_if_its_command_is_the_same() {
        let ok = line(1, 0, "echo 'a' 2");
        assert_eq!(state(&[], true), Ok(LoggedState::Open));
        assert_eq!(state(&[line(2, 0, "echo a 1")], true), Ok(LoggedState::Open));
        assert_eq!(state(std::slice::from_ref(&ok), true), Ok(LoggedState::Succeeded));
        let failed = line(1, -1, "echo a 1");
        assert_eq!(state(std::slice::from_ref(&failed), true), Ok(LoggedState::Failed));
        assert_eq!(state(std::slice::from_ref(&failed), false), Ok(LoggedState::Open));
        assert_eq!(state(&[ok.clone(), failed], false), Ok(LoggedState::Succeeded));
        let other = line(1, 0, "echo b 1");
        assert_eq!(state(&[line(3, 0, "x"), other.clone()], true), Err(2));
        assert_eq!(state(&[other, ok], true), Ok(LoggedState::Succeeded));
    }

    #[test]
    fn a_torn_line_is_none_and_other_files_are_refused() {
        let torn = line(1, 0, "echo a 1");
        assert_eq!(state(&[torn.trim_end().to_owned()], true), Ok(LoggedState::Open));
        let wrong = |text: &str| match logged(text, true) {
            Err(LoggedError::NoJoblog { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong("hello\n"), 1);
        assert_eq!(wrong(&(line(1, 0, "x") + "2\t:\n")), 2);
        assert_eq!(wrong(&line(0, 0, "x")), 1);
    }
}
