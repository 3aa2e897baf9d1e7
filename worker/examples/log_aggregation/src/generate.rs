//! Logs to try the forms with: the same seed gives the same bytes. Some are poisoned.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many logs.
    pub files: usize,
    /// The mean size of a log before it is compressed, in bytes. Half of the logs have half of it,
    /// a quarter has it, and a quarter has twice as much.
    pub size: u64,
    /// Another number gives other logs.
    pub seed: u64,
    /// How many of 100 logs are poisoned, 0 to 100.
    pub poison: f64,
    /// The length of the line that poisons every third one of these, in bytes.
    pub long_line: u64,
}

/// What was made.
#[derive(Debug, Default, Serialize)]
pub struct Made {
    /// How many logs.
    pub files: usize,
    /// Their size before they were compressed, in bytes, without those that are poisoned.
    pub bytes: u64,
    /// Their size on the disk, in bytes, with all.
    pub disk_bytes: u64,
    /// The poisoned ones, sorted.
    pub poison: Vec<PathBuf>,
}

/// How a log is poisoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poison {
    /// The last third of a compressed log is missing.
    CutOff,
    /// Random bytes.
    Garbage,
    /// One line is far too long.
    LongLine,
}

/// Makes the logs in this folder, which is made if there is none. Uses all CPUs.
///
/// # Errors
/// A file cannot be written. Others may have been.
pub fn make(plan: &Plan, folder: &Path) -> io::Result<Made> {
    fs::create_dir_all(folder)?;
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Made::default()));
    let work = || -> io::Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= plan.files {
                return Ok(());
            }
            let (name, bytes, content) = log(plan, index);
            let path = folder.join(name);
            fs::write(&path, &content)?;
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.files += 1;
            made.disk_bytes += content.len() as u64;
            match poison_of(plan, index) {
                None => made.bytes += bytes,
                Some(_) => made.poison.push(path),
            }
        }
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })?;
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.poison.sort();
    Ok(made)
}

/// Poisoned logs are spread evenly; the kinds take turns.
fn poison_of(plan: &Plan, index: usize) -> Option<Poison> {
    let up_to = |files: usize| (files as f64 * plan.poison / 100.0) as usize;
    let kinds = [Poison::CutOff, Poison::Garbage, Poison::LongLine];
    (up_to(index + 1) > up_to(index)).then(|| kinds[up_to(index) % kinds.len()])
}

/// The name of a log, its size before it is compressed, and its content on the disk.
fn log(plan: &Plan, index: usize) -> (String, u64, Vec<u8>) {
    let poison = poison_of(plan, index);
    // The kinds of logs take turns, too.
    let (is_json, is_compressed) = match poison {
        None => (index % 2 == 1, index % 4 < 2),
        Some(Poison::CutOff) => (false, true),
        Some(Poison::Garbage) => (false, false),
        Some(Poison::LongLine) => (true, true),
    };
    let (kind, ending) = if is_json { ("events", "jsonl") } else { ("access", "log") };
    let name = format!("{kind}-{:06}.{ending}", index + 1);
    let mut random = Random::new(plan.seed, index);
    let size = match random.below(4) {
        0 | 1 => plan.size / 2,
        2 => plan.size,
        _ => plan.size * 2,
    };
    let mut text = String::new();
    let mut second = index as u64 * 977;
    while (text.len() as u64) < size {
        second += random.below(3);
        line(&mut text, &mut random, second, is_json);
    }
    match poison {
        Some(Poison::Garbage) => {
            let mut bytes = vec![0xff];
            bytes.extend((0..size).map(|_| random.below(256) as u8));
            return (name, size, bytes);
        }
        Some(Poison::LongLine) => long_line(&mut text, plan.long_line),
        None | Some(Poison::CutOff) => {}
    }
    let bytes = text.len() as u64;
    if !is_compressed {
        return (name, bytes, text.into_bytes());
    }
    let mut content = compressed(text.as_bytes());
    if poison == Some(Poison::CutOff) {
        content.truncate(content.len() * 2 / 3);
    }
    (name + ".gz", bytes, content)
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let done = encoder.write_all(text).and_then(|()| encoder.finish());
    done.expect("writing to memory does not fail")
}

/// An event whose client's program has a very long name.
fn long_line(text: &mut String, bytes: u64) {
    text.push_str("{\"agent\":\"");
    text.extend(std::iter::repeat_n('x', bytes as usize));
    text.push_str("\"}\n");
}

const TARGETS: [&str; 10] = [
    "/",
    "/static/app.3f9c1b.js",
    "/api/users/{n}",
    "/api/users/{n}/orders/{n}",
    "/search?q=rust+scheduler&page={n}",
    "/static/site.css",
    "/login",
    "/api/carts/{n}/items",
    "/docs/getting-started.html",
    "/img/{n}/large.webp?v={n}",
];

const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 \
     Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
     Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Mozilla/5.0 (compatible; examplebot/2.1; +https://example.org/bot.html)",
    "curl/8.14.1",
    "okhttp/4.12.0",
    "python-requests/2.32.5",
];

const STATUSES: [u16; 12] = [200, 200, 200, 200, 200, 200, 200, 304, 301, 404, 404, 500];

/// Appends one line. `second` is the time since the beginning of October 2026.
fn line(text: &mut String, random: &mut Random, second: u64, is_json: bool) {
    let (day, hour) = (1 + second / 86_400 % 28, second / 3600 % 24);
    let (minute, second) = (second / 60 % 60, second % 60);
    // The smaller of two: the first ones are more frequent.
    let mut skewed = |n: u64| random.below(n).min(random.below(n));
    let client = skewed(5000);
    let client = format!("10.{}.{}.7", client / 250, client % 250);
    let target = TARGETS[skewed(TARGETS.len() as u64) as usize];
    let agent = AGENTS[skewed(AGENTS.len() as u64) as usize];
    let micros = 200 + skewed(1000) * skewed(1000);
    let status = STATUSES[random.below(STATUSES.len() as u64) as usize];
    let bytes = random.below(60_000);
    let method = if random.below(8) == 0 { "POST" } else { "GET" };
    let mut path = String::with_capacity(target.len() + 12);
    for (nth, part) in target.split("{n}").enumerate() {
        if nth > 0 {
            let _ = write!(path, "{}", random.below(1_000_000));
        }
        path.push_str(part);
    }
    // Writing into a String cannot fail.
    let _ = if is_json {
        writeln!(
            text,
            "{{\"time\":\"2026-10-{day:02}T{hour:02}:{minute:02}:{second:02}Z\",\
             \"client\":\"{client}\",\"method\":\"{method}\",\"path\":\"{path}\",\
             \"status\":{status},\"bytes\":{bytes},\"micros\":{micros},\"agent\":\"{agent}\"}}"
        )
    } else {
        writeln!(
            text,
            "{client} - - [{day:02}/Oct/2026:{hour:02}:{minute:02}:{second:02} +0000] \
             \"{method} {path} HTTP/1.1\" {status} {bytes} \"https://example.org/\" \"{agent}\""
        )
    };
}

/// Numbers that look random: SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// Each log has a sequence of its own.
    fn new(seed: u64, index: usize) -> Random {
        let mut random = Random(seed);
        random.0 = random.next() ^ (index as u64).wrapping_mul(0xd129_1c3f_6e2f_a4b5);
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `n` - 1. `n` must not be 0.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BadLog, aggregate};

    const PLAN: Plan = Plan { files: 40, size: 4000, seed: 7, poison: 10.0, long_line: 2 << 20 };

    #[test]
    fn all_logs_but_the_poisoned_ones_have_reports() {
        let mut kinds = Vec::new();
        for index in 0..PLAN.files {
            let (name, bytes, content) = log(&PLAN, index);
            let report = aggregate(Path::new(&name), &content, || {});
            match poison_of(&PLAN, index) {
                None => {
                    let report = report.unwrap_or_else(|why| panic!("{name}: {why}"));
                    let report: serde_json::Value =
                        serde_json::from_slice(&report).expect("a line of JSON");
                    assert!(report["lines"].as_u64() > Some(5), "{name}");
                    assert!((2000..9000).contains(&bytes), "{name}: {bytes}");
                }
                Some(poison) => {
                    kinds.push(poison);
                    let why = report.expect_err("it is poisoned");
                    let is_it = match poison {
                        Poison::CutOff => matches!(why, BadLog::Compression { .. }),
                        Poison::Garbage => matches!(why, BadLog::NotText(1)),
                        Poison::LongLine => matches!(why, BadLog::LongLine(_)),
                    };
                    assert!(is_it, "{name}: {why}");
                }
            }
        }
        let turns = [Poison::CutOff, Poison::Garbage, Poison::LongLine, Poison::CutOff];
        assert_eq!(kinds, turns);
    }

    #[test]
    fn the_seed_says_what_is_in_a_log() {
        for index in [0, 1, 9, 19, 29] {
            assert_eq!(log(&PLAN, index), log(&PLAN, index));
            assert_ne!(log(&PLAN, index).2, log(&Plan { seed: 8, ..PLAN }, index).2);
        }
    }
}
