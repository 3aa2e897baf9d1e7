//! Tests about tasks that others emit, and about those that are parked.

use super::*;

/// A run of one task, which has emitted two.
fn emitted() -> Driver {
    let mut driver = Driver::with_inputs(1);
    driver.step(Event::InputsEnded);
    let told = driver.outcome_with(0, Verdict::Done, &[b"x", b"y"]);
    assert_eq!(told[1..], ["Deliver 1 from 0"], "its end is not noted yet");
    driver
}

#[test]
fn emitted_tasks_run_when_the_end_of_their_task_is_noted() {
    let mut driver = emitted();
    assert_eq!(driver.step(Event::EndNoted(1)), ["Publish { slot: 1 }", "Publish { slot: 0 }"],);
}

/// Its output was lost on the way: it counts as not run, and so does what it has emitted.
#[test]
fn emitted_tasks_are_cancelled_if_the_end_of_their_task_is_lost() {
    let mut driver = emitted();
    let told = driver.step(Event::EndLost(1));
    let skipped = format!("Skip {{ seq: {EMITTED_FROM}, last: {} }}", EMITTED_FROM + 1);
    assert_eq!(told, [skipped.as_str(), "Finish"]);
    assert_eq!(driver.engine.tally().cancelled, 2);
    assert_ne!(driver.engine.exit_status(), 0, "not all has run");
    assert_eq!(driver.step(Event::EndLost(1)), [""; 0], "once");
}

#[test]
fn a_suspect_does_not_wait_for_tasks_that_are_parked() {
    let wait = Duration::from_secs(3600);
    let tried = |suspect: bool| Tried {
        attempts: 1,
        is_suspect: suspect,
        parked: (!suspect).then(|| (wait, b"state".to_vec())),
        ..Tried::default()
    };
    let mut driver = Driver::new();
    let earlier = [false, true].map(|suspect| Input {
        value: b"v".to_vec(),
        earlier: Earlier::Tried(tried(suspect)),
        ..Input::default()
    });
    driver.step(Event::Inputs(earlier.into()));
    assert_eq!(driver.step(Event::InputsEnded), ["Publish { slot: 0 }"]);
    assert!(driver.engine.task(0).expect("it runs").suspect);
    // The other one waits for the suspect, if its time comes meanwhile.
    driver.now = wait;
    assert_eq!(driver.step(Event::Looked(view(1, 1))), ["Spawn(0)"]);
    driver.step(Event::WorkerSettled(0));
    let told = driver.outcome(0, Verdict::Done);
    assert_eq!(told, ["Deliver 2 from 0", "Publish { slot: 1 }"]);
}

/// With `-k`, the output of the task that has emitted them waits for that of the suspect.
#[test]
fn a_suspect_does_not_wait_for_emitted_tasks_that_wait_for_it() {
    let mut driver = Driver::new();
    let tried = Tried { attempts: 1, is_suspect: true, ..Tried::default() };
    let earlier = [Earlier::Tried(tried), Earlier::Nothing];
    let inputs = earlier.map(|earlier| Input { value: b"v".to_vec(), earlier, ..Input::default() });
    assert_eq!(driver.step(Event::Inputs(inputs.into())), ["Publish { slot: 0 }"]);
    driver.step(Event::InputsEnded);
    assert!(!driver.engine.task(0).expect("it runs").suspect);
    driver.step(Event::Looked(view(1, 1)));
    driver.step(Event::WorkerSettled(0));
    let told = driver.outcome_with(0, Verdict::Done, &[b"x"]);
    assert!(told.iter().all(|effect| !effect.starts_with("Publish")), "it waits: {told:?}");
    assert_eq!(driver.step(Event::EndAwaitsTurn(2)), ["Publish { slot: 1 }"]);
    assert!(driver.engine.task(1).expect("it runs").suspect);
}
