//! How many workers and tokens there are, and the memory that commands may use.

use std::time::Duration;

use super::Refusal;
use super::jobs_file::JobsFile;
use super::shared::{Limits, Runners};
use super::start_flags::StartConditions;
use super::usage::{BadValue, UsageError};
use crate::engine::AtCap;
use crate::os::cpu_quota;
use crate::os::limits::{self, Most};

/// How much may run at once.
#[derive(Debug)]
pub(crate) struct Concurrency {
    pub(crate) procs: u32,
    pub(crate) max_workers: u16,
    /// The number of commands in flight follows what they use.
    pub(crate) admits: bool,
    /// Bytes of memory that commands may use together.
    pub(crate) memory: Option<u64>,
    pub(crate) idle_timeout: Duration,
    pub(crate) at_cap: AtCap,
    /// The soft limit on open files that commands get.
    pub(crate) nofile: u64,
    /// When a task may start.
    pub(crate) starts: StartConditions,
    /// The file that says how many of the tokens are used (`-j FILE`).
    pub(crate) jobs_file: Option<JobsFile>,
    /// Which limit allows fewer workers than there would be, in a line.
    pub(crate) lowered: Option<String>,
}

impl Concurrency {
    /// The number of tasks that may run at once when the run begins, if each takes a token.
    pub(crate) fn jobs(&self) -> u32 {
        self.jobs_file.as_ref().map_or(self.procs, JobsFile::number)
    }

    /// The most tokens that the user can ask for later: one for each CPU, or as many as at the
    /// start if these are more, or if one number is both that and the most workers (`-j N`).
    pub(crate) fn most_procs(&self) -> u32 {
        let most = u32::from(self.max_workers);
        if self.procs == most { most } else { self.procs.max(cpu_quota::cpus()).min(most) }
    }

    /// The number of tasks that may run at once when the run begins.
    pub(crate) fn slots(&self) -> u32 {
        self.jobs_file.as_ref().map_or(self.max_workers.into(), JobsFile::number)
    }
}

/// Tokens, and the cap on workers.
#[derive(Debug)]
struct Workers {
    procs: u32,
    most: u16,
    jobs_file: Option<JobsFile>,
    /// Which limit has lowered them, if one has.
    lowered: Option<String>,
}

/// Less than this holds no program.
const LEAST_MEMORY: u64 = 1 << 20;

/// Workers per token, when no cap is given: commands that compute for a hundredth of the time fill
/// the CPUs.
const WORKERS_PER_TOKEN: u64 = 100;

/// As many as possible (`-j 0`): their slots must fit into the shared memory of a small container.
const ALL_AT_ONCE: u64 = 4096;

/// The largest number that a file may say later (`-j FILE`), unless it begins with a larger one.
/// All tokens are looked at after each task: with more of them, tasks that take a moment would take
/// longer.
const LATER_AT_ONCE: u64 = 1024;

/// What --jobs and --procs take.
const JOBS: &str = "a number, N%, +N or -N of the CPUs, 0 for as many as possible, or a file that \
                    says one of these";
const JOBS_IN_SETTINGS: &str = "a number, N%, +N or -N of the CPUs, or 0 for as many as possible";
const PROCS: &str = "a number of at least 1, N%, +N or -N";

/// Raises this process's limit on open files, then reads the flags.
///
/// # Errors
/// A flag has a wrong value, or the limit on open files is too low.
pub(super) fn of(typed: &Limits, running: &Runners) -> Result<Concurrency, Refusal> {
    let nofile = limits::raise_open_files();
    let Workers { procs, most: max_workers, jobs_file, lowered } = workers(typed)?;
    let idle_timeout = idle_timeout(running)?;
    let memory = size("--memory", typed.memory.as_deref())?;
    Ok(Concurrency {
        procs,
        max_workers,
        admits: running.worker.is_none() && (u32::from(max_workers) > procs || memory.is_some()),
        memory,
        idle_timeout,
        at_cap: running.at_cap,
        nofile,
        starts: StartConditions::default(),
        jobs_file,
        lowered,
    })
}

/// Checks the values of flags, without the limits of this machine.
///
/// # Errors
/// The first flag whose value is wrong.
pub(super) fn check(typed: &Limits, running: &Runners) -> Result<(), UsageError> {
    // What a number of CPUs is reckoned from makes no difference to whether it is one.
    let is_number = |text: &str| parse_procs(text, 1).is_some();
    if let Some(text) = typed.jobs.as_deref().filter(|text| *text != "0" && !is_number(text)) {
        return Err(BadValue::new("--jobs", text, JOBS_IN_SETTINGS).into());
    }
    if let Some(text) = typed.procs.as_deref().filter(|text| !is_number(text)) {
        return Err(BadValue::new("--procs", text, PROCS).into());
    }
    idle_timeout(running)?;
    size("--memory", typed.memory.as_deref())?;
    size("--mem-per-task", typed.mem_per_task.as_deref())?;
    Ok(())
}

/// Checks the values of flags that say how much may run at once, without the limits of this
/// machine.
///
/// # Errors
/// The first flag whose value is wrong.
#[cfg(feature = "nats")]
pub(super) fn check_limits(typed: &Limits) -> Result<(), UsageError> {
    let is_number = |text: &str| parse_procs(text, 1).is_some();
    let jobs = typed.jobs.as_deref().filter(|text| *text != "0" && !is_number(text));
    if let Some(text) = jobs.filter(|text| !std::path::Path::new(text).exists()) {
        return Err(BadValue::new("--jobs", text, JOBS).into());
    }
    if let Some(text) = typed.procs.as_deref().filter(|text| !is_number(text)) {
        return Err(BadValue::new("--procs", text, PROCS).into());
    }
    size("--memory", typed.memory.as_deref())?;
    size("--mem-per-task", typed.mem_per_task.as_deref())?;
    Ok(())
}

fn idle_timeout(running: &Runners) -> Result<Duration, UsageError> {
    Duration::try_from_secs_f64(running.idle_timeout)
        .map_err(|_| UsageError::IdleTimeout(running.idle_timeout))
}

fn workers(typed: &Limits) -> Result<Workers, Refusal> {
    let most = limits::most_workers()?;
    let cpus = u64::from(cpu_quota::cpus());
    let mut is_lowered = false;
    let mut lowered = |wanted: u64| {
        is_lowered |= wanted > most.workers;
        wanted.min(most.workers)
    };
    if let Some(text) = &typed.jobs {
        let jobs = match text.as_str() {
            "0" => Some(lowered(ALL_AT_ONCE)),
            text => parse_procs(text, cpus),
        };
        let Some(jobs) = jobs else { return said_by_file(text, cpus, most) };
        let jobs = in_range("--jobs", jobs, most)?;
        let lowered = is_lowered.then(|| format!("at most {jobs} jobs: {most}"));
        return Ok(Workers { procs: jobs.into(), most: jobs, jobs_file: None, lowered });
    }
    let procs = match &typed.procs {
        Some(text) => {
            parse_procs(text, cpus).ok_or_else(|| BadValue::new("--procs", text, PROCS))?
        }
        None => lowered(cpus),
    };
    let procs = in_range("--procs", procs, most)?;
    let max_workers = match typed.max_workers {
        Some(cap) if cap < u32::from(procs) => {
            return Err(UsageError::FewerThanProcs { cap, procs }.into());
        }
        Some(cap) => in_range("--max-workers", u64::from(cap), most)?,
        None => {
            let wanted = u64::from(procs) * WORKERS_PER_TOKEN;
            u16::try_from(lowered(wanted)).unwrap_or(u16::MAX).max(procs)
        }
    };
    let lowered = is_lowered.then(|| format!("at most {max_workers} workers: {most}"));
    Ok(Workers { procs: procs.into(), most: max_workers, jobs_file: None, lowered })
}

/// As in GNU parallel: the number is in a file of this name. There are tokens for the largest
/// number that it may say later.
fn said_by_file(name: &str, cpus: u64, most: Most) -> Result<Workers, Refusal> {
    let [later, all] = [LATER_AT_ONCE, ALL_AT_ONCE].map(|jobs| jobs.min(most.workers) as u32);
    let file = JobsFile::open(name, cpus, later, all);
    let file = file.ok_or_else(|| BadValue::new("--jobs", name, JOBS))?;
    let tokens = in_range("--jobs", file.at_most().into(), most)?;
    Ok(Workers { procs: tokens.into(), most: tokens, jobs_file: Some(file), lowered: None })
}

fn in_range(flag: &'static str, number: u64, most: Most) -> Result<u16, UsageError> {
    match u16::try_from(number) {
        Ok(0) => Err(BadValue::new(flag, "0", "at least 1").into()),
        Ok(number) if u64::from(number) <= most.workers => Ok(number),
        _ => Err(UsageError::TooMany { flag, number, most }),
    }
}

/// A size given with this flag, in bytes.
///
/// # Errors
/// It is no size, or too small.
pub(super) fn size(flag: &'static str, text: Option<&str>) -> Result<Option<u64>, BadValue> {
    let Some(text) = text else { return Ok(None) };
    let bytes = parse_size(text).filter(|bytes| *bytes >= LEAST_MEMORY);
    let wanted = "a size of at least 1M, such as 512M or 1.5G";
    bytes.map(Some).ok_or_else(|| BadValue::new(flag, text, wanted))
}

/// Bytes: a number, and perhaps a unit as GNU parallel has them, K, M, G or T for powers of 1024
/// and k, m, g or t for powers of 1000.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    quantity(text).map(|bytes| bytes as u64)
}

/// A number of things, written like a size: a whole one.
pub(super) fn parse_count(text: &str) -> Option<u64> {
    quantity(text).filter(|count| count.fract() == 0.0).map(|count| count as u64)
}

fn quantity(text: &str) -> Option<f64> {
    let (number, unit) = match text.char_indices().next_back()? {
        (at, unit) if unit.is_ascii_alphabetic() => (&text[..at], Some(unit)),
        _ => (text, None),
    };
    let power = |base: f64| {
        unit.and_then(|unit| "kmgt".find(unit.to_ascii_lowercase()))
            .map(|at| base.powi(at as i32 + 1))
    };
    let factor = match unit {
        None => 1.0,
        Some(unit) if unit.is_ascii_uppercase() => power(1024.0)?,
        Some(_) => power(1000.0)?,
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bytes = number.parse::<f64>().ok().filter(|_| plain)? * factor;
    // No machine has more than this, and it still fits.
    (bytes < 1e18).then_some(bytes)
}

/// `N`, `N%` of the CPUs, `+N` more or `-N` fewer than there are, as GNU parallel reckons; at least
/// 1 but for a plain 0.
pub(super) fn parse_procs(text: &str, cpus: u64) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    if let Some(percent) = text.strip_suffix('%') {
        let plain = percent.starts_with(|c: char| c.is_ascii_digit())
            && percent.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent = percent.parse::<f64>().ok().filter(|percent| plain && *percent < 1e9)?;
        return Some(((percent * cpus as f64 / 100.0).ceil() as u64).max(1));
    }
    match text.as_bytes().first()? {
        b'+' => cpus.checked_add(number(&text[1..])?),
        b'-' => Some(cpus.saturating_sub(number(&text[1..])?).max(1)),
        _ => number(text).filter(|number| *number > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tokens() {
        let parse = |text| parse_procs(text, 8);
        assert_eq!(parse("3"), Some(3));
        assert_eq!(parse("50%"), Some(4));
        assert_eq!(parse("1%"), Some(1));
        assert_eq!(parse("12.5%"), Some(1));
        assert_eq!(parse("13%"), Some(2));
        assert_eq!(parse("+2"), Some(10));
        assert_eq!(parse("-2"), Some(6));
        assert_eq!(parse("-20"), Some(1));
        for bad in ["0", "", "x", "--2", "+", "1.5", "3 ", "%", ".5%", "1e2%", "1.2.3%"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("512M", 512 << 20),
            ("1.5G", 3 << 29),
            ("2T", 2 << 40),
            ("3k", 3000),
            ("2g", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "G", "1X", "-1M", "1e9", "1.2.3M", "1MB", "9999999T", "1 M", "\u{e9}"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }
}
