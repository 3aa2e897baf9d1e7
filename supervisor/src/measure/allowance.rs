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

    /// Whether a quota allows less than `procs` CPUs.
    pub(super) fn has_quota(&self) -> bool {
        self.share < 1.0
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
