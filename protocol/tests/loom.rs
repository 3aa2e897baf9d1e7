//! The protocol under loom: every interleaving of its atomics up to a bound on preemptions, with a
//! park that never times out, so that a lost wake is a deadlock. Run with `RUSTFLAGS="--cfg loom"`.

#![cfg(loom)]

use std::time::Duration;

use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use msup_protocol::layout::{Header, Parts, Shared, Sizes};
use msup_protocol::park::Park;
use msup_protocol::seat::{Next, Seat};
use msup_protocol::slot::WorkerSlot;
use msup_protocol::token::{State, TokenWord};
use msup_protocol::warden::Sysmon;

/// A segment on the heap, and the one place where everybody sleeps.
struct World {
    header: Header,
    tokens: Vec<TokenWord>,
    slots: Vec<WorkerSlot>,
    announced: Vec<AtomicU64>,
    parked: Vec<AtomicU64>,
    done: Vec<AtomicU64>,
    words: Vec<AtomicU64>,
    cells: Vec<AtomicU64>,
    bed: Mutex<()>,
    wakes: Condvar,
}

fn header(tokens: usize) -> Header {
    let header = Header::default();
    let sizes = Sizes { tokens: 1, workers: 1, tasks: 1, cell_bytes: 64 };
    header.set_up(sizes, tokens as u32, "model", 0);
    header
}

impl World {
    fn new(tokens: usize, workers: usize) -> Arc<World> {
        let zeros = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        Arc::new(World {
            header: header(tokens),
            tokens: (0..tokens).map(|_| TokenWord::new(State::Idle)).collect(),
            slots: (0..workers).map(|_| WorkerSlot::default()).collect(),
            announced: zeros(1),
            parked: zeros(1),
            done: zeros(1),
            // State 1 is free.
            words: vec![AtomicU64::new(1)],
            cells: zeros(8),
            bed: Mutex::new(()),
            wakes: Condvar::new(),
        })
    }

    fn shared(&self) -> Shared<'_> {
        Shared::new(Parts {
            header: &self.header,
            tokens: &self.tokens,
            slots: &self.slots,
            announced: &self.announced,
            parked: &self.parked,
            done: &self.done,
            words: &self.words,
            cells: &self.cells,
        })
    }

    fn seat(&self, me: u16) -> Seat<'_, &World> {
        Seat::new(self.shared(), me, self).expect("a slot")
    }

    fn assert_all_idle(&self) {
        let census = self.shared().tokens.census();
        assert_eq!(census.idle, census.live, "{census:?}");
    }
}

/// A futex: the value is looked at under the lock that wakes take. No timeout.
impl Park for &World {
    fn wait(&self, word: &AtomicU32, expected: u32, _timeout: Duration) {
        let mut bed = self.bed.lock().expect("no panics");
        while word.load(Ordering::SeqCst) == expected {
            bed = self.wakes.wait(bed).expect("no panics");
        }
    }

    fn wake(&self, _word: &AtomicU32) {
        drop(self.bed.lock().expect("no panics"));
        self.wakes.notify_all();
    }
}

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 100_000;
    builder.check(check);
}

#[test]
fn a_released_token_reaches_who_waits() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || {
            let seat = other.seat(1);
            let held = seat.exit(None);
            seat.release(held).expect("ours");
        });
        world.seat(0).release(held).expect("ours");
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}

#[test]
fn two_who_come_back_share_one_token() {
    model(|| {
        let world = World::new(1, 2);
        let comes_back = |me: u16, world: Arc<World>| {
            let seat = world.seat(me);
            let held = seat.exit(None);
            seat.release(held).expect("ours");
        };
        let other = Arc::clone(&world);
        let second = thread::spawn(move || comes_back(1, other));
        comes_back(0, Arc::clone(&world));
        second.join().expect("no panics");
        world.assert_all_idle();
    });
}

#[test]
fn a_published_task_is_run_by_a_worker_that_parks() {
    model(|| {
        let world = World::new(1, 1);
        let other = Arc::clone(&world);
        let worker = thread::spawn(move || {
            let mut seat = other.seat(0);
            // It sleeps until there is a task: a lost wake is a deadlock.
            let Ok(Next::Run(held, claim)) = seat.next_task(None, &|| false) else {
                panic!("nobody tells it to leave");
            };
            assert!(other.shared().tasks.complete(0, claim));
            seat.release(held).expect("ours");
        });
        let shared = world.shared();
        assert!(shared.tasks.publish(0).is_some());
        shared.pass_on(&&*world, None);
        worker.join().expect("no panics");
        world.assert_all_idle();
    });
}

#[test]
fn a_blocked_token_is_retaken_for_who_waits() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let waiter = thread::spawn(move || {
            let seat = other.seat(1);
            let held = seat.exit(None);
            seat.release(held).expect("ours");
        });
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || {
            // Two looks far apart: what has not changed in between is retaken.
            let mut sysmon = Sysmon::new();
            let _ = sysmon.look(&third.shared(), &&*third, 1);
            let _ = sysmon.look(&third.shared(), &&*third, 1_000_000);
        });
        let seat = world.seat(0);
        let away = seat.enter_lazily(held);
        let held = seat.exit(Some(away));
        seat.release(held).expect("ours");
        sysmon.join().expect("no panics");
        waiter.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// Everything sysmon does until it has retaken a token, asleep whenever it may be.
fn sysmon_until_it_retakes(world: &Arc<World>) {
    let shared = world.shared();
    let mut sysmon = Sysmon::new();
    let mut now_ns = 0;
    loop {
        now_ns += 1_000;
        let look = sysmon.look(&shared, &&**world, now_ns);
        if look.retakes > 0 {
            return;
        }
        if let Some(quiet) = look.quiet {
            shared.watch.lie_down(quiet);
            now_ns += 1_000;
            let again = sysmon.look(&shared, &&**world, now_ns);
            if again.retakes > 0 {
                return;
            }
            if again.quiet == Some(quiet) {
                shared.watch.sleep(&&**world, quiet, Duration::MAX);
            } else {
                shared.watch.get_up();
            }
        }
        // The pause between two looks.
        thread::yield_now();
    }
}

/// A parked worker cannot help itself: only sysmon can bring it the blocked token.
#[test]
fn sysmon_is_kicked_from_every_side() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let parked = thread::spawn(move || {
            let mut seat = other.seat(1);
            let Ok(Next::Run(held, claim)) = seat.next_task(None, &|| false) else {
                panic!("nobody tells it to leave");
            };
            assert!(other.shared().tasks.complete(1, claim));
            seat.release(held).expect("ours");
        });
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

/// A grant is taken back from a worker that is only slow: it must ask again, not sleep on.
#[test]
fn who_was_passed_over_gets_a_token_all_the_same() {
    model(|| {
        let world = World::new(1, 2);
        let held = world.shared().tokens.acquire(0).expect("idle");
        let other = Arc::clone(&world);
        let slow = thread::spawn(move || {
            let seat = other.seat(1);
            let held = seat.exit(None);
            seat.release(held).expect("ours");
        });
        let third = Arc::clone(&world);
        let sysmon = thread::spawn(move || {
            let mut sysmon = Sysmon::new();
            let _ = sysmon.look(&third.shared(), &&*third, 1);
            let _ = sysmon.look(&third.shared(), &&*third, 1_000_000_000);
        });
        let seat = world.seat(0);
        seat.release(held).expect("ours");
        // It may take what was taken back, and must then pass it on to who asked again.
        if let Some(held) = world.shared().tokens.acquire(0) {
            seat.release(held).expect("ours");
        }
        sysmon.join().expect("no panics");
        slow.join().expect("no panics");
        world.assert_all_idle();
    });
}

/// Whoever is told to end gives back what it holds or is granted, although tasks are ready.
#[test]
fn a_worker_that_is_told_to_end_leaves_whatever_is_ready() {
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
        // A grant on the way to a slot that is vacant now is what sysmon is for.
        let _ = world.shared().bury(&&*world, 0);
        world.assert_all_idle();
    });
}

/// How far a worker that holds the token comes before it is killed.
#[derive(Clone, Copy, Debug)]
enum Death {
    Holding,
    Blocked,
    ReleasedNotGranted,
    GrantedNotWoken,
    AnnouncedNotAsleep,
}

fn die(world: &World, how: Death) {
    let shared = world.shared();
    if let Death::AnnouncedNotAsleep = how {
        shared.line.announce(0, 1);
        return;
    }
    let Some(held) = shared.tokens.acquire(0) else { return };
    match how {
        Death::Holding => std::mem::forget(held),
        Death::Blocked => drop(shared.tokens.enter(0, held)),
        Death::ReleasedNotGranted => drop(shared.tokens.release(held)),
        Death::GrantedNotWoken => match shared.taker(Some(0)) {
            Some(to) => assert_eq!(shared.tokens.hand_off(held, to), Ok(true)),
            None => std::mem::forget(held),
        },
        Death::AnnouncedNotAsleep => {}
    }
}

/// One worker dies, the supervisor learns of it from the kernel (the join) and buries it; the other
/// one must get the token although nobody else wakes it. No sysmon: it must not be needed for this.
#[test]
fn the_dead_leave_nothing_that_a_burial_does_not_repair() {
    use Death::{AnnouncedNotAsleep, Blocked, GrantedNotWoken, Holding, ReleasedNotGranted};
    for how in [Holding, Blocked, ReleasedNotGranted, GrantedNotWoken, AnnouncedNotAsleep] {
        model(move || {
            let world = World::new(1, 2);
            let (first, second) = (Arc::clone(&world), Arc::clone(&world));
            let victim = thread::spawn(move || die(&first, how));
            let survivor = thread::spawn(move || {
                let seat = second.seat(1);
                let held = seat.exit(None);
                seat.release(held).expect("ours");
            });
            victim.join().expect("no panics");
            let _reclaimed = world.shared().bury(&&*world, 0);
            survivor.join().expect("no panics");
            // A late grant to the dead is what sysmon is for.
            let mut sysmon = Sysmon::new();
            let _ = sysmon.look(&world.shared(), &&*world, 1);
            world.assert_all_idle();
        });
    }
}
