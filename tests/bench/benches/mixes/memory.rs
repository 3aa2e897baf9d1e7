//! Commands of 64 MiB each that may have 1 GiB together: msup finds out how many fit, xargs is told.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use msup_bench::report::{Report, row};

use crate::peers::{self, End};
use crate::{REPEATS, median, seen, work};

pub(crate) const NAME: &str = "memory";

/// What they may have together, as msup is told.
const LIMIT: &str = "1G";
/// Whoever stays below this many MiB together counts.
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

/// msup beside xargs with several numbers, in turn; medians of the times, the most that was had in any of the runs.
pub(crate) fn compare(report: &mut Report, procs: u32, folder: &Path) -> io::Result<()> {
    let work = work::large().prepare(procs, work::LARGE / f64::from(procs), folder)?;
    report.group(&format!(
        "{NAME}: {} commands of 64 MiB, {LIMIT} for all; medians of {REPEATS}",
        work.tasks
    ));
    let limit = format!("--memory={LIMIT}");
    let mut runs: Vec<(u32, Vec<f64>, u64)> = NUMBERS.map(|number| (number, vec![], 0)).into();
    let (mut walls, mut most) = (Vec::new(), 0);
    for _ in 0..REPEATS {
        for (number, walls, most) in &mut runs {
            let (end, had) = watched(|| peers::xargs(&work, *number, f64::INFINITY))?;
            let End::Took(wall) = end else { return Err(io::Error::other("xargs failed")) };
            walls.push(wall);
            *most = had.max(*most);
        }
        let (ran, had) = watched(|| peers::msup(&work, &[&limit]))?;
        let ran = ran.ok_or_else(|| io::Error::other("msup failed"))?;
        walls.push(ran.wall);
        most = had.max(most);
    }
    let mut best: Option<(u32, f64)> = None;
    for (number, mut walls, most) in runs {
        let wall = median(&mut walls, |wall| *wall).copied().unwrap_or(f64::NAN);
        report.add(row(NAME, format!("xargs -P{number}, {most} MiB at most"), "s", wall));
        if most < BELOW && best.is_none_or(|best| wall < best.1) {
            best = Some((number, wall));
        }
    }
    let wall = median(&mut walls, |wall| *wall).copied().unwrap_or(f64::NAN);
    report.add(row(NAME, format!("msup --memory {LIMIT}, {most} MiB at most"), "s", wall));
    if let Some((number, least)) = best {
        println!("  => {:.3} of the best that stays below {BELOW} MiB (-P{number})", wall / least);
    }
    Ok(())
}
