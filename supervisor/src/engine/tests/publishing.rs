//! Tests about the number of tasks that lie ready, and when more are published.

use super::*;

fn published(effects: &[String]) -> usize {
    effects.iter().filter(|effect| effect.starts_with("Publish")).count()
}

#[test]
fn commands_are_published_many_at_once() {
    let limits = Limits { admits: true, procs: 2, task_slots: 256, ..limits() };
    let mut driver = Driver::with(limits);
    let busy = || View { in_flight: 2, ready: 64, ..View::default() };
    // How many lie ready is unknown before the first look.
    let mut first = published(&driver.step(inputs((0..400).map(|n| vec![n as u8]))));
    first += published(&driver.step(Event::Looked(busy())));
    assert_eq!(first, 2 + 64);
    let mut batches = Vec::new();
    let mut slots = 0..;
    for _ in 0..100 {
        let slot = slots.next().expect("endless");
        let mut effects = driver.outcome(slot, Verdict::Exited(0));
        effects.extend(driver.step(Event::Looked(busy())));
        batches.push(published(&effects));
    }
    let [before, at_once, after] = [&batches[..32], &batches[32..33], &batches[33..65]];
    assert!(before.iter().chain(after).all(|published| *published == 0), "{batches:?}");
    assert_eq!(at_once, [33], "{batches:?}");
}

#[test]
fn few_commands_are_published_as_they_come() {
    let limits = Limits { admits: true, procs: 2, task_slots: 256, ..limits() };
    let mut driver = Driver::with(limits);
    driver.step(inputs((0..2).map(|n| vec![n])));
    driver.step(Event::Looked(View { in_flight: 2, ..View::default() }));
    for n in 2..30 {
        assert_eq!(published(&driver.step(inputs([vec![n]]))), 1);
    }
}

#[test]
fn where_a_run_may_halt_no_task_lies_ready_for_workers_that_finish_one() {
    let at_first_failure = Halt { now: false, what: Counted::Fail, at: Threshold::Number(1) };
    for (halt, expected) in [(None, 12), (Some(at_first_failure), 4)] {
        let policy = Policy { halt, ..Policy::default() };
        let limits = Limits { task_slots: 16, most_published: 12, policy, ..limits() };
        let mut driver = Driver::with(limits);
        assert_eq!(published(&driver.step(inputs((0..16).map(|n| vec![n])))), expected);
    }
}
