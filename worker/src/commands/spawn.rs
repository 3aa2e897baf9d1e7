//! Starting a command: `clone(CLONE_VM | CLONE_VFORK)`, the cheapest way that can also set a death
//! signal before the command runs.
//!
//! The child shares this process' memory until it has executed the command, and this thread sleeps
//! until then. So the child may read everything prepared here, but must only make system calls.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use libc::{c_char, c_int, c_void};
use msup_protocol::crash;
use msup_protocol::env as names;
use msup_protocol::launch::BlockedSignals;
use msup_protocol::timeslice::Timeslice;
use rustix::pipe::PipeFlags;

use super::children::Children;
use super::place::Prepared;
use crate::guardian;

const STACK_BYTES: usize = 64 << 10;

/// The number of attempts to start a command when the system is short of processes or memory, or
/// another process is still writing the program file.
const TRIES: u32 = 6;

/// A running command.
pub(super) struct Child {
    pub(super) pid: i32,
    /// Where its standard output and standard error can be read, unless they go elsewhere.
    pub(super) outputs: [Option<OwnedFd>; 2],
}

/// The streams of a command that are made before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GivenStreams<'a> {
    /// Its standard input; `None`: an empty one.
    pub(super) stdin: Option<BorrowedFd<'a>>,
    /// Its standard output and standard error; `None`: two new pipes.
    pub(super) outputs: Option<[BorrowedFd<'a>; 2]>,
}

/// What every start needs.
pub(super) struct Spawner {
    stack: Box<[MaybeUninit<u64>]>,
    /// Of this process: /dev/null, unless commands are to have what msup got.
    stdin: File,
    nofile: u64,
    timeslice: Option<Timeslice>,
    search: Vec<Vec<u8>>,
    /// The last bare program name and where it was found.
    found: Option<(CString, CString)>,
    /// The last command could not enter its folder.
    pub(super) is_outside: bool,
}

impl Spawner {
    /// `nofile` is the soft limit on open files that commands get.
    pub(super) fn new(nofile: u64) -> io::Result<Spawner> {
        let path =
            std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        if std::env::var_os(names::KEEPS_IGNORED).is_none() {
            reset_ignored_signals();
        }
        Ok(Spawner {
            stack: Box::new_uninit_slice(STACK_BYTES / 8),
            stdin: io::stdin().as_fd().try_clone_to_owned()?.into(),
            nofile,
            timeslice: Timeslice::of_commands(),
            search: path.as_bytes().split(|byte| *byte == b':').map(<[u8]>::to_vec).collect(),
            found: None,
            is_outside: false,
        })
    }

    /// Starts `argv` in a session of its own, so without a terminal. The command dies with this
    /// process. `memory` limits its data in bytes, 0 for no limit; `place`: where it runs.
    /// `children` are this process' other children.
    ///
    /// # Errors
    /// Why the program cannot be executed, or no process created.
    pub(super) fn spawn(
        &mut self,
        argv: &[CString],
        envp: &[CString],
        given: GivenStreams<'_>,
        (memory, place): (u64, &Prepared),
        children: &mut Children,
    ) -> io::Result<Child> {
        let program = argv.first().ok_or(io::ErrorKind::InvalidInput)?;
        let candidates = self.candidates(program);
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
        let pipes = if given.outputs.is_none() { Some([pipe()?, pipe()?]) } else { None };
        let ends = pipes.as_ref().map(|pipes| pipes.each_ref().map(|(_, end)| end.as_fd()));
        // One of the two is there.
        let ends = given.outputs.or(ends).unwrap_or([self.stdin.as_fd(); 2]);
        let stdin = given.stdin.unwrap_or(self.stdin.as_fd()).as_raw_fd();
        let argv = pointers(argv);
        let mut script_argv = vec![c"sh".as_ptr(), ptr::null()];
        script_argv.extend(&argv[1..]);
        let mut order = Order {
            candidates: pointers(&candidates),
            argv,
            script_argv,
            envp: pointers(envp),
            fds: [stdin, ends[0].as_raw_fd(), ends[1].as_raw_fd()],
            // SAFETY: no arguments, cannot fail.
            parent: unsafe { libc::getpid() },
            nofile: self.nofile,
            timeslice: self.timeslice,
            memory,
            folder: place.folder.as_ref().map_or(ptr::null(), |folder| folder.as_ptr()),
            nice: place.nice,
            tried: 0,
            errno: 0,
            is_outside: false,
        };
        let mut pause = Duration::from_millis(1);
        self.is_outside = false;
        for tries_left in (0..TRIES).rev() {
            match self.start(&mut order) {
                Ok(pid) => {
                    self.remember(program, &candidates[order.tried]);
                    let outputs =
                        pipes.map_or([None, None], |pipes| pipes.map(|(end, _)| Some(end)));
                    return Ok(Child { pid, outputs });
                }
                Err(why) if tries_left > 0 && is_passing(&why) && !guardian::told_to_exit() => {
                    std::thread::sleep(pause);
                    pause *= 4;
                    children.reap_left();
                }
                Err(why) => {
                    self.is_outside = order.is_outside;
                    return Err(why);
                }
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Explains an error of [`Spawner::spawn`] where the error number alone is not enough; else
    /// empty.
    pub(super) fn explain(&self, argv: &[CString], errno: i32) -> String {
        let Some(program) = argv.first().filter(|_| errno == libc::ENOENT) else {
            return String::new();
        };
        let name = String::from_utf8_lossy(program.to_bytes());
        let is_there = |path: &CString| Path::new(OsStr::from_bytes(path.to_bytes())).exists();
        if let Some(path) = self.candidates(program).iter().find(|path| is_there(path)) {
            format!("{}: its interpreter does not exist", String::from_utf8_lossy(path.to_bytes()))
        } else if name.contains('/') {
            format!("{name}: no such file")
        } else {
            format!("{name}: command not found in PATH")
        }
    }

    fn candidates(&self, program: &CStr) -> Vec<CString> {
        if program.is_empty() || program.to_bytes().contains(&b'/') {
            return vec![program.to_owned()];
        }
        let known = self.found.iter().filter(|(name, _)| name.as_c_str() == program);
        let known = known.map(|(_, path)| path.clone());
        let searched = self.search.iter().filter_map(|folder| {
            let folder = if folder.is_empty() { b"." } else { folder.as_slice() };
            CString::new([folder, b"/", program.to_bytes()].concat()).ok()
        });
        known.chain(searched).collect()
    }

    fn remember(&mut self, program: &CStr, path: &CStr) {
        if self
            .found
            .as_ref()
            .is_none_or(|(name, known)| name.as_c_str() != program || known.as_c_str() != path)
        {
            self.found = Some((program.to_owned(), path.to_owned()));
        }
    }

    fn start(&mut self, order: &mut Order) -> io::Result<i32> {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        order.errno = 0;
        // The command must be under guard before the death signal can arrive.
        let blocked = BlockedSignals::new();
        // SAFETY: one past the end of the stack's allocation, which is aligned to 16 by `& !15`.
        let top = unsafe { self.stack.as_mut_ptr().add(self.stack.len()) };
        let top = (top as usize & !15) as *mut c_void;
        let argument = ptr::from_mut(order).cast::<c_void>();
        // SAFETY: the child runs `child` on its own stack while this thread sleeps (CLONE_VFORK),
        // so `order` and the stack outlive the child's use of them; it makes system calls only.
        let pid = unsafe { libc::clone(child, top, flags, argument) };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if order.errno != 0 {
            // SAFETY: our own child, which has exited or is about to; a null status is allowed.
            unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
            return Err(io::Error::from_raw_os_error(order.errno));
        }
        // CRASH: spawned_before_guard. The command's death signal kills it; its task is run again.
        crash::point("spawned_before_guard");
        guardian::guard(pid);
        drop(blocked);
        guardian::end_if_told();
        Ok(pid)
    }
}

fn is_passing(why: &io::Error) -> bool {
    matches!(why.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::ETXTBSY))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// What the child needs, prepared so that it allocates nothing.
struct Order {
    candidates: Vec<*const c_char>,
    argv: Vec<*const c_char>,
    /// `sh`, the candidate, the arguments: for a script without a `#!` line.
    script_argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    fds: [RawFd; 3],
    parent: c_int,
    nofile: u64,
    timeslice: Option<Timeslice>,
    memory: u64,
    /// Its folder; null: that of this process.
    folder: *const c_char,
    nice: Option<i8>,
    /// The child's answers: the last candidate it tried, and why it could execute none; and whether
    /// it could not enter its folder.
    tried: usize,
    errno: c_int,
    is_outside: bool,
}

extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: `start()` passes a valid `Order` that no other code touches while its thread sleeps.
    let order = unsafe { &mut *order.cast::<Order>() };
    match prepare(order) {
        Ok(()) => execute(order),
        Err(errno) => order.errno = errno,
    }
    // SAFETY: exits this process only, and runs no code of the process that owns the memory.
    unsafe { libc::_exit(127) }
}

fn prepare(order: &mut Order) -> Result<(), c_int> {
    // SAFETY: changes this process only.
    check(unsafe { libc::setsid() })?;
    // SAFETY: as above; SIGKILL is a valid death signal.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // The parent may have died before the death signal was set.
    // SAFETY: no arguments, cannot fail.
    if unsafe { libc::getppid() } != order.parent {
        return Err(libc::ESRCH);
    }
    for (target, fd) in order.fds.into_iter().enumerate() {
        // SAFETY: three open descriptors onto this process' own 0, 1 and 2. All are above 2, except
        // that 2 may be its own.
        check(unsafe { libc::dup2(fd, target as c_int) })?;
    }
    restore_nofile(order.nofile);
    limit_memory(order.memory)?;
    if !order.folder.is_null() {
        // The table of folders is this process' own (no CLONE_FS).
        // SAFETY: a null-terminated string, owned by the sleeping parent.
        let entered = check(unsafe { libc::chdir(order.folder) });
        order.is_outside = entered.is_err();
        entered?;
    }
    if let Some(timeslice) = &order.timeslice {
        timeslice.take();
    }
    // After the time slice, which is set together with the level that the worker has.
    if let Some(nice) = order.nice {
        // As in GNU parallel, a level that is not allowed is left as it is.
        // SAFETY: changes this process only.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice.into()) };
    }
    for signal in [libc::SIGPIPE, libc::SIGTERM] {
        // SAFETY: the table of handlers is this process' own (no CLONE_SIGHAND). It must be reset
        // while signals are blocked: a handler would run in the parent's memory.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: all-zero is a valid value of a mask, the empty one.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the mask is valid, and a null pointer asks for no answer.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
    Ok(())
}

fn restore_nofile(soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    if known && limit.rlim_cur != soft {
        limit.rlim_cur = soft.min(limit.rlim_max);
        // SAFETY: a valid limit of this process. On failure the command has more files than usual.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// Limits the data of each process of the command, this one first.
fn limit_memory(bytes: u64) -> Result<(), c_int> {
    if bytes == 0 {
        return Ok(());
    }
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: a valid limit of this process.
    check(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) })
}

/// Tries the candidates in turn; returns only if none can be executed.
fn execute(order: &mut Order) {
    let mut errno = libc::ENOENT;
    for index in 0..order.candidates.len() - 1 {
        let path = order.candidates[index];
        order.tried = index;
        // SAFETY: null-terminated arrays of null-terminated strings, owned by the sleeping parent.
        unsafe { libc::execve(path, order.argv.as_ptr(), order.envp.as_ptr()) };
        match last_errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            // As in execvp(3), and so what xargs users expect of a script without `#!`.
            libc::ENOEXEC => {
                order.script_argv[1] = path;
                let shell = c"/bin/sh".as_ptr();
                // SAFETY: as above.
                unsafe { libc::execve(shell, order.script_argv.as_ptr(), order.envp.as_ptr()) };
                errno = libc::ENOEXEC;
            }
            other => errno = other,
        }
        if !matches!(errno, libc::ENOENT | libc::EACCES) {
            break;
        }
    }
    order.errno = errno;
}

fn check(result: c_int) -> Result<(), c_int> {
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> c_int {
    // SAFETY: always a valid place.
    unsafe { *libc::__errno_location() }
}

/// Commands start with default dispositions: signals that were ignored when msup was started would
/// stay ignored across `exec`. SIGHUP stays as it is, for `nohup`.
fn reset_ignored_signals() {
    for signal in 1..=31 {
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGHUP | libc::SIGPIPE) {
            continue;
        }
        // SAFETY: all-zero is a valid value of a structure of integers, a mask and an optional
        // pointer.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a null pointer changes nothing; the other one is a valid place for the answer.
        unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
        if action.sa_sigaction == libc::SIG_IGN {
            // SAFETY: default dispositions run no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
