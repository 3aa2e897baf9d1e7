//! The attempts of a run as its journal tells them, in the order in which they finished.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::details::Details;
use super::record::{Again, Bytes, End, Parked, Record, Start, State};

/// How an attempt has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptFate {
    /// So has its task.
    Ended(State),
    /// It did not succeed, and another one follows.
    Retried,
    /// It has parked its task.
    Parked,
    /// It was in flight when a generation died.
    CutOff,
}

impl AttemptFate {
    /// As `msup log` and traces write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            AttemptFate::Ended(State::Succeeded) => "succeeded",
            AttemptFate::Ended(State::Failed) => "failed",
            AttemptFate::Ended(State::Quarantined) => "quarantined",
            AttemptFate::Retried => "retried",
            AttemptFate::Parked => "parked",
            AttemptFate::CutOff => "cut-off",
        }
    }
}

/// An attempt that is over. Times are in seconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct ToldAttempt {
    pub(crate) seq: u64,
    pub(crate) value: Bytes,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) fate: AttemptFate,
    pub(crate) cause: Option<String>,
    pub(crate) exit: Option<u8>,
    pub(crate) signal: Option<u8>,
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// Its CPU time in seconds.
    pub(crate) cpu: f64,
    /// It is one of a pipeline: its value begins with the name of its stage.
    pub(crate) is_step: bool,
    pub(crate) details: Details,
}

impl ToldAttempt {
    pub(crate) fn seconds(&self) -> f64 {
        (self.end - self.start).max(0.0)
    }

    /// The stage that it is one of, in a pipeline.
    pub(crate) fn stage(&self) -> Option<&[u8]> {
        const BEHIND_STAGE: &[u8] = b": ";
        let value = &self.value.0[..];
        let at = value.windows(BEHIND_STAGE.len()).position(|two| two == BEHIND_STAGE);
        self.is_step.then(|| &value[..at.unwrap_or(value.len())])
    }
}

/// An attempt under way.
type Underway = (u64, u32);

/// Puts records together to attempts.
#[derive(Debug, Default)]
pub(crate) struct AttemptReader {
    /// When the attempts under way were journaled, and their values.
    starts: HashMap<Underway, (f64, Bytes)>,
    /// The same in order. Times before 1970 do not occur: their bits sort like themselves.
    order: BTreeSet<(u64, Underway)>,
    /// Tasks of a pipeline that have not finished.
    steps: HashSet<u64>,
    /// When a generation last wrote something about what it did itself: what it says of the one
    /// before it, it writes first.
    last: f64,
}

impl AttemptReader {
    /// Takes a record that was written at `at`. Returns the attempt that it says is over.
    pub(crate) fn take(&mut self, at: f64, record: Record) -> Option<ToldAttempt> {
        let is_of_before = matches!(&record, Record::Again(Again { details: None, .. }));
        let told = match record {
            Record::Start(Start { seq, value, attempt, .. }) => {
                self.starts.insert((seq, attempt), (at, value));
                self.order.insert((at.to_bits(), (seq, attempt)));
                None
            }
            Record::Step { seq, .. } => {
                self.steps.insert(seq);
                None
            }
            Record::Withdrawn { seq, attempt, .. } => {
                self.leave((seq, attempt));
                None
            }
            Record::CutOff { seq, value, attempt, .. } => {
                let start = self.leave((seq, attempt)).unwrap_or(self.last);
                let times = (start, self.last.max(start));
                return Some(self.told((seq, value, attempt), AttemptFate::CutOff, times));
            }
            Record::Again(again) => Some(self.again(at, again)),
            Record::Parked(Parked { seq, value, attempt, details, .. }) => {
                let details = details.unwrap_or_default();
                let seconds = details.seconds.unwrap_or_default();
                let times = self.times((seq, attempt), at, &details, seconds);
                let told = self.told((seq, value, attempt), AttemptFate::Parked, times);
                Some(ToldAttempt { cpu: details.cpu.unwrap_or_default(), details, ..told })
            }
            Record::End(end) => Some(self.end(at, end)),
            _ => None,
        };
        if !is_of_before {
            self.last = at;
        }
        told
    }

    fn again(&mut self, at: f64, again: Again) -> ToldAttempt {
        let Again { seq, value, attempt, cause, exit, signal, details, .. } = again;
        let details = details.unwrap_or_default();
        let seconds = details.seconds.unwrap_or_default();
        let times = self.times((seq, attempt), at, &details, seconds);
        let (cause, cpu) = (Some(cause), details.cpu.unwrap_or_default());
        let told = self.told((seq, value, attempt), AttemptFate::Retried, times);
        ToldAttempt { cause, exit, signal, cpu, details, ..told }
    }

    fn end(&mut self, at: f64, end: End) -> ToldAttempt {
        let End { seq, value, attempt, state, cause, exit, signal, seconds, cpu, details, .. } =
            end;
        let details = details.unwrap_or_default();
        let times = self.times((seq, attempt), at, &details, seconds);
        let told = self.told((seq, value, attempt), AttemptFate::Ended(state), times);
        self.steps.remove(&seq);
        ToldAttempt { cause, exit, signal, cpu, details, ..told }
    }

    fn told(
        &self,
        (seq, value, attempt): (u64, Bytes, u32),
        fate: AttemptFate,
        (start, end): (f64, f64),
    ) -> ToldAttempt {
        ToldAttempt {
            seq,
            value,
            attempt,
            fate,
            cause: None,
            exit: None,
            signal: None,
            start,
            end,
            cpu: 0.0,
            is_step: self.steps.contains(&seq),
            details: Details::default(),
        }
    }

    /// When an attempt began and finished of which a record says this at `at`.
    fn times(&mut self, of: Underway, at: f64, details: &Details, seconds: f64) -> (f64, f64) {
        let journaled = self.leave(of);
        match (details.start, journaled) {
            (Some(start), _) => (start, start + seconds),
            // Its worker was lost: it has run since then at the latest.
            (None, Some(start)) if seconds == 0.0 => (start, at.max(start)),
            _ => ((at - seconds).max(0.0), at),
        }
    }

    /// An attempt is not under way any more. Returns when it was journaled.
    fn leave(&mut self, of: Underway) -> Option<f64> {
        let (start, _) = self.starts.remove(&of)?;
        self.order.remove(&(start.to_bits(), of));
        Some(start)
    }

    /// No attempt that is told later has begun before.
    pub(crate) fn oldest_start(&self) -> f64 {
        self.order.first().map_or(f64::INFINITY, |(bits, _)| f64::from_bits(*bits))
    }

    /// Attempts that nothing was written about since they were journaled: their tasks' numbers and
    /// values, which attempts they are, and since when.
    pub(crate) fn under_way(self) -> impl Iterator<Item = (u64, Bytes, u32, f64)> {
        let starts = self.starts.into_iter();
        starts.map(|((seq, attempt), (at, value))| (seq, value, attempt, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(f64, &str)]) -> (Vec<ToldAttempt>, AttemptReader) {
        let (mut reader, mut told) = (AttemptReader::default(), Vec::new());
        for (at, line) in lines {
            let record = serde_json::from_str(line).expect(line);
            told.extend(reader.take(*at, record));
        }
        (told, reader)
    }

    #[test]
    fn attempts_are_put_together() {
        let (told, reader) = read(&[
            (10.0, r#"{"event":"start","seq":1,"value":"a","attempt":1,"cell":0}"#),
            (10.0, r#"{"event":"start","seq":2,"value":"b","attempt":1,"cell":1}"#),
            (10.0, r#"{"event":"start","seq":3,"value":"c","attempt":1,"cell":2}"#),
            (
                12.0,
                r#"{"event":"again","seq":1,"value":"a","attempt":1,"cause":"exit 3","exit":3,
                   "details":{"slot":2,"start":10.5,"seconds":1.25,"cpu":0.5}}"#,
            ),
            (12.0, r#"{"event":"start","seq":1,"value":"a","attempt":2,"cell":0}"#),
            (13.0, r#"{"event":"withdrawn","seq":3,"value":"c","attempt":1}"#),
            (
                14.0,
                r#"{"event":"end","seq":1,"value":"a","attempt":2,"state":"succeeded","exit":0,
                   "seconds":1.5,"cpu":0.25,"details":{"slot":1,"start":12.25,"memory":4096}}"#,
            ),
        ]);
        let shown: Vec<_> = told
            .iter()
            .map(|told| (told.seq, told.attempt, told.fate.name(), told.start, told.end, told.cpu))
            .collect();
        assert_eq!(
            shown,
            [(1, 1, "retried", 10.5, 11.75, 0.5), (1, 2, "succeeded", 12.25, 13.75, 0.25)]
        );
        assert_eq!((told[0].details.slot, told[1].details.memory), (Some(2), 4096));
        assert_eq!(reader.oldest_start(), 10.0);
        let under_way: Vec<_> = reader.under_way().map(|(seq, ..)| seq).collect();
        assert_eq!(under_way, [2]);
    }

    #[test]
    fn what_an_old_journal_does_not_say_is_taken_from_its_times() {
        let (told, _) = read(&[(
            14.0,
            r#"{"event":"end","seq":1,"value":"a","attempt":1,"state":"failed","seconds":1.5,
               "cpu":0.25}"#,
        )]);
        assert_eq!((told[0].start, told[0].end, told[0].details.slot), (12.5, 14.0, None));
    }

    #[test]
    fn what_was_in_flight_ends_when_its_generation_died() {
        let run = |generation| {
            format!(
                r#"{{"event":"run","schema":3,"run":"1-2","version":"0","generation":{generation},
                    "arguments":[],"folder":"/","pid":1}}"#
            )
        };
        let (one, two) = (run(1), run(2));
        let again = r#"{"event":"again","seq":2,"value":"b","attempt":1,"cause":"exit 1"}"#;
        let (told, _) = read(&[
            (9.0, &one),
            (10.0, r#"{"event":"start","seq":1,"value":"a","attempt":1,"cell":0}"#),
            (11.0, r#"{"event":"inputs-end","total":1}"#),
            // As the next generation writes it.
            (50.0, again),
            (50.0, r#"{"event":"cut-off","seq":1,"value":"a","attempt":1,"beside":0}"#),
            (50.0, &two),
        ]);
        let cut_off = &told[1];
        assert_eq!((cut_off.fate.name(), cut_off.start, cut_off.end), ("cut-off", 10.0, 11.0));
    }

    #[test]
    fn the_stage_is_that_of_a_step() {
        let (told, _) = read(&[
            (1.0, r#"{"event":"step","seq":1,"step":{}}"#),
            (
                2.0,
                r#"{"event":"end","seq":1,"value":"wav: a: b","attempt":1,"state":"succeeded",
                   "seconds":1,"cpu":0}"#,
            ),
            (
                2.0,
                r#"{"event":"end","seq":2,"value":"wav: a","attempt":1,"state":"succeeded",
                   "seconds":1,"cpu":0}"#,
            ),
        ]);
        assert_eq!((told[0].stage(), told[1].stage()), (Some(&b"wav"[..]), None));
    }
}
