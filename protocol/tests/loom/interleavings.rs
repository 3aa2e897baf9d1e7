//! The interleavings that a first design got wrong, each in a model of its own.

use loom::sync::Arc;
use loom::thread;
use msup_protocol::supervisor_side::Sysmon;
use msup_protocol::sysmon_sleep::Quiet;

use crate::world::{World, gets_a_task, gets_a_token, model, sysmon_until_it_retakes};

/// One look that remembers, and one much later, when every unchanged word is overdue.
fn two_looks(world: &Arc<World>) {
    let mut sysmon = Sysmon::new();
    let _ = sysmon.look(&world.shared(), &&**world, 1);
    let _ = sysmon.look(&world.shared(), &&**world, 1_000_000_000);
}

/// A waiter that steals a token while it is granted another must pass the second one on.
#[test]
fn a_waiter_steals_while_it_is_being_granted() {
    model(|| {
        let world = World::restless(2, 3);
        let tokens = world.shared().tokens;
        let first = tokens.acquire(0).expect("idle");
        let second = tokens.acquire(2).expect("idle");
        // Blocked for ever: can be stolen.
        let _away = world.seat(0).enter_lazily(first);
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 1));
        world.seat(2).release(second).expect("ours");
        waiter.join().expect("no panics");
        // sysmon takes care of a grant that came even later.
        two_looks(&world);
        let census = tokens.census();
        assert_eq!((census.granted, census.idle + census.blocked), (0, 2), "{census:?}");
    });
}

/// A grant that was decided on before the worker had a token, and that comes after the worker has
/// scanned for such grants: sysmon brings the token to another worker.
#[test]
fn a_late_grant_to_a_busy_worker_is_taken_back() {
    model(|| {
        let world = World::new(2, 3);
        let shared = world.shared();
        // Worker 1 computes for a long time; worker 2 waits.
        let busy = shared.tokens.acquire(1).expect("idle");
        let late = shared.tokens.acquire(0).expect("idle");
        assert_eq!(shared.tokens.hand_off(late, 1), Ok(true));
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 2));
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || two_looks(&third));
        sysmon.join().expect("no panics");
        waiter.join().expect("no panics");
        world.seat(1).release(busy).expect("ours");
        world.assert_all_idle();
    });
}

/// A grant to a slot whose worker died after it was chosen: sysmon sees that the slot is vacant.
#[test]
fn a_grant_to_the_dead_is_taken_back() {
    model(|| {
        let world = World::new(1, 3);
        let shared = world.shared();
        let held = shared.tokens.acquire(0).expect("idle");
        shared.line.announce(1, 1);
        let other = Arc::clone(&world);
        let releaser = thread::spawn(move || other.seat(0).release(held).expect("ours"));
        let _reclaimed = shared.bury(&&*world, 1);
        let third = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&third, 2));
        releaser.join().expect("no panics");
        let mut sysmon = Sysmon::new();
        let _ = sysmon.look(&shared, &&*world, 1);
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// A grant is revoked from a worker that is only slow: it must ask again and not sleep on.
#[test]
fn a_revoke_races_a_slow_wake() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let slow = thread::spawn(move || gets_a_token(&other, 1));
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || two_looks(&third));
        let seat = world.seat(0);
        seat.release(held).expect("ours");
        // It may take the revoked token, and must then pass it on to the worker that asked again.
        if let Some(held) = world.shared().tokens.acquire(0) {
            seat.release(held).expect("ours");
        }
        sysmon.join().expect("no panics");
        slow.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// Work arrives while sysmon sleeps over a blocked word, because no worker wanted it.
#[test]
fn work_arrives_while_sysmon_sleeps_over_a_blocked_word() {
    model(|| {
        let world = World::new(1, 2);
        let shared = world.shared();
        let held = shared.tokens.acquire(0).expect("idle");
        let _away = world.seat(0).enter_lazily(held);
        let other = Arc::clone(&world);
        let parked = thread::spawn(move || gets_a_task(&other, 1));
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || sysmon_until_it_retakes(&third));
        assert!(shared.tasks.publish(0).is_some());
        shared.pass_on(&&*world, None);
        shared.watch.token_wanted(&&*world);
        parked.join().expect("no panics");
        sysmon.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// A waiter comes back while sysmon sleeps over a blocked word, because no worker wanted it.
#[test]
fn a_waiter_comes_back_while_sysmon_sleeps_over_a_blocked_word() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let _away = world.seat(0).enter_lazily(held);
        let other = Arc::clone(&world);
        let sysmon = thread::spawn(move || sysmon_until_it_retakes(&other));
        gets_a_token(&world, 1);
        sysmon.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// A releaser is stopped for ever between its compare-and-swap and its wake: the waiter sleeps with
/// a grant until sysmon revokes it and wakes the waiter.
#[test]
fn a_releaser_is_stopped_between_its_change_and_its_wake() {
    model(|| {
        let world = World::new(1, 2);
        let shared = world.shared();
        let held = shared.tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 1));
        if shared.taker(Some(0)).is_some() {
            assert_eq!(shared.tokens.hand_off(held, 1), Ok(true));
            two_looks(&world);
        } else {
            world.seat(0).release(held).expect("ours");
        }
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// A stopped owner comes back late: its compare-and-swap must fail, even if other workers have had
/// the token and it is blocked again.
#[test]
fn a_stopped_owners_late_change_fails() {
    model(|| {
        let world = World::new(1, 3);
        let shared = world.shared();
        let held = shared.tokens.acquire(0).expect("idle");
        let away = shared.tokens.enter(0, held);
        let other = Arc::clone(&world);
        let owner = thread::spawn(move || {
            // It wins, or it waits in line like every worker.
            let seat = other.seat(0);
            let held = seat.exit(Some(away));
            seat.release(held).expect("ours");
        });
        let at = shared.tokens.sighted(0).expect("a word");
        if let Some(stolen) = shared.tokens.steal(1, at) {
            let seat = world.seat(1);
            let away = seat.enter_lazily(stolen);
            let held = seat.exit(away);
            seat.release(held).expect("ours");
        }
        owner.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// sysmon sleeps because every token is in use, and the call returns before sysmon could have
/// looked: the worker that makes such calls hands the token to the waiter.
#[test]
fn a_short_call_gives_way() {
    model(|| {
        let world = World::new(1, 2);
        let shared = world.shared();
        let held = shared.tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || gets_a_token(&other, 1));
        let seat = world.seat(0);
        if shared.line.is_announced(1) {
            shared.watch.lie_down(Quiet::AllInUse);
            let away = seat.enter_lazily(held);
            // The waiter gets the token although sysmon did not look during this call.
            waiter.join().expect("no panics");
            let held = seat.exit(away);
            seat.release(held).expect("ours");
        } else {
            seat.release(held).expect("ours");
            waiter.join().expect("no panics");
        }
        world.assert_all_idle();
    });
}

/// A token is blocked just when sysmon lies down: one of the two sees the other.
#[test]
fn a_token_is_blocked_while_sysmon_lies_down() {
    model(|| {
        let world = World::new(1, 2);
        let shared = world.shared();
        let held = shared.tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let blocks = thread::spawn(move || drop(other.seat(0).enter_lazily(held)));
        shared.watch.lie_down(Quiet::AllInUse);
        let blocked = shared.tokens.census().blocked;
        if blocked == 0 {
            // It may sleep now and must be kicked.
            shared.watch.sleep(&&*world, Quiet::AllInUse, std::time::Duration::MAX);
        }
        blocks.join().expect("no panics");
        assert_eq!(shared.tokens.census().blocked, 1);
    });
}
