//! A task loop whose steps the program calls one by one, for other languages: the C ABI.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::mem;
use std::time::Duration;

use msup_protocol::codec::{Usage, Verdict};
use msup_protocol::exit;
use msup_protocol::token::{Away, Held};

use crate::attach::attach;
use crate::ctx::leave;
use crate::guardian::{self, Manner};
use crate::sink;
use crate::steps::{Attempted, Steps, Streams, Taken, Underway};
use crate::task::{Outcome, StateTooLarge, Task};
use crate::task_loop::{cut, leave_state, parked};

/// Where a task writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
    /// What the program that has submitted it gets (`msup serve`).
    Result,
}

/// A step that was called out of turn, or could not be done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The supervisor cannot be reached.
    #[error("{0}")]
    Attach(String),
    /// There is no task.
    #[error("no task is running: wait for the next one first")]
    NoTask,
    /// The last task has no outcome yet.
    #[error("task {0} is running: report its outcome first")]
    Running(u64),
    /// The state of a task that parks.
    #[error(transparent)]
    State(#[from] StateTooLarge),
    /// An input or output error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A task loop, between two steps.
#[derive(Debug)]
pub struct TaskLoop(Kind);

#[derive(Debug)]
enum Kind {
    Supervised(Box<Supervised>),
    /// Without a supervisor the tasks are the lines of standard input.
    Absent(Box<Absent>),
}

#[derive(Debug)]
struct Supervised {
    steps: Steps,
    has_reported: bool,
    running: Option<Current>,
}

#[derive(Debug)]
struct Current {
    task: Task,
    place: Place,
    output: Streams,
    underway: Underway,
}

/// Where the running task's token is.
#[derive(Debug)]
enum Place {
    Here(Held),
    /// The task is in a blocking call; another worker may have the token meanwhile.
    Away(Option<Away>),
    /// Only while it moves between the two.
    Moving,
}

#[derive(Debug, Default)]
struct Absent {
    running: Option<Task>,
    /// It comes next.
    parked: Option<Task>,
    /// The values that the running task has emitted, and those of finished ones.
    emitting: Vec<Vec<u8>>,
    emitted: VecDeque<Vec<u8>>,
    number: u64,
    failures: u64,
}

impl TaskLoop {
    /// Finds the supervisor. Call it before the program starts any thread: it cleans up the
    /// environment. The worker counts as started from its first [`TaskLoop::next_task`] on.
    ///
    /// # Errors
    /// [`StepError::Attach`].
    pub fn attach() -> Result<TaskLoop, StepError> {
        let post = attach(None, Manner::AtOnce);
        let post = post.map_err(|why| StepError::Attach(why.to_string()))?;
        Ok(TaskLoop(match post {
            Some(post) => {
                let steps = Steps::new(post);
                Kind::Supervised(Box::new(Supervised { steps, has_reported: false, running: None }))
            }
            None => Kind::Absent(Box::default()),
        }))
    }

    /// Whether there is a supervisor.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        matches!(self.0, Kind::Supervised(_))
    }

    /// Waits for the next task and takes a token for it. `None` when the program should exit.
    ///
    /// # Errors
    /// The last task has no outcome yet, or standard input cannot be read.
    pub fn next_task(&mut self) -> Result<Option<&Task>, StepError> {
        match &mut self.0 {
            Kind::Supervised(supervised) => supervised.next_task(),
            Kind::Absent(absent) => absent.next_task(),
        }
    }

    /// Before a call that may block: another task may compute until [`TaskLoop::exit`]. Does
    /// nothing a second time, or without a task.
    pub fn enter(&mut self) {
        let Kind::Supervised(supervised) = &mut self.0 else { return };
        let Supervised { steps, running: Some(running), .. } = &mut **supervised else { return };
        running.place = match mem::replace(&mut running.place, Place::Moving) {
            Place::Here(held) => Place::Away(steps.post.seat.enter(held).unwrap_or_else(leave)),
            place => place,
        };
    }

    /// After that call: takes a token again, and waits for one if need be. Does nothing without
    /// [`TaskLoop::enter`] before.
    pub fn exit(&mut self) {
        let Kind::Supervised(supervised) = &mut self.0 else { return };
        let Supervised { steps, running: Some(running), .. } = &mut **supervised else { return };
        running.come_back(steps);
    }

    /// For long computations, every few milliseconds: another task goes first if its turn has come.
    pub fn checkpoint(&mut self) {
        let Kind::Supervised(supervised) = &mut self.0 else { return };
        let Supervised { steps, running: Some(running), .. } = &mut **supervised else { return };
        running.place = match mem::replace(&mut running.place, Place::Moving) {
            Place::Here(held) => {
                Place::Here(steps.post.seat.checkpoint(held).unwrap_or_else(leave))
            }
            place => place,
        };
    }

    /// Adds to one of the task's streams. Without a supervisor, a result goes to standard output.
    ///
    /// # Errors
    /// There is no task, or the stream cannot be written.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), StepError> {
        match &mut self.0 {
            Kind::Supervised(supervised) => {
                let running = supervised.running.as_mut().ok_or(StepError::NoTask)?;
                let [stdout, stderr, result, _] = &mut running.output;
                let sink = match stream {
                    Stream::Stdout => stdout,
                    Stream::Stderr => stderr,
                    Stream::Result => result,
                };
                Ok(sink.write_all(bytes)?)
            }
            Kind::Absent(absent) => {
                absent.running.as_ref().ok_or(StepError::NoTask)?;
                match stream {
                    Stream::Stderr => io::stderr().write_all(bytes)?,
                    Stream::Stdout | Stream::Result => io::stdout().write_all(bytes)?,
                }
                Ok(())
            }
        }
    }

    /// Adds a task with this value to the end of the run, when this one has succeeded.
    ///
    /// # Errors
    /// There is no task, the value has more than 15 MiB, all of them have more than 64 MiB, or it
    /// cannot be kept.
    pub fn emit(&mut self, value: &[u8]) -> Result<(), StepError> {
        match &mut self.0 {
            Kind::Supervised(supervised) => {
                let running = supervised.running.as_mut().ok_or(StepError::NoTask)?;
                let [.., emitted] = &mut running.output;
                Ok(emitted.push_value(value)?)
            }
            Kind::Absent(absent) => {
                absent.running.as_ref().ok_or(StepError::NoTask)?;
                sink::check_value(value)?;
                absent.emitting.push(value.to_vec());
                Ok(())
            }
        }
    }

    /// The task has succeeded.
    ///
    /// # Errors
    /// There is no task.
    pub fn done(&mut self) -> Result<(), StepError> {
        match &mut self.0 {
            Kind::Supervised(supervised) => supervised.finish(Verdict::Done),
            Kind::Absent(absent) => {
                absent.running.take().ok_or(StepError::NoTask)?;
                absent.emitted.extend(absent.emitting.drain(..));
                Ok(())
            }
        }
    }

    /// The task has failed, for this reason.
    ///
    /// # Errors
    /// There is no task.
    pub fn fail(&mut self, why: &str) -> Result<(), StepError> {
        match &mut self.0 {
            Kind::Supervised(supervised) => supervised.finish(Verdict::Failed(cut(why.to_owned()))),
            Kind::Absent(absent) => {
                let task = absent.running.take().ok_or(StepError::NoTask)?;
                absent.failures += 1;
                absent.emitting.clear();
                // Where standard error cannot be written the exit status says it all.
                let _ = writeln!(io::stderr(), "task {}: {why}", task.seq);
                Ok(())
            }
        }
    }

    /// The task waits for this time without a worker, then comes again with this state
    /// ([`Task::state`]). What it has written does not count.
    ///
    /// # Errors
    /// There is no task, or the state has more than 64 KiB.
    pub fn park(&mut self, after: Duration, state: &[u8]) -> Result<(), StepError> {
        let _ = Outcome::park(after, state)?;
        match &mut self.0 {
            Kind::Supervised(supervised) => {
                let running = supervised.running.as_mut().ok_or(StepError::NoTask)?;
                leave_state(&mut running.output, state)?;
                supervised.finish(parked(after))
            }
            Kind::Absent(absent) => {
                let task = absent.running.take().ok_or(StepError::NoTask)?;
                absent.emitting.clear();
                std::thread::sleep(after);
                let (attempt, state) = (task.attempt + 1, Some(state.to_owned()));
                absent.parked = Some(Task { attempt, state, ..task });
                Ok(())
            }
        }
    }

    /// The status with which the program should exit when there is no next task.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match &self.0 {
            Kind::Supervised(_) => guardian::status_of_leaving(),
            Kind::Absent(absent) => exit::for_failures(absent.failures),
        }
    }
}

impl Supervised {
    fn next_task(&mut self) -> Result<Option<&Task>, StepError> {
        if let Some(running) = &self.running {
            return Err(StepError::Running(running.task.seq));
        }
        if !mem::replace(&mut self.has_reported, true) {
            self.steps.post.report_for_work();
        }
        while self.running.is_none() {
            let Some(taken) = self.steps.next(&guardian::told_to_exit) else { return Ok(None) };
            self.take(taken);
        }
        Ok(self.running.as_ref().map(|running| &running.task))
    }

    fn take(&mut self, taken: Taken) {
        let Taken { task, token, output, underway } = taken;
        // The supervisor never lets a task loop start without a token.
        let token = token.unwrap_or_else(|| self.steps.post.seat.exit(None));
        match Task::of(task) {
            Some(task) => {
                self.running = Some(Current { task, place: Place::Here(token), output, underway });
            }
            None => {
                let verdict = Verdict::Trouble("this worker does not run commands".into());
                self.steps.finish(underway, attempted(token, verdict, output));
            }
        }
    }

    fn finish(&mut self, verdict: Verdict) -> Result<(), StepError> {
        let mut running = self.running.take().ok_or(StepError::NoTask)?;
        running.come_back(&self.steps);
        let Current { place: Place::Here(token), output, underway, .. } = running else {
            unreachable!("a token that is not away is here");
        };
        self.steps.finish(underway, attempted(token, verdict, output));
        Ok(())
    }
}

fn attempted(token: Held, verdict: Verdict, output: Streams) -> Attempted {
    let usage = Usage::default();
    Attempted { token: Some(token), verdict, usage, output, leaked: false, is_last: false }
}

impl Current {
    fn come_back(&mut self, steps: &Steps) {
        self.place = match mem::replace(&mut self.place, Place::Moving) {
            Place::Away(away) => Place::Here(steps.post.seat.exit(away)),
            place => place,
        };
    }
}

impl Absent {
    fn next_task(&mut self) -> Result<Option<&Task>, StepError> {
        if let Some(task) = &self.running {
            return Err(StepError::Running(task.seq));
        }
        if let Some(parked) = self.parked.take() {
            self.running = Some(parked);
            return Ok(self.running.as_ref());
        }
        let mut value = Vec::new();
        if io::stdin().lock().read_until(b'\n', &mut value)? > 0 {
            value.pop_if(|last| *last == b'\n');
        } else {
            let Some(emitted) = self.emitted.pop_front() else { return Ok(None) };
            value = emitted;
        }
        self.number += 1;
        self.running = Some(Task::alone(self.number, value));
        Ok(self.running.as_ref())
    }
}
