//! A segment on the heap, workers that are threads, and sleeps that only a wake interrupts.

use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use msup_protocol::layout::{Header, Parts, Shared, Sizes};
use msup_protocol::park::Park;
use msup_protocol::slot::{Status, WorkerSlot};
use msup_protocol::supervisor_side::Sysmon;
use msup_protocol::sync::model::visible_step;
use msup_protocol::sync::{AtomicU32, AtomicU64, Ordering};
use msup_protocol::token::{State, TokenWord};
use msup_protocol::worker_side::{Next, Seat};

/// A segment on the heap, and the one place where all threads sleep.
pub(crate) struct World {
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
    /// The number of sleeps that still return at once, for no reason.
    spurious: std::sync::atomic::AtomicU32,
}

fn header(tokens: usize) -> Header {
    let header = Header::default();
    let sizes = Sizes { tokens: 1, workers: 1, tasks: 1, cell_bytes: 64 };
    header.set_up(sizes, tokens as u32, "model", 0);
    header
}

fn attached() -> WorkerSlot {
    let slot = WorkerSlot::default();
    slot.set_status(Status::Attached);
    slot
}

impl World {
    pub(crate) fn new(tokens: usize, workers: usize) -> Arc<World> {
        let zeros = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        Arc::new(World {
            header: header(tokens),
            tokens: (0..tokens).map(|_| TokenWord::new(State::Idle)).collect(),
            slots: (0..workers).map(|_| attached()).collect(),
            announced: zeros(1),
            parked: zeros(1),
            done: zeros(1),
            // State 1 is free.
            words: vec![AtomicU64::new(1)],
            cells: zeros(8),
            bed: Mutex::new(()),
            wakes: Condvar::new(),
            spurious: std::sync::atomic::AtomicU32::new(0),
        })
    }

    /// A world in which the first few sleeps return for no reason.
    pub(crate) fn restless(tokens: usize, workers: usize) -> Arc<World> {
        let world = World::new(tokens, workers);
        world.spurious.store(2, std::sync::atomic::Ordering::Relaxed);
        world
    }

    pub(crate) fn shared(&self) -> Shared<'_> {
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

    pub(crate) fn seat(&self, me: u16) -> Seat<'_, &World> {
        Seat::new(self.shared(), me, self).expect("a slot")
    }

    pub(crate) fn assert_all_idle(&self) {
        let census = self.shared().tokens.census();
        assert_eq!(census.idle, census.live, "{census:?}");
    }
}

/// A futex: the value is checked under the lock that wakes take. No timeout.
impl Park for &World {
    fn wait(&self, word: &AtomicU32, expected: u32, _timeout: Duration) {
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        if self.spurious.fetch_update(relaxed, relaxed, |left| left.checked_sub(1)).is_ok() {
            return;
        }
        let mut bed = self.bed.lock().expect("no panics");
        while word.load(Ordering::SeqCst) == expected {
            bed = self.wakes.wait(bed).expect("no panics");
        }
    }

    fn wake(&self, _word: &AtomicU32) {
        visible_step();
        drop(self.bed.lock().expect("no panics"));
        self.wakes.notify_all();
    }
}

/// Explores every interleaving.
pub(crate) fn complete_model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.max_branches = 100_000;
    builder.check(check);
}

/// Explores many interleavings: those that loom finds with at most four preemptions, or
/// `LOOM_MAX_PREEMPTIONS`. That is not all of them: loom skips an interleaving if it has seen a
/// similar one, but that one may be beyond the bound.
pub(crate) fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.max_branches = 100_000;
    builder.check(check);
}

/// A worker that comes back from a blocking call, gets a token, and releases it.
pub(crate) fn gets_a_token(world: &Arc<World>, me: u16) {
    let seat = world.seat(me);
    let held = seat.exit(None);
    seat.release(held).expect("ours");
}

/// A parked worker that gets one task.
pub(crate) fn gets_a_task(world: &Arc<World>, me: u16) {
    let mut seat = world.seat(me);
    let Ok(Next::Run(held, claim)) = seat.next_task(None, &|| false) else {
        panic!("it was not told to leave");
    };
    assert!(world.shared().tasks.complete(me, claim));
    seat.release(held).expect("ours");
}

/// Runs sysmon until it has retaken a token, asleep whenever it may be.
pub(crate) fn sysmon_until_it_retakes(world: &Arc<World>) {
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
