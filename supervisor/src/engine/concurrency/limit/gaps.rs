//! Commands that hardly ever wait leave gaps when they do. By what they are seen to do they cannot
//! be told from those that never wait and have a CPU taken away by somebody else; by the CPUs they
//! can: in a gap those idle.

use std::time::Duration;

/// Idle CPUs by this part, over two looks, are gaps. Between two commands that only compute there
/// is less: 1 % was seen, and the kernel counts in hundredths of a second. As long as there is but
/// one for each token it must be plain.
const IDLE: f64 = 0.02;
const PLAIN: f64 = 0.035;

/// More than so many per token never fill gaps: it is something else.
const AT_MOST: f64 = 2.0;

/// How long the gaps are kept filled before it is seen whether there still are any: half of the
/// first time, and at most.
const KEPT: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// How many it takes to fill the gaps.
#[derive(Debug)]
pub(super) struct Gaps {
    /// At least so many must be in flight, for so long.
    filled_by: f64,
    left: Duration,
    kept: Duration,
    /// What the last look told. The first one tells of what was before.
    looked: Option<f64>,
    has_looked: bool,
}

impl Default for Gaps {
    fn default() -> Gaps {
        Gaps {
            filled_by: 0.0,
            left: Duration::ZERO,
            kept: KEPT[0],
            looked: None,
            has_looked: false,
        }
    }
}

impl Gaps {
    /// Takes in a window at whose end so many are in flight, and the part of the CPUs that idled
    /// lately, where that was looked at. How many there must be.
    pub(super) fn at_least(
        &mut self,
        span: Duration,
        in_flight: f64,
        procs: f64,
        idle: Option<f64>,
    ) -> f64 {
        self.left = self.left.saturating_sub(span);
        if self.left.is_zero() {
            self.filled_by = 0.0;
        }
        let Some(idle) = idle else { return self.filled_by };
        if !std::mem::replace(&mut self.has_looked, true) {
            return self.filled_by;
        }
        let Some(before) = self.looked.replace(idle) else { return self.filled_by };
        let least = if in_flight <= procs { PLAIN } else { IDLE };
        if (before + idle) / 2.0 >= least && in_flight < AT_MOST * procs {
            // What was seen was seen with fewer.
            self.looked = None;
            if self.filled_by == 0.0 {
                self.kept = (self.kept * 2).min(KEPT[1]);
            }
            self.filled_by = in_flight + 1.0;
            self.left = self.kept;
        }
        self.filled_by
    }

    /// They wait so much that it shows: there is a better way to find out how many it takes.
    pub(super) fn forget(&mut self) {
        *self = Gaps::default();
    }
}
