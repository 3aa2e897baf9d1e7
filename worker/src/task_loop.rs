//! The task loop: claim, run, report, again. Shared by SDK workers and the command runner.

use std::any::Any;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use msup_protocol::codec::{self, OutcomeFrame, TaskFrame, Usage, Verdict, Work};
use msup_protocol::in_flight::Entry;
use msup_protocol::task::Claim;
use msup_protocol::token::Held;
use msup_protocol::worker_side::Next;
use msup_protocol::{crash, exit};

use crate::attach::{Post, attach};
use crate::ctx::{Ctx, leave};
use crate::guardian::{self, Manner};
use crate::sink::{self, Sink};
use crate::task::{Outcome, Task, TaskError};

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
        Ok(Some(mut post)) => {
            serve(&mut post, &guardian::told_to_exit, |post, frame, token, output| {
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

/// The result of an attempt, for the loop to report.
pub(crate) struct Attempted {
    /// `None` if the command's tokens went to others while it waited.
    pub(crate) token: Option<Held>,
    pub(crate) verdict: Verdict,
    pub(crate) usage: Usage,
    pub(crate) output: [Sink; 2],
    pub(crate) leaked: bool,
}

/// The loop itself, until the supervisor tells this worker to leave or is gone. While the worker
/// waits for a task, it asks `leaving` whether to leave.
pub(crate) fn serve(
    post: &mut Post,
    leaving: &dyn Fn() -> bool,
    mut attempt: impl FnMut(&Post, TaskFrame, Option<Held>, [Sink; 2]) -> Attempted,
) {
    let mut token = None;
    let mut frame = Vec::new();
    loop {
        let next = post.seat.next_task(token.take(), leaving);
        let (held, claim) = match next.unwrap_or_else(leave) {
            Next::Run(held, claim) => (Some(held), claim),
            Next::Start(claim) => (None, claim),
            Next::Leave => return,
        };
        // CRASH: claimed_before_run. Running(dead), Claimed(dead): the task is run again.
        crash::point("claimed_before_run");
        let began = Instant::now();
        let output = codec::stream_files(claim.index(), claim.publication())
            .map(|name| Sink::new(post.folder.join(name)));
        let mut entry = None;
        let attempted = match read_task(post, &claim, &mut frame) {
            Ok(task) => {
                let TaskFrame { seq, attempt: nth, .. } = task;
                entry = Some(Entry { seq, attempt: nth, finished: false });
                note(post, &claim, entry);
                attempt(post, task, held, output)
            }
            Err(why) => {
                let (token, verdict) = (held, Verdict::Lost(why.to_string()));
                Attempted { token, verdict, usage: Usage::default(), output, leaked: false }
            }
        };
        if guardian::told_to_exit() {
            // We killed the command, so there is no outcome. The supervisor is gone.
            return;
        }
        note(post, &claim, entry.map(|entry| Entry { finished: true, ..entry }));
        let panicked = matches!(attempted.verdict, Verdict::Panicked(_));
        let wall_ns = began.elapsed().as_nanos() as u64;
        token = report(post, claim, attempted, wall_ns, &mut frame);
        if panicked {
            // The process exits, and with it whatever state the panic left inconsistent.
            let _ = token.take().map(|held| post.seat.release(held));
            return;
        }
    }
}

/// Called before the attempt begins, and again before its outcome is reported: if all processes die
/// at once, the file tells what was in flight.
fn note(post: &Post, claim: &Claim, entry: Option<Entry>) {
    if let (Some(in_flight), Some(entry)) = (&post.in_flight, entry) {
        in_flight.note(claim.index(), entry);
    }
}

fn read_task(post: &Post, claim: &Claim, frame: &mut Vec<u8>) -> io::Result<TaskFrame> {
    let tasks = post.seat.shared().tasks;
    // If this fails, a stray write has overwritten the supervisor's frame; the task is not to
    // blame.
    tasks.read(claim.index(), frame).unwrap_or_else(leave);
    if frame.is_empty() {
        // An empty frame means that it was too large for the slot.
        let path = post.folder.join(codec::task_file(claim.index(), claim.publication()));
        *frame = std::fs::read(&path).map_err(|why| sink::describe(&path, &why))?;
    }
    Ok(codec::decode(frame).unwrap_or_else(leave))
}

fn report(
    post: &Post,
    claim: Claim,
    attempted: Attempted,
    wall_ns: u64,
    frame: &mut Vec<u8>,
) -> Option<Held> {
    let shared = post.seat.shared();
    let Attempted { token, verdict, usage, mut output, leaked } = attempted;
    let capacity = shared.tasks.capacity();
    let outcome_of = |verdict, output: &[Sink; 2]| {
        let (stdout, stderr) = (output[0].stream(), output[1].stream());
        OutcomeFrame { verdict, wall_ns, usage, leaked, stdout, stderr }
    };
    let secured = output.iter_mut().try_for_each(Sink::secure);
    let mut outcome = match secured {
        Ok(()) => outcome_of(verdict, &output),
        Err(why) => {
            output.iter_mut().for_each(Sink::discard);
            outcome_of(Verdict::Lost(format!("its output is lost: {why}")), &output)
        }
    };
    while codec::encode(&outcome, frame).is_err() || frame.len() > capacity {
        let [stdout, stderr] = &mut output;
        let larger = if stdout.in_memory() >= stderr.in_memory() { stdout } else { stderr };
        if let Err(why) = larger.spill() {
            output.iter_mut().for_each(Sink::discard);
            let verdict = Verdict::Trouble(format!("cannot keep its output: {why}"));
            outcome = outcome_of(verdict, &output);
            continue;
        }
        outcome = outcome_of(outcome.verdict, &output);
    }
    let index = claim.index();
    let written = shared.tasks.write(index, frame).is_ok();
    // CRASH: outcome_before_done. Claimed(dead), perhaps files: these removed, the task run again.
    crash::point("outcome_before_done");
    if written && shared.tasks.complete(post.seat.me(), claim) {
        // CRASH: done_before_bit. Done(dead): collected on the reap.
        crash::point("done_before_bit");
        shared.done.set(index);
        // CRASH: bit_before_bell. The bell was not rung: the supervisor looks on the reap.
        crash::point("bit_before_bell");
        post.bell.ring_for(index);
    }
    token
}

/// One attempt of an SDK task.
fn attempt<F>(post: &Post, frame: TaskFrame, token: Held, output: [Sink; 2], f: &mut F) -> Attempted
where
    F: FnMut(&Task, &mut Ctx<'_>) -> Result<Outcome, TaskError>,
{
    let TaskFrame { seq, attempt, work } = frame;
    let Work::Value(value) = work else {
        let verdict = Verdict::Trouble("this worker does not run commands".into());
        let usage = Usage::default();
        return Attempted { token: Some(token), verdict, usage, output, leaked: false };
    };
    let task = Task { seq, attempt, value: value.into_vec() };
    let mut ctx = Ctx::new(&post.seat, token, output);
    let result = catch_unwind(AssertUnwindSafe(|| f(&task, &mut ctx)));
    let verdict = match result {
        Ok(Ok(_done)) => Verdict::Done,
        Ok(Err(why)) => Verdict::Failed(cut(why.to_string())),
        Err(panic) => Verdict::Panicked(cut(panic_message(&*panic))),
    };
    match ctx.into_parts() {
        (token @ Some(_), Some(output)) => {
            Attempted { token, verdict, usage: Usage::default(), output, leaked: false }
        }
        _ => unreachable!("a supervised context has a token between calls, and its output"),
    }
}

fn cut(mut text: String) -> String {
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

fn run_absent<F>(mut function: F) -> ExitCode
where
    F: FnMut(&Task, &mut Ctx<'_>) -> Result<Outcome, TaskError>,
{
    let mut failures = 0;
    for (line, seq) in io::stdin().lock().split(b'\n').zip(1..) {
        let result = line
            .map_err(TaskError::from)
            .and_then(|value| function(&Task { seq, attempt: 1, value }, &mut Ctx::absent()));
        if let Err(why) = result {
            let _ = writeln!(io::stderr(), "task {seq}: {why}");
            failures += 1;
        }
    }
    ExitCode::from(exit::for_failures(failures))
}
