//! `msup trace`: the attempts of a run on a time line, for Perfetto and other viewers of Chrome's
//! trace events.
//!
//! A process of the trace is a stage, a thread a worker slot. Events are written as they are read:
//! each waits only for those that may have begun before it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, BufWriter, Write, stdout};
use std::path::PathBuf;

use clap::Parser;
use serde_json::{Value, json};

use super::{log, printed};
use crate::cli::Refusal;
use crate::journal::{AttemptReader, JournalError, Record, Sample, ToldAttempt};
use crate::report::escape;

/// Print the time line of a run, as Chrome's trace events: for ui.perfetto.dev and other viewers.
#[derive(Debug, Parser)]
#[command(name = "msup trace", override_usage = "msup trace [RUN] > FILE.json")]
pub(crate) struct TraceCommand {
    /// The run: its id, its folder with a '/' (./FOLDER), the file of a pipeline, or last (default)
    run: Option<PathBuf>,
}

impl TraceCommand {
    /// Prints the trace.
    ///
    /// # Errors
    /// The run cannot be read, or standard output cannot be written.
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        let folder = log::folder_of(self.run.as_deref())?;
        let mut trace = TraceWriter::new(BufWriter::new(stdout().lock()));
        let mut reader = AttemptReader::default();
        let damaged = folder.each_intact_record(|at, record| {
            match &record {
                Record::Run(_) => trace.begin(at),
                Record::Sample(sample) => trace.sample(at, sample),
                _ => {}
            }
            if let Some(told) = reader.take(at, record) {
                trace.add(told, reader.oldest_start());
            }
        })?;
        let damaged = damaged.ok_or_else(|| JournalError::NoJournal(folder.journal()))?;
        log::say_damaged(&folder, damaged);
        printed(trace.finish())
    }
}

/// What comes before the first event.
const HEAD: &[u8] = b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";

/// Times of records are rounded to milliseconds.
const RECORD_TIMES: f64 = 0.001;

/// An attempt that waits for others that may have begun before it.
struct Waiting {
    /// The bits of its start sort like the times.
    start: u64,
    /// The order in which attempts finished.
    number: u64,
    told: ToldAttempt,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Waiting {
    fn key(&self) -> (u64, u64) {
        (self.start, self.number)
    }
}

/// Writes the events, the earliest first.
struct TraceWriter<W> {
    out: W,
    written: io::Result<()>,
    is_first: bool,
    /// When the run began, in seconds since 1970.
    began: Option<f64>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    number: u64,
    /// The stages, each with the number of its process.
    stages: BTreeMap<Vec<u8>, u64>,
    /// When the last event on each track was over, in microseconds of the trace.
    tracks: BTreeMap<(u64, u64), u64>,
}

impl<W: Write> TraceWriter<W> {
    fn new(out: W) -> TraceWriter<W> {
        TraceWriter {
            written: Ok(()),
            out,
            is_first: true,
            began: None,
            waiting: BinaryHeap::new(),
            number: 0,
            stages: BTreeMap::new(),
            tracks: BTreeMap::new(),
        }
    }

    /// A generation begins.
    fn begin(&mut self, at: f64) {
        if self.began.is_none() {
            self.began = Some(at);
            self.write(&json!({
                "name": "process_name", "ph": "M", "pid": 0, "args": { "name": "msup" },
            }));
        }
    }

    /// A time in microseconds since the run began.
    fn since_began(&self, at: f64) -> u64 {
        ((at - self.began.unwrap_or(at)) * 1e6).round().max(0.0) as u64
    }

    fn sample(&mut self, at: f64, sample: &Sample) {
        let ts = self.since_began(at);
        let mut counters = vec![("in flight", json!({ "tasks": sample.in_flight }))];
        counters.extend(sample.limit.map(|limit| ("limit", json!({ "tasks": limit }))));
        counters.extend(sample.cpu.map(|cpu| ("CPU use", json!({ "CPUs": cpu }))));
        counters
            .extend(sample.available.map(|bytes| ("available memory", json!({ "bytes": bytes }))));
        for (name, args) in counters {
            self.write(&json!({ "name": name, "ph": "C", "pid": 0, "ts": ts, "args": args }));
        }
    }

    /// An attempt is over. None that comes later has begun before `oldest`.
    fn add(&mut self, told: ToldAttempt, oldest: f64) {
        self.number += 1;
        let (start, number) = (told.start.max(0.0).to_bits(), self.number);
        self.waiting.push(Reverse(Waiting { start, number, told }));
        while let Some(Reverse(first)) = self.waiting.peek() {
            if f64::from_bits(first.start) > oldest - RECORD_TIMES {
                break;
            }
            if let Some(Reverse(Waiting { told, .. })) = self.waiting.pop() {
                self.event(&told);
            }
        }
    }

    fn event(&mut self, told: &ToldAttempt) {
        let pid = self.process_of(told.stage().unwrap_or_default());
        let (start, end) = (self.since_began(told.start), self.since_began(told.end));
        let tid = told.details.slot.map_or_else(|| self.free_track(pid, start), u64::from);
        // Clocks are set, and starts of lost attempts are estimated: events never overlap.
        let free = self.tracks.get(&(pid, tid)).copied().unwrap_or(0);
        let (start, end) = (start.max(free), end.max(free));
        self.tracks.insert((pid, tid), end);
        let mut args = json!({ "seq": told.seq, "attempt": told.attempt, "cpu": told.cpu });
        if let Some(cause) = &told.cause {
            args["cause"] = Value::String(escape::failure(cause));
        }
        if told.details.memory > 0 {
            args["memory"] = told.details.memory.into();
        }
        self.write(&json!({
            "name": escape::value(&told.value.0),
            "cat": told.fate.name(),
            "ph": "X",
            "pid": pid,
            "tid": tid,
            "ts": start,
            "dur": end - start,
            "args": args,
        }));
    }

    /// The process of a stage, from 1.
    fn process_of(&mut self, stage: &[u8]) -> u64 {
        if let Some(pid) = self.stages.get(stage) {
            return *pid;
        }
        let pid = self.stages.len() as u64 + 1;
        self.stages.insert(stage.to_vec(), pid);
        let name = if stage.is_empty() { "tasks".to_owned() } else { escape::value(stage) };
        self.write(&json!({
            "name": "process_name", "ph": "M", "pid": pid, "args": { "name": name },
        }));
        pid
    }

    /// The first track on which nothing runs at this time: older journals name no slots.
    fn free_track(&self, pid: u64, start: u64) -> u64 {
        let is_free = |tid: &u64| self.tracks.get(&(pid, *tid)).is_none_or(|end| *end <= start);
        (1..).find(is_free).unwrap_or(1)
    }

    fn write(&mut self, event: &Value) {
        if self.written.is_err() {
            return;
        }
        let before = if std::mem::take(&mut self.is_first) { HEAD } else { b",\n" };
        self.written = self.out.write_all(before).and_then(|()| escape::json(&mut self.out, event));
    }

    fn finish(mut self) -> io::Result<()> {
        while let Some(Reverse(Waiting { told, .. })) = self.waiting.pop() {
            self.event(&told);
        }
        self.written?;
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{AttemptFate, Bytes, Details, State};

    fn told(seq: u64, (start, end): (f64, f64), slot: Option<u32>) -> ToldAttempt {
        ToldAttempt {
            seq,
            value: Bytes(format!("v{seq}").into_bytes()),
            attempt: 1,
            fate: AttemptFate::Ended(State::Succeeded),
            cause: None,
            exit: Some(0),
            signal: None,
            start,
            end,
            cpu: 0.0,
            is_step: false,
            details: Details { slot, ..Details::default() },
        }
    }

    fn traced(attempts: &[(u64, (f64, f64), Option<u32>)]) -> Vec<(u64, u64, u64, u64)> {
        let mut bytes = Vec::new();
        let mut trace = TraceWriter::new(&mut bytes);
        trace.begin(10.0);
        for (seq, times, slot) in attempts {
            trace.add(told(*seq, *times, *slot), f64::NEG_INFINITY);
        }
        trace.finish().expect("memory");
        let whole: Value = serde_json::from_slice(&bytes).expect("JSON");
        let events = whole["traceEvents"].as_array().expect("a list").iter();
        let number = |event: &Value, key: &str| event[key].as_u64().expect("a number");
        let events = events.filter(|event| event["ph"] == "X");
        events
            .map(|event| {
                let seq = number(&event["args"], "seq");
                (seq, number(event, "tid"), number(event, "ts"), number(event, "dur"))
            })
            .collect()
    }

    #[test]
    fn events_are_in_order_and_do_not_overlap() {
        let events = traced(&[
            (1, (10.5, 11.0), Some(1)),
            (2, (10.0, 12.0), Some(2)),
            // Its start is estimated, and too early.
            (3, (10.75, 13.0), Some(1)),
        ]);
        let expected =
            [(2, 2, 0, 2_000_000), (1, 1, 500_000, 500_000), (3, 1, 1_000_000, 2_000_000)];
        assert_eq!(events, expected);
    }

    #[test]
    fn without_slots_each_goes_to_the_first_free_track() {
        let events =
            traced(&[(1, (10.0, 11.0), None), (2, (10.5, 12.0), None), (3, (11.0, 12.0), None)]);
        let tracks: Vec<_> = events.iter().map(|(seq, tid, ..)| (*seq, *tid)).collect();
        assert_eq!(tracks, [(1, 1), (2, 2), (3, 1)]);
    }
}
