//! The loop of `msup-worker`: each task is a command, or a line for a program that keeps running.

use std::cell::RefCell;
use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use msup_protocol::codec::{Command, CommandInput, TaskFrame, Usage, Verdict, Work};
use msup_protocol::layout::Header;
use msup_protocol::token::Held;
use msup_protocol::{crash, exit};
use rustix::time::{ClockId, clock_gettime};
use serde_bytes::ByteBuf;

use crate::attach::{CommandEnds, Post, attach};
use crate::ctx::leave;
use crate::guardian::{self, Manner};
use crate::steps::{Attempted, Streams};
use crate::task_loop::serve;

mod account;
mod answer;
mod capture;
mod children;
mod environment;
mod feed;
mod outbox;
mod place;
mod program;
mod spawn;
mod talk;

use capture::{Capture, Finished};
use children::Children;
use environment::Environment;
use feed::Feed;
use outbox::Outbox;
use place::Prepared;
use program::Program;
use spawn::{GivenStreams, Spawner};

/// How long a worker without a supervisor waits until the processes that it has killed are gone.
const SWEEP_AT_MOST: Duration = Duration::from_millis(400);

/// The whole of `msup-worker`. `release` is its release of msup: it refuses a segment of any other
/// release.
#[must_use]
pub fn main(release: &str) -> ExitCode {
    let post = match attach(Some(release), Manner::Sweeping) {
        Ok(Some(post)) => post,
        Ok(None) => {
            let why = "it is started by msup, which passes it what it needs";
            let _ = writeln!(io::stderr(), "msup-worker {release}: {why}");
            return ExitCode::from(exit::ERROR);
        }
        // The supervisor reports the program and what to do about it, once for all workers.
        Err(why) => return ExitCode::from(why.exit_status()),
    };
    let runner = match Runner::new(&post) {
        Ok(runner) => RefCell::new(runner),
        Err(why) => {
            let _ = writeln!(io::stderr(), "msup-worker: cannot prepare: {why}");
            return ExitCode::from(exit::WORKER_CANNOT_ATTACH);
        }
    };
    // Called between attempts only, and at least once a second.
    let leaving = || {
        runner.borrow_mut().reap_left();
        guardian::told_to_exit()
    };
    post.report_for_work();
    let post = serve(post, &leaving, |post, frame, token, output| {
        runner.borrow_mut().attempt(post, frame, token, output)
    });
    if !guardian::told_to_exit() {
        runner.borrow_mut().end_programs(&post);
    }
    if guardian::told_to_exit() {
        guardian::sweep(SWEEP_AT_MOST);
        return ExitCode::from(exit::WORKER_TOLD_TO_EXIT);
    }
    ExitCode::from(guardian::status_of_leaving())
}

/// What stays the same from command to command.
struct Runner {
    environment: Environment,
    spawner: Spawner,
    children: Children,
    buffer: Box<[MaybeUninit<u8>]>,
    /// The programs that keep running: one, or one for each stage of a pipeline that has one.
    programs: Vec<Program>,
    /// CPU time of this worker when it last reported it.
    own_ns: u64,
}

impl Runner {
    fn new(post: &Post) -> io::Result<Runner> {
        let nofile = post.seat.shared().header.nofile();
        Ok(Runner {
            environment: Environment::of_this_process(post.seat.me()),
            spawner: Spawner::new(nofile)?,
            children: Children::new()?,
            buffer: Box::new_uninit_slice(capture::CHUNK),
            programs: Vec::new(),
            // CPU time for starting up is not part of any command.
            own_ns: own_time_ns(),
        })
    }

    fn attempt(
        &mut self,
        post: &Post,
        frame: TaskFrame,
        token: Option<Held>,
        mut output: Streams,
    ) -> Attempted {
        let TaskFrame { seq, attempt, work } = frame;
        if let Some(token) = token {
            post.seat.begin_foreign(token).unwrap_or_else(leave);
        }
        // CRASH: foreign_before_spawn. Foreign(dead): reclaimed on the reap.
        crash::point("foreign_before_spawn");
        let may_be_last = matches!(&work, Work::Command(command) if command.stops);
        let (verdict, leaked, usage) = match work {
            Work::Command(command) => self.run(post, command, seq, attempt, &mut output),
            Work::Line(line) => self.give(post, &line, &mut output),
            Work::Value { .. } => {
                let verdict = Verdict::Trouble("msup-worker has no task function".into());
                (verdict, false, Usage::default())
            }
        };
        // CRASH: exited_before_outcome. Foreign(dead), Claimed(dead): the task is run again.
        crash::point("exited_before_outcome");
        let token = post.seat.end_foreign();
        let usage = Usage { worker_ns: self.own_time(), ..usage };
        let is_last = may_be_last && stops_xargs(&verdict);
        Attempted { token, verdict, usage, output, leaked, is_last }
    }

    fn run(
        &mut self,
        post: &Post,
        command: Command,
        seq: u64,
        attempt: u32,
        output: &mut Streams,
    ) -> (Verdict, bool, Usage) {
        let (memory, announced) = (command.memory, command.announced.clone());
        let Input { stdin, feed, file: _file } = match Input::of(post, &command.input) {
            Ok(input) => input,
            Err(why) => {
                let verdict = Verdict::Trouble(format!("cannot give it its input: {why}"));
                return (verdict, false, Usage::default());
            }
        };
        let place = match Prepared::of(&command.place) {
            Ok(place) => place,
            Err(verdict) => return (verdict, false, Usage::default()),
        };
        let envp = self.environment.for_task(seq, attempt, &command);
        let argv = self.environment.arguments(command);
        let (Ok(envp), Ok(argv)) = (envp, argv) else {
            let verdict = Verdict::Trouble("a NUL byte in an argument".into());
            return (verdict, false, Usage::default());
        };
        let CommandEnds { live, stdout, tty } = &post.ends;
        let mut outbox = live.as_ref().map(|pipe| Outbox::new(pipe.as_fd(), seq, attempt));
        if let Err(why) = announce(&announced, stdout.as_ref(), outbox.as_mut(), output) {
            let verdict = Verdict::Trouble(format!("cannot keep its output: {why}"));
            return (verdict, false, Usage::default());
        }
        let stderr = io::stderr();
        let outputs = stdout.as_ref().map(|stdout| [stdout.as_fd(), stderr.as_fd()]);
        let clock = ActiveTime::new(post.seat.shared().header);
        let started = {
            let stdin = stdin.as_ref().or(tty.as_ref()).map(OwnedFd::as_fd);
            let streams = GivenStreams { stdin, outputs };
            self.spawner.spawn(&argv, &envp, streams, (memory, &place), &mut self.children)
        };
        // Else this process would hold the command's own end of the pipe.
        drop(stdin);
        let done = match started {
            Ok(child) => {
                let pid = child.pid;
                post.seat.slot().set_command(pid.unsigned_abs());
                let (own, slot) = ((&mut *self.buffer, &mut self.children), post.seat.slot());
                let capture = Capture::new(child, (feed, outbox), output, own, slot);
                let header = post.seat.shared().header;
                let Finished { verdict, leaked, usage } = capture.until_finished(pid, header);
                let wall_ns = clock.elapsed().as_nanos() as u64;
                (verdict, leaked, Usage { wall_ns, ..usage })
            }
            Err(why) => {
                // Little was announced: memory holds it.
                let _ = outbox.map(|mut outbox| outbox.exit(output));
                let verdict = match self.spawner.is_outside {
                    true => {
                        let errno = why.raw_os_error().unwrap_or(0);
                        Verdict::CannotStart(errno, place.explain(&why))
                    }
                    false => self.cannot_start(&argv, &why),
                };
                (verdict, false, Usage::default())
            }
        };
        place.remove();
        done
    }

    fn cannot_start(&self, argv: &[CString], why: &io::Error) -> Verdict {
        let errno = why.raw_os_error().unwrap_or(0);
        Verdict::CannotStart(errno, self.spawner.explain(argv, errno))
    }

    /// Reaps what earlier commands left running and has exited since.
    fn reap_left(&mut self) {
        // What a program that keeps running has left is reaped while it has a task.
        if self.programs.is_empty() {
            self.children.reap_left();
        }
    }

    /// CPU time of this worker since the last call.
    fn own_time(&mut self) -> u64 {
        let now = own_time_ns();
        now.saturating_sub(std::mem::replace(&mut self.own_ns, now))
    }
}

/// What a command reads.
#[derive(Default)]
struct Input<'a> {
    /// Its standard input; `None`: an empty one.
    stdin: Option<OwnedFd>,
    /// What goes into it.
    feed: Option<Feed<'a>>,
    /// A file that was made for it.
    file: Option<Made>,
}

/// A file that is removed when it is dropped.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // What is left is removed with the run's folder.
        let _ = fs::remove_file(&self.0);
    }
}

impl Input<'_> {
    /// # Errors
    /// The kernel's.
    fn of<'a>(post: &'a Post, input: &CommandInput) -> io::Result<Input<'a>> {
        let blocks = || post.blocks.as_ref().ok_or(io::ErrorKind::NotFound);
        let path = |path: &[u8]| Path::new(OsStr::from_bytes(path)).to_owned();
        Ok(match input {
            CommandInput::Nothing => Input::default(),
            CommandInput::Parts(parts) => {
                let (stdin, feed) = Feed::new(blocks()?.as_fd(), parts)?;
                Input { stdin: Some(stdin), feed: Some(feed), file: None }
            }
            CommandInput::File(name, parts) => {
                // If this process dies, the file is removed with the run's folder.
                let made = Made(path(name));
                feed::copy(blocks()?.as_fd(), parts, &fs::File::create_new(&made.0)?)?;
                Input { file: Some(made), ..Input::default() }
            }
            CommandInput::Filled(name, parts) => {
                // The same for a FIFO. The command dies with this process: it does not wait for
                // another one to open it.
                let made = Made(path(name));
                let feed = Feed::through(&made.0, blocks()?.as_fd(), parts)?;
                Input { feed: Some(feed), file: Some(made), ..Input::default() }
            }
            // The supervisor opens the other end when it sees this one.
            CommandInput::Fifo(name) => {
                Input { stdin: Some(fs::File::open(path(name))?.into()), ..Input::default() }
            }
        })
    }
}

/// Whether xargs runs no further command after this.
fn stops_xargs(verdict: &Verdict) -> bool {
    const STOP: u8 = 255;
    matches!(verdict, Verdict::Exited(STOP) | Verdict::Signaled(_) | Verdict::CannotStart(..))
}

/// Writes what is shown of a command before it is run (`-v`, `-t`): at the beginning of its output,
/// and to standard error at once.
fn announce(
    [first, at_once]: &[ByteBuf; 2],
    stdout: Option<&OwnedFd>,
    outbox: Option<&mut Outbox<'_>>,
    output: &mut Streams,
) -> io::Result<()> {
    if !at_once.is_empty() {
        // Without a reader it is not missed.
        let _ = io::stderr().write_all(at_once);
    }
    match (first.is_empty(), stdout, outbox) {
        (true, ..) => Ok(()),
        (false, Some(stdout), _) => {
            // The command itself finds out whether there is a reader.
            let _ = fs::File::from(stdout.try_clone()?).write_all(first);
            Ok(())
        }
        (false, None, Some(outbox)) => outbox.push(0, first, output),
        (false, None, None) => output[0].write_all(first),
    }
}

/// Time since its creation without pauses of the run.
struct ActiveTime<'a> {
    header: &'a Header,
    began: Instant,
    paused: Duration,
}

impl ActiveTime<'_> {
    fn new(header: &Header) -> ActiveTime<'_> {
        ActiveTime { header, began: Instant::now(), paused: header.paused() }
    }

    fn elapsed(&self) -> Duration {
        let paused = self.header.paused().saturating_sub(self.paused);
        self.began.elapsed().saturating_sub(paused)
    }
}

/// CPU time of this process so far.
fn own_time_ns() -> u64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
