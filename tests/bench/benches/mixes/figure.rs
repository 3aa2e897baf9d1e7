//! A figure of CPU use and commands in flight over time, as SVG.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::seen;

const EVERY: Duration = Duration::from_millis(200);
const COLOURS: [&str; 3] = ["#c0392b", "#2c6fbb", "#888888"];
/// Of a panel, in pixels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;
const LEFT: f64 = 60.0;

/// What was seen of one run: seconds since its start, the share of the CPUs in use, commands in
/// flight.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64, f64)>,
}

/// Looks at the machine while `run` runs.
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
                points.push((
                    began.elapsed().as_secs_f64(),
                    used.clamp(0.0, 1.0),
                    seen::in_flight(),
                ));
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

/// Two panels, one above the other, with one line for each run.
pub(crate) fn write(path: &Path, title: &str, curves: &[Curve]) -> io::Result<()> {
    let longest = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.0);
    let seconds = longest.fold(1.0, f64::max);
    let most =
        curves.iter().flat_map(|curve| &curve.points).map(|point| point.2).fold(1.0, f64::max);
    let mut svg = String::new();
    let (width, height) = (LEFT + WIDTH + 20.0, 2.0 * HEIGHT + 130.0);
    // Writing into a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{title}</text>"
    );
    panel(&mut svg, 50.0, "CPU use", "100 %", seconds, 1.0, curves, |point| point.1);
    let label = format!("{most:.0}");
    panel(&mut svg, 85.0 + HEIGHT, "in flight", &label, seconds, most, curves, |point| point.2);
    for (nth, curve) in curves.iter().enumerate() {
        let (x, y) = (LEFT + 200.0 * nth as f64, height - 12.0);
        let colour = COLOURS[nth % COLOURS.len()];
        let took = curve.points.last().map_or(0.0, |point| point.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}: {took:.1} s</text>",
            curve.name
        );
    }
    svg.push_str("</svg>\n");
    fs::write(path, svg)
}

#[expect(clippy::too_many_arguments, reason = "a picture has that many measures")]
fn panel(
    svg: &mut String,
    top: f64,
    what: &str,
    most_label: &str,
    seconds: f64,
    most: f64,
    curves: &[Curve],
    value: impl Fn(&(f64, f64, f64)) -> f64,
) {
    let bottom = top + HEIGHT;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\">{what}</text>\n<text x=\"8\" y=\"{}\">{most_label}</text>\n\
         <path d=\"M{LEFT},{top}V{bottom}H{}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{}\" y=\"{}\">{seconds:.0} s</text>",
        top - 6.0,
        top + 6.0,
        LEFT + WIDTH,
        LEFT + WIDTH - 20.0,
        bottom + 16.0,
    );
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let points = curve.points.iter().map(|point| {
            let x = LEFT + point.0 / seconds * WIDTH;
            format!("{x:.1},{:.1}", bottom - value(point) / most * HEIGHT)
        });
        let points: Vec<String> = points.collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            points.join(" ")
        );
    }
}
