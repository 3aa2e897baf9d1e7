//! Judges what happened.

use std::collections::{BTreeMap, BTreeSet};

/// What happened to tasks, over all generations. Tasks are known by their value, of which there is one each.
#[derive(Debug, Default)]
pub(super) struct History {
    running: BTreeMap<String, (u32, u32)>,
    /// The last attempt that was begun: generation and number.
    last: BTreeMap<String, (u32, u32)>,
    /// Outputs that were shown, of attempts that succeeded or not.
    shown: BTreeMap<String, u32>,
    /// Ends that are in the journal for good, as far as a process' death goes.
    written: BTreeMap<String, bool>,
    pub(super) wrongs: Vec<String>,
}

impl History {
    fn wrong(&mut self, what: String) {
        self.wrongs.push(what);
    }

    pub(super) fn begins(&mut self, value: &str, generation: u32, attempt: u32) {
        if self.running.insert(value.to_owned(), (generation, attempt)).is_some() {
            self.wrong(format!("{value} runs twice at once"));
        }
        if self.written.contains_key(value) {
            self.wrong(format!("{value} has ended, and runs again"));
        }
        let before = self.last.insert(value.to_owned(), (generation, attempt));
        if before.is_some_and(|(_, before)| before >= attempt) {
            self.wrong(format!("{value}: attempt {attempt} after {before:?}"));
        }
    }

    /// It has ended, or its process has.
    pub(super) fn stops(&mut self, value: &str) {
        if self.running.remove(value).is_none() {
            self.wrong(format!("{value} ends but does not run"));
        }
    }

    /// Every process is gone.
    pub(super) fn all_stop(&mut self) {
        self.running.clear();
    }

    pub(super) fn shows(&mut self, value: &str) {
        *self.shown.entry(value.to_owned()).or_default() += 1;
        if self.written.contains_key(value) {
            self.wrong(format!("{value} is shown after its end was written"));
        }
    }

    /// Its end was written; `has_output`: there was something to show.
    pub(super) fn writes(&mut self, value: &str, succeeded: bool, has_output: bool) {
        if has_output && !self.shown.contains_key(value) {
            self.wrong(format!("the end of {value} is written before it is shown"));
        }
        if self.written.insert(value.to_owned(), succeeded).is_some() {
            self.wrong(format!("{value} ends twice"));
        }
    }

    /// These ends are left. What was known of attempts may be gone with what a power cut has taken.
    pub(super) fn keeps(&mut self, left: &BTreeSet<String>, power_cut: bool) {
        self.written.retain(|value, _| left.contains(value));
        if power_cut {
            self.last.clear();
        }
    }

    /// The run is over: every one of these has one end. How many did not succeed.
    pub(super) fn settles(&mut self, values: &[String]) -> u64 {
        let missing: Vec<&String> =
            values.iter().filter(|value| !self.written.contains_key(*value)).collect();
        if !missing.is_empty() {
            self.wrongs.push(format!("without an end: {missing:?}"));
        }
        if !self.running.is_empty() {
            self.wrongs.push(format!("still running: {:?}", self.running));
        }
        let of_these = values.iter().filter_map(|value| self.written.get(value));
        of_these.filter(|succeeded| !**succeeded).count() as u64
    }
}
