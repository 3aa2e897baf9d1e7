//! Whether a task is retried after a failure, and after which delay.

use std::time::Duration;

use super::outcome::Ruling;
use crate::engine::{Policy, TaskRecord};

/// A task that is killed this often for lack of memory has failed. A lower limit for kills from
/// outside holds for these, too.
const STARVED_LIMIT: u32 = 4;

/// What happens to a task whose attempt did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is retried.
    Retried,
    /// It is retried if the run is resumed: this run stops.
    Postponed,
    /// It has failed.
    Failed,
    /// It has failed, and is quarantined.
    Quarantined,
}

/// Decides what happens to a task. Its record already counts the attempt with this ruling.
pub(super) fn decide(
    record: &TaskRecord,
    ruling: &Ruling,
    policy: &Policy,
    is_stopped: bool,
) -> Fate {
    let is_retried = match ruling {
        Ruling::Succeeded | Ruling::Parked(_) | Ruling::Final(_) => false,
        Ruling::Failed(_) => record.failures < policy.tries,
        Ruling::Crashed(_) => record.crashes < policy.crash_limit,
        Ruling::Outside(_) => record.outside < policy.outside_limit,
        Ruling::Starved(_) => record.starved < STARVED_LIMIT.min(policy.outside_limit),
        Ruling::Stopped(_) => true,
    };
    match ruling {
        _ if is_retried && is_stopped => Fate::Postponed,
        _ if is_retried => Fate::Retried,
        Ruling::Crashed(_) => Fate::Quarantined,
        _ => Fate::Failed,
    }
}

/// Waiting before a retry: the ceiling doubles each time, and the delay is random between zero and
/// the ceiling, so that tasks that failed together are not retried together.
#[derive(Debug)]
pub(in crate::engine) struct Backoff {
    range: [Duration; 2],
    state: u64,
}

impl Backoff {
    pub(in crate::engine) fn new(range: [Duration; 2], seed: u64) -> Backoff {
        // Neighbouring seeds must not begin alike.
        Backoff { range, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The delay before the try that follows the `nth` failure.
    pub(in crate::engine) fn delay(&mut self, nth: u32) -> Duration {
        let [first, most] = self.range;
        let ceiling = first.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1))).min(most);
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ceiling.mul_f64((self.state >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::task::outcome::Cause;
    use crate::engine::task::table::Ledger;
    use crate::engine::{Tried, Turn};

    fn fresh() -> TaskRecord {
        let mut ledger = Ledger::new(1);
        ledger.accept(Vec::new(), Turn::NEXT, Tried::default(), Duration::ZERO);
        let slot = ledger.place(false, 1).expect("a free slot");
        ledger.remove(slot).expect("just placed")
    }

    /// What happens to a task after each of its attempts, all with this ruling, until it is not
    /// retried.
    fn fates(ruling: &Ruling, policy: &Policy) -> Vec<Fate> {
        let mut record = fresh();
        let mut fates = Vec::new();
        while fates.last().is_none_or(|last| *last == Fate::Retried) && fates.len() < 20 {
            record.count(ruling);
            fates.push(decide(&record, ruling, policy, false));
        }
        fates
    }

    #[test]
    fn each_kind_of_failure_has_its_own_number_of_retries() {
        let policy = Policy { tries: 2, crash_limit: 3, ..Policy::default() };
        let after = |retries, last| [vec![Fate::Retried; retries], vec![last]].concat();
        let cause = || Cause::OutOfMemory;
        assert_eq!(fates(&Ruling::Failed(cause()), &policy), after(1, Fate::Failed));
        assert_eq!(fates(&Ruling::Crashed(cause()), &policy), after(2, Fate::Quarantined));
        assert_eq!(fates(&Ruling::Outside(cause()), &policy), after(9, Fate::Failed));
        assert_eq!(fates(&Ruling::Starved(cause()), &policy), after(3, Fate::Failed));
        assert_eq!(fates(&Ruling::Stopped(cause()), &policy), vec![Fate::Retried; 20]);
        assert_eq!(fates(&Ruling::Final(cause()), &policy), after(0, Fate::Failed));
        let once = Policy { outside_limit: 1, ..policy };
        assert_eq!(fates(&Ruling::Outside(cause()), &once), after(0, Fate::Failed));
        assert_eq!(fates(&Ruling::Starved(cause()), &once), after(0, Fate::Failed));
    }

    #[test]
    fn kinds_of_failure_count_apart() {
        let policy = Policy { tries: 2, crash_limit: 2, ..Policy::default() };
        let mut record = fresh();
        for ruling in [Ruling::Crashed, Ruling::Outside, Ruling::Starved, Ruling::Failed] {
            let ruling = ruling(Cause::OutOfMemory);
            record.count(&ruling);
            assert_eq!(decide(&record, &ruling, &policy, false), Fate::Retried, "{ruling:?}");
        }
    }

    #[test]
    fn a_run_that_stops_postpones_retries_only() {
        let mut record = fresh();
        let policy = Policy::default();
        let crashed = Ruling::Crashed(Cause::Signal(11));
        record.count(&crashed);
        assert_eq!(decide(&record, &crashed, &policy, true), Fate::Postponed);
        let failed = Ruling::Failed(Cause::Exit(1));
        record.count(&failed);
        assert_eq!(decide(&record, &failed, &policy, true), Fate::Failed);
    }

    #[test]
    fn waiting_grows_to_its_ceiling_and_varies() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new([ms(200), ms(1000)], 42);
        for (nth, ceiling) in [(1, 200), (2, 400), (3, 800), (4, 1000), (40, 1000)] {
            let delays: Vec<Duration> = (0..200).map(|_| backoff.delay(nth)).collect();
            assert!(delays.iter().all(|delay| *delay <= ms(ceiling)));
            assert!(delays.iter().any(|delay| *delay > ms(ceiling) * 9 / 10));
            assert!(delays.iter().any(|delay| *delay < ms(ceiling) / 10));
        }
    }
}
