//! Where everything stands in the segment. Offsets are frozen per [`LAYOUT_VERSION`].

use std::time::Duration;

use crate::barrier;
use crate::bitmap::Bits;
use crate::slot::WorkerSlot;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sysmon_sleep::Watch;
use crate::task::Tasks;
use crate::token::{TokenWord, Tokens};
use crate::waiters::Line;

/// Goes up whenever any offset, word or protocol step changes.
pub const LAYOUT_VERSION: u32 = 8;

const MAGIC: u64 = u64::from_le_bytes(*b"msup-seg");
const LINE: usize = 64;

/// How many of everything a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Token words, those to lend and those retired included. 1 to 65,535.
    pub tokens: u32,
    /// Worker slots. 1 to 65,535.
    pub workers: u32,
    /// Task slots. 1 to 65,535.
    pub tasks: u32,
    /// Bytes of a task slot's cell, eight of which are its length and checksum. A multiple of 64.
    pub cell_bytes: u32,
}

/// The sizes make no segment: a header from somewhere else, or numbers out of range.
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
    /// Bitmap over worker slots: who waits for a token.
    pub announced: usize,
    /// Bitmap over worker slots: who is parked.
    pub parked: usize,
    /// Bitmap over task slots: which were completed since the supervisor last looked.
    pub done: usize,
    /// Task words.
    pub words: usize,
    /// Task cells.
    pub cells: usize,
    /// The whole length in bytes.
    pub total: usize,
}

impl Layout {
    /// The layout for these sizes.
    ///
    /// # Errors
    /// [`BadSizes`] when a number is out of its range.
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

/// One word alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug, Default)]
struct Lonely(AtomicU32);

/// The same for one that counts on for ever.
#[repr(C, align(64))]
#[derive(Debug, Default)]
struct LonelyCount(AtomicU64);

/// What commands may be started without a token.
#[repr(C, align(64))]
#[derive(Debug, Default)]
struct Starts {
    more: AtomicU32,
    one_for_one: AtomicU32,
    /// With how many in flight nobody starts one; 0: with any number.
    at_most: AtomicU32,
}

/// For how long the run has stood still, in nanoseconds; and whether workers leave alone what a command left running.
#[repr(C, align(64))]
#[derive(Debug, Default)]
struct Patience {
    paused: AtomicU64,
    leaves: AtomicU32,
}

/// The segment's first bytes.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Header {
    // These three never move, whatever the version, so that any two releases can tell each other.
    magic: AtomicU64,
    layout_version: AtomicU32,
    release_len: AtomicU32,
    release: [AtomicU64; 2],
    sizes: [AtomicU32; 4],
    nofile: AtomicU64,
    procs: AtomicU32,
    heavy_side_asks: AtomicU32,
    watch: Lonely,
    armed: Lonely,
    head: LonelyCount,
    starts: Starts,
    patience: Patience,
}

// The model's atomics have other sizes; nothing is laid out then.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Header>() == 6 * LINE);
    assert!(size_of::<TokenWord>() == LINE && align_of::<TokenWord>() == LINE);
    assert!(size_of::<WorkerSlot>() == 2 * LINE && align_of::<WorkerSlot>() == 2 * LINE);
    assert!(std::mem::offset_of!(Header, magic) == 0);
    assert!(std::mem::offset_of!(Header, layout_version) == 8);
    assert!(std::mem::offset_of!(Header, release) == 16);
};

/// What a segment says it is, see [`Header::identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    magic: u64,
    layout_version: u32,
    release_len: u32,
    release: [u64; 2],
    sizes: [u32; 4],
    nofile: u64,
    heavy_side_asks: u32,
}

/// Why a segment cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is no segment of msup's.
    #[error("not a segment of msup's")]
    Foreign,
    /// Another layout version.
    #[error("layout version {found}, this program has {LAYOUT_VERSION}")]
    Layout {
        /// The segment's version.
        found: u32,
    },
    /// The same layout, but another release, where the same is asked for.
    #[error("release {found}, this program is {here}")]
    Release {
        /// The segment's release.
        found: String,
        /// This program's.
        here: String,
    },
    /// The sizes it names are impossible or larger than it is.
    #[error("its sizes do not fit its length")]
    Sizes,
}

impl Header {
    /// Writes the identity of a new segment. `release` is cut after 16 bytes; `nofile` is the soft
    /// limit on open files that commands shall get.
    pub fn set_up(&self, sizes: Sizes, procs: u32, release: &str, nofile: u64) {
        let bytes = &release.as_bytes()[..release.len().min(16)];
        let mut padded = [0; 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        for (word, bytes) in self.release.iter().zip(padded.chunks(8)) {
            let bytes = bytes.try_into().unwrap_or([0; 8]);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.release_len.store(bytes.len() as u32, Ordering::Relaxed);
        let numbers = [sizes.tokens, sizes.workers, sizes.tasks, sizes.cell_bytes];
        for (word, number) in self.sizes.iter().zip(numbers) {
            word.store(number, Ordering::Relaxed);
        }
        self.nofile.store(nofile, Ordering::Relaxed);
        self.procs.store(procs, Ordering::Relaxed);
        self.heavy_side_asks.store(barrier::is_supported().into(), Ordering::Relaxed);
        self.layout_version.store(LAYOUT_VERSION, Ordering::Relaxed);
        self.magic.store(MAGIC, Ordering::Release);
    }

    /// Checks that this is a segment of this layout version and, if `release` is given, of exactly
    /// that release; returns its sizes.
    ///
    /// # Errors
    /// [`Mismatch`], naming both sides.
    pub fn check(&self, release: Option<&str>) -> Result<Sizes, Mismatch> {
        if self.magic.load(Ordering::Acquire) != MAGIC {
            return Err(Mismatch::Foreign);
        }
        let found = self.layout_version.load(Ordering::Relaxed);
        if found != LAYOUT_VERSION {
            return Err(Mismatch::Layout { found });
        }
        if let Some(here) = release {
            let found = self.release();
            if found != here {
                return Err(Mismatch::Release { found, here: here.to_owned() });
            }
        }
        let [tokens, workers, tasks, cell_bytes] =
            [0, 1, 2, 3].map(|at: usize| self.sizes[at].load(Ordering::Relaxed));
        Ok(Sizes { tokens, workers, tasks, cell_bytes })
    }

    /// Everything that [`Header::set_up`] writes once and nobody changes after that.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let release = self.release.each_ref().map(|word| word.load(Ordering::Relaxed));
        let sizes = self.sizes.each_ref().map(|word| word.load(Ordering::Relaxed));
        Identity {
            magic: self.magic.load(Ordering::Relaxed),
            layout_version: self.layout_version.load(Ordering::Relaxed),
            release_len: self.release_len.load(Ordering::Relaxed),
            release,
            sizes,
            nofile: self.nofile(),
            heavy_side_asks: self.heavy_side_asks.load(Ordering::Relaxed),
        }
    }

    /// The soft limit on open files before the supervisor raised it, for commands.
    #[must_use]
    pub fn nofile(&self) -> u64 {
        self.nofile.load(Ordering::Relaxed)
    }

    /// Whether the supervisor puts barriers into the workers, see [`crate::barrier`].
    #[must_use]
    pub fn heavy_side_asks(&self) -> bool {
        self.heavy_side_asks.load(Ordering::Relaxed) != 0
    }

    /// The supervisor's: from now on so many commands may be started without a token. Wake as many parked
    /// workers afterwards. What somebody took and did not use is made good by saying it anew.
    pub fn allow_starts(&self, starts: u32) {
        // ORDERING: SeqCst. A worker parks, then looks here; the supervisor writes here, then looks who is
        // parked. One of them sees the other.
        self.starts.more.store(starts, Ordering::SeqCst);
    }

    /// The supervisor's: whether who ends a command may start the next one without a token, too: as many
    /// are in flight as may be, not more.
    pub fn allow_one_for_one(&self, allowed: bool) {
        self.starts.one_for_one.store(allowed.into(), Ordering::Relaxed);
    }

    /// Whether it may. Who reads it late starts one command more or less.
    #[must_use]
    pub fn one_for_one(&self) -> bool {
        self.starts.one_for_one.load(Ordering::Relaxed) != 0
    }

    /// The supervisor's: where so many are in flight, no command is started without a token. Before this is said that has
    /// no limit.
    pub fn limit_in_flight(&self, at_most: u32) {
        // ORDERING: SeqCst, as in `allow_starts()`, which follows where there may be more.
        self.starts.at_most.store(at_most, Ordering::SeqCst);
    }

    /// How many may be, if that is limited.
    #[must_use]
    pub fn in_flight_at_most(&self) -> Option<u32> {
        Some(self.starts.at_most.load(Ordering::SeqCst)).filter(|at_most| *at_most > 0)
    }

    /// How many commands may be started without a token.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts.more.load(Ordering::SeqCst)
    }

    /// Takes the right to start one command without a token.
    #[must_use]
    pub fn take_start(&self) -> bool {
        let mut starts = self.starts();
        while starts > 0 {
            let (full, seen) = (Ordering::SeqCst, Ordering::SeqCst);
            match self.starts.more.compare_exchange(starts, starts - 1, full, seen) {
                Ok(_) => return true,
                Err(now) => starts = now,
            }
        }
        false
    }

    /// The supervisor's: workers do not wait for processes that a command left running in its session.
    pub fn leave_processes(&self) {
        self.patience.leaves.store(1, Ordering::Relaxed);
    }

    /// Whether workers do not wait for processes that a command left running in its session.
    #[must_use]
    pub fn leaves_processes(&self) -> bool {
        self.patience.leaves.load(Ordering::Relaxed) != 0
    }

    /// The supervisor's: the run stood still for so long. To be said before it goes on.
    pub fn add_pause(&self, pause: Duration) {
        let ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.patience.paused.fetch_add(ns, Ordering::Relaxed);
    }

    /// How long the run has stood still in all.
    #[must_use]
    pub fn paused(&self) -> Duration {
        Duration::from_nanos(self.patience.paused.load(Ordering::Relaxed))
    }

    /// The word that says how many tokens are in use, for [`Tokens`].
    #[must_use]
    pub fn procs(&self) -> &AtomicU32 {
        &self.procs
    }

    /// The word that says whether the supervisor sleeps, for [`crate::bell::Bell`].
    #[must_use]
    pub fn armed(&self) -> &AtomicU32 {
        &self.armed.0
    }

    fn release(&self) -> String {
        let mut bytes: Vec<u8> = Vec::with_capacity(16);
        for word in &self.release {
            bytes.extend(word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(self.release_len.load(Ordering::Relaxed) as usize);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Everything in a segment, as verbs over borrowed words.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// Identity and the few single words.
    pub header: &'a Header,
    /// The tokens.
    pub tokens: Tokens<'a>,
    /// The worker slots and who of them waits.
    pub line: Line<'a>,
    /// The task slots.
    pub tasks: Tasks<'a>,
    /// Which task slots were completed since the supervisor last looked.
    pub done: Bits<'a>,
    /// Whether sysmon sleeps.
    pub watch: Watch<'a>,
}

/// The typed parts a [`Shared`] is made of, each a plain slice: of a mapping, or of vectors in tests.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The header.
    pub header: &'a Header,
    /// Token words.
    pub tokens: &'a [TokenWord],
    /// Worker slots.
    pub slots: &'a [WorkerSlot],
    /// Bitmap words over worker slots.
    pub announced: &'a [AtomicU64],
    /// Bitmap words over worker slots.
    pub parked: &'a [AtomicU64],
    /// Bitmap words over task slots.
    pub done: &'a [AtomicU64],
    /// Task words.
    pub words: &'a [AtomicU64],
    /// Task cells, all in a row.
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
    fn offsets_of_version_8_are_frozen() {
        assert_eq!(LAYOUT_VERSION, 8, "a new version gets its own golden numbers");
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

    #[test]
    fn another_release_is_told_apart() {
        let header = Header::default();
        assert_eq!(header.check(None), Err(Mismatch::Foreign));
        header.set_up(SIZES, 2, "1.2.3", 1024);
        assert_eq!(header.check(None), Ok(SIZES));
        assert_eq!(header.check(Some("1.2.3")), Ok(SIZES));
        assert_eq!(
            header.check(Some("1.2.4")).map_err(|why| why.to_string()),
            Err("release 1.2.3, this program is 1.2.4".into())
        );
        header.layout_version.store(1, Ordering::Relaxed);
        assert_eq!(header.check(None), Err(Mismatch::Layout { found: 1 }));
    }
}
