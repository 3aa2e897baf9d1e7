//! The loop of `msup-worker`: each task is a command.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use msup_protocol::codec::{Command, TaskFrame, Verdict, Work};
use msup_protocol::token::Held;
use msup_protocol::{crash, exit};

use crate::attach::{Post, attach};
use crate::ctx::leave;
use crate::guardian::{self, Manner};
use crate::sink::Sink;
use crate::task_loop::{Ended, serve};

mod capture;
mod environment;
mod spawn;

use environment::Environment;
use spawn::Spawner;

/// How long a worker that leaves waits for the end of what its commands left behind.
const SWEEP_AT_MOST: Duration = Duration::from_millis(400);

/// The whole of `msup-worker`. `release` is the release of msup it belongs to: another one's segment
/// is refused.
#[must_use]
pub fn main(release: &str) -> ExitCode {
    let mut post = match attach(Some(release), Manner::Sweeping) {
        Ok(Some(post)) => post,
        Ok(None) => {
            let why = "it is started by msup, which passes it what it needs";
            let _ = writeln!(io::stderr(), "msup-worker {release}: {why}");
            return ExitCode::from(exit::ERROR);
        }
        // Which program and what to do about it is the supervisor's to say, once for all workers.
        Err(why) => return ExitCode::from(why.exit_status()),
    };
    let mut runner = match Runner::new(&post) {
        Ok(runner) => runner,
        Err(why) => {
            let _ = writeln!(io::stderr(), "msup-worker: cannot prepare: {why}");
            return ExitCode::from(exit::WORKER_CANNOT_ATTACH);
        }
    };
    serve(&mut post, |post, frame, token, output| runner.attempt(post, frame, token, output));
    guardian::sweep(SWEEP_AT_MOST);
    if guardian::told_to_end() {
        return ExitCode::from(exit::WORKER_TOLD_TO_END);
    }
    ExitCode::SUCCESS
}

/// What stays the same from command to command.
struct Runner {
    environment: Environment,
    spawner: Spawner,
    buffer: Vec<u8>,
}

impl Runner {
    fn new(post: &Post) -> io::Result<Runner> {
        let nofile = post.seat.shared().header.nofile();
        Ok(Runner {
            environment: Environment::of_this_process(post.seat.me()),
            spawner: Spawner::new(nofile)?,
            buffer: vec![0; capture::CHUNK],
        })
    }

    fn attempt(
        &mut self,
        post: &Post,
        frame: TaskFrame,
        token: Held,
        mut output: [Sink; 2],
    ) -> Ended {
        let TaskFrame { seq, attempt, work } = frame;
        let Work::Command(command) = work else {
            let verdict = Verdict::Trouble("msup-worker runs commands only".into());
            return Ended { token, verdict, output, leaked: false };
        };
        let charged = post.seat.begin_foreign(token).unwrap_or_else(leave);
        // CRASH: foreign_before_spawn. Foreign(dead): reclaimed on the reap.
        crash::point("foreign_before_spawn");
        let (verdict, leaked) = self.run(command, seq, attempt, &mut output);
        // CRASH: ended_before_outcome. Foreign(dead), Claimed(dead): the task is run again.
        crash::point("ended_before_outcome");
        // What earlier commands left running may have ended by now: no zombie shall pile up.
        guardian::has_children();
        let token = post.seat.end_foreign(charged);
        Ended { token, verdict, output, leaked }
    }

    fn run(
        &mut self,
        command: Command,
        seq: u64,
        attempt: u32,
        output: &mut [Sink; 2],
    ) -> (Verdict, bool) {
        let envp = self.environment.for_task(seq, attempt, &command.env);
        let argv = self.environment.arguments(command);
        let (Ok(envp), Ok(argv)) = (envp, argv) else {
            return (Verdict::Trouble("a NUL byte in an argument".into()), false);
        };
        match self.spawner.spawn(&argv, &envp) {
            Ok(child) => capture::until_end(child, output, &mut self.buffer),
            Err(why) => (Verdict::CannotStart(why.raw_os_error().unwrap_or(0)), false),
        }
    }
}
