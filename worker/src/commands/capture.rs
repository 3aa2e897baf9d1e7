//! Reading what a command writes until it has ended, then its end.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use msup_protocol::codec::{Usage, Verdict};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::SWEEP_AT_MOST;
use super::ladder::{Clock, Ladder};
use super::spawn::Child;
use crate::guardian;
use crate::sink::Sink;

/// How much is read at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// How long something that a command left running may hold the command's output open after its end.
const LEAK_AFTER: Duration = Duration::from_millis(200);

/// Collects a command's output until its end. Returns the end, whether something it left behind still
/// held its output then, and what it used.
pub(super) fn until_end(
    child: Child,
    output: &mut [Sink; 2],
    buffer: &mut [MaybeUninit<u8>],
    mut ladder: Ladder<impl Clock>,
) -> (Verdict, bool, Usage) {
    let Child { pid, pidfd, stdout, stderr } = child;
    let mut open = [Some(stdout), Some(stderr)];
    let read = read_all(&pidfd, &mut open, output, buffer, &mut ladder);
    // A command that nobody reads any more must not wait for a reader, or it would never end.
    drop(open);
    // Not reaped yet: while the zombie keeps its number, the guardian may kill its group.
    let id = WaitId::PidFd(pidfd.as_fd());
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while let Ok(None) | Err(rustix::io::Errno::INTR) = waitid(id.clone(), options) {
        let patience = ladder.climb();
        // Only its end is left to wait for.
        let _ = wait(&pidfd, &[None, None], patience, false);
    }
    guardian::release();
    let (end, usage) = reap(pid);
    if ladder.was_climbed() {
        // What has left its group is found below this worker.
        guardian::sweep(SWEEP_AT_MOST);
        return (Verdict::TimedOut, matches!(read, Ok(true)), usage);
    }
    match read {
        Ok(leaked) => (end, leaked, usage),
        Err(why) => (Verdict::Trouble(format!("cannot keep its output: {why}")), false, usage),
    }
}

fn read_all(
    pidfd: &OwnedFd,
    open: &mut [Option<OwnedFd>; 2],
    output: &mut [Sink; 2],
    buffer: &mut [MaybeUninit<u8>],
    ladder: &mut Ladder<impl Clock>,
) -> io::Result<bool> {
    let mut ended: Option<Instant> = None;
    let mut kept = Ok(());
    while open.iter().any(Option::is_some) {
        let patience = ended.map(|at| match guardian::told_to_end() {
            // Nobody wants the output any more, and whoever holds it is about to be ended.
            true => Duration::ZERO,
            false => LEAK_AFTER.saturating_sub(at.elapsed()),
        });
        if patience == Some(Duration::ZERO) {
            return kept.map(|()| true);
        }
        let patience = if ended.is_some() { patience } else { ladder.climb() };
        let (ready, has_ended) = wait(pidfd, open, patience, ended.is_some())?;
        for ((stream, sink), _) in
            open.iter_mut().zip(output.iter_mut()).zip(ready).filter(|(_, ready)| *ready)
        {
            let Some(fd) = stream else { continue };
            match rustix::io::read(&*fd, &mut *buffer) {
                Ok(([], _)) => *stream = None,
                // When the disk is full the rest is still read, so that the command can end.
                Ok((bytes, _)) => kept = kept.and_then(|()| sink.write_all(bytes)),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if has_ended && ended.is_none() {
            ended = Some(Instant::now());
        }
    }
    kept.map(|()| false)
}

/// Waits until a stream has something to read or is closed by all, or the command has ended.
fn wait(
    pidfd: &OwnedFd,
    open: &[Option<OwnedFd>; 2],
    patience: Option<Duration>,
    has_ended: bool,
) -> io::Result<([bool; 2], bool)> {
    let mut polled = Vec::with_capacity(3);
    polled.extend(open.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
    if !has_ended {
        polled.push(PollFd::new(pidfd, PollFlags::IN));
    }
    let timeout = patience.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut answers = polled.iter().map(|fd| !fd.revents().is_empty());
    let ready = [0, 1].map(|at: usize| open[at].is_some() && answers.next().unwrap_or(false));
    Ok((ready, !has_ended && answers.next().unwrap_or(false)))
}

fn reap(pid: i32) -> (Verdict, Usage) {
    let mut status = 0;
    // SAFETY: plain numbers, for which zero is a value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: our own child, valid places for its status and its usage.
        let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
        if reaped == pid {
            break;
        }
        let why = io::Error::last_os_error();
        if why.kind() != io::ErrorKind::Interrupted {
            let verdict = Verdict::Trouble(format!("cannot wait for the command: {why}"));
            return (verdict, Usage::default());
        }
    }
    let verdict = if libc::WIFSIGNALED(status) {
        Verdict::Signaled(libc::WTERMSIG(status) as u8)
    } else {
        Verdict::Exited(libc::WEXITSTATUS(status) as u8)
    };
    let nanos =
        |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    let usage = Usage {
        pid: pid.unsigned_abs(),
        wall_ns: 0,
        cpu_ns: nanos(used.ru_utime) + nanos(used.ru_stime),
        sleeps: used.ru_nvcsw as u64,
        // In KiB.
        peak: (used.ru_maxrss as u64) << 10,
        worker_ns: 0,
    };
    (verdict, usage)
}
