//! The CPUs that commands may use.

use std::time::Duration;

/// `procs` CPUs, and the part of them that the CPU quota of a control group allows.
#[derive(Debug)]
pub(super) struct Allowance {
    procs: u32,
    share: f64,
}

impl Allowance {
    /// `quota`: in CPUs, if there is one.
    pub(super) fn new(procs: u32, quota: Option<f64>) -> Allowance {
        let share = quota.map_or(1.0, |quota| (quota / f64::from(procs)).min(1.0));
        Allowance { procs, share }
    }

    pub(super) fn procs(&self) -> u32 {
        self.procs
    }

    /// CPU time in terms of tokens: they are in full use when the quota is.
    pub(super) fn scaled(&self, used: Duration) -> Duration {
        used.div_f64(self.share)
    }

    /// CPUs in use beyond `procs`.
    pub(super) fn excess(&self, cpus: f64) -> f64 {
        (cpus - f64::from(self.procs)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_in_full_use_when_the_quota_is() {
        let limited = Allowance::new(2, Some(1.5));
        assert_eq!(limited.scaled(Duration::from_millis(60)), Duration::from_millis(80));
        for free in
            [Allowance::new(2, None), Allowance::new(2, Some(2.0)), Allowance::new(2, Some(4.0))]
        {
            assert_eq!(free.scaled(Duration::from_millis(60)), Duration::from_millis(60));
        }
        assert_eq!((limited.excess(2.5), limited.excess(1.9)), (0.5, 0.0), "beyond procs");
    }
}
