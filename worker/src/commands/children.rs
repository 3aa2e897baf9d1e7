//! A worker's children: its command, and every orphan below it.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use msup_protocol::codec::Verdict;
use msup_protocol::process_tree;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid};

/// Learns of every child that exits, and reaps it. At most one command runs at a time.
pub(super) struct Children {
    exits: SignalFd,
    /// CPU time of adopted processes reaped since the last call of `take_adopted()`.
    adopted: Duration,
    /// Whether the last look found a child that had not exited.
    any_left: bool,
    /// Processes that earlier commands left running and that were not waited for.
    daemons: Vec<(i32, u64)>,
}

/// What one look finds of the processes that a command left running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// This worker has no children left.
    Nothing,
    /// The number of processes in the session.
    InSession(u32),
    /// Only processes of other sessions were seen.
    OnlyDaemons,
    /// No process was seen, though there is one.
    Unseen,
}

/// How a command exited, and the resources it used.
pub(super) struct Exit {
    pub(super) verdict: Verdict,
    pub(super) cpu: Duration,
    pub(super) sleeps: u64,
    /// Peak memory in bytes of the largest of its processes.
    pub(super) peak: u64,
}

impl Children {
    /// From now on SIGCHLD does not interrupt this thread. Call it before any command is started.
    ///
    /// # Errors
    /// There is no free descriptor.
    pub(super) fn new() -> io::Result<Children> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let exits = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Children { exits, adopted: Duration::ZERO, any_left: false, daemons: Vec::new() })
    }

    /// Readable when a child has exited.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.exits.as_fd()
    }

    /// Reaps every adopted process that has exited. Returns whether the command has exited, without
    /// reaping it.
    pub(super) fn reap_adopted(&mut self, command: i32) -> bool {
        // At most one is pending: a signal after this makes the descriptor readable again.
        let _ = self.exits.read_signal();
        loop {
            match look_at_children() {
                Child::Exited(pid) if pid == command => return true,
                Child::Exited(pid) => self.note_adopted(pid),
                Child::Running | Child::None => return false,
            }
        }
    }

    /// Reaps the command, which has exited. Its number may be reused from now on.
    pub(super) fn reap_command(&mut self, command: i32) -> Exit {
        let Some((status, used)) = wait4(command) else {
            let verdict = Verdict::Trouble("cannot wait for the command".into());
            return Exit { verdict, cpu: Duration::ZERO, sleeps: 0, peak: 0 };
        };
        let verdict = if libc::WIFSIGNALED(status) {
            Verdict::Signaled(libc::WTERMSIG(status) as u8)
        } else {
            Verdict::Exited(libc::WEXITSTATUS(status) as u8)
        };
        let (cpu, sleeps) = (cpu_time(&used), used.ru_nvcsw as u64);
        // In KiB.
        Exit { verdict, cpu, sleeps, peak: (used.ru_maxrss as u64) << 10 }
    }

    /// Reaps children that have exited. Returns whether any is left. The command must have been
    /// reaped.
    pub(super) fn any_left(&mut self) -> bool {
        self.any_left = loop {
            match look_at_children() {
                Child::Exited(pid) => self.note_adopted(pid),
                Child::Running => break true,
                Child::None => break false,
            }
        };
        self.any_left
    }

    /// Reaps what earlier commands left running and has exited since: until then, each counts
    /// against the user's limit on processes. Call it only while no command runs.
    pub(super) fn reap_left(&mut self) {
        if self.any_left {
            self.any_left();
        }
    }

    /// The processes that `command` left in its session.
    pub(super) fn in_session(&mut self, command: i32) -> Left {
        let mut below = process_tree::descendants_of(std::process::id().cast_signed());
        below.retain(|kin| !kin.exited);
        let in_session = below.iter().filter(|kin| kin.session == command).count() as u32;
        match (in_session, below.is_empty()) {
            (count @ 1.., _) => Left::InSession(count),
            (0, false) => Left::OnlyDaemons,
            (0, true) if self.any_left() => Left::Unseen,
            (0, true) => Left::Nothing,
        }
    }

    /// Notes all processes below this worker as daemons. Returns whether any of them is new.
    pub(super) fn note_daemons(&mut self) -> bool {
        let below = process_tree::descendants_of(std::process::id().cast_signed());
        let daemons = below.iter().filter(|kin| !kin.exited).map(|kin| (kin.pid, kin.start));
        let daemons: Vec<(i32, u64)> = daemons.collect();
        let known = mem::replace(&mut self.daemons, daemons);
        self.daemons.iter().any(|daemon| !known.contains(daemon))
    }

    /// CPU time of adopted processes that were reaped since the last call.
    pub(super) fn take_adopted(&mut self) -> Duration {
        mem::take(&mut self.adopted)
    }

    fn note_adopted(&mut self, pid: i32) {
        if let Some((_, used)) = wait4(pid) {
            self.adopted += cpu_time(&used);
        }
    }
}

/// One of this process' children.
enum Child {
    /// It has exited and is not reaped.
    Exited(i32),
    Running,
    None,
}

fn look_at_children() -> Child {
    loop {
        let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::All, options).map(|status| status.pid()) {
            Ok(Some(pid)) => return Child::Exited(pid.as_raw()),
            Ok(None) => return Child::Running,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return Child::None,
        }
    }
}

/// Reaps a child that has exited: its status, and the resources used by it and the children it
/// waited for.
fn wait4(pid: i32) -> Option<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: plain numbers, for which zero is a value.
    let mut used: libc::rusage = unsafe { mem::zeroed() };
    loop {
        // SAFETY: our own child, valid places for its status and its usage.
        let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
        if reaped == pid {
            return Some((status, used));
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

fn cpu_time(used: &libc::rusage) -> Duration {
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    time(used.ru_utime) + time(used.ru_stime)
}
