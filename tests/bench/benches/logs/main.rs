//! The log aggregation example in all its forms, one after the other: throughput, processes,
//! threads and memory. Then the naive form and msup with little memory.

mod control_group;
mod forms;
mod seen;
mod turns;

use std::io;
use std::path::PathBuf;

use clap::Parser;
use msup_bench::figure::{self, Panel};
use msup_bench::report::{Report, quantile, row};

use control_group::Limit;
use forms::{Form, Kind, Logs};
use turns::{Manner, Ran, Turns};

/// What all processes of a run may have together in the second part, in bytes.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Measures the log aggregation example in all its forms
#[derive(Debug, Parser)]
struct Args {
    /// A folder on the disk that is measured
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// How many logs
    #[arg(long, default_value_t = 8000)]
    files: usize,
    /// Their mean size before they are compressed: bytes, or a number with K, M or G
    #[arg(long, default_value = "256K")]
    size: String,
    /// How often each form runs
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only forms whose names begin like this
    #[arg(long)]
    only: Option<String>,
    /// The Python program; with the package msup its executor is measured, too
    #[arg(long, default_value = "python3")]
    python: String,
    /// Write the figures as JSON to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw threads and throughput over time, as SVG, to this file
    #[arg(long)]
    figure: Option<PathBuf>,
    /// Cargo adds this
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut report = Report::default();
    report.print_machine();
    let folder = tempfile::tempdir_in(&args.folder)?;
    let forms = forms::all(&args.python, folder.path());
    let is_wanted = |form: &Form| args.only.as_ref().is_none_or(|one| form.name.starts_with(one));
    let forms: Vec<Form> = forms.into_iter().filter(is_wanted).collect();
    let logs = Logs::make(folder.path(), args.files, &args.size)?;
    println!(
        "{} logs with {:.2} GB of lines, {:.2} GB on the disk, not in memory when a run begins; \
         {} of them are poisoned",
        logs.files,
        logs.bytes / 1e9,
        logs.disk_bytes / 1e9,
        logs.poison
    );
    println!("MB/s are 10^6 bytes of lines per second; medians of {} rounds", args.rounds);
    let mut turns = Turns::new(folder.path(), &logs);
    let mut medians: Vec<(&Form, f64)> = Vec::new();
    let mut all: Vec<Vec<Ran>> = forms.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.rounds {
        for (form, runs) in forms.iter().zip(&mut all) {
            runs.push(turns.take(form, &Manner::Timed)?);
        }
    }
    report.group("throughput, and what was there at most at one time");
    for (form, runs) in forms.iter().zip(&all) {
        medians.extend(print(&mut report, form, runs, logs.bytes).map(|rate| (form, rate)));
    }
    print_ratios(&medians);
    if let Some(runs) = forms.iter().zip(&all).find(|(form, _)| form.kind == Kind::Msup) {
        print_tokens(runs.1);
    }
    println!(
        "\n{:.0} GiB of memory for all processes of a run",
        LITTLE_MEMORY as f64 / f64::from(1 << 30)
    );
    let limit = Limit::new(LITTLE_MEMORY);
    println!("  the limit is {limit}");
    for form in forms.iter().filter(|form| matches!(form.kind, Kind::Naive | Kind::Msup)) {
        let ran = turns.take(form, &Manner::Limited(&limit))?;
        println!("  {:<44} {}", form.name, ran.story(logs.files - logs.poison, logs.bytes));
    }
    if let Some(path) = &args.figure {
        draw(path, &forms, &mut turns, &logs)?;
    }
    if let Some(path) = &args.json {
        report.write(path)?;
    }
    turns.verdict()
}

/// Prints the medians of a form's runs. Returns the throughput in MB/s, if all runs finished.
fn print(report: &mut Report, form: &Form, runs: &[Ran], bytes: f64) -> Option<f64> {
    if let Some(died) = runs.iter().find_map(|run| run.died.as_ref()) {
        println!("  {:<44} {died}", form.name);
        return None;
    }
    let median = |value: &dyn Fn(&Ran) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(value).collect();
        quantile(&mut values, 0.5)
    };
    let wall = median(&|run| run.wall);
    let rate = bytes / 1e6 / wall;
    report.add(row("logs", form.name, "MB/s", rate));
    println!(
        "     {wall:.2} s; {:.0} processes, {:.0} threads, {:.0} MiB",
        median(&|run| run.most.processes as f64),
        median(&|run| run.most.threads as f64),
        median(&|run| run.most.memory as f64 / f64::from(1 << 20)),
    );
    Some(rate)
}

/// msup beside the best form of each other kind.
fn print_ratios(medians: &[(&Form, f64)]) {
    let best = |kind: Kind| {
        let of_kind = medians.iter().filter(|(form, _)| form.kind == kind);
        of_kind.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let Some((_, own)) = best(Kind::Msup) else { return };
    let aims = [(Kind::Tuned, "1.0"), (Kind::Go, "1.0"), (Kind::Naive, "1.4")];
    for (kind, aim) in aims {
        if let Some((form, rate)) = best(kind) {
            println!(
                "  => msup has {:.2} x the throughput of: {} (aim: {aim})",
                own / rate,
                form.name
            );
        }
    }
    if let Some((form, rate)) = best(Kind::Python) {
        println!("  => msup has {:.2} x the throughput of: {}", own / rate, form.name);
    }
}

/// What msup reports about tokens and workers, of the run with the median time.
fn print_tokens(runs: &[Ran]) {
    let mut by_wall: Vec<&Ran> = runs.iter().collect();
    by_wall.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let Some(summary) = by_wall.get(by_wall.len() / 2).and_then(|run| run.summary.as_ref()) else {
        return;
    };
    let (tokens, workers, flight) =
        (&summary["tokens"], &summary["workers"], &summary["in_flight"]);
    println!(
        "     msup's blocking calls: {} after which the token was still there, {} others",
        tokens["fast_exits"], tokens["slow_exits"]
    );
    println!(
        "     tokens: {} handed over, {} retaken by sysmon, {} stolen; waited for {:.1} s in all",
        tokens["handoffs"],
        tokens["retakes"],
        tokens["steals"],
        tokens["wait_seconds"].as_f64().unwrap_or(f64::NAN)
    );
    println!(
        "     workers: {} at most, {} started; tasks in flight: mean {:.1}, peak {}",
        workers["peak"],
        workers["spawned"],
        flight["mean"].as_f64().unwrap_or(f64::NAN),
        flight["peak"]
    );
}

/// One more run of each form that is not Python: threads and throughput over time.
fn draw(
    path: &std::path::Path,
    forms: &[Form],
    turns: &mut Turns<'_>,
    logs: &Logs,
) -> io::Result<()> {
    let mut curves = Vec::new();
    for form in forms.iter().filter(|form| form.kind != Kind::Python) {
        let ran = turns.take(form, &Manner::Watched)?;
        curves.push(figure::Curve { name: form.name.to_owned(), points: ran.points });
    }
    let most = [0, 1].map(|panel| figure::most(&curves, panel));
    let threads = 10_f64.powf(most[0]);
    let panels = [
        Panel { what: "threads (logarithmic)", most: most[0], label: format!("{threads:.0}") },
        Panel { what: "MB/s", most: most[1], label: format!("{:.0}", most[1]) },
    ];
    let title = format!("{} logs, {:.1} GB of lines", logs.files, logs.bytes / 1e9);
    figure::write(path, &title, &panels, &curves)
}
