//! The places of all parts of the segment. Offsets are frozen per [`LAYOUT_VERSION`].

mod header;

use crate::bitmap::Bits;
use crate::slot::WorkerSlot;
use crate::sync::AtomicU64;
use crate::sysmon_sleep::Watch;
use crate::task::Tasks;
use crate::token::{TokenWord, Tokens};
use crate::waiters::Line;

pub use header::{Header, Identity, Mismatch};

/// Goes up at every change of an offset, a word or a protocol step.
pub const LAYOUT_VERSION: u32 = 10;

const LINE: usize = 64;

/// The number of each kind of part in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Token words, retired ones included. 1 to 65,535.
    pub tokens: u32,
    /// Worker slots. 1 to 65,535.
    pub workers: u32,
    /// Task slots. 1 to 65,535.
    pub tasks: u32,
    /// Bytes of a task slot's cell, eight of which are for length and checksum. A multiple of 64.
    pub cell_bytes: u32,
}

/// The sizes are impossible: not a segment's header, or numbers out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("impossible segment sizes {0:?}")]
pub struct BadSizes(pub Sizes);

/// Byte offsets of each part, from the start of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// [`TokenWord`]s.
    pub tokens: usize,
    /// [`WorkerSlot`]s.
    pub slots: usize,
    /// Bitmap over worker slots: which workers wait for a token.
    pub announced: usize,
    /// Bitmap over worker slots: which workers are parked.
    pub parked: usize,
    /// Bitmap over task slots: which were completed since the supervisor last looked.
    pub done: usize,
    /// Task words.
    pub words: usize,
    /// Task cells.
    pub cells: usize,
    /// The total length in bytes.
    pub total: usize,
}

impl Layout {
    /// The layout for these sizes.
    ///
    /// # Errors
    /// [`BadSizes`] if a number is out of its range.
    pub fn of(sizes: Sizes) -> Result<Layout, BadSizes> {
        let count = 1..=u32::from(u16::MAX);
        let cell = sizes.cell_bytes as usize;
        let fits = [sizes.tokens, sizes.workers, sizes.tasks].iter().all(|n| count.contains(n));
        if !fits || !(LINE..=1 << 20).contains(&cell) || !cell.is_multiple_of(LINE) {
            return Err(BadSizes(sizes));
        }
        let bitmap = |n: u32| Bits::words_for(n as usize) * 8;
        let mut end = size_of::<Header>();
        let mut place = |bytes: usize, align: usize| {
            let at = end.next_multiple_of(align);
            end = at + bytes;
            at
        };
        let tokens = place(sizes.tokens as usize * size_of::<TokenWord>(), LINE);
        let slots = place(sizes.workers as usize * size_of::<WorkerSlot>(), 2 * LINE);
        let announced = place(bitmap(sizes.workers), LINE);
        let parked = place(bitmap(sizes.workers), LINE);
        let done = place(bitmap(sizes.tasks), LINE);
        let words = place(sizes.tasks as usize * 8, LINE);
        let cells = place(sizes.tasks as usize * cell, LINE);
        let total = place(0, 4096);
        Ok(Layout { tokens, slots, announced, parked, done, words, cells, total })
    }
}

// The model's atomics have other sizes and are not laid out in memory.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<TokenWord>() == LINE && align_of::<TokenWord>() == LINE);
    assert!(size_of::<WorkerSlot>() == 2 * LINE && align_of::<WorkerSlot>() == 2 * LINE);
};

/// Everything in a segment, as verbs over borrowed words.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// Identity and the few single words.
    pub header: &'a Header,
    /// The tokens.
    pub tokens: Tokens<'a>,
    /// The worker slots and the waiting line.
    pub line: Line<'a>,
    /// The task slots.
    pub tasks: Tasks<'a>,
    /// Which task slots were completed since the supervisor last looked.
    pub done: Bits<'a>,
    /// Whether sysmon sleeps.
    pub watch: Watch<'a>,
}

/// The typed parts of a [`Shared`]: plain slices of a mapping, or of vectors in tests.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The header.
    pub header: &'a Header,
    /// Token words.
    pub tokens: &'a [TokenWord],
    /// Worker slots.
    pub slots: &'a [WorkerSlot],
    /// Bitmap words over worker slots: which workers wait for a token.
    pub announced: &'a [AtomicU64],
    /// Bitmap words over worker slots: which workers are parked.
    pub parked: &'a [AtomicU64],
    /// Bitmap words over task slots: which were completed.
    pub done: &'a [AtomicU64],
    /// Task words.
    pub words: &'a [AtomicU64],
    /// Task cells, one after the other.
    pub cells: &'a [AtomicU64],
}

impl<'a> Shared<'a> {
    /// The verbs over these parts.
    #[must_use]
    pub fn new(parts: Parts<'a>) -> Shared<'a> {
        let cell_words = parts.cells.len() / parts.words.len().max(1);
        Shared {
            header: parts.header,
            tokens: Tokens::new(parts.tokens, &parts.header.procs),
            line: Line::new(parts.slots, Bits::new(parts.announced), Bits::new(parts.parked)),
            tasks: Tasks::new(parts.words, parts.cells, cell_words, &parts.header.head.0),
            done: Bits::new(parts.done),
            watch: Watch::new(&parts.header.watch.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { tokens: 6, workers: 200, tasks: 512, cell_bytes: 4096 };

    #[test]
    fn offsets_of_version_10_are_frozen() {
        assert_eq!(LAYOUT_VERSION, 10, "a new version gets its own golden numbers");
        assert_eq!(
            Layout::of(SIZES),
            Ok(Layout {
                tokens: 384,
                slots: 768,
                announced: 26_368,
                parked: 26_432,
                done: 26_496,
                words: 26_560,
                cells: 30_656,
                total: 2_129_920,
            })
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for bad in [
            Sizes { tokens: 0, ..SIZES },
            Sizes { workers: 65_536, ..SIZES },
            Sizes { tasks: u32::MAX, ..SIZES },
            Sizes { cell_bytes: 100, ..SIZES },
            Sizes { cell_bytes: 0, ..SIZES },
        ] {
            assert_eq!(Layout::of(bad), Err(BadSizes(bad)));
        }
    }
}
