//! What a dry run prints.

use std::fmt::Write;

use crate::pipeline::StageCounts;
use crate::report::escape;

/// The table of a dry run: each stage, and below it why tasks would run.
pub(super) fn table(stages: &[StageCounts]) -> String {
    let heads = ["stage", "items", "up to date", "to run"];
    let rows: Vec<[String; 4]> = stages
        .iter()
        .map(|stage| {
            let open = if stage.has_more { "+" } else { "" };
            let to_run: usize = stage.reasons.iter().map(|(_, count, _)| count).sum();
            let up_to_date = stage.tasks - to_run.min(stage.tasks) - stage.left - stage.skipped;
            [
                stage.name.clone(),
                format!("{}{open}", stage.tasks),
                up_to_date.to_string(),
                format!("{to_run}{open}"),
            ]
        })
        .collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([heads[at].len()]).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    let mut line = |cells: [&str; 4]| {
        let [name, rest @ ..] = cells;
        let mut line = format!("{name:<0$}", widths[0]);
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            let _ = write!(line, "  {cell:>width$}");
        }
        text += line.trim_end();
        text.push('\n');
    };
    line(heads);
    rows.iter().for_each(|row| line(row.each_ref().map(String::as_str)));
    for stage in stages {
        for (reason, count, named) in &stage.reasons {
            let names: Vec<String> = named.iter().map(|item| escape::value(item)).collect();
            let named = names.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>();
            let more = if *count > names.len() { ", ..." } else { "" };
            let _ = write!(text, "{}: {count} {reason}", stage.name);
            let _ = match named.is_empty() {
                true => writeln!(text),
                false => writeln!(text, ": {}{more}", named.join(", ")),
            };
        }
    }
    text
}

/// What is said where no task runs, and the exit status.
pub(super) fn nothing_to_do(stages: &[StageCounts]) -> (String, u8) {
    let tasks: usize = stages.iter().map(|stage| stage.up_to_date).sum();
    let left: usize = stages.iter().map(|stage| stage.left).sum();
    let tasks = match tasks {
        1 => "1 task is up to date".to_owned(),
        n => format!("{n} tasks are up to date"),
    };
    match left {
        0 => (format!("nothing to do: {tasks}"), 0),
        n => (format!("nothing to retry: {tasks}, {n} were not asked for"), 0),
    }
}
