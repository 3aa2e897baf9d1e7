//! The light side and the heavy side of `barrier`: one of the two sees the other's store.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use msup_protocol::barrier::{LightSide, heavy_side};

use crate::world::complete_model;

#[test]
fn one_of_the_two_sides_sees_the_other() {
    complete_model(|| {
        let words = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let other = Arc::clone(&words);
        let light = thread::spawn(move || {
            other.0.store(1, Ordering::Release);
            // With its own fence: membarrier does no more than that to a running process.
            LightSide::new(false).pass();
            other.1.load(Ordering::Acquire)
        });
        words.1.store(1, Ordering::Release);
        heavy_side();
        let heavy = words.0.load(Ordering::Acquire);
        assert!(light.join().expect("no panics") + heavy > 0, "both have missed the other");
    });
}
