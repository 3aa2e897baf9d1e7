//! Makes logs for the example, and prints a line of JSON about them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use log_aggregation::generate::{Plan, make};

/// Makes logs: nginx's combined format and JSON lines, half of each compressed
///
/// Prints a line of JSON: how many files, their bytes, and the paths of the poisoned ones.
#[derive(Debug, Parser)]
struct Args {
    /// The folder for the logs
    folder: PathBuf,
    /// How many logs
    #[arg(long, default_value_t = 1000)]
    files: usize,
    /// The mean size of a log before it is compressed: bytes, or a number with K, M or G
    #[arg(long, default_value = "256K", value_parser = bytes)]
    size: u64,
    /// The same seed gives the same logs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of 100 logs are poisoned: cut off, garbage, or with a very long line
    #[arg(long, default_value_t = 0.0, value_parser = percentage)]
    poison: f64,
    /// The length of such a line
    #[arg(long, default_value = "50M", value_parser = bytes)]
    long_line: u64,
}

fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<u64> = number.parse().ok();
    number.and_then(|number| number.checked_mul(unit)).ok_or("no size, as 4096, 256K or 50M".into())
}

fn percentage(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| (0.0..=100.0).contains(number)).ok_or("not from 0 to 100".into())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let Args { files, size, seed, poison, long_line, .. } = args;
    match run(&Plan { files, size, seed, poison, long_line }, &args.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("make-logs: {}: {why}", args.folder.display());
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan, folder: &std::path::Path) -> io::Result<()> {
    let made = make(plan, folder)?;
    let mut line = serde_json::to_vec(&made)?;
    line.push(b'\n');
    io::stdout().write_all(&line)
}
