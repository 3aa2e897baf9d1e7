//! The loop of `msup-worker`: each task is a command, or a line for a program that keeps running.

use std::cell::RefCell;
use std::ffi::CString;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use msup_protocol::codec::{Command, TaskFrame, Usage, Verdict, Work};
use msup_protocol::layout::Header;
use msup_protocol::token::Held;
use msup_protocol::{crash, exit};
use rustix::time::{ClockId, clock_gettime};

use crate::attach::{Post, attach};
use crate::ctx::leave;
use crate::guardian::{self, Manner};
use crate::steps::{Attempted, Streams};
use crate::task_loop::serve;

mod account;
mod answer;
mod capture;
mod children;
mod environment;
mod program;
mod spawn;
mod talk;

use capture::{Capture, Finished};
use children::Children;
use environment::Environment;
use program::Program;
use spawn::Spawner;

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
        runner.borrow_mut().end_program(&post);
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
    /// The program that keeps running, if the tasks are for one and it runs.
    program: Option<Program>,
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
            program: None,
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
        Attempted { token, verdict, usage, output, leaked }
    }

    fn run(
        &mut self,
        post: &Post,
        command: Command,
        seq: u64,
        attempt: u32,
        output: &mut Streams,
    ) -> (Verdict, bool, Usage) {
        let memory = command.memory;
        let envp = self.environment.for_task(seq, attempt, command.threads, &command.env);
        let argv = self.environment.arguments(command);
        let (Ok(envp), Ok(argv)) = (envp, argv) else {
            let verdict = Verdict::Trouble("a NUL byte in an argument".into());
            return (verdict, false, Usage::default());
        };
        let clock = ActiveTime::new(post.seat.shared().header);
        match self.spawner.spawn(&argv, &envp, None, memory, &mut self.children) {
            Ok(child) => {
                let pid = child.pid;
                post.seat.slot().set_command(pid.unsigned_abs());
                let told = (post.seat.shared().header, post.seat.slot());
                let capture = Capture::new(child, output, &mut self.buffer, &mut self.children);
                let Finished { verdict, leaked, usage } = capture.until_finished(pid, told);
                let wall_ns = clock.elapsed().as_nanos() as u64;
                (verdict, leaked, Usage { wall_ns, ..usage })
            }
            Err(why) => (self.cannot_start(&argv, &why), false, Usage::default()),
        }
    }

    fn cannot_start(&self, argv: &[CString], why: &io::Error) -> Verdict {
        let errno = why.raw_os_error().unwrap_or(0);
        Verdict::CannotStart(errno, self.spawner.explain(argv, errno))
    }

    /// Reaps what earlier commands left running and has exited since.
    fn reap_left(&mut self) {
        // What a program that keeps running has left is reaped while it has a task.
        if self.program.is_none() {
            self.children.reap_left();
        }
    }

    /// CPU time of this worker since the last call.
    fn own_time(&mut self) -> u64 {
        let now = own_time_ns();
        now.saturating_sub(std::mem::replace(&mut self.own_ns, now))
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
