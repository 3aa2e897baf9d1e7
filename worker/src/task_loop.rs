//! The task loop: claim, run, report, again. Shared by SDK workers and the command runner.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use msup_protocol::codec::{NS_AT_MOST, TaskFrame, Usage, Verdict};
use msup_protocol::exit;
use msup_protocol::token::Held;

use crate::attach::{Post, attach};
use crate::ctx::Ctx;
use crate::guardian::{self, Manner};
use crate::sink::Sink;
use crate::steps::{Attempted, Steps, Streams, Taken};
use crate::task::{Outcome, Step, Task, TaskError};

/// An error's text is truncated to this number of bytes: an outcome must fit its slot.
const MESSAGE_AT_MOST: usize = 1000;

/// Runs `function` once per task until the supervisor has no more; the body of a worker's `main`.
/// Without a supervisor, the tasks are the lines of standard input. Call it before the program
/// starts any thread: it cleans up the environment, and refuses to when another thread could be
/// reading it.
pub fn run<F>(mut function: F) -> ExitCode
where
    F: FnMut(&Task, &mut Ctx<'_>) -> Result<Outcome, TaskError>,
{
    match attach(None, Manner::AtOnce) {
        Ok(None) => run_absent(function),
        Ok(Some(post)) => {
            post.report_for_work();
            serve(post, &guardian::told_to_exit, |post, frame, token, output| {
                // The supervisor never lets a task loop start without a token.
                let token = token.unwrap_or_else(|| post.seat.exit(None));
                attempt(post, frame, token, output, &mut function)
            });
            ExitCode::from(guardian::status_of_leaving())
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "msup worker: {why}");
            ExitCode::from(why.exit_status())
        }
    }
}

/// The loop itself, until the supervisor tells this worker to leave or is gone. While the worker
/// waits for a task, it asks `leaving` whether to leave. Returns the post.
pub(crate) fn serve(
    post: Post,
    leaving: &dyn Fn() -> bool,
    mut attempt: impl FnMut(&Post, TaskFrame, Option<Held>, Streams) -> Attempted,
) -> Post {
    let mut steps = Steps::new(post);
    while let Some(Taken { task, token, output, underway }) = steps.next(leaving) {
        let attempted = attempt(&steps.post, task, token, output);
        if guardian::told_to_exit() {
            // We killed the command, so there is no outcome. The supervisor is gone.
            break;
        }
        let panicked = matches!(attempted.verdict, Verdict::Panicked(_));
        let is_last = panicked || attempted.is_last;
        steps.finish(underway, attempted);
        if is_last {
            // The process exits, and with it whatever state a panic left inconsistent.
            steps.release();
            break;
        }
    }
    steps.post
}

/// One attempt of an SDK task.
fn attempt<F>(post: &Post, frame: TaskFrame, token: Held, output: Streams, f: &mut F) -> Attempted
where
    F: FnMut(&Task, &mut Ctx<'_>) -> Result<Outcome, TaskError>,
{
    let Some(task) = Task::of(frame) else {
        let verdict = Verdict::Trouble("this worker does not run commands".into());
        let usage = Usage::default();
        let token = Some(token);
        return Attempted { token, verdict, usage, output, leaked: false, is_last: false };
    };
    let mut ctx = Ctx::new(&post.seat, token, output, task.out());
    let result = catch_unwind(AssertUnwindSafe(|| f(&task, &mut ctx)));
    let (verdict, state) = match result {
        Ok(Ok(Outcome(Step::Parked { after, state }))) => (parked(after), Some(state)),
        Ok(Ok(Outcome(Step::Done))) => (Verdict::Done, None),
        Ok(Err(why)) => (Verdict::Failed(cut(why.to_string())), None),
        Err(panic) => (Verdict::Panicked(cut(panic_message(&*panic))), None),
    };
    match ctx.into_parts() {
        (token @ Some(_), Some(mut output)) => {
            let verdict = match state.map_or(Ok(()), |state| leave_state(&mut output, &state)) {
                Ok(()) => verdict,
                Err(why) => Verdict::Lost(why.to_string()),
            };
            let usage = Usage::default();
            Attempted { token, verdict, usage, output, leaked: false, is_last: false }
        }
        _ => unreachable!("a supervised context has a token between calls, and its output"),
    }
}

/// The text, or as much of its beginning as an outcome holds.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_AT_MOST {
        text.truncate(text.floor_char_boundary(MESSAGE_AT_MOST));
    }
    text
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// The verdict on a task that waits.
pub(crate) fn parked(after: Duration) -> Verdict {
    Verdict::Parked(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).min(NS_AT_MOST))
}

/// What the attempt has written does not count; its result is its state.
pub(crate) fn leave_state(output: &mut Streams, state: &[u8]) -> io::Result<()> {
    output.iter_mut().for_each(Sink::discard);
    let [_, _, result, _] = output;
    result.write_all(state)
}

fn run_absent<F>(mut function: F) -> ExitCode
where
    F: FnMut(&Task, &mut Ctx<'_>) -> Result<Outcome, TaskError>,
{
    let mut failures = 0;
    let (mut emitted, mut lines) = (VecDeque::new(), io::stdin().lock().split(b'\n'));
    for seq in 1.. {
        let Some(value) = lines.next().or_else(|| emitted.pop_front().map(Ok)) else { break };
        let task = value.map(|value| Task::alone(seq, value)).map_err(TaskError::from);
        match task.and_then(|task| attempts_alone(task, &mut function)) {
            Ok(more) => emitted.extend(more),
            Err(why) => {
                let _ = writeln!(io::stderr(), "task {seq}: {why}");
                failures += 1;
            }
        }
    }
    ExitCode::from(exit::for_failures(failures))
}

/// Without a supervisor, a task that parks keeps its process waiting. Returns the values that it
/// has emitted.
fn attempts_alone<F>(mut task: Task, function: &mut F) -> Result<Vec<Vec<u8>>, TaskError>
where
    F: FnMut(&Task, &mut Ctx<'_>) -> Result<Outcome, TaskError>,
{
    loop {
        let mut ctx = Ctx::absent();
        match function(&task, &mut ctx)? {
            Outcome(Step::Done) => return Ok(ctx.emitted()),
            Outcome(Step::Parked { after, state }) => {
                thread::sleep(after);
                (task.attempt, task.state) = (task.attempt + 1, Some(state));
            }
        }
    }
}
