//! Whether tasks that have pinned their tokens keep all of them in blocking calls.

use std::time::Duration;

use msup_protocol::layout::Shared;
use msup_protocol::slot::Pinned;

/// How long that must last before it is reported: a short call is no trouble.
const AFTER: Duration = Duration::from_secs(1);

/// What was seen of it so far.
#[derive(Debug, Default)]
pub(super) struct Pins {
    since: Option<Duration>,
    was_told: bool,
}

impl Pins {
    /// The line to print, once, if all `procs` tokens are kept in blocking calls for some time
    /// while tasks wait.
    pub(super) fn look(
        &mut self,
        shared: &Shared<'_>,
        procs: u32,
        tasks_wait: bool,
        now: Duration,
    ) -> Option<String> {
        let blocking = || shared.line.pinned().filter(|slot| slot.pinned() == Pinned::Blocking);
        if self.was_told || !tasks_wait || (blocking().count() as u32) < procs {
            self.since = None;
            return None;
        }
        if now.saturating_sub(*self.since.get_or_insert(now)) < AFTER {
            return None;
        }
        self.was_told = true;
        let all =
            if procs == 1 { "the only token is".into() } else { format!("all {procs} tokens are") };
        Some(format!(
            "{all} pinned by tasks in blocking calls (Ctx::pin): nothing else computes until they \
             return"
        ))
    }
}
