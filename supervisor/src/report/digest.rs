//! A run in figures, series and lists of bounded size, for the page of `msup report`.
//!
//! The journal is read twice: first for the extent of everything, then for what is shown of it.

use std::collections::hash_map::{DefaultHasher, HashMap};
use std::hash::{Hash, Hasher};

use super::buckets::{Histogram, Series, Span, Timeline};
use crate::journal::{AttemptFate, Sample, State, ToldAttempt};

/// Up to this number of tasks, each has a row in the table; beyond it only the slowest have.
const ROWS: u64 = 10_000;
const SLOWEST: usize = 500;

/// Failures that are shown with their standard error.
const FAILURES: usize = 1000;

/// Characters of a value that are in the page.
const VALUE: usize = 2000;

/// What is learned from reading the journals for the first time.
#[derive(Debug, Default)]
pub(crate) struct RunExtent {
    first: Option<f64>,
    last: f64,
    attempts: u64,
    /// Of each run the number of its lanes.
    lanes: Vec<u32>,
    /// Which end of the journals is the last one of a task, by run, number and value.
    last_ends: HashMap<(usize, u64, u64), u64>,
    ends: u64,
}

impl RunExtent {
    /// Something happened at this time.
    pub(crate) fn see(&mut self, at: f64) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(at);
    }

    /// An attempt of this run, in this lane.
    pub(crate) fn look(&mut self, run: usize, lane: u32, told: &ToldAttempt) {
        self.see(told.start);
        self.see(told.end);
        self.attempts += 1;
        if self.lanes.len() <= run {
            self.lanes.resize(run + 1, 0);
        }
        self.lanes[run] = self.lanes[run].max(lane + 1);
        if let AttemptFate::Ended(_) = told.fate {
            self.ends += 1;
            self.last_ends.insert(name_of(run, told), self.ends);
        }
    }

    fn tasks(&self) -> u64 {
        self.last_ends.len() as u64
    }
}

fn name_of(run: usize, told: &ToldAttempt) -> (usize, u64, u64) {
    let mut hasher = DefaultHasher::new();
    told.value.0.hash(&mut hasher);
    (run, told.seq, hasher.finish())
}

/// The lanes of a run: its worker slots, or, where a journal names none, as many as were needed.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    free_at: Vec<f64>,
}

impl Lanes {
    /// The lane of an attempt, from 0.
    pub(crate) fn lane_of(&mut self, told: &ToldAttempt) -> u32 {
        let lane = match told.details.slot {
            Some(slot) => slot.saturating_sub(1) as usize,
            None => {
                let free = self.free_at.iter().position(|free| *free <= told.start);
                free.unwrap_or(self.free_at.len())
            }
        };
        // Slots are no larger than the limit on workers.
        let lane = lane.min(usize::from(u16::MAX));
        if self.free_at.len() <= lane {
            self.free_at.resize(lane + 1, f64::NEG_INFINITY);
        }
        self.free_at[lane] = self.free_at[lane].max(told.end);
        lane as u32
    }
}

/// Tasks of one stage in figures; of a batch there is one without a name.
#[derive(Debug, Default)]
struct StageSum {
    name: String,
    succeeded: u64,
    failed: u64,
    quarantined: u64,
    seconds: f64,
    cpu: f64,
    longest: f64,
}

/// A task in the table.
#[derive(Debug)]
struct TaskRow {
    seconds: f64,
    row: serde_json::Value,
}

/// What the page shows.
#[derive(Debug)]
pub(crate) struct Digest {
    extent: RunExtent,
    began: f64,
    /// The first lane of each run.
    offsets: Vec<u32>,
    ends: u64,
    stages: Vec<StageSum>,
    rows: Vec<TaskRow>,
    failures: Vec<serde_json::Value>,
    durations: Histogram,
    memory: Histogram,
    series: Series,
    timeline: Timeline,
    retried: u64,
}

impl Digest {
    pub(crate) fn new(extent: RunExtent) -> Digest {
        let began = extent.first.unwrap_or(0.0);
        let length = (extent.last - began).max(0.0);
        let offsets = extent.lanes.iter().scan(0, |next, lanes| {
            let offset = *next;
            *next += lanes;
            Some(offset)
        });
        Digest {
            offsets: offsets.collect(),
            began,
            ends: 0,
            stages: Vec::new(),
            rows: Vec::new(),
            failures: Vec::new(),
            durations: Histogram::default(),
            memory: Histogram::default(),
            series: Series::new(length),
            timeline: Timeline::new(length, extent.lanes.iter().sum(), extent.attempts),
            retried: 0,
            extent,
        }
    }

    /// An attempt of this run, in this lane; in the same order as before.
    pub(crate) fn add(&mut self, run: usize, lane: u32, told: &ToldAttempt) {
        let (start, seconds) = (told.start - self.began, told.seconds());
        let has_failed = told.fate != AttemptFate::Ended(State::Succeeded);
        self.series.add_attempt(start, seconds, told.cpu);
        let lane = lane + self.offsets.get(run).copied().unwrap_or(0);
        let value = text(&told.value.0, VALUE);
        self.timeline.add(Span { lane, start, seconds, has_failed, seq: told.seq }, &value);
        let AttemptFate::Ended(state) = told.fate else {
            self.retried += 1;
            return;
        };
        self.ends += 1;
        if self.extent.last_ends.get(&name_of(run, told)) != Some(&self.ends) {
            // The task was run again.
            return;
        }
        self.durations.add(seconds, has_failed);
        if told.details.memory > 0 {
            self.memory.add(told.details.memory as f64, has_failed);
        }
        self.add_to_stage(told, state, seconds);
        if has_failed && self.failures.len() < FAILURES {
            self.failures.push(serde_json::json!({
                "run": run,
                "seq": told.seq,
                "value": value,
                "state": told.fate.name(),
                "attempt": told.attempt,
                "cause": told.cause,
                "stderr": String::from_utf8_lossy(&told.details.stderr.0),
                "stage": told.stage().map(String::from_utf8_lossy),
            }));
        }
        let row = serde_json::json!([
            told.seq,
            value,
            told.fate.name(),
            told.attempt,
            thousandths(start),
            thousandths(seconds),
            thousandths(told.cpu),
            told.details.memory,
            told.details.slot,
            told.cause,
            run,
        ]);
        self.add_row(TaskRow { seconds, row });
    }

    fn add_to_stage(&mut self, told: &ToldAttempt, state: State, seconds: f64) {
        let name = told.stage().map(String::from_utf8_lossy).unwrap_or_default();
        let known = self.stages.iter().position(|stage| stage.name == name);
        let at = known.unwrap_or_else(|| {
            self.stages.push(StageSum { name: name.into_owned(), ..StageSum::default() });
            self.stages.len() - 1
        });
        let stage = &mut self.stages[at];
        *match state {
            State::Succeeded => &mut stage.succeeded,
            State::Failed => &mut stage.failed,
            State::Quarantined => &mut stage.quarantined,
        } += 1;
        stage.seconds += seconds;
        stage.cpu += told.cpu;
        stage.longest = stage.longest.max(seconds);
    }

    fn add_row(&mut self, row: TaskRow) {
        self.rows.push(row);
        if self.extent.tasks() > ROWS && self.rows.len() >= 4 * SLOWEST {
            self.keep_slowest();
        }
    }

    fn keep_slowest(&mut self) {
        self.rows.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        self.rows.truncate(SLOWEST);
    }

    /// How the run was doing.
    pub(crate) fn add_sample(&mut self, at: f64, sample: &Sample) {
        self.series.add_sample(at - self.began, sample);
    }

    /// All of it, for the page.
    pub(crate) fn into_json(mut self) -> serde_json::Value {
        let has_all = self.extent.tasks() <= ROWS;
        if !has_all {
            self.keep_slowest();
        }
        let sum = |of: fn(&StageSum) -> u64| self.stages.iter().map(of).sum::<u64>();
        let stages = self.stages.iter().map(|stage| {
            let tasks = stage.succeeded + stage.failed + stage.quarantined;
            serde_json::json!({
                "name": stage.name,
                "tasks": tasks,
                "succeeded": stage.succeeded,
                "failed": stage.failed,
                "quarantined": stage.quarantined,
                "mean": thousandths(stage.seconds / tasks.max(1) as f64),
                "longest": thousandths(stage.longest),
                "cpu": thousandths(stage.cpu),
            })
        });
        serde_json::json!({
            "began": self.began,
            "seconds": thousandths(self.extent.last - self.began),
            "succeeded": sum(|stage| stage.succeeded),
            "failed": sum(|stage| stage.failed),
            "quarantined": sum(|stage| stage.quarantined),
            "retried": self.retried,
            "stages": stages.collect::<Vec<_>>(),
            "series": self.series.to_json(),
            "timeline": self.timeline.to_json(),
            "durations": self.durations.to_json(),
            "memory": self.memory.to_json(),
            "failures": self.failures,
            "tasks": {
                "all": has_all,
                "count": self.extent.tasks(),
                "rows": self.rows.into_iter().map(|row| row.row).collect::<Vec<_>>(),
            },
        })
    }
}

/// A value as text, with this number of characters at most.
pub(crate) fn text(value: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&crate::arguments::shown(value)).into_owned();
    match text.char_indices().nth(most) {
        Some((at, _)) => text[..at].to_owned() + "…",
        None => text,
    }
}

pub(crate) fn thousandths(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Bytes, Details};

    fn told(seq: u64, fate: AttemptFate, (start, end): (f64, f64)) -> ToldAttempt {
        ToldAttempt {
            seq,
            value: Bytes(format!("v{seq}").into_bytes()),
            attempt: 1,
            fate,
            cause: None,
            exit: None,
            signal: None,
            start,
            end,
            cpu: end - start,
            is_step: false,
            details: Details::default(),
        }
    }

    fn digest(attempts: &[ToldAttempt]) -> serde_json::Value {
        let (mut extent, mut lanes) = (RunExtent::default(), Lanes::default());
        for told in attempts {
            extent.look(0, lanes.lane_of(told), told);
        }
        let (mut digest, mut lanes) = (Digest::new(extent), Lanes::default());
        for told in attempts {
            digest.add(0, lanes.lane_of(told), told);
        }
        digest.into_json()
    }

    #[test]
    fn of_a_task_that_was_run_again_the_last_end_counts() {
        let (good, bad) = (AttemptFate::Ended(State::Succeeded), AttemptFate::Ended(State::Failed));
        let page = digest(&[
            told(1, bad, (10.0, 11.0)),
            told(2, good, (10.0, 12.0)),
            told(3, AttemptFate::Retried, (11.0, 12.0)),
            told(1, good, (20.0, 21.0)),
        ]);
        assert_eq!((&page["succeeded"], &page["failed"]), (&2.into(), &0.into()));
        assert_eq!((&page["retried"], &page["seconds"]), (&1.into(), &11.0.into()));
        assert_eq!(page["tasks"]["rows"].as_array().map(Vec::len), Some(2));
        assert_eq!(page["timeline"]["spans"].as_array().map(Vec::len), Some(4));
        assert_eq!(page["timeline"]["lanes"], 2);
    }

    #[test]
    fn many_tasks_make_no_large_page() {
        let attempts: Vec<ToldAttempt> = (0..ROWS + 5)
            .map(|n| {
                let start = n as f64;
                told(
                    n + 1,
                    AttemptFate::Ended(State::Succeeded),
                    (start, start + 1.0 + start / 1e6),
                )
            })
            .collect();
        let page = digest(&attempts);
        let rows = page["tasks"]["rows"].as_array().expect("rows");
        assert_eq!((rows.len(), &page["tasks"]["all"]), (SLOWEST, &false.into()));
        assert_eq!(rows[0][0], ROWS + 5, "the slowest is first");
        assert!(page["timeline"]["spans"].is_null());
        assert!(page.to_string().len() < 200_000);
    }
}
