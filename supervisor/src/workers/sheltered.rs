//! Children that are no workers and are not swept: the command of `--limit`.

use super::processes::Crew;

impl Crew {
    /// This child is no worker, and is left alone until it has exited.
    pub(crate) fn shelter(&mut self, pid: i32) {
        self.pids.insert(pid);
    }

    /// It has exited.
    pub(crate) fn unshelter(&mut self, pid: i32) {
        self.pids.remove(&pid);
    }
}
