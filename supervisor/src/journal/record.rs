//! The records of the journal: their types and JSON format.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use msup_protocol::codec::STATE_AT_MOST;

use super::details::{Details, Sample};
use crate::engine::EMITTED_FROM;
use crate::shard::Shard;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Increased whenever a record changes its meaning or is removed, or one is added that must not be
/// ignored. Since 3 tasks may park and add tasks. Since 2 attempts are journaled
/// before they start, kept input has checksums, and the run's id is part of each line's checksum.
pub(crate) const SCHEMA: u32 = 3;

/// No number in a journal is larger: JSON readers may store numbers as floating point.
pub(crate) const LARGEST: u64 = 1 << 53;

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Record {
    /// A supervisor takes up the run: the first generation, or a later one.
    Run(Run),
    /// An attempt is published. Written before that; [`InFlight`] says whether it has started.
    ///
    /// [`InFlight`]: msup_protocol::in_flight::InFlight
    Start(Start),
    /// It was withdrawn: it has not started.
    Withdrawn { seq: u64, value: Bytes, attempt: u32 },
    /// It was in flight when a generation died.
    CutOff {
        seq: u64,
        value: Bytes,
        attempt: u32,
        /// How many others were in flight.
        beside: u64,
    },
    /// An attempt did not succeed, and the task is retried, in a later generation if this one
    /// stops.
    Again(Again),
    /// An attempt has parked its task.
    Parked(Parked),
    /// An attempt has succeeded, and its file is about to be renamed to its place.
    Intent(Intent),
    /// That file has not been renamed, and will not be, or what the attempt printed is lost: the
    /// attempt does not count.
    Void { seq: u64, value: Bytes, attempt: u32 },
    /// A task has finished except that its output, which is kept, has not been shown. Its end
    /// follows when it has.
    Unshown(End),
    /// The output of this attempt could not be kept: it cannot be shown again.
    Unkept { seq: u64, value: Bytes, attempt: u32 },
    /// A task has finished.
    End(End),
    /// Which task of a pipeline has this number in this generation. Written before it starts.
    Step { seq: u64, step: serde_json::Value },
    /// What it has emitted: items of later stages. Written before its end.
    Values { seq: u64, values: Vec<Bytes> },
    /// From now on this unfinished or retried task has another number: two tasks of different
    /// lists had the same one, or it has another place in this list.
    Moved { seq: u64, value: Bytes, to: u64 },
    /// These values are in the file for values that cannot be read again.
    Kept(Batch),
    /// All input was read: the number of values.
    InputsEnd { total: u64 },
    /// The digest of the list, of which this shard has a share: whether shards have read the same.
    List { digest: String },
    /// How the run was doing.
    Sample(Sample),
    /// A generation is over: its exit status, whether every task has finished, and if not, whether
    /// --halt left the rest.
    Finish {
        status: u8,
        complete: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        halted: bool,
    },
    /// A record of a later release.
    #[serde(other)]
    Unknown,
}

impl Record {
    /// The number of the task that it is about.
    pub(super) fn task(&self) -> Option<u64> {
        match self {
            Record::Start(Start { seq, .. })
            | Record::Again(Again { seq, .. })
            | Record::Parked(Parked { seq, .. })
            | Record::Intent(Intent { seq, .. })
            | Record::End(End { seq, .. })
            | Record::Unshown(End { seq, .. })
            | Record::Withdrawn { seq, .. }
            | Record::CutOff { seq, .. }
            | Record::Unkept { seq, .. }
            | Record::Step { seq, .. }
            | Record::Values { seq, .. }
            | Record::Void { seq, .. } => Some(*seq),
            Record::Moved { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// Whether its numbers are possible: whatever wrote it, numbers out of bounds are never used.
    pub(super) fn is_sane(&self) -> bool {
        let is_task = |seq: u64, attempt: u32| {
            (1..=LARGEST).contains(&seq) && u64::from(attempt) < u64::from(u32::MAX) / 2
        };
        let are_details = |details: &Option<Details>| details.as_ref().is_none_or(Details::is_sane);
        let is_time = |seconds: f64| (0.0..LARGEST as f64).contains(&seconds);
        match self {
            Record::Run(run) => run.generation > 0 && run.generation < u32::MAX / 2,
            Record::Start(Start { seq, attempt, .. })
            | Record::Withdrawn { seq, attempt, .. }
            | Record::CutOff { seq, attempt, .. }
            | Record::Unkept { seq, attempt, .. }
            | Record::Void { seq, attempt, .. } => is_task(*seq, *attempt),
            Record::Again(Again { seq, attempt, details, .. }) => {
                is_task(*seq, *attempt) && are_details(details)
            }
            Record::Parked(parked) => {
                is_task(parked.seq, parked.attempt)
                    && are_details(&parked.details)
                    && is_time(parked.until)
                    && parked.state.0.len() <= STATE_AT_MOST
            }
            Record::Intent(intent) => {
                is_task(intent.seq, intent.attempt)
                    && intent.printed <= LARGEST
                    && is_time(intent.seconds)
                    && is_time(intent.cpu)
            }
            Record::Step { seq, .. } | Record::Values { seq, .. } => is_task(*seq, 0),
            Record::Moved { seq, to, .. } => is_task(*seq, 0) && is_task(*to, 0),
            Record::End(end) | Record::Unshown(end) => {
                let is_added = |added: &Added| {
                    (EMITTED_FROM..LARGEST).contains(&added.first)
                        && added.first + (added.values.len() as u64) < LARGEST
                };
                is_task(end.seq, end.attempt)
                    && is_time(end.seconds)
                    && is_time(end.cpu)
                    && end.emitted.as_ref().is_none_or(is_added)
                    && are_details(&end.details)
            }
            Record::Kept(Batch { first, values, at, bytes, .. }) => {
                (1..=LARGEST).contains(first) && [values, at, bytes].iter().all(|n| **n <= LARGEST)
            }
            Record::InputsEnd { total } => *total <= LARGEST,
            Record::Sample(sample) => sample.is_sane(),
            Record::List { .. } | Record::Finish { .. } | Record::Unknown => true,
        }
    }
}

/// A generation of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) schema: u32,
    pub(crate) run: String,
    pub(crate) version: String,
    /// From 1.
    pub(crate) generation: u32,
    /// The command line, without the program.
    pub(crate) arguments: Vec<Bytes>,
    /// The working directory.
    pub(crate) folder: Bytes,
    pub(crate) pid: u32,
    /// The run whose task has started this one, if one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<String>,
    /// Which share of the tasks it has, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<Shard>,
    /// A digest of what it does with each value, if it is a shard.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) work: String,
    /// Where its supervisor runs, if it is a shard: one that runs elsewhere cannot be asked whether
    /// it is alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<String>,
}

/// An attempt that may start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// The task's number in the input, from 1.
    pub(crate) seq: u64,
    pub(crate) value: Bytes,
    /// From 1.
    pub(crate) attempt: u32,
    /// Its task slot. When another attempt is published in the same slot, this one has finished.
    pub(crate) cell: u16,
}

/// An attempt that did not succeed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) seq: u64,
    pub(crate) value: Bytes,
    pub(crate) attempt: u32,
    /// Not recorded before schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<AgainKind>,
    pub(crate) cause: String,
    /// As for [`End`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Details>,
}

/// A task that waits without a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Parked {
    pub(crate) seq: u64,
    pub(crate) value: Bytes,
    pub(crate) attempt: u32,
    /// When it runs again, in seconds since 1970.
    pub(crate) until: f64,
    /// What it has left.
    pub(crate) state: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Details>,
}

/// What an attempt that did not succeed counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AgainKind {
    Failed,
    /// It crashed its process.
    Crashed,
    /// It was killed from outside.
    Lost,
    /// There was no memory left for it.
    Starved,
}

/// Values in the file of those that cannot be read again, each followed by a NUL byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// The number of the first one, from 1, and the number of values.
    pub(crate) first: u64,
    pub(crate) values: u64,
    /// Where they are in the file.
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    /// Their checksum, with the run's id before them.
    pub(crate) sum: u32,
}

/// A complete temporary file. If it is gone and no end was written, it has been renamed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) seq: u64,
    pub(crate) value: Bytes,
    pub(crate) attempt: u32,
    /// Its path, relative to the working directory.
    pub(crate) temporary: Bytes,
    /// Bytes that the attempt wrote to its standard output and error.
    pub(crate) printed: u64,
    /// As for [`End`].
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    /// The values of the tasks that it has added to the run. They have no numbers yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) emitted: Vec<Bytes>,
    /// The file as it is about to be renamed. Not recorded in schema 1 and 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<Made>,
}

/// A file as far as it matters: its size, and when it was last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Made {
    /// In bytes.
    pub(crate) size: u64,
    /// In nanoseconds since 1970.
    pub(crate) mtime: i64,
}

impl Made {
    pub(crate) fn of(meta: &std::fs::Metadata) -> Made {
        const NS: i64 = 1_000_000_000;
        let mtime = meta.mtime().saturating_mul(NS).saturating_add(meta.mtime_nsec());
        Made { size: meta.len(), mtime }
    }
}

/// A task has finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) seq: u64,
    pub(crate) value: Bytes,
    /// The last attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// The exit status or the signal of the last attempt, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<u8>,
    /// The wall time and the CPU time of the last attempt, in seconds.
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    /// The tasks that it has added to the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) emitted: Option<Added>,
    /// Of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Details>,
}

/// Tasks that another one has added to the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Added {
    /// The number of the first one; the others follow it.
    pub(crate) first: u64,
    pub(crate) values: Vec<Bytes>,
}

/// The state of a finished task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Succeeded,
    Failed,
    Quarantined,
}

/// Bytes, exactly: a JSON string where they are UTF-8, else `{"hex": "..."}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        map.serialize_entry("hex", &hex)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or {\"hex\": ...}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().to_vec()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
                let entry = map.next_entry::<String, String>()?;
                let Some((_, text)) = entry.filter(|(name, _)| name == "hex") else {
                    return Err(de::Error::missing_field("hex"));
                };
                from_hex(&text).map(Bytes).ok_or_else(|| de::Error::custom("not hexadecimal"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_exactly() {
        for bytes in [&b"plain"[..], b"", "\u{e9} \"quoted\"\n".as_bytes(), b"\xff\x00 not UTF-8"] {
            let json = serde_json::to_string(&Bytes(bytes.to_vec())).expect("no reason to fail");
            let back: Bytes = serde_json::from_str(&json).expect("as written");
            assert_eq!(back.0, bytes, "{json}");
        }
        assert!(serde_json::from_str::<Bytes>(r#"{"hex":"abc"}"#).is_err());
    }

    #[test]
    fn an_event_of_a_later_release_is_passed_over() {
        let record = serde_json::from_str(r#"{"event":"weather","sunny":true}"#);
        assert!(matches!(record, Ok(Record::Unknown)));
    }

    #[test]
    fn a_record_survives() {
        let end = End {
            seq: 3,
            value: Bytes(b"\xff.png".to_vec()),
            attempt: 2,
            state: State::Quarantined,
            cause: Some("signal 11".into()),
            exit: None,
            signal: Some(11),
            seconds: 0.25,
            cpu: 0.125,
            emitted: None,
            details: None,
        };
        let json = serde_json::to_string(&Record::End(end)).expect("no reason to fail");
        let Ok(Record::End(back)) = serde_json::from_str(&json) else { panic!("{json}") };
        assert_eq!((back.seq, back.value.0.as_slice()), (3, &b"\xff.png"[..]));
        assert_eq!((back.state, back.cause.as_deref()), (State::Quarantined, Some("signal 11")));
        assert_eq!((back.exit, back.signal), (None, Some(11)));
    }

    #[test]
    fn a_record_of_schema_1_can_be_read() {
        let end = concat!(
            r#"{"event":"end","seq":1,"value":"a","attempt":1,"state":"succeeded","#,
            r#""seconds":0.1,"cpu":0}"#
        );
        assert!(matches!(serde_json::from_str(end), Ok(Record::End(End { exit: None, .. }))));
        let again = r#"{"event":"again","seq":1,"value":"a","attempt":1,"cause":"exit 3"}"#;
        assert!(matches!(serde_json::from_str(again), Ok(Record::Again(Again { kind: None, .. }))));
    }

    #[test]
    fn numbers_without_bounds_are_not_sane() {
        let read = |text: &str| serde_json::from_str::<Record>(text).expect("a record").is_sane();
        assert!(read(r#"{"event":"void","seq":1,"value":"a","attempt":1}"#));
        for insane in [
            r#"{"event":"void","seq":18446744073709551615,"value":"a","attempt":1}"#,
            r#"{"event":"void","seq":0,"value":"a","attempt":1}"#,
            r#"{"event":"void","seq":1,"value":"a","attempt":4294967295}"#,
            r#"{"event":"inputs-end","total":18446744073709551615}"#,
            concat!(
                r#"{"event":"end","seq":1,"value":"a","attempt":1,"state":"failed","#,
                r#""seconds":-1,"cpu":0}"#
            ),
        ] {
            assert!(!read(insane), "{insane}");
        }
    }
}
