//! Records what happened in a simulated run, and judges it.

use std::collections::{BTreeMap, BTreeSet};

/// What happened to tasks, over all generations. Tasks are known by their value, which is unique.
#[derive(Debug, Default)]
pub(super) struct History {
    running: BTreeMap<String, (u32, u32)>,
    /// The last attempt that began: generation and number.
    last: BTreeMap<String, (u32, u32)>,
    /// A power cut may have lost what was known of attempts: their numbers are not checked.
    has_forgotten: bool,
    /// The tasks that were in flight when a supervisor died.
    suspects: BTreeSet<String>,
    /// How often each was alone then, as far as the journal could show.
    alone: BTreeMap<String, u32>,
    /// Killed attempts that are not journaled yet.
    killed: BTreeSet<String>,
    /// Tasks whose last attempt got a signal: it may have stopped half-way.
    stopped: BTreeSet<String>,
    /// How often outputs were shown, whether the attempts succeeded or not.
    shown: BTreeMap<String, u32>,
    /// The tasks whose outputs are kept and wait to be shown, as the journal says.
    waiting: BTreeSet<String>,
    /// The tasks whose end is in the journal, and whether they succeeded.
    written: BTreeMap<String, bool>,
    /// Tasks that have failed, and run again because the user wants that: their old ends are in the
    /// journal.
    retried: BTreeSet<String>,
    /// The states of tasks that have parked, as the journal says: their lengths.
    parked: BTreeMap<String, usize>,
    pub(super) wrongs: Vec<String>,
}

impl History {
    /// `notes`: whether the run's workers can take notes. If not, attempt numbers are not checked.
    pub(super) fn new(notes: bool) -> History {
        History { has_forgotten: !notes, ..History::default() }
    }

    fn wrong(&mut self, what: String) {
        self.wrongs.push(what);
    }

    pub(super) fn begins(&mut self, value: &str, generation: u32, attempt: u32) {
        if self.running.insert(value.to_owned(), (generation, attempt)).is_some() {
            self.wrong(format!("{value} runs twice at once"));
        }
        if self.written.contains_key(value) {
            self.wrong(format!("{value} has finished, and runs again"));
        }
        if self.waiting.contains(value) {
            self.wrong(format!("the output of {value} is kept, and it runs again"));
        }
        self.stopped.remove(value);
        let before = self.last.insert(value.to_owned(), (generation, attempt));
        let expected = before.map_or(1, |(_, before)| before + 1);
        if before.is_some_and(|(_, before)| before >= attempt)
            || (!self.has_forgotten && attempt != expected)
        {
            self.wrong(format!("{value}: attempt {attempt} after {before:?}"));
        }
        let is_suspect = |value: &String| self.suspects.contains(value);
        if self.running.len() > 1 && self.running.keys().any(is_suspect) {
            self.wrong(format!("beside a suspect: {:?}", self.running.keys()));
        }
    }

    /// It has parked with a state of this length, as the journal says.
    pub(super) fn parks(&mut self, value: &str, state: usize) {
        self.parked.insert(value.to_owned(), state);
    }

    /// An attempt begins with a state of this length.
    pub(super) fn has_state(&mut self, value: &str, state: usize) {
        let journaled = self.parked.get(value).copied().unwrap_or(0);
        if state < journaled {
            self.wrong(format!("{value} has a state of {state}, after one of {journaled}"));
        }
    }

    /// Its last attempt was stopped, or what it had left running was.
    pub(super) fn is_stopped(&mut self, value: &str) {
        self.stopped.insert(value.to_owned());
    }

    /// It has finished, or its process has exited.
    pub(super) fn stops(&mut self, value: &str) {
        if self.running.remove(value).is_none() {
            self.wrong(format!("{value} stops but does not run"));
        }
    }

    /// Every process is gone. If the journal `forgets`, what it knew of attempts is lost as well.
    pub(super) fn all_die(&mut self, forgets: bool) {
        self.has_forgotten |= forgets;
        if forgets {
            self.suspects.clear();
        }
        let running = std::mem::take(&mut self.running);
        let killed = std::mem::take(&mut self.killed);
        if forgets {
            return;
        }
        for value in running.keys().chain(&killed) {
            if running.keys().all(|other| other == value) {
                *self.alone.entry(value.clone()).or_default() += 1;
            }
        }
        self.suspects.extend(running.into_keys());
    }

    /// It was killed. That is not journaled yet.
    pub(super) fn is_killed(&mut self, value: &str) {
        self.killed.insert(value.to_owned());
    }

    /// Its retry is journaled: its kill is known.
    pub(super) fn is_told(&mut self, value: &str) {
        self.killed.remove(value);
    }

    /// It is quarantined because supervisors died while it was alone in flight.
    pub(super) fn condemns(&mut self, value: &str, limit: u32) {
        let alone = self.alone.get(value).copied().unwrap_or(0);
        if alone < limit && !self.has_forgotten {
            self.wrong(format!("{value} is given up after it was alone at {alone} deaths"));
        }
    }

    pub(super) fn shows(&mut self, value: &str) {
        *self.shown.entry(value.to_owned()).or_default() += 1;
        if self.written.contains_key(value) {
            self.wrong(format!("{value} is shown after its end was written"));
        }
    }

    /// Its output is kept, as the journal says.
    pub(super) fn waits(&mut self, value: String) {
        self.waiting.insert(value);
    }

    /// The outputs of these tasks, and of no others, are kept and wait. Their ends follow, even if
    /// there are older ones of attempts before a retry.
    pub(super) fn wait(&mut self, values: impl Iterator<Item = String>) {
        self.waiting = values.collect();
        self.written.retain(|value, _| !self.waiting.contains(value));
    }

    /// Its end was journaled. `has_output`: there was something to show.
    pub(super) fn writes(&mut self, value: &str, succeeded: bool, has_output: bool) {
        if has_output && !self.shown.contains_key(value) {
            self.wrong(format!("the end of {value} is written before it is shown"));
        }
        if succeeded && self.stopped.contains(value) {
            self.wrong(format!("{value} was stopped, and has succeeded"));
        }
        self.suspects.remove(value);
        self.killed.remove(value);
        self.waiting.remove(value);
        if self.written.insert(value.to_owned(), succeeded).is_some() {
            self.wrong(format!("{value} has two ends"));
        }
    }

    /// A task that has failed runs again, because the user wants that.
    pub(super) fn retries(&mut self, value: &str) {
        if self.written.remove(value) != Some(false) {
            self.wrong(format!("{value} has not failed, and runs again"));
        }
        // It begins without the state of an earlier park.
        self.parked.remove(value);
        self.retried.insert(value.to_owned());
    }

    /// Another supervisor takes up the run. Of tasks that were retried, an older end may be the
    /// last one that the journal has.
    pub(super) fn is_taken_up(&mut self, left: &BTreeMap<String, bool>) {
        for value in std::mem::take(&mut self.retried) {
            if let Some(succeeded) = left.get(&value) {
                self.written.insert(value, *succeeded);
            }
        }
    }

    /// The ends of these tasks are left in the journal. A power cut may lose what was known of
    /// attempts; and of a task that was retried the newer end, so that the older one stands.
    pub(super) fn keeps(&mut self, left: &BTreeMap<String, bool>, power_cut: bool) {
        self.written.retain(|value, _| left.contains_key(value));
        if power_cut {
            for (value, succeeded) in &mut self.written {
                *succeeded = left[value];
            }
            self.parked.clear();
            self.last.clear();
        }
    }

    /// Whether its end says that it has succeeded.
    pub(super) fn has_succeeded(&self, value: &str) -> bool {
        self.written.get(value) == Some(&true)
    }

    /// The run is over: each of these tasks must have an end. Returns the number that did not
    /// succeed.
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
