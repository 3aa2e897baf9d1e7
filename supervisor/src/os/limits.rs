//! Limits of this process: open files and processes.

use std::fmt;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Descriptors kept free for everything but workers, each of which needs one.
const FILES_ASIDE: u64 = 48;
/// With fewer there is none left for a single worker: 33 are open during a run, and a few more for moments.
const FILES_AT_LEAST: u64 = 40;

/// A worker and its command are two processes; half is left to everything else.
const PROCESSES_PER_WORKER: u64 = 4;

/// How many workers there may be, and which limit says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) workers: u64,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Files(u64),
    Processes(u64),
    /// As many as slots can be numbered.
    Slots,
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Files(limit) => write!(f, "the limit on open files is {limit} (ulimit -n)"),
            Limit::Processes(limit) => write!(f, "the limit on processes is {limit} (ulimit -u)"),
            Limit::Slots => write!(f, "there are no more slots than {}", u16::MAX),
        }
    }
}

/// Raises the soft limit on open files to the hard one. Returns the soft limit that commands get.
pub(crate) fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    // A failure only means a lower cap on workers.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    soft
}

/// Makes shared memory, which the kernel counts as a file, under the limit on file sizes that is farthest off. What is
/// wrong tells of the limit, if that may be why.
///
/// # Errors
/// As it says.
pub(crate) fn without_file_limit<T, E: fmt::Display>(
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    let kind = Resource::RLIMIT_FSIZE;
    let Ok((soft, hard)) = getrlimit(kind) else { return make().map_err(|why| why.to_string()) };
    if soft == RLIM_INFINITY {
        return make().map_err(|why| why.to_string());
    }
    // The first only root may; what is left then may be enough.
    let raised =
        setrlimit(kind, RLIM_INFINITY, RLIM_INFINITY).or_else(|_| setrlimit(kind, hard, hard));
    let made = make();
    if raised.is_ok() {
        let _ = setrlimit(kind, soft, hard);
    }
    made.map_err(|why| {
        format!("{why} (the limit on file sizes, ulimit -f, is {hard} bytes: it may be too low for that)")
    })
}

/// How many workers the limits on files and processes allow.
///
/// # Errors
/// Not even one: which limit it is, and what is needed.
pub(crate) fn most_workers() -> Result<Most, String> {
    let soft = |resource| getrlimit(resource).map_or(1024, |(soft, _)| soft);
    most(soft(Resource::RLIMIT_NOFILE), soft(Resource::RLIMIT_NPROC))
}

fn most(files: u64, processes: u64) -> Result<Most, String> {
    if files < FILES_AT_LEAST {
        return Err(format!(
            "the limit on open files is {files} (ulimit -n): msup needs at least {FILES_AT_LEAST}"
        ));
    }
    let slots = Most { workers: u16::MAX.into(), limit: Limit::Slots };
    let workers = files.saturating_sub(FILES_ASIDE).max(1);
    let by_files = Most { workers, limit: Limit::Files(files) };
    let by_processes = Most {
        // With fewer it is tried all the same: nobody knows how many there are already.
        workers: (processes / PROCESSES_PER_WORKER).max(1),
        limit: Limit::Processes(processes),
    };
    let least = [by_files, by_processes].into_iter().min_by_key(|most| most.workers);
    Ok(least.filter(|least| least.workers < slots.workers).unwrap_or(slots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_is_named() {
        let told =
            |files, processes| most(files, processes).map(|most| (most.workers, most.to_string()));
        let words = "the limit on open files is 64 (ulimit -n)";
        assert_eq!(told(64, 1000), Ok((16, words.to_owned())));
        let words = "the limit on processes is 100 (ulimit -u)";
        assert_eq!(told(1024, 100), Ok((25, words.to_owned())));
        assert_eq!(told(1 << 30, u64::MAX).map(|(workers, _)| workers), Ok(65_535));
        assert_eq!(told(1024, 2).map(|(workers, _)| workers), Ok(1));
        let why = told(20, 1000).expect_err("too few");
        assert_eq!(why, "the limit on open files is 20 (ulimit -n): msup needs at least 40");
        assert_eq!(told(40, 1000).map(|(workers, _)| workers), Ok(1));
    }
}
