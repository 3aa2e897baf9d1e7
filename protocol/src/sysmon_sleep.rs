//! Whether sysmon sleeps, and waking it: whoever makes it needed kicks it.
//!
//! sysmon may sleep only while no word is `Granted`, and none is `Idle` or `Blocked` while somebody
//! wants a token. It says which of the two kinds of quiet it saw, so that a blocking call does not
//! pay for a wake when nobody wants its token.

use std::time::Duration;

use crate::barrier::heavy_side;
use crate::crash;
use crate::park::Park;
use crate::sync::{AtomicU32, Ordering};

const AWAKE: u32 = 0;
const NOBODY_WANTS: u32 = 1;
const ALL_IN_USE: u32 = 2;

/// What sysmon saw when it went to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Quiet {
    /// Nobody wants a token: kicked by who starts to want one.
    NobodyWants = NOBODY_WANTS,
    /// Somebody wants one and all are in use: kicked by who lets one go, too.
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

    /// Asked after a token went to `Blocked`: whether sysmon sleeps because it saw none that it could
    /// take. Then rouse it, or see yourself to it that somebody gets the token.
    #[must_use]
    #[inline]
    pub fn is_over_all_in_use(self) -> bool {
        // ORDERING: SeqCst. The word was changed, `LightSide::pass()` stands between, then this is read;
        // sysmon writes this, then reads the words. One of them sees the other; pairs with
        // `lie_down()`.
        self.word.load(Ordering::SeqCst) == ALL_IN_USE
    }

    /// Called after somebody announced itself, parked while tasks are ready, or a task was published.
    pub fn token_wanted(self, park: &impl Park) {
        // ORDERING: SeqCst, see `is_over_all_in_use()`.
        if self.word.load(Ordering::SeqCst) == NOBODY_WANTS {
            self.rouse(park);
        }
    }

    /// Called after a token was granted: sysmon sees to it that it is taken up.
    pub fn token_granted(self, park: &impl Park) {
        // ORDERING: SeqCst, see `is_over_all_in_use()`.
        if self.word.load(Ordering::SeqCst) != AWAKE {
            self.rouse(park);
        }
    }

    /// Wakes sysmon whatever it does.
    pub fn rouse(self, park: &impl Park) {
        self.word.store(AWAKE, Ordering::SeqCst);
        // CRASH: kick_before_wake. sysmon sleeps on; whoever reaps the dead kicks it again.
        crash::point("kick_before_wake");
        park.wake(self.word);
    }

    /// sysmon's first step towards sleep. It looks at everything once more before [`Watch::sleep`].
    pub fn lie_down(self, quiet: Quiet) {
        // ORDERING: SeqCst, see `is_over_all_in_use()`.
        self.word.store(quiet as u32, Ordering::SeqCst);
        // A token that was blocked just now may still be on its way to memory.
        heavy_side();
    }

    /// sysmon changed its mind.
    pub fn get_up(self) {
        self.word.store(AWAKE, Ordering::SeqCst);
    }

    /// sysmon sleeps until it is kicked, or for `at_most`.
    pub fn sleep(self, park: &impl Park, quiet: Quiet, at_most: Duration) {
        park.wait(self.word, quiet as u32, at_most);
        self.get_up();
    }
}
