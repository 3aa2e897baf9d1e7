//! Tests about what stops a run, or holds it up: signals, its output, its journal.

use super::*;

#[test]
fn a_signal_drains_a_second_one_stops_and_a_third_one_kills() {
    let mut driver = Driver::with_inputs(5);
    driver.step(Event::Looked(view(2, 2)));
    assert_eq!(
        driver.step(Event::StopSignal(2)),
        ["Withdraw { slot: 0 }", "Withdraw { slot: 1 }", "Say"]
    );
    assert!(!driver.engine.wants_input());
    driver.step(Event::Withdrawn { slot: 1 });
    assert_eq!(driver.engine.tally().cancelled, 4);
    assert_eq!(
        driver.step(Event::StopSignal(2)),
        ["Withdraw { slot: 0 }", "Stop(0)", "Stop(1)", "Say"]
    );
    assert_eq!(driver.step(Event::StopSignal(2)), ["KillNow"]);
    assert_eq!(driver.engine.exit_status(), 130);
    // A stopped attempt has not succeeded, though it exited with 0.
    let outcome = OutcomeFrame {
        verdict: Verdict::Exited(0),
        began_ns: 1,
        wall_ns: 0,
        usage: Usage::default(),
        leaked: false,
        stdout: Stream::nothing(),
        stderr: Stream::nothing(),
        result: Stream::nothing(),
        emitted: Stream::nothing(),
    };
    let killed = Some(Killed::Stopped);
    let outcome = Box::new(outcome);
    driver.step(Event::Collected { slot: 0, outcome, starved: false, killed });
    assert_eq!((driver.engine.tally().cancelled, driver.engine.tally().succeeded), (5, 0));
}

#[test]
fn a_standard_output_that_fails_is_an_error() {
    let mut driver = Driver::with_inputs(1);
    let effects = driver.step(Event::OutputFailed("no space".into()));
    assert_eq!(effects, ["Say", "Withdraw { slot: 0 }"]);
    assert_eq!(driver.engine.exit_status(), exit::ERROR);
}

#[test]
fn a_closed_standard_output_stops_what_runs_in_vain() {
    for (in_vain, quiet, expected) in [
        (true, false, &["Say", "Withdraw { slot: 0 }", "Stop(0)", "Stop(1)"][..]),
        (true, true, &["Withdraw { slot: 0 }", "Stop(0)", "Stop(1)"]),
        (false, true, &["Withdraw { slot: 0 }"]),
    ] {
        let mut driver = Driver::with_inputs(1);
        driver.step(Event::Looked(view(2, 2)));
        assert_eq!(driver.step(Event::OutputClosed { in_vain, quiet }), expected);
        assert_eq!(driver.engine.exit_status(), 141);
    }
}

/// Schedulers send a signal to all processes of a job.
#[test]
fn a_command_that_is_killed_by_what_stops_the_run_has_not_failed() {
    for (stop, killer, fails) in [(15, 15, 0), (10, 15, 0), (10, 10, 0), (2, 15, 0), (15, 1, 1)] {
        let mut driver = Driver::with_inputs(5);
        driver.step(Event::Looked(view(2, 2)));
        driver.step(Event::StopSignal(stop));
        driver.outcome(0, Verdict::Signaled(killer));
        assert_eq!(driver.engine.tally().failed, fails, "{stop} {killer}");
    }
    let mut driver = Driver::with_inputs(5);
    driver.outcome(0, Verdict::Signaled(15));
    driver.step(Event::StopSignal(15));
    assert_eq!(driver.engine.tally().failed, 0, "it has killed the command before it came here");
}

#[test]
fn without_space_for_the_journal_nothing_is_started() {
    let mut driver = Driver::with_inputs(4);
    assert_eq!(
        driver.step(Event::JournalFull(Some("there".into()))),
        ["Say", "Withdraw { slot: 1 }", "Withdraw { slot: 0 }"]
    );
    driver.step(Event::Withdrawn { slot: 1 });
    assert_eq!(driver.outcome(0, Verdict::Done), ["Deliver 1 from 0"], "what runs may finish");
    assert!(!driver.engine.wants_input());
    let effects = driver.step(Event::JournalFull(None));
    // Workers look at the slot behind that of the task that ran.
    assert_eq!(effects, ["Say", "Publish { slot: 1 }", "Publish { slot: 0 }"]);
    driver.step(Event::JournalLost("EIO".into()));
    assert_eq!(driver.engine.exit_status(), 102);
}

#[test]
fn while_outputs_cannot_be_written_nothing_starts_and_nothing_is_read() {
    let mut driver = Driver::with_inputs(3);
    driver.step(Event::OutputPressure(OutputPressure::Writing));
    assert_eq!(driver.outcome(0, Verdict::Done), ["Deliver 1 from 0"]);
    assert_eq!(driver.outcome(1, Verdict::Signaled(9)), ["Discard { slot: 1 }"]);
    assert!(!driver.engine.wants_input());
    let both = ["Publish { slot: 0 }", "Publish { slot: 1 }"];
    assert_eq!(driver.step(Event::OutputPressure(OutputPressure::None)), both);
}

#[test]
fn while_outputs_wait_for_their_turn_only_retries_start_and_the_first_unfinished_task() {
    let mut driver = Driver::with_inputs(3);
    driver.step(Event::OutputPressure(OutputPressure::Turn));
    let killed = WorkerEnd::Signaled(9);
    let gone = Event::WorkerGone {
        worker: 0,
        end: killed,
        claimed: vec![0],
        starved: false,
        killed: None,
    };
    assert_eq!(driver.step(gone), ["Discard { slot: 0 }", "Publish { slot: 0 }"]);
    assert_eq!(driver.outcome(0, Verdict::Done), ["Deliver 1 from 0"]);
    assert!(!driver.engine.wants_input(), "the second task is under way");
    // The outputs wait for the third one, and then for one that was not read yet.
    assert_eq!(driver.outcome(1, Verdict::Done), ["Deliver 2 from 1", "Publish { slot: 1 }"]);
    driver.outcome(1, Verdict::Done);
    assert!(driver.engine.wants_input());
}

#[test]
fn an_output_that_cannot_be_written_is_no_success_whenever_that_is_found_out() {
    let with = |is_xargs| {
        let policy = Policy { is_xargs, ..Policy::default() };
        Driver::with(Limits { policy, ..limits() }).engine.status_unwritten()
    };
    assert_eq!((with(false), with(true)), (255, 123));
}
