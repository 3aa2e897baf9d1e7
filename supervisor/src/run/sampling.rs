//! Samples of the run for its journal: at most one a second, and none while nothing changes.

use std::time::Duration;

use super::Run;
use crate::journal::Sample;
use crate::os::memory::Memory;

/// The time between two samples, at first.
const EVERY: Duration = Duration::from_secs(1);

/// After this number of samples that time is doubled: a run of a month has 70,000 of them.
const BEFORE_DOUBLING: u32 = 10_000;

/// When the next sample is due.
#[derive(Debug)]
pub(super) struct SampleClock {
    due: Duration,
    every: Duration,
    taken: u32,
    last: Sample,
    memory: Memory,
}

impl SampleClock {
    pub(super) fn new() -> SampleClock {
        let (due, every, memory) = (EVERY, EVERY, Memory::open());
        SampleClock { due, every, taken: 0, last: Sample::default(), memory }
    }

    /// Bytes of memory that commands can have.
    pub(super) fn available(&mut self) -> Option<u64> {
        self.memory.available()
    }

    fn is_due(&mut self, now: Duration) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + self.every;
        }
        is_due
    }

    /// Whether a sample says something new. Memory alone changes all the time.
    fn takes(&mut self, sample: &Sample) -> bool {
        let before = Sample { available: sample.available, ..self.last.clone() };
        if before == *sample {
            return false;
        }
        self.last = sample.clone();
        self.taken += 1;
        if self.taken.is_multiple_of(BEFORE_DOUBLING) {
            self.every *= 2;
        }
        true
    }
}

impl Run {
    /// Notes a sample of the run, if it is time.
    pub(super) fn sample(&mut self) {
        let now = self.clock.now();
        if !self.log.has_journal() || !self.reports.sampler.is_due(now) {
            return;
        }
        let tally = self.engine.tally();
        let (target, in_flight) = (self.engine.target(), self.reports.figures.now.1);
        let finished = tally.finished().saturating_sub(tally.earlier());
        let over = tally.finished() + u64::from(in_flight);
        let sample = Sample {
            cpu: target
                .and_then(|target| self.usage.traced(target))
                .map(|now| hundredths(now.used)),
            in_flight,
            limit: target.map(|(limit, _)| limit),
            reason: target.map(|(_, reason)| reason.to_owned()),
            available: self.reports.sampler.available(),
            ready: self.engine.accepted().saturating_sub(over),
            finished,
            failed: tally.failed + tally.quarantined,
        };
        if self.reports.sampler.takes(&sample) {
            self.log.note_sample(sample);
        }
    }
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_changes_has_no_more_samples() {
        let mut sampler = SampleClock::new();
        let sample = |in_flight, available| Sample { in_flight, available, ..Sample::default() };
        assert!(!sampler.is_due(Duration::from_millis(999)));
        assert!(sampler.is_due(EVERY) && !sampler.is_due(EVERY));
        assert!(sampler.takes(&sample(3, Some(1))));
        assert!(!sampler.takes(&sample(3, Some(2))), "only memory has changed");
        assert!(sampler.takes(&sample(4, Some(2))));
    }

    #[test]
    fn a_long_run_has_fewer_samples() {
        let mut sampler = SampleClock::new();
        for in_flight in 0..BEFORE_DOUBLING {
            assert_eq!(sampler.every, EVERY);
            assert!(sampler.takes(&Sample { in_flight: in_flight + 1, ..Sample::default() }));
        }
        assert_eq!(sampler.every, 2 * EVERY);
    }
}
