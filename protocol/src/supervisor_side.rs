//! The supervisor's side: burying dead workers, and what sysmon looks for.

use std::time::Duration;

use crate::layout::Shared;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::Status;
use crate::sysmon_sleep::Quiet;
use crate::token::{Sighting, State};

/// A grant that its worker does not accept for this long goes to another worker.
const REVOKE_AFTER: Duration = Duration::from_millis(10);

/// A token that stayed idle this long while the same worker wants one means a lost wake.
const RESCUE_AFTER: Duration = Duration::from_millis(50);

impl Shared<'_> {
    /// Takes back every token of a worker whose death the kernel has confirmed, and wakes the
    /// workers that its death may have left asleep. The slot is vacant afterwards. Every step may
    /// be repeated. Returns the number of tokens reclaimed. The caller handles the dead worker's
    /// tasks.
    pub fn bury(&self, park: &impl Park, dead: WorkerId) -> u32 {
        // First the announcement goes, so that no new reader sees it; then the words are scanned.
        // sysmon, which sees the vacant slot, revokes a grant that was already on its way.
        if let Some(slot) = self.line.slot(dead) {
            slot.set_status(Status::Vacant);
        }
        self.line.withdraw(dead);
        self.line.unpark(dead);
        let reclaimed = self.tokens.reclaim(dead);
        // It may have died between a grant and the wake, or between the two steps of a kick.
        for at in self.tokens.sight().filter(|at| at.seen.state() == Some(State::Granted)) {
            if let Some(owner) = at.seen.owner() {
                self.line.wake(park, owner);
            }
        }
        self.pass_on(park, None);
        self.watch.rouse(park);
        reclaimed
    }

    /// Sets the number of commands that may start without a token from now on, and wakes as many
    /// parked workers. May be repeated at any time: a worker that took a start and died made none.
    pub fn allow_starts(&self, park: &impl Park, starts: u32) {
        self.header.allow_starts(starts);
        for worker in self.line.parked().take(starts as usize) {
            self.line.wake(park, worker);
        }
    }
}

/// What sysmon remembers of one word between two looks.
#[derive(Clone, Copy, Debug)]
struct Memory {
    at: Sighting,
    since_ns: u64,
    /// A worker that wanted this idle token, and since when.
    starved: Option<(WorkerId, u64)>,
}

/// What one look of sysmon did and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Blocked tokens handed to waiting workers.
    pub retakes: u32,
    /// Grants revoked.
    pub revokes: u32,
    /// Lost wakes repaired. Zero unless a process was killed or stopped.
    pub rescues: u32,
    /// A token is idle or blocked, a task is ready, and there is no worker for them.
    pub wants_worker: bool,
    /// Set if nothing needs to be timed: the kind of quiet, which says what wakes sysmon.
    pub quiet: Option<Quiet>,
}

impl Look {
    /// Whether it changed anything, so that the next look should come soon.
    #[must_use]
    pub fn was_useful(self) -> bool {
        self.retakes + self.revokes + self.rescues > 0
    }
}

/// sysmon's memory: it acts on a word only if the word has not changed since an earlier look.
#[derive(Debug, Default)]
pub struct Sysmon {
    words: Vec<Memory>,
}

impl Sysmon {
    /// A sysmon that has not looked yet.
    #[must_use]
    pub fn new() -> Sysmon {
        Sysmon::default()
    }

    /// One look at everything.
    pub fn look(&mut self, shared: &Shared<'_>, park: &impl Park, now_ns: u64) -> Look {
        let mut look = Look::default();
        let ready = shared.tasks.any_ready();
        let wanted = ready || shared.line.has_waiters();
        let (mut granted, mut free) = (0, 0);
        // From one look at the line for all tokens, if any of them is for others.
        let mut takers = None;
        for at in shared.tokens.sight() {
            let memory = self.remember(at, now_ns);
            let unchanged_ns = now_ns.saturating_sub(memory.since_ns);
            match at.seen.state() {
                Some(State::Granted) => {
                    granted += 1;
                    if unchanged_ns >= REVOKE_AFTER.as_nanos() as u64 || is_vacant(shared, at) {
                        look.revokes += revoke(shared, park, at);
                        // It was passed on, or others were.
                        takers = None;
                    }
                }
                Some(State::Blocked) => {
                    free += 1;
                    let takers = takers.get_or_insert_with(|| shared.takers());
                    match takers.first(at.seen.owner()) {
                        Some(to) if unchanged_ns > 0 || shared.has_lost_patience(to, now_ns) => {
                            if retake(shared, park, at, to) {
                                look.retakes += 1;
                                takers.serve(to);
                            }
                        }
                        Some(_) => {}
                        None => look.wants_worker |= ready && unchanged_ns > 0,
                    }
                }
                Some(State::Idle) => {
                    free += 1;
                    let takers = takers.get_or_insert_with(|| shared.takers());
                    match takers.first(None) {
                        Some(to) => {
                            if self.starve(shared, park, at, to, now_ns) {
                                look.rescues += 1;
                                takers.serve(to);
                            }
                        }
                        None => look.wants_worker |= ready,
                    }
                }
                _ => {}
            }
        }
        look.quiet = match (granted, wanted, free) {
            (0, false, _) => Some(Quiet::Unwanted),
            (0, true, 0) => Some(Quiet::AllInUse),
            _ => None,
        };
        look
    }

    fn remember(&mut self, at: Sighting, now_ns: u64) -> Memory {
        let index = usize::from(at.index);
        let fresh = Memory { at, since_ns: now_ns, starved: None };
        if self.words.len() <= index {
            self.words.resize(index + 1, fresh);
        }
        if self.words[index].at != at {
            self.words[index] = fresh;
        }
        self.words[index]
    }

    /// An idle token and a worker that wants it. The worker that freed it, or the event loop, is
    /// about to grant it; only if the two stay apart was a wake lost. Returns whether it was
    /// repaired.
    fn starve(
        &mut self,
        shared: &Shared<'_>,
        park: &impl Park,
        at: Sighting,
        taker: WorkerId,
        now_ns: u64,
    ) -> bool {
        let memory = &mut self.words[usize::from(at.index)];
        match memory.starved {
            Some((same, since_ns)) if same == taker => {
                let apart_ns = now_ns.saturating_sub(since_ns);
                if apart_ns < RESCUE_AFTER.as_nanos() as u64 || !shared.tokens.grant(at, taker) {
                    return false;
                }
                shared.line.wake(park, taker);
                true
            }
            _ => {
                memory.starved = Some((taker, now_ns));
                false
            }
        }
    }
}

fn is_vacant(shared: &Shared<'_>, at: Sighting) -> bool {
    let slot = at.seen.owner().and_then(|owner| shared.line.slot(owner));
    slot.is_none_or(|slot| slot.status() == Status::Vacant)
}

/// Revokes a grant that its worker does not accept. The worker is dead, stopped or starved of CPU
/// time: until it announces itself again, no other worker waits for it.
fn revoke(shared: &Shared<'_>, park: &impl Park, at: Sighting) -> u32 {
    if shared.tokens.revoke(at).is_none() {
        return 0;
    }
    if let Some(slow) = at.seen.owner() {
        shared.line.pass_over(slow);
        shared.line.wake(park, slow);
    }
    shared.pass_on(park, at.seen.owner());
    1
}

fn retake(shared: &Shared<'_>, park: &impl Park, at: Sighting, to: WorkerId) -> bool {
    let is_retaken = shared.tokens.retake(at, to);
    if is_retaken {
        // No crash point: if the supervisor dies, so does the run.
        shared.line.wake(park, to);
    }
    is_retaken
}
