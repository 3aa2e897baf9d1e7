//! Reading a command's output, until the command has exited and its session is empty; and, with a
//! program that keeps running, its answer to a task.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use msup_protocol::codec::{Usage, Verdict};
use msup_protocol::layout::Header;
use msup_protocol::live::Finish;
use msup_protocol::slot::WorkerSlot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::children::{Children, Left};
use super::feed::Feed;
use super::outbox::Outbox;
use super::spawn::Child;
use super::talk::Talk;
use crate::guardian;
use crate::steps::Streams;

/// The number of bytes read at a time. A pipe holds no more, unless it was enlarged.
pub(super) const CHUNK: usize = 64 << 10;

/// How long a process outside the command's session may hold the command's output open after the
/// session is empty.
const LEAK_AFTER: Duration = Duration::from_millis(200);

/// How long a program that takes no more input has to exit, or to answer nevertheless.
const DEAF_FOR: Duration = Duration::from_secs(1);

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

/// What a program that keeps running does between two tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// It waits for the next task.
    Waits,
    /// It has exited, or has closed its standard output.
    Leaves,
    /// It has written to its standard output.
    Speaks,
}

/// What a wait has shown.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    /// The streams that can be read.
    streams: [bool; 2],
    /// A child has exited.
    exits: bool,
    /// More of the task can be written, or the program has closed its standard input.
    input: bool,
    /// More of the output can be written to the supervisor.
    outbox: bool,
}

/// A running command and the sinks for its output.
pub(super) struct Capture<'a> {
    streams: [Option<OwnedFd>; 2],
    sinks: &'a mut Streams,
    buffer: &'a mut [MaybeUninit<u8>],
    children: &'a mut Children,
    slot: &'a WorkerSlot,
    kept: io::Result<()>,
    /// What goes into a command's standard input.
    feed: Option<Feed<'a>>,
    /// With a program that keeps running: what it writes to standard output is its answer.
    talk: Option<&'a mut Talk>,
    /// With `--lb`: outputs go to the supervisor as they come.
    outbox: Option<Outbox<'a>>,
}

impl<'a> Capture<'a> {
    /// Of a command that was just started.
    pub(super) fn new(
        child: Child,
        (feed, outbox): (Option<Feed<'a>>, Option<Outbox<'a>>),
        sinks: &'a mut Streams,
        (buffer, children): (&'a mut [MaybeUninit<u8>], &'a mut Children),
        slot: &'a WorkerSlot,
    ) -> Capture<'a> {
        let (streams, kept, talk) = (child.outputs, Ok(()), None);
        Capture { streams, sinks, buffer, children, slot, kept, feed, talk, outbox }
    }

    /// Of a program that keeps running, with the streams that it has not closed.
    pub(super) fn of_program(
        streams: [Option<OwnedFd>; 2],
        talk: &'a mut Talk,
        sinks: &'a mut Streams,
        (buffer, children): (&'a mut [MaybeUninit<u8>], &'a mut Children),
        slot: &'a WorkerSlot,
    ) -> Capture<'a> {
        let (kept, feed, talk, outbox) = (Ok(()), None, Some(talk), None);
        Capture { streams, sinks, buffer, children, slot, kept, feed, talk, outbox }
    }

    /// The streams that are open, and whether all that was read could be kept.
    pub(super) fn release(self) -> ([Option<OwnedFd>; 2], io::Result<()>) {
        (self.streams, self.kept)
    }

    /// Waits until the command has exited and its session is empty, and keeps what it writes. With
    /// `leaves_processes()` it does not wait for the session.
    pub(super) fn until_finished(mut self, command: i32, header: &Header) -> Finished {
        while !self.turn(command, None) {}
        self.bury(command, header.leaves_processes())
    }

    /// What the program does before it gets a task.
    pub(super) fn look(&mut self, program: i32) -> Between {
        let ready = self.ready(Some(Duration::ZERO));
        if ready.streams[0] {
            self.read(0);
        }
        let exited = ready.exits && self.children.reap_adopted(program);
        match &self.talk {
            Some(talk) if talk.has_heard() => Between::Speaks,
            _ if exited || self.streams[0].is_none() => Between::Leaves,
            _ => Between::Waits,
        }
    }

    /// Gives the program a task and waits until it has answered, or can answer no more. Returns
    /// whether it has exited.
    pub(super) fn until_answered(&mut self, program: i32, value: &[u8], terminator: u8) -> bool {
        let mut exited = false;
        if let Some(talk) = &mut self.talk {
            talk.begin(value, terminator);
        }
        while !exited && self.awaits_answer() {
            let deaf_since = self.talk.as_ref().and_then(|talk| talk.deaf_since);
            let left = deaf_since.map(|since| DEAF_FOR.saturating_sub(since.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            exited = self.turn(program, left);
        }
        // What it has answered before it exited.
        while exited && self.awaits_answer() && self.read_if_ready(0) {}
        // What it has written to standard error before it answered: all that the pipe holds.
        if !self.awaits_answer() {
            self.read_if_ready(1);
        }
        exited
    }

    fn awaits_answer(&self) -> bool {
        self.streams[0].is_some() && self.talk.as_ref().is_some_and(|talk| talk.waits())
    }

    /// Waits until the program has exited, for this long at most; `None`: without a limit. Returns
    /// whether it has.
    pub(super) fn until_exited(&mut self, program: i32, patience: Option<Duration>) -> bool {
        let began = Instant::now();
        // What tells of its exit may have been read before.
        let mut exited = self.children.reap_adopted(program);
        while !exited {
            let left = patience.map(|patience| patience.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            exited = self.turn(program, left);
        }
        true
    }

    /// Reaps a command that has exited, and reads the rest of its output. Waits for the processes
    /// that it left in its session, unless they are to be left `alone`.
    pub(super) fn bury(mut self, command: i32, alone: bool) -> Finished {
        // Its number may be reused as soon as it is reaped.
        guardian::release();
        let exit = self.children.reap_command(command);
        // For most commands, one system call tells that nothing is left.
        let mut leaked = self.children.any_left() && self.see_session_off(command, alone);
        let sent = self.outbox.as_mut().map_or(Ok(()), |outbox| outbox.exit(self.sinks));
        self.keep_error(sent);
        leaked |= self.drain(command);
        if let Some(outbox) = &mut self.outbox {
            outbox.finish(match exit.verdict {
                Verdict::Exited(0) => Finish::Succeeded,
                Verdict::Exited(_) => Finish::Failed,
                _ => Finish::Other,
            });
        }
        let kept = std::mem::replace(&mut self.kept, Ok(()));
        let verdict = match (kept, self.feed.as_mut().map_or(Ok(()), Feed::finish)) {
            (Ok(()), Ok(())) => exit.verdict,
            (Err(why), _) => Verdict::Trouble(format!("cannot keep its output: {why}")),
            (_, Err(why)) => Verdict::Trouble(format!("cannot read its input: {why}")),
        };
        let cpu = exit.cpu + self.children.take_adopted();
        let usage = Usage {
            pid: command.unsigned_abs(),
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
    fn see_session_off(&mut self, command: i32, alone: bool) -> bool {
        let began = Instant::now();
        let mut only_daemons = 0;
        while !alone && !guardian::told_to_exit() {
            let seen = self.children.in_session(command);
            only_daemons = if seen == Left::OnlyDaemons { only_daemons + 1 } else { 0 };
            match seen {
                Left::Nothing => break,
                Left::OnlyDaemons if only_daemons >= SEEN_ALONE => break,
                Left::InSession(count) => self.slot.set_left(count),
                Left::OnlyDaemons | Left::Unseen => {}
            }
            let pause = match seen {
                Left::InSession(_) => began.elapsed() / LOOK_AFTER_PART,
                _ => LOOK_AFTER[0],
            };
            self.turn(command, Some(pause.clamp(LOOK_AFTER[0], LOOK_AFTER[1])));
        }
        self.slot.set_left(0);
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

    /// Waits until there is something to read or to write, or a child has exited, and handles it.
    /// Returns whether the command has exited.
    fn turn(&mut self, command: i32, patience: Option<Duration>) -> bool {
        let soon = self.feed.as_ref().and_then(Feed::looks_within);
        let ready = self.ready([patience, soon].into_iter().flatten().min());
        match (&mut self.talk, &mut self.feed) {
            (Some(talk), _) if ready.input => talk.send(),
            (None, Some(feed)) if ready.input || soon.is_some() => feed.send(),
            _ => {}
        }
        if let Some(outbox) = self.outbox.as_mut().filter(|_| ready.outbox) {
            let sent = outbox.send(self.sinks);
            self.keep_error(sent);
        }
        for (at, _) in ready.streams.into_iter().enumerate().filter(|(_, ready)| *ready) {
            self.read(at);
        }
        if self.slot.is_looked_at() {
            self.show();
        }
        ready.exits && self.children.reap_adopted(command)
    }

    /// Shows the supervisor what was read so far. If that fails, it sees less.
    fn show(&self) {
        for sink in &self.sinks[..self.streams.len()] {
            let _ = sink.show();
        }
        self.slot.show_output();
    }

    /// Notes that something could not be kept, if that is so.
    fn keep_error(&mut self, result: io::Result<()>) {
        if self.kept.is_ok() {
            self.kept = result;
        }
    }

    fn read_if_ready(&mut self, at: usize) -> bool {
        let is_ready = self.ready(Some(Duration::ZERO)).streams[at];
        if is_ready {
            self.read(at);
        }
        is_ready
    }

    fn read(&mut self, at: usize) {
        let Some(fd) = &self.streams[at] else { return };
        match rustix::io::read(fd, &mut *self.buffer) {
            Ok(([], _)) => self.streams[at] = None,
            Ok((bytes, _)) => match &mut self.talk {
                Some(talk) if at == 0 => talk.hear(bytes),
                // If the disk is full, the rest is still read, so that the command can continue.
                _ if self.kept.is_err() => {}
                _ => {
                    self.kept = match &mut self.outbox {
                        Some(outbox) => outbox.push(at, bytes, self.sinks),
                        None => self.sinks[at].write_all(bytes),
                    }
                }
            },
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

    /// What can be done now, or after this time at most; `None`: without a limit.
    fn ready(&mut self, patience: Option<Duration>) -> Ready {
        self.wait(patience).unwrap_or_else(|why| {
            // The command must not block on a pipe that is not read.
            self.give_up(why);
            Ready { exits: true, ..Ready::default() }
        })
    }

    fn wait(&self, patience: Option<Duration>) -> io::Result<Ready> {
        let feed = self.feed.as_ref().and_then(Feed::input);
        let input = self.talk.as_ref().and_then(|talk| talk.input()).or(feed);
        let read = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let outbox = self.outbox.as_ref().and_then(Outbox::awaited);
        // While parts wait, the command waits.
        let streams = self.streams.each_ref().map(|fd| fd.as_ref().filter(|_| outbox.is_none()));
        let mut polled = Vec::with_capacity(4);
        polled.push(read(self.children.fd()));
        polled.extend(streams.iter().flatten().map(|fd| read(fd.as_fd())));
        polled.extend(outbox.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        polled.extend(input.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        let timeout = patience.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut answers = polled.iter().map(|fd| !fd.revents().is_empty());
        let exits = answers.next().unwrap_or(false);
        let mut next = |is_polled: bool| is_polled && answers.next().unwrap_or(false);
        let streams = streams.map(|fd| next(fd.is_some()));
        let outbox = next(outbox.is_some());
        Ok(Ready { streams, exits, input: next(input.is_some()), outbox })
    }
}
