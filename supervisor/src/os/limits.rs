//! Limits of this process: open files and processes.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors kept free for everything but workers.
const FILES_ASIDE: u64 = 64;

/// Raises the soft limit on open files to the hard one. Returns the soft limit that commands get.
pub(crate) fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    // A failure only means a lower cap on workers.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    soft
}

/// How many workers the limits on files and processes allow.
pub(crate) fn most_workers() -> u64 {
    let soft = |resource| getrlimit(resource).map_or(1024, |(soft, _)| soft);
    let by_files = soft(Resource::RLIMIT_NOFILE).saturating_sub(FILES_ASIDE);
    // A worker and its command are two processes; half is left to everybody else.
    let by_processes = soft(Resource::RLIMIT_NPROC) / 4;
    by_files.min(by_processes).clamp(1, u64::from(u16::MAX))
}
