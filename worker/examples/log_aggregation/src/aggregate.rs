//! From the lines of a log to its report.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::BufReader;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Serialize;

use crate::error::BadLog;
use crate::lines::each_line;
use crate::record::{Minute, Record, combined, json};

/// How many paths a report names.
const TOP_PATHS: usize = 10;

/// After this many lines, which take about a millisecond, there is a pause.
const LINES_BETWEEN_PAUSES: u64 = 2048;

/// How much is decompressed at once, in bytes.
const BLOCK: usize = 64 << 10;

/// The report about a log, as a line of JSON. `content` is the log as it is on the disk; its name
/// tells the format: `.log` is nginx's combined one, `.jsonl` is JSON lines, and either may be
/// compressed (`.gz`). A compressed log is never in memory as a whole. `pause` is called about once
/// in a millisecond.
///
/// # Errors
/// The log is damaged: see [`BadLog`]. The first damage counts, and there is no report.
pub fn aggregate(log: &Path, content: &[u8], mut pause: impl FnMut()) -> Result<Vec<u8>, BadLog> {
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let (stem, is_compressed) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, true),
        None => (&*name, false),
    };
    let parse: fn(&str) -> Option<Record<'_>> = match stem.rsplit_once('.') {
        Some((_, "log")) => combined,
        Some((_, "jsonl")) => json,
        _ => return Err(BadLog::Name),
    };
    let mut sums = Sums::default();
    let take = |number: u64, line: &str| {
        sums.add(parse(line).ok_or(BadLog::Format(number))?);
        if number.is_multiple_of(LINES_BETWEEN_PAUSES) {
            pause();
        }
        Ok(())
    };
    if is_compressed {
        each_line(BufReader::with_capacity(BLOCK, MultiGzDecoder::new(content)), take)?;
    } else {
        each_line(content, take)?;
    }
    let mut line = serde_json::to_vec(&sums.report())?;
    line.push(b'\n');
    Ok(line)
}

/// What is known of the lines so far.
#[derive(Debug, Default)]
struct Sums {
    lines: u64,
    bytes: u64,
    clients: HashSet<String>,
    statuses: BTreeMap<u16, u64>,
    minutes: HashMap<Minute, u64>,
    agents: BTreeMap<&'static str, u64>,
    paths: HashMap<String, u64>,
    /// How long the responses took, in microseconds.
    micros: Vec<u64>,
}

impl Sums {
    fn add(&mut self, record: Record<'_>) {
        self.lines += 1;
        self.bytes += record.bytes;
        *self.statuses.entry(record.status).or_default() += 1;
        *self.minutes.entry(record.minute).or_default() += 1;
        *self.agents.entry(record.agent).or_default() += 1;
        if !self.clients.contains(&*record.client) {
            self.clients.insert(record.client.into_owned());
        }
        match self.paths.get_mut(&*record.path) {
            Some(count) => *count += 1,
            None => drop(self.paths.insert(record.path.into_owned(), 1)),
        }
        self.micros.extend(record.micros);
    }

    fn report(mut self) -> Report {
        let text = |minute: Minute| String::from_utf8_lossy(&minute).into_owned();
        let mut paths: Vec<(String, u64)> = self.paths.into_iter().collect();
        paths.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        paths.truncate(TOP_PATHS);
        self.micros.sort_unstable();
        let micros = &self.micros;
        Report {
            lines: self.lines,
            bytes: self.bytes,
            clients: self.clients.len(),
            statuses: self.statuses,
            minutes: self.minutes.into_iter().map(|(minute, n)| (text(minute), n)).collect(),
            agents: self.agents,
            paths,
            micros: (!micros.is_empty()).then(|| Percentiles {
                p50: percentile(micros, 50),
                p90: percentile(micros, 90),
                p99: percentile(micros, 99),
            }),
        }
    }
}

/// The smallest value that this percentage of the sorted values does not exceed. There must be at
/// least one value, and the percentage is 1 to 100.
fn percentile(sorted: &[u64], percentage: usize) -> u64 {
    sorted[(sorted.len() * percentage).div_ceil(100) - 1]
}

/// The fields have the names and the order of the JSON.
#[derive(Debug, Serialize)]
struct Report {
    lines: u64,
    /// The sum of the sizes of all responses.
    bytes: u64,
    /// How many different clients there were.
    clients: usize,
    statuses: BTreeMap<u16, u64>,
    /// Requests per minute.
    minutes: BTreeMap<String, u64>,
    agents: BTreeMap<&'static str, u64>,
    /// The most frequent ones and their counts, sorted by count, then by path.
    paths: Vec<(String, u64)>,
    micros: Option<Percentiles>,
}

/// Of the response times, in microseconds.
#[derive(Debug, Serialize)]
struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn event(second: u32, path: &str, micros: u32) -> String {
        format!(
            "{{\"time\":\"2026-10-05T13:00:{second:02}Z\",\"client\":\"c{}\",\"path\":\"{path}\",\
             \"status\":{},\"bytes\":10,\"micros\":{micros},\"agent\":\"curl/8\"}}\n",
            second % 2,
            200 + second,
        )
    }

    fn text(name: &str, content: &[u8]) -> Result<String, BadLog> {
        let line = aggregate(Path::new(name), content, || {})?;
        Ok(String::from_utf8(line).expect("UTF-8"))
    }

    fn compressed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).and_then(|()| encoder.finish()).expect("in memory")
    }

    #[test]
    fn a_report_has_what_its_log_has() {
        let log = event(2, "/b", 30) + &event(1, "/a", 10) + &event(1, "/c/9", 20);
        let expected = "{\"lines\":3,\"bytes\":30,\"clients\":2,\
                        \"statuses\":{\"201\":2,\"202\":1},\"minutes\":{\"2026-10-05T13:00\":3},\
                        \"agents\":{\"curl\":3},\
                        \"paths\":[[\"/a\",1],[\"/b\",1],[\"/c/{id}\",1]],\
                        \"micros\":{\"p50\":20,\"p90\":30,\"p99\":30}}\n";
        assert_eq!(text("x.jsonl", log.as_bytes()).expect("a log"), expected);
        assert_eq!(text("x.jsonl.gz", &compressed(log.as_bytes())).expect("a log"), expected);
        let empty = "{\"lines\":0,\"bytes\":0,\"clients\":0,\"statuses\":{},\"minutes\":{},\
                     \"agents\":{},\"paths\":[],\"micros\":null}\n";
        assert_eq!(text("x.log", b"").expect("a log"), empty);
    }

    #[test]
    fn the_most_frequent_paths_come_first() {
        let log: String = (0..12)
            .flat_map(|path| (0..=path % 6).map(move |_| event(0, &format!("/p{path:02}"), 1)))
            .collect();
        let report: serde_json::Value =
            serde_json::from_str(&text("x.jsonl", log.as_bytes()).expect("a log")).expect("JSON");
        let paths = report["paths"].as_array().expect("a list");
        let named: Vec<&str> = paths.iter().filter_map(|path| path[0].as_str()).collect();
        let expected =
            ["/p05", "/p11", "/p04", "/p10", "/p03", "/p09", "/p02", "/p08", "/p01", "/p07"];
        assert_eq!(named, expected);
        assert_eq!(paths[0][1], 6);
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!([50, 90, 99, 100].map(|p| percentile(&hundred, p)), [50, 90, 99, 100]);
        assert_eq!([1, 50, 99].map(|p| percentile(&[7], p)), [7, 7, 7]);
        assert_eq!([50, 90].map(|p| percentile(&[1, 2, 3], p)), [2, 3]);
    }

    #[test]
    fn a_damaged_log_has_no_report() {
        let log = event(1, "/a", 1).repeat(1000);
        let whole = compressed(log.as_bytes());
        let cut = text("x.jsonl.gz", &whole[..whole.len() / 2]);
        assert!(matches!(cut, Err(BadLog::Compression { .. })), "{cut:?}");
        let without_checksum = text("x.jsonl.gz", &whole[..whole.len() - 3]);
        assert!(matches!(without_checksum, Err(BadLog::Compression { after: 1000, .. })));
        let half = text("x.jsonl", &log.as_bytes()[..log.len() - 5]);
        assert!(matches!(half, Err(BadLog::Format(1000))), "{half:?}");
        assert!(matches!(text("x.log", log.as_bytes()), Err(BadLog::Format(1))));
        for name in ["x.txt", "x", ".gz", "x.log.bz2", ".."] {
            assert!(matches!(text(name, log.as_bytes()), Err(BadLog::Name)), "{name}");
        }
    }

    #[test]
    fn there_are_pauses() {
        let log = event(1, "/a", 1).repeat(5000);
        let mut pauses = 0;
        aggregate(Path::new("x.jsonl"), log.as_bytes(), || pauses += 1).expect("a log");
        assert_eq!(pauses, 2);
    }
}
