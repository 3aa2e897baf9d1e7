//! An epoch: the time in which one segment is in use. It ends with the run, or when somebody has
//! written over the segment.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use msup_protocol::layout::Sizes;
use msup_protocol::segment::{self, Segment};
use rustix::io::{FdFlags, fcntl_setfd};

/// How every epoch of a run is set up.
pub(super) struct Epochs {
    sizes: Sizes,
    procs: u32,
    nofile: u64,
    folder: PathBuf,
    begun: u32,
}

/// What belongs to one epoch.
pub(super) struct Epoch {
    pub(super) segment: Arc<Segment>,
    /// For workers to inherit, who close it in what they execute. This process executes nothing else.
    pub(super) fd: OwnedFd,
    /// Where its payloads go that are too large for the segment. What an earlier epoch left undelivered
    /// keeps its place.
    pub(super) folder: PathBuf,
}

impl Epochs {
    pub(super) fn new(sizes: Sizes, procs: u32, nofile: u64, folder: PathBuf) -> Epochs {
        Epochs { sizes, procs, nofile, folder, begun: 0 }
    }

    /// Begins the next one: a fresh segment, and a fresh folder for its payloads.
    ///
    /// # Errors
    /// One line that says why it cannot.
    pub(super) fn begin(&mut self) -> Result<Epoch, String> {
        let release = env!("CARGO_PKG_VERSION");
        let (segment, fd) = segment::create(self.sizes, self.procs, release, self.nofile)
            .map_err(|why| why.to_string())?;
        fcntl_setfd(&fd, FdFlags::empty())
            .map_err(|errno| format!("descriptors for workers: {errno}"))?;
        self.begun += 1;
        let folder = self.folder.join(self.begun.to_string());
        std::fs::create_dir(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        Ok(Epoch { segment: Arc::new(segment), fd, folder })
    }
}
