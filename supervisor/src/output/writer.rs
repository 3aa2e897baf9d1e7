//! The writer's thread: writes outputs and messages, and draws the bar.

mod live;

mod filing_outputs;
mod holding;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::capture::{Broken, Piece};
use super::filing::Filed;
use super::frames::{self, Served};
use super::keeping::{KeepingFailed, OutputKeeping};
use super::lines;
use super::live::Live;
use super::screen::Screen;
use super::{Delivery, HELD_IN_MEMORY, Message, State, Style, Unwritable};
use crate::os::patient::Patient;
use crate::os::{streams, terminal};
use crate::template::Looks;

/// How often the bar is updated.
const BAR_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Writer {
    style: Style,
    state: Arc<State>,
    stdout: BufWriter<Patient>,
    stderr: Patient,
    /// The bar, while there is one.
    screen: Option<Screen>,
    held: BTreeMap<u64, Delivery>,
    held_in_memory: u64,
    next: u64,
    keeping: OutputKeeping,
    /// Tasks whose outputs are written except for what is buffered, and whether they are kept.
    unflushed: Vec<(u64, bool)>,
    /// Tasks whose outputs are kept and were not written at once, and those whose outputs are kept
    /// and cannot be written.
    waiting: Vec<u64>,
    unwritable: Vec<u64>,
    /// Tasks whose outputs are not kept and wait for their turn.
    behind: Vec<u64>,
    /// Tasks whose outputs were neither written nor kept.
    missing: Vec<u64>,
    /// Outputs of running tasks, with `--lb`.
    live: Option<Live>,
}

impl Writer {
    /// `wake` is rung after each message, if outputs of running tasks are shown.
    pub(super) fn new(
        mut style: Style,
        wake: Option<Arc<OwnedFd>>,
        state: Arc<State>,
    ) -> io::Result<Writer> {
        Ok(Writer {
            live: style.live.take().zip(wake).map(|(pipe, wake)| Live::new(pipe, wake)),
            keeping: OutputKeeping::with(style.keeper.take()),
            stdout: BufWriter::with_capacity(64 << 10, Patient::on(io::stdout())?),
            stderr: Patient::on(io::stderr())?,
            screen: style.bar.then(Screen::new).transpose()?,
            style,
            state,
            held: BTreeMap::new(),
            held_in_memory: 0,
            next: 1,
            unflushed: Vec::new(),
            waiting: Vec::new(),
            unwritable: Vec::new(),
            behind: Vec::new(),
            missing: Vec::new(),
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        if let Some(hello) = self.style.hello.take() {
            self.write_frame(&hello);
        }
        while let Some(message) = self.receive(messages) {
            let weight = message.weight();
            match message {
                Message::Deliver(delivery) => self.take(*delivery),
                Message::Frame(frame) => self.write_frame(&frame),
                Message::Say(text) => {
                    self.flush();
                    self.on_stderr(|stderr| {
                        // When standard error is gone the message cannot be shown.
                        let _ = stderr.write_all(text.as_bytes());
                    });
                }
                Message::Hide(hidden) => {
                    self.flush();
                    self.hide(true);
                    // The sender of the message may have stopped waiting.
                    let _ = hidden.send(());
                }
                Message::Unhide => self.hide(false),
                Message::Close => self.close(),
            }
            self.state.lift(weight);
            if self.screen.as_ref().is_some_and(Screen::is_missed) {
                self.flush();
                self.show();
            }
        }
        self.flush();
        self.state.ended.store(true, Ordering::Release);
        self.state.ring();
    }

    fn take(&mut self, mut delivery: Delivery) {
        if let Some(served) = delivery.served.take() {
            self.serve(*served, delivery);
            return;
        }
        let Some(mut delivery) = self.file(delivery) else { return };
        self.complete(&mut delivery);
        self.keep(&mut delivery);
        match self.style.keep_order {
            true => self.hold(delivery),
            false => self.write(delivery),
        }
    }

    fn write_frame(&mut self, frame: &[u8]) {
        if self.state.failure.get().is_none() {
            let written = self.stdout.write_all(frame).map_err(Broken::Target);
            self.note(0, "standard output", written);
        }
    }

    /// Gives the client of `msup serve` the outcome of a task.
    fn serve(&mut self, served: Served, delivery: Delivery) {
        let Delivery { seq, stdout, stderr, result, .. } = delivery;
        let streams = [result, stdout, stderr];
        if self.state.failure.get().is_some() {
            streams.into_iter().for_each(Piece::discard);
            return;
        }
        let written = frames::write(seq, served, streams, &mut self.stdout);
        match self.note(seq, "standard output", written.map_err(Broken::Target)) {
            true => self.unflushed.push((seq, false)),
            false => self.missing.push(seq),
        }
    }

    /// The next message; while there is none, what was written is flushed, and the bar moves.
    fn receive(&mut self, messages: &Receiver<Message>) -> Option<Message> {
        loop {
            match messages.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if self.show_arrived() {
                continue;
            }
            self.flush();
            self.show();
            let Some(live) = &self.live else { break };
            live.wait(self.screen.is_some().then_some(BAR_EVERY));
        }
        while self.screen.is_some() {
            self.show();
            match messages.recv_timeout(BAR_EVERY) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        messages.recv().ok()
    }

    fn show(&mut self) {
        let progress = self.state.progress.lock().ok().and_then(|mut shown| shown.take());
        if let Some(screen) = &mut self.screen {
            screen.show(progress);
        }
    }

    /// Removes the bar.
    fn lift(&mut self) {
        if let Some(screen) = &mut self.screen {
            screen.lift();
        }
    }

    fn hide(&mut self, hidden: bool) {
        if let Some(screen) = &mut self.screen {
            screen.hide(hidden);
        }
    }

    /// Writes what was held back behind tasks that never ran, and removes the bar for good.
    fn close(&mut self) {
        for delivery in std::mem::take(&mut self.held).into_values() {
            self.write(delivery);
        }
        self.close_table();
        self.flush();
        self.lift();
        self.screen = None;
        self.state.closed.store(true, Ordering::Release);
        self.state.ring();
    }

    /// Keeps an output until it is its turn. What is held does not count as backlog: it must not
    /// stop the task it waits for.
    fn hold(&mut self, delivery: Delivery) {
        self.held_in_memory += delivery.in_memory();
        if delivery.seq != self.next {
            match delivery.writer.is_some() {
                true => self.waiting.push(delivery.seq),
                false => self.behind.push(delivery.seq),
            }
        }
        self.held.insert(delivery.seq, delivery);
        while let Some(delivery) = self.held.remove(&self.next) {
            self.next = delivery.last.saturating_add(1);
            self.held_in_memory -= delivery.in_memory();
            self.write(delivery);
        }
        self.show_waiting(self.next);
        self.state.holds(self.held.len() as u64);
        if self.held_in_memory > HELD_IN_MEMORY {
            self.spool_with(None);
        }
    }

    fn write(&mut self, mut delivery: Delivery) {
        if let Some(Filed::Row(row)) = delivery.filed.take() {
            self.write_row(&row, delivery);
            return;
        }
        let Delivery { seq, stdout, stderr, writer, is_replayed, looks, is_torn, .. } = delivery;
        let (is_kept, mut is_whole) = (writer.is_some(), false);
        if self.state.failure.get().is_some() {
            stdout.discard();
        } else {
            let copied = self.copy(seq, stdout, &looks, 0);
            is_whole = self.note(seq, "standard output", copied) && !is_torn;
        }
        if !stderr.is_empty() {
            self.flush();
            if (is_kept || is_replayed) && self.state.failure.get().is_some() {
                // The next start shows it, with what belongs on standard output.
                stderr.discard();
                is_whole = false;
            } else {
                let copied = self.copy(seq, stderr, &looks, 1);
                // A standard error that was closed is not missed.
                let copied = match copied {
                    Err(Broken::Target(why)) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    copied => copied,
                };
                is_whole &= self.note(seq, "standard error", copied);
            }
        }
        if is_whole {
            self.unflushed.push((seq, is_kept));
        } else if is_kept {
            self.unwritable.push(seq);
        } else {
            self.missing.push(seq);
        }
    }

    fn copy(&mut self, seq: u64, piece: Piece, looks: &Looks, stream: usize) -> Result<(), Broken> {
        if let Some(mut live) = self.live.take() {
            let written = self.write_live(&mut live, seq, stream, piece, looks);
            self.live = Some(live);
            return written;
        }
        let ends_line = self.ends_lines(stream);
        if stream == 0 {
            if !piece.is_empty() {
                self.lift_for_output();
            }
            return lines::copy(piece, &mut self.stdout, looks, ends_line).map(drop);
        }
        self.on_stderr(|stderr| lines::copy(piece, stderr, looks, ends_line)).map(drop)
    }

    /// Whether the last line of each output on this stream must end, because the bar is drawn below
    /// it.
    fn ends_lines(&self, stream: usize) -> bool {
        if stream == 0 { self.shares_terminal() } else { self.screen.is_some() }
    }

    /// Removes the bar, if standard output is on its terminal.
    fn lift_for_output(&mut self) {
        if self.shares_terminal() {
            self.lift();
        }
    }

    /// Whether standard output is on a terminal, as the bar is.
    fn shares_terminal(&self) -> bool {
        self.style.bar && terminal::shows_output()
    }

    /// Keeps it with the run. A failure to keep it does not affect the run.
    fn keep(&mut self, delivery: &mut Delivery) {
        if let Err(stopped) = self.keeping.keep(delivery) {
            self.stop_keeping(&stopped);
        }
    }

    /// No task whose output was only gathered may be reported as one whose output is kept.
    fn stop_keeping(&mut self, KeepingFailed { why, withdrawn }: &KeepingFailed) {
        for seq in withdrawn {
            if let Some(delivery) = self.held.get_mut(seq) {
                delivery.writer = None;
                self.behind.push(*seq);
            }
        }
        self.waiting.retain(|seq| !withdrawn.contains(seq));
        // Neither written nor kept.
        self.missing.extend(self.unwritable.extract_if(.., |seq| withdrawn.contains(seq)));
        for (seq, is_kept) in &mut self.unflushed {
            *is_kept &= !withdrawn.contains(seq);
        }
        let text = format!(
            "msup: outputs are not kept any more: {why}: msup resume --replay will not have all \
             of them\n"
        );
        self.on_stderr(|stderr| drop(stderr.write_all(text.as_bytes())));
    }

    fn flush(&mut self) {
        // Outputs are kept before they are shown, and shown before their ends are journaled.
        if let Err(stopped) = self.keeping.flush() {
            self.stop_keeping(&stopped);
        }
        self.state.tell(&self.state.unkept, self.keeping.unkept());
        if self.state.failure.get().is_none() {
            let has_more = !self.stdout.buffer().is_empty();
            let flushed = self.stdout.flush().map_err(Broken::Target);
            if self.note(0, "standard output", flushed) {
                self.state.has_shown.fetch_or(has_more, Ordering::Relaxed);
                let mut shown = self.unflushed.drain(..).map(|(seq, _)| seq).collect();
                self.state.tell(&self.state.shown, &mut shown);
            }
        }
        if self.state.failure.get().is_some() {
            for (seq, is_kept) in self.unflushed.drain(..) {
                let list = if is_kept { &mut self.unwritable } else { &mut self.missing };
                list.push(seq);
            }
        }
        self.state.tell(&self.state.missing, &mut self.missing);
        // Those that were written meanwhile do not wait any more.
        self.waiting.retain(|seq| self.held.contains_key(seq));
        self.waiting.append(&mut self.unwritable);
        self.state.tell(&self.state.kept, &mut self.waiting);
        self.behind.retain(|seq| self.held.contains_key(seq));
        self.state.tell(&self.state.behind, &mut self.behind);
    }

    /// Whether it is written, except for what is buffered.
    fn note(&mut self, seq: u64, place: &str, written: Result<(), Broken>) -> bool {
        let is_written = written.is_ok();
        match written {
            Ok(()) => {}
            Err(Broken::Source(why)) => self.lose(seq, &why),
            Err(Broken::Target(why)) => {
                let failure = match why.kind() {
                    io::ErrorKind::BrokenPipe => Unwritable::Closed,
                    _ if streams::is_closed(&why) => {
                        Unwritable::Other(format!("{place} is closed"))
                    }
                    _ => Unwritable::Other(format!("{place}: {why}")),
                };
                let _ = self.state.failure.set(failure);
                self.state.ring();
            }
        }
        is_written
    }

    /// An output that was kept for its turn is gone.
    fn lose(&mut self, seq: u64, why: &io::Error) {
        self.state.note_lost();
        let text = format!("msup: task {seq}: its output is lost: {why}\n");
        self.on_stderr(|stderr| drop(stderr.write_all(text.as_bytes())));
    }

    fn on_stderr<T>(&mut self, write: impl FnOnce(&mut Patient) -> T) -> T {
        self.lift();
        write(&mut self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BACKLOG, HELD};
    use super::*;

    use rustix::event::{EventfdFlags, eventfd};

    fn state() -> State {
        State::new(eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd"))
    }

    /// Else the tasks that such a task has added would wait for its end for ever.
    #[test]
    fn an_output_that_was_not_written_and_then_not_kept_is_missing() {
        let style = Style {
            keep_order: false,
            folder: "/nowhere".into(),
            bar: false,
            keeper: None,
            hello: None,
            filing: None,
            live: None,
        };
        let mut writer = Writer::new(style, None, Arc::new(state())).expect("it can be written");
        writer.unwritable = vec![5, 6];
        let why = io::Error::other("no space");
        writer.stop_keeping(&KeepingFailed { why, withdrawn: [6].into() });
        writer.flush();
        let told = [&writer.state.missing, &writer.state.kept]
            .map(|told| told.lock().expect("whole").clone());
        assert_eq!(told, [vec![6], vec![5]]);
    }

    #[test]
    fn pressure_ends_with_a_ring() {
        let state = state();
        state.backlog.store(BACKLOG + 10, Ordering::Relaxed);
        state.holds(HELD + 1);
        let has_rung = || rustix::io::read(&state.doorbell, &mut [0; 8]).is_ok();
        state.lift(9);
        assert!(!has_rung());
        state.lift(1);
        assert!(has_rung());
        state.lift(1);
        assert!(!has_rung(), "once");
        state.holds(HELD);
        assert!(has_rung());
    }
}
