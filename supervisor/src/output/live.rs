//! `--lb`: parts of outputs from running commands. Complete lines are shown as soon as it is their
//! task's turn. All others wait here, in memory or in files.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use msup_protocol::live::{self, FINISHED, Finish, LIVE_STREAMS, NoPart, Part};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};

use super::capture::Piece;
use super::{Delivery, HELD_IN_MEMORY};
use crate::template::Looks;

/// The number of bytes read at a time.
const CHUNK: usize = 64 << 10;

/// The pipe of all workers, and how outputs that do not end a line are shown.
#[derive(Debug)]
pub(crate) struct LivePipe {
    pub(crate) pipe: OwnedFd,
    /// No line of another task follows on the same line. GNU parallel does not take care of that.
    pub(crate) separates: bool,
    /// Failed tasks run again.
    pub(crate) retries: bool,
}

/// What the event loop and the writer tell each other of running tasks.
#[derive(Debug, Default)]
pub(super) struct LiveNotes {
    /// How their outputs look, by their numbers.
    looks: Mutex<HashMap<u64, Looks>>,
    /// How many bytes of standard output those have written that have finished.
    pub(super) received: Mutex<Vec<(u64, u64)>>,
}

/// What has arrived, and not been shown.
#[derive(Debug)]
pub(super) struct Live {
    pipe: OwnedFd,
    /// Rung when there is a message.
    wake: Arc<OwnedFd>,
    /// What has been read of a part that is not whole yet.
    bytes: Vec<u8>,
    pub(super) tasks: HashMap<u64, LiveTask>,
    /// The number of bytes of them in memory; with more than this they go to a file.
    pub(super) stored: u64,
    pub(super) most_stored: u64,
    separates: bool,
    retries: bool,
    /// The task whose last line was shown without a newline, if one was.
    open: [Option<u64>; LIVE_STREAMS],
}

/// What a running attempt has written.
#[derive(Debug)]
pub(super) struct LiveTask {
    attempt: u32,
    pub(super) looks: Looks,
    /// Complete lines, and what follows them.
    pub(super) lines: [Pieces; LIVE_STREAMS],
    rest: [Pieces; LIVE_STREAMS],
    pub(super) has_shown: bool,
    /// Something that waited in a file could not be read back.
    pub(super) is_torn: bool,
    /// The number of bytes of standard output.
    received: u64,
}

/// A growing output.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Piece>);

impl LiveNotes {
    /// Of a task that is about to be started.
    pub(super) fn set(&self, seq: u64, looks: Looks) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(seq, looks);
    }

    fn of(&self, seq: u64) -> Looks {
        let known = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&seq).cloned().unwrap_or_default()
    }

    pub(super) fn note_received(&self, seq: u64, bytes: u64) {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push((seq, bytes));
    }

    pub(super) fn forget(&self, seq: u64) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).remove(&seq);
    }
}

impl Live {
    pub(super) fn new(from: LivePipe, wake: Arc<OwnedFd>) -> Live {
        let LivePipe { pipe, separates, retries } = from;
        Live {
            pipe,
            wake,
            bytes: Vec::new(),
            tasks: HashMap::new(),
            stored: 0,
            most_stored: HELD_IN_MEMORY,
            separates,
            retries,
            open: [None; LIVE_STREAMS],
        }
    }

    /// The number of bytes in the pipe.
    pub(super) fn waiting(&self) -> usize {
        ioctl_fionread(&self.pipe).unwrap_or(0) as usize
    }

    /// Reads at most this number of bytes, without waiting. Returns how many.
    pub(super) fn read(&mut self, at_most: usize) -> usize {
        let before = self.bytes.len();
        self.bytes.resize(before + at_most.min(CHUNK), 0);
        let read = loop {
            match rustix::io::read(&self.pipe, &mut self.bytes[before..]) {
                Err(Errno::INTR) => {}
                read => break read.unwrap_or(0),
            }
        };
        self.bytes.truncate(before + read);
        read
    }

    /// Waits until a part or a message has arrived, for this long at most.
    pub(super) fn wait(&self, patience: Option<Duration>) {
        let read = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut polled = [read(self.pipe.as_fd()), read(self.wake.as_fd())];
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let _ = poll(&mut polled, timeout.as_ref());
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
    }

    /// What was read, for [`Live::put_back`] to take what is not used of it.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The beginning of a part.
    pub(super) fn put_back(&mut self, rest: &[u8]) {
        self.bytes = rest.to_vec();
    }

    /// Drops what was read and what is in the pipe: where the next part begins is unknown.
    pub(super) fn drop_parts(&mut self) {
        while self.read(CHUNK) > 0 {
            self.bytes.clear();
        }
        self.bytes.clear();
    }

    /// Adds a part to what its attempt has written. Returns whether it ends a line, or the last
    /// line of the task.
    pub(super) fn add(&mut self, part: Part<'_>, looks: &LiveNotes) -> bool {
        let Part { seq, attempt, stream, content } = part;
        let known = self.tasks.get(&seq).is_some_and(|task| task.attempt == attempt);
        if !known {
            // What an earlier attempt has left does not count.
            let task = LiveTask::new(attempt, looks.of(seq));
            if let Some(earlier) = self.tasks.insert(seq, task) {
                self.stored -= earlier.in_memory();
            }
        }
        let Some(task) = self.tasks.get_mut(&seq) else { return false };
        if stream == FINISHED {
            return match content.first().and_then(|number| Finish::of(*number)) {
                Some(Finish::Succeeded) => task.end_lines(),
                Some(Finish::Failed) if !self.retries => task.end_lines(),
                _ => false,
            };
        }
        self.stored += content.len() as u64;
        task.add(stream, content)
    }

    /// The complete lines of a task that wait, to be shown now.
    pub(super) fn take_lines(&mut self, seq: u64, stream: usize) -> Option<(Piece, &mut LiveTask)> {
        let task = self.tasks.get_mut(&seq)?;
        let lines = std::mem::take(&mut task.lines[stream]);
        if lines.0.is_empty() {
            return None;
        }
        self.stored -= lines.in_memory();
        Some((lines.into_piece(), task))
    }

    /// The task has finished: adds what was not shown yet to its output. Returns the whole length
    /// of its standard output.
    pub(super) fn finish(&mut self, delivery: &mut Delivery, keeps_order: bool) -> u64 {
        let left = delivery.received();
        let Some(mut task) = self.tasks.remove(&delivery.seq) else { return left };
        self.stored -= task.in_memory();
        let attempt = delivery.writer.map(|writer| writer.attempt);
        if attempt.is_some_and(|attempt| attempt != task.attempt) {
            // The last attempt wrote nothing before it finished.
            return left;
        }
        if attempt.is_none() {
            // Its worker was killed, perhaps in the middle of a line.
            task.rest = Default::default();
        }
        let LiveTask { lines, rest, .. } = &mut task;
        let whole = [&mut delivery.stdout, &mut delivery.stderr].into_iter();
        for (piece, (lines, rest)) in whole.zip(lines.iter_mut().zip(rest)) {
            let mut all = std::mem::take(lines);
            all.0.append(&mut rest.0);
            if !all.0.is_empty() {
                all.0.push(std::mem::replace(piece, Piece::Bytes(Vec::new())));
                *piece = all.into_piece();
            }
        }
        if task.has_shown || !keeps_order {
            // It is not kept with the run: it is not whole.
            delivery.writer = None;
        }
        delivery.is_torn = task.is_torn;
        task.received + left
    }

    /// Whether a newline has to be shown before what this task shows on this stream.
    pub(super) fn takes_newline(&mut self, seq: u64, stream: usize) -> bool {
        self.separates && self.open[stream].take_if(|other| *other != seq).is_some()
    }

    /// What the task has shown on this stream does not end with a newline, or does.
    pub(super) fn note_end(&mut self, seq: u64, stream: usize, is_open: bool) {
        self.open[stream] = is_open.then_some(seq);
    }

    /// All that waits, to be moved to a file.
    pub(super) fn pieces(&mut self) -> impl Iterator<Item = &mut Piece> {
        let tasks = self.tasks.values_mut();
        tasks
            .flat_map(|task| task.lines.iter_mut().chain(&mut task.rest))
            .flat_map(|all| &mut all.0)
    }

    /// They were moved, as far as that was possible.
    pub(super) fn note_moved(&mut self) {
        self.stored = self.tasks.values().map(LiveTask::in_memory).sum();
        self.most_stored = HELD_IN_MEMORY.max(2 * self.stored);
    }
}

impl LiveTask {
    fn new(attempt: u32, looks: Looks) -> LiveTask {
        let (lines, rest) = Default::default();
        LiveTask { attempt, looks, lines, rest, has_shown: false, is_torn: false, received: 0 }
    }

    fn add(&mut self, stream: usize, content: &[u8]) -> bool {
        if stream == 0 {
            self.received += content.len() as u64;
        }
        let (lines, rest) = (&mut self.lines[stream], &mut self.rest[stream]);
        let end = content.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let (ended, begun) = content.split_at(end.unwrap_or(0));
        if end.is_some() {
            lines.0.append(&mut rest.0);
            lines.push(ended);
        }
        rest.push(begun);
        end.is_some()
    }

    /// Nothing follows what it has written. Returns whether that changes anything.
    fn end_lines(&mut self) -> bool {
        let ended = self.lines.iter_mut().zip(&mut self.rest).map(|(lines, rest)| {
            lines.0.append(&mut rest.0);
            !lines.0.is_empty()
        });
        ended.fold(false, |any, ended| any | ended)
    }

    fn in_memory(&self) -> u64 {
        self.lines.iter().chain(&self.rest).map(Pieces::in_memory).sum()
    }
}

impl Pieces {
    fn push(&mut self, content: &[u8]) {
        match self.0.last_mut() {
            _ if content.is_empty() => {}
            Some(Piece::Bytes(bytes)) => bytes.extend(content),
            _ => self.0.push(Piece::Bytes(content.to_vec())),
        }
    }

    fn in_memory(&self) -> u64 {
        self.0.iter().map(Piece::in_memory).sum()
    }

    fn into_piece(mut self) -> Piece {
        match self.0.len() {
            1 => self.0.remove(0),
            _ => Piece::Parts(self.0),
        }
    }
}

/// The first part of what was read.
///
/// # Errors
/// Another process has written into the pipe.
pub(super) fn next_part<'a>(rest: &mut &'a [u8]) -> Result<Option<Part<'a>>, NoPart> {
    let Some((part, after)) = live::first(rest)? else { return Ok(None) };
    *rest = after;
    Ok(Some(part))
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;
    use crate::journal::KeptFor;

    fn live(retries: bool) -> (Live, OwnedFd) {
        let (pipe, writer) = pipe_with(PipeFlags::NONBLOCK).expect("a pipe");
        let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd"));
        (Live::new(LivePipe { pipe, separates: true, retries }, wake), writer)
    }

    fn part(attempt: u32, stream: usize, content: &[u8]) -> Part<'_> {
        Part { seq: 7, attempt, stream, content }
    }

    fn bytes(piece: Piece) -> String {
        let mut bytes = Vec::new();
        piece.copy(&mut bytes).expect("memory");
        String::from_utf8(bytes).expect("text")
    }

    /// The end of task 7 after this attempt; `None`: its worker is lost.
    fn end(attempt: Option<u32>, stdout: &str) -> Delivery {
        let writer = attempt.map(|attempt| KeptFor::new(7, b"v", attempt));
        let stdout = Piece::Bytes(stdout.into());
        Delivery { stdout, writer, ..Delivery::nothing(7, 7) }
    }

    #[test]
    fn lines_are_taken_when_they_are_complete() {
        let (mut live, _writer) = live(false);
        let looks = LiveNotes::default();
        assert!(!live.add(part(1, 0, b"be"), &looks));
        assert!(live.take_lines(7, 0).is_none());
        assert!(live.add(part(1, 0, b"gin\nnext\nla"), &looks));
        let lines = live.take_lines(7, 0).map(|(lines, _)| bytes(lines));
        assert_eq!(lines.as_deref(), Some("begin\nnext\n"));
        assert!(!live.add(part(1, 1, b"err"), &looks), "the streams are apart");
        assert_eq!(live.stored, 5);
        let mut delivery = end(Some(1), "st");
        assert_eq!(live.finish(&mut delivery, false), 15);
        assert_eq!((bytes(delivery.stdout), bytes(delivery.stderr)), ("last".into(), "err".into()));
        assert_eq!((live.stored, delivery.writer), (0, None), "it is not kept");
    }

    #[test]
    fn an_output_that_was_not_shown_before_its_end_is_kept_whole() {
        let (mut live, _writer) = live(false);
        live.add(part(1, 0, b"a\nb"), &LiveNotes::default());
        let mut delivery = end(Some(1), "c\n");
        live.finish(&mut delivery, true);
        assert!(delivery.writer.is_some());
        assert_eq!(bytes(delivery.stdout), "a\nbc\n");
    }

    #[test]
    fn what_an_earlier_attempt_has_left_is_dropped() {
        let looks = LiveNotes::default();
        for (first, second, last, expected) in [
            (b"half", Some(b"whole\n"), Some(2), "whole\nend"),
            // The last attempt wrote nothing while it ran.
            (b"half", None, Some(2), "end"),
            // It was killed, and its worker with it: half a line is not shown.
            (b"half", None, None, ""),
        ] {
            let (mut live, _writer) = live(true);
            live.add(part(1, 0, first), &looks);
            second.map(|second| live.add(part(2, 0, second), &looks));
            let mut delivery = end(last, if last.is_some() { "end" } else { "" });
            live.finish(&mut delivery, true);
            assert_eq!(bytes(delivery.stdout), expected);
            assert_eq!(live.stored, 0);
        }
    }

    #[test]
    fn a_last_line_is_shown_at_once_if_no_attempt_can_follow() {
        let looks = LiveNotes::default();
        for (retries, finish, ends) in [
            (true, Finish::Succeeded, true),
            (false, Finish::Failed, true),
            (true, Finish::Failed, false),
            (false, Finish::Other, false),
        ] {
            let (mut live, _writer) = live(retries);
            live.add(part(1, 0, b"end"), &looks);
            assert_eq!(live.add(part(1, FINISHED, &[finish as u8]), &looks), ends, "{finish:?}");
            assert_eq!(live.take_lines(7, 0).is_some(), ends, "{finish:?}");
        }
    }

    #[test]
    fn a_newline_stands_between_the_lines_of_two_tasks() {
        let (mut live, _writer) = live(false);
        live.note_end(1, 0, true);
        assert!(!live.takes_newline(1, 0) && !live.takes_newline(2, 1));
        assert!(live.takes_newline(2, 0));
        assert!(!live.takes_newline(3, 0), "it was taken");
        live.note_end(2, 0, false);
        assert!(!live.takes_newline(3, 0));
    }
}
