//! How much memory the supervisor and its workers share.

use msup_protocol::layout::{Layout, Sizes};
use msup_protocol::slot::WorkerSlot;

/// The size of a task slot's cell in bytes, and the number of slots: enough to keep all workers
/// busy while the supervisor sleeps, within 8 MiB unless more workers are asked for.
const CELL_BYTES: u32 = 4096;
const TASK_SLOTS: std::ops::RangeInclusive<u32> = 256..=2000;

/// Bytes of a worker's slot, and of a task slot with its cell. Bitmaps add less than a byte.
pub(crate) const WORKER_BYTES: usize = size_of::<WorkerSlot>();
pub(crate) const TASK_BYTES: usize = size_of::<u64>() + CELL_BYTES as usize;

/// The sizes for this number of token words and workers, unless there is a limit on the sizes of
/// files.
pub(crate) fn sizes(tokens: u32, workers: u16) -> Sizes {
    let workers = u32::from(workers);
    let tasks = (2 * workers).clamp(*TASK_SLOTS.start(), *TASK_SLOTS.end().max(&workers));
    Sizes { tokens, workers, tasks, cell_bytes: CELL_BYTES }
}

/// Bytes in all, for this number of token words and workers.
pub(crate) fn bytes(tokens: u32, workers: u16) -> usize {
    Layout::of(sizes(tokens, workers)).map_or(0, |layout| layout.total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_takes_its_slot_and_one_or_two_task_slots() {
        let more = |from: u16| bytes(68, from + 1000) - bytes(68, from);
        // The bits of a worker and a task in their bitmaps; and the last page.
        let at_most = |bytes: usize| bytes..=bytes + 1000 + 4096;
        let (one, two) = (WORKER_BYTES + TASK_BYTES, WORKER_BYTES + 2 * TASK_BYTES);
        assert_eq!((WORKER_BYTES, TASK_BYTES), (128, 4104));
        assert!(at_most(1000 * two).contains(&(bytes(68, 1000) - bytes(68, 500) + 500 * two)));
        assert!(at_most(1000 * one).contains(&more(2000)));
        assert!(at_most(1000 * one).contains(&more(60_000)));
    }
}
