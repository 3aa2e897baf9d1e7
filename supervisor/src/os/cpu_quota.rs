//! The number of CPUs this process may use: its allowed CPUs, limited by the quotas of its control
//! groups, and by what Slurm has granted.

use std::fs;
use std::path::Path;

use super::cpu_time;
use super::membership::{GroupPlace, Membership};

/// Whole CPUs: a quota of 1.5 counts as 2, since 1 would waste a third of it.
pub(crate) fn cpus() -> u32 {
    let allowed = cpu_time::cpus().max(1);
    let within = quota().map_or(allowed, |quota| rounded_up(quota).min(allowed));
    let granted = granted(|variable| std::env::var(variable).ok());
    granted.map_or(within, |(_, granted)| granted.min(within))
}

/// What Slurm has granted: the variable that says it, and CPUs. Not every installation keeps
/// processes to them.
pub(crate) fn granted(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, u32)> {
    ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"].into_iter().find_map(|name| {
        let cpus = variable(name)?.parse().ok().filter(|cpus| *cpus > 0)?;
        Some((name, cpus))
    })
}

/// The smallest quota of the control groups that this process is in, in CPUs.
pub(crate) fn quota() -> Option<f64> {
    let membership = Membership::own();
    let old = membership.with("cpu").and_then(|place| smallest(&place, quota_of_v1));
    let new = membership.unified().and_then(|place| smallest(&place, quota_of_v2));
    old.into_iter().chain(new).min_by(f64::total_cmp)
}

fn rounded_up(quota: f64) -> u32 {
    // Allows for floating-point error: a quota of 2 must not count as 3.
    (quota - 1e-6).ceil().max(1.0) as u32
}

fn smallest(own: &GroupPlace, quota: fn(&Path) -> Option<f64>) -> Option<f64> {
    own.upwards().filter_map(quota).min_by(f64::total_cmp)
}

fn quota_of_v1(folder: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    ratio(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

fn quota_of_v2(folder: &Path) -> Option<f64> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

/// CPU time per period, both in microseconds. No quota is `-1` or `max`.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_rounded_up() {
        assert_eq!([0.2, 1.0, 1.5, 2.0, 2.01].map(rounded_up), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn what_slurm_has_granted_to_a_task_counts_more_than_what_it_has_on_the_node() {
        let in_environment = |all: &'static str| {
            granted(move |name: &str| {
                let mut all = all.split(' ').filter_map(|one| one.split_once('='));
                all.find(|(other, _)| *other == name).map(|(_, value)| value.to_owned())
            })
        };
        assert_eq!(in_environment(""), None);
        assert_eq!(in_environment("SLURM_CPUS_ON_NODE=8"), Some(("SLURM_CPUS_ON_NODE", 8)));
        let both = in_environment("SLURM_CPUS_ON_NODE=8 SLURM_CPUS_PER_TASK=2");
        assert_eq!(both, Some(("SLURM_CPUS_PER_TASK", 2)));
        assert_eq!(in_environment("SLURM_CPUS_ON_NODE=0"), None);
        assert_eq!(in_environment("SLURM_CPUS_ON_NODE=72(x2)"), None);
    }

    #[test]
    fn the_smallest_quota_on_the_way_up_counts() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("a/b")).expect("writable");
        let own = GroupPlace::below(root.path().to_owned(), "/a/b");
        let write = |folder: &str, name: &str, text: &str| {
            fs::write(root.path().join(folder).join(name), text).expect("writable");
        };
        write("a/b", "cpu.max", "max 100000\n");
        assert_eq!(smallest(&own, quota_of_v2), None);
        write("a", "cpu.max", "150000 100000\n");
        write("", "cpu.max", "200000 100000\n");
        assert_eq!(smallest(&own, quota_of_v2), Some(1.5));
        write("a/b", "cpu.cfs_quota_us", "-1\n");
        write("a/b", "cpu.cfs_period_us", "100000\n");
        assert_eq!(smallest(&own, quota_of_v1), None);
        write("a/b", "cpu.cfs_quota_us", "25000\n");
        assert_eq!(smallest(&own, quota_of_v1), Some(0.25));
    }
}
