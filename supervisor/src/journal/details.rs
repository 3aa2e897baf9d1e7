//! What the journal says of an attempt besides how it finished, and of a run while it goes on.

use serde::{Deserialize, Serialize};

use super::record::{Bytes, LARGEST};

/// The number of last bytes of a failed attempt's standard error that are recorded.
pub(crate) const STDERR_TAIL: usize = 4096;

/// Where and when an attempt ran, and what it used. Not recorded before schema 3; what is not known
/// is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    /// The worker slot, from 1. Slots are reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<u32>,
    /// When it began, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<f64>,
    /// Wall time and CPU time in seconds, where the record itself does not have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f64>,
    /// Peak memory in bytes of the largest of its processes.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) memory: u64,
    /// The number of bytes that it wrote and msup captured.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) stdout_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) stderr_bytes: u64,
    /// The last [`STDERR_TAIL`] bytes of its standard error, if it did not succeed.
    #[serde(skip_serializing_if = "Bytes::is_empty")]
    pub(crate) stderr: Bytes,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Details {
    /// Without what the record of an end has itself.
    pub(crate) fn of_end(self) -> Details {
        Details { seconds: None, cpu: None, ..self }
    }

    /// Whether its numbers are possible.
    pub(super) fn is_sane(&self) -> bool {
        let times = [self.start, self.seconds, self.cpu];
        times.into_iter().flatten().all(|time| (0.0..LARGEST as f64).contains(&time))
            && [self.memory, self.stdout_bytes, self.stderr_bytes].iter().all(|n| *n <= LARGEST)
            && self.stderr.0.len() <= STDERR_TAIL
    }
}

/// A run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// CPUs that commands used lately, where that is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f64>,
    /// Tasks that run.
    pub(crate) in_flight: u32,
    /// How many may run, and what limits that, where msup decides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Bytes of memory that the machine, or the control group, has available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) available: Option<u64>,
    /// Tasks that are known and wait; that have finished, and of these those that failed.
    pub(crate) ready: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
}

impl Sample {
    pub(super) fn is_sane(&self) -> bool {
        self.cpu.is_none_or(|cpu| (0.0..LARGEST as f64).contains(&cpu))
            && [self.available.unwrap_or(0), self.ready, self.finished, self.failed]
                .iter()
                .all(|number| *number <= LARGEST)
    }
}
