//! Ctrl-Z (SIGTSTP): everything stands still, including the clocks of timeouts, until SIGCONT.

use super::Run;
use crate::os::freeze::stand_still;

impl Run {
    /// Returns when SIGCONT has arrived. If this process is killed meanwhile, the kernel resumes
    /// the stopped processes, and tells workers that their supervisor is gone.
    pub(super) fn pause(&mut self) {
        self.log.flush();
        let frozen = self.crew.freeze();
        if self.reports.progress.has_bar() {
            // The shell prints its prompt where the bar was.
            self.shown.output.hide();
        }
        let pause = stand_still();
        self.shown.output.unhide();
        // Before any other process can look at a clock.
        self.leave_out(pause);
        self.clock.resume();
        frozen.thaw();
    }
}
