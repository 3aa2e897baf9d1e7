//! sysmon: the thread that takes tokens back from blocked workers, independently of the event loop.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::sysmon;

use crate::os::threads::{self, ThreadError};

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

/// Starts the thread, which adds to the findings of an earlier one. The eventfd is written when a
/// worker is wanted.
///
/// # Errors
/// No thread can be started.
pub(crate) fn start(
    segment: &Arc<Segment>,
    doorbell: OwnedFd,
    findings: Arc<Findings>,
) -> Result<Handle, ThreadError> {
    findings.stop.store(false, Ordering::SeqCst);
    let (shared_findings, own_segment) = (Arc::clone(&findings), Arc::clone(segment));
    let thread =
        threads::start("sysmon", move || watch(&own_segment, &shared_findings, &doorbell))?;
    Ok(Handle { findings, segment: Arc::clone(segment), thread: Some(thread) })
}

impl Handle {
    /// Stops the thread and waits for it.
    pub(crate) fn stop(&mut self) {
        self.findings.stop.store(true, Ordering::SeqCst);
        self.segment.shared().watch.rouse(&Futex);
        // A panic of the thread has been printed; the run is over all the same.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(segment: &Segment, findings: &Findings, doorbell: &OwnedFd) {
    sysmon::watch(&segment.shared(), &Futex, thread::sleep, |look| {
        findings.retakes.fetch_add(u64::from(look.retakes), Ordering::Relaxed);
        findings.rescues.fetch_add(u64::from(look.rescues), Ordering::Relaxed);
        if look.wants_worker && !findings.wants_worker.swap(true, Ordering::SeqCst) {
            let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
        }
        !findings.stop.load(Ordering::SeqCst)
    });
}
