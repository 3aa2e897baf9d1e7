//! A file of numbers that a test shares with the processes it watches. The only module of this
//! crate that maps memory.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

const WORDS: usize = 512;

/// The mapped file: 512 words, all zero at first. It stays mapped until the process exits, so
/// copies of it may go anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    words: &'static [AtomicU64],
}

impl Board {
    /// A fresh board in this file.
    ///
    /// # Panics
    /// If the file cannot be written or mapped.
    #[must_use]
    pub fn create(path: &Path) -> Board {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.expect("the sandbox is writable");
        file.set_len(size_of::<[u64; WORDS]>() as u64).expect("the sandbox has room");
        Board::map(&file)
    }

    /// The board that this program got as its argument.
    ///
    /// # Panics
    /// If the argument is missing or wrong.
    #[must_use]
    pub fn of_argument(number: usize) -> Board {
        let path = std::env::args_os().nth(number).expect("the board's file is an argument");
        let file = File::options().read(true).write(true).open(path).expect("the board is there");
        let len = file.metadata().expect("a file").len();
        assert_eq!(len, size_of::<[u64; WORDS]>() as u64, "this is no board");
        Board::map(&file)
    }

    fn map(file: &File) -> Board {
        let bytes = std::num::NonZero::new(size_of::<[u64; WORDS]>()).expect("there are words");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses replaces nothing.
        let memory = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, file, 0) };
        let memory = memory.expect("the board can be mapped").cast::<AtomicU64>();
        // SAFETY: this number of words is mapped, page-aligned, never unmapped, and only ever used
        // as atomics; the file is the sandbox's own and is never shortened.
        let words = unsafe { std::slice::from_raw_parts(memory.as_ptr(), WORDS) };
        Board { words }
    }
}

impl Deref for Board {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        self.words
    }
}
