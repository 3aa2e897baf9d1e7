//! Resource limits of this process: open files, processes, and file sizes.

use std::fmt;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::cgroup;

/// Descriptors kept free for everything but workers, each of which needs one.
const FILES_ASIDE: u64 = 48;
/// With fewer, not even one worker can start: 33 are open during a run, and a few more at times.
const FILES_AT_LEAST: u64 = 40;

/// A worker and its command are two processes; half is left to everything else.
const PROCESSES_PER_WORKER: u64 = 4;

/// The least size of shared memory in bytes, and its growth per worker with one task.
const BYTES_ASIDE: u64 = 2048;
const BYTES_PER_WORKER: u64 = 1024;

/// The largest possible number of workers, and the limit that determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) workers: u64,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Files(u64),
    Processes(u64),
    /// Of a control group.
    Pids(u64),
    FileSize(u64),
    /// The number of slots that can be numbered.
    Slots,
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Files(limit) => write!(f, "the limit on open files is {limit} (ulimit -n)"),
            Limit::Processes(limit) => write!(f, "the limit on processes is {limit} (ulimit -u)"),
            Limit::Pids(limit) => {
                write!(f, "the control group's limit on processes is {limit} (pids.max)")
            }
            Limit::FileSize(limit) => {
                write!(
                    f,
                    "the limit on file sizes is {limit} bytes (ulimit -f), also for shared memory"
                )
            }
            Limit::Slots => write!(f, "there are no more slots than {}", u16::MAX),
        }
    }
}

/// Not even one worker can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit on open files is {files} (ulimit -n): msup needs at least {FILES_AT_LEAST}")]
pub(crate) struct TooFewFiles {
    files: u64,
}

/// Raises the soft limit on open files to the hard one. Returns the soft limit that commands get.
pub(crate) fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    // A failure only means a lower cap on workers.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    soft
}

/// Creates shared memory under the hard limit on file sizes, which applies to it.
pub(crate) fn with_hard_file_limit<T>(make: impl FnOnce() -> T) -> T {
    let kind = Resource::RLIMIT_FSIZE;
    let limits = getrlimit(kind).ok().filter(|(soft, hard)| soft < hard);
    let raised = limits.filter(|(_, hard)| setrlimit(kind, *hard, *hard).is_ok());
    let made = make();
    if let Some((soft, hard)) = raised {
        let _ = setrlimit(kind, soft, hard);
    }
    made
}

/// The number of workers that the limits on open files, processes (also of a control group) and
/// file sizes allow.
///
/// # Errors
/// [`TooFewFiles`].
pub(crate) fn most_workers() -> Result<Most, TooFewFiles> {
    let soft = |resource| getrlimit(resource).map_or(1024, |(soft, _)| soft);
    let pids = cgroup::most_processes().unwrap_or(RLIM_INFINITY);
    most(soft(Resource::RLIMIT_NOFILE), [soft(Resource::RLIMIT_NPROC), pids], file_size())
}

/// The largest size of shared memory in bytes: for the kernel it is a file.
pub(crate) fn file_size() -> u64 {
    getrlimit(Resource::RLIMIT_FSIZE).map_or(RLIM_INFINITY, |(_, hard)| hard)
}

fn most(files: u64, [processes, pids]: [u64; 2], file_size: u64) -> Result<Most, TooFewFiles> {
    if files < FILES_AT_LEAST {
        return Err(TooFewFiles { files });
    }
    let slots = Most { workers: u16::MAX.into(), limit: Limit::Slots };
    let workers = files.saturating_sub(FILES_ASIDE).max(1);
    let by_files = Most { workers, limit: Limit::Files(files) };
    let by_processes = Most {
        // With fewer it is tried all the same: the present number of processes is unknown.
        workers: (processes / PROCESSES_PER_WORKER).max(1),
        limit: Limit::Processes(processes),
    };
    let by_pids = Most { workers: (pids / PROCESSES_PER_WORKER).max(1), limit: Limit::Pids(pids) };
    let by_file_size = Most {
        // Where not even one fits, creating shared memory fails with a message.
        workers: (file_size.saturating_sub(BYTES_ASIDE) / BYTES_PER_WORKER).max(1),
        limit: Limit::FileSize(file_size),
    };
    let all = [by_files, by_processes, by_pids, by_file_size];
    let least = all.into_iter().min_by_key(|most| most.workers);
    Ok(least.filter(|least| least.workers < slots.workers).unwrap_or(slots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_is_named() {
        let told = |files, processes| {
            let processes = [processes, RLIM_INFINITY];
            most(files, processes, RLIM_INFINITY).map(|most| (most.workers, most.to_string()))
        };
        let words = "the limit on open files is 64 (ulimit -n)";
        assert_eq!(told(64, 1000), Ok((16, words.to_owned())));
        let words = "the limit on processes is 100 (ulimit -u)";
        assert_eq!(told(1024, 100), Ok((25, words.to_owned())));
        assert_eq!(told(1 << 30, u64::MAX).map(|(workers, _)| workers), Ok(65_535));
        assert_eq!(told(1024, 2).map(|(workers, _)| workers), Ok(1));
        let why = told(20, 1000).expect_err("too few");
        let words = "the limit on open files is 20 (ulimit -n): msup needs at least 40";
        assert_eq!(why.to_string(), words);
        assert_eq!(told(40, 1000).map(|(workers, _)| workers), Ok(1));
        let by_file_size = |bytes| most(1024, [1000; 2], bytes).map(|most| most.workers);
        assert_eq!((by_file_size(4096), by_file_size(8192)), (Ok(2), Ok(6)));
        assert_eq!(by_file_size(0), Ok(1));
        let by_pids = most(1024, [1000, 60], RLIM_INFINITY).expect("enough");
        assert_eq!(by_pids.workers, 15);
        assert!(by_pids.to_string().contains("60 (pids.max)"), "{by_pids}");
    }
}
