//! Starting a program in a control group: it is there from its first instruction on, with all that it starts.
//!
//! A process that is moved into a group later must wait until nobody on the machine forks, some milliseconds each. The C
//! library has no call for it yet; this is what its `posix_spawn` does, with `clone3` and one more argument.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_char, c_int};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// `CLONE_INTO_CGROUP`, which is wider than the C library's type for such flags.
const INTO_GROUP: u64 = 1 << 33;

/// Starts `program` in `group` and in a process group of its own, with these arguments, the first one being its name,
/// this environment, and these two as its standard input and output. Returns its id and a descriptor of it.
///
/// # Errors
/// What the kernel says: no process can be made, not in this group, or the program cannot be executed.
pub fn in_group(
    group: BorrowedFd<'_>,
    program: &CStr,
    arguments: &[CString],
    environment: &[CString],
    streams: [BorrowedFd<'_>; 2],
) -> io::Result<(i32, OwnedFd)> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let streams = streams.map(|stream| stream.as_raw_fd());
    let mut pidfd: c_int = -1;
    // SAFETY: all-zero is a valid value of a structure of integers.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    // This thread sleeps until the program runs, so that it can be told why it does not.
    order.flags = (libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64 | INTO_GROUP;
    order.pidfd = ptr::from_mut(&mut pidfd) as u64;
    order.exit_signal = libc::SIGCHLD as u64;
    order.cgroup = group.as_raw_fd() as u64;
    let (told, tells) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (size, blocked) = (size_of::<libc::clone_args>(), BlockedSignals::new());
    // SAFETY: a valid order of that size. The child has a copy of all memory, and makes system calls only.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const order, size) };
    if result == 0 {
        // SAFETY: this is the child; null-terminated arrays of null-terminated strings, open descriptors.
        unsafe {
            execute(program.as_ptr(), argv.as_ptr(), envp.as_ptr(), streams, tells.as_raw_fd())
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

/// What the child of [`in_group`] does: becomes the program, or says why not and ends.
///
/// # Safety
/// The child alone may call it, with null-terminated arrays of null-terminated strings and open descriptors.
unsafe fn execute(
    program: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    streams: [RawFd; 2],
    tells: RawFd,
) -> ! {
    // SAFETY: system calls on this process' own state, with valid places and what the caller vouches for.
    unsafe {
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
        let null = std::fs::File::open("/dev/null").expect("there is one");
        let start = |program: &CStr| {
            let streams = [null.as_fd(), null.as_fd()];
            in_group(group.as_fd(), program, &[c"it".into()], &[], streams)
        };
        match start(c"/bin/false") {
            Ok((_, pidfd)) => {
                let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
                let end = end.expect("ours").expect("it has ended");
                assert_eq!(end.exit_status(), Some(1));
                let why = start(c"/no/such/program").expect_err("it is not there");
                assert_eq!(why.kind(), io::ErrorKind::NotFound);
            }
            // Somebody else's group.
            Err(why) => assert_ne!(why.kind(), io::ErrorKind::NotFound, "{why}"),
        }
    }
}
