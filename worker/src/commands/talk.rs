//! What a worker and a program that keeps running tell each other for one task: a value, and a line
//! that answers it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread, write};

use super::answer::{Answer, BadAnswer};

/// No answer is longer, in bytes: it is kept in memory.
pub(super) const ANSWER_AT_MOST: usize = 16 << 20;

/// The program's standard input, the task that it gets, and what it has answered so far.
#[derive(Debug)]
pub(super) struct Talk {
    /// `None` when the worker has closed it.
    stdin: Option<OwnedFd>,
    /// The value with the byte that ends it, and how much of it was written.
    task: Vec<u8>,
    sent: usize,
    /// The program has closed its end.
    is_closed: bool,
    /// The same, before it had read the whole task: since then.
    pub(super) deaf_since: Option<Instant>,
    answer: Vec<u8>,
    has_line: bool,
}

impl Talk {
    /// `stdin`: the end of the program's standard input that the worker writes to.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn new(stdin: OwnedFd) -> io::Result<Talk> {
        // A program that writes before it has read everything must not be waited for.
        ioctl_fionbio(&stdin, true)?;
        Ok(Talk {
            stdin: Some(stdin),
            task: Vec::new(),
            sent: 0,
            is_closed: false,
            deaf_since: None,
            answer: Vec::new(),
            has_line: false,
        })
    }

    /// Begins a task. Writes as much of the value as fits into the pipe.
    pub(super) fn begin(&mut self, value: &[u8], terminator: u8) {
        self.task.clear();
        self.task.extend_from_slice(value);
        self.task.push(terminator);
        (self.sent, self.is_closed, self.deaf_since) = (0, false, None);
        self.send();
    }

    /// What to wait for at the program's standard input: until more of the value can be written, or
    /// until the program has closed its end. `None`: for nothing.
    pub(super) fn input(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        // That its end is closed is reported without being asked for.
        let flags = if self.is_sent() { PollFlags::empty() } else { PollFlags::OUT };
        let stdin = self.stdin.as_ref().filter(|_| !self.is_closed);
        stdin.map(|stdin| (stdin.as_fd(), flags))
    }

    /// What was waited for has happened: writes as much of the value as fits into the pipe.
    pub(super) fn send(&mut self) {
        let Some(stdin) = &self.stdin else { return };
        let unsent = &self.task[self.sent..];
        // With nothing left to write, only that its end is closed is waited for.
        let written = if unsent.is_empty() { Err(Errno::PIPE) } else { write(stdin, unsent) };
        match written {
            Ok(written) => self.sent += written,
            Err(Errno::AGAIN | Errno::INTR) => {}
            // It has closed its standard input, or has exited.
            Err(_) => {
                self.is_closed = true;
                self.deaf_since = (!self.is_read()).then(Instant::now);
            }
        }
    }

    fn is_sent(&self) -> bool {
        self.sent == self.task.len()
    }

    /// The program has written this to its standard output. What follows too long an answer is
    /// dropped.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        if self.answer.len() <= ANSWER_AT_MOST {
            self.answer.extend_from_slice(bytes);
            self.has_line |= bytes.contains(&b'\n');
        }
    }

    /// Whether the answer is not complete.
    pub(super) fn waits(&self) -> bool {
        !self.has_line && self.answer.len() <= ANSWER_AT_MOST
    }

    /// Whether anything was heard since the last answer was taken.
    pub(super) fn has_heard(&self) -> bool {
        !self.answer.is_empty()
    }

    /// Takes the answer, without its newline; `None` if it is not complete.
    ///
    /// # Errors
    /// What was heard is more than one line, or too long.
    pub(super) fn take_answer(&mut self) -> Result<Option<Vec<u8>>, BadAnswer> {
        let waits = self.waits();
        let mut answer = std::mem::take(&mut self.answer);
        self.has_line = false;
        let line = answer.iter().position(|byte| *byte == b'\n');
        match line {
            None if waits => Ok(None),
            Some(end) if end <= ANSWER_AT_MOST => match &answer[end + 1..] {
                [] => {
                    answer.truncate(end);
                    Ok(Some(answer))
                }
                // Of a banner and an answer it is the banner that is wrong.
                more => Err(match Answer::parse(&answer[..end]) {
                    Ok(_) => BadAnswer::more(more),
                    Err(why) => why,
                }),
            },
            _ => Err(BadAnswer::TooLong),
        }
    }

    /// Whether the program has not read a byte of the task. Its standard input holds at most this
    /// one.
    pub(super) fn is_unread(&self) -> bool {
        self.unread() == Some(self.sent as u64)
    }

    /// Whether the program has read the whole task.
    pub(super) fn is_read(&self) -> bool {
        self.is_sent() && self.unread() == Some(0)
    }

    /// The number of bytes in the pipe.
    fn unread(&self) -> Option<u64> {
        self.stdin.as_ref().and_then(|stdin| ioctl_fionread(stdin).ok())
    }

    /// Ends the program's input.
    pub(super) fn hang_up(&mut self) {
        self.stdin = None;
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn talk() -> (OwnedFd, Talk) {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        (theirs, Talk::new(ours).expect("a pipe"))
    }

    fn read(stdin: &OwnedFd, at_most: usize) -> Vec<u8> {
        let mut bytes = vec![0; at_most];
        let len = rustix::io::read(stdin, &mut bytes).expect("there is something");
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn a_task_is_unread_until_its_first_byte_is_read() {
        let (stdin, mut talk) = talk();
        talk.begin(b"a value", b'\n');
        assert!(talk.is_sent() && talk.is_unread());
        assert_eq!(read(&stdin, 1), b"a");
        assert!(!talk.is_unread() && !talk.is_read());
        assert_eq!(read(&stdin, 100), b" value\n");
        assert!(talk.is_read());
        talk.begin(b"b", 0);
        drop(stdin);
        assert!(talk.is_unread(), "it has exited and has not read it");
    }

    #[test]
    fn a_value_that_is_larger_than_the_pipe_is_written_in_parts() {
        let (stdin, mut talk) = talk();
        let value: Vec<u8> = (1..=250).cycle().take(300_000).collect();
        talk.begin(&value, 0);
        let mut arrived = Vec::new();
        while arrived.len() < 300_001 {
            arrived.extend(read(&stdin, 10_000));
            talk.send();
        }
        assert!(talk.is_sent());
        assert_eq!((&arrived[..300_000], arrived[300_000]), (&value[..], 0));
    }

    #[test]
    fn a_program_that_has_closed_its_input_gets_no_task() {
        let (stdin, mut talk) = talk();
        drop(stdin);
        talk.begin(b"a", b'\n');
        assert!(talk.deaf_since.is_some() && talk.input().is_none() && talk.is_unread());
    }

    /// As the wait for it shows.
    #[test]
    fn a_program_may_close_its_input_when_it_has_read_its_task() {
        for has_read in [true, false] {
            let (stdin, mut talk) = talk();
            talk.begin(b"a", b'\n');
            if has_read {
                read(&stdin, 2);
            }
            drop(stdin);
            let (fd, flags) = talk.input().expect("it is not known yet");
            let mut polled = [rustix::event::PollFd::from_borrowed_fd(fd, flags)];
            assert_eq!(rustix::event::poll(&mut polled, None), Ok(1));
            talk.send();
            assert!(talk.input().is_none());
            assert_eq!(talk.deaf_since.is_some(), !has_read);
        }
    }

    #[test]
    fn an_answer_is_one_line() {
        let (_stdin, mut talk) = talk();
        let mut taken = |parts: &[&[u8]]| {
            parts.iter().for_each(|part| talk.hear(part));
            talk.take_answer().map_err(|why| why.to_string())
        };
        assert_eq!(taken(&[b"{}", b" \n"]), Ok(Some(b"{} ".to_vec())));
        assert_eq!(taken(&[b"\n"]), Ok(Some(vec![])));
        assert_eq!(taken(&[b"{"]), Ok(None), "it is not complete");
        assert_eq!(taken(&[]), Ok(None));
        let more = taken(&[b"{\"ok\":true}\n{", b"}\n"]).expect_err("two lines");
        assert!(more.ends_with("more than one line for a task: {}"), "{more}");
        let banner = taken(&[b"hello\n{\"ok\":true}\n"]).expect_err("a banner");
        assert!(banner.contains(": hello ("), "{banner}");
        let part = vec![b'x'; ANSWER_AT_MOST];
        let long = taken(&[&part, b"x", b"\n"]).expect_err("too long");
        assert!(long.contains("16 MiB"), "{long}");
        let line = taken(&[&part, b"\n"]).expect("just short enough");
        assert_eq!(line.map(|line| line.len()), Some(ANSWER_AT_MOST));
    }
}
