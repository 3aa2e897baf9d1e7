//! The closing report: the result and the next step, which tasks failed and why.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::escape;
use super::paint::{Paint, TextStyle};
use super::stages;
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
    /// The number of columns of the terminal that shows it, if one does.
    pub(crate) columns: Option<usize>,
    /// Whether to show the figures about tokens and workers.
    pub(crate) stats: bool,
    /// Bytes of memory that each process of a command may have, if that is limited.
    pub(crate) memory_per_task: Option<u64>,
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
    /// The file of the pipeline, quoted.
    pub(crate) pipeline: Option<Vec<u8>>,
    /// It is a start of a shard, which the next one continues: the same command line does that.
    pub(crate) is_start: bool,
}

impl Next {
    /// What the next step is for, and the command to copy.
    fn step(&self, tally: &Tally) -> Option<(&'static str, String)> {
        if let Some(file) = &self.pipeline {
            let (is_left, file) = (tally.cancelled > 0 || self.unread, escape::message(file));
            return match tally.failed + tally.quarantined {
                _ if is_left => Some(("go on", command(&["run", &file]))),
                0 => None,
                _ => Some(("retry them", command(&["retry --failed", &file]))),
            };
        }
        let is_left = tally.cancelled > 0 || self.unshown != [0, 0] || self.unread;
        if self.is_start {
            let again = "start the same command line again".to_owned();
            return match tally.failed + tally.quarantined {
                _ if is_left => Some(("go on", again)),
                0 => None,
                _ => Some(("retry them", again)),
            };
        }
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
        Some((text, command(&[verb, list, &escape::message(run.as_ref()?)])))
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
    let cause = escape::failure(failure.cause.to_string());
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
        if self.summary.stages.len() > 1 {
            let lines = stages::table(&self.summary.stages);
            lines.iter().try_for_each(|line| writeln!(out, "msup:   {line}"))?;
        }
        self.failures(out)?;
        self.remarks(out)?;
        if self.stats { self.figures(out) } else { Ok(()) }
    }
}

impl Report<'_> {
    fn headline(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [shown, plain] = [self.paint, Paint { colours: false }].map(|paint| self.result(paint));
        write!(out, "msup: {shown}")?;
        let Some((text, command)) = self.next.step(self.tally) else { return writeln!(out) };
        // A command that is broken into two lines cannot be copied.
        let fits = |width: usize| self.columns.is_none_or(|columns| width <= columns);
        let step = format!("{text}: {command}");
        let (begun, step) = match [format!("msup: {plain}; {step}"), format!("msup: {step}")] {
            [line, _] if fits(line.width()) => ("; ", step),
            [_, line] if fits(line.width()) => ("\nmsup: ", step),
            _ => ("\n", command),
        };
        writeln!(out, "{begun}{}", self.paint.text(TextStyle::Bold, &step))
    }

    /// How many tasks have succeeded, and what became of the others.
    fn result(&self, paint: Paint) -> String {
        let (tasks, tally) = (&self.summary.tasks, self.tally);
        let lasted = lasted(self.summary.wall_seconds);
        if !self.summary.stages.is_empty() {
            return format!("{} in {lasted}", stages::result(&self.summary.stages, paint));
        }
        if self.next.unread && tasks.total == 0 {
            let result = paint.text(TextStyle::Bold, "stopped before any value was read");
            return format!("{result} in {lasted}");
        }
        let open = if self.next.unread { "+" } else { "" };
        let style = if tasks.succeeded == tasks.total { TextStyle::Good } else { TextStyle::Bold };
        let result = format!("{} of {}{open} tasks succeeded", tasks.succeeded, tasks.total);
        let mut result = paint.text(style, &result);
        for (count, what) in [(tasks.failed, "failed"), (tasks.quarantined, "quarantined")] {
            if count > 0 {
                result += ", ";
                result += &paint.text(TextStyle::Bad, &format!("{count} {what}"));
            }
        }
        if tasks.cancelled > 0 || self.next.unread {
            result += &format!(", {}{open} left", tasks.cancelled);
        }
        if tally.earlier() > 0 {
            result += &format!(" ({} had finished earlier", tally.earlier());
            result += &match (tally.before.failed_elsewhere, tally.before.passed_over) {
                (0, 0) => ")".to_owned(),
                (0, _) => "; results do not tell which of them succeeded)".to_owned(),
                (failed, _) => format!("; {failed} of them failed: --resume-failed runs these)"),
            };
        }
        format!("{result} in {lasted}")
    }

    fn failures(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tasks, tally) = (&self.summary.tasks, self.tally);
        if let Some(command) = self.command.filter(|_| !tally.failures.is_empty()) {
            writeln!(out, "msup: the command: {}", escape::cause(command))?;
        }
        let mut named: Vec<&Failure> = tally.failures.iter().collect();
        named.sort_by_key(|failure| failure.seq);
        for one in named {
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
            write!(out, "msup: not all input was read: msup resume -a FILE reads the list again")?;
            match self.summary.tasks.total {
                0 => writeln!(out)?,
                1 => writeln!(out, "; without it only the value read so far runs")?,
                n => writeln!(out, "; without it only the {n} values read so far run")?,
            }
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
        if let Some(bytes) = self.memory_per_task
            && tally.failed + tally.quarantined > 0
        {
            let mib = bytes >> 20;
            writeln!(
                out,
                "msup: each process could have {mib} MiB (--mem-per-task): perhaps one needed more"
            )?;
        }
        if let Some(text) = stages::kept(&self.summary.stages) {
            writeln!(out, "msup: {text}")?;
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
            "msup: {:.2} s of CPU, {used:.0} % of {}; {:.2} s blocked; at most {}, {} in flight",
            summary.cpu_seconds,
            counted(summary.procs.into(), "token"),
            summary.blocked_seconds,
            counted(summary.workers.peak.into(), "worker"),
            counted(summary.in_flight.peak.into(), "task"),
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
        let step = |next: &Next, tally| {
            next.step(&tally).map(|(text, command)| format!("{text}: {command}"))
        };
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

    fn report(summary: &Summary, tally: &Tally, next: Next, columns: Option<usize>) -> String {
        let (last_lines, paint) = (BTreeMap::new(), Paint { colours: false });
        let report = Report {
            summary,
            tally,
            command: None,
            last_lines: &last_lines,
            next,
            paint,
            columns,
            stats: true,
            memory_per_task: None,
        };
        report.to_string()
    }

    fn failed(total: u64, failed: u64) -> Summary {
        let mut summary = Summary::new("r".into(), 1, 1);
        (summary.tasks.total, summary.tasks.failed) = (total, failed);
        (summary.workers.peak, summary.in_flight.peak) = (1, 1);
        summary
    }

    #[test]
    fn a_command_to_copy_is_not_broken() {
        let next =
            Next { resume: Some(Vec::new()), others: Some(b"x".to_vec()), ..Next::default() };
        let begins = |columns: Option<usize>| {
            let text = report(&failed(2, 2), &tally(0, 2, 0), next.clone(), columns);
            text.lines().take(3).map(str::to_owned).collect::<Vec<String>>().join("|")
        };
        let result = "msup: 0 of 2 tasks succeeded, 2 failed in 0.00 s";
        let one = format!("{result}; retry them: msup retry --failed x|");
        assert!(begins(None).starts_with(&one) && begins(Some(200)).starts_with(&one));
        assert_eq!(one.len() - 1, 83);
        assert!(begins(Some(83)).starts_with(&one));
        let two = format!("{result}|msup: retry them: msup retry --failed x|");
        assert!(begins(Some(82)).starts_with(&two), "{}", begins(Some(82)));
        assert!(begins(Some(39)).starts_with(&two));
        let three = format!("{result}|msup retry --failed x|");
        assert!(begins(Some(38)).starts_with(&three), "{}", begins(Some(38)));
    }

    #[test]
    fn what_did_not_succeed_is_told_as_it_is() {
        let (unread, nothing) = (Next { unread: true, ..Next::default() }, Tally::default());
        let text = report(&failed(0, 0), &nothing, unread.clone(), None);
        assert!(text.starts_with("msup: stopped before any value was read in 0.00 s\n"), "{text}");
        let cut = Next { needs_list: true, ..unread };
        let text = report(&failed(0, 0), &nothing, cut.clone(), None);
        assert!(text.contains("msup resume -a FILE reads the list again\n"), "{text}");
        let text = report(&failed(1, 0), &nothing, cut, None);
        assert!(text.contains("only the value read so far runs\n"), "{text}");
        assert!(text.contains(" of 1 token;") && text.contains("at most 1 worker, 1 task in"));
        let mut earlier = Tally::default();
        (earlier.before.succeeded, earlier.before.passed_over) = (2, 2);
        for (known, end) in [
            (0, "results do not tell which of them succeeded) in"),
            (2, "2 of them failed: --resume-failed runs these) in"),
        ] {
            earlier.before.failed_elsewhere = known;
            let text = report(&failed(4, 0), &earlier, Next::default(), None);
            assert!(text.contains(&format!(" (4 had finished earlier; {end}")), "{text}");
        }
    }

    #[test]
    fn failures_are_told_in_the_order_of_the_input() {
        let mut tally = Tally::default();
        for seq in [3, 1, 2] {
            let cause = crate::engine::Cause::Exit(1);
            let value = b"v".to_vec();
            tally.note_failure(Failure { seq, value, cause, attempts: 1, quarantined: false });
        }
        let text = report(&failed(3, 3), &tally, Next::default(), None);
        let at = [1, 2, 3].map(|seq| text.find(&format!("msup: task {seq} failed")));
        assert!(at[0].is_some() && at.is_sorted(), "{text}");
    }

    #[test]
    fn times_are_told_as_exactly_as_they_matter() {
        let shown = [0.123, 9.99, 12.34, 59.4, 75.0, 3700.0].map(lasted);
        assert_eq!(shown, ["0.12 s", "9.99 s", "12.3 s", "59.4 s", "1 min 15 s", "1 h 01 min"]);
    }
}
