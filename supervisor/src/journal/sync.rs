//! A thread that syncs what was written, so that it survives a power cut: the event loop never
//! waits for a disk.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::syncfs;

use crate::os::threads::{self, ThreadError};

/// What a run may lose of its journal; tasks whose end is lost run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nothing when msup is killed; anything when the power is cut.
    Process,
    /// About the last second when the power is cut.
    Batch,
    /// Each record is on its way to the disk as soon as it is written.
    Task,
}

/// How long records are gathered.
const GATHER: Duration = Duration::from_secs(1);

/// The thread, if there is one.
#[derive(Debug)]
pub(crate) struct Sync {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    dirty: bool,
    ends: bool,
    failed: Option<String>,
    /// The results of tasks are on the file system of this file: what the journal says of them must
    /// not be on the disk before them.
    results: Option<Arc<File>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No thread panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sync {
    /// Syncs these files, in this order. It writes to the eventfd when it fails.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        files: Vec<File>,
        durability: Durability,
        doorbell: OwnedFd,
    ) -> Result<Sync, ThreadError> {
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), changed: Condvar::new() });
        let gather = match durability {
            Durability::Process => return Ok(Sync { shared, thread: None }),
            Durability::Batch => GATHER,
            Durability::Task => Duration::ZERO,
        };
        let of_thread = Arc::clone(&shared);
        let thread = threads::start("journal", move || of_thread.run(&files, gather, &doorbell))?;
        Ok(Sync { shared, thread: Some(thread) })
    }

    /// Syncs nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Sync {
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        Sync { shared: Arc::new(Shared { state, changed }), thread: None }
    }

    /// From here on, the file system of this file is synced before the others.
    pub(super) fn results_are_on(&self, file: File) {
        self.shared.lock().results = Some(Arc::new(file));
    }

    /// Something was written.
    pub(super) fn written(&self) {
        if self.thread.is_some() && !std::mem::replace(&mut self.shared.lock().dirty, true) {
            self.shared.changed.notify_one();
        }
    }

    /// The error after which the journal cannot be relied on, if there was one.
    pub(super) fn failed(&self) -> Option<String> {
        self.shared.lock().failed.clone()
    }

    /// Returns when everything is synced, or cannot be.
    pub(super) fn finish(&mut self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, files: &[File], gather: Duration, doorbell: &OwnedFd) {
        loop {
            let state = self.lock();
            let wait = |state| {
                self.changed.wait_while(state, |state: &mut State| !state.dirty && !state.ends)
            };
            let state = wait(state).unwrap_or_else(PoisonError::into_inner);
            let timeout = self.changed.wait_timeout_while(state, gather, |state| !state.ends);
            let (mut state, _) = timeout.unwrap_or_else(PoisonError::into_inner);
            let ends = state.ends;
            if !std::mem::take(&mut state.dirty) {
                return;
            }
            let results = state.results.clone();
            drop(state);
            let of_results = results.and_then(|file| syncfs(&*file).err()).map(io::Error::from);
            // Never retried: the kernel reports an error once, and forgets what it could not write.
            let synced = || files.iter().find_map(|file| file.sync_data().err());
            if let Some(why) = of_results.or_else(synced) {
                self.lock().failed = Some(why.to_string());
                let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
                return;
            }
            if ends {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doorbell() -> OwnedFd {
        rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).expect("an eventfd")
    }

    #[test]
    fn it_ends_when_everything_is_safe() {
        let file = tempfile::tempfile().expect("a file");
        for durability in [Durability::Process, Durability::Batch, Durability::Task] {
            let mut sync =
                Sync::start(vec![file.try_clone().expect("a descriptor")], durability, doorbell())
                    .expect("a thread");
            sync.written();
            sync.finish();
            assert_eq!(sync.failed(), None);
        }
    }

    #[test]
    fn the_file_system_of_results_is_synced_first() {
        let (file, place) = (tempfile::tempfile().expect("a file"), tempfile::tempdir());
        let folder = File::open(place.expect("a folder").path()).expect("there");
        let mut sync = Sync::start(vec![file], Durability::Task, doorbell()).expect("a thread");
        sync.results_are_on(folder);
        sync.written();
        sync.finish();
        assert_eq!(sync.failed(), None);
        // A descriptor that cannot be synced: EBADF.
        let path = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
        let file = tempfile::tempfile().expect("a file");
        let mut sync = Sync::start(vec![file], Durability::Task, doorbell()).expect("a thread");
        sync.results_are_on(File::from(path.expect("there")));
        sync.written();
        sync.finish();
        assert!(sync.failed().is_some());
    }

    #[test]
    fn a_failure_is_told_and_not_tried_again() {
        let (_reader, pipe) = rustix::pipe::pipe().expect("a pipe");
        let bell = doorbell();
        let heard = bell.try_clone().expect("a descriptor");
        // A pipe cannot be synced: EINVAL.
        let mut sync =
            Sync::start(vec![File::from(pipe)], Durability::Task, bell).expect("a thread");
        sync.written();
        sync.finish();
        assert!(sync.failed().is_some());
        assert!(rustix::io::read(&heard, &mut [0; 8]).is_ok());
    }
}
