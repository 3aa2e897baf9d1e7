//! What others use in the place of a token, and Python's pools.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::Command;

use raw_sync::locks::{LockInit, Mutex};

/// A process-shared POSIX semaphore of one.
#[derive(Debug)]
pub struct Semaphore(Box<MaybeUninit<libc::sem_t>>);

impl Default for Semaphore {
    fn default() -> Semaphore {
        let mut semaphore = Box::new(MaybeUninit::uninit());
        // SAFETY: a valid place; 1: shared between processes.
        unsafe { libc::sem_init(semaphore.as_mut_ptr(), 1, 0) };
        Semaphore(semaphore)
    }
}

impl Semaphore {
    /// Puts it down and takes it up again.
    pub fn post_and_wait(&mut self) {
        // SAFETY: initialised by `default()`, not moved since: it is boxed.
        unsafe { libc::sem_post(self.0.as_mut_ptr()) };
        // SAFETY: as above.
        unsafe { libc::sem_wait(self.0.as_mut_ptr()) };
    }
}

/// GNU make's jobserver: tokens are bytes in a pipe.
#[derive(Debug)]
pub struct Jobserver(OwnedFd, OwnedFd);

impl Jobserver {
    /// A pipe without a token.
    ///
    /// # Errors
    /// No pipe.
    pub fn new() -> io::Result<Jobserver> {
        let (reader, writer) = rustix::pipe::pipe()?;
        Ok(Jobserver(reader, writer))
    }

    /// Gives a token back and takes one.
    pub fn write_and_read(&self) {
        let _ = rustix::io::write(&self.1, b"+");
        let _ = rustix::io::read(&self.0, &mut [0]);
    }
}

/// Runs `turns` with a pair of unlock and lock of `raw_sync`'s process-shared mutex.
///
/// # Errors
/// It cannot be set up.
pub fn with_raw_sync<T>(turns: impl FnOnce(&mut dyn FnMut()) -> T) -> io::Result<T> {
    let mut memory = vec![0u64; 64];
    let mut value = 0u64;
    let base = memory.as_mut_ptr().cast();
    // SAFETY: 512 bytes, aligned to eight, which outlive the mutex; so does `value`.
    let (mutex, _) = unsafe { Mutex::new(base, (&raw mut value).cast()) }
        .map_err(|why| io::Error::other(why.to_string()))?;
    let mut pair = || {
        // Released as the guard is dropped.
        drop(mutex.lock());
    };
    Ok(turns(&mut pair))
}

/// Microseconds per empty task through Python's pools with two processes; none without Python.
#[must_use]
pub fn python_pools(tasks: u32) -> Option<[f64; 2]> {
    let script = format!(
        "import time, multiprocessing, concurrent.futures as f, operator\n\
         n = {tasks}\n\
         if __name__ == '__main__':\n\
         \x20with multiprocessing.Pool(2) as p:\n\
         \x20 for _ in p.imap_unordered(abs, range(200), chunksize=1): pass\n\
         \x20 t = time.perf_counter()\n\
         \x20 for _ in p.imap_unordered(abs, range(n), chunksize=1): pass\n\
         \x20 a = (time.perf_counter() - t) / n * 1e6\n\
         \x20with f.ProcessPoolExecutor(2) as p:\n\
         \x20 list(p.map(abs, range(200), chunksize=1))\n\
         \x20 t = time.perf_counter()\n\
         \x20 list(p.map(abs, range(n), chunksize=1))\n\
         \x20 b = (time.perf_counter() - t) / n * 1e6\n\
         \x20print(a, b)\n"
    );
    let output = Command::new("python3").args(["-c", &script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    Some([numbers.next()?, numbers.next()?])
}
