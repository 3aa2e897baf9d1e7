//! Collects the outcomes that workers have left in task slots.

use std::sync::Arc;

use msup_protocol::audit::Violation;
use msup_protocol::codec::{self, OutcomeFrame, STREAMS, Stream, Verdict};
use msup_protocol::packed::WorkerId;
use msup_protocol::task::{Snapshot, State, Tasks};

use super::publications::{Instants, details_of};
use super::{OutcomeError, Queue, understand};
use crate::engine::Event;
use crate::output::Spilled;

/// These slots that a single worker has marked done, and those whose turns were before. The marks
/// of several slots are read at once, not those of all: meanwhile the worker may have gone on to
/// slots whose marks are read later.
fn with_overlooked(
    done: &[u16],
    turn_of: impl Fn(u16) -> Option<u64>,
    tasks: Tasks<'_>,
) -> Vec<u16> {
    let last = done.iter().filter_map(|slot| turn_of(*slot)).max();
    let is_no_later = |slot: &u16| turn_of(*slot).is_some_and(|turn| Some(turn) <= last);
    let is_done = |slot: &u16| tasks.sighted(*slot).and_then(Snapshot::state) == Some(State::Done);
    (0..tasks.len() as u16).filter(is_no_later).filter(is_done).collect()
}

impl Queue {
    /// Collects the tasks that workers have marked done.
    pub(crate) fn collect(&mut self, events: &mut Vec<Event>) {
        let segment = Arc::clone(&self.segment);
        let mut done: Vec<u16> = segment.shared().done.drain().collect();
        if segment.sizes().workers == 1 {
            let turn_of = |slot| self.publications.turn_of(slot);
            done = with_overlooked(&done, turn_of, segment.shared().tasks);
        }
        // In which order these have finished is not known; a single worker ran them in this one.
        done.sort_by_key(|slot| self.publications.turn_of(*slot));
        let now = Instants::now();
        done.into_iter().for_each(|slot| self.collect_one(slot, now, events));
    }

    /// Collects everything of a dead worker: what it completed, and the slots of what it did not.
    pub(crate) fn collect_from(&mut self, dead: WorkerId, events: &mut Vec<Event>) -> Vec<u16> {
        let segment = Arc::clone(&self.segment);
        let tasks = segment.shared().tasks;
        let mut claimed = Vec::new();
        let mut slots: Vec<u16> = (0..tasks.len() as u16).collect();
        // It ran them in this order.
        slots.sort_by_key(|slot| self.publications.turn_of(*slot));
        for slot in slots {
            let Some(seen) = tasks.sighted(slot).filter(|seen| seen.owner() == Some(dead)) else {
                continue;
            };
            if seen.state() == Some(State::Done) {
                self.collect_one(slot, Instants::now(), events);
            } else if tasks.vacate(slot, seen) {
                self.forget_task_file(slot);
                claimed.push(slot);
            }
        }
        claimed
    }

    fn collect_one(&mut self, slot: u16, now: Instants, events: &mut Vec<Event>) {
        let tasks = self.segment.shared().tasks;
        // The bit is a hint; the word decides.
        let Some(seen) = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Done))
        else {
            return;
        };
        let read = tasks.read(slot, &mut self.frame).map_err(OutcomeError::from);
        match read.and_then(|()| understand(&self.frame)) {
            Ok(mut outcome) if tasks.vacate(slot, seen) => {
                self.forget_task_file(slot);
                self.take_files(slot, &mut outcome);
                let error = self.spilled.get(&slot).and_then(|[_, error, ..]| error.as_ref());
                let details = details_of(&outcome, seen.owner(), now, error);
                self.publications[slot].details = Some(details);
                let outcome = Box::new(outcome);
                events.push(Event::Collected { slot, outcome, starved: false, killed: None });
            }
            Ok(_) => self.violation = Some(Violation::new("task slot", slot, tasks.sighted(slot))),
            Err(why) => {
                let why = why.to_string();
                self.violation = Some(Violation::new("the outcome in task slot", slot, why));
            }
        }
    }

    /// Opens the files that an attempt wrote, before another process can. If that fails, the
    /// attempt is repeated.
    fn take_files(&mut self, slot: u16, outcome: &mut OutcomeFrame) {
        let OutcomeFrame { stdout, stderr, result, emitted, .. } = &*outcome;
        let left = [stdout, stderr, result, emitted].map(|stream| match stream {
            Stream::Here(_) => None,
            Stream::File(left) => Some(*left),
        });
        if left == [None; STREAMS] {
            if matches!(outcome.verdict, Verdict::Lost(_)) {
                self.look_at_folder();
            }
            return;
        }
        let names = codec::stream_files(slot, self.publications[slot].number);
        let open = |at: usize| {
            let path = self.folder.join(&names[at]);
            left[at].map(|left| Spilled::open(path, left, &self.open_ones)).transpose()
        };
        match open(0).and_then(|stdout| Ok([stdout, open(1)?, open(2)?, open(3)?])) {
            Ok(spilled) => self.keep(slot, spilled, outcome),
            Err(why) => {
                outcome.verdict = Verdict::Lost(format!("its output is lost: {why}"));
                (outcome.stdout, outcome.stderr) = (Stream::nothing(), Stream::nothing());
                (outcome.result, outcome.emitted) = (Stream::nothing(), Stream::nothing());
                self.discard(slot);
            }
        }
        self.look_at_folder();
    }

    /// Keeps open what an attempt has written, until it is delivered or discarded. The state of a
    /// task that parks, and the values of more tasks, are read now.
    fn keep(&mut self, slot: u16, spilled: [Option<Spilled>; STREAMS], outcome: &mut OutcomeFrame) {
        if let [.., Some(emitted)] = &spilled {
            match emitted.whole(codec::EMITTED_AT_MOST) {
                Ok(bytes) if codec::values(&bytes).is_some() => {
                    outcome.emitted = Stream::Here(bytes.into());
                }
                Ok(_) => {
                    let why = "the values of more tasks are malformed";
                    outcome.verdict = Verdict::Trouble(why.into());
                }
                Err(why) => {
                    outcome.verdict = Verdict::Lost(format!("what it emitted is lost: {why}"));
                }
            }
        }
        if let (Verdict::Parked(_), [_, _, Some(state), _]) = (&outcome.verdict, &spilled) {
            match state.whole(codec::STATE_AT_MOST) {
                Ok(state) => outcome.result = Stream::Here(state.into()),
                Err(why) => {
                    outcome.verdict = Verdict::Lost(format!("its state is lost: {why}"));
                }
            }
        }
        self.spilled.insert(slot, spilled);
    }
}

#[cfg(test)]
mod tests {
    use msup_protocol::layout::Sizes;
    use msup_protocol::segment;

    use super::*;

    #[test]
    fn what_a_single_worker_has_done_before_is_collected_with_what_it_did_later() {
        let sizes = Sizes { tokens: 1, workers: 1, tasks: 5, cell_bytes: 64 };
        let (segment, _fd) = segment::create(sizes, 1, "1", 0).expect("created");
        let tasks = segment.shared().tasks;
        for slot in 0..5 {
            assert!(tasks.publish(slot).is_some());
        }
        for _ in 0..4 {
            let claim = tasks.claim(0).expect("ready");
            assert!(tasks.complete(0, claim));
        }
        let turn_of = |slot: u16| Some([10, 11, 7, 8, 9][usize::from(slot)]);
        // The mark of slot 3 was read, those of slots 0, 1 and 2 were set too late. Slot 4 is not
        // done.
        assert_eq!(with_overlooked(&[3], turn_of, tasks), [2, 3]);
        assert_eq!(with_overlooked(&[1, 3], turn_of, tasks), [0, 1, 2, 3]);
        assert!(with_overlooked(&[], turn_of, tasks).is_empty());
    }
}
