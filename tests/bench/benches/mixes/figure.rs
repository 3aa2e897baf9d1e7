//! What is seen of the machine while a mix runs, for the figure.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msup_bench::figure::{self, Curve, Panel, Point};

use crate::seen;

const EVERY: Duration = Duration::from_millis(200);

/// Looks at the machine while `run` runs: the values are the share of the CPUs in use, and how many
/// commands are in flight.
pub(crate) fn watch<T>(name: &str, run: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Curve)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (began, mut points) = (Instant::now(), Vec::new());
            let mut before = (Instant::now(), idle());
            while !done.load(Ordering::SeqCst) {
                thread::sleep(EVERY);
                let now = (Instant::now(), idle());
                let cpus = thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64);
                let span = (now.0 - before.0).as_secs_f64() * cpus;
                let used = 1.0 - (now.1 - before.1) / span;
                let seconds = began.elapsed().as_secs_f64();
                points.push(Point { seconds, values: [used.clamp(0.0, 1.0), seen::in_flight()] });
                before = now;
            }
            points
        });
        let result = run();
        done.store(true, Ordering::SeqCst);
        let points = watcher.join().unwrap_or_default();
        Ok((result?, Curve { name: name.to_owned(), points }))
    })
}

/// Idle time of all CPUs since boot, in seconds.
fn idle() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let words: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    words.iter().skip(3).take(2).sum::<f64>() / 100.0
}

/// Two panels: CPU use, and commands in flight.
pub(crate) fn write(path: &Path, title: &str, curves: &[Curve]) -> io::Result<()> {
    let most = figure::most(curves, 1);
    let panels = [
        Panel { what: "CPU use", most: 1.0, label: "100 %".to_owned() },
        Panel { what: "in flight", most, label: format!("{most:.0}") },
    ];
    figure::write(path, title, &panels, curves)
}
