//! Checks at every look of the supervisor that every word has a possible value. A worker's wild
//! pointer or a process with the descriptor may write to the segment: then a new epoch begins.

use std::fmt;

use crate::layout::{Identity, Shared};
use crate::packed::WorkerId;
use crate::task::{Snapshot as TaskSnapshot, State as TaskState};
use crate::token::{Census, Sighting};

/// A change of the segment that no process that keeps to the protocol can have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Word { what: &'static str, index: u16, seen: String },
    Cut { bytes: u64 },
}

impl Violation {
    /// A word of this kind and index, and its value.
    #[must_use]
    pub fn new(what: &'static str, index: u16, seen: impl fmt::Debug) -> Violation {
        Violation(Kind::Word { what, index, seen: format!("{seen:?}") })
    }

    /// Its memory was truncated to this length, in bytes.
    #[must_use]
    pub fn cut(bytes: u64) -> Violation {
        Violation(Kind::Cut { bytes })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Word { what, index, seen } => write!(f, "{what} {index} says {seen}"),
            Kind::Cut { bytes } => write!(f, "it was cut to {bytes} bytes"),
        }
    }
}

/// The values of all words at the last look: after that their stamps may only go forward.
#[derive(Debug)]
pub struct Audit {
    /// The header before any other process could write to it. Workers that attach later trust it.
    identity: Identity,
    tokens: Vec<Sighting>,
    tasks: Vec<TaskSnapshot>,
}

/// A stamp may have wrapped around; no word changes 2^39 times between two looks.
fn is_ahead(now: u64, before: u64) -> bool {
    const STAMPS: u64 = 1 << 40;
    now.wrapping_sub(before) % STAMPS < STAMPS / 2
}

impl Audit {
    /// For a segment that no other process has seen yet.
    #[must_use]
    pub fn new(shared: &Shared<'_>) -> Audit {
        Audit { identity: shared.header.identity(), tokens: Vec::new(), tasks: Vec::new() }
    }

    /// Checks the header and every token and task word. `is_occupied` says whether the supervisor
    /// has put a task into a slot and has not yet collected or withdrawn it.
    ///
    /// # Errors
    /// The first impossible word.
    pub fn look(
        &mut self,
        shared: &Shared<'_>,
        is_occupied: impl Fn(u16) -> bool,
    ) -> Result<(), Violation> {
        if shared.header.identity() != self.identity {
            let why = shared.header.check(None).err().map(|why| why.to_string());
            let why = why.unwrap_or_else(|| "other sizes or limits".into());
            return Err(Violation::new("header", 0, why));
        }
        let is_worker = |worker: WorkerId| usize::from(worker) < shared.line.len();
        for at in shared.tokens.sight() {
            let known = self.tokens.get(usize::from(at.index)).copied().unwrap_or(at);
            let goes_on = at == known
                || (at.seen.stamp() != known.seen.stamp()
                    && is_ahead(at.seen.stamp(), known.seen.stamp()));
            let is_possible = at.seen.state().is_some() && at.seen.owner().is_none_or(is_worker);
            if !goes_on || !is_possible {
                return Err(Violation::new("token", at.index, at.seen));
            }
            remember(&mut self.tokens, at.index, at);
        }
        for index in 0..shared.tasks.len() as u16 {
            let Some(seen) = shared.tasks.sighted(index) else { continue };
            let known = self.tasks.get(usize::from(index)).copied().unwrap_or(seen);
            let goes_on = seen == known
                || (seen.stamp() != known.stamp() && is_ahead(seen.stamp(), known.stamp()));
            let is_possible = seen.state().is_some() && seen.owner().is_none_or(is_worker);
            let is_free = seen.state() == Some(TaskState::Free);
            if !goes_on || !is_possible || is_free == is_occupied(index) {
                return Err(Violation::new("task slot", index, seen));
            }
            remember(&mut self.tasks, index, seen);
        }
        Ok(())
    }

    /// The tokens as the last look saw them.
    #[must_use]
    pub fn census(&self) -> Census {
        Census::of(self.tokens.iter().copied())
    }
}

fn remember<T: Copy>(known: &mut Vec<T>, index: u16, seen: T) {
    let index = usize::from(index);
    if known.len() <= index {
        known.resize(index + 1, seen);
    }
    known[index] = seen;
}
