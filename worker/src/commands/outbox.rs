//! `--lb`: the output of a running command, on its way to the supervisor part by part.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use msup_protocol::crash;
use msup_protocol::live::{self, FINISHED, Finish, Part};
use rustix::io::Errno;

use crate::steps::Streams;

/// The parts of one attempt that are not written yet. While there are any, the command's output is
/// not read: a reader that does not read stops the command, as a pipe would.
#[derive(Debug)]
pub(super) struct Outbox<'a> {
    pipe: BorrowedFd<'a>,
    seq: u64,
    attempt: u32,
    parts: Vec<u8>,
    /// The number of bytes of `parts` that are written.
    written: usize,
    /// The command has exited: nothing waits for the pipe.
    has_exited: bool,
    /// Nothing more is written: the rest of the output travels with the outcome.
    is_closed: bool,
}

impl<'a> Outbox<'a> {
    /// Of an attempt that begins. `pipe` never blocks.
    pub(super) fn new(pipe: BorrowedFd<'a>, seq: u64, attempt: u32) -> Outbox<'a> {
        let (parts, written, has_exited, is_closed) = (Vec::new(), 0, false, false);
        Outbox { pipe, seq, attempt, parts, written, has_exited, is_closed }
    }

    /// What has to become writable before the command is read again, if anything.
    pub(super) fn awaited(&self) -> Option<BorrowedFd<'a>> {
        (self.written < self.parts.len()).then_some(self.pipe)
    }

    /// Writes bytes of this stream, or as many of them as the pipe takes now. Once it is closed,
    /// they go to their sink.
    ///
    /// # Errors
    /// The sink cannot keep them.
    pub(super) fn push(
        &mut self,
        stream: usize,
        content: &[u8],
        sinks: &mut Streams,
    ) -> io::Result<()> {
        if self.is_closed {
            return sinks[stream].write_all(content);
        }
        let Outbox { seq, attempt, .. } = *self;
        Part { seq, attempt, stream, content }.push(&mut self.parts);
        self.send(sinks)
    }

    /// Writes as many parts as the pipe takes now.
    ///
    /// # Errors
    /// The pipe is gone, and the sinks cannot keep the rest.
    pub(super) fn send(&mut self, sinks: &mut Streams) -> io::Result<()> {
        while let Some(len) = self.next_len() {
            let part = &self.parts[self.written..self.written + len];
            match rustix::io::write(self.pipe, part) {
                // All of it: see `live`.
                Ok(_) => self.written += len,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !self.has_exited => return Ok(()),
                // Full, or the supervisor is gone.
                Err(_) => return self.close(sinks),
            }
            // CRASH: part_before_next. The beginning of a line is with the supervisor, which drops
            // it with the attempt.
            crash::point("part_before_next");
        }
        self.parts.clear();
        self.written = 0;
        Ok(())
    }

    /// The command has exited: what the pipe does not take at once goes to the sinks, with all that
    /// follows. The report must not wait for a reader.
    ///
    /// # Errors
    /// The sinks cannot keep it.
    pub(super) fn exit(&mut self, sinks: &mut Streams) -> io::Result<()> {
        self.has_exited = true;
        self.send(sinks)
    }

    /// All output is written. Where the pipe does not take this, the outcome tells it.
    pub(super) fn finish(&mut self, finish: Finish) {
        let (Outbox { seq, attempt, .. }, content) = (&*self, &[finish as u8]);
        let mut part = Vec::new();
        Part { seq: *seq, attempt: *attempt, stream: FINISHED, content }.push(&mut part);
        if !self.is_closed {
            let _ = rustix::io::write(self.pipe, &part);
        }
    }

    fn close(&mut self, sinks: &mut Streams) -> io::Result<()> {
        self.is_closed = true;
        let mut rest = &self.parts[self.written..];
        while let Ok(Some((part, after))) = live::first(rest) {
            sinks[part.stream].write_all(part.content)?;
            rest = after;
        }
        self.parts.clear();
        self.written = 0;
        Ok(())
    }

    /// The length of the next part with its head.
    fn next_len(&self) -> Option<usize> {
        let rest = &self.parts[self.written..];
        match live::first(rest) {
            Ok(Some((_, after))) => Some(rest.len() - after.len()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use msup_protocol::codec::Stream;
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;
    use crate::sink::{Place, Sink};

    fn sinks() -> Streams {
        std::array::from_fn(|_| Sink::new(Place::At("/proc/nonexistent/out".into())))
    }

    /// What arrives of this stream, and what is left in its sink.
    fn arrived(pipe: BorrowedFd<'_>, sinks: &Streams, stream: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
        while let Ok(len @ 1..) = rustix::io::read(pipe, &mut buffer[..]) {
            bytes.extend(&buffer[..len]);
        }
        let (mut rest, mut content) = (bytes.as_slice(), Vec::new());
        while let Some((part, after)) = live::first(rest).expect("parts") {
            assert_eq!((part.seq, part.attempt), (7, 2));
            if part.stream == stream {
                content.extend(part.content);
            }
            rest = after;
        }
        assert!(rest.is_empty(), "a torn part");
        let Stream::Here(left) = sinks[stream].stream() else { panic!("little") };
        (content, left.into_vec())
    }

    #[test]
    fn a_full_pipe_is_waited_for_until_the_command_has_exited() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).expect("a pipe");
        let mut sinks = sinks();
        let mut outbox = Outbox::new(writer.as_fd(), 7, 2);
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        outbox.push(0, &bytes, &mut sinks).expect("memory");
        assert!(outbox.awaited().is_some(), "the pipe holds less");
        let (first, left) = arrived(reader.as_fd(), &sinks, 0);
        assert!(!first.is_empty() && bytes.starts_with(&first) && left.is_empty());
        outbox.send(&mut sinks).expect("memory");
        assert!(outbox.awaited().is_none(), "now it takes the rest");
        // More than the pipe takes now, and less than a sink keeps without a file.
        outbox.push(1, &bytes[..60_000], &mut sinks).expect("memory");
        outbox.exit(&mut sinks).expect("memory");
        outbox.push(1, b"more", &mut sinks).expect("memory");
        assert!(outbox.awaited().is_none());
        let (second, _) = arrived(reader.as_fd(), &sinks, 0);
        assert_eq!([first, second].concat(), bytes);
    }

    #[test]
    fn what_the_pipe_does_not_take_travels_with_the_outcome_in_order() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).expect("a pipe");
        let mut sinks = sinks();
        let mut outbox = Outbox::new(writer.as_fd(), 7, 2);
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        outbox.push(1, &bytes, &mut sinks).expect("memory");
        outbox.exit(&mut sinks).expect("memory");
        outbox.push(1, b"more", &mut sinks).expect("memory");
        let (shown, left) = arrived(reader.as_fd(), &sinks, 1);
        assert!(!shown.is_empty() && !left.is_empty());
        assert_eq!([shown, left].concat(), [bytes, b"more".to_vec()].concat());
    }

    #[test]
    fn without_a_reader_nothing_is_lost() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).expect("a pipe");
        drop(reader);
        let mut sinks = sinks();
        let mut outbox = Outbox::new(writer.as_fd(), 7, 2);
        outbox.push(0, b"text", &mut sinks).expect("memory");
        let Stream::Here(left) = sinks[0].stream() else { panic!("little") };
        assert_eq!(left.into_vec(), b"text");
    }
}
