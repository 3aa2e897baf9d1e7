//! The closing paragraph.

use std::fmt::Write;
use std::time::Duration;

use super::escape;
use super::summary::Summary;
use crate::engine::{Failure, Tally};

/// Tells a person how the run went: counts, time, what the tokens did, what failed and what to do.
/// `describe` shows a task so that a person can run it again, from its value and its number.
pub(crate) fn paragraph(
    summary: &Summary,
    tally: &Tally,
    describe: impl Fn(&[u8], u64) -> Vec<u8>,
) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_paragraph(&mut text, summary, tally, &describe);
    text
}

fn write_paragraph(
    out: &mut String,
    summary: &Summary,
    tally: &Tally,
    describe: &dyn Fn(&[u8], u64) -> Vec<u8>,
) -> std::fmt::Result {
    let tasks = &summary.tasks;
    write!(out, "msup: {} of {} tasks succeeded", tasks.succeeded, tasks.total)?;
    for (count, what) in [
        (tasks.failed, "failed"),
        (tasks.quarantined, "quarantined"),
        (tasks.cancelled, "cancelled"),
    ] {
        if count > 0 {
            write!(out, ", {count} {what}")?;
        }
    }
    let earlier = tally.succeeded_earlier + tally.failed_earlier;
    if earlier > 0 {
        write!(out, " ({earlier} had ended before)")?;
    }
    let wall = summary.wall_seconds;
    let capacity = wall * f64::from(summary.procs);
    let used = if capacity > 0.0 { summary.cpu_seconds / capacity * 100.0 } else { 0.0 };
    writeln!(
        out,
        " in {wall:.2} s; {:.2} s of CPU, {used:.0} % of {} tokens; {:.2} s blocked; \
         at most {} workers.",
        summary.cpu_seconds, summary.procs, summary.blocked_seconds, summary.workers.peak,
    )?;
    if tally.slowest.first().is_some_and(|(wall, _)| *wall >= Duration::from_secs(1)) {
        let slowest = tally
            .slowest
            .iter()
            .map(|(wall, value)| format!("{} ({:.1} s)", escape::value(value), wall.as_secs_f64()));
        writeln!(out, "msup: slowest: {}", slowest.collect::<Vec<_>>().join(", "))?;
    }
    for failure in &tally.failures {
        let how = if failure.quarantined { "quarantined" } else { "failed" };
        write!(out, "msup: task {} {how}: {}", failure.seq, cause(failure))?;
        if failure.attempts > 1 {
            write!(out, " (attempt {})", failure.attempts)?;
        }
        writeln!(out, ": {}", escape::value(&describe(&failure.value, failure.seq)))?;
    }
    let unnamed = (tasks.failed + tasks.quarantined).saturating_sub(tally.failures.len() as u64);
    if unnamed > 0 {
        writeln!(out, "msup: and {unnamed} more")?;
    }
    if tally.retried > 0 {
        let n = tally.retried;
        writeln!(out, "msup: {n} attempts were lost or crashed and their tasks tried again")?;
    }
    if tally.starved > 0 {
        let n = tally.starved;
        let hint = "limit what they may have together with --memory";
        writeln!(out, "msup: {n} attempts were ended because there was no memory left: {hint}")?;
    }
    if let Some(bytes) = summary.memory_per_task
        && tasks.failed + tasks.quarantined > 0
    {
        let mib = bytes >> 20;
        writeln!(out, "msup: each could have {mib} MiB (--mem-per-task): perhaps one needed more")?;
    }
    if tally.leaked > 0 {
        let n = tally.leaked;
        writeln!(out, "msup: {n} commands left something running that held their output open")?;
    }
    Ok(())
}

fn cause(failure: &Failure) -> String {
    escape::cause(failure.cause.to_string())
}
