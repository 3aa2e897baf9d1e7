//! The segment's memory: created and reserved by the supervisor, mapped by workers.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::layout::{Header, Layout, Mismatch, Parts, Shared, Sizes};

#[cfg(feature = "create")]
mod create;
#[cfg(feature = "create")]
mod fault;

#[cfg(feature = "create")]
pub use create::{CreateError, create, sweep};

/// Why a segment cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// A system call failed.
    #[error("cannot map the segment: {0}")]
    System(#[from] io::Error),
    /// It is not a segment that this program can use.
    #[error("the segment does not fit: {0}")]
    Mismatch(#[from] Mismatch),
}

/// A mapped segment. The memory stays mapped as long as this value lives.
#[derive(Debug)]
pub struct Segment {
    memory: Memory,
    sizes: Sizes,
    layout: Layout,
}

impl Segment {
    /// Maps the segment behind an inherited descriptor and checks this layout version and, if
    /// `release` is given, exactly that release. A forked child does not inherit the mapping.
    ///
    /// # Errors
    /// [`AttachError`] when it cannot be mapped or does not fit.
    pub fn attach(fd: impl AsFd, release: Option<&str>) -> Result<Segment, AttachError> {
        let memory = Memory::map(fd)?;
        let sizes = memory.header().check(release)?;
        let layout = Layout::of(sizes).map_err(|_| Mismatch::Sizes)?;
        if layout.total > memory.len {
            return Err(Mismatch::Sizes.into());
        }
        Ok(Segment { memory, sizes, layout })
    }

    /// The verbs over the segment's words.
    #[must_use]
    pub fn shared(&self) -> Shared<'_> {
        let Sizes { tokens, workers, tasks, cell_bytes } = self.sizes;
        let bits = |n: u32| crate::bitmap::Bits::words_for(n as usize);
        let (memory, at) = (&self.memory, self.layout);
        Shared::new(Parts {
            header: memory.header(),
            tokens: memory.slice(at.tokens, tokens as usize),
            slots: memory.slice(at.slots, workers as usize),
            announced: memory.slice(at.announced, bits(workers)),
            parked: memory.slice(at.parked, bits(workers)),
            done: memory.slice(at.done, bits(tasks)),
            words: memory.slice(at.words, tasks as usize),
            cells: memory.slice(at.cells, tasks as usize * cell_bytes as usize / 8),
        })
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.layout.total as u64
    }

    /// The sizes it was created with.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }
}

/// Mapped memory, page-aligned and at least a [`Header`] long.
#[derive(Debug)]
struct Memory {
    base: NonNull<u8>,
    len: usize,
    keeper: Keeper,
}

/// What unmaps the memory.
enum Keeper {
    /// The `shared_memory` crate, which created it.
    #[cfg(feature = "create")]
    Crate { _guard: fault::Guard, _mapping: shared_memory::Shmem },
    /// [`Memory`] itself.
    Own,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

// SAFETY: all access goes through atomics, and nothing of a mapping belongs to a thread.
unsafe impl Send for Memory {}
// SAFETY: as above; `&Memory` gives out shared references to atomics only.
unsafe impl Sync for Memory {}

impl Memory {
    fn map(fd: impl AsFd) -> Result<Memory, AttachError> {
        let stat = rustix::fs::fstat(&fd).map_err(io::Error::from)?;
        let len = usize::try_from(stat.st_size).unwrap_or(0);
        if len < size_of::<Header>() {
            return Err(Mismatch::Foreign.into());
        }
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address the kernel chooses overlaps nothing of ours.
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, prot, MapFlags::SHARED, &fd, 0) };
        let base = base.map_err(io::Error::from)?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Mismatch::Foreign)?;
        let memory = Memory { base, len, keeper: Keeper::Own };
        // A forked child must not run with our slot.
        // SAFETY: the range was just mapped, and is mapped no differently in this process.
        unsafe { rustix::mm::madvise(base.as_ptr().cast(), len, Advice::LinuxDontFork) }
            .map_err(io::Error::from)?;
        Ok(memory)
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned and at least a header long; `Header` is all atomics,
        // for which any bytes are a value.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    fn slice<T: Words>(&self, offset: usize, count: usize) -> &[T] {
        assert!(offset.is_multiple_of(align_of::<T>()));
        assert!(offset + count * size_of::<T>() <= self.len);
        // SAFETY: `offset` is inside the mapping, as just checked.
        let start = unsafe { self.base.add(offset) };
        // SAFETY: in bounds and aligned, as just checked; `T: Words` may be made of any bytes and
        // is only ever changed through atomics; the mapping lives as long as `self`.
        unsafe { std::slice::from_raw_parts(start.cast::<T>().as_ptr(), count) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.keeper {
            #[cfg(feature = "create")]
            Keeper::Crate { .. } => {}
            Keeper::Own => {
                // SAFETY: mapped by `map()` with this length; every reference borrowed from `self`.
                let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
                debug_assert!(unmapped.is_ok());
            }
        }
    }
}

/// What may live in shared memory that other processes can change at any time.
///
/// # Safety
/// `repr(C)` or transparent, made of atomics only (and padding), valid for any bytes, without
/// pointers or descriptors.
unsafe trait Words {}

// SAFETY: an atomic.
unsafe impl Words for crate::sync::AtomicU64 {}
// SAFETY: `repr(C)`, one atomic.
unsafe impl Words for crate::token::TokenWord {}
// SAFETY: `repr(C)`, atomics and padding.
unsafe impl Words for crate::slot::WorkerSlot {}
