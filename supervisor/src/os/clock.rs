//! How long processes have been running.

use std::time::Duration;

use msup_protocol::process_tree::Kin;
use nix::time::{ClockId, clock_gettime};

/// Time since a process was started; `None` when the clock cannot be read.
pub(crate) fn since_start(kin: &Kin) -> Option<Duration> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let hertz = rustix::param::clock_ticks_per_second();
    let started = Duration::from_secs_f64(kin.start as f64 / hertz as f64);
    Some(now.saturating_sub(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_started_not_long_ago() {
        let own = msup_protocol::process_tree::look_up(std::process::id().cast_signed())
            .expect("it lives");
        let since = since_start(&own).expect("there is a clock");
        assert!(since < Duration::from_secs(24 * 3600), "{since:?}");
    }
}
