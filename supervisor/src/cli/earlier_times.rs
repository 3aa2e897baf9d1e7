//! How long commands took in an earlier run, from the joblog that GNU parallel writes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::usage::UsageError;
use crate::template::{Outline, unquoted};

/// `Seq Host Starttime JobRuntime Send Receive Exitval Signal Command`, separated by tabs.
const FIELDS: usize = 9;
const RUNTIME: usize = 3;
const COMMAND: usize = 8;

/// The runtimes of commands; quotes in the commands make no difference.
#[derive(Debug)]
pub(crate) struct JobLog {
    /// By template and values.
    outlined: HashMap<Vec<u8>, Duration>,
    /// By the command as it was written.
    written: HashMap<Vec<u8>, Duration>,
}

impl JobLog {
    /// Reads a log for commands of this template.
    ///
    /// # Errors
    /// It cannot be read, or is no joblog.
    pub(super) fn read(path: &Path, outline: &Outline) -> Result<JobLog, UsageError> {
        let (flag, path) = ("--from", path.to_owned());
        match fs::read(&path) {
            Ok(text) => {
                JobLog::parse(&text, outline).map_err(|line| UsageError::NoJoblog { path, line })
            }
            Err(why) => Err(UsageError::File { flag, path, why }),
        }
    }

    /// How long a command will probably take: by its outline's key, else as msup writes it. An
    /// unknown one may take any time.
    pub(crate) fn expected(&self, key: &[u8], command: &[u8]) -> Duration {
        let known = self.outlined.get(key).or_else(|| self.written.get(&unquoted(command)));
        known.copied().unwrap_or(Duration::MAX)
    }

    /// Fails with the number of the first line that is no joblog's.
    fn parse(text: &[u8], outline: &Outline) -> Result<JobLog, usize> {
        let (mut outlined, mut written) = (HashMap::new(), HashMap::new());
        let lines =
            text.split(|byte| *byte == b'\n').zip(1_usize..).filter(|(line, _)| !line.is_empty());
        for (line, number) in lines {
            if number == 1 && line.starts_with(b"Seq\t") {
                continue;
            }
            let fields: Vec<&[u8]> = line.splitn(FIELDS, |byte| *byte == b'\t').collect();
            let command = *fields.get(COMMAND).ok_or(number)?;
            let runtime = std::str::from_utf8(fields[RUNTIME]).ok();
            let seconds = runtime.and_then(|text| text.trim().parse().ok());
            let runtime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let runtime = runtime.ok_or(number)?;
            // Of a command that was run again, the last time counts.
            outlined.extend(outline.key_of(command).map(|key| (key, runtime)));
            written.insert(unquoted(command), runtime);
        }
        Ok(JobLog { outlined, written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Feeding, Reading, Shell, Strings, Template};

    fn outline(line: &str) -> Outline {
        let reading = Reading {
            shell: Shell::sh(),
            fixed_shell: false,
            unsafe_replace: false,
            strings: Strings::USUAL,
            feeding: Feeding::Values,
        };
        let template = Template::from_words(vec![line.as_bytes().to_vec()], &reading);
        template.expect("a template").outline().clone()
    }

    /// The time that a log of these commands, 1 s, 2 s and so on, tells for a value.
    fn told(line: &str, commands: &[&str], value: &str) -> Option<u64> {
        let lines = commands.iter().zip(1..).map(|(command, seconds)| {
            format!("{seconds}\t:\t1795478552.077\t {seconds}.000\t0\t4\t0\t0\t{command}\n")
        });
        let outline = outline(line);
        let log = JobLog::parse(lines.collect::<String>().as_bytes(), &outline).expect("a joblog");
        let expected = log.expected(&outline.key(value.as_bytes(), b""), b"none");
        Some(expected.as_secs()).filter(|_| expected != Duration::MAX)
    }

    #[test]
    fn runtimes_by_template_and_value() {
        let gnu =
            ["zcat a\\ b.gz | wc", "zcat 'it'\"'\"'s' | wc", "zcat plain | wc", "zcat 'x\0y' | wc"];
        for (value, seconds) in [("a b.gz", 1), ("it's", 2), ("plain", 3), ("x\ny", 4)] {
            assert_eq!(told("zcat {} | wc", &gnu, value), Some(seconds), "{value}");
        }
        assert_eq!(told("zcat {} | wc", &gnu, "other"), None);
        assert_eq!(told("zcat \"{}\" | wc", &["zcat \"'a b'\" | wc"], "a b"), Some(1));
        assert_eq!(told("echo x", &["echo x 'a b'"], "a b"), Some(1));
        assert_eq!(told("cp {} {.}.b", &["cp a.c a.b"], "a.c"), Some(1));
    }

    #[test]
    fn numbers_of_another_run_do_not_count() {
        let log = ["job 7 a 1 2 >out.2", "job 12 b 3 >out.1"];
        assert_eq!(told("job {#} {} >out.{%}", &log, "a 1 2"), Some(1));
        assert_eq!(told("job {#} {} >out.{%}", &log, "b 3"), Some(2));
        assert_eq!(told("job {#} {} >out.{%}", &log, "b"), None);
        assert_eq!(told("job {#} {} >out.{%}", &["something else"], "b"), None);
    }

    #[test]
    fn commands_are_also_known_as_msup_writes_them() {
        let text = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n\
            1\t:\t1795478552.077\t     0.100\t0\t4\t0\t0\t\
            MSUP_V='a' sh -c 'echo ${x} \"${MSUP_V}\"'\n";
        let log = JobLog::parse(text, &outline("echo ${x} {}")).expect("a joblog");
        let written = b"MSUP_V='a' sh -c 'echo ${x} \"${MSUP_V}\"'";
        assert_eq!(log.expected(b"echo ${x} a", written), Duration::from_millis(100));
        assert_eq!(log.expected(b"echo ${x} b", b"b"), Duration::MAX);
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        let parse = |text: &[u8]| JobLog::parse(text, &outline("x")).err();
        assert_eq!(parse(b"hello\n"), Some(1));
        assert_eq!(parse(b"1\t:\t0\t1.0\t0\t0\t0\t0\tx\n2\t:\n"), Some(2));
        assert_eq!(parse(b"1\t:\t0\tlong\t0\t0\t0\t0\tx\n"), Some(1));
        assert_eq!(parse(b"1\t:\t0\t-1\t0\t0\t0\t0\tx\n"), Some(1));
    }
}
