//! How many commands fit into memory. Tokens do not bound memory use: many commands wait, and each
//! keeps its memory.
//!
//! The need of one more command is estimated from the commands that have finished. Until one has,
//! it is estimated from those that are running.

use std::collections::VecDeque;
use std::time::Duration;

use super::window::Window;
use crate::engine::time::Now;

/// The number of finished commands that are remembered. The next one is expected to need as much as
/// the largest of them.
const REMEMBERED: usize = 32;

/// While none has finished, running commands may grow to this multiple of their memory.
const MAY_GROW: u64 = 2;
/// While none has finished, the number that may run doubles after each `LEARNING`, so that the
/// first ones show their need. This applies under a limit, and where not all would fit if each grew
/// to `MAY_GROW_AT_MOST` times its memory.
const LEARNING: Duration = Duration::from_millis(500);
const MAY_GROW_AT_MOST: u64 = 8;

/// This fraction (one in ten) of the machine's available memory stays free.
const KEPT_FREE: u64 = 10;

/// What is known of the commands' memory. All sizes are in bytes.
#[derive(Debug)]
pub(in crate::engine) struct Memory {
    procs: u32,
    /// What commands may use together; `None`: what the machine has left.
    limit: Option<u64>,
    available: Option<u64>,
    /// Memory of the commands in flight plus available memory, at the last two measurements.
    rooms: [Option<u64>; 2],
    /// Memory of each command in flight at the last look, and the peaks of the last finished
    /// commands.
    residents: Vec<u64>,
    peaks: VecDeque<u64>,
    first_seen: Option<Now>,
    now: Now,
}

impl Memory {
    pub(in crate::engine) fn new(procs: u32, limit: Option<u64>) -> Memory {
        Memory {
            procs,
            limit,
            available: None,
            rooms: [None; 2],
            residents: Vec::new(),
            peaks: VecDeque::new(),
            first_seen: None,
            now: Duration::ZERO,
        }
    }

    /// There is this number of tokens from now on.
    pub(in crate::engine) fn allow_procs(&mut self, procs: u32) {
        self.procs = procs;
    }

    pub(in crate::engine) fn measured(&mut self, window: &Window, now: Now) {
        self.now = now;
        self.residents.clone_from(&window.residents);
        if let Some(available) = window.available {
            let had: u64 = self.residents.iter().sum();
            self.available = Some(available);
            self.rooms = [Some(had + available - available / KEPT_FREE), self.rooms[0]];
        }
        if !self.residents.is_empty() {
            self.first_seen.get_or_insert(now);
        }
    }

    pub(in crate::engine) fn finished(&mut self, peak: u64) {
        if peak == 0 {
            return;
        }
        if self.peaks.len() == REMEMBERED {
            self.peaks.pop_front();
        }
        self.peaks.push_back(peak);
    }

    /// The number of commands that may be in flight when `in_flight` are.
    pub(in crate::engine) fn at_most(&self, in_flight: u32) -> u32 {
        let Some(expected) = self.expected() else {
            // Nothing is known yet.
            return self.limit.map_or(u32::MAX, |_| self.learning());
        };
        let each = self.residents.iter().map(|resident| (*resident).max(expected));
        let fresh = u64::from(in_flight).saturating_sub(self.residents.len() as u64);
        let reserved = each.fold(fresh.saturating_mul(expected), u64::saturating_add);
        let Some(limit) = self.limit.or(self.room()) else { return u32::MAX };
        let fits = if limit >= reserved {
            let more = (limit - reserved) / expected;
            u64::from(in_flight).saturating_add(more)
        } else {
            u64::from(in_flight).saturating_sub((reserved - limit).div_ceil(expected))
        };
        let fits = u32::try_from(fits).unwrap_or(u32::MAX);
        match self.limit {
            Some(_) if self.peaks.is_empty() => fits.min(self.learning()).max(1),
            Some(_) => fits.max(1),
            // The user asked for at least as many as there are tokens.
            None if self.peaks.is_empty() => {
                fits.min(self.fit_surely().max(self.learning())).max(self.procs)
            }
            None => fits.max(self.procs),
        }
    }

    /// What commands may use together where no limit is given. A command that has exited is no
    /// longer measured while the kernel still frees its memory: for a moment there seems to be
    /// less.
    fn room(&self) -> Option<u64> {
        self.rooms.into_iter().flatten().max()
    }

    fn expected(&self) -> Option<u64> {
        let largest = self.peaks.iter().max().copied();
        largest
            .or_else(|| self.residents.iter().max().map(|most| most.saturating_mul(MAY_GROW)))
            .filter(|n| *n > 0)
    }

    /// The number that fit even if each grew to `MAY_GROW_AT_MOST` times the largest: running
    /// commands may have hardly begun to allocate.
    fn fit_surely(&self) -> u32 {
        let most = self.residents.iter().max().copied().unwrap_or(0);
        let each = most.saturating_mul(MAY_GROW_AT_MOST).max(1);
        let fit = self.available.map_or(u64::MAX, |available| available / each);
        u32::try_from(fit).unwrap_or(u32::MAX)
    }

    /// The number that may be in flight while none has finished.
    fn learning(&self) -> u32 {
        let since = self.first_seen.map_or(Duration::ZERO, |first| self.now.saturating_sub(first));
        let doublings = (since.as_secs_f64() / LEARNING.as_secs_f64()) as u32;
        self.procs.saturating_mul(2_u32.saturating_pow(doublings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn seen(memory: &mut Memory, residents: &[u64], at: u64) {
        let window = Window { residents: residents.to_vec(), ..Window::default() };
        memory.measured(&window, Duration::from_millis(at));
    }

    #[test]
    fn as_many_as_the_largest_of_the_last_ones_would_fit() {
        let mut memory = Memory::new(2, Some(1024 * MIB));
        memory.finished(40 * MIB);
        memory.finished(64 * MIB);
        assert_eq!(memory.at_most(0), 16);
        seen(&mut memory, &[10 * MIB, 20 * MIB], 40);
        assert_eq!(memory.at_most(2), 16, "those two may still grow");
        seen(&mut memory, &[576 * MIB, 20 * MIB], 80);
        assert_eq!(memory.at_most(2), 8, "one is larger than any before");
        for _ in 0..REMEMBERED {
            memory.finished(32 * MIB);
        }
        seen(&mut memory, &[], 120);
        assert_eq!(memory.at_most(0), 32, "large ones are not remembered for ever");
    }

    #[test]
    fn what_does_not_fit_runs_alone() {
        let mut memory = Memory::new(4, Some(MIB));
        memory.finished(64 * MIB);
        assert_eq!(memory.at_most(0), 1);
        seen(&mut memory, &[64 * MIB; 3], 40);
        assert_eq!(memory.at_most(3), 1);
    }

    #[test]
    fn until_one_has_finished_it_goes_slowly() {
        let mut memory = Memory::new(2, Some(1024 * MIB));
        assert_eq!(memory.at_most(0), 2);
        seen(&mut memory, &[MIB, MIB], 100);
        assert_eq!(memory.at_most(2), 2);
        seen(&mut memory, &[MIB, MIB], 1100);
        assert_eq!(memory.at_most(2), 8);
        seen(&mut memory, &[100 * MIB, 100 * MIB], 1100);
        assert_eq!(memory.at_most(2), 5, "they may become twice as large");
    }

    #[test]
    fn little_memory_is_filled_slowly_until_one_has_finished() {
        let mut memory = Memory::new(2, None);
        let look = |memory: &mut Memory, residents: Vec<u64>, available: u64, at| {
            let window = Window { residents, available: Some(available), ..Window::default() };
            memory.measured(&window, Duration::from_millis(at));
        };
        look(&mut memory, vec![10 * MIB; 2], 500 * MIB, 40);
        assert_eq!(memory.at_most(2), 6, "each may grow to eight times that");
        look(&mut memory, vec![40 * MIB; 2], 440 * MIB, 80);
        assert_eq!(memory.at_most(2), 2);
        look(&mut memory, vec![60 * MIB; 2], 400 * MIB, 1100);
        assert_eq!(memory.at_most(2), 4, "they have had some time");
        memory.finished(60 * MIB);
        assert_eq!(memory.at_most(2), 8);
        let mut memory = Memory::new(2, None);
        look(&mut memory, vec![10 * MIB; 2], 20_000 * MIB, 40);
        assert_eq!(memory.at_most(2), 250, "there is much");
    }

    #[test]
    fn without_a_limit_the_machine_is_one() {
        let mut memory = Memory::new(4, None);
        assert_eq!(memory.at_most(0), u32::MAX, "nothing is known");
        memory.finished(64 * MIB);
        let residents = vec![64 * MIB; 2];
        let available = Some(640 * MIB);
        let window = Window { residents, available, ..Window::default() };
        memory.measured(&window, Duration::ZERO);
        assert_eq!(memory.at_most(2), 11);
        let window = Window { residents: vec![64 * MIB; 6], available: Some(0), ..window };
        memory.measured(&window, Duration::ZERO);
        assert_eq!(memory.at_most(6), 11, "one of them may be just exiting");
        memory.measured(&window, Duration::ZERO);
        assert_eq!(memory.at_most(6), 6, "no others");
        let fresh = Window { residents: vec![8 * MIB; 6], available: None, ..window.clone() };
        memory.measured(&fresh, Duration::ZERO);
        assert_eq!(memory.at_most(6), 6, "what was left belongs to what they had then");
        let none = Window { residents: vec![], ..window };
        (0..2).for_each(|_| memory.measured(&none, Duration::ZERO));
        assert_eq!(memory.at_most(0), 4, "but as many as there are tokens");
    }
}
