//! Epochs: an epoch is the time in which one segment is in use. It ends with the run, or when the
//! segment was overwritten; then a new segment is made.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use msup_protocol::audit::{Audit, Violation};
use msup_protocol::layout::{Layout, Sizes};
use msup_protocol::segment::{self, Segment};
use rustix::io::{FdFlags, fcntl_setfd};

use super::Run;
use crate::engine::{Effect, Event};
use crate::os::limits;
use crate::os::run_folder;
use crate::sysmon;

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
    /// One line that says why it cannot.
    pub(super) fn begin(&mut self) -> Result<Epoch, String> {
        let release = env!("CARGO_PKG_VERSION");
        let made = limits::with_hard_file_limit(|| {
            segment::create(self.sizes, self.procs, release, self.nofile)
        });
        let (segment, fd) = made.map_err(|why| match limits::file_size() {
            limit if limit < self.wanted => {
                format!("{why}: the limit on file sizes is {limit} bytes (ulimit -f): ask for fewer workers (-j 1)")
            }
            _ => why.to_string(),
        })?;
        if self.leaves {
            segment.shared().header.leave_processes();
        }
        fcntl_setfd(&fd, FdFlags::empty())
            .map_err(|errno| format!("descriptors for workers: {errno}"))?;
        self.begun += 1;
        let folder = self.folder.join(self.begun.to_string());
        let made = run_folder::create_folder(&folder);
        made.map_err(|why| run_folder::describe(&folder, &why).to_string())?;
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
        self.audit.look(&self.segment.shared(), is_occupied)
    }

    /// The segment cannot be trusted any more. All workers are killed, and the run continues with a
    /// fresh one; tasks that were under way run again.
    pub(super) fn begin_anew(&mut self, violation: &Violation, effects: &mut Vec<Effect>) {
        self.sysmon.stop();
        self.crew.end_all();
        let now = self.began.elapsed();
        let begun = self.epochs.begin().and_then(|epoch| {
            let doorbell = self.doorbell.try_clone().map_err(|why| format!("eventfd: {why}"))?;
            let findings = Arc::clone(&self.sysmon.findings);
            self.sysmon = sysmon::start(&epoch.segment, doorbell, findings)?;
            self.queue.renew(Arc::clone(&epoch.segment), epoch.folder.clone());
            self.crew.renew(Arc::clone(&epoch.segment), epoch.fd, epoch.folder);
            self.audit = Audit::new(&epoch.segment.shared());
            if let Some(meter) = &mut self.meter {
                meter.lost_all();
            }
            self.attempts.forget();
            self.stopping.forget();
            self.segment = epoch.segment;
            Ok(())
        });
        if let Some(commits) = &mut self.commits {
            // Those that have succeeded are not run again.
            let mut ended = Vec::new();
            commits.settle(&self.engine, &mut self.books, &mut ended);
            for event in ended {
                self.engine.step(event, now, effects);
            }
            commits.forget_all();
        }
        // A run that has finished needs no other segment.
        let failed = begun.err().filter(|_| !self.finished);
        let why = violation.to_string();
        let unstarted = self.books.unstarted(&self.engine);
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
