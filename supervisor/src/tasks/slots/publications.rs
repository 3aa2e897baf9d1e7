//! The last publication in each task slot, and what is known of its attempt.

use std::ops::{Index, IndexMut};
use std::time::{SystemTime, UNIX_EPOCH};

use msup_protocol::codec::{OutcomeFrame, Stream, Verdict};
use msup_protocol::packed::WorkerId;
use msup_protocol::sync::now_ns;

use crate::engine::has_succeeded;
use crate::journal::{Bytes, Details, KeptFor, LARGEST, STDERR_TAIL};
use crate::output::Spilled;

/// The last publication in a slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Publication {
    /// Its name.
    pub(super) number: u64,
    /// Its frame is in a file.
    pub(super) in_file: bool,
    /// The task whose outputs are in the slot.
    pub(super) writer: KeptFor,
    /// The order in which tasks were published. Slots are used again and again: their numbers do
    /// not tell it.
    turn: u64,
    /// Of its attempt, which is over.
    pub(super) details: Option<Details>,
}

/// Of all slots.
pub(super) struct Publications {
    next: u64,
    by_slot: Vec<Publication>,
}

impl Publications {
    /// For this number of slots.
    pub(super) fn new(slots: usize) -> Publications {
        Publications { next: 0, by_slot: vec![Publication::default(); slots] }
    }

    /// A task is published in this slot.
    pub(super) fn publish(&mut self, slot: u16, number: u64, writer: KeptFor) {
        let turn = self.next;
        self.next += 1;
        self[slot] = Publication { number, in_file: false, writer, turn, details: None };
    }

    /// The turn of the task in this slot; `None` if there is no such slot.
    pub(super) fn turn_of(&self, slot: u16) -> Option<u64> {
        self.by_slot.get(usize::from(slot)).map(|publication| publication.turn)
    }

    /// The names of all publications are taken from a new segment.
    pub(super) fn renew(&mut self) {
        for publication in &mut self.by_slot {
            (publication.number, publication.in_file) = (0, false);
        }
    }
}

impl Index<u16> for Publications {
    type Output = Publication;

    fn index(&self, slot: u16) -> &Publication {
        &self.by_slot[usize::from(slot)]
    }
}

impl IndexMut<u16> for Publications {
    fn index_mut(&mut self, slot: u16) -> &mut Publication {
        &mut self.by_slot[usize::from(slot)]
    }
}

/// The same instant on two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instants {
    /// Seconds since 1970.
    unix: f64,
    /// In nanoseconds.
    monotonic: u64,
}

impl Instants {
    pub(super) fn now() -> Instants {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Instants { unix: unix.as_secs_f64(), monotonic: now_ns() }
    }

    /// An instant on the first clock that was `began_ns` on the second one. Any program can be a
    /// worker: what lies in the future is taken for now.
    fn unix_of(&self, began_ns: u64) -> f64 {
        (self.unix - self.monotonic.saturating_sub(began_ns) as f64 / 1e9).max(0.0)
    }
}

/// What the journal says of an attempt of this worker. `error`: its standard error, if that is in a
/// file.
pub(super) fn details_of(
    outcome: &OutcomeFrame,
    worker: Option<WorkerId>,
    now: Instants,
    error: Option<&Spilled>,
) -> Details {
    let length = |stream: &Stream| match stream {
        Stream::Here(bytes) => bytes.len() as u64,
        Stream::File(left) => left.len,
    };
    let is_parked = matches!(outcome.verdict, Verdict::Parked(_));
    let stderr = match (&outcome.stderr, error) {
        _ if has_succeeded(&outcome.verdict) || is_parked => Vec::new(),
        (Stream::Here(bytes), _) => bytes[bytes.len().saturating_sub(STDERR_TAIL)..].to_vec(),
        // A tail that cannot be read now is not worth a failure.
        (Stream::File(_), Some(spilled)) => spilled.tail(STDERR_TAIL).unwrap_or_default(),
        (Stream::File(_), None) => Vec::new(),
    };
    // Not from the middle of a character on.
    let is_within = |byte: &&u8| **byte & 0xc0 == 0x80;
    let cut = stderr.iter().take_while(is_within).count();
    let stderr = stderr[if stderr.len() == STDERR_TAIL { cut } else { 0 }..].to_vec();
    Details {
        slot: worker.map(|worker| u32::from(worker) + 1),
        start: Some(in_microseconds(now.unix_of(outcome.began_ns))),
        seconds: Some(in_microseconds(outcome.wall_ns as f64 / 1e9)),
        cpu: Some(in_microseconds(outcome.usage.cpu_ns as f64 / 1e9)),
        memory: outcome.usage.peak.min(LARGEST),
        stdout_bytes: length(&outcome.stdout).min(LARGEST),
        stderr_bytes: length(&outcome.stderr).min(LARGEST),
        stderr: Bytes(stderr),
    }
}

/// Seconds without digits beyond the sixth.
fn in_microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
