//! The signals that stop a node: the first one lets tasks finish, the second one stops them.

use std::fs;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many have arrived.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    pub(super) arrived: watch::Receiver<u8>,
}

impl Signals {
    /// From now on they do not kill this process. One that was ignored when it started stays
    /// ignored (`nohup`). SIGUSR1 comes from schedulers some time before they stop a job.
    ///
    /// # Errors
    /// The system refused.
    pub(super) fn heed() -> io::Result<Signals> {
        let (sender, arrived) = watch::channel(0_u8);
        let ignored = ignored();
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
            SignalKind::user_defined1(),
        ];
        for kind in kinds {
            if ignored >> (kind.as_raw_value() - 1) & 1 == 1 {
                continue;
            }
            let (mut signals, sender) = (signal(kind)?, sender.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    sender.send_modify(|count| *count = count.saturating_add(1));
                }
            });
        }
        Ok(Signals { arrived })
    }

    pub(super) fn count(&self) -> u8 {
        *self.arrived.borrow()
    }

    /// Returns after this time, or when one arrives.
    pub(super) async fn or_after(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.arrived.changed()).await;
    }
}

/// The signals that this process ignores: bit 0 stands for signal 1.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
