//! Tests of the order in which tasks start.

use super::*;
use crate::engine::{EMITTED_FROM, Turn};

/// The order in which 100 tasks are claimed from a ring of this number of slots, if at most
/// `most` are in slots and the first one takes as long as 26 of the others.
fn claimed(slots: usize, most: usize) -> Vec<u64> {
    let mut ledger = Ledger::new(slots);
    for _ in 0..100 {
        ledger.accept(Vec::new(), Turn::NEXT, Tried::default(), Duration::ZERO);
    }
    // What workers do: go from slot to slot, each as soon as it holds a task.
    let (mut claims, mut head, mut long) = (Vec::new(), 0, None);
    while !ledger.is_empty() {
        while ledger.in_slots() < most && ledger.place(false, 1).is_some() {}
        let ready = (0..slots).map(|offset| ((head + offset) % slots) as u16);
        let Some(slot) = ready.into_iter().find(|s| Some(*s) != long && ledger.at(*s).is_some())
        else {
            break;
        };
        head = usize::from(slot) + 1;
        claims.push(ledger.at(slot).expect("just seen").seq);
        match claims.len() {
            1 => long = Some(slot),
            27 => drop((ledger.remove(slot), ledger.remove(long.take().expect("runs")))),
            _ => drop(ledger.remove(slot)),
        }
    }
    claims
}

#[test]
fn tasks_start_in_order_though_one_takes_long() {
    let expected: Vec<u64> = (1..=100).collect();
    assert_eq!(claimed(16, 8), expected);
    assert_ne!(claimed(8, 8), expected, "with no more slots than tasks in them");
}

fn added(ledger: &mut Ledger, parent: u64, values: usize) {
    ledger.hold(parent, &vec![Vec::new(); values]);
    ledger.release(parent);
}

fn numbers(ledger: &mut Ledger, many: usize) -> Vec<u64> {
    let next = |_| {
        let slot = ledger.place(false, 1)?;
        ledger.remove(slot).map(|record| record.seq)
    };
    (0..many).map_while(next).collect()
}

fn accept(ledger: &mut Ledger, many: usize) {
    for _ in 0..many {
        ledger.accept(Vec::new(), Turn::NEXT, Tried::default(), Duration::ZERO);
    }
}

/// Their outputs come in this order, and with `-k` no more than some may wait.
#[test]
fn added_tasks_run_behind_those_of_the_input_by_number() {
    let mut ledger = Ledger::new(2);
    accept(&mut ledger, 1);
    ledger.hold(1, &[Vec::new(), Vec::new()]);
    ledger.hold(2, &[Vec::new()]);
    // The end of the second one is noted first.
    ledger.release(2);
    ledger.release(1);
    accept(&mut ledger, 1);
    assert_eq!(ledger.fresh(), 2, "only tasks of the input stop the reading of more");
    let first = EMITTED_FROM;
    assert_eq!(numbers(&mut ledger, 9), [1, 2, first, first + 1, first + 2]);
}

#[test]
fn a_task_that_was_withdrawn_keeps_its_turn() {
    let mut ledger = Ledger::new(1);
    accept(&mut ledger, 2);
    added(&mut ledger, 7, 2);
    for _ in 0..4 {
        let slot = ledger.place(false, 1).expect("a task");
        let record = ledger.remove(slot).expect("just placed");
        let seq = record.seq;
        ledger.put_back(record);
        assert_eq!(numbers(&mut ledger, 1), [seq]);
    }
    assert!(ledger.is_empty());
}

/// A task that looks again and again whether something has come.
#[test]
fn tasks_that_poll_take_turns_with_those_that_never_ran() {
    let mut ledger = Ledger::new(1);
    accept(&mut ledger, 6);
    let (mut order, mut now) = (Vec::new(), Duration::ZERO);
    while let Some(slot) = ledger.place(false, 1).filter(|_| order.len() < 11) {
        let mut record = ledger.remove(slot).expect("just placed");
        order.push(record.seq);
        if record.seq <= 2 {
            (record.state, record.again) = (Some(Box::default()), true);
            ledger.put_back_later(record, now);
        }
        now += Duration::from_millis(1);
        ledger.wake(now);
    }
    assert_eq!(order, [1, 1, 2, 1, 3, 2, 4, 1, 5, 2, 6]);
}

#[test]
fn the_lowest_number_starts_alone_even_if_it_is_a_suspect() {
    let mut ledger = Ledger::new(4);
    let tried = |is_suspect| Tried { attempts: 1, is_suspect, ..Tried::default() };
    for is_suspect in [false, true, false] {
        ledger.accept(Vec::new(), Turn::NEXT, tried(is_suspect), Duration::ZERO);
    }
    added(&mut ledger, 1, 1);
    let mut order = Vec::new();
    while let Some(slot) = ledger.place_lowest(1) {
        assert_eq!(ledger.place_lowest(1), None, "one is under way");
        order.extend(ledger.remove(slot).map(|record| record.seq));
    }
    assert_eq!(order, [1, 2, 3, EMITTED_FROM]);
}

/// All outputs wait for this one.
#[test]
fn no_other_task_starts_in_place_of_the_lowest_one_while_that_waits() {
    let mut ledger = Ledger::new(4);
    accept(&mut ledger, 2);
    let slot = ledger.place(false, 1).expect("a task");
    let first = ledger.remove(slot).expect("just placed");
    ledger.put_back_later(first, Duration::from_secs(1));
    assert_eq!(ledger.place_lowest(1), None);
    ledger.wake(Duration::from_secs(1));
    let slot = ledger.place_lowest(1).expect("its wait is over");
    assert_eq!(ledger.at(slot).map(|record| record.seq), Some(1));
}
