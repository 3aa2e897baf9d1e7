//! Nothing of a run survives it: a worker kills what it started when its supervisor is gone.
//!
//! The worker asks the kernel for SIGCONT when its parent dies: this signal reaches even a stopped
//! worker (Ctrl-Z), and it is not a request to stop. Its handler kills the running command's
//! process group at once. While the supervisor lives, signals that ask to stop have no effect here:
//! stopping is the supervisor's part. A service manager, a batch scheduler or an outer msup that
//! signals all processes of a run must not make workers kill commands that are just writing their
//! checkpoints.
//!
//! A worker that runs commands is a subreaper: orphans below it become its children, so it finds
//! processes that left the command's group. In a task loop the supervisor is that subreaper,
//! because a task function waits for children of its own, and the loop cannot tell which exited
//! child it may reap.

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

/// The process group of the running command; 0 if there is none.
static COMMAND_GROUP: AtomicI32 = AtomicI32::new(0);
/// The id of this process, to recognise forked children, and its supervisor's.
static WORKER: AtomicI32 = AtomicI32::new(0);
static SUPERVISOR: AtomicI32 = AtomicI32::new(0);
static TOLD_TO_EXIT: AtomicBool = AtomicBool::new(false);
static DIES_AT_ONCE: AtomicBool = AtomicBool::new(false);
/// The futex this worker parks on; null until it has a seat.
static PARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// What a worker does when its supervisor is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Its task function may compute for hours: the handler itself kills the whole process group.
    AtOnce,
    /// Its loop checks often: the handler kills the command, the loop sweeps and exits.
    Sweeping,
}

/// Makes this process a guardian. Exits if the supervisor died before the death signal was set.
pub(crate) fn stand_guard(supervisor: i32, manner: Manner) -> nix::Result<()> {
    WORKER.store(getpid().as_raw(), Ordering::Relaxed);
    SUPERVISOR.store(supervisor, Ordering::Relaxed);
    DIES_AT_ONCE.store(manner == Manner::AtOnce, Ordering::Relaxed);
    // No SA_RESTART: a futex wait or a poll must return, so that `told_to_exit()` is checked.
    let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGCONT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        // SAFETY: `on_signal` calls only what a signal handler may, and touches only atomics.
        let before = unsafe { sigaction(signal, &action) }?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            // Stays ignored, so that `nohup` works for commands, too.
            // SAFETY: the former action.
            unsafe { sigaction(signal, &before) }?;
        }
    }
    outlive_file_limit()?;
    prctl::set_child_subreaper(manner == Manner::Sweeping)?;
    prctl::set_pdeathsig(Signal::SIGCONT)?;
    if getppid().as_raw() != supervisor {
        process::exit(i32::from(exit::WORKER_TOLD_TO_EXIT));
    }
    Ok(())
}

/// A write that would exceed the limit on file sizes is an error and does not kill this worker,
/// unless the program has set its own handler. A handler, since an ignored signal would stay
/// ignored across `exec`.
fn outlive_file_limit() -> nix::Result<()> {
    extern "C" fn does_nothing(_: nix::libc::c_int) {}
    let action =
        SigAction::new(SigHandler::Handler(does_nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing.
    let before = unsafe { sigaction(Signal::SIGXFSZ, &action) }?;
    if !matches!(before.handler(), SigHandler::SigDfl | SigHandler::SigIgn) {
        // SAFETY: the former action.
        unsafe { sigaction(Signal::SIGXFSZ, &before) }?;
    }
    Ok(())
}

extern "C" fn on_signal(signal: nix::libc::c_int) {
    if getpid().as_raw() != WORKER.load(Ordering::Relaxed) {
        // A forked child of a task function has inherited this handler, but not the duty.
        // As if there were no handler.
        // SAFETY: the default action needs no handler to stay valid.
        unsafe { nix::libc::signal(signal, nix::libc::SIG_DFL) };
        // SAFETY: it may be called in a handler.
        unsafe { nix::libc::raise(signal) };
        return;
    }
    if getppid().as_raw() == SUPERVISOR.load(Ordering::Relaxed) {
        return;
    }
    TOLD_TO_EXIT.store(true, Ordering::SeqCst);
    kill_command();
    // SAFETY: null, or a word of the segment, which stays mapped as long as the process lives.
    if let Some(park) = unsafe { PARK.load(Ordering::SeqCst).as_ref() } {
        // A loop that has just checked the flag must not fall asleep now: the word that it read
        // before has changed.
        park.fetch_add(1, Ordering::SeqCst);
    }
    if DIES_AT_ONCE.load(Ordering::Relaxed) {
        // Its own group, itself included: children of the task function are in it.
        let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
    }
}

/// Kills a command that was started although the supervisor was already gone. Call it after
/// [`guard`], with signals unblocked.
pub(crate) fn end_if_told() {
    if told_to_exit() {
        kill_command();
    }
}

fn kill_command() {
    let group = COMMAND_GROUP.load(Ordering::SeqCst);
    if group > 0 {
        let _ = kill(Pid::from_raw(-group), Signal::SIGKILL);
    }
}

/// From now on the handler keeps this worker from sleeping on this futex.
pub(crate) fn keep_awake(park: &'static AtomicU32) {
    PARK.store(ptr::from_ref(park).cast_mut(), Ordering::SeqCst);
}

/// Whether the supervisor is gone, so that this worker must exit.
pub(crate) fn told_to_exit() -> bool {
    TOLD_TO_EXIT.load(Ordering::SeqCst)
}

/// From now on `group` dies with the supervisor. Call it while signals are blocked.
pub(crate) fn guard(group: i32) {
    COMMAND_GROUP.store(group, Ordering::SeqCst);
}

/// The group's leader is about to be reaped; its number may then be reused.
pub(crate) fn release() {
    COMMAND_GROUP.store(0, Ordering::SeqCst);
}

/// Kills every process below this one, for at most `patience`.
pub(crate) fn sweep(patience: Duration) {
    let started = Instant::now();
    let me = getpid().as_raw();
    while has_children() && started.elapsed() < patience {
        for child in process_tree::children_of(me).into_iter().filter(|child| !child.exited) {
            if child.group == child.pid {
                let _ = kill(Pid::from_raw(-child.group), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(child.pid), Signal::SIGKILL);
        }
        // Killed children need a moment to exit; then their children become ours.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The exit status of a worker that was told to leave: whether it leaves processes running. They
/// become the supervisor's children.
pub(crate) fn status_of_leaving() -> u8 {
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, options) {
        Err(nix::errno::Errno::ECHILD) => exit::SUCCESS,
        _ => exit::WORKER_LEFT_PROCESSES,
    }
}

/// Reaps children that have exited. Returns whether any child is left.
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
