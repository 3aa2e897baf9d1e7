//! Lends tokens: while a holder is stopped or in an uninterruptible wait, its token is useless. One
//! more is put into use, and retired when the holder comes back.

use std::time::Duration;

use msup_protocol::packed::WorkerId;
use msup_protocol::token::{Sighting, State};

/// A holder that has not moved for this long is looked at.
const SUSPECT_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
struct Holder {
    at: Sighting,
    since: Duration,
    is_stuck: bool,
}

/// What is known of the holders, and the number of tokens lent for them.
pub(crate) struct Lender {
    procs: u32,
    at_most: u32,
    holders: Vec<Option<Holder>>,
    /// How often a token was lent.
    pub(crate) lent: u64,
}

impl Lender {
    /// Lends at most `at_most` beyond `procs`.
    pub(crate) fn new(procs: u32, at_most: u32) -> Lender {
        Lender { procs, at_most, holders: Vec::new(), lent: 0 }
    }

    /// There is this number of tokens from now on, without those lent.
    pub(crate) fn allow_procs(&mut self, procs: u32) {
        self.procs = procs;
    }

    /// The number of tokens to be in use now, given one look at the words. `is_stuck`: whether a
    /// worker's process makes no progress by itself.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        words: impl Iterator<Item = Sighting>,
        is_stuck: impl Fn(WorkerId) -> bool,
    ) -> u32 {
        for at in words {
            let index = usize::from(at.index);
            if self.holders.len() <= index {
                self.holders.resize(index + 1, None);
            }
            let holder = &mut self.holders[index];
            if at.seen.state() != Some(State::Running) {
                *holder = None;
                continue;
            }
            let fresh = Holder { at, since: now, is_stuck: false };
            let known = holder.filter(|known| known.at == at).unwrap_or(fresh);
            let suspect = now.saturating_sub(known.since) >= SUSPECT_AFTER;
            let is_stuck = suspect && at.seen.owner().is_some_and(&is_stuck);
            *holder = Some(Holder { is_stuck, ..known });
            self.lent += u64::from(is_stuck && !known.is_stuck);
        }
        let stuck = self.holders.iter().flatten().filter(|holder| holder.is_stuck).count() as u32;
        self.procs + stuck.min(self.at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msup_protocol::layout::{Header, Sizes};
    use msup_protocol::token::{TokenWord, Tokens};

    #[test]
    fn one_more_is_in_use_while_a_holder_is_stuck() {
        let ms = Duration::from_millis;
        let header = Header::default();
        let sizes = Sizes { tokens: 2, workers: 2, tasks: 1, cell_bytes: 64 };
        header.set_up(sizes, 1, "test", 0);
        let words = [TokenWord::new(State::Idle), TokenWord::new(State::Retired)];
        let tokens = Tokens::new(&words, header.procs());
        let held = tokens.acquire(0).expect("idle");
        let mut lender = Lender::new(1, 1);
        assert_eq!(lender.look(ms(0), tokens.sight(), |_| true), 1, "it may be about to move");
        assert_eq!(lender.look(ms(99), tokens.sight(), |_| true), 1);
        assert_eq!(lender.look(ms(100), tokens.sight(), |_| false), 1, "it computes");
        assert_eq!(lender.look(ms(200), tokens.sight(), |worker| worker == 0), 2);
        assert_eq!(lender.look(ms(300), tokens.sight(), |_| true), 2);
        assert_eq!(lender.lent, 1);
        assert_eq!(lender.look(ms(400), tokens.sight(), |_| false), 1, "it is back");
        let _ = tokens.release(held);
        assert_eq!(lender.look(ms(900), tokens.sight(), |_| true), 1, "no worker holds it");
        assert_eq!(lender.lent, 1);
    }
}
