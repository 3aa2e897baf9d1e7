//! What the page of `msup report` draws, in buckets: series over time, the time line of many
//! attempts, and histograms.

use std::collections::BTreeMap;

use super::digest::thousandths;
use crate::journal::Sample;

/// Buckets of the series, and of each lane of the time line.
const BUCKETS: usize = 600;

/// No bucket is narrower, in seconds.
const LEAST_WIDTH: f64 = 1e-6;

/// Up to this number of attempts each is drawn by itself.
const SPANS: u64 = 10_000;

/// Lanes that are drawn; more of them are drawn together.
const LANES: u32 = 64;

/// Buckets of a histogram for a factor of 10.
const PER_DECADE: f64 = 4.0;

/// The buckets that a time from `start` on falls into, each with how much of it.
fn shares(start: f64, seconds: f64, width: f64, buckets: usize) -> Vec<(usize, f64)> {
    let last = buckets - 1;
    let bucket = |at: f64| ((at / width).max(0.0) as usize).min(last);
    let (first, end) = (bucket(start), start + seconds);
    let shares = (first..=bucket(end)).map(|at| {
        let (from, to) = (at as f64 * width, (at + 1) as f64 * width);
        (at, (end.min(to) - start.max(from)).max(0.0))
    });
    shares.collect()
}

/// How a run was doing over time.
#[derive(Debug)]
pub(super) struct Series {
    /// Seconds of a bucket.
    width: f64,
    /// CPU seconds, and seconds of all attempts, in each bucket.
    cpu: Vec<f64>,
    in_flight: Vec<f64>,
    /// The limit on tasks in flight, and the tasks that wait.
    limit: Vec<Option<u32>>,
    ready: Vec<Option<u64>>,
}

impl Series {
    pub(super) fn new(length: f64) -> Series {
        Series {
            width: (length / BUCKETS as f64).max(LEAST_WIDTH),
            cpu: vec![0.0; BUCKETS],
            in_flight: vec![0.0; BUCKETS],
            limit: vec![None; BUCKETS],
            ready: vec![None; BUCKETS],
        }
    }

    /// An attempt is taken to have used the CPU evenly.
    pub(super) fn add_attempt(&mut self, start: f64, seconds: f64, cpu: f64) {
        for (bucket, share) in shares(start, seconds, self.width, BUCKETS) {
            self.in_flight[bucket] += share;
            self.cpu[bucket] += if seconds > 0.0 { cpu * share / seconds } else { cpu };
        }
    }

    pub(super) fn add_sample(&mut self, at: f64, sample: &Sample) {
        let bucket = ((at / self.width).max(0.0) as usize).min(BUCKETS - 1);
        self.limit[bucket] = sample.limit.or(self.limit[bucket]);
        self.ready[bucket] = Some(sample.ready);
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let per_second = |all: &[f64]| -> Vec<f64> {
            all.iter().map(|sum| thousandths(sum / self.width)).collect()
        };
        serde_json::json!({
            "width": self.width,
            "cpu": per_second(&self.cpu),
            "inFlight": per_second(&self.in_flight),
            "limit": self.limit,
            "ready": self.ready,
        })
    }
}

/// An attempt on the time line. Times in seconds since the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) lane: u32,
    pub(super) start: f64,
    pub(super) seconds: f64,
    pub(super) has_failed: bool,
    pub(super) seq: u64,
}

/// All attempts by lanes: one by one, or how busy each lane was.
#[derive(Debug)]
pub(super) struct Timeline {
    lanes: u32,
    width: f64,
    /// Each with the task's number and value.
    spans: Option<Vec<serde_json::Value>>,
    /// Of each lane and bucket: seconds of attempts, and of those that did not succeed.
    busy: Vec<[f64; 2]>,
}

impl Timeline {
    pub(super) fn new(length: f64, lanes: u32, attempts: u64) -> Timeline {
        let (is_exact, drawn) = (attempts <= SPANS, lanes.min(LANES) as usize);
        Timeline {
            lanes,
            width: (length / BUCKETS as f64).max(LEAST_WIDTH),
            spans: is_exact.then(Vec::new),
            busy: if is_exact { Vec::new() } else { vec![[0.0; 2]; drawn * BUCKETS] },
        }
    }

    /// The lane that is drawn for this one.
    fn drawn(&self, lane: u32) -> u32 {
        if self.lanes > LANES {
            (u64::from(lane) * u64::from(LANES) / u64::from(self.lanes)) as u32
        } else {
            lane
        }
    }

    pub(super) fn add(&mut self, span: Span, value: &str) {
        let (lane, width) = (self.drawn(span.lane), self.width);
        let Span { start, seconds, has_failed, seq, .. } = span;
        if let Some(spans) = &mut self.spans {
            let times = [thousandths(start), thousandths(seconds)];
            spans.push(serde_json::json!([
                lane,
                times[0],
                times[1],
                u8::from(has_failed),
                seq,
                value
            ]));
            return;
        }
        for (bucket, share) in shares(start, seconds, width, BUCKETS) {
            let Some(busy) = self.busy.get_mut(lane as usize * BUCKETS + bucket) else { continue };
            busy[0] += share;
            busy[1] += if has_failed { share } else { 0.0 };
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let lanes = self.lanes.min(LANES);
        // Lanes that are drawn together are busy when all of them are.
        let together = f64::from(self.lanes.max(1)) / f64::from(lanes.max(1));
        let percent =
            |seconds: f64| (seconds / self.width / together * 100.0).round().min(100.0) as u8;
        let busy: Vec<[u8; 2]> = self.busy.iter().map(|busy| busy.map(percent)).collect();
        serde_json::json!({
            "lanes": lanes,
            "slots": self.lanes,
            "width": self.width,
            "buckets": BUCKETS,
            "spans": self.spans,
            "busy": if self.spans.is_some() { None } else { Some(busy) },
        })
    }
}

/// How many numbers are of about which size; those of successes and failures apart.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: BTreeMap<i32, [u64; 2]>,
}

impl Histogram {
    pub(super) fn add(&mut self, number: f64, has_failed: bool) {
        let bucket = (number.max(1e-6).log10() * PER_DECADE).floor() as i32;
        self.buckets.entry(bucket).or_default()[usize::from(has_failed)] += 1;
    }

    /// The lower bound of each bucket, and its counts. Empty buckets between others are there.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let bounds = self.buckets.keys().next().zip(self.buckets.keys().next_back());
        let Some((first, last)) = bounds else { return serde_json::json!([]) };
        let all = (*first..=*last).map(|bucket| {
            let [good, bad] = self.buckets.get(&bucket).copied().unwrap_or_default();
            serde_json::json!([10_f64.powf(f64::from(bucket) / PER_DECADE), good, bad])
        });
        serde_json::Value::Array(all.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shared_out_among_buckets() {
        assert_eq!(shares(0.5, 2.0, 1.0, 10), [(0, 0.5), (1, 1.0), (2, 0.5)]);
        assert_eq!(shares(9.5, 5.0, 1.0, 10), [(9, 0.5)], "beyond the end");
        assert_eq!(shares(3.0, 0.0, 1.0, 10), [(3, 0.0)]);
        let mut series = Series::new(BUCKETS as f64);
        series.add_attempt(10.0, 4.0, 2.0);
        assert_eq!((series.cpu[10], series.cpu[13], series.in_flight[12]), (0.5, 0.5, 1.0));
    }

    #[test]
    fn many_attempts_are_drawn_as_shares() {
        let mut timeline = Timeline::new(BUCKETS as f64, 128, SPANS + 1);
        for lane in [126, 127] {
            let span = Span { lane, start: 5.0, seconds: 1.0, has_failed: lane == 127, seq: 1 };
            timeline.add(span, "v");
        }
        let json = timeline.to_json();
        assert_eq!((&json["lanes"], &json["slots"]), (&64.into(), &128.into()));
        assert_eq!(json["busy"][63 * BUCKETS + 5], serde_json::json!([100, 50]));
    }

    #[test]
    fn four_buckets_make_a_factor_of_ten() {
        let mut histogram = Histogram::default();
        [1.0, 1.5, 9.9, 10.0].iter().for_each(|number| histogram.add(*number, false));
        histogram.add(1.0, true);
        let json = histogram.to_json();
        let counts: Vec<_> = json
            .as_array()
            .expect("buckets")
            .iter()
            .map(|one| (one[1].as_u64(), one[2].as_u64()))
            .collect();
        let expected = [(2, 1), (0, 0), (0, 0), (1, 0), (1, 0)].map(|(a, b)| (Some(a), Some(b)));
        assert_eq!(counts, expected);
    }
}
