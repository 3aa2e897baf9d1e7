//! `--lb`: shows the outputs of running commands.

use std::io::{self, Write};

use super::Writer;
use crate::output::capture::{Broken, Piece};
use crate::output::live::{Live, next_part};
use crate::output::{Delivery, lines};
use crate::template::Looks;

/// Standard output and standard error.
const PLACES: [&str; 2] = ["standard output", "standard error"];

impl Writer {
    /// Shows what has arrived. Returns whether anything has.
    pub(super) fn show_arrived(&mut self) -> bool {
        let Some(mut live) = self.live.take() else { return false };
        let has_read = live.read(usize::MAX) > 0;
        if has_read {
            self.take_parts(&mut live);
        }
        self.live = Some(live);
        has_read
    }

    /// Adds what a finished task has written before it finished: all of that is in the pipe, or was
    /// read.
    pub(super) fn complete(&mut self, delivery: &mut Delivery) {
        let Some(mut live) = self.live.take() else { return };
        let mut waiting = live.waiting();
        while waiting > 0 {
            match live.read(waiting) {
                0 => break,
                read => waiting -= read,
            }
            self.take_parts(&mut live);
        }
        self.state.live.forget(delivery.seq);
        let received = live.finish(delivery, self.style.keep_order);
        self.state.live.note_received(delivery.seq, received);
        self.live = Some(live);
    }

    /// It is the turn of this task, which may be running.
    pub(super) fn show_waiting(&mut self, seq: u64) {
        let Some(mut live) = self.live.take() else { return };
        self.show_lines(&mut live, seq);
        self.live = Some(live);
    }

    fn take_parts(&mut self, live: &mut Live) {
        let bytes = live.take_bytes();
        let mut rest = bytes.as_slice();
        loop {
            match next_part(&mut rest) {
                Ok(Some(part)) => {
                    let seq = part.seq;
                    let ends_line = live.add(part, &self.state.live);
                    if ends_line && (!self.style.keep_order || seq == self.next) {
                        self.show_lines(live, seq);
                    }
                }
                Ok(None) => break live.put_back(rest),
                Err(_) => {
                    live.drop_parts();
                    self.lose_parts();
                    break;
                }
            }
        }
        if self.held_in_memory + live.stored > live.most_stored {
            self.spool_with(Some(live));
        }
    }

    fn show_lines(&mut self, live: &mut Live, seq: u64) {
        (0..PLACES.len()).for_each(|stream| self.show_stream(live, seq, stream));
    }

    fn show_stream(&mut self, live: &mut Live, seq: u64, stream: usize) {
        let Some((lines, task)) = live.take_lines(seq, stream) else { return };
        if self.state.failure.get().is_some() {
            lines.discard();
            return;
        }
        task.has_shown = true;
        let looks = std::mem::take(&mut task.looks);
        let written = self.write_live(live, seq, stream, lines, &looks);
        let is_torn = matches!(written, Err(Broken::Source(_)));
        self.note(seq, PLACES[stream], written);
        if let Some(task) = live.tasks.get_mut(&seq) {
            (task.looks, task.is_torn) = (looks, task.is_torn | is_torn);
        }
    }

    /// Writes an output, or a part of one, on a line of its own.
    pub(super) fn write_live(
        &mut self,
        live: &mut Live,
        seq: u64,
        stream: usize,
        piece: Piece,
        looks: &Looks,
    ) -> Result<(), Broken> {
        if piece.is_empty() {
            return Ok(());
        }
        let newline: &[u8] = if live.takes_newline(seq, stream) { b"\n" } else { b"" };
        let ends_line = self.ends_lines(stream);
        let is_open = if stream == 0 {
            self.lift_for_output();
            self.stdout.write_all(newline).map_err(Broken::Target)?;
            lines::copy(piece, &mut self.stdout, looks, ends_line)?
        } else {
            self.flush();
            let copied = self.on_stderr(|stderr| {
                stderr.write_all(newline).map_err(Broken::Target)?;
                lines::copy(piece, stderr, looks, ends_line)
            });
            match copied {
                // A standard error that was closed is not missed.
                Err(Broken::Target(why)) if why.kind() == io::ErrorKind::BrokenPipe => false,
                copied => copied?,
            }
        };
        live.note_end(seq, stream, is_open);
        Ok(())
    }

    /// A process has written into the pipe that is no worker.
    fn lose_parts(&mut self) {
        self.state.note_lost();
        let text = "msup: a process has written into the pipe for outputs (--lb): parts of outputs \
                    are lost\n";
        self.on_stderr(|stderr| drop(stderr.write_all(text.as_bytes())));
    }
}
