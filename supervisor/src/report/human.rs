//! The closing report: the result and the next step, which tasks failed and why.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::escape;
use super::paint::{Paint, TextStyle};
use super::summary::Summary;
use crate::engine::{Failure, Tally};

/// Shorter tasks are not mentioned.
const SLOW: Duration = Duration::from_secs(1);

/// The content of the report.
pub(crate) struct Report<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) tally: &'a Tally,
    /// COMMAND as typed, where there is one for all tasks.
    pub(crate) command: Option<&'a [u8]>,
    /// The last line that a failed task wrote to its standard error, by the task's number.
    pub(crate) last_lines: &'a BTreeMap<u64, Vec<u8>>,
    pub(crate) next: Next,
    pub(crate) paint: Paint,
    /// Whether to show the figures about tokens and workers.
    pub(crate) stats: bool,
}

/// What the user can do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Next {
    /// The run was stopped before all its input was read.
    pub(crate) unread: bool,
    /// The number of tasks whose output could not be shown, and is kept; and of others.
    pub(crate) unshown: [u64; 2],
    /// It was halted: what is left is not meant to run.
    pub(crate) halted: bool,
    /// Only finished tasks are run again: the command that does so for those that are left.
    pub(crate) retry: Option<&'static str>,
    /// Values that were not read cannot be read by `msup resume`, either.
    pub(crate) needs_list: bool,
    /// How `msup resume` must name the run, and how other commands must: empty where they find it
    /// by themselves. `None` where there is no journal.
    pub(crate) resume: Option<Vec<u8>>,
    pub(crate) others: Option<Vec<u8>>,
}

impl Next {
    fn step(&self, tally: &Tally) -> Option<String> {
        let is_left = tally.cancelled > 0 || self.unshown != [0, 0] || self.unread;
        let (text, verb, run) = match (tally.failed, tally.quarantined) {
            _ if is_left && self.retry.is_some() => {
                ("go on", self.retry.unwrap_or_default(), &self.others)
            }
            _ if is_left && self.halted => ("the others", "resume", &self.resume),
            _ if is_left => ("go on", "resume", &self.resume),
            (0, 0) => return None,
            (_, 0) => ("retry them", "retry --failed", &self.others),
            (0, _) => ("retry them", "retry --quarantined", &self.others),
            _ => ("retry them", "retry", &self.others),
        };
        let list = if self.unread && self.needs_list { "-a FILE" } else { "" };
        Some(format!("{text}: {}", command(&[verb, list, &escape::message(run.as_ref()?)])))
    }

    /// The command that lists all failures.
    fn log(&self) -> Option<String> {
        let run = self.others.as_ref().map(escape::message)?;
        // Without a name it lists the runs.
        let run = if run.is_empty() { "last" } else { &run };
        Some(command(&["log", run, "--state failed"]))
    }
}

fn command(words: &[&str]) -> String {
    let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    format!("msup {}", words.join(" "))
}

/// One line about a task that has failed.
pub(crate) fn failure(failure: &Failure) -> String {
    let how = if failure.quarantined { "was quarantined" } else { "failed" };
    let cause = escape::cause(failure.cause.to_string());
    let attempts = match failure.attempts {
        0 | 1 => String::new(),
        attempts => format!(" (attempt {attempts})"),
    };
    let value = escape::value(&failure.value);
    format!("msup: task {} {how}: {cause}{attempts}: {value}", failure.seq)
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(out)?;
        self.failures(out)?;
        self.remarks(out)?;
        if self.stats { self.figures(out) } else { Ok(()) }
    }
}

impl Report<'_> {
    fn headline(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tasks, tally) = (&self.summary.tasks, self.tally);
        let open = if self.next.unread { "+" } else { "" };
        let style = if tasks.succeeded == tasks.total { TextStyle::Good } else { TextStyle::Bold };
        let result = format!("{} of {}{open} tasks succeeded", tasks.succeeded, tasks.total);
        write!(out, "msup: {}", self.paint.text(style, &result))?;
        for (count, what) in [(tasks.failed, "failed"), (tasks.quarantined, "quarantined")] {
            if count > 0 {
                write!(out, ", {}", self.paint.text(TextStyle::Bad, &format!("{count} {what}")))?;
            }
        }
        if tasks.cancelled > 0 || self.next.unread {
            write!(out, ", {}{open} left", tasks.cancelled)?;
        }
        if tally.earlier() > 0 {
            write!(out, " ({} had finished earlier)", tally.earlier())?;
        }
        write!(out, " in {}", lasted(self.summary.wall_seconds))?;
        match self.next.step(tally) {
            Some(step) => writeln!(out, "; {}", self.paint.text(TextStyle::Bold, &step)),
            None => writeln!(out),
        }
    }

    fn failures(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tasks, tally) = (&self.summary.tasks, self.tally);
        if let Some(command) = self.command.filter(|_| !tally.failures.is_empty()) {
            writeln!(out, "msup: the command: {}", escape::cause(command))?;
        }
        for one in &tally.failures {
            writeln!(out, "{}", failure(one))?;
            if let Some(line) = self.last_lines.get(&one.seq) {
                writeln!(out, "msup:     {}", escape::cause(line))?;
            }
        }
        let unnamed =
            (tasks.failed + tasks.quarantined).saturating_sub(tally.failures.len() as u64);
        if unnamed == 0 {
            return Ok(());
        }
        write!(out, "msup: and {unnamed} more")?;
        match self.next.log() {
            Some(command) => writeln!(out, ": {command}"),
            None => writeln!(out),
        }
    }

    fn remarks(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        if self.next.unread && self.next.needs_list {
            let n = self.summary.tasks.total;
            writeln!(
                out,
                "msup: not all input was read: msup resume -a FILE reads the list again; without \
                 it only the {n} values read so far run"
            )?;
        }
        let [kept, lost] = self.next.unshown;
        for (n, then) in
            [(kept, ["msup resume shows it"; 2]), (lost, ["it runs again", "they run again"])]
        {
            if n == 0 {
                continue;
            }
            let (tasks, then) = if n == 1 { ("task", then[0]) } else { ("tasks", then[1]) };
            write!(out, "msup: the output of {n} {tasks} could not be shown")?;
            match self.next.resume {
                Some(_) => writeln!(out, ": {then}")?,
                None => writeln!(out)?,
            }
        }
        if tally.slowest.first().is_some_and(|(wall, _)| *wall >= SLOW) {
            let slowest = tally.slowest.iter().map(|(wall, value)| {
                format!("{} ({:.1} s)", escape::value(value), wall.as_secs_f64())
            });
            writeln!(out, "msup: slowest: {}", slowest.collect::<Vec<_>>().join(", "))?;
        }
        let again = tally.again;
        for (count, which, what) in [
            (again.failed, "failed attempt", "retried"),
            (again.crashed, "crashed attempt", "retried"),
            (again.lost, "attempt", "killed from outside and retried"),
            (again.starved, "attempt", "killed for lack of memory and retried"),
        ] {
            if count > 0 {
                let were = if count == 1 { "was" } else { "were" };
                writeln!(out, "msup: {} {were} {what}", counted(count, which))?;
            }
        }
        if tally.starved > 0 {
            let n = counted(tally.starved, "attempt");
            let hint = "limit their total memory with --memory";
            writeln!(out, "msup: the kernel killed {n} because memory ran out: {hint}")?;
        }
        if let Some(bytes) = self.summary.memory_per_task
            && tally.failed + tally.quarantined > 0
        {
            let mib = bytes >> 20;
            writeln!(
                out,
                "msup: each process could have {mib} MiB (--mem-per-task): perhaps one needed more"
            )?;
        }
        if tally.leaked > 0 {
            let n = counted(tally.leaked, "command");
            writeln!(out, "msup: {n} left processes running, which msup did not wait for")?;
        }
        Ok(())
    }

    fn figures(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary;
        let capacity = summary.wall_seconds * f64::from(summary.procs);
        let used = if capacity > 0.0 { summary.cpu_seconds / capacity * 100.0 } else { 0.0 };
        writeln!(
            out,
            "msup: {:.2} s of CPU, {used:.0} % of {} tokens; {:.2} s blocked; at most {} workers, \
             {} tasks in flight",
            summary.cpu_seconds,
            summary.procs,
            summary.blocked_seconds,
            summary.workers.peak,
            summary.in_flight.peak,
        )
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A short time to the hundredth of a second, a long one to the second.
fn lasted(seconds: f64) -> String {
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    let whole = seconds.round() as u64;
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = match whole {
        0..60 => write!(text, "{seconds:.1} s"),
        60..3600 => write!(text, "{} min {:02} s", whole / 60, whole % 60),
        _ => write!(text, "{} h {:02} min", whole / 3600, whole / 60 % 60),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(cancelled: u64, failed: u64, quarantined: u64) -> Tally {
        Tally { cancelled, failed, quarantined, ..Tally::default() }
    }

    #[test]
    fn the_next_step_is_one_command() {
        let [resume, others] = [(); 2].map(|()| Some(Vec::new()));
        let bare = Next { resume, others, ..Next::default() };
        let step = |next: &Next, tally| next.step(&tally);
        assert_eq!(step(&bare, tally(0, 0, 0)), None);
        assert_eq!(step(&bare, tally(5, 1, 0)).as_deref(), Some("go on: msup resume"));
        assert_eq!(step(&bare, tally(0, 1, 0)).as_deref(), Some("retry them: msup retry --failed"));
        let step_of = step(&bare, tally(0, 0, 2));
        assert_eq!(step_of.as_deref(), Some("retry them: msup retry --quarantined"));
        assert_eq!(step(&bare, tally(0, 1, 2)).as_deref(), Some("retry them: msup retry"));
        let unread = Next { unread: true, ..bare.clone() };
        assert_eq!(step(&unread, tally(0, 0, 0)).as_deref(), Some("go on: msup resume"));
        let halted = Next { halted: true, ..bare.clone() };
        assert_eq!(step(&halted, tally(2, 1, 0)).as_deref(), Some("the others: msup resume"));
        let step_of = step(&halted, tally(0, 1, 0));
        assert_eq!(step_of.as_deref(), Some("retry them: msup retry --failed"), "none is left");
        let retry = Next { retry: Some("retry --failed"), halted: true, ..bare.clone() };
        assert_eq!(step(&retry, tally(2, 1, 0)).as_deref(), Some("go on: msup retry --failed"));
        let lost = Next { unshown: [0, 1], ..bare.clone() };
        assert_eq!(step(&lost, tally(0, 1, 0)).as_deref(), Some("go on: msup resume"));
        let kept = Next { unshown: [1, 0], ..bare.clone() };
        assert_eq!(step(&kept, tally(0, 0, 0)).as_deref(), Some("go on: msup resume"));
        let cut = Next { needs_list: true, ..unread };
        let again = Some("go on: msup resume -a FILE");
        assert_eq!(step(&cut, tally(0, 0, 0)).as_deref(), again, "a list that was not kept");
        let named = Next { resume: Some(b"'/a b'".to_vec()), ..Next::default() };
        assert_eq!(step(&named, tally(1, 0, 0)).as_deref(), Some("go on: msup resume '/a b'"));
        assert_eq!(step(&Next::default(), tally(5, 1, 0)), None, "there is no journal");
    }

    #[test]
    fn times_are_told_as_exactly_as_they_matter() {
        let shown = [0.123, 9.99, 12.34, 59.4, 75.0, 3700.0].map(lasted);
        assert_eq!(shown, ["0.12 s", "9.99 s", "12.3 s", "59.4 s", "1 min 15 s", "1 h 01 min"]);
    }
}
