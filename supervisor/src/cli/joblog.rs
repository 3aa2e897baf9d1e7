//! How long commands took in an earlier run, from the joblog that GNU parallel writes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// `Seq Host Starttime JobRuntime Send Receive Exitval Signal Command`, separated by tabs.
const FIELDS: usize = 9;
const RUNTIME: usize = 3;
const COMMAND: usize = 8;

/// The runtimes, by command as a person could paste it.
#[derive(Debug)]
pub(crate) struct JobLog(HashMap<Vec<u8>, Duration>);

impl JobLog {
    /// # Errors
    /// One line that says which file, or which line of it, and why.
    pub(super) fn read(path: &Path) -> Result<JobLog, String> {
        let name = path.display();
        let text = fs::read(path).map_err(|why| format!("--from {name}: {why}"))?;
        JobLog::parse(&text).map_err(|line| {
            format!(
                "--from {name}, line {line}: not a line of a joblog (9 fields, tabs between them)"
            )
        })
    }

    /// How long a command will take, it seems. Who is not known may take any time.
    pub(crate) fn expected(&self, command: &[u8]) -> Duration {
        self.0.get(command).copied().unwrap_or(Duration::MAX)
    }

    /// Fails with the number of the line that is none.
    fn parse(text: &[u8]) -> Result<JobLog, usize> {
        let mut known = HashMap::new();
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
            // One that was run again took as long as the last time.
            known.insert(command.to_vec(), runtime.ok_or(number)?);
        }
        Ok(JobLog(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_by_command() {
        let text = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n\
            1\t:\t1795478552.077\t     0.100\t0\t4\t0\t0\techo 'a b'\n\
            2\t:\t1795478552.186\t    12.500\t0\t2\t0\t0\techo\tc\n";
        let log = JobLog::parse(text).expect("a joblog");
        assert_eq!(log.expected(b"echo 'a b'"), Duration::from_millis(100));
        assert_eq!(log.expected(b"echo\tc"), Duration::from_millis(12_500));
        assert_eq!(log.expected(b"echo d"), Duration::MAX);
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        assert_eq!(JobLog::parse(b"hello\n").err(), Some(1));
        assert_eq!(JobLog::parse(b"1\t:\t0\t1.0\t0\t0\t0\t0\tx\n2\t:\n").err(), Some(2));
        assert_eq!(JobLog::parse(b"1\t:\t0\tlong\t0\t0\t0\t0\tx\n").err(), Some(1));
        assert_eq!(JobLog::parse(b"1\t:\t0\t-1\t0\t0\t0\t0\tx\n").err(), Some(1));
    }
}
