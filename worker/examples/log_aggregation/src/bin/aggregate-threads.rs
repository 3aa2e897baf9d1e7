//! The same with threads: one for each log, a small pool, or a large pool with a semaphore.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use clap::{Parser, ValueEnum};
use log_aggregation::{aggregate, report_path, write_atomically};

/// The threads of the large pool.
const LARGE: usize = 100;

/// Writes a report about each log that standard input names, one path per line, with threads
#[derive(Debug, Parser)]
struct Args {
    /// What runs at once
    form: Form,
    /// The folder for the reports
    folder: PathBuf,
    /// How many logs are parsed at once with `pool` and `semaphore`; default: one per CPU
    #[arg(long)]
    procs: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A thread for each log, all at once
    Naive,
    /// As many threads as there are CPUs
    Pool,
    /// 100 threads; as many of them parse as there are CPUs
    Semaphore,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("aggregate-threads: {failed} logs failed");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("aggregate-threads: {why}");
            ExitCode::from(2)
        }
    }
}

/// The number of logs that failed.
fn run(args: &Args) -> Result<usize, Box<dyn Error>> {
    if args.form == Form::Naive && args.procs.is_some() {
        return Err("naive has no limit: --procs is for pool and semaphore".into());
    }
    let lines: Vec<Vec<u8>> = io::stdin().lock().split(b'\n').collect::<Result<_, _>>()?;
    let logs: Vec<PathBuf> =
        lines.into_iter().map(|line| PathBuf::from(OsString::from_vec(line))).collect();
    let procs = match args.procs {
        Some(procs) => procs.get(),
        None => thread::available_parallelism()?.get(),
    };
    match args.form {
        Form::Naive => naive(&logs, &args.folder),
        Form::Pool => pool(&logs, &args.folder, procs, procs),
        Form::Semaphore => pool(&logs, &args.folder, LARGE, procs),
    }
}

/// A thread for each log. With many logs there are many threads, each with a log in memory.
fn naive(logs: &[PathBuf], folder: &Path) -> Result<usize, Box<dyn Error>> {
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (nth, log) in logs.iter().enumerate() {
            let failed = &failed;
            let started = thread::Builder::new().spawn_scoped(scope, move || {
                if !has_report(log, folder, None) {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            });
            if let Err(why) = started {
                eprintln!("aggregate-threads: cannot start thread {}: {why}", nth + 1);
                // Not at the end of the scope, which would wait for the others.
                std::process::exit(2);
            }
        }
    });
    Ok(failed.into_inner())
}

/// A pool of `threads`, of which at most `procs` compute.
fn pool(
    logs: &[PathBuf],
    folder: &Path,
    threads: usize,
    procs: usize,
) -> Result<usize, Box<dyn Error>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let cpus = Semaphore::new(procs);
    thread::scope(|scope| -> io::Result<()> {
        for _ in 0..threads.min(logs.len()) {
            thread::Builder::new().spawn_scoped(scope, || {
                while let Some(log) = logs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !has_report(log, folder, Some(&cpus)) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })?;
        }
        Ok(())
    })?;
    Ok(failed.into_inner())
}

/// Whether a report was written; prints why not.
fn has_report(log: &Path, folder: &Path, cpus: Option<&Semaphore>) -> bool {
    let written = write_report(log, folder, cpus);
    if let Err(why) = &written {
        eprintln!("aggregate-threads: {}: {why}", log.display());
    }
    written.is_ok()
}

fn write_report(log: &Path, folder: &Path, cpus: Option<&Semaphore>) -> Result<(), Box<dyn Error>> {
    let content = fs::read(log)?;
    let report = {
        let _cpu = cpus.map(Semaphore::take);
        aggregate(log, &content, || {})?
    };
    write_atomically(&report_path(folder, log), &report)?;
    Ok(())
}

/// A counting semaphore.
#[derive(Debug)]
struct Semaphore {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of the semaphore's units, given back when it is dropped.
struct Taken<'a>(&'a Semaphore);

impl Semaphore {
    fn new(units: usize) -> Semaphore {
        Semaphore { free: Mutex::new(units), freed: Condvar::new() }
    }

    /// Waits until a unit is free.
    fn take(&self) -> Taken<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Taken(self)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
