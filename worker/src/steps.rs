//! The steps of every task loop: claim the next task, then report its outcome.

use std::sync::Arc;
use std::{array, io};

use msup_protocol::codec::{self, OutcomeFrame, STREAMS, TaskFrame, Usage, Verdict};
use msup_protocol::crash;
use msup_protocol::in_flight::Entry;
use msup_protocol::sync::now_ns;
use msup_protocol::task::Claim;
use msup_protocol::token::Held;
use msup_protocol::worker_side::Next;

use crate::attach::Post;
use crate::ctx::leave;
use crate::sink::{self, Place, Sink};

/// What an attempt writes: standard output, standard error, its result, and values of more tasks.
pub(crate) type Streams = [Sink; STREAMS];

/// A worker's post, and what it has between two steps.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(crate) post: Post,
    token: Option<Held>,
    frame: Vec<u8>,
}

/// An attempt that this worker has claimed and not reported.
#[derive(Debug)]
pub(crate) struct Underway {
    claim: Claim,
    entry: Option<Entry>,
    /// In nanoseconds, as `now_ns` tells it.
    began: u64,
}

/// The next task, with the token that comes with it, and where its output goes.
pub(crate) struct Taken {
    pub(crate) task: TaskFrame,
    pub(crate) token: Option<Held>,
    pub(crate) output: Streams,
    pub(crate) underway: Underway,
}

/// The result of an attempt, for the loop to report.
pub(crate) struct Attempted {
    /// `None` if the command's tokens went to others while it waited.
    pub(crate) token: Option<Held>,
    pub(crate) verdict: Verdict,
    pub(crate) usage: Usage,
    pub(crate) output: Streams,
    pub(crate) leaked: bool,
    /// The worker takes no task after this one.
    pub(crate) is_last: bool,
}

impl Steps {
    pub(crate) fn new(post: Post) -> Steps {
        Steps { post, token: None, frame: Vec::new() }
    }

    /// Waits for the next task. While there is none, it asks `leaving` whether to leave. `None`
    /// when this worker is to exit.
    pub(crate) fn next(&mut self, leaving: &dyn Fn() -> bool) -> Option<Taken> {
        loop {
            let next = self.post.seat.next_task(self.token.take(), leaving);
            let (token, claim) = match next.unwrap_or_else(leave) {
                Next::Run(held, claim) => (Some(held), claim),
                Next::Start(claim) => (None, claim),
                Next::Leave => return None,
            };
            // CRASH: claimed_before_run. Running(dead), Claimed(dead): the task is run again.
            crash::point("claimed_before_run");
            let began = now_ns();
            let output = self.streams_of(&claim);
            match self.read_task(&claim) {
                Ok(task) => {
                    let TaskFrame { seq, attempt, .. } = task;
                    let entry = Some(Entry { seq, attempt, finished: false });
                    self.note(&claim, entry);
                    let underway = Underway { claim, entry, began };
                    return Some(Taken { task, token, output, underway });
                }
                Err(why) => {
                    let (verdict, usage) = (Verdict::Lost(why.to_string()), Usage::default());
                    let lost =
                        Attempted { token, verdict, usage, output, leaked: false, is_last: false };
                    self.finish(Underway { claim, entry: None, began }, lost);
                }
            }
        }
    }

    /// Reports an attempt.
    pub(crate) fn finish(&mut self, underway: Underway, attempted: Attempted) {
        let Underway { claim, entry, began } = underway;
        self.note(&claim, entry.map(|entry| Entry { finished: true, ..entry }));
        self.token = self.report(claim, attempted, began);
    }

    /// Gives up the token that is left from the last attempt, before this worker exits.
    pub(crate) fn release(&mut self) {
        let _ = self.token.take().map(|held| self.post.seat.release(held));
    }

    /// Called before the attempt begins, and again before its outcome is reported: if all processes
    /// die at once, the file tells what was in flight.
    fn note(&self, claim: &Claim, entry: Option<Entry>) {
        if let (Some(in_flight), Some(entry)) = (&self.post.in_flight, entry) {
            in_flight.note(claim.index(), entry);
        }
    }

    fn streams_of(&self, claim: &Claim) -> Streams {
        let (index, publication) = (claim.index(), claim.publication());
        array::from_fn(|stream| {
            let folder = Arc::clone(&self.post.folder);
            Sink::new(Place::OfAttempt { folder, index, publication, stream })
        })
    }

    fn read_task(&mut self, claim: &Claim) -> io::Result<TaskFrame> {
        let tasks = self.post.seat.shared().tasks;
        // If this fails, a stray write has overwritten the supervisor's frame; the task is not to
        // blame.
        tasks.read(claim.index(), &mut self.frame).unwrap_or_else(leave);
        if self.frame.is_empty() {
            // An empty frame means that it was too large for the slot.
            let name = codec::task_file(claim.index(), claim.publication());
            let path = self.post.folder.join(name);
            self.frame = std::fs::read(&path).map_err(|why| sink::describe(&path, &why))?;
        }
        Ok(codec::decode(&self.frame).unwrap_or_else(leave))
    }

    fn report(&mut self, claim: Claim, attempted: Attempted, began_ns: u64) -> Option<Held> {
        let wall_ns = now_ns().saturating_sub(began_ns);
        let (post, frame) = (&self.post, &mut self.frame);
        let shared = post.seat.shared();
        let Attempted { token, verdict, usage, mut output, leaked, is_last: _ } = attempted;
        let capacity = shared.tasks.capacity();
        let outcome_of = |verdict, output: &Streams| {
            let [stdout, stderr, result, emitted] = output.each_ref().map(Sink::stream);
            OutcomeFrame {
                verdict,
                began_ns,
                wall_ns,
                usage,
                leaked,
                stdout,
                stderr,
                result,
                emitted,
            }
        };
        let secured = output.iter_mut().try_for_each(Sink::secure);
        let mut outcome = match secured {
            Ok(()) => outcome_of(verdict, &output),
            Err(why) => {
                output.iter_mut().for_each(Sink::discard);
                let verdict = match verdict {
                    // It says why the output is not whole.
                    Verdict::Trouble(why) => Verdict::Trouble(why),
                    _ => Verdict::Lost(format!("its output is lost: {why}")),
                };
                outcome_of(verdict, &output)
            }
        };
        while codec::encode(&outcome, frame).is_err() || frame.len() > capacity {
            let Some(largest) = output.iter_mut().max_by_key(|sink| sink.in_memory()) else {
                break;
            };
            if let Err(why) = largest.spill() {
                output.iter_mut().for_each(Sink::discard);
                let verdict = Verdict::Trouble(format!("cannot keep its output: {why}"));
                outcome = outcome_of(verdict, &output);
                continue;
            }
            outcome = outcome_of(outcome.verdict, &output);
        }
        let index = claim.index();
        let written = shared.tasks.write(index, frame).is_ok();
        // CRASH: outcome_before_done. Claimed(dead), perhaps files: these removed, the task run
        // again.
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
}
