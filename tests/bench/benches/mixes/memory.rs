//! Commands of 64 MiB each that may have 1 GiB together: msup finds out how many fit, xargs is
//! told.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use msup_bench::report::{Report, row};

use crate::peers::{self, Outcome};
use crate::work::{self, Work};
use crate::{REPEATS, median, seen};

pub(crate) const NAME: &str = "memory";

/// What they may have together, as msup is told.
const LIMIT: &str = "1G";
/// Runs whose commands together stay below this many MiB count.
const BELOW: u64 = 1126;
/// What is tried with xargs.
const NUMBERS: [u32; 5] = [8, 14, 15, 16, 17];

const EVERY: Duration = Duration::from_millis(40);

/// The most that all commands had at once while `run` ran, in MiB.
fn watched<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<(T, u64)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::SeqCst) {
                thread::sleep(EVERY);
                most = seen::resident().max(most);
            }
            most
        });
        let result = run();
        done.store(true, Ordering::SeqCst);
        let most = watcher.join().unwrap_or_default();
        Ok((result?, most >> 20))
    })
}

/// One run of xargs with `number` at once: its time, and the most that was had, in MiB.
fn xargs(work: &Work, number: u32) -> io::Result<(f64, u64)> {
    match watched(|| peers::xargs(work, number, f64::INFINITY))? {
        (Outcome::Took(wall), most) => Ok((wall, most)),
        _ => Err(io::Error::other("xargs failed")),
    }
}

/// One run with every number. Then the best number that stays below the limit and msup, in turn.
pub(crate) fn compare(report: &mut Report, procs: u32, folder: &Path) -> io::Result<()> {
    let work = work::large().prepare(procs, work::LARGE / f64::from(procs), folder)?;
    report.group(&format!("{NAME}: {} commands of 64 MiB, {LIMIT} for all", work.tasks));
    let mut best: Option<(u32, f64)> = None;
    for number in NUMBERS {
        let (wall, most) = xargs(&work, number)?;
        report.add(row(NAME, format!("xargs -P{number}, {most} MiB at most"), "s", wall));
        if most < BELOW && best.is_none_or(|best| wall < best.1) {
            best = Some((number, wall));
        }
    }
    let Some((number, _)) = best else { return Err(io::Error::other("none stays below")) };
    let limit = format!("--memory={LIMIT}");
    let (mut peers, mut own) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        peers.push(xargs(&work, number)?);
        let (ran, most) = watched(|| peers::msup(&work, &[&limit]))?;
        own.push((ran.ok_or_else(|| io::Error::other("msup failed"))?.wall, most));
    }
    let mut add = |name: String, runs: &mut [(f64, u64)]| {
        let most = runs.iter().map(|run| run.1).max().unwrap_or(0);
        let wall = median(runs, |run| run.0).map_or(f64::NAN, |run| run.0);
        report.add(row(NAME, format!("{name}, {most} MiB at most"), "s", wall));
        wall
    };
    let least = add(format!("xargs -P{number}, median of {REPEATS} more"), &mut peers);
    let wall = add(format!("msup --memory {LIMIT}"), &mut own);
    let ratio = wall / least;
    println!("  => msup takes {ratio:.3} times as long as xargs -P{number},");
    println!("     the best of those whose commands together stay below {BELOW} MiB");
    Ok(())
}
