//! The first bytes of a segment: its identity, and the few words that stand alone.

use std::time::Duration;

use super::{LAYOUT_VERSION, Sizes};
use crate::barrier;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

const MAGIC: u64 = u64::from_le_bytes(*b"msup-seg");

/// One word alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Lonely(pub(super) AtomicU32);

/// The same for a counter.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct LonelyCount(pub(super) AtomicU64);

/// Which commands may be started without a token.
#[repr(C, align(64))]
#[derive(Debug, Default)]
struct Starts {
    more: AtomicU32,
    one_for_one: AtomicU32,
}

/// For how long the run was paused, in nanoseconds, and whether workers leave processes that a
/// command left running alone.
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
    // Magic, layout version and release never move, whatever the version, so that any two releases
    // can recognise each other.
    magic: AtomicU64,
    layout_version: AtomicU32,
    release_len: AtomicU32,
    release: [AtomicU64; 2],
    sizes: [AtomicU32; 4],
    nofile: AtomicU64,
    pub(super) procs: AtomicU32,
    heavy_side_asks: AtomicU32,
    pub(super) watch: Lonely,
    bell: LonelyCount,
    pub(super) head: LonelyCount,
    starts: Starts,
    patience: Patience,
}

// The model's atomics have other sizes and are not laid out in memory.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Header>() == 6 * super::LINE);
    assert!(std::mem::offset_of!(Header, magic) == 0);
    assert!(std::mem::offset_of!(Header, layout_version) == 8);
    assert!(std::mem::offset_of!(Header, release) == 16);
};

/// The identity of a segment, see [`Header::identity`].
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
    /// It is not a segment of msup.
    #[error("not a segment of msup's")]
    Foreign,
    /// Another layout version.
    #[error("layout version {found}, this program has {LAYOUT_VERSION}")]
    Layout {
        /// The segment's version.
        found: u32,
    },
    /// The same layout but another release, if the same one is required.
    #[error("release {found}, this program is {here}")]
    Release {
        /// The segment's release.
        found: String,
        /// This program's.
        here: String,
    },
    /// Its sizes are impossible or larger than the segment.
    #[error("its sizes do not fit its length")]
    Sizes,
}

impl Header {
    /// Writes the identity of a new segment. `release` is truncated to 16 bytes; `nofile` is the
    /// soft limit on open files for commands.
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
    /// that release. Returns its sizes.
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

    /// Everything that [`Header::set_up`] writes once and that never changes after that.
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

    /// The soft limit on open files for commands: what it was before the supervisor raised it.
    #[must_use]
    pub fn nofile(&self) -> u64 {
        self.nofile.load(Ordering::Relaxed)
    }

    /// Whether the supervisor puts barriers into the workers, see [`crate::barrier`].
    #[must_use]
    pub fn heavy_side_asks(&self) -> bool {
        self.heavy_side_asks.load(Ordering::Relaxed) != 0
    }

    /// The supervisor's: sets the number of commands that may be started without a token from now
    /// on. Wake as many parked workers afterwards. Starts that were taken and not used are made
    /// good by calling this again.
    pub fn allow_starts(&self, starts: u32) {
        // ORDERING: SeqCst. A worker sets its parked bit, then reads this word. The supervisor
        // writes this word, then reads the parked bits. One of them sees the other.
        self.starts.more.store(starts, Ordering::SeqCst);
    }

    /// The supervisor's: whether a worker whose command has exited may start the next one, too,
    /// without a token: as many as the limit are in flight, not more.
    pub fn allow_one_for_one(&self, allowed: bool) {
        self.starts.one_for_one.store(allowed.into(), Ordering::Relaxed);
    }

    /// Whether it may. A worker that reads this late starts one command more or less.
    #[must_use]
    pub fn one_for_one(&self) -> bool {
        self.starts.one_for_one.load(Ordering::Relaxed) != 0
    }

    /// The number of commands that may be started without a token.
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

    /// The supervisor's: from now on workers do not wait for processes that a command left running
    /// in its session.
    pub fn leave_processes(&self) {
        self.patience.leaves.store(1, Ordering::Relaxed);
    }

    /// Whether workers do not wait for processes that a command left running in its session.
    #[must_use]
    pub fn leaves_processes(&self) -> bool {
        self.patience.leaves.load(Ordering::Relaxed) != 0
    }

    /// The supervisor's: the run was paused for this long. Call it before the run continues.
    pub fn add_pause(&self, pause: Duration) {
        let ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.patience.paused.fetch_add(ns, Ordering::Relaxed);
    }

    /// For how long the run has been paused in all.
    #[must_use]
    pub fn paused(&self) -> Duration {
        Duration::from_nanos(self.patience.paused.load(Ordering::Relaxed))
    }

    /// The number of tokens in use, for [`Tokens`].
    #[must_use]
    pub fn procs(&self) -> &AtomicU32 {
        &self.procs
    }

    /// The word of [`crate::bell::Bell`].
    #[must_use]
    pub fn bell(&self) -> &AtomicU64 {
        &self.bell.0
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { tokens: 6, workers: 200, tasks: 512, cell_bytes: 4096 };

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
