//! All runs, the oldest first.

use std::io::{BufWriter, Write, stdout};

use super::printed;
use crate::cli::Refusal;
use crate::journal::{Bytes, Folder, Past, State, runs};
use crate::report::{escape, times};
use crate::template::quoted_words;

/// A run in words, but for its command; the columns of the table.
type Row = [String; COLUMNS];

const COLUMNS: usize = 6;

const HEADS: [&str; COLUMNS] = ["run", "began", "took", "state", "tasks", "folder"];

/// Words behind which values stand.
const BEFORE_VALUES: [&[u8]; 4] = [b":::", b"::::", b":::+", b"::::+"];

/// Prints all runs.
///
/// # Errors
/// They cannot be read, or standard output cannot be written.
pub(super) fn show(json: bool) -> Result<(), Refusal> {
    runs::check_place()?;
    let mut out = BufWriter::new(stdout().lock());
    let mut rows: Vec<Result<(Row, String), String>> = Vec::new();
    for folder in runs::list_everywhere() {
        let past = match Past::read(&folder) {
            _ if folder.is_empty_run() => None,
            Ok(past) => Some(past),
            Err(why) => {
                rows.push(Err(escape::message(why.to_string())));
                continue;
            }
        };
        if json {
            rows.push(Err(json_of(past.as_ref(), &folder)));
        } else {
            let command =
                past.as_ref().map(|past| command_of(&past.run.arguments)).unwrap_or_default();
            rows.push(Ok((row_of(past.as_ref(), &folder), command)));
        }
    }
    let width = |at: usize| {
        let cells = rows.iter().flatten().map(|(row, _)| row[at].chars().count());
        cells.chain([HEADS[at].len()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &Row, command: &str| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        format!("{}{command}", cells.collect::<String>())
    };
    let head = rows.iter().any(Result::is_ok).then(|| line(&HEADS.map(str::to_owned), "command"));
    let lines = rows.iter().map(|row| match row {
        Ok((row, command)) => line(row, command),
        Err(line) => line.clone(),
    });
    for line in head.into_iter().chain(lines) {
        if let Err(why) = writeln!(out, "{}", line.trim_end()) {
            return printed(Err(why));
        }
    }
    printed(out.flush())
}

/// `past`: `None` for a run that was cut off before anything was journaled.
fn row_of(past: Option<&Past>, folder: &Folder) -> Row {
    let Some(past) = past else {
        let run = folder.path().file_name().unwrap_or_default().as_encoded_bytes();
        let nothing = String::new;
        let (run, state) = (escape::value(run), "empty".to_owned());
        return [run, nothing(), nothing(), state, nothing(), nothing()];
    };
    let [succeeded, failed, quarantined] = counts(past);
    let mut tasks = format!("{succeeded} succeeded");
    for (count, what) in [(failed, "failed"), (quarantined, "quarantined")] {
        if count > 0 {
            tasks += &format!(", {count} {what}");
        }
    }
    [
        past.run.run.clone(),
        times::local(past.began),
        times::duration(seconds_of(past, folder)),
        state_of(past, folder).to_owned(),
        tasks,
        escape::value(&past.run.folder.0),
    ]
}

/// The command of a run without its values.
pub(in crate::cli::commands) fn command_of(arguments: &[Bytes]) -> String {
    let words = arguments.iter().map(|word| &word.0[..]);
    let is_value = |word: &&[u8]| BEFORE_VALUES.contains(word);
    let command: Vec<Vec<u8>> =
        words.clone().take_while(|word| !is_value(word)).map(<[u8]>::to_vec).collect();
    let more = if words.clone().any(|word| is_value(&word)) { " ::: ..." } else { "" };
    format!("{}{more}", escape::value(&quoted_words(&command)))
}

fn json_of(past: Option<&Past>, folder: &Folder) -> String {
    let Some(past) = past else {
        let run = folder.path().file_name().unwrap_or_default().display().to_string();
        return json_line(
            &serde_json::json!({ "run": run, "journal": folder.path(), "state": "empty" }),
        );
    };
    let [succeeded, failed, quarantined] = counts(past);
    let (state, finished) = (state_of(past, folder), succeeded + failed + quarantined);
    let left = past.tasks_of_list().map(|total| total.saturating_sub(finished));
    json_line(&serde_json::json!({
        "run": past.run.run,
        "journal": folder.path(),
        "folder": past.run.folder,
        "began": past.began,
        "ended": (state != RUNNING).then_some(past.last),
        "seconds": seconds_of(past, folder),
        "state": state,
        "command": past.run.arguments,
        "total": past.tasks_of_list(),
        "succeeded": succeeded,
        "failed": failed,
        "quarantined": quarantined,
        "cancelled": if state == RUNNING { None } else { left },
        // Tasks of a pipeline that could not run are not journaled.
        "skipped": null,
        "generations": past.generations,
    }))
}

fn json_line(fields: &serde_json::Value) -> String {
    let mut line = Vec::new();
    // Writing into memory cannot fail.
    let _ = escape::json(&mut line, fields);
    String::from_utf8_lossy(&line).into_owned()
}

fn counts(past: &Past) -> [u64; 3] {
    [State::Succeeded, State::Failed, State::Quarantined].map(|state| past.count(state))
}

const RUNNING: &str = "running";

fn state_of(past: &Past, folder: &Folder) -> &'static str {
    match past.finished {
        Some((_, true)) => "finished",
        _ if folder.is_running() => RUNNING,
        Some(_) => "stopped",
        None => "cut-off",
    }
}

/// From the beginning of the first generation to the last word of the last one.
fn seconds_of(past: &Past, folder: &Folder) -> f64 {
    let last = if state_of(past, folder) == RUNNING { runs::seconds() } else { past.last };
    ((last - past.began).max(0.0) * 1e3).round() / 1e3
}
