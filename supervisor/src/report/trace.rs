//! The line of `--schedtrace`, in the manner of Go's `GODEBUG=schedtrace`.

use std::time::Duration;

use msup_protocol::token::Census;

/// The content of one line; see docs for the legend: all are counts, `retakes` and later since the
/// start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TraceLine {
    pub(crate) at: Duration,
    pub(crate) tokens: Census,
    pub(crate) workers: usize,
    pub(crate) parked: u32,
    pub(crate) waiting: u32,
    pub(crate) ready: u32,
    pub(crate) in_flight: u32,
    pub(crate) retakes: u64,
    pub(crate) steals: u64,
    pub(crate) rescues: u64,
    pub(crate) lost: u64,
    /// For commands whose number follows their resource use.
    pub(crate) measured: Option<Measured>,
}

/// Measurements of commands, and what follows from them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// CPUs they used in the last window.
    pub(crate) used: f64,
    /// Tokens that are owed to commands: as long as there are any, nothing new is started.
    pub(crate) owed: u32,
    /// CPU seconds that they have used beyond their tokens.
    pub(crate) debt: f64,
    /// The number that may be in flight, and which limit sets it.
    pub(crate) target: u32,
    pub(crate) limit: &'static str,
}

/// When the next line is due after one that was due at `due` and printed at `now`: always later
/// than now, and at the old pace unless that was missed.
pub(crate) fn next_due(due: Duration, every: Duration, now: Duration) -> Duration {
    let next = due + every;
    if next > now { next } else { now + every }
}

impl std::fmt::Display for TraceLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TraceLine { at, tokens, workers, parked, waiting, ready, in_flight, .. } = self;
        write!(
            f,
            "MSUP {}ms: tokens={} idle={} running={} blocked={} granted={} workers={workers} \
             parked={parked} waiting={waiting} ready={ready} in_flight={in_flight} retakes={} \
             steals={} rescues={} lost={}",
            at.as_millis(),
            tokens.live,
            tokens.idle,
            tokens.held(),
            tokens.blocked,
            tokens.granted,
            self.retakes,
            self.steals,
            self.rescues,
            self.lost,
        )?;
        let Some(Measured { used, owed, debt, target, limit }) = self.measured else {
            return Ok(());
        };
        let charged = tokens.foreign;
        write!(
            f,
            " used={used:.2} charged={charged} owed={owed} debt={debt:.3} target={target} \
             limit={limit}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_line_does_not_change_the_pace() {
        let ms = Duration::from_millis;
        assert_eq!(next_due(ms(20), ms(10), ms(20)), ms(30));
        assert_eq!(next_due(ms(20), ms(10), ms(24)), ms(30), "a little late");
        assert_eq!(next_due(ms(20), ms(10), ms(30)), ms(40), "never at once");
        assert_eq!(next_due(ms(20), ms(10), ms(75)), ms(85), "what was missed is not made up for");
    }

    #[test]
    fn the_line_reads_as_documented() {
        let tokens = Census { live: 8, running: 5, foreign: 1, blocked: 2, ..Census::default() };
        let at = Duration::from_millis(104);
        let line =
            TraceLine { at, tokens, workers: 14, parked: 1, ready: 812, ..TraceLine::default() };
        assert_eq!(
            line.to_string(),
            "MSUP 104ms: tokens=8 idle=0 running=6 blocked=2 granted=0 workers=14 parked=1 \
             waiting=0 ready=812 in_flight=0 retakes=0 steals=0 rescues=0 lost=0"
        );
        let measured =
            Some(Measured { used: 1.934, owed: 3, debt: 0.02, target: 31, limit: "search-up" });
        let line = TraceLine { measured, ..line }.to_string();
        assert!(line.ends_with(" used=1.93 charged=1 owed=3 debt=0.020 target=31 limit=search-up"));
    }
}
