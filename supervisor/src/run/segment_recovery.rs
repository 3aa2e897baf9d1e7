//! Epochs: an epoch is the time in which one segment is in use. When the segment was overwritten, a
//! new one is made, and the next epoch begins.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use msup_protocol::audit::{Audit, Violation};
use msup_protocol::layout::{Layout, Shared, Sizes};
use msup_protocol::segment::{self, Segment};
use msup_protocol::token::Census;
use rustix::io::{FdFlags, fcntl_setfd};

use super::Run;
use super::error::RunError;
use crate::engine::{Effect, Event};
use crate::os::limits;
use crate::os::run_folder::{self, RunFolder};
use crate::sysmon::{self, Findings};

/// The segment in use, and what watches over it.
pub(super) struct Segments {
    segment: Arc<Segment>,
    sysmon: sysmon::Handle,
    audit: Audit,
    epochs: Epochs,
    /// Last, so that it is removed after everything that writes to it.
    folder: RunFolder,
}

impl Segments {
    /// Watches over the segment of the first epoch.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn watch(
        epochs: Epochs,
        segment: Arc<Segment>,
        folder: RunFolder,
        doorbell: OwnedFd,
    ) -> Result<Segments, RunError> {
        let sysmon = sysmon::start(&segment, doorbell, Arc::default())?;
        let audit = Audit::new(&segment.shared());
        Ok(Segments { segment, sysmon, audit, epochs, folder })
    }

    /// The run's temporary folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The segment in use.
    pub(super) fn current(&self) -> &Segment {
        &self.segment
    }

    pub(super) fn shared(&self) -> Shared<'_> {
        self.segment.shared()
    }

    /// What sysmon has found since the run began.
    pub(super) fn findings(&self) -> &Findings {
        &self.sysmon.findings
    }

    /// Whether sysmon wants a worker for a ready task.
    pub(super) fn wants_worker(&self) -> bool {
        self.sysmon.findings.wants_worker.load(Ordering::SeqCst)
    }

    /// The loop looks at everything: what sysmon wanted is seen.
    pub(super) fn note_look(&self) {
        self.sysmon.findings.wants_worker.store(false, Ordering::SeqCst);
    }

    /// Stops sysmon.
    pub(super) fn stop(&mut self) {
        self.sysmon.stop();
    }

    /// The tokens as the last audit saw them.
    pub(super) fn census(&self) -> Census {
        self.audit.census()
    }

    /// Makes the segment of the next epoch and watches over it. Returns the epoch, for all others
    /// that use the segment.
    fn renew(&mut self, doorbell: OwnedFd) -> Result<Epoch, RunError> {
        let epoch = self.epochs.begin()?;
        let findings = Arc::clone(&self.sysmon.findings);
        self.sysmon = sysmon::start(&epoch.segment, doorbell, findings)?;
        self.audit = Audit::new(&epoch.segment.shared());
        self.segment = Arc::clone(&epoch.segment);
        Ok(epoch)
    }
}

/// How every epoch of a run is set up.
pub(super) struct Epochs {
    sizes: Sizes,
    /// The size of the segment without a limit, in bytes.
    wanted: u64,
    procs: u32,
    nofile: u64,
    folder: PathBuf,
    /// Workers do not wait for what commands leave running.
    leaves: bool,
    begun: u32,
}

/// What belongs to one epoch.
pub(super) struct Epoch {
    pub(super) segment: Arc<Segment>,
    /// For workers to inherit, which close it in what they execute. This process executes nothing
    /// else.
    pub(super) fd: OwnedFd,
    /// The folder of its payloads that are too large for the segment. What an earlier epoch left
    /// undelivered stays in its folder.
    pub(super) folder: PathBuf,
}

/// Cells are made no smaller than this: a short command still fits.
const LEAST_CELL: u32 = 512;

/// These sizes, or smaller ones that fit into `bytes`: fewer tasks lie ready, and larger ones go
/// into files.
fn fitting(mut sizes: Sizes, bytes: u64) -> Sizes {
    while total(sizes) > bytes {
        if sizes.cell_bytes > LEAST_CELL {
            sizes.cell_bytes /= 2;
        } else if sizes.tasks > sizes.workers {
            sizes.tasks = (sizes.tasks / 2).max(sizes.workers);
        } else {
            break;
        }
    }
    sizes
}

fn total(sizes: Sizes) -> u64 {
    Layout::of(sizes).map_or(0, |layout| layout.total as u64)
}

impl Epochs {
    pub(super) fn new(
        sizes: Sizes,
        procs: u32,
        nofile: u64,
        folder: PathBuf,
        leaves: bool,
    ) -> Epochs {
        let wanted = total(sizes);
        let sizes = fitting(sizes, limits::file_size());
        Epochs { sizes, wanted, procs, nofile, folder, leaves, begun: 0 }
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Begins the next one: a fresh segment, and a fresh folder for its payloads.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) fn begin(&mut self) -> Result<Epoch, RunError> {
        let release = env!("CARGO_PKG_VERSION");
        let made = limits::with_hard_file_limit(|| {
            segment::create(self.sizes, self.procs, release, self.nofile)
        });
        let (segment, fd) = made.map_err(|why| match limits::file_size() {
            limit if limit < self.wanted => RunError::SmallSegment { why, limit },
            _ => RunError::Segment(why),
        })?;
        if self.leaves {
            segment.shared().header.leave_processes();
        }
        fcntl_setfd(&fd, FdFlags::empty()).map_err(RunError::of("descriptors for workers"))?;
        self.begun += 1;
        let folder = self.folder.join(self.begun.to_string());
        let made = run_folder::create_folder(&folder);
        made.map_err(|why| RunError::Folder(run_folder::describe(&folder, &why)))?;
        Ok(Epoch { segment: Arc::new(segment), fd, folder })
    }
}

impl Run {
    /// Whether the words in the segment and the engine's table agree.
    pub(super) fn audit(&mut self) -> Result<(), Violation> {
        self.queue.violation.take().map_or(Ok(()), Err)?;
        let engine = &self.engine;
        let commits = self.commits.as_ref();
        let is_collected = |slot| commits.is_some_and(|commits| commits.is_under_way(slot));
        let is_occupied = |slot| engine.task(slot).is_some() && !is_collected(slot);
        let Segments { segment, audit, .. } = &mut self.segments;
        audit.look(&segment.shared(), is_occupied)
    }

    /// The segment cannot be trusted any more. All workers are killed, and the run continues with a
    /// fresh one; tasks that were under way run again.
    pub(super) fn begin_anew(&mut self, violation: &Violation, effects: &mut Vec<Effect>) {
        self.segments.stop();
        self.crew.end_all();
        let now = self.clock.now();
        let begun = self.wakeups.doorbell().and_then(|doorbell| self.segments.renew(doorbell));
        let begun = begun.map(|Epoch { segment, fd, folder }| {
            self.queue.renew(Arc::clone(&segment), folder.clone());
            self.crew.renew(segment, fd, folder);
            self.usage.lost_all();
            self.watch.forget();
        });
        if let Some(commits) = &mut self.commits {
            // Those that have succeeded are not run again.
            let mut placed = Vec::new();
            commits.settle(&self.engine, &mut self.log, &mut placed);
            for event in placed {
                self.engine.step(event, now, effects);
            }
            commits.forget_all();
        }
        // A run that has finished needs no other segment.
        let failed = begun.err().filter(|_| !self.finished).map(|why| why.to_string());
        let why = violation.to_string();
        let unstarted = self.log.unstarted(&self.engine);
        self.engine.step(Event::EpochEnded { why, failed, unstarted }, now, effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_fits_a_low_limit_on_file_sizes() {
        let sizes = |workers| Sizes { tokens: 6, workers, tasks: 256, cell_bytes: 4096 };
        assert_eq!(fitting(sizes(200), u64::MAX), sizes(200));
        for (workers, bytes) in [(1, 4096), (2, 4096), (6, 8192), (200, 1 << 20)] {
            let fitting = fitting(sizes(workers), bytes);
            assert!(total(fitting) <= bytes, "{fitting:?}: {} bytes", total(fitting));
            assert!(fitting.tasks >= workers);
        }
    }
}
