//! The flags about failures.

use std::time::Duration;

use super::shared::Failing;
use super::usage::BadValue;
use crate::engine::{Counted, Halt, PlainSignals, Policy, Threshold, Timeout};

/// The policy about failures, and the value of --grace if it was given.
///
/// # Errors
/// The first flag whose value is wrong.
pub(super) fn of(typed: &Failing) -> Result<(Policy, Option<Duration>), BadValue> {
    let given = Policy::default();
    let at_least_one = |flag, number: u32| match number {
        0 => Err(BadValue::new(flag, "0", "at least 1")),
        number => Ok(number),
    };
    let grace = typed.grace.as_deref().map(|text| {
        let wanted = "a time such as 500ms, 10s or 2m";
        time(text).ok_or_else(|| BadValue::new("--grace", text, wanted))
    });
    let grace = grace.transpose()?;
    let start_timeout = typed.start_timeout.as_deref().map(start_timeout).transpose()?;
    let policy = Policy {
        start_timeout,
        // Without --grace, a run that is stopped by hand lets its tasks finish, even if that takes
        // hours.
        drain: grace,
        tries: at_least_one("--retries", typed.retries)?,
        backoff: typed.backoff.as_deref().map_or(Ok(given.backoff), backoff)?,
        crash_limit: typed
            .crash_limit
            .map_or(Ok(given.crash_limit), |n| at_least_one("--crash-limit", n))?,
        outside_limit: typed
            .outside_limit
            .map_or(Ok(given.outside_limit), |n| at_least_one("--outside-limit", n))?,
        plain_signals: given.plain_signals,
        timeout: typed.timeout.as_deref().filter(is_limit).map(timeout).transpose()?,
        halt: typed.halt.as_deref().map(halt).transpose()?.flatten(),
        is_xargs: false,
    };
    Ok((policy, grace))
}

/// Checks the value of --grace.
///
/// # Errors
/// It is no time.
#[cfg(feature = "nats")]
pub(super) fn check_grace(typed: Option<&str>) -> Result<(), BadValue> {
    match typed.filter(|text| time(text).is_none()) {
        None => Ok(()),
        Some(text) => Err(BadValue::new("--grace", text, "a time such as 500ms, 10s or 2m")),
    }
}

/// Makes of it what GNU parallel makes of failures: where no limit is given, a command that a
/// signal has killed has failed and is not repeated, and a percentage of --halt is reckoned as
/// there.
pub(super) fn as_gnu(policy: &mut Policy, typed: &Failing) {
    policy.plain_signals =
        PlainSignals { crashes: typed.crash_limit.is_none(), kills: typed.outside_limit.is_none() };
    if let Some(halt) = &mut policy.halt
        && let Threshold::Percent(percent) = halt.at
    {
        halt.at = Threshold::Share(percent);
    }
}

/// A time: a number with ms, s, m, h or d after it, by default seconds; or several of them, which
/// are added (1m30s).
pub(super) fn time(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while let Some(unit) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let behind = rest[unit..].find(|c: char| !c.is_ascii_alphabetic());
        let Some(behind) = behind.map(|len| unit + len) else { break };
        sum = sum.checked_add(one_time(&rest[..behind])?)?;
        rest = &rest[behind..];
    }
    sum.checked_add(one_time(rest)?)
}

fn one_time(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let time = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
    // More than a hundred years is no time limit.
    (time.as_secs() < 3_000_000_000).then_some(time)
}

fn start_timeout(text: &str) -> Result<Duration, BadValue> {
    let limit = time(text).filter(|limit| !limit.is_zero());
    limit.ok_or_else(|| BadValue::new("--start-timeout", text, "a time such as 30s or 5m"))
}

fn backoff(text: &str) -> Result<[Duration; 2], BadValue> {
    let range = || {
        let (first, most) = text.split_once("..")?;
        let range = [time(first)?, time(most)?];
        (range[0] <= range[1]).then_some(range)
    };
    range().ok_or_else(|| BadValue::new("--backoff", text, "two times such as 200ms..30s"))
}

/// As in GNU parallel, 0 is no limit.
fn is_limit(text: &&str) -> bool {
    text.parse() != Ok(0.0)
}

fn timeout(text: &str) -> Result<Timeout, BadValue> {
    let timeout = match text.strip_suffix('%') {
        Some(percent) => {
            let percent =
                percent.parse::<f64>().ok().filter(|percent| *percent >= 1.0 && *percent < 1e9);
            percent.map(|percent| Timeout::Medians(percent / 100.0))
        }
        None => time(text).filter(|time| !time.is_zero()).map(Timeout::After),
    };
    let wanted = "a time such as 30s or 5m, or a percentage of the median such as 200%";
    timeout.ok_or_else(|| BadValue::new("--timeout", text, wanted))
}

/// `None` is never.
fn halt(text: &str) -> Result<Option<Halt>, BadValue> {
    // Older forms, which GNU parallel takes as well.
    let text = match text {
        "never" | "0" => return Ok(None),
        "1" => "soon,fail=1",
        "2" => "now,fail=1",
        "-1" => "soon,success=1",
        "-2" => "now,success=1",
        text => text,
    };
    let share = format!("soon,fail={text}");
    let text = if text.ends_with('%') && !text.contains(',') { &share } else { text };
    let parsed = || {
        let (when, rest) = text.split_once(',')?;
        let (what, at) = rest.split_once('=')?;
        let now = match when {
            "now" => true,
            "soon" => false,
            _ => return None,
        };
        let what = match what {
            "fail" => Counted::Fail,
            "success" => Counted::Success,
            "done" => Counted::Done,
            _ => return None,
        };
        let at = match at.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse::<f64>().ok();
                Threshold::Percent(percent.filter(|percent| *percent > 0.0 && *percent <= 100.0)?)
            }
            None => Threshold::Number(at.parse().ok().filter(|number| *number > 0)?),
        };
        Some(Halt { now, what, at })
    };
    let wanted = "never, or such as now,fail=1, soon,fail=20% or now,success=1";
    let words = ["never", "now", "soon", "fail", "success", "done"];
    parsed().map(Some).ok_or_else(|| {
        BadValue::new("--halt", text, wanted).near(&words, |meant| halt(meant).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in
            [("200ms", 200), ("30s", 30_000), ("1.5", 1500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(time(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1s", "1e3", "1 s", "1w", "9999999999d", "1.2.3s", "\u{e9}"] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
        assert_eq!(backoff("1s..2m"), Ok([Duration::from_secs(1), Duration::from_secs(120)]));
        assert!(backoff("2s..1s").is_err() && backoff("1s").is_err());
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout("200%"), Ok(Timeout::Medians(2.0)));
        assert_eq!(timeout("5m"), Ok(Timeout::After(Duration::from_secs(300))));
        for bad in ["0", "0s", "%", "-5%", "0%", "soon"] {
            assert!(timeout(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn halting() {
        let now = |what, at| Ok(Some(Halt { now: true, what, at }));
        assert_eq!(halt("never"), Ok(None));
        for (old, new) in [
            ("0", "never"),
            ("1", "soon,fail=1"),
            ("2", "now,fail=1"),
            ("-1", "soon,success=1"),
            ("-2", "now,success=1"),
            ("7%", "soon,fail=7%"),
        ] {
            assert_eq!(halt(old), halt(new), "{old}");
        }
        assert_eq!(halt("now,fail=1"), now(Counted::Fail, Threshold::Number(1)));
        assert_eq!(halt("now,done=7"), now(Counted::Done, Threshold::Number(7)));
        let soon = Halt { now: false, what: Counted::Success, at: Threshold::Percent(30.0) };
        assert_eq!(halt("soon,success=30%"), Ok(Some(soon)));
        for bad in [
            "",
            "now",
            "now,fail",
            "now,fail=0",
            "later,fail=1",
            "now,fail=101%",
            "soon,x=1",
            "3",
            "-3",
            "%",
        ] {
            assert!(halt(bad).is_err(), "{bad:?}");
        }
    }
}
