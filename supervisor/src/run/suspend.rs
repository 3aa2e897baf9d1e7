//! Ctrl-Z (SIGTSTP): everything stands still, the clocks of timeouts too, until SIGCONT.

use super::Run;
use crate::os::freeze::stand_still;

impl Run {
    /// Returns when somebody has let the run go on. Should this process be killed meanwhile, the kernel lets
    /// those that stand still go on, and tells workers that they are alone.
    pub(super) fn pause(&mut self) {
        self.books.flush();
        let frozen = self.crew.freeze();
        if self.progress.has_bar() {
            // Where it stood the shell prints its prompt.
            self.output.hide();
        }
        let pause = stand_still();
        self.output.unhide();
        // Before anybody else can look at a clock.
        self.leave_out(pause);
        self.last_turn = std::time::Instant::now();
        frozen.thaw();
    }
}
