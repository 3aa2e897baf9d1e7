//! What a task function calls: blocking sections, checkpoints, its output.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use msup_protocol::exit;
use msup_protocol::park::Futex;
use msup_protocol::token::{Away, Held};
use msup_protocol::worker_side::Seat;

use crate::sink::Sink;

/// The running task's hold on a CPU token, and its output.
#[derive(Debug)]
pub struct Ctx<'a> {
    hold: Option<Hold<'a>>,
    output: Option<[Sink; 2]>,
}

#[derive(Debug)]
struct Hold<'a> {
    seat: &'a Seat<'static, Futex>,
    /// `None` only while a blocking section runs.
    token: Option<Held>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(seat: &'a Seat<'static, Futex>, token: Held, output: [Sink; 2]) -> Ctx<'a> {
        Ctx { hold: Some(Hold { seat, token: Some(token) }), output: Some(output) }
    }

    /// The context of a task without a supervisor: nothing is held, output goes straight out.
    pub(crate) fn absent() -> Ctx<'static> {
        Ctx { hold: None, output: None }
    }

    pub(crate) fn into_parts(self) -> (Option<Held>, Option<[Sink; 2]>) {
        (self.hold.and_then(|hold| hold.token), self.output)
    }

    /// Runs `call`, which may block, without needing the CPU token: if another task wants it, it gets
    /// it, and this one waits for a token when `call` is over. Costs two atomic operations otherwise.
    /// A call that is over at once may keep the token; but not for longer than 10 ms of such calls.
    pub fn blocking<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.without_token(false, call)
    }

    /// As [`Ctx::blocking`], for calls that surely take long: a waiting task gets the token at once,
    /// which costs a wake.
    pub fn blocking_long<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.without_token(true, call)
    }

    /// In a long computation, every few milliseconds: lets a task go first that waits for a token, if
    /// this one has had its own for 10 ms. Costs next to nothing when nobody waits.
    pub fn checkpoint(&mut self) {
        if let Some(hold) = &mut self.hold
            && let Some(token) = hold.token.take()
        {
            hold.token = Some(hold.seat.checkpoint(token).unwrap_or_else(leave));
        }
    }

    /// Where the task's standard output goes: shown in one piece when the task has ended.
    pub fn stdout(&mut self) -> impl Write + '_ {
        match &mut self.output {
            Some([stdout, _]) => Out::Sink(stdout),
            None => Out::Stdout(io::stdout()),
        }
    }

    /// Where the task's standard error goes: shown in one piece when the task has ended.
    pub fn stderr(&mut self) -> impl Write + '_ {
        match &mut self.output {
            Some([_, stderr]) => Out::Sink(stderr),
            None => Out::Stderr(io::stderr()),
        }
    }

    #[inline]
    fn without_token<T>(&mut self, long: bool, call: impl FnOnce() -> T) -> T {
        let Some(hold) = &mut self.hold else { return call() };
        let _back = Back::enter(hold, long);
        call()
    }
}

/// Takes the token back when the blocking section ends, by a panic too.
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

/// The supervisor has taken this worker's token away, which counts as dead then and must act accordingly; or its task
/// cannot be read, and is put before somebody anew.
pub(crate) fn leave<T>(why: impl Display) -> T {
    let _ = writeln!(io::stderr(), "msup worker: {why}; leaving");
    process::exit(i32::from(exit::WORKER_TOLD_TO_END))
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
