//! Between the engine and the journal: what the engine has to note, as records; and what earlier
//! generations have told of a task, as the engine asks for it.

use std::io::Write;
use std::time::Duration;

use super::record::{Added, Again, AgainKind, Bytes, End, Parked, Record, Start, State};
use super::story::{Known, Story};
use super::{Details, Found, Journal, Matches, Past};
use crate::engine::{Cause, Earlier, Emitted, Entry, Kind, Tried};

/// What is known from earlier generations.
#[derive(Debug)]
pub(crate) struct KnownTasks {
    matches: Matches,
    /// Those that have failed are tried again.
    pub(crate) tries_again: bool,
    /// The digest of the list in which they were, if they are of earlier starts of a shard.
    pub(crate) digest: Option<String>,
}

impl KnownTasks {
    /// How many have ended and were not asked for.
    pub(crate) fn left(&self) -> usize {
        self.matches.left()
    }

    pub(crate) fn of(past: Past, describe: impl Fn(&[u8], u64) -> Vec<u8>) -> KnownTasks {
        let digest = past.digest.clone();
        KnownTasks { matches: past.by_content(describe), tries_again: false, digest }
    }

    /// What is known of the task with this number and content.
    pub(crate) fn find(&mut self, seq: u64, content: &[u8]) -> Found {
        self.matches.find(seq, content)
    }
}

/// What happened to a task before. `now`: seconds since 1970.
pub(crate) fn earlier(found: Found, now: f64) -> Earlier {
    match found {
        Found::End(end, _) => ended(end),
        Found::Story(story, _) => tried(story, now),
    }
}

/// Writes an entry into the journal, with the details of its attempt where there are any; an end
/// only when its output has been shown, if it `will_be_shown`. `now`: seconds since 1970.
pub(crate) fn write_down<F: Write>(
    journal: &mut Journal<F>,
    (entry, details): (Entry, Option<Details>),
    will_be_shown: bool,
    now: f64,
) {
    match entry {
        Entry::InputsEnd(total) => journal.note(&Record::InputsEnd { total }),
        Entry::Start { seq, value, attempt, slot } => {
            let value = Bytes(value);
            journal.note(&Record::Start(Start { seq, value, attempt, cell: slot }));
        }
        Entry::Withdrawn { seq, value, attempt } => {
            let value = Bytes(value);
            journal.note(&Record::Withdrawn { seq, value, attempt });
        }
        Entry::Again { seq, value, attempt, cause, kind, slot: _ } => {
            let (exit, signal) = cause.exit_and_signal();
            let (value, cause) = (Bytes(value), cause.to_string());
            let kind = Some(match kind {
                Kind::Failed => AgainKind::Failed,
                Kind::Crashed => AgainKind::Crashed,
                Kind::Lost => AgainKind::Lost,
                Kind::Starved => AgainKind::Starved,
            });
            let again = Again { seq, value, attempt, kind, cause, exit, signal, details };
            journal.note(&Record::Again(again));
        }
        Entry::Parked { seq, value, attempt, after, state, slot: _ } => {
            let (until, state) = (now + after.as_secs_f64(), Bytes(state));
            journal.note(&Record::Parked(Parked {
                seq,
                value: Bytes(value),
                attempt,
                until,
                state,
                details,
            }));
        }
        Entry::End { seq, value, attempt, failure, wall, cpu, emitted, slot: _ } => {
            let mut times = [wall, cpu].map(|time| time.as_micros() as f64 / 1e6);
            if wall.is_zero() {
                // Its worker was lost, and has not told how long it took.
                times[0] = details.as_ref().and_then(|details| details.seconds).unwrap_or(0.0);
            }
            let details = details.map(Details::of_end);
            let (value, emitted) = (Bytes(value), emitted.map(recorded));
            let end = End { emitted, details, ..end_of((seq, value, attempt), failure, times) };
            if will_be_shown {
                journal.note_when_shown(seq, end);
            } else {
                journal.note(&Record::End(end));
            }
        }
    }
}

/// The record of a task that has finished, by its number, value and last attempt.
fn end_of(
    (seq, value, attempt): (u64, Bytes, u32),
    failure: Option<(Cause, bool)>,
    [seconds, cpu]: [f64; 2],
) -> End {
    let state = match failure {
        None => State::Succeeded,
        Some((_, false)) => State::Failed,
        Some((_, true)) => State::Quarantined,
    };
    let (exit, signal) =
        failure.as_ref().map_or((Some(0), None), |(cause, _)| cause.exit_and_signal());
    let cause = failure.map(|(cause, _)| cause.to_string());
    let (emitted, details) = (None, None);
    End { seq, value, attempt, state, cause, exit, signal, seconds, cpu, emitted, details }
}

/// What a task has emitted, for the journal.
pub(crate) fn recorded(emitted: Emitted) -> Added {
    let values = emitted.values.into_iter().map(Bytes).collect();
    Added { first: emitted.first, values }
}

pub(crate) fn ended(known: Known) -> Earlier {
    let Known { state, cause, attempt, .. } = known;
    let cause = cause.unwrap_or_default();
    match state {
        State::Succeeded => Earlier::Succeeded,
        State::Failed => Earlier::Failed { cause, attempts: attempt, quarantined: false },
        State::Quarantined => Earlier::Failed { cause, attempts: attempt, quarantined: true },
    }
}

/// `now`: seconds since 1970.
pub(crate) fn tried(story: Story, now: f64) -> Earlier {
    let Story { attempts, failures, crashes, is_suspect, alone, parked, has_emitted, .. } = story;
    let parked = parked.map(|(until, state)| {
        let wait = Duration::try_from_secs_f64(until - now).unwrap_or_default();
        (wait, state)
    });
    Earlier::Tried(Tried { attempts, failures, crashes, is_suspect, alone, parked, has_emitted })
}
