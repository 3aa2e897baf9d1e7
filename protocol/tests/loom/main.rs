//! The protocol under loom: every interleaving of its atomics up to a bound on preemptions, with a
//! park that never times out, so that a lost wake is a deadlock. Run with `RUSTFLAGS="--cfg loom"`.
//!
//! Time stands still here: sysmon's rescue of lost wakes never acts, so these models also show that
//! the protocol does not need it.

#![cfg(loom)]

mod barriers;
mod bells;
mod interleavings;
mod kills;
mod world;

use loom::sync::Arc;
use loom::thread;
use msup_protocol::supervisor_side::Sysmon;
use msup_protocol::worker_side::Next;

use world::{World, complete_model, gets_a_task, gets_a_token, model, sysmon_until_it_retakes};

#[test]
fn a_released_token_reaches_a_waiter() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 1));
        world.seat(0).release(held).expect("ours");
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}

fn both_come_back(new: fn(usize, usize) -> Arc<World>) {
    model(move || {
        let world = new(1, 2);
        let other = Arc::clone(&world);
        let second = thread::spawn(move || gets_a_token(&other, 1));
        gets_a_token(&world, 0);
        second.join().expect("no panics");
        world.assert_all_idle();
    });
}

#[test]
fn two_workers_that_come_back_share_one_token() {
    both_come_back(World::new);
}

#[test]
fn a_worker_woken_for_no_reason_sleeps_again() {
    both_come_back(World::restless);
}

#[test]
fn a_published_task_is_run_by_a_worker_that_parks() {
    model(|| {
        let world = World::new(1, 1);
        let other = Arc::clone(&world);
        let worker = thread::spawn(move || gets_a_task(&other, 0));
        let shared = world.shared();
        assert!(shared.tasks.publish(0).is_some());
        shared.pass_on(&&*world, None);
        worker.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// Another worker holds the only token: a worker that parks while a start is allowed either sees it
/// or is woken.
#[test]
fn a_start_that_is_allowed_is_made() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(1).expect("idle");
        let other = Arc::clone(&world);
        let worker = thread::spawn(move || {
            let next = other.seat(0).next_task(None, &|| false);
            assert!(matches!(next, Ok(Next::Start(_))));
        });
        assert!(world.shared().tasks.publish(0).is_some());
        world.shared().allow_starts(&&*world, 1);
        worker.join().expect("no panics");
        assert!(!world.shared().header.take_start(), "there was one");
        world.seat(1).release(held).expect("ours");
        world.assert_all_idle();
    });
}

#[test]
fn no_start_is_made_twice() {
    complete_model(|| {
        let world = World::new(1, 2);
        world.shared().header.allow_starts(1);
        let other = Arc::clone(&world);
        let second = thread::spawn(move || other.shared().header.take_start());
        let first = world.shared().header.take_start();
        assert!(first != second.join().expect("no panics"));
    });
}

#[test]
fn a_blocked_token_is_retaken_for_a_waiter() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 1));
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || {
            // Two looks far apart: what has not changed in between is retaken.
            let mut sysmon = Sysmon::new();
            let _ = sysmon.look(&third.shared(), &&*third, 1);
            let _ = sysmon.look(&third.shared(), &&*third, 1_000_000);
        });
        let seat = world.seat(0);
        let away = seat.enter_lazily(held);
        let held = seat.exit(away);
        seat.release(held).expect("ours");
        sysmon.join().expect("no panics");
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// A parked worker cannot help itself: only sysmon can bring it the blocked token.
#[test]
fn sysmon_is_kicked_from_every_side() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let parked = thread::spawn(move || gets_a_task(&other, 1));
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || sysmon_until_it_retakes(&third));
        let shared = world.shared();
        assert!(shared.tasks.publish(0).is_some());
        shared.pass_on(&&*world, None);
        shared.watch.token_wanted(&&*world);
        // It blocks for ever.
        let _away = world.seat(0).enter_lazily(held);
        parked.join().expect("no panics");
        sysmon.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// A worker that is told to leave gives back what it holds or is granted, although tasks are ready.
#[test]
fn a_worker_told_to_exit_exits_though_tasks_are_ready() {
    model(|| {
        let world = World::new(1, 1);
        assert!(world.shared().tasks.publish(0).is_some());
        let held = world.shared().tokens.acquire(0);
        let other = Arc::clone(&world);
        let worker = thread::spawn(move || {
            let next = other.seat(0).next_task(held, &|| true);
            assert!(matches!(next, Ok(Next::Leave)));
        });
        world.shared().pass_on(&&*world, None);
        worker.join().expect("no panics");
        // sysmon takes care of a grant on the way to a slot that is vacant now.
        let _ = world.shared().bury(&&*world, 0);
        world.assert_all_idle();
    });
}

#[test]
fn a_worker_that_yields_gets_the_token_back() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 1));
        let seat = world.seat(0);
        let held = seat.yield_token(held).expect("ours");
        seat.release(held).expect("ours");
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}
