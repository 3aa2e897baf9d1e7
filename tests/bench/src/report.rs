//! Rows of figures: printed as a table, written as JSON.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What it belongs to.
    pub group: &'static str,
    /// What was measured.
    pub name: String,
    /// Of what.
    pub unit: &'static str,
    /// The median of the repeats.
    pub median: f64,
    /// The 99th percentile, where single samples were taken.
    pub p99: Option<f64>,
    /// The name of the row it is compared with.
    pub ratio_to: Option<String>,
    /// Its median by that one's.
    pub ratio: Option<f64>,
    /// What was aimed at.
    pub bar: Option<&'static str>,
}

/// All rows of a run, and the machine.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: String,
    cpus: usize,
    rows: Vec<Row>,
}

impl Default for Report {
    fn default() -> Report {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("unknown", |(_, model)| model);
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Report { machine: format!("{model}, Linux {}", release.trim()), cpus, rows: Vec::new() }
    }
}

impl Report {
    /// Says which machine this is.
    pub fn print_machine(&self) {
        println!("machine: {} CPUs, {}", self.cpus, self.machine);
    }

    /// Starts a group of rows.
    pub fn group(&self, title: &str) {
        println!("\n{title}");
    }

    /// Adds a row and prints it.
    pub fn add(&mut self, mut row: Row) {
        if let Some(other) = &row.ratio_to {
            let other =
                self.rows.iter().find(|known| known.group == row.group && known.name == *other);
            row.ratio = other.map(|other| row.median / other.median);
        }
        let mut line = format!("  {:<44} {:>11.1} {}", row.name, row.median, row.unit);
        if let Some(p99) = row.p99 {
            line += &format!(", p99 {p99:.1}");
        }
        if let (Some(ratio), Some(to)) = (row.ratio, &row.ratio_to) {
            line += &format!(", {ratio:.2} x {to}");
        }
        if let Some(bar) = row.bar {
            line += &format!(" (aim: {bar})");
        }
        println!("{line}");
        self.rows.push(row);
    }

    /// A row's median, if it was measured.
    #[must_use]
    pub fn median(&self, group: &str, name: &str) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.group == group && row.name == name);
        row.map(|row| row.median)
    }

    /// Writes all rows as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")
    }
}

/// A row without comparison.
#[must_use]
pub fn row(group: &'static str, name: impl Into<String>, unit: &'static str, median: f64) -> Row {
    let name = name.into();
    Row { group, name, unit, median, p99: None, ratio_to: None, ratio: None, bar: None }
}

impl Row {
    /// Compared with another row of its group.
    #[must_use]
    pub fn against(self, other: &str) -> Row {
        Row { ratio_to: Some(other.to_owned()), ..self }
    }

    /// With what was aimed at.
    #[must_use]
    pub fn aim(self, bar: &'static str) -> Row {
        Row { bar: Some(bar), ..self }
    }
}

/// Nanoseconds for each of `n` turns.
pub fn per_turn(n: u64, mut turns: impl FnMut(u64)) -> f64 {
    let began = Instant::now();
    turns(n);
    began.elapsed().as_nanos() as f64 / n as f64
}

/// The value at this fraction of the sorted samples.
#[must_use]
pub fn quantile(samples: &mut [f64], fraction: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1) as f64;
    samples.get((last * fraction).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Runs all of `measures` in turn, `rounds` times, so that whatever disturbs one disturbs all;
/// returns each one's median.
pub fn interleaved(rounds: u32, measures: &mut [&mut dyn FnMut() -> f64]) -> Vec<f64> {
    let mut samples = vec![Vec::new(); measures.len()];
    for _ in 0..rounds {
        for (measure, samples) in measures.iter_mut().zip(&mut samples) {
            samples.push(measure());
        }
    }
    samples.iter_mut().map(|samples| quantile(samples, 0.5)).collect()
}

/// Waits for so long without sleeping.
pub fn compute(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}
