//! The task slots: the queue from the supervisor to the workers, and the way back.
//!
//! A slot goes `Free → Ready → Claimed(w) → Done(w) → Free`. The supervisor fills free slots in
//! order; a worker claims a ready one with one compare-and-swap, which records it as the owner. So
//! there is no ring buffer, and no step at which a task could be lost. The payload (the task's
//! frame, later the outcome's) is in a cell beside the word.

use crate::crash;
use crate::packed::{Packed, WorkerId};
use crate::sync::{AtomicU64, Ordering};

/// The states of a task word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Empty; the supervisor may fill it.
    Free = 1,
    /// A task's frame is in the cell; any worker may claim it.
    Ready = 2,
    /// Its owner runs the task.
    Claimed = 3,
    /// The outcome's frame is in the cell; the supervisor may collect it.
    Done = 4,
}

/// A snapshot of a task word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot(Packed);

impl Snapshot {
    /// The state, or `None` if the word is corrupt.
    #[must_use]
    pub fn state(self) -> Option<State> {
        [State::Free, State::Ready, State::Claimed, State::Done]
            .into_iter()
            .find(|state| *state as u8 == self.0.state())
    }

    /// The number of changes of the word so far, modulo 2^40.
    #[must_use]
    pub fn stamp(self) -> u64 {
        self.0.stamp()
    }

    /// The worker that claimed it; `None` if it is not claimed.
    #[must_use]
    pub fn owner(self) -> Option<WorkerId> {
        matches!(self.state(), Some(State::Claimed | State::Done)).then(|| self.0.owner())
    }
}

/// A task that the caller has claimed: its word is `Claimed(me)`.
#[must_use = "a claim ends with complete()"]
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    index: u16,
    stamp: u64,
    seen: Snapshot,
}

impl Claim {
    /// Which slot.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// The slot's stamp at its publication: with the index, a name for this one publication of this
    /// one task, the same on both sides.
    #[must_use]
    pub fn publication(&self) -> u64 {
        self.stamp
    }
}

/// The bytes do not fit the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes do not fit a cell of {capacity} bytes")]
pub struct TooLong {
    /// The length of the frame.
    pub len: usize,
    /// The number of bytes that fit.
    pub capacity: usize,
}

/// The cell's content is not what its writer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cell's length or checksum is wrong")]
pub struct Garbled;

/// All task slots of a segment: words and, beside them, cells of equal size.
#[derive(Clone, Copy, Debug)]
pub struct Tasks<'a> {
    words: &'a [AtomicU64],
    cells: &'a [AtomicU64],
    cell_words: usize,
    head: &'a AtomicU64,
}

impl<'a> Tasks<'a> {
    /// The slots over these words and cells; `cells` holds `cell_words` for each word of `words`.
    /// `head` counts up without wrapping at the number of slots: claims start at its remainder by
    /// that number.
    #[must_use]
    pub fn new(
        words: &'a [AtomicU64],
        cells: &'a [AtomicU64],
        cell_words: usize,
        head: &'a AtomicU64,
    ) -> Tasks<'a> {
        debug_assert_eq!(cells.len(), words.len() * cell_words);
        Tasks { words, cells, cell_words, head }
    }

    /// The number of slots.
    #[must_use]
    pub fn len(self) -> usize {
        self.words.len()
    }

    /// Whether there are no slots at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.words.is_empty()
    }

    /// The number of bytes of frame that fit a cell.
    #[must_use]
    pub fn capacity(self) -> usize {
        (self.cell_words - 1) * 8
    }

    /// One slot as it is now; `None` if there is no such index.
    #[must_use]
    pub fn sighted(self, index: u16) -> Option<Snapshot> {
        let word = self.words.get(usize::from(index))?;
        // ORDERING: SeqCst. A parking worker sets its parked bit, then loads this word. The
        // supervisor publishes, then looks for parked workers. Pairs with `change()`.
        Some(Snapshot(Packed::from_raw(word.load(Ordering::SeqCst))))
    }

    /// Whether any slot is ready, looking first where the last claim was.
    #[must_use]
    pub fn any_ready(self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        self.starting_at(head).any(|(_, index)| self.is_in(index, State::Ready))
    }

    /// The numbers of ready and of claimed slots.
    #[must_use]
    pub fn load(self) -> (u32, u32) {
        let (mut ready, mut claimed) = (0, 0);
        for index in 0..self.len() as u16 {
            match self.sighted(index).and_then(Snapshot::state) {
                Some(State::Ready) => ready += 1,
                Some(State::Claimed) => claimed += 1,
                _ => {}
            }
        }
        (ready, claimed)
    }

    /// Ready → Claimed(me), on the first ready slot from the shared head on.
    #[must_use]
    pub fn claim(self, me: WorkerId) -> Option<Claim> {
        let head = self.head.load(Ordering::Relaxed);
        self.starting_at(head).find_map(|(position, index)| {
            let seen = self.ready(index)?;
            // The slots before it were not ready when they were looked at. If one is by now, it was
            // published first.
            let mut before = self.starting_at(head).take_while(|(other, _)| *other < position);
            let first = before.find_map(|(position, index)| {
                self.claim_at((position, index), self.ready(index)?, me)
            });
            first.or_else(|| self.claim_at((position, index), seen, me))
        })
    }

    fn claim_at(
        self,
        (position, index): (u64, u16),
        seen: Snapshot,
        me: WorkerId,
    ) -> Option<Claim> {
        let claimed = self.change(index, seen, State::Claimed, me)?;
        // CRASH: claim_before_head. Claimed(dead): the task is run again. The head is only a hint.
        crash::point("claim_before_head");
        self.look_from(position.wrapping_add(1));
        Some(Claim { index, stamp: seen.0.stamp(), seen: claimed })
    }

    fn ready(self, index: u16) -> Option<Snapshot> {
        self.sighted(index).filter(|seen| seen.state() == Some(State::Ready))
    }

    /// Claimed(me) → Done(me), after the outcome is in the cell. False if the slot is no longer the
    /// caller's: the supervisor has declared it dead.
    #[must_use]
    pub fn complete(self, me: WorkerId, claim: Claim) -> bool {
        self.change(claim.index, claim.seen, State::Done, me).is_some()
    }

    /// Free → Ready, the supervisor's, after the task's frame is in the cell. Returns the name of
    /// this publication (see [`Claim::publication`]), or `None` if the slot is not free.
    #[must_use]
    pub fn publish(self, index: u16) -> Option<u64> {
        let seen = self.sighted(index).filter(|seen| seen.state() == Some(State::Free))?;
        self.change(index, seen, State::Ready, 0).map(|ready| ready.0.stamp())
    }

    /// The name of the slot's next publication, if it stays free until then.
    #[must_use]
    pub fn next_publication(self, index: u16) -> u64 {
        self.sighted(index).map_or(0, |seen| seen.0.next(0, State::Ready as u8).stamp())
    }

    /// Ready → Free, the supervisor's: no worker shall start this task any more. False if a worker
    /// was faster.
    #[must_use]
    pub fn withdraw(self, index: u16) -> bool {
        self.sighted(index)
            .filter(|seen| seen.state() == Some(State::Ready))
            .is_some_and(|seen| self.change(index, seen, State::Free, 0).is_some())
    }

    /// Done or Claimed → Free, the supervisor's: the outcome was read, or its owner is dead. `seen`
    /// is the snapshot on which it decided. False if the slot has changed.
    #[must_use]
    pub fn vacate(self, index: u16, seen: Snapshot) -> bool {
        matches!(seen.state(), Some(State::Done | State::Claimed))
            && self.change(index, seen, State::Free, 0).is_some()
    }

    /// Writes a frame into a slot's cell. Only the slot's owner may do this.
    ///
    /// # Errors
    /// [`TooLong`] if it does not fit; the cell is unchanged then.
    pub fn write(self, index: u16, frame: &[u8]) -> Result<(), TooLong> {
        if frame.len() > self.capacity() {
            return Err(TooLong { len: frame.len(), capacity: self.capacity() });
        }
        let Some((meta, body)) = self.cell(index) else {
            return Err(TooLong { len: frame.len(), capacity: 0 });
        };
        // ORDERING: Relaxed. The word's change to Ready or Done that follows is the release.
        for (word, bytes) in body.iter().zip(frame.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        let meta_word = u64::from(crc32fast::hash(frame)) << 32 | frame.len() as u64;
        meta.store(meta_word, Ordering::Relaxed);
        Ok(())
    }

    /// Reads a slot's cell into `frame`, which is emptied first.
    ///
    /// # Errors
    /// [`Garbled`] if length or checksum do not match.
    pub fn read(self, index: u16, frame: &mut Vec<u8>) -> Result<(), Garbled> {
        frame.clear();
        let (meta, body) = self.cell(index).ok_or(Garbled)?;
        // ORDERING: Relaxed. The caller has seen the word Ready or Done, which was the acquire.
        let meta = meta.load(Ordering::Relaxed);
        let (len, check) = (meta as u32 as usize, (meta >> 32) as u32);
        if len > self.capacity() {
            return Err(Garbled);
        }
        for word in &body[..len.div_ceil(8)] {
            frame.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        frame.truncate(len);
        // The copy is checked, not the cell: a stray writer could change the cell in between.
        if crc32fast::hash(frame) == check { Ok(()) } else { Err(Garbled) }
    }

    fn cell(self, index: u16) -> Option<(&'a AtomicU64, &'a [AtomicU64])> {
        let start = usize::from(index) * self.cell_words;
        self.cells.get(start..start + self.cell_words)?.split_first()
    }

    /// Positions from the head on, one round, and their slots.
    fn starting_at(self, head: u64) -> impl Iterator<Item = (u64, u16)> + 'a {
        let len = self.words.len() as u64;
        (0..len)
            .map(move |offset| (head.wrapping_add(offset), ((head % len + offset) % len) as u16))
    }

    /// Moves the head, where claims start to look, forward only. A late worker must not send the
    /// others back to slots that have been filled again since: tasks start in the order of their
    /// publication.
    fn look_from(self, position: u64) {
        self.head.fetch_max(position, Ordering::Relaxed);
    }

    fn is_in(self, index: u16, state: State) -> bool {
        self.sighted(index).and_then(Snapshot::state) == Some(state)
    }

    fn change(self, index: u16, seen: Snapshot, state: State, owner: WorkerId) -> Option<Snapshot> {
        let next = Snapshot(seen.0.next(owner, state as u8));
        // ORDERING: SeqCst, see `sighted()`. As release and acquire it publishes the cell's
        // content.
        self.words
            .get(usize::from(index))?
            .compare_exchange(seen.0.raw(), next.0.raw(), Ordering::SeqCst, Ordering::Relaxed)
            .ok()
            .map(|_| next)
    }

    /// Overwrites all words before the first worker is started, when no other process can see them.
    #[cfg(feature = "create")]
    pub(crate) fn set_up(self) {
        for word in self.words {
            word.store(Packed::new(0, 0, State::Free as u8).raw(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slots {
        words: Vec<AtomicU64>,
        cells: Vec<AtomicU64>,
        head: AtomicU64,
    }

    impl Slots {
        fn new(n: usize) -> Slots {
            let free = || AtomicU64::new(Packed::new(0, 0, State::Free as u8).raw());
            Slots {
                words: (0..n).map(|_| free()).collect(),
                cells: (0..n * 4).map(|_| AtomicU64::new(0)).collect(),
                head: AtomicU64::new(0),
            }
        }

        fn tasks(&self) -> Tasks<'_> {
            Tasks::new(&self.words, &self.cells, 4, &self.head)
        }
    }

    #[test]
    fn a_task_goes_there_and_back() {
        let slots = Slots::new(2);
        let tasks = slots.tasks();
        tasks.write(1, b"do it").expect("fits");
        let publication = tasks.publish(1).expect("free");
        assert!(tasks.any_ready());
        let claim = tasks.claim(9).expect("ready");
        assert_eq!((claim.index(), claim.publication()), (1, publication));
        assert_eq!(tasks.claim(8), None);
        let mut frame = Vec::new();
        tasks.read(1, &mut frame).expect("whole");
        assert_eq!(frame, b"do it");
        tasks.write(1, b"it is done, all of it").expect("fits");
        assert!(tasks.complete(9, claim));
        let seen = tasks.sighted(1).expect("a slot");
        assert_eq!((seen.state(), seen.owner()), (Some(State::Done), Some(9)));
        tasks.read(1, &mut frame).expect("whole");
        assert_eq!(frame, b"it is done, all of it");
        assert!(tasks.vacate(1, seen));
        assert!(!tasks.vacate(1, seen), "only once");
    }

    #[test]
    fn the_dead_cannot_complete() {
        let slots = Slots::new(1);
        let tasks = slots.tasks();
        let _ = tasks.publish(0).expect("free");
        let claim = tasks.claim(1).expect("ready");
        let seen = tasks.sighted(0).expect("a slot");
        assert!(tasks.vacate(0, seen));
        let _ = tasks.publish(0).expect("free again");
        let again = tasks.claim(1).expect("ready again");
        assert!(!tasks.complete(1, claim), "an act from before the reclaim");
        assert!(tasks.complete(1, again));
    }

    #[test]
    fn claims_follow_the_order_of_publication() {
        let slots = Slots::new(4);
        let tasks = slots.tasks();
        for index in 0..3 {
            let _ = tasks.publish(index).expect("free");
        }
        let first = tasks.claim(1).expect("ready");
        assert!(tasks.complete(1, first));
        assert!(tasks.vacate(0, tasks.sighted(0).expect("a slot")));
        let _ = tasks.publish(3).expect("free");
        let _ = tasks.publish(0).expect("free");
        let order: Vec<u16> =
            std::iter::from_fn(|| tasks.claim(1).map(|claim| claim.index())).collect();
        assert_eq!(order, [1, 2, 3, 0]);
    }

    #[test]
    fn a_claim_that_is_late_to_move_the_head_does_not_set_it_back() {
        let slots = Slots::new(4);
        let tasks = slots.tasks();
        for index in 0..4 {
            let _ = tasks.publish(index).expect("free");
        }
        for index in 0..3 {
            let claim = tasks.claim(1).expect("ready");
            assert!(tasks.complete(1, claim));
            assert!(tasks.vacate(index, tasks.sighted(index).expect("a slot")));
        }
        let _ = tasks.publish(0).expect("free");
        let _ = tasks.publish(1).expect("free");
        tasks.look_from(1);
        let order: Vec<u16> =
            std::iter::from_fn(|| tasks.claim(1).map(|claim| claim.index())).collect();
        assert_eq!(order, [3, 0, 1]);
    }

    #[test]
    fn a_head_that_is_garbage_hides_no_task() {
        let slots = Slots::new(3);
        let tasks = slots.tasks();
        slots.head.store(u64::MAX, Ordering::Relaxed);
        for index in 0..3 {
            let _ = tasks.publish(index).expect("free");
        }
        let mut claimed: Vec<u16> =
            std::iter::from_fn(|| tasks.claim(1).map(|claim| claim.index())).collect();
        claimed.sort_unstable();
        assert_eq!(claimed, [0, 1, 2]);
    }

    #[test]
    fn a_garbled_cell_is_noticed() {
        let slots = Slots::new(1);
        let tasks = slots.tasks();
        let mut frame = Vec::new();
        tasks.write(0, b"something").expect("fits");
        slots.cells[1].store(7, Ordering::Relaxed);
        assert_eq!(tasks.read(0, &mut frame), Err(Garbled));
        slots.cells[0].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(tasks.read(0, &mut frame), Err(Garbled), "a length beyond the cell");
        assert!(tasks.write(0, &[0; 25]).is_err());
    }
}
