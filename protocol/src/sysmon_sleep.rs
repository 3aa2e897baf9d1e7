//! Whether sysmon sleeps, and how it is woken (kicked).
//!
//! sysmon may sleep only while no word is `Granted`, and none is `Idle` or `Blocked` while a worker
//! wants a token. It says which of the two kinds of quiet it saw, so that a blocking call does not
//! pay for a wake when no worker wants its token.

use std::time::Duration;

use crate::barrier::heavy_side;
use crate::crash;
use crate::park::Park;
use crate::sync::{AtomicU32, Ordering};

const AWAKE: u32 = 0;
const UNWANTED: u32 = 1;
const ALL_IN_USE: u32 = 2;

/// What sysmon saw when it went to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Quiet {
    /// No worker wants a token. The next worker that wants one kicks sysmon.
    Unwanted = UNWANTED,
    /// A worker wants a token and all are in use. A worker that lets its token go kicks sysmon.
    AllInUse = ALL_IN_USE,
}

/// sysmon's word in the header.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    word: &'a AtomicU32,
}

impl<'a> Watch<'a> {
    /// The watch kept in this word.
    #[must_use]
    pub fn new(word: &'a AtomicU32) -> Watch<'a> {
        Watch { word }
    }

    /// Asked after a token went to `Blocked`: whether sysmon sleeps because it found no token to
    /// take. If so, the caller must rouse sysmon or hand over the token itself.
    #[must_use]
    #[inline]
    pub fn is_over_all_in_use(self) -> bool {
        // ORDERING: SeqCst. The caller changes the token word, executes `LightSide::pass()`, then
        // reads this word. sysmon writes this word, then reads the token words. One of them sees
        // the other; pairs with `lie_down()`.
        self.word.load(Ordering::SeqCst) == ALL_IN_USE
    }

    /// Called after a worker announced itself or parked while tasks are ready, or a task was
    /// published.
    pub fn token_wanted(self, park: &impl Park) {
        // ORDERING: SeqCst, see `is_over_all_in_use()`.
        if self.word.load(Ordering::SeqCst) == UNWANTED {
            self.rouse(park);
        }
    }

    /// Called after a token was granted: sysmon makes sure that it is accepted.
    pub fn token_granted(self, park: &impl Park) {
        // ORDERING: SeqCst, see `is_over_all_in_use()`.
        if self.word.load(Ordering::SeqCst) != AWAKE {
            self.rouse(park);
        }
    }

    /// Wakes sysmon, whatever it is doing.
    pub fn rouse(self, park: &impl Park) {
        self.word.store(AWAKE, Ordering::SeqCst);
        // CRASH: kick_before_wake. sysmon sleeps on; the reap kicks it again.
        crash::point("kick_before_wake");
        park.wake(self.word);
    }

    /// sysmon's first step towards sleep. It must scan everything once more before
    /// [`Watch::sleep`].
    pub fn lie_down(self, quiet: Quiet) {
        // ORDERING: SeqCst, see `is_over_all_in_use()`.
        self.word.store(quiet as u32, Ordering::SeqCst);
        // The store of a token that was blocked just now may not be visible yet.
        heavy_side();
    }

    /// sysmon does not sleep after all.
    pub fn get_up(self) {
        self.word.store(AWAKE, Ordering::SeqCst);
    }

    /// sysmon sleeps until it is kicked, or for `at_most`.
    pub fn sleep(self, park: &impl Park, quiet: Quiet, at_most: Duration) {
        park.wait(self.word, quiet as u32, at_most);
        self.get_up();
    }
}
