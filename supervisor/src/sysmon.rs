//! sysmon: the thread that takes tokens back from blocked workers, whatever the event loop is doing.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::sync::now_ns;
use msup_protocol::warden::Sysmon;

/// Go's numbers: it starts with 20 µs, and after 50 looks that changed nothing doubles up to 10 ms.
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(10);
const LOOKS_BEFORE_BACKOFF: u32 = 50;

/// It looks up after this long even if nobody kicks it: a belt, never relied on.
const SLEEP_AT_MOST: Duration = Duration::from_millis(100);

/// What it shares with the event loop.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) retakes: AtomicU64,
    pub(crate) rescues: AtomicU64,
    /// A ready task and a free or blocked token, but no worker: the event loop may start one.
    pub(crate) wants_worker: AtomicBool,
    stop: AtomicBool,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) findings: Arc<Findings>,
    segment: Arc<Segment>,
    thread: Option<JoinHandle<()>>,
}

/// Starts it. The eventfd is written when a worker is wanted.
pub(crate) fn start(segment: &Arc<Segment>, doorbell: OwnedFd) -> Handle {
    let findings = Arc::new(Findings::default());
    let (shared_findings, own_segment) = (Arc::clone(&findings), Arc::clone(segment));
    let thread = thread::spawn(move || watch(&own_segment, &shared_findings, &doorbell));
    Handle { findings, segment: Arc::clone(segment), thread: Some(thread) }
}

impl Handle {
    /// Ends it and waits for its end.
    pub(crate) fn stop(&mut self) {
        self.findings.stop.store(true, Ordering::SeqCst);
        self.segment.shared().watch.rouse(&Futex);
        // A panic of the thread has been printed; the run is over all the same.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(segment: &Segment, findings: &Findings, doorbell: &OwnedFd) {
    let shared = segment.shared();
    let mut sysmon = Sysmon::new();
    let (mut pause, mut useless) = (SHORTEST, 0);
    while !findings.stop.load(Ordering::SeqCst) {
        let look = sysmon.look(&shared, &Futex, now_ns());
        findings.retakes.fetch_add(u64::from(look.retakes), Ordering::Relaxed);
        findings.rescues.fetch_add(u64::from(look.rescues), Ordering::Relaxed);
        if look.wants_worker && !findings.wants_worker.swap(true, Ordering::SeqCst) {
            let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
        }
        if let Some(quiet) = look.quiet {
            shared.watch.lie_down(quiet);
            // Once more, now that everybody can see that it is about to sleep.
            let again = sysmon.look(&shared, &Futex, now_ns());
            findings.retakes.fetch_add(u64::from(again.retakes), Ordering::Relaxed);
            findings.rescues.fetch_add(u64::from(again.rescues), Ordering::Relaxed);
            if again.quiet == Some(quiet) && !findings.stop.load(Ordering::SeqCst) {
                shared.watch.sleep(&Futex, quiet, SLEEP_AT_MOST);
            } else {
                shared.watch.get_up();
            }
            (pause, useless) = (SHORTEST, 0);
            continue;
        }
        if look.was_useful() {
            (pause, useless) = (SHORTEST, 0);
        } else {
            useless += 1;
            if useless > LOOKS_BEFORE_BACKOFF {
                pause = (pause * 2).min(LONGEST);
            }
        }
        thread::sleep(pause);
    }
}
