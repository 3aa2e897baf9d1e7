//! Nothing of a run survives it: a worker kills what it started when its supervisor is gone.
//!
//! The worker asks the kernel for SIGCONT when its parent dies: it comes through to a worker that is stopped (Ctrl-Z), and
//! nobody takes it for a request. Its handler kills the running command's process group at once. As long as the supervisor
//! lives, no signal that asks to stop does anything here: stopping is the supervisor's part, and whoever signals all
//! processes of a run (a service manager, a batch scheduler, an outer msup) must not make workers kill commands that are
//! just writing their checkpoints. A worker that runs commands is a subreaper: whatever loses its
//! parent below it becomes its child, and so it finds what left that group. In a task loop the
//! supervisor is that subreaper, because a task function waits for children of its own: the loop
//! cannot tell which exited child it may reap.

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use msup_protocol::sync::AtomicU32;
use msup_protocol::{exit, process_tree};
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid, getppid};

/// The process group of the running command; 0 when there is none.
static COMMAND_GROUP: AtomicI32 = AtomicI32::new(0);
/// This process, as long as it is not forked, and its supervisor.
static WORKER: AtomicI32 = AtomicI32::new(0);
static SUPERVISOR: AtomicI32 = AtomicI32::new(0);
static TOLD_TO_END: AtomicBool = AtomicBool::new(false);
static DIES_AT_ONCE: AtomicBool = AtomicBool::new(false);
/// The futex this worker parks on; null until it has a seat.
static PARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// How a worker ends when its supervisor is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Its task function may compute for hours: the handler itself ends the whole process group.
    AtOnce,
    /// Its loop looks up often: the handler kills the command, the loop sweeps and leaves.
    Sweeping,
}

/// Makes this process a guardian. Ends it when the supervisor died before the kernel could be asked.
pub(crate) fn stand_guard(supervisor: i32, manner: Manner) -> nix::Result<()> {
    WORKER.store(getpid().as_raw(), Ordering::Relaxed);
    SUPERVISOR.store(supervisor, Ordering::Relaxed);
    DIES_AT_ONCE.store(manner == Manner::AtOnce, Ordering::Relaxed);
    // No SA_RESTART: a futex wait or a poll must come back to look at `told_to_end()`.
    let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGCONT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        // SAFETY: `on_signal` calls only what a signal handler may, and touches only atomics.
        let before = unsafe { sigaction(signal, &action) }?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            // As `nohup` wants it for commands, too.
            // SAFETY: what was there before.
            unsafe { sigaction(signal, &before) }?;
        }
    }
    outlive_file_limit()?;
    prctl::set_child_subreaper(manner == Manner::Sweeping)?;
    prctl::set_pdeathsig(Signal::SIGCONT)?;
    if getppid().as_raw() != supervisor {
        process::exit(i32::from(exit::WORKER_TOLD_TO_END));
    }
    Ok(())
}

/// A file that would grow beyond the limit on file sizes is an error of the write, not the end of this worker, unless
/// the program has said what it is. A handler, since what is ignored would stay ignored in what is executed.
fn outlive_file_limit() -> nix::Result<()> {
    extern "C" fn does_nothing(_: nix::libc::c_int) {}
    let action =
        SigAction::new(SigHandler::Handler(does_nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing.
    let before = unsafe { sigaction(Signal::SIGXFSZ, &action) }?;
    if !matches!(before.handler(), SigHandler::SigDfl | SigHandler::SigIgn) {
        // SAFETY: what was there before.
        unsafe { sigaction(Signal::SIGXFSZ, &before) }?;
    }
    Ok(())
}

extern "C" fn on_signal(signal: nix::libc::c_int) {
    if getpid().as_raw() != WORKER.load(Ordering::Relaxed) {
        // A child that a task function forked has inherited this handler, not the duty.
        // SAFETY: back to the default, and once more: what would have happened without the handler.
        unsafe {
            nix::libc::signal(signal, nix::libc::SIG_DFL);
            nix::libc::raise(signal);
        }
        return;
    }
    if getppid().as_raw() == SUPERVISOR.load(Ordering::Relaxed) {
        return;
    }
    TOLD_TO_END.store(true, Ordering::SeqCst);
    kill_command();
    // SAFETY: null, or a word of the segment, which stays mapped as long as the process lives.
    if let Some(park) = unsafe { PARK.load(Ordering::SeqCst).as_ref() } {
        // A loop that has just looked at the flag and is about to sleep must not: the word it read
        // before has changed now.
        park.fetch_add(1, Ordering::SeqCst);
    }
    if DIES_AT_ONCE.load(Ordering::Relaxed) {
        // Its own group, itself included: children of the task function are in it.
        let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
    }
}

/// A command that was started although this worker had just been told to end goes the same way.
/// Call it after [`guard`], with signals unblocked.
pub(crate) fn end_if_told() {
    if told_to_end() {
        kill_command();
    }
}

fn kill_command() {
    let group = COMMAND_GROUP.load(Ordering::SeqCst);
    if group > 0 {
        let _ = kill(Pid::from_raw(-group), Signal::SIGKILL);
    }
}

/// From now on a worker that is told to end does not sleep on this futex.
pub(crate) fn keep_awake(park: &'static AtomicU32) {
    PARK.store(ptr::from_ref(park).cast_mut(), Ordering::SeqCst);
}

/// Whether this worker shall end at once.
pub(crate) fn told_to_end() -> bool {
    TOLD_TO_END.load(Ordering::SeqCst)
}

/// From now on `group` dies with the supervisor. Call it while signals are blocked.
pub(crate) fn guard(group: i32) {
    COMMAND_GROUP.store(group, Ordering::SeqCst);
}

/// The group's leader is about to be reaped, after which its number may become somebody else's.
pub(crate) fn release() {
    COMMAND_GROUP.store(0, Ordering::SeqCst);
}

/// Kills every process below this one, for at most `patience`.
pub(crate) fn sweep(patience: Duration) {
    let started = Instant::now();
    let me = getpid().as_raw();
    while has_children() && started.elapsed() < patience {
        for child in process_tree::children_of(me).into_iter().filter(|child| !child.ended) {
            if child.group == child.pid {
                let _ = kill(Pid::from_raw(-child.group), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(child.pid), Signal::SIGKILL);
        }
        // Killed children need an instant to end; then theirs become ours.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The exit status of a worker that was told to leave: whether it leaves processes running. They become the
/// supervisor's children.
pub(crate) fn status_of_leaving() -> u8 {
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, options) {
        Err(nix::errno::Errno::ECHILD) => exit::SUCCESS,
        _ => exit::WORKER_LEFT_PROCESSES,
    }
}

/// Reaps children that have exited; whether any child is left.
fn has_children() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
