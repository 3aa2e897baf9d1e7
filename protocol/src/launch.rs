//! Starting a worker: from its first instruction on it dies with its parent, and is in its control group if it has one.
//!
//! The standard library can do neither without slower detours: the death signal must be set in the child before it
//! executes anything, and a process that is moved into a group later must wait until nobody on the machine forks, some
//! milliseconds each. This is what `posix_spawn` does, with `clone3`.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_char, c_int};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// `CLONE_INTO_CGROUP`, which is wider than the C library's type for such flags.
const INTO_GROUP: u64 = 1 << 33;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The program's path.
    pub program: &'a CStr,
    /// Its arguments, the first one being its name.
    pub arguments: &'a [CString],
    /// Its environment.
    pub environment: &'a [CString],
    /// Its standard input and output.
    pub streams: [BorrowedFd<'a>; 2],
    /// The control group to start it in; `None`: the one that this process is in.
    pub group: Option<BorrowedFd<'a>>,
}

/// Starts a program in a process group of its own. The kernel kills it when the thread that calls this exits, unless
/// the program asks for something else. Returns its id and a descriptor of it.
///
/// # Errors
/// What the kernel says: no process can be made, not in this group, or the program cannot be executed.
pub fn start(what: Order<'_>) -> io::Result<(i32, OwnedFd)> {
    let Order { program, arguments, environment, streams, group } = what;
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let streams = streams.map(|stream| stream.as_raw_fd());
    let mut pidfd: c_int = -1;
    // SAFETY: all-zero is a valid value of a structure of integers.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    // This thread sleeps until the program runs, so that it can be told why it does not.
    order.flags = (libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    order.pidfd = ptr::from_mut(&mut pidfd) as u64;
    order.exit_signal = libc::SIGCHLD as u64;
    if let Some(group) = group {
        order.flags |= INTO_GROUP;
        order.cgroup = group.as_raw_fd() as u64;
    }
    let (told, tells) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let parent = rustix::process::getpid().as_raw_pid();
    let (size, blocked) = (size_of::<libc::clone_args>(), BlockedSignals::new());
    // SAFETY: a valid order of that size. The child has a copy of all memory, and makes system calls only.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const order, size) };
    if result == 0 {
        // SAFETY: this is the child; null-terminated arrays of null-terminated strings, open descriptors.
        unsafe {
            let program = program.as_ptr();
            let tells = tells.as_raw_fd();
            execute(program, argv.as_ptr(), envp.as_ptr(), streams, tells, parent)
        };
    }
    let why = io::Error::last_os_error();
    drop((blocked, tells));
    if result < 0 {
        return Err(why);
    }
    // SAFETY: the call succeeded and stored a descriptor that is ours alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = result as i32;
    let mut errno = [0; 4];
    match rustix::io::read(&told, &mut errno) {
        Ok(4) => {
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
        }
        // Nobody has said anything: it runs.
        _ => Ok((pid, pidfd)),
    }
}

/// What the child of [`start`] does: becomes the program, or says why not and ends.
///
/// # Safety
/// The child alone may call it, with null-terminated arrays of null-terminated strings and open descriptors.
unsafe fn execute(
    program: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    streams: [RawFd; 2],
    tells: RawFd,
    parent: libc::pid_t,
) -> ! {
    // SAFETY: system calls on this process' own state, with valid places and what the caller vouches for.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
        if libc::getppid() != parent {
            // The parent died before the kernel could be asked.
            libc::_exit(127);
        }
        libc::setpgid(0, 0);
        for (target, fd) in streams.into_iter().enumerate() {
            libc::dup2(fd, target as c_int);
        }
        for signal in 1..=31 {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, ptr::null(), &raw mut action);
            let is_ours = ![libc::SIG_IGN, libc::SIG_DFL].contains(&action.sa_sigaction);
            // What arrives from now on must not run a handler of ours; and Rust ignores SIGPIPE.
            if is_ours || signal == libc::SIGPIPE {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(program, argv, envp);
        let errno = (*libc::__errno_location()).to_ne_bytes();
        libc::write(tells, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// All signals blocked until dropped: between clone and exec no handler of ours may run in the child.
#[expect(missing_debug_implementations, reason = "a mask of the C library's")]
pub struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    /// Blocks them for this thread.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it acts")]
    pub fn new() -> BlockedSignals {
        // SAFETY: valid places for both masks.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            BlockedSignals(before)
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the mask that was there before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &CStr, group: Option<BorrowedFd<'_>>) -> io::Result<(i32, OwnedFd)> {
        let null = std::fs::File::open("/dev/null").expect("there is one");
        let streams = [null.as_fd(), null.as_fd()];
        let arguments = [c"it".into(), c"60".into()];
        start(Order { program, arguments: &arguments, environment: &[], streams, group })
    }

    fn wait(pidfd: &OwnedFd) -> Option<i32> {
        let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("ours");
        end.and_then(|end| end.terminating_signal())
    }

    #[test]
    fn a_program_without_a_group_runs_or_it_is_said_why_not() {
        let (_, pidfd) = run(c"/bin/false", None).expect("started");
        assert_eq!(wait(&pidfd), None);
        let why = run(c"/no/such/program", None).expect_err("it is not there");
        assert_eq!(why.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_started_dies_with_the_thread_that_started_it() {
        let started = std::thread::spawn(|| run(c"/bin/sleep", None).expect("started"));
        let (_, pidfd) = started.join().expect("no panic");
        assert_eq!(wait(&pidfd), Some(libc::SIGKILL));
    }

    /// In the group that this process is in, if there is one that can be told.
    #[test]
    fn a_program_runs_or_it_is_said_why_not() {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let mut groups = mounts.map(|mount| format!("{mount}/{path}")).into_iter();
        let is_group = |path: &String| std::path::Path::new(path).join("cgroup.procs").exists();
        let Some(group) = groups.find(is_group) else { return };
        let group = std::fs::File::open(group).expect("a folder");
        match run(c"/bin/false", Some(group.as_fd())) {
            Ok((_, pidfd)) => {
                let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
                let end = end.expect("ours").expect("it has ended");
                assert_eq!(end.exit_status(), Some(1));
                let why = run(c"/no/such/program", Some(group.as_fd()));
                let why = why.expect_err("it is not there");
                assert_eq!(why.kind(), io::ErrorKind::NotFound);
            }
            // Somebody else's group.
            Err(why) => assert_ne!(why.kind(), io::ErrorKind::NotFound, "{why}"),
        }
    }
}
