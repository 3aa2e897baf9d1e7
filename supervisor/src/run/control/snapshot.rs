//! A run at one moment, for clients.

use std::collections::HashMap;
use std::time::Duration;

use msup_protocol::packed::WorkerId;
use msup_protocol::task::State;
use msup_protocol::token;

use super::super::Run;
use super::super::watching::place_of;
use crate::engine::Failure;
use crate::report::control::{CountsNow, FailedTask, Lane, RunningTask, Snapshot, StageNow};
use crate::report::digest;
use crate::report::stages::StageFigures;
use crate::tasks::attempts::Sight;

/// No more running tasks are in a snapshot than this: it has to fit a line of the socket. If more
/// run, these are the longest-running ones, and of the others those that use most CPU and most
/// memory.
const TASKS: usize = LONGEST + 2 * LARGEST;
const LONGEST: usize = 24;
const LARGEST: usize = 8;

/// Characters of a value and of a cause, and of the name of a stage.
const VALUE: usize = 100;
const STAGE: usize = 24;

/// No more failures, tokens and stages are in a snapshot.
const FAILURES: usize = 8;
const LANES: usize = 64;
const STAGES: usize = 24;

/// A running attempt.
#[derive(Clone, Copy)]
struct Runner {
    age: Duration,
    worker: WorkerId,
    attempt: Sight,
    /// CPUs and bytes of memory, where they are measured anyway.
    used: (f64, u64),
}

impl Run {
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let runners = self.runners();
        self.look_at(&runners);
        let tally = self.engine.tally();
        let (total, all_read, finished) = self.extent();
        let target = self.engine.target();
        let cpu = target.and_then(|target| self.usage.traced(target)).map(|now| now.used);
        let state = match (self.engine.is_stopped(), self.reports.controlled.is_paused) {
            (true, _) => "stopping",
            (false, true) => "paused",
            (false, false) => "running",
        };
        Snapshot {
            run: self.reports.figures.run_id().to_owned(),
            state: state.to_owned(),
            seconds: digest::thousandths(self.clock.now().as_secs_f64()),
            counts: CountsNow {
                total,
                all_read,
                finished,
                failed: tally.failed + tally.quarantined,
                retried: tally.again.sum(),
                running: self.segments.shared().tasks.load().1,
            },
            tokens: self.engine.tokens(),
            limit: target.map(|(limit, _)| limit),
            reason: target.map(|(_, reason)| reason.to_owned()),
            cpu: cpu.map(digest::thousandths),
            available: self.reports.sampler.available(),
            lanes: self.lanes(),
            tasks: runners.iter().filter_map(|runner| self.running_task(runner)).collect(),
            failures: self.last_failures(),
            stages: self.stages(),
        }
    }

    /// The running tasks that are shown, the longest-running one first.
    fn runners(&self) -> Vec<Runner> {
        let (shared, now) = (self.segments.shared(), self.clock.active());
        let running = (0..shared.tasks.len() as u16).filter_map(|slot| {
            let seen = shared.tasks.sighted(slot);
            let seen = seen.filter(|seen| seen.state() == Some(State::Claimed))?;
            let (worker, attempt) = (seen.owner()?, Sight { slot, seen });
            let age = self.watch.age_of(worker, attempt, now);
            let used = self.usage.of_command(worker).unwrap_or_default();
            Some(Runner { age, worker, attempt, used })
        });
        choose(running.collect())
    }

    /// Looks at what they do.
    fn look_at(&mut self, runners: &[Runner]) {
        if !self.crew.runs_commands {
            return;
        }
        let (shared, crew) = (self.segments.shared(), &self.crew);
        let place = |worker| place_of(&shared, crew, worker);
        let attempts: Vec<_> =
            runners.iter().map(|runner| (runner.worker, runner.attempt)).collect();
        self.reports.controlled.activities.look(&attempts, place, self.clock.active());
    }

    fn running_task(&self, runner: &Runner) -> Option<RunningTask> {
        let Runner { age, worker, attempt, .. } = *runner;
        let task = self.engine.task(attempt.slot)?;
        let seen = self.reports.controlled.activities.of(worker, attempt);
        let activity = self.activity_of(worker, seen);
        let stage = self.inputs.pipeline.as_ref().and_then(|fed| fed.stage_of(task.seq));
        Some(RunningTask {
            seq: task.seq,
            value: digest::text(&task.value, VALUE),
            attempt: task.attempt,
            seconds: digest::thousandths(age.as_secs_f64()),
            stage: stage.map(|name| digest::text(name.as_bytes(), STAGE)),
            activity: activity.map(|activity| activity.name().to_owned()),
            cpu: seen.and_then(|seen| seen.cpus).map(digest::thousandths),
            memory: seen.and_then(|seen| seen.memory),
        })
    }

    fn lanes(&self) -> Vec<Lane> {
        let shared = self.segments.shared();
        let task_of = |worker: WorkerId| {
            let attempt = self.watch.attempts.of(worker)?;
            let is_current = shared.tasks.sighted(attempt.slot) == Some(attempt.seen);
            self.engine.task(attempt.slot).filter(|_| is_current).map(|task| task.seq)
        };
        let used = shared.tokens.sight().filter_map(|at| {
            let state = match at.seen.state()? {
                token::State::Running => "running",
                token::State::Blocked => "blocked",
                token::State::Foreign => "charged",
                token::State::Granted => "granted",
                token::State::Idle | token::State::Retired => return None,
            };
            let seq = at.seen.owner().and_then(task_of);
            Some(Lane { token: u32::from(at.index) + 1, state: state.to_owned(), seq })
        });
        used.take(LANES).collect()
    }

    fn last_failures(&self) -> Vec<FailedTask> {
        let told = |failure: &Failure| FailedTask {
            seq: failure.seq,
            value: digest::text(&failure.value, VALUE),
            cause: digest::text(failure.cause.to_string().as_bytes(), VALUE),
            attempts: failure.attempts,
        };
        self.reports.controlled.failures.last.iter().rev().take(FAILURES).map(told).collect()
    }

    fn stages(&self) -> Vec<StageNow> {
        let Some(fed) = &self.inputs.pipeline else { return Vec::new() };
        let tasks = self.segments.shared().tasks;
        let mut running: HashMap<String, u64> = HashMap::new();
        for slot in 0..tasks.len() as u16 {
            let state = tasks.sighted(slot).and_then(|seen| seen.state());
            let task = self.engine.task(slot).filter(|_| state == Some(State::Claimed));
            if let Some(stage) = task.and_then(|task| fed.stage_of(task.seq)) {
                *running.entry(stage).or_default() += 1;
            }
        }
        let told = |stage: StageFigures| StageNow {
            running: running.get(&stage.name).copied().unwrap_or(0),
            tasks: stage.tasks,
            succeeded: stage.succeeded + stage.up_to_date,
            failed: stage.failed,
            skipped: stage.skipped,
            name: digest::text(stage.name.as_bytes(), STAGE),
        };
        fed.figures().into_iter().take(STAGES).map(told).collect()
    }
}

/// Those of the running attempts that are shown, the longest-running one first.
fn choose(mut running: Vec<Runner>) -> Vec<Runner> {
    running.sort_by_key(|runner| std::cmp::Reverse(runner.age));
    if running.len() <= TASKS {
        return running;
    }
    let mut others = running.split_off(LONGEST);
    others.sort_by(|one, other| other.used.0.total_cmp(&one.used.0));
    let mut rest = others.split_off(LARGEST);
    rest.sort_by_key(|runner| std::cmp::Reverse(runner.used.1));
    rest.truncate(LARGEST);
    running.extend(others.into_iter().chain(rest));
    running.sort_by_key(|runner| std::cmp::Reverse(runner.age));
    running
}

#[cfg(test)]
mod tests {
    use msup_protocol::layout::Sizes;
    use msup_protocol::segment;

    use super::*;
    use crate::report::control::ControlAnswer;

    #[test]
    fn those_that_use_most_are_shown_beside_the_longest_running_ones() {
        let sizes = Sizes { tokens: 1, workers: 1, tasks: 1, cell_bytes: 64 };
        let (segment, _fd) = segment::create(sizes, 1, "1", 0).expect("created");
        let seen = segment.shared().tasks.sighted(0).expect("a slot");
        let runner = |worker: u16, used| Runner {
            age: Duration::from_secs(1000 - u64::from(worker)),
            worker,
            attempt: Sight { slot: 0, seen },
            used,
        };
        let mut running: Vec<Runner> = (0..200).map(|worker| runner(worker, (0.0, 0))).collect();
        running[150].used = (1.0, 0);
        running[199].used = (0.0, 1 << 30);
        let chosen: Vec<u16> = choose(running).iter().map(|runner| runner.worker).collect();
        assert_eq!(chosen.len(), TASKS);
        assert_eq!(chosen[..LONGEST], (0..LONGEST as u16).collect::<Vec<_>>());
        assert!(chosen.contains(&150) && chosen.contains(&199));
        assert!(chosen.is_sorted());
    }

    #[test]
    fn the_largest_snapshot_fits_a_line() {
        let long = |most: usize| digest::text(&vec![1; 1000], most);
        let task = RunningTask {
            seq: u64::MAX,
            value: long(VALUE),
            attempt: u32::MAX,
            seconds: 1e9 / 3.0,
            stage: Some(long(STAGE)),
            activity: Some("computing".into()),
            cpu: Some(1.0 / 3.0),
            memory: Some(u64::MAX),
        };
        let (value, cause) = (long(VALUE), long(VALUE));
        let failure = FailedTask { seq: u64::MAX, value, cause, attempts: u32::MAX };
        let lane = Lane { token: u32::MAX, state: "running".into(), seq: Some(u64::MAX) };
        let many = u64::MAX;
        let (name, tasks, running) = (long(STAGE), many, many);
        let (succeeded, failed, skipped) = (many, many, many);
        let stage = StageNow { name, tasks, succeeded, failed, skipped, running };
        let snapshot = Snapshot {
            lanes: vec![lane; LANES],
            tasks: vec![task; TASKS],
            failures: vec![failure; FAILURES],
            stages: vec![stage; STAGES],
            ..Snapshot::default()
        };
        let len = ControlAnswer::snapshot(snapshot).line().len();
        assert!(len > 50 << 10 && len < 63 << 10, "{len}");
    }
}
