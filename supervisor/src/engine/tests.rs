//! Tests that drive the engine by hand: no processes, and time moves only as the test says.

mod blame;
mod emitting;
mod losing;
mod publishing;
mod stopping;

use std::time::Duration;

use super::*;
use msup_protocol::codec::{self, OutcomeFrame, Stream, Usage, Verdict};
use msup_protocol::exit::WorkerEnd;

fn limits() -> Limits {
    Limits {
        worker_program: "worker".into(),
        max_workers: 4,
        task_slots: 2,
        most_published: usize::MAX,
        idle_timeout: Duration::from_secs(10),
        at_cap: AtCap::Fail,
        procs: 1,
        admits: false,
        has_client: false,
        longest_first: false,
        needs_total: false,
        starts: StartRules::default(),
        memory: None,
        policy: Policy::default(),
        seed: 1,
    }
}

impl Engine {
    /// Loses the task in a slot, which no engine does.
    pub(crate) fn lose(&mut self, slot: u16) {
        self.ledger.remove(slot);
    }
}

struct Driver {
    engine: Engine,
    now: Now,
    /// The journal entries.
    recorded: Vec<String>,
}

fn described(entry: Entry) -> String {
    match entry {
        Entry::Start { .. } | Entry::Withdrawn { .. } => unreachable!("not described"),
        Entry::InputsEnd(total) => format!("{total} inputs"),
        Entry::Parked { seq, attempt, after, .. } => {
            format!("{seq} parked at {attempt} for {after:?}")
        }
        Entry::Again { seq, attempt, cause, .. } => format!("{seq} again after {attempt}: {cause}"),
        Entry::End { seq, attempt, failure, .. } => {
            let how = failure.map_or("succeeded".into(), |(cause, _)| cause.to_string());
            format!("{seq} {how} at {attempt}")
        }
    }
}

impl Driver {
    fn new() -> Driver {
        Driver::with(limits())
    }

    fn with(limits: Limits) -> Driver {
        Driver { engine: Engine::new(limits), now: Duration::ZERO, recorded: Vec::new() }
    }

    /// Feeds one event. Returns the effects in their debug form, without outcomes; journal entries
    /// are gathered.
    fn step(&mut self, event: Event) -> Vec<String> {
        let mut effects = Vec::new();
        self.engine.step(event, self.now, &mut effects);
        let mut told = Vec::new();
        for effect in effects {
            match effect {
                Effect::Deliver { seq, slot, end, .. } => {
                    told.push(format!("Deliver {seq} from {slot}"));
                    self.recorded.extend(end.map(described));
                }
                Effect::Say(_) => told.push("Say".into()),
                // One for each `Publish` and `Withdrawn`.
                Effect::Record(Entry::Start { .. } | Entry::Withdrawn { .. }) => {}
                Effect::Record(entry) => self.recorded.push(described(entry)),
                other => told.push(format!("{other:?}")),
            }
        }
        told
    }

    fn with_inputs(n: usize) -> Driver {
        let mut driver = Driver::new();
        driver.step(inputs((0..n).map(|i| format!("v{i}").into_bytes())));
        driver
    }

    fn outcome(&mut self, slot: u16, verdict: Verdict) -> Vec<String> {
        self.outcome_with(slot, verdict, &[])
    }

    /// The outcome of a task that has emitted these.
    fn outcome_with(&mut self, slot: u16, verdict: Verdict, emitted: &[&[u8]]) -> Vec<String> {
        let mut values = Vec::new();
        emitted.iter().for_each(|value| codec::push_value(&mut values, value));
        let outcome = OutcomeFrame {
            verdict,
            began_ns: 1,
            wall_ns: 1,
            usage: Usage::default(),
            leaked: false,
            stdout: Stream::nothing(),
            stderr: Stream::nothing(),
            result: Stream::nothing(),
            emitted: Stream::Here(values.into()),
        };
        let outcome = Box::new(outcome);
        self.step(Event::Collected { slot, outcome, starved: false, killed: None })
    }
}

fn inputs(values: impl IntoIterator<Item = Vec<u8>>) -> Event {
    Event::Inputs(values.into_iter().map(|value| Input { value, ..Input::default() }).collect())
}

fn view(idle: u32, ready: u32) -> View {
    View { idle, ready, ..View::default() }
}

#[test]
fn a_run_from_beginning_to_end() {
    let mut driver = Driver::new();
    let values = vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
    let published = driver.step(inputs(values));
    assert_eq!(published, ["Publish { slot: 0 }", "Publish { slot: 1 }"]);
    assert_eq!(driver.step(Event::Looked(view(2, 2))), ["Spawn(0)", "Spawn(1)"]);
    assert_eq!(driver.step(Event::Looked(view(2, 2))), [""; 0], "they are starting");
    driver.step(Event::WorkerSettled(0));
    driver.step(Event::WorkerSettled(1));
    assert_eq!(driver.step(Event::InputsEnded), [""; 0]);
    assert_eq!(driver.outcome(1, Verdict::Done), ["Deliver 2 from 1", "Publish { slot: 1 }"]);
    assert_eq!(driver.outcome(0, Verdict::Exited(0)), ["Deliver 1 from 0"]);
    let last = driver.outcome(1, Verdict::Exited(7));
    assert_eq!(last, ["Deliver 3 from 1", "Dismiss(0)", "Dismiss(1)"]);
    let end = |worker| Event::WorkerGone {
        worker,
        end: WorkerEnd::Exited(0),
        claimed: vec![],
        starved: false,
        killed: None,
    };
    assert_eq!(driver.step(end(0)), [""; 0]);
    assert_eq!(driver.step(end(1)), ["Finish"]);
    assert_eq!(driver.engine.exit_status(), 1);
    let tally = driver.engine.tally();
    assert_eq!((tally.succeeded, tally.failed, tally.lost_workers), (2, 1, 0));
}

#[test]
fn no_input_is_no_work_and_success() {
    let mut driver = Driver::new();
    assert_eq!(driver.step(Event::InputsEnded), ["Finish"]);
    assert_eq!(driver.engine.exit_status(), 0);
}

#[test]
fn a_task_whose_worker_was_killed_runs_again() {
    let mut driver = Driver::with_inputs(1);
    driver.step(Event::Looked(view(1, 1)));
    driver.step(Event::WorkerSettled(0));
    let killed = Event::WorkerGone {
        worker: 0,
        end: WorkerEnd::Signaled(9),
        claimed: vec![0],
        starved: false,
        killed: None,
    };
    let effects = driver.step(killed);
    assert_eq!(effects, ["Discard { slot: 0 }", "Publish { slot: 1 }"]);
    assert_eq!(driver.engine.task(1).map(|task| (task.seq, task.attempt)), Some((1, 2)));
    driver.outcome(1, Verdict::Done);
    assert_eq!(driver.engine.tally().succeeded, 1);
    assert_eq!(driver.engine.tally().lost_workers, 1);
}

#[test]
fn a_task_that_crashes_again_and_again_is_quarantined() {
    let mut driver = Driver::with_inputs(1);
    for (slot, attempt) in [(0, 1), (1, 2)] {
        assert_eq!(driver.engine.task(slot).map(|task| task.attempt), Some(attempt));
        driver.outcome(slot, Verdict::Signaled(11));
    }
    let last = driver.outcome(0, Verdict::Signaled(11));
    assert_eq!(last, ["Deliver 1 from 0"]);
    let tally = driver.engine.tally();
    assert_eq!((tally.quarantined, tally.failed, tally.attempts), (1, 0, 3));
    assert_eq!(driver.engine.exit_status(), 1);
}

#[test]
fn workers_that_cannot_start_abort_the_run() {
    let mut driver = Driver::with_inputs(1);
    let mut said = Vec::new();
    for _ in 0..3 {
        said = exit_at_startup(&mut driver, Duration::from_secs(1), WorkerEnd::Exited(1));
    }
    assert_eq!(said, ["Say", "Withdraw { slot: 0 }"]);
    assert_eq!(driver.step(Event::Withdrawn { slot: 0 }), ["Finish"]);
    assert_eq!(driver.engine.exit_status(), exit::ERROR);
}

#[test]
fn idle_workers_are_let_go_but_for_a_spare() {
    let mut driver = Driver::with_inputs(2);
    driver.step(Event::Looked(view(2, 2)));
    driver.step(Event::WorkerSettled(0));
    driver.step(Event::WorkerSettled(1));
    let idle = || View { parked: vec![(0, 3), (1, 4)], ..View::default() };
    driver.step(Event::Looked(idle()));
    driver.now = Duration::from_secs(11);
    assert_eq!(driver.step(Event::Looked(idle())), ["Dismiss(0)"]);
    assert_eq!(driver.step(Event::Looked(idle())), [""; 0]);
}

#[test]
fn while_the_last_tasks_run_idle_workers_leave_at_once() {
    let mut driver = Driver::with_inputs(3);
    driver.step(Event::Looked(view(2, 2)));
    let idle = |ready| View { parked: vec![(0, 3), (1, 4)], ready, ..View::default() };
    assert_eq!(driver.step(Event::Looked(idle(0))), [""; 0], "there may be more input");
    driver.step(Event::InputsEnded);
    assert_eq!(driver.step(Event::Looked(idle(1))), [""; 0], "there is a ready task");
    assert_eq!(driver.step(Event::Looked(idle(0))), [""; 0], "there is another one to come");
    driver.outcome(0, Verdict::Done);
    driver.outcome(0, Verdict::Done);
    assert_eq!(driver.step(Event::Looked(idle(0))), ["Dismiss(0)"]);
}

/// One worker is started and exits or is killed before it takes up work.
fn exit_at_startup(driver: &mut Driver, pause: Duration, end: WorkerEnd) -> Vec<String> {
    driver.now += pause;
    assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
    driver.step(Event::WorkerGone { worker: 0, end, claimed: vec![], starved: false, killed: None })
}

#[test]
fn workers_killed_while_starting_abort_the_run_only_if_it_keeps_happening() {
    let mut driver = Driver::with_inputs(1);
    let (second, killed) = (Duration::from_secs(1), WorkerEnd::Signaled(9));
    for _ in 0..10 {
        assert_eq!(exit_at_startup(&mut driver, second, killed), [""; 0], "too short a time");
    }
    driver.step(Event::WorkerSettled(0));
    for _ in 0..9 {
        assert_eq!(exit_at_startup(&mut driver, 5 * second, killed), [""; 0], "too few");
    }
    let effects = exit_at_startup(&mut driver, second, killed);
    assert_eq!(effects, ["Say", "Withdraw { slot: 0 }"]);
    assert_eq!(driver.engine.exit_status(), exit::ERROR);
}

#[test]
fn after_a_failed_start_the_next_one_waits() {
    let mut driver = Driver::with_inputs(1);
    exit_at_startup(&mut driver, Duration::ZERO, WorkerEnd::Signaled(9));
    assert_eq!(driver.step(Event::Looked(view(1, 1))), [""; 0]);
    driver.now = driver.engine.looks_again_at().expect("it backs off");
    assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
}

#[test]
fn a_worker_that_could_not_be_started_is_not_counted() {
    let mut driver = Driver::with_inputs(2);
    assert_eq!(driver.step(Event::Looked(view(2, 2))), ["Spawn(0)", "Spawn(1)"]);
    driver.step(Event::SpawnFailed { worker: 1, why: "no".into() });
    let engine = &driver.engine;
    assert_eq!((engine.workers_peak(), engine.workers_spawned()), (1, 1));
}

#[test]
fn a_stall_at_the_cap_aborts_the_run_if_asked_to() {
    let mut driver = Driver::with_inputs(6);
    driver.step(Event::Looked(view(4, 4)));
    for worker in 0..4 {
        driver.step(Event::WorkerSettled(worker));
    }
    let all_blocked = || View { blocked: 1, ready: 2, ..View::default() };
    driver.step(Event::Looked(all_blocked()));
    driver.now += Duration::from_secs(4);
    assert_eq!(driver.step(Event::Looked(all_blocked())), [""; 0]);
    driver.now += Duration::from_secs(2);
    let effects = driver.step(Event::Looked(all_blocked()));
    assert_eq!(effects[0], "Say");
    assert!(effects.contains(&"Stop(3)".to_owned()), "{effects:?}");
    assert_eq!((driver.engine.exit_status(), driver.engine.stalls()), (exit::ERROR, 1));
}

#[test]
fn what_happens_to_tasks_is_journaled() {
    let mut driver = Driver::with_inputs(2);
    driver.outcome(0, Verdict::Signaled(9));
    driver.step(Event::InputsEnded);
    driver.outcome(1, Verdict::Exited(3));
    driver.outcome(0, Verdict::Done);
    let recorded = ["1 again after 1: signal 9", "2 inputs", "2 exit 3 at 1", "1 succeeded at 2"];
    assert_eq!(driver.recorded, recorded);
}

#[test]
fn tasks_that_have_finished_before_do_not_run_again() {
    let mut driver = Driver::new();
    let input = |value: &str, earlier| Input { value: value.into(), earlier, ..Input::default() };
    let failed = Earlier::Failed { cause: "exit 3".into(), attempts: 2, quarantined: false };
    let tried = Earlier::Tried(Tried { attempts: 4, ..Tried::default() });
    let inputs = vec![input("a", Earlier::Succeeded), input("b", tried), input("c", failed)];
    let effects = driver.step(Event::Inputs(inputs));
    assert_eq!(
        effects,
        ["Skip { seq: 1, last: 1 }", "Skip { seq: 3, last: 3 }", "Publish { slot: 0 }"]
    );
    let task = driver.engine.task(0).expect("published");
    assert_eq!((task.seq, task.attempt), (2, 5));
    driver.step(Event::InputsEnded);
    driver.outcome(0, Verdict::Done);
    let tally = driver.engine.tally();
    assert_eq!((tally.succeeded, tally.failed, tally.finished()), (2, 1, 3));
    assert_eq!((driver.engine.exit_status(), driver.engine.is_complete()), (1, true));
}

#[test]
fn a_retry_waits_and_others_go_first() {
    let policy = Policy { tries: 2, ..Policy::default() };
    let mut driver = Driver::with(Limits { policy, task_slots: 1, ..limits() });
    driver.step(inputs([b"a".to_vec(), b"b".to_vec()]));
    assert_eq!(
        driver.outcome(0, Verdict::Exited(1)),
        ["Discard { slot: 0 }", "Publish { slot: 0 }"]
    );
    assert_eq!(driver.engine.task(0).map(|task| task.seq), Some(2));
    let again = driver.engine.looks_again_at().expect("it waits");
    assert!(again <= Duration::from_millis(200));
    driver.step(Event::InputsEnded);
    assert_eq!(driver.outcome(0, Verdict::Done), ["Deliver 2 from 0"], "one is left");
    driver.now = again;
    assert_eq!(driver.step(Event::Looked(view(1, 0))), ["Publish { slot: 0 }"]);
    driver.outcome(0, Verdict::Exited(1));
    assert_eq!(driver.engine.exit_status(), 1, "twice is enough");
}
