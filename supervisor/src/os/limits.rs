//! Resource limits of this process: open files, processes, and file sizes.

use std::{fmt, fs};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::cgroup;

/// Descriptors kept free for everything but workers, each of which needs one: 41 are open during a
/// run with a journal, a few more while a worker or a client is looked after, and each file that a
/// flag names is one more.
const FILES_ASIDE: u64 = 56;

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
#[error("the limit on open files is {files} (ulimit -n): msup needs at least {needed}")]
pub(crate) struct TooFewFiles {
    files: u64,
    needed: u64,
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
    let processes = [soft(Resource::RLIMIT_NPROC), pids];
    most(soft(Resource::RLIMIT_NOFILE), open_files(), processes, file_size())
}

/// The number of descriptors that this process has open, the three standard streams left out.
fn open_files() -> u64 {
    // The three, and the folder itself while it is read.
    const OTHERS: u64 = 4;
    fs::read_dir("/proc/self/fd").map_or(0, |all| (all.count() as u64).saturating_sub(OTHERS))
}

/// The largest size of shared memory in bytes: for the kernel it is a file.
pub(crate) fn file_size() -> u64 {
    getrlimit(Resource::RLIMIT_FSIZE).map_or(RLIM_INFINITY, |(_, hard)| hard)
}

fn most(
    files: u64,
    open_files: u64,
    [processes, pids]: [u64; 2],
    file_size: u64,
) -> Result<Most, TooFewFiles> {
    let aside = open_files + FILES_ASIDE;
    if files <= aside {
        return Err(TooFewFiles { files, needed: aside + 1 });
    }
    let slots = Most { workers: u16::MAX.into(), limit: Limit::Slots };
    let workers = files - aside;
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

/// No argument and no variable has more pages than this, the byte that ends it included
/// (MAX_ARG_STRLEN).
const PAGES_OF_AN_ARGUMENT: usize = 32;

/// Left free for the variables that commands get from msup, and for the name of the program, which
/// the kernel copies once more.
const ARGUMENTS_ASIDE: usize = 4096;

/// The number of bytes that the arguments of a command may take with a pointer to each, and the
/// length of the longest one.
pub(crate) fn arguments() -> (usize, usize) {
    const POINTER: usize = size_of::<usize>();
    let (all, page) = (all_arguments(), rustix::param::page_size());
    let aside = environment() + ARGUMENTS_ASIDE;
    // Pointers to the variables, and those that end the two lists.
    let pointers = (std::env::vars_os().count() + 2) * POINTER;
    (all.saturating_sub(aside + pointers), PAGES_OF_AN_ARGUMENT * page - 1)
}

/// The number of bytes that arguments and variables may take together: a quarter of the stack,
/// within what the kernel always and never allows.
pub(crate) fn all_arguments() -> usize {
    const LEAST: u64 = 128 << 10;
    const MOST: u64 = 6 << 20;
    let stack = getrlimit(Resource::RLIMIT_STACK).map_or(RLIM_INFINITY, |(soft, _)| soft);
    (stack / 4).clamp(LEAST, MOST) as usize
}

/// The number of bytes that the variables of this process take.
pub(crate) fn environment() -> usize {
    // With `=` and the byte that ends each.
    std::env::vars_os().map(|(name, value)| name.len() + value.len() + 2).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_is_named() {
        let told = |files, processes| {
            let processes = [processes, RLIM_INFINITY];
            most(files, 0, processes, RLIM_INFINITY).map(|most| (most.workers, most.to_string()))
        };
        let words = "the limit on open files is 64 (ulimit -n)";
        assert_eq!(told(64, 1000), Ok((8, words.to_owned())));
        let words = "the limit on processes is 100 (ulimit -u)";
        assert_eq!(told(1024, 100), Ok((25, words.to_owned())));
        assert_eq!(told(1 << 30, u64::MAX).map(|(workers, _)| workers), Ok(65_535));
        assert_eq!(told(1024, 2).map(|(workers, _)| workers), Ok(1));
        let why = told(20, 1000).expect_err("too few");
        let words = "the limit on open files is 20 (ulimit -n): msup needs at least 57";
        assert_eq!(why.to_string(), words);
        assert_eq!(told(57, 1000).map(|(workers, _)| workers), Ok(1));
        let inherited = most(64, 5, [1000; 2], RLIM_INFINITY).map(|most| most.workers);
        assert_eq!(inherited, Ok(3));
        let by_file_size = |bytes| most(1024, 0, [1000; 2], bytes).map(|most| most.workers);
        assert_eq!((by_file_size(4096), by_file_size(8192)), (Ok(2), Ok(6)));
        assert_eq!(by_file_size(0), Ok(1));
        let by_pids = most(1024, 0, [1000, 60], RLIM_INFINITY).expect("enough");
        assert_eq!(by_pids.workers, 15);
        assert!(by_pids.to_string().contains("60 (pids.max)"), "{by_pids}");
    }
}
