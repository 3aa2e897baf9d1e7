//! Finding the supervisor: the inherited descriptors, and a seat in the segment.

use std::env;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msup_protocol::bell::Bell;
use msup_protocol::crash::{self, Role};
use msup_protocol::env as names;
use msup_protocol::exit;
use msup_protocol::in_flight::InFlight;
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;
use msup_protocol::segment::{AttachError, Segment};
use msup_protocol::worker_side::Seat;
use rustix::io::FdFlags;

use crate::guardian::{self, Manner};

/// Why a process that was started as a worker cannot be one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotAttach {
    #[error("{name} is missing or wrong: this program is started by msup")]
    Environment { name: &'static str },
    #[error(transparent)]
    Segment(#[from] AttachError),
    #[error("the segment has no slot {0}")]
    Slot(WorkerId),
    #[error("it has started threads before msup_worker::run(): call that first")]
    Threads,
    #[error("cannot prepare the process: {0}")]
    System(#[from] nix::Error),
}

impl CannotAttach {
    /// The status by which the supervisor recognises the error.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            CannotAttach::Segment(AttachError::Mismatch(_)) => exit::WORKER_MISMATCH,
            _ => exit::WORKER_CANNOT_ATTACH,
        }
    }
}

/// A worker's post: its seat, the bell, and the run's folder.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) seat: Seat<'static, Futex>,
    pub(crate) bell: Bell<'static>,
    pub(crate) folder: Arc<Path>,
    /// The file in which this worker notes the attempts it takes up, if a journal is kept.
    pub(crate) in_flight: Option<InFlight>,
    /// The file from which commands get blocks, if they do.
    pub(crate) blocks: Option<OwnedFd>,
    pub(crate) ends: CommandEnds,
}

/// Where the streams of commands end, if not at this worker.
#[derive(Debug)]
pub(crate) struct CommandEnds {
    /// With `--lb`: the pipe for parts of their outputs.
    pub(crate) live: Option<OwnedFd>,
    /// With `--ungroup`: their standard output. Their standard error is this process' own.
    pub(crate) stdout: Option<OwnedFd>,
    /// With `--tty`: their standard input.
    pub(crate) tty: Option<OwnedFd>,
}

/// Takes the seat that this process was started for; [`Post::report_for_work`] follows. `None` if
/// there is no supervisor. `release` requires a supervisor of exactly that release.
pub(crate) fn attach(release: Option<&str>, manner: Manner) -> Result<Option<Post>, CannotAttach> {
    if env::var_os(names::SEGMENT_FD).is_none() {
        return Ok(None);
    }
    guardian::stand_guard(number(names::SUPERVISOR_PID)?, manner)?;
    let segment_fd = inherited(names::SEGMENT_FD)?;
    let bell_fd = inherited(names::DOORBELL_FD)?;
    let me = number(names::WORKER_SLOT)?;
    let folder = env::var_os(names::RUN_FOLDER)
        .ok_or(CannotAttach::Environment { name: names::RUN_FOLDER })?;
    let in_flight = in_flight();
    let all = [names::BLOCKS_FD, names::LIVE_FD, names::STDOUT_FD, names::TTY_FD];
    let [blocks, live, stdout, tty] = all.map(if_inherited);
    let (blocks, ends) = (blocks?, CommandEnds { live: live?, stdout: stdout?, tty: tty? });
    crash::arm(Role::Worker);
    forget_environment()?;
    // A worker keeps its seat until it exits: the segment and the bell live as long as the process.
    let segment: &'static Segment = Box::leak(Box::new(Segment::attach(&segment_fd, release)?));
    let bell_fd: &'static OwnedFd = Box::leak(Box::new(bell_fd));
    let shared = segment.shared();
    let seat = Seat::new(shared, me, Futex).ok_or(CannotAttach::Slot(me))?;
    let bell = Bell::new(shared.header.bell(), bell_fd.as_fd());
    guardian::keep_awake(&seat.slot().park);
    Ok(Some(Post { seat, bell, folder: PathBuf::from(folder).into(), in_flight, blocks, ends }))
}

impl Post {
    /// Tells the supervisor that this worker has started and takes tasks from now on.
    pub(crate) fn report_for_work(&self) {
        // CRASH: mapped_before_attached. The slot says Starting: a worker that died while starting.
        crash::point("mapped_before_attached");
        self.seat.attach();
        self.bell.ring();
    }
}

/// A file that cannot be opened is ignored: it is missed only after a crash.
fn in_flight() -> Option<InFlight> {
    let path = env::var_os(names::IN_FLIGHT)?;
    let run = env::var_os(names::RUN)?;
    let file = fs::File::options().write(true).open(path).ok()?;
    Some(InFlight::new(file, run.as_bytes()))
}

/// Processes that this one starts are no workers of this run.
fn forget_environment() -> Result<(), CannotAttach> {
    if fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        return Err(CannotAttach::Threads);
    }
    for name in names::FOR_WORKERS {
        // SAFETY: the process has only this thread, as just checked: no other one reads the
        // environment.
        unsafe { env::remove_var(name) };
    }
    Ok(())
}

fn number<T: std::str::FromStr>(name: &'static str) -> Result<T, CannotAttach> {
    env::var(name).ok().and_then(|text| text.parse().ok()).ok_or(CannotAttach::Environment { name })
}

/// An inherited descriptor, if there is one with this name.
fn if_inherited(name: &'static str) -> Result<Option<OwnedFd>, CannotAttach> {
    env::var_os(name).map(|_| inherited(name)).transpose()
}

/// An inherited descriptor, made close-on-exec.
fn inherited(name: &'static str) -> Result<OwnedFd, CannotAttach> {
    let raw: RawFd = number(name)?;
    // SAFETY: only sets a flag of the number; a closed descriptor is an error, not undefined
    // behaviour.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)
        .map_err(|_| CannotAttach::Environment { name })?;
    // SAFETY: it is open and was inherited for this process to own; no other code here knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
