//! Limits the number of commands when memory is short: after the kernel killed one for lack of
//! memory, and while all of them wait for memory.

use std::time::Duration;

use crate::engine::time::Now;

/// Memory is short when no command gets on, because of waiting for memory, for this share of the
/// time.
const SHORT: f64 = 0.1;
const NEWEST: f64 = 0.2;

/// How long the lowered limit rests: at first when commands only wait, at first when one was
/// killed, and at most.
const REST_WAITING: Duration = Duration::from_secs(1);
const REST_KILLED: Duration = Duration::from_secs(5);
const REST_AT_MOST: Duration = Duration::from_secs(300);

/// After each rest without trouble the limit grows by this factor.
const GROWTH: f64 = 1.5;
/// At this multiple of its lowest value the limit is dropped.
const OVER: f64 = 8.0;

/// The current limit on commands in flight, if memory was short.
#[derive(Debug, Default)]
pub(in crate::engine) struct Company {
    limit: Option<Limit>,
    stalled: f64,
    in_flight: u32,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    at_most: f64,
    lowest: f64,
    until: Now,
    rest: Duration,
}

impl Company {
    /// The number of commands that may be in flight.
    pub(in crate::engine) fn at_most(&self) -> u32 {
        self.limit.map_or(u32::MAX, |limit| limit.at_most as u32)
    }

    /// A task was killed for lack of memory for the `nth` time: half as many commands may run, then
    /// a quarter, then it runs alone.
    pub(in crate::engine) fn too_much(&mut self, nth: u32, now: Now) {
        let parts = 2_u32.saturating_pow(nth);
        let at_most = if nth >= 3 { 1 } else { (self.in_flight / parts).max(1) };
        self.lower(f64::from(at_most), REST_KILLED, now);
    }

    /// `in_flight` commands are running, and for the share `stalled` of the time none of them got
    /// on, waiting for memory.
    pub(in crate::engine) fn measured(&mut self, in_flight: u32, stalled: f64, now: Now) {
        self.in_flight = in_flight;
        self.stalled += NEWEST * (stalled - self.stalled);
        if self.stalled >= SHORT {
            // The mean lags behind: it is still high when the shortage is over.
            if stalled >= SHORT && in_flight > 1 {
                // No command is killed for it; commands that finish are not replaced.
                self.lower(f64::from(in_flight - 1), REST_WAITING, now);
            }
            return;
        }
        let Some(limit) = &mut self.limit else { return };
        if now < limit.until {
            return;
        }
        limit.at_most *= GROWTH;
        limit.until = now + limit.rest;
        if limit.at_most > limit.lowest * OVER {
            self.limit = None;
        }
    }

    fn lower(&mut self, at_most: f64, first: Duration, now: Now) {
        let last = REST_AT_MOST;
        let (at_most, rest) = match self.limit {
            None => (at_most, first),
            // Memory is short again, with more commands than at the last rest.
            Some(limit) if limit.at_most > limit.lowest => {
                (at_most, (limit.rest * 2).max(first).min(last))
            }
            Some(limit) => (at_most.min(limit.lowest), limit.rest.max(first)),
        };
        self.limit = Some(Limit { at_most, lowest: at_most, until: now + rest, rest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Now {
        Duration::from_secs(n)
    }

    #[test]
    fn a_task_that_ran_out_of_memory_gets_less_and_less_company() {
        let mut company = Company::default();
        company.measured(16, 0.0, seconds(0));
        assert_eq!(company.at_most(), u32::MAX);
        company.too_much(1, seconds(1));
        company.too_much(1, seconds(1));
        assert_eq!(company.at_most(), 8, "two at once are one occasion");
        company.measured(8, 0.0, seconds(2));
        company.too_much(2, seconds(2));
        assert_eq!(company.at_most(), 2);
        company.too_much(3, seconds(3));
        assert_eq!(company.at_most(), 1);
    }

    #[test]
    fn company_comes_back_bit_by_bit_and_less_readily_each_time() {
        let mut company = Company::default();
        company.measured(8, 0.0, seconds(0));
        company.too_much(1, seconds(0));
        company.measured(4, 0.0, seconds(4));
        assert_eq!(company.at_most(), 4);
        company.measured(4, 0.0, seconds(5));
        assert_eq!(company.at_most(), 6);
        company.too_much(1, seconds(6));
        assert_eq!(company.at_most(), 2);
        company.measured(2, 0.0, seconds(15));
        assert_eq!(company.at_most(), 2, "the second rest is longer");
        for at in 16..120 {
            company.measured(2, 0.0, seconds(at));
        }
        assert_eq!(company.at_most(), u32::MAX, "forgotten");
    }

    #[test]
    fn while_all_wait_for_memory_finished_commands_are_not_replaced() {
        let mut company = Company::default();
        for (nth, in_flight) in [9, 8, 7, 6, 5].into_iter().enumerate() {
            company.measured(in_flight, 0.9, Duration::from_millis(40 * nth as u64));
        }
        assert_eq!(company.at_most(), 4);
        for nth in 5..60 {
            company.measured(1, 0.9, Duration::from_millis(40 * nth));
        }
        assert_eq!(company.at_most(), 4, "one alone shows nothing");
    }
}
