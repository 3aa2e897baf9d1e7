//! Reading a command's output, until the command has exited and its session is empty.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use msup_protocol::codec::{Usage, Verdict};
use msup_protocol::layout::Header;
use msup_protocol::slot::WorkerSlot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::children::{Children, Left};
use super::spawn::Child;
use crate::guardian;
use crate::steps::Streams;

/// The number of bytes read at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// How long a process outside the command's session may hold the command's output open after the
/// session is empty.
const LEAK_AFTER: Duration = Duration::from_millis(200);

/// A look at what is left in the session costs up to a millisecond if a worker has many
/// descendants. The next one comes after this part of the time waited so far, so that waiting never
/// costs more than a small share of a CPU.
const LOOK_AFTER_PART: u32 = 8;
const LOOK_AFTER: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// A look may miss a process whose parent exits at that moment. Only this number of looks in a row
/// that show nothing but daemons proves that nothing else is left.
const SEEN_ALONE: u32 = 3;

/// The result of a command.
pub(super) struct Finished {
    pub(super) verdict: Verdict,
    /// It left processes running that were not waited for.
    pub(super) leaked: bool,
    /// Without the wall time and the worker's own CPU time.
    pub(super) usage: Usage,
}

/// A running command and the sinks for its output.
pub(super) struct Capture<'a> {
    streams: [Option<OwnedFd>; 2],
    sinks: &'a mut Streams,
    buffer: &'a mut [MaybeUninit<u8>],
    children: &'a mut Children,
    kept: io::Result<()>,
}

impl<'a> Capture<'a> {
    /// Waits until the command has exited and its session is empty, and keeps what it writes. With
    /// `leaves_processes()` it does not wait for the session.
    pub(super) fn until_finished(
        child: Child,
        sinks: &'a mut Streams,
        buffer: &'a mut [MaybeUninit<u8>],
        children: &'a mut Children,
        (header, slot): (&Header, &WorkerSlot),
    ) -> Finished {
        let Child { pid, stdout, stderr } = child;
        let streams = [Some(stdout), Some(stderr)];
        let mut capture = Capture { streams, sinks, buffer, children, kept: Ok(()) };
        while !capture.turn(pid, None) {}
        // Its number may be reused as soon as it is reaped.
        guardian::release();
        let exit = capture.children.reap_command(pid);
        // For most commands, one system call tells that nothing is left.
        let mut leaked = capture.children.any_left()
            && capture.see_session_off(pid, header.leaves_processes(), slot);
        leaked |= capture.drain(pid);
        let verdict = match std::mem::replace(&mut capture.kept, Ok(())) {
            Ok(()) => exit.verdict,
            Err(why) => Verdict::Trouble(format!("cannot keep its output: {why}")),
        };
        let cpu = exit.cpu + capture.children.take_adopted();
        let usage = Usage {
            pid: pid.unsigned_abs(),
            wall_ns: 0,
            cpu_ns: cpu.as_nanos() as u64,
            sleeps: exit.sleeps,
            peak: exit.peak,
            worker_ns: 0,
        };
        Finished { verdict, leaked, usage }
    }

    /// Waits for the processes that the command left in its session, unless they are to be left
    /// `alone`. Returns whether the command left anything that was not waited for.
    fn see_session_off(&mut self, command: i32, alone: bool, slot: &WorkerSlot) -> bool {
        let began = Instant::now();
        let mut only_daemons = 0;
        while !alone && !guardian::told_to_exit() {
            let seen = self.children.in_session(command);
            only_daemons = if seen == Left::OnlyDaemons { only_daemons + 1 } else { 0 };
            match seen {
                Left::Nothing => break,
                Left::OnlyDaemons if only_daemons >= SEEN_ALONE => break,
                Left::InSession(count) => slot.set_left(count),
                Left::OnlyDaemons | Left::Unseen => {}
            }
            let pause = match seen {
                Left::InSession(_) => began.elapsed() / LOOK_AFTER_PART,
                _ => LOOK_AFTER[0],
            };
            self.turn(command, Some(pause.clamp(LOOK_AFTER[0], LOOK_AFTER[1])));
        }
        slot.set_left(0);
        self.children.note_daemons()
    }

    /// Reads what is left in the pipes. Returns whether some process still held them open
    /// then.
    fn drain(&mut self, command: i32) -> bool {
        let began = Instant::now();
        while self.streams.iter().any(Option::is_some) {
            let left = LEAK_AFTER.saturating_sub(began.elapsed());
            // Without a supervisor the output has no use.
            if left.is_zero() || guardian::told_to_exit() {
                return true;
            }
            self.turn(command, Some(left));
        }
        false
    }

    /// Waits until there is something to read or a child has exited, and handles both. Returns
    /// whether the command has exited.
    fn turn(&mut self, command: i32, patience: Option<Duration>) -> bool {
        let (ready, exits) = self.wait(patience).unwrap_or_else(|why| {
            // The command must not block on a pipe that is not read.
            self.give_up(why);
            ([false; 2], true)
        });
        for (at, _) in ready.into_iter().enumerate().filter(|(_, ready)| *ready) {
            self.read(at);
        }
        exits && self.children.reap_adopted(command)
    }

    fn read(&mut self, at: usize) {
        let Some(fd) = &self.streams[at] else { return };
        match rustix::io::read(fd, &mut *self.buffer) {
            Ok(([], _)) => self.streams[at] = None,
            // If the disk is full, the rest is still read, so that the command can continue.
            Ok((bytes, _)) => {
                if self.kept.is_ok() {
                    self.kept = self.sinks[at].write_all(bytes);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => self.give_up(errno.into()),
        }
    }

    fn give_up(&mut self, why: io::Error) {
        self.streams = [None, None];
        if self.kept.is_ok() {
            self.kept = Err(why);
        }
    }

    /// Which streams can be read, and whether a child has exited.
    fn wait(&self, patience: Option<Duration>) -> io::Result<([bool; 2], bool)> {
        let exits = self.children.fd();
        let mut polled = Vec::with_capacity(3);
        polled.push(PollFd::new(&exits, PollFlags::IN));
        polled.extend(self.streams.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let timeout = patience.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut answers = polled.iter().map(|fd| !fd.revents().is_empty());
        let exits = answers.next().unwrap_or(false);
        let ready =
            [0, 1].map(|at: usize| self.streams[at].is_some() && answers.next().unwrap_or(false));
        Ok((ready, exits))
    }
}
