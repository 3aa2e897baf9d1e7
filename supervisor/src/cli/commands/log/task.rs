//! All about one task.

use std::io::{self, IsTerminal, Write, stderr, stdout};

use super::tasks::ToldLine;
use super::{Log, printed};
use crate::cli::{Refusal, UsageError};
use crate::journal::{
    AttemptReader, Bytes, Folder, JournalError, Kept, KeptFor, Past, ToldAttempt,
};
use crate::report::{escape, times};

/// Prints all that the run knows of the task with this number.
///
/// # Errors
/// There is no such task, the run cannot be read, or standard output cannot be written.
pub(super) fn show(log: &Log, folder: &Folder, seq: u64) -> Result<(), Refusal> {
    let mut attempts = Vec::new();
    let mut reader = AttemptReader::default();
    folder.each_record(|at, record| {
        attempts.extend(reader.take(at, record).filter(|told| told.seq == seq));
    })?;
    let under_way = under_way(folder, reader).find(|(of, ..)| *of == seq);
    let count = attempts.last().map_or(0, |last| last.attempt);
    let Some(last) = attempts.last() else {
        let Some((_, value, attempt, at)) = under_way.filter(|_| !log.json && !log.raw) else {
            return Err(UsageError::NoSuchTask { seq, run: folder.path().to_owned() }.into());
        };
        let what = if folder.is_running() { "runs" } else { "was cut off" };
        let (began, value) = (times::local(at), escape::value(&value.0));
        return printed(writeln!(
            stdout(),
            "{seq}\t{what}\tattempt {attempt}\tsince {began}\t{value}"
        ));
    };
    let output = kept_output(folder, last)?;
    if log.raw {
        let Some([out, err]) = output else {
            return Err(UsageError::OutputNotKept { seq, run: folder.path().to_owned() }.into());
        };
        return printed(stdout().write_all(&out).and_then(|()| stderr().write_all(&err)));
    }
    if log.json {
        let lines = attempts.into_iter().map(|told| ToldLine { told, attempts: count });
        return printed(lines.into_iter().try_for_each(|line| {
            let mut out = stdout().lock();
            escape::json(&mut out, &line)?;
            writeln!(out)
        }));
    }
    let mut text = about(last, count);
    for earlier in &attempts[..attempts.len() - 1] {
        let how = ToldLine { told: earlier.clone(), attempts: count }.text();
        text += &format!(
            "before    {}\n",
            how.split('\t').skip(1).take(3).collect::<Vec<_>>().join(", ")
        );
    }
    printed(stdout().write_all(text.as_bytes()).and_then(|()| print_output(last, output)))
}

/// The attempts that are not over: their tasks' numbers and values, which attempts they are, and
/// since when. Those that no worker has taken up are left out, if that is known.
pub(in crate::cli::commands) fn under_way(
    folder: &Folder,
    read: AttemptReader,
) -> impl Iterator<Item = (u64, Bytes, u32, f64)> {
    let past = folder.glance().ok().flatten();
    let taken_up = past.and_then(|past| folder.taken_up(&past.run.run));
    read.under_way().filter(move |(seq, _, attempt, _)| {
        taken_up.as_ref().is_none_or(|all| all.contains(&(*seq, *attempt)))
    })
}

/// What is known of the last attempt of a task, a line for each thing.
fn about(told: &ToldAttempt, attempts: u32) -> String {
    let details = &told.details;
    let mut how = told.fate.name().to_owned();
    if let Some(cause) = &told.cause {
        how += &format!(": {}", escape::failure(cause));
    }
    let size = times::size;
    let mut lines = vec![
        ("value", escape::value(&told.value.0)),
        ("state", format!("{how} (attempt {} of {attempts})", told.attempt)),
        ("began", times::local(told.start)),
        ("took", format!("{:.3} s, {:.3} s of CPU time", told.seconds(), told.cpu)),
    ];
    lines.extend(details.slot.map(|slot| ("slot", slot.to_string())));
    if details.memory > 0 {
        lines.push(("memory", format!("{} at most", size(details.memory))));
    }
    // Lines that were shown while it ran were not captured.
    if details.stdout_bytes + details.stderr_bytes > 0 {
        let [out, err] = [details.stdout_bytes, details.stderr_bytes].map(size);
        lines.push(("wrote", format!("{out} to standard output, {err} to standard error")));
    }
    lines.into_iter().map(|(name, text)| format!("{name:<8}  {text}\n")).collect()
}

/// The output of an attempt on both streams, if it is kept with the run.
///
/// # Errors
/// It cannot be read.
fn kept_output(folder: &Folder, told: &ToldAttempt) -> Result<Option<[Vec<u8>; 2]>, JournalError> {
    let Some(file) = folder.open_outputs()? else { return Ok(None) };
    let run = Past::read(folder)?.run.run;
    let path = folder.outputs();
    let error = JournalError::at(&path);
    let kept = Kept::read(&file, &run).map_err(&error)?;
    let writer = KeptFor::new(told.seq, &told.value.0, told.attempt);
    kept.streams(&file, writer).map_err(error)
}

fn print_output(told: &ToldAttempt, output: Option<[Vec<u8>; 2]>) -> io::Result<()> {
    let mut out = stdout().lock();
    let is_terminal = out.is_terminal();
    let mut print = |head: &str, bytes: &[u8]| -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{head}:")?;
        match is_terminal {
            true => out.write_all(escape::lines(bytes).as_bytes())?,
            false => out.write_all(bytes)?,
        }
        if bytes.ends_with(b"\n") { Ok(()) } else { writeln!(out) }
    };
    match output {
        Some([stdout, stderr]) => {
            print("standard output", &stdout)?;
            print("standard error", &stderr)
        }
        None => print("the end of standard error", &told.details.stderr.0),
    }
}
