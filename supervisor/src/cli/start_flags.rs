//! The flags about when a task may start, beyond how many run at once.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::concurrency::{parse_procs, parse_size};
use super::failures::time;
use super::usage::{BadValue, UsageError};
use crate::engine::StartRules;
use crate::os::{cpu_quota, programs, routes};
use crate::template::Shell;

#[derive(Debug, Default, clap::Args)]
pub(super) struct StartFlags {
    /// Wait at least TIME between the starts of two tasks (2, 0.5, 200ms). With TIMEauto, each
    /// failed task makes that 30 % longer, and each successful task 10 % shorter
    #[arg(long, value_name = "TIME[auto]")]
    delay: Option<String>,

    /// Start tasks only while fewer than N processes of this machine use a CPU or wait for a CPU or
    /// a disk: N, N% of the CPUs, +N or -N
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    load: Option<String>,

    /// Start tasks only while SIZE of memory is available (512M, 2G). While less than half of
    /// SIZE is available, msup stops the task that started last and runs it again later
    #[arg(long, value_name = "SIZE")]
    memfree: Option<String>,

    /// Start no task while this machine swaps pages in and out
    #[arg(long)]
    noswap: bool,

    /// Before each start, run COMMAND with a shell: 0 lets the task start, 1 does not, 2 also stops
    /// the task that started last, which runs again later. 'load N' and 'mem SIZE' do what --load
    /// and --memfree do
    #[arg(long, value_name = "COMMAND")]
    limit: Option<String>,

    /// Ask on the terminal before each task whether it may start: it does if the answer begins with
    /// 'y'
    #[arg(short = 'p', long)]
    pub(super) interactive: bool,
}

/// The terminal on which the user answers questions.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) terminal: OwnedFd,
    /// Answers are read as xargs reads them.
    pub(crate) is_of_xargs: bool,
}

impl Prompt {
    /// # Errors
    /// There is no terminal.
    pub(super) fn open(is_of_xargs: bool) -> Result<Prompt, UsageError> {
        let (flag, path) = ("--interactive", PathBuf::from(routes::TERMINAL));
        let terminal = routes::open_prompt();
        let terminal = terminal.map_err(|why| UsageError::File { flag, path, why })?;
        Ok(Prompt { terminal, is_of_xargs })
    }
}

/// When a task may start.
#[derive(Debug, Default)]
pub(crate) struct StartConditions {
    pub(crate) rules: StartRules,
    /// Fewer processes than this may be busy.
    pub(crate) busy_below: Option<f64>,
    /// This number of bytes must be available.
    pub(crate) memory_free: Option<u64>,
    pub(crate) no_swap: bool,
    /// The program and the arguments of a command that must exit with 0; none if it is empty.
    pub(crate) limit: Vec<Vec<u8>>,
    /// Where the user is asked before each start.
    pub(crate) prompt: Option<Prompt>,
}

/// A start shows in the figures of the machine after this time.
const SETTLES: Duration = Duration::from_millis(50);

/// What GNU parallel takes a load of 0 for: never while a process is busy.
const NO_LOAD: f64 = 0.01;

/// What an error calls a load.
const LOADS: &str = "a number of processes, N%, +N or -N";

impl StartFlags {
    /// `shell`: runs the command of --limit.
    ///
    /// # Errors
    /// The first flag whose value is wrong.
    pub(super) fn conditions(
        &self,
        shell: impl FnOnce() -> Result<Shell, UsageError>,
    ) -> Result<StartConditions, UsageError> {
        let (delay, adapts) = self.delay.as_deref().map(delay).transpose()?.unwrap_or_default();
        let mut busy_below = self.load.as_deref().map(|text| load("--load", text)).transpose()?;
        let mut memory_free = self.memfree.as_deref().map(|text| memory("--memfree", text));
        let mut limit = Vec::new();
        let words = self.limit.as_deref().map(|typed| typed.split_once(' ').unwrap_or((typed, "")));
        match words {
            None => {}
            Some(("load", number)) => busy_below = Some(load("--limit load", number.trim())?),
            Some(("mem", size)) => memory_free = Some(memory("--limit mem", size.trim())),
            Some(("io", _)) => return Err(UsageError::LimitIo),
            Some(_) => {
                let command = self.limit.as_deref().unwrap_or_default();
                if command.trim().is_empty() {
                    return Err(BadValue::new("--limit", "''", "a command for a shell").into());
                }
                limit = shell()?.command(command.as_bytes());
                // Not looked for again each time it is asked.
                let found = programs::find(Path::new(OsStr::from_bytes(&limit[0])))
                    .map_err(|why| UsageError::Program { given: "--limit", why })?;
                limit[0] = found.into_os_string().into_vec();
            }
        }
        let memory_free = memory_free.transpose()?;
        let measures = busy_below.is_some() || memory_free.is_some() || self.noswap;
        let rules = StartRules {
            delay,
            adapts,
            asks: self.interactive,
            looks: measures || !limit.is_empty(),
            may_stop: memory_free.is_some() || !limit.is_empty(),
            settles: if measures { SETTLES } else { Duration::ZERO },
        };
        let (no_swap, prompt) = (self.noswap, None);
        Ok(StartConditions { rules, busy_below, memory_free, no_swap, limit, prompt })
    }
}

/// The delay, and whether it adapts.
fn delay(text: &str) -> Result<(Duration, bool), BadValue> {
    let (number, adapts) = text.strip_suffix("auto").map_or((text, false), |time| (time, true));
    let wanted = "a time such as 2, 0.5s or 1m, or one with auto behind it";
    time(number).map(|time| (time, adapts)).ok_or_else(|| BadValue::new("--delay", text, wanted))
}

fn load(flag: &'static str, text: &str) -> Result<f64, BadValue> {
    let cpus = u64::from(cpu_quota::cpus());
    let plain = || text.parse::<f64>().ok().filter(|load| load.is_finite() && *load >= 0.0);
    let load = parse_procs(text, cpus).map(|load| load as f64).or_else(plain);
    load.map(|load| load.max(NO_LOAD)).ok_or_else(|| BadValue::new(flag, text, LOADS))
}

fn memory(flag: &'static str, text: &str) -> Result<u64, BadValue> {
    let wanted = "a size such as 512M or 1.5G";
    parse_size(text).ok_or_else(|| BadValue::new(flag, text, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(change: impl FnOnce(&mut StartFlags)) -> Result<StartConditions, String> {
        let mut flags = StartFlags::default();
        change(&mut flags);
        flags.conditions(|| Ok(Shell::sh())).map_err(|why| why.to_string())
    }

    #[test]
    fn conditions_are_what_was_asked_for() {
        let none = conditions(|_| {}).expect("nothing asked");
        assert_eq!(none.rules, StartRules::default());
        let delayed = conditions(|flags| flags.delay = Some("1.5auto".into())).expect("valid");
        assert_eq!(
            (delayed.rules.delay, delayed.rules.adapts),
            (Duration::from_millis(1500), true)
        );
        let loaded = conditions(|flags| flags.load = Some("0".into())).expect("valid");
        assert_eq!((loaded.busy_below, loaded.rules.may_stop), (Some(NO_LOAD), false));
        let limited = conditions(|flags| flags.limit = Some("mem 2k".into())).expect("valid");
        assert_eq!((limited.memory_free, limited.rules.may_stop), (Some(2000), true));
        assert!(limited.limit.is_empty());
        let asked = conditions(|flags| flags.limit = Some("test -e x".into())).expect("valid");
        assert!(asked.limit[0].starts_with(b"/") && asked.limit[0].ends_with(b"/sh"));
        assert_eq!(asked.limit[1..], [&b"-c"[..], b"test -e x"]);
        assert_eq!(asked.rules.settles, Duration::ZERO);
    }

    #[test]
    fn wrong_values_are_refused() {
        let refused = |change: fn(&mut StartFlags)| conditions(change).expect_err("refused");
        assert!(refused(|flags| flags.delay = Some("soon".into())).starts_with("--delay soon: "));
        assert!(refused(|flags| flags.load = Some("x".into())).starts_with("--load x: "));
        assert!(refused(|flags| flags.memfree = Some("x".into())).starts_with("--memfree x: "));
        assert!(refused(|flags| flags.limit = Some("load".into())).starts_with("--limit load "));
        assert!(refused(|flags| flags.limit = Some(" ".into())).starts_with("--limit ''"));
        assert!(refused(|flags| flags.limit = Some("io 50".into())).contains("--load"));
    }
}
