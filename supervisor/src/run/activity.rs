//! What a few running tasks do: for the bar, and for clients that look at the run.

use std::collections::HashMap;
use std::time::Duration;

use msup_protocol::layout::Shared;
use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree::{self, Kin};
use msup_protocol::token::State;

use super::Run;
use crate::os::cpu_time;
use crate::tasks::attempts::Sight;
use crate::tasks::stopping::Place;

/// How often tasks are looked at. A look at the processes of 40 tasks takes a few milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A command computes if it used more than this of a CPU, or could have run in more than this part
/// of the last [`LOOKS`] looks.
const COMPUTES: f64 = 0.5;
const LOOKS: usize = 3;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Computing,
    Waiting,
    /// Its command has exited: its output is being written.
    Writing,
}

impl Doing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Doing::Computing => "computing",
            Doing::Waiting => "waiting",
            Doing::Writing => "writing",
        }
    }
}

/// What was seen of an attempt.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whether it could run, at the last looks.
    runnable: Vec<bool>,
    /// CPU time of its processes, and when that was.
    clock: Option<(Duration, Duration)>,
    /// CPUs used between the last two looks.
    pub(super) cpus: Option<f64>,
    /// Bytes of memory at the last look.
    pub(super) memory: Option<u64>,
    has_exited: bool,
}

impl Seen {
    fn note(&mut self, processes: &[Kin], now: Duration) {
        self.has_exited = processes.is_empty();
        if self.has_exited {
            return;
        }
        if self.runnable.len() == LOOKS {
            self.runnable.remove(0);
        }
        self.runnable.push(processes.iter().any(Kin::is_runnable));
        self.memory = Some(processes.iter().map(|kin| kin.resident).sum());
        let used = processes.iter().filter_map(|kin| cpu_time::of(kin.pid)).sum();
        if let Some((before, at)) = self.clock.replace((used, now))
            && now > at
        {
            // Children that have exited take their time with them.
            let used = used.saturating_sub(before);
            self.cpus = Some(used.as_secs_f64() / (now - at).as_secs_f64());
        }
    }

    pub(super) fn activity(&self) -> Doing {
        let runnable = self.runnable.iter().filter(|could| **could).count() as f64;
        let computes = runnable > COMPUTES * self.runnable.len() as f64;
        match self.has_exited {
            true => Doing::Writing,
            false if computes || self.cpus > Some(COMPUTES) => Doing::Computing,
            false => Doing::Waiting,
        }
    }
}

/// The attempts that somebody looks at.
#[derive(Debug, Default)]
pub(super) struct Activities {
    seen: HashMap<(WorkerId, u16), (Sight, Seen)>,
    due: Duration,
}

impl Activities {
    /// Looks at the commands of these attempts, if it is time or one of them is new.
    pub(super) fn look(
        &mut self,
        attempts: &[(WorkerId, Sight)],
        place_of: impl Fn(WorkerId) -> Option<Place>,
        now: Duration,
    ) {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + LOOK_EVERY;
        }
        let mut before = std::mem::take(&mut self.seen);
        for (worker, attempt) in attempts.iter().copied() {
            let known = before.remove(&(worker, attempt.slot));
            let known = known.filter(|(known, _)| *known == attempt).map(|(_, seen)| seen);
            let is_new = known.is_none();
            let mut seen = known.unwrap_or_default();
            if (is_due || is_new)
                && let Some(place) = place_of(worker)
            {
                seen.note(&processes_of(place), now);
            }
            self.seen.insert((worker, attempt.slot), (attempt, seen));
        }
    }

    /// What was seen of an attempt, if it was looked at.
    pub(super) fn of(&self, worker: WorkerId, attempt: Sight) -> Option<&Seen> {
        let (known, seen) = self.seen.get(&(worker, attempt.slot))?;
        (*known == attempt).then_some(seen)
    }
}

/// The living processes of a worker's command.
fn processes_of(place: Place) -> Vec<Kin> {
    // The number comes from shared memory: it counts only for a child of that worker.
    let command = process_tree::look_up(place.command);
    let Some(command) = command.filter(|kin| kin.parent == place.worker) else { return Vec::new() };
    let mut processes = process_tree::descendants_of(command.pid);
    processes.push(command);
    processes.retain(|kin| !kin.exited);
    processes
}

impl Run {
    /// What the task of a worker does, as `seen`; of a task loop, as its token says.
    pub(super) fn activity_of(&self, worker: WorkerId, seen: Option<&Seen>) -> Option<Doing> {
        let shared = self.segments.shared();
        if !self.crew.runs_commands {
            return Some(in_task_loop(&shared, worker));
        }
        let leaves = || shared.line.slot(worker).is_some_and(|slot| slot.left() > 0);
        Some(match seen?.activity() {
            // Its command has left processes running, which are waited for.
            Doing::Writing if leaves() => Doing::Waiting,
            activity => activity,
        })
    }
}

/// It computes while its worker has a token and is not in a blocking call.
fn in_task_loop(shared: &Shared<'_>, worker: WorkerId) -> Doing {
    let computes = shared
        .tokens
        .sight()
        .any(|at| at.seen.owner() == Some(worker) && at.seen.state() == Some(State::Running));
    if computes { Doing::Computing } else { Doing::Waiting }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(state: char) -> Kin {
        let own = process_tree::look_up(std::process::id().cast_signed()).expect("this process");
        // A number that no process can have: it has used no CPU time.
        const BEYOND_ALL: i32 = 5_000_000;
        Kin { pid: BEYOND_ALL, state, threads: 1, resident: 4096, exited: false, ..own }
    }

    #[test]
    fn a_command_computes_if_it_could_run_most_of_the_time() {
        let mut seen = Seen::default();
        let at = Duration::from_millis;
        let mut told = |states: &str, ms| {
            let processes: Vec<Kin> = states.chars().map(process).collect();
            seen.note(&processes, at(ms));
            (seen.activity(), seen.memory)
        };
        assert_eq!(told("R", 0), (Doing::Computing, Some(4096)));
        assert_eq!(told("SS", 500), (Doing::Waiting, Some(8192)), "half is not most");
        assert_eq!(told("SR", 1000), (Doing::Computing, Some(8192)));
        assert_eq!(told("S", 1500), (Doing::Waiting, Some(4096)));
        assert_eq!(told("S", 2000), (Doing::Waiting, Some(4096)));
        assert_eq!(told("", 2500), (Doing::Writing, Some(4096)));
    }

    #[test]
    fn what_uses_a_cpu_computes_whatever_state_it_is_seen_in() {
        let mut seen = Seen { cpus: Some(0.6), ..Seen::default() };
        assert_eq!(seen.activity(), Doing::Computing);
        seen.cpus = Some(0.4);
        assert_eq!(seen.activity(), Doing::Waiting);
    }
}
