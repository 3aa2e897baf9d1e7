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

fn withdrawn(effects: &[String]) -> Vec<u16> {
    let slots = effects.iter().filter_map(|effect| effect.strip_prefix("Withdraw { slot: "));
    slots.map(|slot| slot.trim_end_matches(" }").parse().expect("a slot")).collect()
}

/// With `-k` the outputs that wait may wait for just this task.
#[test]
fn a_retry_starts_under_pressure_though_other_tasks_were_withdrawn() {
    let limits = Limits { task_slots: 8, most_published: 8, ..limits() };
    let mut driver = Driver::with(limits);
    driver.step(inputs((1..=3).map(|n| vec![n])));
    driver.step(Event::OutputPressure(OutputPressure::Turn));
    let retried = driver.outcome(0, Verdict::Signaled(9));
    assert_eq!(published(&retried), 1, "{retried:?}");
    let held_back = withdrawn(&driver.step(Event::JournalFull(Some("here".into()))));
    assert_eq!(held_back.len(), 3);
    for slot in held_back {
        driver.step(Event::Withdrawn { slot });
    }
    assert_eq!(published(&driver.step(Event::JournalFull(None))), 1);
}

#[test]
fn tasks_that_were_withdrawn_start_in_the_order_of_the_input() {
    let limits = Limits { task_slots: 4, most_published: 4, ..limits() };
    let mut driver = Driver::with(limits);
    driver.step(inputs((1..=6).map(|n| vec![n])));
    // The fifth and the sixth task follow in the slots of the first two.
    driver.outcome(0, Verdict::Exited(0));
    driver.outcome(1, Verdict::Exited(0));
    let held_back = withdrawn(&driver.step(Event::JournalFull(Some("here".into()))));
    let seqs = |driver: &Driver, slots: &[u16]| -> Vec<u64> {
        slots.iter().filter_map(|slot| Some(driver.engine.task(*slot)?.seq)).collect()
    };
    assert_eq!(seqs(&driver, &held_back), [6, 5, 4, 3]);
    for slot in held_back {
        driver.step(Event::Withdrawn { slot });
    }
    let again = driver.step(Event::JournalFull(None));
    let slots = again.iter().filter_map(|effect| effect.strip_prefix("Publish { slot: "));
    let slots: Vec<u16> =
        slots.map(|slot| slot.trim_end_matches(" }").parse().expect("a slot")).collect();
    assert_eq!(seqs(&driver, &slots), [3, 4, 5, 6]);
}

/// A worker looks for its next task from the slot behind its last one on.
#[test]
fn tasks_that_were_withdrawn_stand_where_workers_look_for_them_in_their_order() {
    let limits = Limits { task_slots: 8, most_published: 6, ..limits() };
    let mut driver = Driver::with(limits);
    driver.step(inputs((1..=6).map(|n| vec![n])));
    // The first one runs in slot 0.
    let held_back = withdrawn(&driver.step(Event::JournalFull(Some("here".into()))));
    for slot in held_back.into_iter().filter(|slot| *slot != 0) {
        driver.step(Event::Withdrawn { slot });
    }
    driver.step(Event::JournalFull(None));
    let seqs = (1..8).filter_map(|slot| Some(driver.engine.task(slot)?.seq));
    assert_eq!(seqs.collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
}

/// The event loop looks at signals and outcomes between two batches.
#[test]
fn many_workers_are_started_in_batches() {
    let limits = Limits { max_workers: 20, task_slots: 200, most_published: 200, ..limits() };
    let mut driver = Driver::with(limits);
    driver.step(inputs((0..200).map(|n| vec![n as u8])));
    let mut batches = Vec::new();
    while batches.is_empty() || driver.engine.starts_more() {
        let effects = driver.step(Event::Looked(view(200, 200)));
        batches.push(effects.iter().filter(|effect| effect.starts_with("Spawn")).count());
    }
    assert_eq!(batches, [8, 8, 4]);
}

/// Else the event loop would not sleep until the last worker has exited.
#[test]
fn a_run_without_tasks_left_starts_no_more_workers() {
    let limits = Limits { max_workers: 20, task_slots: 20, most_published: 20, ..limits() };
    let mut driver = Driver::with(limits);
    driver.step(inputs((0..20).map(|n| vec![n])));
    driver.step(Event::InputsEnded);
    driver.step(Event::Looked(view(20, 20)));
    assert!(driver.engine.starts_more());
    for slot in 0..20 {
        driver.outcome(slot, Verdict::Exited(0));
    }
    assert!(driver.engine.is_closing() && !driver.engine.starts_more());
}
