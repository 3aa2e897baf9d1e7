//! Starting a worker: from its first instruction on it dies with its parent, and is in its control
//! group if it has one.
//!
//! The standard library cannot do either without slow workarounds: the death signal must be set in
//! the child before it executes anything, and moving a process into a group later must wait until
//! no process on the machine forks, which takes some milliseconds each time. This is what
//! `posix_spawn` does, with a death signal, and with `clone3` into a control group.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_char, c_int, c_void};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// The size of the child's stack while it shares memory.
const STACK_BYTES: usize = 64 << 10;

/// The status of a child that could not execute the program; it is never reported.
const NOT_EXECUTED: c_int = 127;

/// `CLONE_INTO_CGROUP`, which is wider than the C library's type for such flags.
const INTO_GROUP: u64 = 1 << 33;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The program's path.
    pub program: &'a CStr,
    /// Its arguments; the first one is its name.
    pub arguments: &'a [CString],
    /// Its environment.
    pub environment: &'a [CString],
    /// Its standard input and output.
    pub streams: [BorrowedFd<'a>; 2],
    /// The control group to start it in; `None`: the caller's own.
    pub group: Option<BorrowedFd<'a>>,
}

/// Starts a program in a session of its own, so without a terminal. The kernel kills it when the
/// calling thread exits, unless the program changes that. Returns its id and its pidfd.
///
/// # Errors
/// The kernel's error: it cannot create a process, not in this group, or the program cannot be
/// executed.
pub fn start(what: Order<'_>) -> io::Result<(i32, OwnedFd)> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let mut child = Child {
        program: what.program.as_ptr(),
        argv: pointers(what.arguments),
        envp: pointers(what.environment),
        streams: what.streams.map(|stream| stream.as_raw_fd()),
        parent: rustix::process::getpid().as_raw_pid(),
        errno: 0,
    };
    let (pid, pidfd) = match what.group {
        None => borrowing_memory(&mut child)?,
        Some(group) => in_group(&mut child, group)?,
    };
    if child.errno != 0 {
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
        return Err(io::Error::from_raw_os_error(child.errno));
    }
    Ok((pid, pidfd))
}

/// What the child needs, prepared so that it allocates nothing.
struct Child {
    program: *const c_char,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    streams: [RawFd; 2],
    parent: libc::pid_t,
    /// The child's answer: why it could not execute the program.
    errno: c_int,
}

/// The cheapest way: the child shares this process' memory until it executes the program, and this
/// thread sleeps until then.
fn borrowing_memory(child: &mut Child) -> io::Result<(i32, OwnedFd)> {
    extern "C" fn run(child: *mut c_void) -> c_int {
        // SAFETY: the only reference while the parent sleeps; it is passed below.
        let child = unsafe { &mut *child.cast::<Child>() };
        // SAFETY: this is the child, and what it was given is valid as long as the parent sleeps.
        child.errno = unsafe { child.execute() };
        NOT_EXECUTED
    }
    let mut stack: Box<[MaybeUninit<u64>]> = Box::new_uninit_slice(STACK_BYTES / 8);
    // SAFETY: one past the end of the allocation, which is aligned to 16 by `& !15`.
    let top = unsafe { stack.as_mut_ptr().add(stack.len()) };
    let top = top.map_addr(|top| top & !15).cast::<c_void>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: c_int = -1;
    let _blocked = BlockedSignals::new();
    // SAFETY: the child runs on its own stack while this thread sleeps (CLONE_VFORK), so the stack
    // and the argument outlive the child's use of them; it makes system calls only. The kernel
    // stores the descriptor in the last argument.
    let pid = unsafe {
        libc::clone(run, top, flags, ptr::from_mut(child).cast::<c_void>(), &raw mut pidfd)
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and stored a descriptor that is ours alone.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// In a control group: only `clone3` can do this, and it cannot run a function on another stack, so
/// the child gets a copy of all memory.
fn in_group(child: &mut Child, group: BorrowedFd<'_>) -> io::Result<(i32, OwnedFd)> {
    let mut pidfd: c_int = -1;
    // SAFETY: all-zero is a valid value of a structure of integers.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    // This thread sleeps until the program runs or the child reports why not.
    order.flags = (libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64 | INTO_GROUP;
    order.pidfd = ptr::from_mut(&mut pidfd) as u64;
    order.exit_signal = libc::SIGCHLD as u64;
    order.cgroup = group.as_raw_fd() as u64;
    let (told, tells) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (size, blocked) = (size_of::<libc::clone_args>(), BlockedSignals::new());
    // SAFETY: valid arguments of that size. The child has a copy of all memory, and makes system
    // calls only.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const order, size) };
    if result == 0 {
        // SAFETY: this is the child. Its copy of `child` has null-terminated arrays of
        // null-terminated strings, and its descriptors are open copies of the parent's.
        let errno = unsafe { child.execute() }.to_ne_bytes();
        // SAFETY: the buffer is a local array, and its own length is passed.
        unsafe { libc::write(tells.as_raw_fd(), errno.as_ptr().cast(), errno.len()) };
        // SAFETY: it runs no destructors and no handlers: this copy of the parent's memory is
        // never used again.
        unsafe { libc::_exit(NOT_EXECUTED) };
    }
    let why = io::Error::last_os_error();
    drop((blocked, tells));
    if result < 0 {
        return Err(why);
    }
    // SAFETY: the call succeeded and stored a descriptor that is ours alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let mut errno = [0; 4];
    // An empty pipe means that the program runs.
    if rustix::io::read(&told, &mut errno) == Ok(errno.len()) {
        child.errno = c_int::from_ne_bytes(errno);
    }
    Ok((result as i32, pidfd))
}

impl Child {
    /// The child's part: becomes the program, or returns why not.
    ///
    /// # Safety
    /// Only the child may call it, with null-terminated arrays of null-terminated strings and open
    /// descriptors.
    unsafe fn execute(&self) -> c_int {
        // SAFETY: this option takes a number, and changes only this process.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
        // SAFETY: it takes nothing and cannot fail.
        if unsafe { libc::getppid() } != self.parent {
            // The parent died before the death signal was set.
            // SAFETY: it exits this process only, and runs no code of the process that owns the
            // memory.
            unsafe { libc::_exit(NOT_EXECUTED) };
        }
        // SAFETY: it takes nothing, and changes only this process.
        unsafe { libc::setsid() };
        for (target, fd) in self.streams.into_iter().enumerate() {
            // SAFETY: the caller guarantees that `fd` is open. The descriptors 0 and 1 of this
            // process belong to no value of Rust that is used before exec.
            unsafe { libc::dup2(fd, target as c_int) };
        }
        reset_signals();
        // SAFETY: the caller guarantees a null-terminated path and null-terminated arrays of
        // null-terminated strings. It returns only if it has failed.
        unsafe { libc::execve(self.program, self.argv.as_ptr(), self.envp.as_ptr()) };
        // SAFETY: always a valid place. A child that shares memory uses the one of the parent's
        // thread, which sleeps.
        unsafe { *libc::__errno_location() }
    }
}

/// Gives up the handlers of the parent, for a child that is about to execute a program, and
/// unblocks all signals. Allocates nothing.
fn reset_signals() {
    for signal in 1..=31 {
        // SAFETY: all-zero is a valid value of a structure of integers, a mask and an optional
        // pointer.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a null pointer changes nothing; the other one is a valid place for the answer.
        unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
        let is_ours = ![libc::SIG_IGN, libc::SIG_DFL].contains(&action.sa_sigaction);
        // Our handlers must not run for a signal that arrives from now on; and Rust ignores
        // SIGPIPE.
        if is_ours || signal == libc::SIGPIPE {
            // SAFETY: the default action needs no handler to stay valid. The table of handlers is
            // the child's own: neither clone shares it (CLONE_SIGHAND).
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    // SAFETY: all-zero is a valid value of a mask, the empty one.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the mask is valid, and a null pointer asks for no answer. All handlers of ours are
    // gone, so that none runs now.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// All signals blocked until dropped: between clone and exec none of our handlers may run in the
/// child.
#[expect(missing_debug_implementations, reason = "a mask of the C library's")]
pub struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    /// Blocks them for this thread.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it acts")]
    pub fn new() -> BlockedSignals {
        // SAFETY: all-zero is a valid value of a mask.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        let mut before = all;
        // SAFETY: a valid pointer to a mask of this function.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: valid pointers to both masks. It changes only this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        BlockedSignals(before)
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: a valid pointer to the former mask. It changes only this thread.
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

    /// In this process' own control group, if it can be found.
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
                let end = end.expect("ours").expect("it has exited");
                assert_eq!(end.exit_status(), Some(1));
                let why = run(c"/no/such/program", Some(group.as_fd()));
                let why = why.expect_err("it is not there");
                assert_eq!(why.kind(), io::ErrorKind::NotFound);
            }
            // Another user's group.
            Err(why) => assert_ne!(why.kind(), io::ErrorKind::NotFound, "{why}"),
        }
    }
}
