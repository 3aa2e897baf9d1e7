//! What a task function calls: blocking sections, checkpoints, its output.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use msup_protocol::exit;
use msup_protocol::park::Futex;
use msup_protocol::token::{Away, Held};
use msup_protocol::worker_side::Seat;

use crate::sink::Sink;
use crate::steps::Streams;

/// The running task's CPU token and its output.
#[derive(Debug)]
pub struct Ctx<'a> {
    hold: Option<Hold<'a>>,
    output: Option<Streams>,
}

#[derive(Debug)]
struct Hold<'a> {
    seat: &'a Seat<'static, Futex>,
    /// `None` only while a blocking section runs.
    token: Option<Held>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(seat: &'a Seat<'static, Futex>, token: Held, output: Streams) -> Ctx<'a> {
        Ctx { hold: Some(Hold { seat, token: Some(token) }), output: Some(output) }
    }

    /// The context of a task without a supervisor: no token, and output goes straight out.
    pub(crate) fn absent() -> Ctx<'static> {
        Ctx { hold: None, output: None }
    }

    pub(crate) fn into_parts(self) -> (Option<Held>, Option<Streams>) {
        (self.hold.and_then(|hold| hold.token), self.output)
    }

    /// Runs `call`, which may block, without needing the CPU token: another task that wants the
    /// token gets it, and this one waits for a token after `call`. Otherwise it costs two atomic
    /// operations. A task that makes only short calls may keep the token for up to 10 ms.
    pub fn blocking<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.without_token(false, call)
    }

    /// Like [`Ctx::blocking`], for calls that surely take long: a waiting task gets the token at
    /// once, which costs a wake.
    pub fn blocking_long<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.without_token(true, call)
    }

    /// For long computations, every few milliseconds: if this task has had its token for 10 ms and
    /// another task waits for one, that one goes first. Almost free if no task waits.
    pub fn checkpoint(&mut self) {
        if let Some(hold) = &mut self.hold
            && let Some(token) = hold.token.take()
        {
            hold.token = Some(hold.seat.checkpoint(token).unwrap_or_else(leave));
        }
    }

    /// The task's standard output: shown in one piece after the task has finished.
    pub fn stdout(&mut self) -> impl Write + '_ {
        match &mut self.output {
            Some([stdout, ..]) => Out::Sink(stdout),
            None => Out::Stdout(io::stdout()),
        }
    }

    /// The task's standard error: shown in one piece after the task has finished.
    pub fn stderr(&mut self) -> impl Write + '_ {
        match &mut self.output {
            Some([_, stderr, _]) => Out::Sink(stderr),
            None => Out::Stderr(io::stderr()),
        }
    }

    /// The task's result, for the program that has submitted it (`msup serve`). Without one, it goes
    /// to standard output.
    pub fn result(&mut self) -> impl Write + '_ {
        match &mut self.output {
            Some([.., result]) => Out::Sink(result),
            None => Out::Stdout(io::stdout()),
        }
    }

    #[inline]
    fn without_token<T>(&mut self, long: bool, call: impl FnOnce() -> T) -> T {
        let Some(hold) = &mut self.hold else { return call() };
        let _back = Back::enter(hold, long);
        call()
    }
}

/// Takes the token back after the blocking section, even after a panic.
struct Back<'h, 'a> {
    hold: &'h mut Hold<'a>,
    away: Option<Away>,
}

impl<'h, 'a> Back<'h, 'a> {
    #[inline]
    fn enter(hold: &'h mut Hold<'a>, long: bool) -> Back<'h, 'a> {
        let away = hold.token.take().and_then(|token| {
            let entered =
                if long { hold.seat.enter_eagerly(token) } else { hold.seat.enter(token) };
            entered.unwrap_or_else(leave)
        });
        Back { hold, away }
    }
}

impl Drop for Back<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.hold.token = Some(self.hold.seat.exit(self.away.take()));
    }
}

/// Exits. Either the supervisor has taken this worker's token away and counts the worker as dead,
/// or the worker cannot read its task, which is then given to another worker.
pub(crate) fn leave<T>(why: impl Display) -> T {
    let _ = writeln!(io::stderr(), "msup worker: {why}; leaving");
    process::exit(i32::from(exit::WORKER_TOLD_TO_EXIT))
}

enum Out<'a> {
    Sink(&'a mut Sink),
    Stdout(io::Stdout),
    Stderr(io::Stderr),
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Sink(sink) => sink.write(bytes),
            Out::Stdout(out) => out.write(bytes),
            Out::Stderr(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Sink(sink) => sink.flush(),
            Out::Stdout(out) => out.flush(),
            Out::Stderr(out) => out.flush(),
        }
    }
}
