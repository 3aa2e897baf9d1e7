//! A command that computes and waits as its argument says, for the benchmark of mixes.
//!
//! `load PLAN [VALUE]`: the plan is a list of steps separated by commas, perhaps after `N*`. `cMS`
//! computes for MS milliseconds of CPU time, `wMS` sleeps for them, `lMS` holds the file lock that
//! `LOAD_FILE` names, `tN` lets `N` threads compute from here on, `sKB` writes KB KiB to a file in
//! `LOAD_FOLDER` and syncs it, `mMB` touches MB MiB of memory and keeps it, `r` touches all of that
//! again, `oKB` writes KB KiB to standard output, `i` reads standard input until it is closed.

use std::env;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};

fn main() -> ExitCode {
    let plan = env::args().nth(1).unwrap_or_default();
    match run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "load {plan}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (times, steps) = plan.split_once('*').unwrap_or(("1", plan));
    let (mut threads, mut kept) = (1, Vec::new());
    for _ in 0..times.parse::<u32>()? {
        for step in steps.split(',') {
            if step == "i" {
                io::copy(&mut io::stdin(), &mut io::sink())?;
                continue;
            }
            if step == "r" {
                kept.iter_mut().for_each(|memory: &mut Vec<u8>| touch(memory));
                continue;
            }
            let (kind, number) = step.split_at_checked(1).ok_or("an empty step")?;
            let number: f64 = number.parse()?;
            let time = Duration::from_secs_f64(number / 1000.0);
            match kind {
                "c" if threads > 1 => thread::scope(|scope| {
                    (0..threads).for_each(|_| drop(scope.spawn(|| compute(time))));
                }),
                "c" => compute(time),
                "w" => thread::sleep(time),
                "t" => threads = number as u32,
                "l" => {
                    let file = File::options().write(true).open(env::var("LOAD_FILE")?)?;
                    flock(&file, FlockOperation::LockExclusive)?;
                    thread::sleep(time);
                }
                "s" => {
                    let path = format!("{}/{}", env::var("LOAD_FOLDER")?, std::process::id());
                    let mut file = File::create(&path)?;
                    file.write_all(&vec![1; number as usize * 1024])?;
                    file.sync_all()?;
                    std::fs::remove_file(path)?;
                }
                "m" => kept.push(black_box(vec![1_u8; number as usize * (1 << 20)])),
                "o" => io::stdout().write_all(&vec![b'x'; number as usize * 1024])?,
                other => return Err(format!("no such step: {other}").into()),
            }
        }
    }
    Ok(())
}

/// Writes to every page.
fn touch(memory: &mut [u8]) {
    for page in memory.chunks_mut(4096) {
        page[0] = black_box(page[0]).wrapping_add(1);
    }
}

/// Computes for so much CPU time, however long that takes.
fn compute(time: Duration) {
    let end = cpu_time() + time;
    while cpu_time() < end {
        for turn in 0..500_u32 {
            black_box(turn);
        }
    }
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
