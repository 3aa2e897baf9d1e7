//! `--metrics`: the counters of a run in the text formats of Prometheus. No label holds a value:
//! there are as many series as stages and kinds of failures.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

/// The upper bounds of the buckets for durations, in seconds.
const BOUNDS: [f64; 12] =
    [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0];

/// What the series of finished tasks are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskLabels {
    pub(crate) state: &'static str,
    /// The kind of failure; empty for successes.
    pub(crate) cause: &'static str,
    /// Empty but in pipelines.
    pub(crate) stage: String,
}

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricsFormat {
    /// Version 0.0.4 of Prometheus' own, for files and by default.
    Plain,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// As HTTP names it.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            MetricsFormat::Plain => "text/plain; version=0.0.4; charset=utf-8",
            MetricsFormat::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }
}

/// What is true of a run at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricsNow {
    pub(crate) running: u32,
    pub(crate) waiting: u64,
    pub(crate) tokens: u32,
    pub(crate) attempts: u64,
}

/// What has happened in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    tasks: BTreeMap<TaskLabels, u64>,
    /// The number of tasks that took at most this long, by bound; and all.
    took: [u64; BOUNDS.len()],
    finished: u64,
    seconds: f64,
}

impl Metrics {
    /// A task has finished; its last attempt took this long.
    pub(crate) fn note(&mut self, labels: TaskLabels, wall: Duration) {
        *self.tasks.entry(labels).or_insert(0) += 1;
        let seconds = wall.as_secs_f64();
        for (count, bound) in self.took.iter_mut().zip(BOUNDS) {
            *count += u64::from(seconds <= bound);
        }
        self.finished += 1;
        self.seconds += seconds;
    }

    /// All of it as text.
    pub(crate) fn text(&self, now: MetricsNow, format: MetricsFormat) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(now, format, &mut text);
        text
    }

    fn write(&self, now: MetricsNow, format: MetricsFormat, text: &mut String) -> fmt::Result {
        let is_open = format == MetricsFormat::OpenMetrics;
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            // The name of a counter has no ending there; that of its samples has.
            let family = if is_open { name.trim_end_matches("_total") } else { name };
            write!(text, "# HELP {family} {help}\n# TYPE {family} {kind}\n")
        };
        head(text, "msup_tasks_total", "counter", "Tasks that have finished.")?;
        for (TaskLabels { state, cause, stage }, count) in &self.tasks {
            let stage = escaped(stage);
            writeln!(
                text,
                "msup_tasks_total{{state=\"{state}\",cause=\"{cause}\",stage=\"{stage}\"}} {count}"
            )?;
        }
        head(text, "msup_attempts_total", "counter", "Attempts that have finished.")?;
        writeln!(text, "msup_attempts_total {}", now.attempts)?;
        head(text, "msup_running", "gauge", "Tasks that run.")?;
        writeln!(text, "msup_running {}", now.running)?;
        head(text, "msup_waiting", "gauge", "Tasks that are known and wait.")?;
        writeln!(text, "msup_waiting {}", now.waiting)?;
        head(text, "msup_tokens", "gauge", "Tasks that may use a CPU at once.")?;
        writeln!(text, "msup_tokens {}", now.tokens)?;
        head(text, "msup_task_seconds", "histogram", "How long the last attempts of tasks took.")?;
        for (count, bound) in self.took.iter().zip(BOUNDS) {
            writeln!(text, "msup_task_seconds_bucket{{le=\"{bound:?}\"}} {count}")?;
        }
        writeln!(text, "msup_task_seconds_bucket{{le=\"+Inf\"}} {}", self.finished)?;
        writeln!(text, "msup_task_seconds_sum {}", self.seconds)?;
        writeln!(text, "msup_task_seconds_count {}", self.finished)?;
        if is_open { text.write_str("# EOF\n") } else { Ok(()) }
    }
}

/// The value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let mut metrics = Metrics::default();
        let labels = |state, cause| TaskLabels { state, cause, stage: "a\"b\\".into() };
        metrics.note(labels("succeeded", ""), Duration::from_millis(20));
        metrics.note(labels("succeeded", ""), Duration::from_secs(5000));
        metrics.note(labels("failed", "exit"), Duration::from_secs(2));
        let now = MetricsNow { running: 3, waiting: 9, tokens: 2, attempts: 4 };
        let plain = metrics.text(now, MetricsFormat::Plain);
        for line in [
            "# TYPE msup_tasks_total counter",
            "msup_tasks_total{state=\"succeeded\",cause=\"\",stage=\"a\\\"b\\\\\"} 2",
            "msup_tasks_total{state=\"failed\",cause=\"exit\",stage=\"a\\\"b\\\\\"} 1",
            "msup_attempts_total 4",
            "msup_running 3",
            "msup_task_seconds_bucket{le=\"0.01\"} 0",
            "msup_task_seconds_bucket{le=\"0.03\"} 1",
            "msup_task_seconds_bucket{le=\"3.0\"} 2",
            "msup_task_seconds_bucket{le=\"3600.0\"} 2",
            "msup_task_seconds_bucket{le=\"+Inf\"} 3",
            "msup_task_seconds_sum 5002.02",
            "msup_task_seconds_count 3",
        ] {
            assert!(plain.lines().any(|one| one == line), "{line}\n{plain}");
        }
        let open = metrics.text(now, MetricsFormat::OpenMetrics);
        assert!(
            open.contains("# TYPE msup_tasks counter\n") && open.ends_with("# EOF\n"),
            "{open}"
        );
        let samples = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(samples(&plain), samples(&open));
    }
}
