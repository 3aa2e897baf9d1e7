//! The stages of a pipeline in the closing report and in the summary.

use serde::Serialize;

use super::paint::{Paint, TextStyle};

/// The tasks of a stage, in figures. Field names are the JSON's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct StageFigures {
    pub(crate) name: String,
    pub(crate) tasks: u64,
    pub(crate) succeeded: u64,
    pub(crate) up_to_date: u64,
    pub(crate) failed: u64,
    /// A task that they wait for has failed.
    pub(crate) skipped: u64,
    /// They were not asked for, or the run was stopped.
    pub(crate) left: u64,
    /// Temporary outputs that are kept for tasks that have failed.
    pub(crate) kept_temporary: u64,
}

/// A column of the table: its heading, and the figure in it.
type Column = (&'static str, fn(&StageFigures) -> u64);

const COLUMNS: [Column; 6] = [
    ("tasks", |stage| stage.tasks),
    ("succeeded", |stage| stage.succeeded),
    ("up to date", |stage| stage.up_to_date),
    ("failed", |stage| stage.failed),
    ("skipped", |stage| stage.skipped),
    ("left", |stage| stage.left),
];

/// What has become of all tasks.
pub(super) fn result(stages: &[StageFigures], paint: Paint) -> String {
    let sum = |of: fn(&StageFigures) -> u64| stages.iter().map(of).sum::<u64>();
    let [succeeded, failed] = [sum(|stage| stage.succeeded), sum(|stage| stage.failed)];
    let [skipped, left] = [sum(|stage| stage.skipped), sum(|stage| stage.left)];
    let tasks = if succeeded == 1 { "task" } else { "tasks" };
    let is_all = failed + skipped + left == 0;
    let style = if is_all { TextStyle::Good } else { TextStyle::Bold };
    let mut text = paint.text(style, &format!("{succeeded} {tasks} succeeded"));
    for (count, what, style) in [
        (sum(|stage| stage.up_to_date), "up to date", None),
        (failed, "failed", Some(TextStyle::Bad)),
        (skipped, "skipped", Some(TextStyle::Bad)),
        (left, "left", None),
    ] {
        if count > 0 {
            let part = format!("{count} {what}");
            text += ", ";
            text += &style.map_or(part.clone(), |style| paint.text(style, &part));
        }
    }
    text
}

/// A line for each stage, without columns that are 0 everywhere.
pub(super) fn table(stages: &[StageFigures]) -> Vec<String> {
    let is_used = |(_, of): &&Column| stages.iter().any(|stage| of(stage) > 0);
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_used).collect();
    let head: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows = stages.iter().map(|stage| {
        let cells = columns.iter().map(|(_, of)| of(stage).to_string()).collect::<Vec<_>>();
        (stage.name.clone(), cells)
    });
    let rows: Vec<(String, Vec<String>)> =
        [("stage".to_owned(), head)].into_iter().chain(rows).collect();
    let name_width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let width = |at: usize| rows.iter().map(|(_, cells)| cells[at].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |(name, cells): &(String, Vec<String>)| {
        let mut line = format!("{name:<name_width$}");
        for (cell, width) in cells.iter().zip(&widths) {
            line += &format!("  {cell:>width$}");
        }
        line
    };
    rows.iter().map(line).collect()
}

/// What is said of temporary outputs that are still there.
pub(super) fn kept(stages: &[StageFigures]) -> Option<String> {
    match stages.iter().map(|stage| stage.kept_temporary).sum::<u64>() {
        0 => None,
        1 => {
            Some("1 temporary output is kept: not all tasks that read it have succeeded".to_owned())
        }
        n => Some(format!(
            "{n} temporary outputs are kept: not all tasks that read them have succeeded"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_in_a_table() {
        let stage = |name: &str, succeeded, failed, skipped| StageFigures {
            name: name.to_owned(),
            tasks: succeeded + failed + skipped,
            succeeded,
            failed,
            skipped,
            ..StageFigures::default()
        };
        let stages = [stage("wav", 100, 2, 0), stage("text", 98, 0, 2)];
        let plain = Paint { colours: false };
        assert_eq!(result(&stages, plain), "198 tasks succeeded, 2 failed, 2 skipped");
        let lines = [
            "stage  tasks  succeeded  failed  skipped",
            "wav      102        100       2        0",
            "text     100         98       0        2",
        ];
        assert_eq!(table(&stages), lines);
        assert_eq!(kept(&stages), None);
    }
}
