//! Lowers the target slowly, so that lowering it costs no CPU time.
//!
//! Commands that a server has refused sleep, and keep their places; the others finish. If starts
//! stopped until the lower target is reached, mostly sleeping commands would remain, and CPUs would
//! idle. So places are removed only as fast as waking commands fill the gaps: just before they wake
//! where that time is known; otherwise over several of the commands' cycles.

use std::time::Duration;

/// Lowering takes this number of cycles. `CYCLES_REFUSED`: when a server has refused some commands
/// and their wake times are unknown. Commands refused together wake together, and each removed
/// place waits for that.
const CYCLES: f64 = 4.0;
const CYCLES_REFUSED: f64 = 12.0;
/// Where wake times are known, this share of the waking commands is expected to find a place: not
/// all wake when expected. When none was expected for `NONE_FOR` cycles, wake times count as
/// unknown.
const COME: f64 = 0.5;
const NONE_FOR: f64 = 12.0;

/// The way from one target to a lower one.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Easing {
    from: f64,
    at: f64,
    /// The number of cycles for which no command has been about to wake.
    none_for: f64,
}

impl Easing {
    pub(in crate::engine) fn from(at: f64) -> Easing {
        Easing { from: at, at, none_for: 0.0 }
    }

    /// The number of commands that may be in flight.
    pub(in crate::engine) fn at_most(&self) -> f64 {
        self.at
    }

    /// Moves towards `target` for the time `span`. A `cycle` is the time from one computing phase
    /// of a command to its next. `waking`: the number of refused commands that are about to wake,
    /// if known. Returns whether the target is reached.
    pub(in crate::engine) fn go_on(
        &mut self,
        target: f64,
        span: Duration,
        cycle: Duration,
        some_refused: bool,
        waking: Option<u32>,
    ) -> bool {
        let cycles = span.as_secs_f64() / cycle.as_secs_f64().max(1e-3);
        let way = (self.from - target) * cycles;
        self.none_for = if waking > Some(0) { 0.0 } else { self.none_for + cycles };
        let fewer = match waking {
            _ if !some_refused => way / CYCLES,
            Some(waking) if self.none_for < NONE_FOR => (f64::from(waking) * COME).ceil(),
            _ => way / CYCLES_REFUSED,
        };
        self.at = (self.at - fewer).max(target);
        self.at <= target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_millis(40);

    #[test]
    fn it_takes_some_cycles() {
        let cycle = Duration::from_millis(1000);
        let takes = |some_refused, waking| {
            let mut easing = Easing::from(32.0);
            (1..)
                .find(|_| easing.go_on(8.0, SPAN, cycle, some_refused, waking))
                .expect("it gets there")
        };
        assert!((100..=101).contains(&takes(false, None)));
        assert!((100..=101).contains(&takes(false, Some(1))), "none was refused");
        assert!((300..=301).contains(&takes(true, None)));
        assert!((599..=601).contains(&takes(true, Some(0))), "none comes");
        let mut easing = Easing::from(32.0);
        (0..50).for_each(|_| assert!(!easing.go_on(8.0, SPAN, cycle, false, None)));
        assert_eq!(easing.at_most().round() as u32, 20);
    }

    #[test]
    fn places_are_given_up_for_those_that_wake() {
        let cycle = Duration::from_millis(1000);
        let mut easing = Easing::from(16.0);
        (0..50).for_each(|_| assert!(!easing.go_on(8.0, SPAN, cycle, true, Some(0))));
        assert_eq!(easing.at_most(), 16.0);
        assert!(!easing.go_on(8.0, SPAN, cycle, true, Some(9)));
        assert_eq!(easing.at_most(), 11.0);
        assert!(easing.go_on(8.0, SPAN, cycle, true, Some(20)));
        assert_eq!(easing.at_most(), 8.0);
    }

    #[test]
    fn short_ones_are_soon_replaced() {
        assert!(Easing::from(32.0).go_on(8.0, SPAN, Duration::from_millis(3), true, None));
    }
}
