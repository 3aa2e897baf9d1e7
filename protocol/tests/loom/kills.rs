//! A worker is killed before each of its writes and wakes. The supervisor learns of it from the
//! kernel and buries it. The other worker finishes, and no token is lost or doubled.
//!
//! One verb per model, and the victim and its supervisor in one thread, because one acts after the
//! other anyway: loom explores small models more thoroughly.

use std::sync::atomic::{AtomicBool, Ordering};

use loom::sync::Arc;
use loom::thread;
use msup_protocol::supervisor_side::Sysmon;
use msup_protocol::sync::model::killed_after;
use msup_protocol::sysmon_sleep::Quiet;
use msup_protocol::task::State;
use msup_protocol::token::Held;
use msup_protocol::worker_side::Next;

use crate::world::{World, model};

/// No verb makes more writes.
const WRITES_AT_MOST: u32 = 40;

/// Kills worker 0 in its `life` after 0, 1, 2, ... writes, until it is killed in no execution,
/// while worker 1 runs `other`. Worker `first_owner` holds the token at first. If worker 0 is not
/// killed, `live_on` runs.
fn killed_at_every_step(
    first_owner: u16,
    life: fn(&World, Option<Held>),
    other: fn(&World, Option<Held>),
    live_on: fn(&World),
    supervise: fn(&World),
) {
    for writes in 0..WRITES_AT_MOST {
        let was_killed = std::sync::Arc::new(AtomicBool::new(false));
        let noted = std::sync::Arc::clone(&was_killed);
        model(move || {
            let world = World::new(1, 2);
            let mut held = world.shared().tokens.acquire(first_owner);
            let others = held.take_if(|_| first_owner == 1);
            let second = Arc::clone(&world);
            let other = thread::spawn(move || other(&second, others));
            let killed = killed_after(writes, || life(&world, held)).is_none();
            noted.fetch_or(killed, Ordering::Relaxed);
            if killed {
                let _reclaimed = world.shared().bury(&&*world, 0);
            } else {
                live_on(&world);
            }
            supervise(&world);
            other.join().expect("no panics");
            // sysmon takes care of a grant that was on its way to the dead worker.
            let _ = Sysmon::new().look(&world.shared(), &&*world, 1);
            let census = world.shared().tokens.census();
            assert_eq!((census.live, census.idle + census.running), (1, 1), "{census:?}");
        });
        if !was_killed.load(Ordering::Relaxed) {
            println!("{writes} steps");
            assert!(writes > 0, "it was never killed");
            return;
        }
    }
    panic!("a longer life than thought");
}

fn waits(world: &World, _nothing: Option<Held>) {
    let _held = world.seat(1).exit(None);
}

fn nothing(_world: &World) {}

/// A worker that left its token behind dies some time later; one that handed it over need not.
fn ends_if_it_left_the_token(world: &World) {
    if world.shared().tokens.census().blocked > 0 {
        ends(world);
    }
}

/// Buries worker 0, which computes for a long time; the other one then gets its token.
fn ends(world: &World) {
    let _reclaimed = world.shared().bury(&world, 0);
}

#[test]
fn entering_lazily() {
    let life = |world: &World, held: Option<Held>| {
        let _away = world.seat(0).enter_lazily(held.expect("a token"));
    };
    killed_at_every_step(0, life, waits, ends_if_it_left_the_token, nothing);
}

/// The same while sysmon sleeps because all tokens are in use: either it is kicked, or the waiter
/// gets the token.
#[test]
fn entering_while_a_worker_waits() {
    let life = |world: &World, held: Option<Held>| {
        world.shared().watch.lie_down(Quiet::AllInUse);
        let _away = world.seat(0).enter_lazily(held.expect("a token"));
    };
    killed_at_every_step(0, life, waits, ends_if_it_left_the_token, nothing);
}

#[test]
fn entering_eagerly() {
    let life = |world: &World, held: Option<Held>| {
        let _away = world.seat(0).enter_eagerly(held.expect("a token"));
    };
    // Handed over, or left behind because no worker waited yet.
    killed_at_every_step(0, life, waits, ends_if_it_left_the_token, nothing);
}

#[test]
fn releasing() {
    let life = |world: &World, held: Option<Held>| {
        world.seat(0).release(held.expect("a token")).expect("ours");
    };
    killed_at_every_step(0, life, waits, nothing, nothing);
}

#[test]
fn waiting() {
    let life = |world: &World, _nothing: Option<Held>| {
        let _held = world.seat(0).exit(None);
    };
    let releases = |world: &World, held: Option<Held>| {
        world.seat(1).release(held.expect("a token")).expect("ours");
    };
    killed_at_every_step(1, life, releases, nothing, nothing);
}

/// The other worker runs the task that the dead one had claimed.
#[test]
fn claiming() {
    let life = |world: &World, held: Option<Held>| {
        assert!(world.shared().tasks.publish(0).is_some());
        let _next = world.seat(0).next_task(held, &|| false);
    };
    let takes_a_task = |world: &World, _nothing: Option<Held>| {
        let _next = world.seat(1).next_task(None, &|| false);
    };
    let runs_it_again = |world: &World| {
        publish_again(world);
        world.shared().pass_on(&world, None);
    };
    killed_at_every_step(0, life, takes_a_task, ends, runs_it_again);
}

/// Publishes the task that the dead worker had claimed or not yet published.
fn publish_again(world: &World) {
    let shared = world.shared();
    let seen = shared.tasks.sighted(0).expect("a slot");
    let again = match seen.state() {
        Some(State::Free) => true,
        Some(State::Claimed) if seen.owner() == Some(0) => shared.tasks.vacate(0, seen),
        _ => false,
    };
    if again {
        assert!(shared.tasks.publish(0).is_some());
    }
}

/// A start that the dead worker took and did not make is allowed again, and the other worker makes
/// it. No token is idle at any time.
#[test]
fn starting_without_a_token() {
    let life = |world: &World, _nothing: Option<Held>| {
        assert!(world.shared().tasks.publish(0).is_some());
        world.shared().allow_starts(&world, 1);
        let _next = world.seat(0).next_task(None, &|| false);
    };
    let starts = |world: &World, _held: Option<Held>| {
        let next = world.seat(1).next_task(None, &|| false);
        assert!(matches!(next, Ok(Next::Start(_))));
        // The only start is made: a worker that came second would sleep for ever.
        let shared = world.shared();
        shared.line.slot(0).expect("a slot").tell_to_leave();
        shared.line.wake(&world, 0);
    };
    let allows_it_again = |world: &World| {
        publish_again(world);
        world.shared().allow_starts(&world, 1);
    };
    killed_at_every_step(1, life, starts, ends, allows_it_again);
}
