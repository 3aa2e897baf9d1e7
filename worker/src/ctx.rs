//! What a task function calls: blocking sections, checkpoints, its output.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process;

use msup_protocol::exit;
use msup_protocol::park::Futex;
use msup_protocol::slot::Pinned;
use msup_protocol::token::{Away, Held};
use msup_protocol::worker_side::Seat;

use crate::sink::{self, Sink};
use crate::steps::Streams;

/// The number of bytes that buffered readers and writers move in one blocking section.
const BATCH: usize = 64 << 10;

/// The running task's CPU token and its output.
#[derive(Debug)]
pub struct Ctx<'a> {
    hold: Option<Hold<'a>>,
    output: Option<Streams>,
    /// The file that the task writes.
    out: Option<&'a Path>,
    /// Without a supervisor: the values of more tasks.
    emitted: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Hold<'a> {
    seat: &'a Seat<'static, Futex>,
    /// `None` only while a blocking section runs.
    token: Option<Held>,
    /// The token stays here through blocking sections.
    is_pinned: bool,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(
        seat: &'a Seat<'static, Futex>,
        token: Held,
        output: Streams,
        out: Option<&'a Path>,
    ) -> Ctx<'a> {
        let hold = Hold { seat, token: Some(token), is_pinned: false };
        Ctx { hold: Some(hold), output: Some(output), out, emitted: Vec::new() }
    }

    /// The context of a task without a supervisor: no token, and output goes straight out.
    pub(crate) fn absent() -> Ctx<'static> {
        Ctx { hold: None, output: None, out: None, emitted: Vec::new() }
    }

    pub(crate) fn into_parts(self) -> (Option<Held>, Option<Streams>) {
        if let Some(Hold { seat, is_pinned: true, .. }) = &self.hold {
            seat.unpin();
        }
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

    /// Runs `call` while `child`, a process that this one has started, does the work: a program
    /// that knows nothing of tokens. It is measured as commands are: as many tokens are charged to
    /// it as it uses CPUs, none while it waits. After `call` this task waits for a token.
    pub fn foreign<T>(&mut self, child: u32, call: impl FnOnce() -> T) -> T {
        let Some(hold) = &mut self.hold else { return call() };
        let _measured = Measured::begin(hold, child);
        call()
    }

    /// Keeps the token in blocking calls from here to the end of the task, as for a library that
    /// computes in threads of its own. One token stays for the other workers, unless there is only
    /// one. Returns false, and changes nothing, if all others are pinned.
    pub fn pin(&mut self) -> bool {
        let Some(hold) = &mut self.hold else { return true };
        hold.is_pinned = hold.seat.pin();
        hold.is_pinned
    }

    /// Adds a task with this value to the end of the run. It is added when this task has succeeded,
    /// and exactly once, whatever is killed. A task that fails or parks adds none.
    ///
    /// # Errors
    /// The value has more than 15 MiB, all of them have more than 64 MiB, or it cannot be kept.
    pub fn emit(&mut self, value: &[u8]) -> io::Result<()> {
        match &mut self.output {
            Some([.., emitted]) => emitted.push_value(value),
            None => {
                sink::check_value(value)?;
                self.emitted.push(value.to_vec());
                Ok(())
            }
        }
    }

    /// What was emitted without a supervisor.
    pub(crate) fn emitted(self) -> Vec<Vec<u8>> {
        self.emitted
    }

    /// The file of `--out`, created: msup renames it to its place when the task has succeeded.
    ///
    /// # Errors
    /// It cannot be created, or there is no `--out`.
    pub fn out(&mut self) -> io::Result<File> {
        let Some(path) = self.out else {
            return Err(io::Error::other("the task makes no file: run msup with --out"));
        };
        self.blocking(|| {
            File::options().read(true).write(true).create(true).truncate(true).open(path)
        })
    }

    /// A reader with a buffer, which is filled in blocking sections. While it is in use, so is this
    /// context.
    pub fn read_buffered<R: Read>(&mut self, from: R) -> impl BufRead + use<'_, 'a, R> {
        BufReader::with_capacity(BATCH, Blocking { ctx: self, inner: from })
    }

    /// A writer with a buffer, which is written in blocking sections. Call `flush()` at the end: it
    /// reports errors, which are lost when the writer is only dropped.
    pub fn write_buffered<W: Write>(&mut self, to: W) -> impl Write + use<'_, 'a, W> {
        BufWriter::with_capacity(BATCH, Blocking { ctx: self, inner: to })
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
            Some([_, stderr, ..]) => Out::Sink(stderr),
            None => Out::Stderr(io::stderr()),
        }
    }

    /// The task's result, for the program that has submitted it (`msup serve`). Without a
    /// supervisor, it goes to standard output.
    pub fn result(&mut self) -> impl Write + '_ {
        match &mut self.output {
            Some([_, _, result, _]) => Out::Sink(result),
            None => Out::Stdout(io::stdout()),
        }
    }

    #[inline]
    fn without_token<T>(&mut self, long: bool, call: impl FnOnce() -> T) -> T {
        let Some(hold) = &mut self.hold else { return call() };
        if hold.is_pinned {
            let _kept = Kept::enter(hold.seat);
            return call();
        }
        let _back = Back::enter(hold, long);
        call()
    }
}

/// A pinned token in a blocking section.
struct Kept<'h>(&'h Seat<'static, Futex>);

impl<'h> Kept<'h> {
    fn enter(seat: &'h Seat<'static, Futex>) -> Kept<'h> {
        seat.slot().set_pinned(Pinned::Blocking);
        Kept(seat)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.slot().set_pinned(Pinned::Computing);
    }
}

/// The token is charged to a child process. Takes one back afterwards, even after a panic.
struct Measured<'h, 'a>(&'h mut Hold<'a>);

impl<'h, 'a> Measured<'h, 'a> {
    fn begin(hold: &'h mut Hold<'a>, child: u32) -> Measured<'h, 'a> {
        if let Some(token) = hold.token.take() {
            hold.seat.begin_foreign(token).unwrap_or_else(leave);
        }
        hold.seat.slot().set_command(child);
        Measured(hold)
    }
}

impl Drop for Measured<'_, '_> {
    fn drop(&mut self) {
        let seat = self.0.seat;
        self.0.token = Some(seat.end_foreign().unwrap_or_else(|| seat.exit(None)));
    }
}

/// Reads and writes in blocking sections.
struct Blocking<'c, 'a, T> {
    ctx: &'c mut Ctx<'a>,
    inner: T,
}

impl<R: Read> Read for Blocking<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Blocking { ctx, inner } = self;
        ctx.blocking(|| inner.read(buffer))
    }
}

impl<W: Write> Write for Blocking<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Blocking { ctx, inner } = self;
        ctx.blocking(|| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Blocking { ctx, inner } = self;
        ctx.blocking(|| inner.flush())
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
