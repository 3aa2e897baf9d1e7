//! Values that a run has not read when it is stopped. Where they cannot be read a second time, they
//! are kept with the run: a file is read to its end, a pipe for 300 ms. A second signal cuts this
//! short.

use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use super::Run;
use crate::engine::Effect;
use crate::input::Group;

/// How long a pipe is read after the stop, which delays the exit. What was written to it has
/// arrived by then.
const PIPE_WITHIN: Duration = Duration::from_millis(300);

/// If a pipe was closed later than this time before the stop, the same signal may have killed its
/// writer: the list may be cut off.
const TOGETHER: Duration = Duration::from_secs(1);

/// The number of groups of values taken in one turn of the loop: what is kept is written in
/// between.
const GROUPS_PER_TURN: usize = 64;

/// The state of reading on.
#[derive(Debug)]
pub(super) struct ReadingOn {
    /// The values can be read to their end without waiting for another process.
    all_there: bool,
    /// Since when the run has been stopped.
    since: Option<Instant>,
    /// A signal to stop has arrived.
    is_signalled: bool,
    over: bool,
    /// More may lie ready: no wake-up comes for that.
    pub(super) has_more: bool,
}

impl ReadingOn {
    pub(super) fn new(all_there: bool) -> ReadingOn {
        ReadingOn { all_there, since: None, is_signalled: false, over: false, has_more: false }
    }

    /// This number of signals to stop has arrived. The first one after the stop ends the reading.
    pub(super) fn heard(&mut self, signals: usize) {
        let at_most = if self.since.is_some() { 0 } else { 1 };
        self.over |= signals > at_most;
        self.is_signalled |= signals > 0;
    }

    fn goes_on(&self) -> bool {
        let in_time = |since: Instant| self.all_there || since.elapsed() < PIPE_WITHIN;
        !self.over && self.since.is_none_or(in_time)
    }

    /// Whether the list ended before it could have been cut off by what has stopped the run.
    fn is_end(&self, found: Instant) -> bool {
        let is_whole = self.all_there || !self.is_signalled;
        is_whole || self.since.is_some_and(|since| found + TOGETHER < since)
    }
}

impl Run {
    /// Whether the run is over except for values that are still to be kept.
    pub(super) fn reads_on(&self) -> bool {
        self.engine.is_unread()
            && self.log.keeps_values()
            && self.log.is_sound()
            && self.inputs.reading_on.goes_on()
    }

    /// Keeps the values that were unread when the run was stopped. None of them is run.
    pub(super) fn read_on(&mut self, effects: &mut Vec<Effect>) {
        self.inputs.reading_on.has_more = false;
        if !self.reads_on() {
            return;
        }
        self.inputs.reading_on.since.get_or_insert_with(Instant::now);
        for _ in 0..GROUPS_PER_TURN {
            let event = match self.inputs.reader.try_recv() {
                Ok(Group::Values(values)) => self.describe(values),
                Ok(Group::End(found)) => {
                    self.inputs.reading_on.over = true;
                    if !self.inputs.reading_on.is_end(found) {
                        return;
                    }
                    self.end_of_list(effects)
                }
                Ok(Group::Hint(text)) => {
                    self.shown.say(&text);
                    continue;
                }
                Err(TryRecvError::Empty) => return,
                // Only values that were kept before can be damaged.
                Ok(Group::Missing(_) | Group::Orders(_)) => continue,
                Ok(Group::Failed(why)) => {
                    self.inputs.reading_on.over = true;
                    self.shown.say(&why);
                    return;
                }
                Err(TryRecvError::Disconnected) => {
                    self.inputs.reading_on.over = true;
                    return;
                }
            };
            self.engine.step(event, self.clock.now(), effects);
        }
        self.inputs.reading_on.has_more = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_after_the_one_that_stopped_the_run_gives_up() {
        let mut reading = ReadingOn::new(true);
        reading.heard(1);
        assert!(reading.goes_on());
        reading.since = Some(Instant::now());
        reading.heard(0);
        assert!(reading.goes_on());
        reading.heard(1);
        assert!(!reading.goes_on());
        let mut both_at_once = ReadingOn::new(true);
        both_at_once.heard(2);
        assert!(!both_at_once.goes_on());
    }

    #[test]
    fn the_end_of_a_pipe_counts_only_long_before_the_stop() {
        let now = Instant::now();
        let mut pipe = ReadingOn::new(false);
        pipe.since = Some(now + 2 * TOGETHER);
        assert!(pipe.is_end(now + TOGETHER), "no signal has stopped the run");
        pipe.heard(1);
        assert!(pipe.is_end(now));
        assert!(!pipe.is_end(now + TOGETHER));
        let mut file = ReadingOn::new(true);
        file.since = Some(now);
        assert!(file.is_end(now + TOGETHER));
    }
}
