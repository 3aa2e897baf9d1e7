//! The log aggregation example in all its forms, one after the other: throughput, processes,
//! threads and memory. Then the same on a slow disk; then the naive form and msup with little
//! memory, too.

mod forms;
mod seen;
mod surroundings;
mod turns;

use std::io;
use std::path::{Path, PathBuf};

use clap::Parser;
use msup_bench::figure::{self, Curve, Panel};
use msup_bench::report::{Report, quantile, row};

use forms::{Form, Kind, Logs};
use surroundings::Surroundings;
use turns::{Ran, Turns};

/// How many writes a slow disk takes in a second: some hard disks, or a small disk of a cloud.
const WRITES: u32 = 500;

/// What all processes of a run may have together in the last part, in bytes.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Measures the log aggregation example in all its forms
#[derive(Debug, Parser)]
struct Args {
    /// A folder on the disk that is measured
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// How many logs
    #[arg(long, default_value_t = 6000)]
    files: usize,
    /// Their mean size before they are compressed: bytes, or a number with K, M or G
    #[arg(long, default_value = "512K")]
    size: String,
    /// How often each form runs; those in Python, which take minutes, run once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only forms whose names begin like this
    #[arg(long)]
    only: Option<String>,
    /// The Python program
    #[arg(long, default_value = "python3")]
    python: String,
    /// Write the figures as JSON to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw threads and throughput over time on a slow disk, as SVG, to this file
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
    println!(
        "MB/s are 10^6 bytes of lines per second; medians of {} rounds, Python runs once",
        args.rounds
    );
    let mut turns = Turns::new(folder.path(), &logs);
    measure(&mut report, &forms, &mut turns, args.rounds)?;
    let others: Vec<&Form> = forms.iter().filter(|form| form.kind != Kind::Python).collect();
    on_slow_disk(&others, &mut turns, args.figure.as_deref())?;
    with_little_memory(&others, &mut turns)?;
    if let Some(path) = &args.json {
        report.write(path)?;
    }
    turns.verdict()
}

/// The first part: all forms in turn.
fn measure(
    report: &mut Report,
    forms: &[Form],
    turns: &mut Turns<'_>,
    rounds: usize,
) -> io::Result<()> {
    let mut all: Vec<Vec<Ran>> = forms.iter().map(|_| Vec::new()).collect();
    let mut memory = "";
    for round in 0..rounds {
        let is_due = |form: &Form| round == 0 || form.kind != Kind::Python;
        for (form, runs) in forms.iter().zip(&mut all).filter(|(form, _)| is_due(form)) {
            let surroundings = Surroundings::ample();
            memory = surroundings.memory_is();
            runs.push(turns.take(form, &surroundings, false)?);
        }
    }
    report.group("all forms, and what was there at most at one time");
    println!("  memory is {memory}");
    let mut medians: Vec<(&Form, f64)> = Vec::new();
    for (form, runs) in forms.iter().zip(&all) {
        medians.extend(print(report, form, runs, turns.logs.bytes).map(|rate| (form, rate)));
    }
    print_ratios(&medians);
    if let Some(runs) = forms.iter().zip(&all).find(|(form, _)| form.kind == Kind::Msup) {
        print_tokens(runs.1);
    }
    Ok(())
}

/// The second part: each form once on a slow disk, watched for the figure.
fn on_slow_disk(forms: &[&Form], turns: &mut Turns<'_>, figure: Option<&Path>) -> io::Result<()> {
    println!("\na disk with {WRITES} writes in a second, one run each");
    let (mut curves, mut most) = (Vec::new(), [0; 2]);
    for form in forms {
        let surroundings = match Surroundings::ample().with_slow_disk(turns.folder, WRITES) {
            Ok(surroundings) => surroundings,
            Err(why) => {
                println!("  not here: {why}");
                return Ok(());
            }
        };
        let ran = turns.take(form, &surroundings, true)?;
        println!("  {:<32} {}", form.name, ran.story(turns.logs.good(), turns.logs.bytes));
        match form.kind {
            Kind::Naive => most[0] = ran.most.threads,
            Kind::Msup => most[1] = ran.most.threads,
            Kind::Tuned | Kind::Go | Kind::NaiveGo | Kind::Python => {}
        }
        curves.push(Curve { name: form.name.to_owned(), points: ran.points });
    }
    if let [naive @ 1..=u64::MAX, own @ 1..=u64::MAX] = most {
        println!(
            "  => msup has {own} threads (aim: 100) where a thread for each log means {naive}"
        );
    }
    figure.map_or(Ok(()), |path| draw(path, &curves, turns.logs))
}

/// The last part: a slow disk, and little memory, which can be limited in two ways.
fn with_little_memory(forms: &[&Form], turns: &mut Turns<'_>) -> io::Result<()> {
    let gib = LITTLE_MEMORY >> 30;
    let limits: [(&str, Limit); 2] = [
        ("for all processes together (a control group, no swap space)", |ample| {
            ample.with_little_memory(LITTLE_MEMORY)
        }),
        ("of addresses for each process (ulimit -v)", |ample| {
            Ok(ample.with_few_addresses(LITTLE_MEMORY))
        }),
    ];
    for (name, limit) in limits {
        println!("\nthe same disk, {gib} GiB {name}; the logs are in the kernel's cache");
        let is_one = |form: &&&Form| matches!(form.kind, Kind::Naive | Kind::NaiveGo | Kind::Msup);
        for form in forms.iter().filter(is_one) {
            let slow = Surroundings::ample().with_slow_disk(turns.folder, WRITES);
            let surroundings = match limit(slow.unwrap_or_else(|_| Surroundings::ample())) {
                Ok(surroundings) => surroundings,
                Err(why) => {
                    println!("  not here: {why}");
                    break;
                }
            };
            let ran = turns.take(form, &surroundings, false)?;
            println!("  {:<32} {}", form.name, ran.story(turns.logs.good(), turns.logs.bytes));
        }
    }
    Ok(())
}

/// Limits the memory of a run.
type Limit = fn(Surroundings) -> io::Result<Surroundings>;

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
    let best = |kinds: &[Kind]| {
        let of_kind = medians.iter().filter(|(form, _)| kinds.contains(&form.kind));
        of_kind.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let Some((_, own)) = best(&[Kind::Msup]) else { return };
    let others: [(&[Kind], &str); 4] = [
        (&[Kind::Tuned], " (aim: 1.0)"),
        (&[Kind::Go, Kind::NaiveGo], " (aim: 1.0)"),
        (&[Kind::Naive], " (aim: 1.4)"),
        (&[Kind::Python], ""),
    ];
    for (kinds, aim) in others {
        if let Some((form, rate)) = best(kinds) {
            println!("  => msup has {:.2} x the throughput of: {}{aim}", own / rate, form.name);
        }
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

/// Threads and throughput over time.
fn draw(path: &Path, curves: &[Curve], logs: &Logs) -> io::Result<()> {
    let most = [0, 1].map(|panel| figure::most(curves, panel));
    let threads = 10_f64.powf(most[0]);
    let panels = [
        Panel { what: "threads (logarithmic)", most: most[0], label: format!("{threads:.0}") },
        Panel { what: "MB/s", most: most[1], label: format!("{:.0}", most[1]) },
    ];
    let title = format!(
        "{} logs, {:.1} GB of lines, a disk with {WRITES} writes in a second",
        logs.files,
        logs.bytes / 1e9
    );
    figure::write(path, &title, &panels, curves)
}
