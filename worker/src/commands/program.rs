//! A program that keeps running from task to task: it reads a value and answers with a line
//! (docs/guide/stdio-workers.md).
//!
//! The worker starts it for the first task. From then on it is like a command that has just been
//! started whenever a task begins: it is measured, stopped and killed in the same way.

use std::array;
use std::ffi::CString;
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use msup_protocol::codec::{self, Line, Usage, Verdict};
use msup_protocol::slot::WorkerSlot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_bytes::ByteBuf;

use super::account::{Account, Used};
use super::answer::{Answer, BadAnswer};
use super::capture::{Between, Capture, Finished};
use super::place::Prepared;
use super::spawn::{Child, GivenStreams};
use super::talk::Talk;
use super::{ActiveTime, Runner};
use crate::attach::Post;
use crate::sink::{Place, Sink};
use crate::steps::Streams;
use crate::task_loop::cut;

/// The number of sleeps of a program during a task is not known, only whether it slept. A command
/// that only computes sleeps once, when it is started.
const COMPUTES: u64 = 1;
const SLEEPS: u64 = 2;

/// A program of this worker.
pub(super) struct Program {
    /// With this command line it was started.
    argv: Vec<ByteBuf>,
    pid: i32,
    /// Its standard output and standard error, as far as it has not closed them.
    streams: [Option<OwnedFd>; 2],
    talk: Talk,
    /// It has answered a task.
    has_answered: bool,
    has_exited: bool,
    account: Account,
    ending: Ending,
}

/// How a program without a task is stopped.
#[derive(Clone, Debug)]
struct Ending {
    /// The time it has after the end of its input.
    exits_within: Duration,
    /// Then it gets these signals, each with the time until the next one.
    signals: Vec<(i32, Duration)>,
}

/// What the program has made of a task.
enum Said {
    /// It has answered and waits for the next task.
    Answered(Verdict),
    /// It exits, and has not read a byte of the task.
    Unread,
    /// It has written to its standard output before it got the task.
    Unasked,
    /// It has exited, or can answer no more.
    Gone,
    /// It does not keep to the protocol.
    Wrong(BadAnswer),
}

/// What an attempt has used beside time.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    pid: u32,
    used: Used,
    peak: u64,
    leaked: bool,
}

impl Runner {
    /// One attempt of a task: the program gets the value and answers. If there is no program, or
    /// the one that is there exits, a new one is started. Returns what the answer means, whether
    /// processes were left running, and what the attempt has used.
    pub(super) fn give(
        &mut self,
        post: &Post,
        line: &Line,
        output: &mut Streams,
    ) -> (Verdict, bool, Usage) {
        let clock = ActiveTime::new(post.seat.shared().header);
        let mut spent = Spent::default();
        let verdict = loop {
            let known = self.programs.iter().position(|program| program.argv == line.program.argv);
            let started = match known {
                Some(at) => Ok(self.programs.swap_remove(at)),
                None => self.start(&line.program),
            };
            let mut program = match started {
                Ok(program) => program,
                Err(verdict) => break verdict,
            };
            spent.pid = program.pid.unsigned_abs();
            post.seat.slot().set_command(spent.pid);
            match self.exchange(&mut program, line, output, post.seat.slot()) {
                Said::Answered(verdict) => {
                    spent.used.add(program.account.advance());
                    spent.used.cpu += self.children.take_adopted();
                    spent.peak = spent.peak.max(program.account.peak);
                    self.programs.push(program);
                    break verdict;
                }
                Said::Unread => self.see_off(program, post, output, &mut spent),
                Said::Unasked => {
                    let text = b"msup: the program wrote to its standard output without a task: \
                                 started anew\n";
                    // What cannot be kept here is no output of the task.
                    let _ = output[1].write_all(text);
                    signal(program.pid, Signal::SIGKILL as i32);
                    self.see_off(program, post, output, &mut spent);
                }
                Said::Gone => break self.bury(program, None, post, output, &mut spent),
                Said::Wrong(why) => {
                    break self.bury(program, Some(why), post, output, &mut spent);
                }
            }
        };
        let wall = clock.elapsed();
        let usage = Usage {
            pid: spent.pid,
            wall_ns: wall.as_nanos() as u64,
            cpu_ns: spent.used.cpu.as_nanos() as u64,
            sleeps: if spent.used.only_computes(wall) { COMPUTES } else { SLEEPS },
            peak: spent.peak,
            worker_ns: 0,
        };
        (verdict, spent.leaked, usage)
    }

    /// Starts the program. An error is the verdict on the task.
    fn start(&mut self, wanted: &codec::Program) -> Result<Program, Verdict> {
        let words = wanted.argv.iter().map(|word| CString::new(word.as_slice()));
        let Ok(argv) = words.collect::<Result<Vec<CString>, _>>() else {
            return Err(Verdict::Trouble("a NUL byte in an argument".into()));
        };
        self.spawn(&argv, wanted).map_err(|why| self.cannot_start(&argv, &why))
    }

    fn spawn(&mut self, argv: &[CString], wanted: &codec::Program) -> io::Result<Program> {
        let (stdin, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        let talk = Talk::new(ours)?;
        let streams = GivenStreams { stdin: Some(stdin.as_fd()), outputs: None };
        let (envp, given) = (self.environment.for_program(), (wanted.memory, &Prepared::default()));
        let child = self.spawner.spawn(argv, &envp, streams, given, &mut self.children)?;
        let Child { pid, outputs: streams } = child;
        let ms = Duration::from_millis;
        Ok(Program {
            argv: wanted.argv.clone(),
            pid,
            streams,
            talk,
            has_answered: false,
            has_exited: false,
            account: Account::new(pid),
            ending: Ending {
                exits_within: ms(wanted.exits_within_ms),
                signals: wanted.signals.iter().map(|(signal, wait)| (*signal, ms(*wait))).collect(),
            },
        })
    }

    /// Gives the task to the program and waits for its answer.
    fn exchange(
        &mut self,
        program: &mut Program,
        line: &Line,
        output: &mut Streams,
        slot: &WorkerSlot,
    ) -> Said {
        if program.has_exited {
            return Said::Unread;
        }
        let streams = mem::take(&mut program.streams);
        let talk = &mut program.talk;
        let own = (&mut *self.buffer, &mut self.children);
        let mut capture = Capture::of_program(streams, talk, output, own, slot);
        // What a new program writes first is its answer.
        let before = match program.has_answered {
            true => capture.look(program.pid),
            false => Between::Waits,
        };
        let exited = before == Between::Waits
            && capture.until_answered(program.pid, &line.value, line.program.terminator);
        let (streams, kept) = capture.release();
        program.streams = streams;
        program.has_exited = exited;
        match before {
            Between::Leaves => return Said::Unread,
            Between::Speaks => return Said::Unasked,
            Between::Waits => {}
        }
        let (is_unread, is_read) = (program.talk.is_unread(), program.talk.is_read());
        let answer = match program.talk.take_answer() {
            Ok(Some(_)) if program.has_answered && is_unread => return Said::Unasked,
            Ok(Some(_)) if !is_read => Err(BadAnswer::Early),
            Ok(Some(line)) => Answer::parse(&line),
            Ok(None) if program.has_answered && is_unread => return Said::Unread,
            Ok(None) if exited || program.streams[0].is_none() => return Said::Gone,
            Ok(None) => Err(BadAnswer::Deaf),
            Err(why) => Err(why),
        };
        match answer {
            Ok(answer) => {
                program.has_answered = true;
                Said::Answered(verdict(answer, kept, output))
            }
            Err(why) => Said::Wrong(why),
        }
    }

    /// The task is over, and so is the program: it has exited, or exits now. `why`: it is killed
    /// for this. Returns the verdict on the task.
    fn bury(
        &mut self,
        mut program: Program,
        why: Option<BadAnswer>,
        post: &Post,
        output: &mut Streams,
        spent: &mut Spent,
    ) -> Verdict {
        if why.is_some() {
            signal(program.pid, Signal::SIGKILL as i32);
        }
        program.talk.hang_up();
        let Program { pid, streams, mut talk, account, .. } = program;
        let own = (&mut *self.buffer, &mut self.children);
        let mut capture = Capture::of_program(streams, &mut talk, output, own, post.seat.slot());
        capture.until_exited(pid, None);
        let alone = post.seat.shared().header.leaves_processes();
        let finished = capture.bury(pid, alone);
        spent.add(&finished, &account);
        match (why, finished.verdict) {
            (Some(why), _) => Verdict::Failed(cut(why.to_string())),
            (None, Verdict::Exited(0)) => {
                Verdict::Failed("the program exited with 0 and has not answered".into())
            }
            (None, verdict) => verdict,
        }
    }

    /// Ends a program that has no task: the end of its input, then signals. What it leaves running
    /// is not waited for.
    fn see_off(
        &mut self,
        mut program: Program,
        post: &Post,
        output: &mut Streams,
        spent: &mut Spent,
    ) {
        program.talk.hang_up();
        let Program { pid, streams, mut talk, account, ending, .. } = program;
        let own = (&mut *self.buffer, &mut self.children);
        let mut capture = Capture::of_program(streams, &mut talk, output, own, post.seat.slot());
        let mut is_over = capture.until_exited(pid, Some(ending.exits_within));
        for (next, wait) in ending.signals {
            if !is_over {
                signal(pid, next);
                is_over = capture.until_exited(pid, Some(wait));
            }
        }
        if !is_over {
            signal(pid, Signal::SIGKILL as i32);
            capture.until_exited(pid, None);
        }
        let finished = capture.bury(pid, true);
        spent.add(&finished, &account);
    }

    /// Ends the programs before this worker exits. What they still write belongs to no task.
    pub(super) fn end_programs(&mut self, post: &Post) {
        for program in std::mem::take(&mut self.programs) {
            let name = |nth: usize| format!("{}.last.{nth}", post.seat.me());
            let place = |nth: usize| Place::At(post.folder.join(name(nth)));
            let mut unheard: Streams = array::from_fn(|nth| Sink::new(place(nth)));
            self.see_off(program, post, &mut unheard, &mut Spent::default());
            unheard.iter_mut().for_each(Sink::discard);
        }
    }
}

impl Spent {
    /// The program has exited.
    fn add(&mut self, finished: &Finished, account: &Account) {
        let total = Duration::from_nanos(finished.usage.cpu_ns);
        self.used.cpu += total.saturating_sub(account.reported);
        self.peak = self.peak.max(finished.usage.peak);
        self.leaked |= finished.leaked;
    }
}

/// What an answer means for its task. `kept`: whether the task's output could be kept.
fn verdict(answer: Answer, kept: io::Result<()>, output: &mut Streams) -> Verdict {
    let Answer { failure, stdout, stderr } = answer;
    let kept = kept
        .and_then(|()| output[0].write_all(stdout.as_bytes()))
        .and_then(|()| output[1].write_all(stderr.as_bytes()));
    match (kept, failure) {
        (Err(why), _) => Verdict::Trouble(format!("cannot keep its output: {why}")),
        (Ok(()), Some(why)) => Verdict::Failed(cut(why)),
        (Ok(()), None) => Verdict::Done,
    }
}

/// Sends a signal to the program's process group, then SIGCONT, so that it can act on it.
fn signal(program: i32, number: i32) {
    let group = Pid::from_raw(-program);
    // The numbers were checked when the command line was read.
    let Ok(number) = Signal::try_from(number) else { return };
    let _ = kill(group, number);
    let _ = kill(group, Signal::SIGCONT);
}
