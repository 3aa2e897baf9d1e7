//! Tests about workers that start slowly or not at all, overwritten segments, and short memory.

use super::*;

fn seconds(n: u64) -> Now {
    Duration::from_secs(n)
}

#[test]
fn a_worker_that_starts_slowly_is_waited_for_and_reported() {
    let mut driver = Driver::with_inputs(1);
    assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
    driver.now = seconds(9);
    assert_eq!(driver.step(Event::Looked(view(1, 1))), [""; 0], "another would take as long");
    driver.now = seconds(10);
    assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Say"]);
    driver.now = seconds(19);
    assert_eq!(driver.step(Event::Looked(view(1, 1))), [""; 0]);
    driver.now = seconds(20);
    assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Say"], "every ten seconds");
    driver.step(Event::WorkerSettled(0));
    driver.now = seconds(40);
    assert_eq!(driver.step(Event::Looked(view(0, 0))), [""; 0]);
}

fn gone(worker: u16, end: WorkerEnd) -> Event {
    Event::WorkerGone { worker, end, claimed: vec![], starved: false, killed: None }
}

#[test]
fn a_start_that_takes_too_long_is_a_failed_one() {
    let policy = Policy { start_timeout: Some(seconds(5)), ..Policy::default() };
    let mut driver = Driver::with(Limits { policy, ..limits() });
    driver.step(inputs([b"a".to_vec()]));
    let mut last = Vec::new();
    for _ in 0..3 {
        assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
        driver.now += seconds(5);
        assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Kill(0)"]);
        assert_eq!(driver.step(Event::Looked(view(1, 1))), [""; 0], "once");
        last = driver.step(gone(0, WorkerEnd::Signaled(9)));
        driver.now += seconds(1);
    }
    assert_eq!(last[0], "Say");
    assert_eq!(driver.engine.exit_status(), exit::ERROR);
}

#[test]
fn another_version_is_believed_at_once_only_before_any_worker_has_attached() {
    let mismatch = || gone(0, WorkerEnd::Exited(exit::WORKER_MISMATCH));
    let mut driver = Driver::with_inputs(1);
    driver.step(Event::Looked(view(1, 1)));
    driver.step(mismatch());
    assert_eq!(driver.engine.exit_status(), exit::ERROR);

    let mut driver = Driver::with_inputs(1);
    driver.step(Event::Looked(view(1, 1)));
    driver.step(Event::WorkerSettled(0));
    driver.step(gone(0, WorkerEnd::Signaled(9)));
    for nth in 1..=3 {
        driver.now += seconds(2);
        assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
        assert!(!driver.engine.is_stopped(), "{nth}");
        driver.step(mismatch());
    }
    assert_eq!(driver.engine.exit_status(), exit::ERROR, "the program was replaced");
}

/// Starts a worker that exits like this before it gets a task, this often.
fn lose_idle_workers(times: usize, end: WorkerEnd) -> Driver {
    let mut driver = Driver::with_inputs(1);
    for nth in 1..=times {
        assert!(!driver.engine.is_stopped(), "before worker {nth}");
        driver.now += seconds(20);
        assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
        driver.step(Event::WorkerSettled(0));
        driver.step(gone(0, end));
    }
    driver
}

#[test]
fn workers_that_crash_between_two_tasks_are_not_restarted_for_ever() {
    let crash = WorkerEnd::Signaled(11);
    assert!(!lose_idle_workers(9, crash).engine.is_stopped());
    assert_eq!(lose_idle_workers(10, crash).engine.exit_status(), exit::ERROR);
}

#[test]
fn a_worker_may_exit_between_two_tasks() {
    let driver = lose_idle_workers(30, WorkerEnd::Exited(exit::SUCCESS));
    assert!(!driver.engine.is_stopped());
    assert_eq!(driver.engine.tally().lost_workers, 0);
}

fn overwritten() -> Event {
    Event::EpochEnded { why: "noise".into(), failed: None, unstarted: Vec::new() }
}

/// The numbers of the tasks in slots.
fn under_way(driver: &Driver) -> Vec<u64> {
    (0..8).filter_map(|slot| driver.engine.task(slot).map(|task| task.seq)).collect()
}

#[test]
fn a_task_that_was_alone_whenever_the_segment_was_overwritten_is_quarantined() {
    let mut driver = Driver::with(Limits { task_slots: 8, ..limits() });
    driver.step(inputs((0..4).map(|n| vec![b'a' + n])));
    driver.step(Event::InputsEnded);
    assert_eq!(under_way(&driver), [1, 2, 3, 4]);
    driver.step(overwritten());
    assert_eq!(under_way(&driver), [1], "no more than run at once");
    driver.step(overwritten());
    assert_eq!(under_way(&driver), [2], "the first one goes last");
    for seq in 2..=4 {
        let slot = (0..8).find(|slot| driver.engine.task(*slot).is_some()).expect("published");
        assert_eq!(driver.engine.task(slot).map(|task| task.seq), Some(seq));
        driver.outcome(slot, Verdict::Done);
    }
    for strike in 0..5 {
        assert_eq!(under_way(&driver), [1], "alone, strike {strike}");
        driver.step(overwritten());
    }
    assert_eq!(under_way(&driver), [0; 0]);
    let tally = driver.engine.tally();
    assert_eq!((tally.succeeded, tally.quarantined, tally.epochs), (3, 1, 7));
    assert_eq!(driver.engine.exit_status(), 1, "the run itself has not failed");
}

#[test]
fn a_segment_that_is_overwritten_whatever_runs_fails_the_run_and_condemns_nothing() {
    let mut driver = Driver::with(Limits { task_slots: 8, ..limits() });
    driver.step(inputs((0..20).map(|n| vec![b'a' + n])));
    driver.step(Event::InputsEnded);
    for _ in 0..6 {
        assert!(!driver.engine.is_stopped());
        driver.step(overwritten());
    }
    assert_eq!(driver.engine.exit_status(), exit::ERROR);
    assert_eq!(driver.engine.tally().quarantined, 0);
}

#[test]
fn a_suspect_whose_output_others_wait_for_does_not_wait_for_them() {
    let mut driver = Driver::with(Limits { task_slots: 8, ..limits() });
    driver.step(inputs((0..4).map(|n| vec![b'a' + n])));
    driver.step(overwritten());
    driver.step(overwritten());
    driver.step(Event::OutputPressure(OutputPressure::Turn));
    let slot = (0..8).find(|slot| driver.engine.task(*slot).is_some()).expect("published");
    driver.outcome(slot, Verdict::Done);
    // Those that follow have been under way too; then nothing else may start.
    while let Some(slot) = (0..8).find(|slot| driver.engine.task(*slot).is_some()) {
        driver.outcome(slot, Verdict::Done);
    }
    assert_eq!(driver.engine.tally().succeeded, 4);
}

/// What the client submits next may depend on its outcome.
#[test]
fn a_suspect_of_a_client_does_not_wait_for_the_end_of_the_input() {
    for has_client in [true, false] {
        let mut driver = Driver::with(Limits { task_slots: 8, has_client, ..limits() });
        driver.step(inputs((0..2).map(|n| vec![b'a' + n])));
        driver.step(overwritten());
        driver.step(overwritten());
        while let Some(slot) = (0..8).find(|slot| driver.engine.task(*slot).is_some()) {
            driver.outcome(slot, Verdict::Done);
        }
        assert_eq!(driver.engine.tally().succeeded == 2, has_client);
    }
}

#[test]
fn a_fixed_number_of_jobs_gets_less_company_when_memory_is_short() {
    let mut driver = Driver::with(Limits { procs: 4, task_slots: 4, ..limits() });
    driver.step(inputs((0..8).map(|n| vec![b'a' + n])));
    driver.step(Event::InputsEnded);
    let four = View { in_flight: 4, ..View::default() };
    driver.step(Event::Looked(four));
    let starved = |slot| {
        let frame = OutcomeFrame {
            verdict: Verdict::Signaled(9),
            began_ns: 1,
            wall_ns: 1,
            usage: Usage::default(),
            leaked: false,
            stdout: Stream::nothing(),
            stderr: Stream::nothing(),
            result: Stream::nothing(),
            emitted: Stream::nothing(),
        };
        Event::Collected { slot, outcome: Box::new(frame), starved: true, killed: None }
    };
    let effects = driver.step(starved(0));
    assert!(effects.contains(&"Withdraw { slot: 1 }".to_owned()), "{effects:?}");
    assert_eq!(under_way(&driver).len(), 3, "nothing takes its place");
    assert_eq!(driver.outcome(1, Verdict::Done), ["Deliver 2 from 1"], "half as many");
    let effects = driver.outcome(2, Verdict::Done);
    assert!(effects.iter().any(|effect| effect.starts_with("Publish")), "{effects:?}");
    assert_eq!(under_way(&driver).len(), 2);
}
