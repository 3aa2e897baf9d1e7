//! A worker is killed before every single one of its writes and wakes. The supervisor learns of it from
//! the kernel and buries it; the other one finishes, and no token is lost or doubled.
//!
//! One verb per model, and the victim and its supervisor in one thread, because one comes after the
//! other anyway: small models, in which loom finds more.

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

/// No verb writes more often.
const WRITES_AT_MOST: u32 = 40;

/// Ends worker 0's `life` after 0, 1, 2, ... writes, until no execution is left in which it is killed,
/// while worker 1 lives its own. The token is in worker 0's hand at first, or in worker 1's. A worker 0
/// that is not killed lives on.
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
            // A grant that was on its way to the dead is what sysmon is for.
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

/// Who left its token behind ends some time later; who has handed it over is not needed any more.
fn ends_if_it_left_the_token(world: &World) {
    if world.shared().tokens.census().blocked > 0 {
        ends(world);
    }
}

/// Worker 0 computes for long; the other one gets its token when it is done.
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

/// The same while sysmon sleeps because all tokens are in use: it is kicked, or who waits gets the token.
#[test]
fn entering_while_somebody_wants_it() {
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
    // Handed over, or left behind because nobody waited yet.
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

/// The task that the dead had claimed is run by the other one.
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

/// Publishes what the dead had claimed, or had not published yet.
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

/// A start that the dead has taken and not made is allowed anew, and the other one makes it. The token is somebody's all
/// the time.
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
        // The only start is made: who has come second would sleep for ever.
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
