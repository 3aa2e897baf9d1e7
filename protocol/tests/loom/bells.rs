//! The bell: whatever is written before a worker rings, the supervisor sees before it sleeps for
//! good.

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use msup_protocol::bell::{Bell, Signal, Wants};
use msup_protocol::sync::AtomicU64;
use msup_protocol::sync::model::{killed_after, visible_step};

use crate::world::model;

/// An eventfd of the model.
#[derive(Default)]
struct Eventfd {
    is_sent: Mutex<bool>,
    sent: Condvar,
}

impl Signal for &Eventfd {
    fn send(&self) {
        visible_step();
        *self.is_sent.lock().expect("no panics") = true;
        self.sent.notify_one();
    }

    fn clear(&self) {
        *self.is_sent.lock().expect("no panics") = false;
    }
}

impl Eventfd {
    /// The supervisor's sleep: it has no other end.
    fn wait(&self) {
        let mut is_sent = self.is_sent.lock().expect("no panics");
        while !*is_sent {
            is_sent = self.sent.wait(is_sent).expect("no panics");
        }
    }
}

#[derive(Default)]
struct Place {
    word: AtomicU64,
    eventfd: Eventfd,
    /// What workers have completed; each step is news.
    done: AtomicU32,
}

impl Place {
    fn bell(&self) -> Bell<'_, &Eventfd> {
        Bell::new(&self.word, &self.eventfd)
    }

    /// A worker that completes this number of tasks.
    fn works(&self, tasks: u32) {
        let bell = self.bell();
        for _ in 0..tasks {
            self.done.fetch_add(1, Ordering::SeqCst);
            bell.ring_for(0);
        }
    }

    /// Collects until this number of tasks is done, and sleeps whenever there is no news.
    fn collects(&self, tasks: u32) {
        let bell = self.bell();
        let mut seen = 0;
        loop {
            // A read-modify-write: loom's loads may miss the latest value.
            let done = || self.done.fetch_add(0, Ordering::SeqCst);
            seen = done().max(seen);
            if seen == tasks {
                return;
            }
            bell.arm(Wants::Each);
            if done() == seen {
                self.eventfd.wait();
            }
            bell.disarm();
        }
    }
}

#[test]
fn the_supervisor_hears_of_every_task() {
    model(|| {
        let place = Arc::new(Place::default());
        let other = Arc::clone(&place);
        let worker = thread::spawn(move || other.works(3));
        place.collects(3);
        worker.join().expect("no panics");
    });
}

#[test]
fn the_supervisor_hears_of_every_task_of_two_workers() {
    model(|| {
        let place = Arc::new(Place::default());
        let workers = [2, 1].map(|tasks| {
            let other = Arc::clone(&place);
            thread::spawn(move || other.works(tasks))
        });
        place.collects(3);
        workers.into_iter().for_each(|worker| worker.join().expect("no panics"));
    });
}

/// The reap wakes the supervisor, too, as when a child has exited; the other worker rings for
/// itself.
#[test]
fn a_worker_that_is_killed_before_it_rings_silences_no_other() {
    for writes in 0..2 {
        model(move || {
            let place = Arc::new(Place::default());
            let other = Arc::clone(&place);
            let killed = thread::spawn(move || {
                let _ = killed_after(writes, || other.bell().ring_for(0));
            });
            let other = Arc::clone(&place);
            let worker = thread::spawn(move || other.works(2));
            place.collects(2);
            for thread in [killed, worker] {
                thread.join().expect("no panics");
            }
        });
    }
}
