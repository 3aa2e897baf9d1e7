//! Unmodified commands of many kinds: msup with default flags beside `xargs -P` with every number
//! that a user might choose. The flags: `cargo bench -p msup-bench --bench mixes -- --help`.

mod figure;
mod fixed;
mod memory;
mod peers;
mod scarce;
mod seen;
mod server;
mod throttle;
mod work;

use std::io;
use std::path::PathBuf;

use fixed::{Fixed, MANY};
use msup_bench::report::{Report, row};
use peers::{Outcome, Ran};
use work::{Mix, Work};

/// GNU parallel is stopped when it takes this many times as long as the best run of xargs.
const PARALLEL_AT_MOST: f64 = 2.0;

/// The best of many single runs is partly the luckiest: that number is run again this many times,
/// in turn with msup, and their medians are compared.
const REPEATS: usize = 3;

const USAGE: &str = concat!(
    "usage: cargo bench -p msup-bench --bench mixes -- [--seconds S] [--only NAME] [--seed N]\n",
    "       [--random N] [--random-seconds S] [--numbers P,P...] [--json FILE] [--figure FILE]",
);

/// All take a value.
const FLAGS: [&str; 8] = [
    "--seconds",
    "--only",
    "--seed",
    "--random",
    "--random-seconds",
    "--numbers",
    "--json",
    "--figure",
];

/// Whether all arguments are flags with values. Cargo adds `--bench` as the last one.
fn are_known(mut arguments: impl Iterator<Item = String>) -> bool {
    while let Some(argument) = arguments.next() {
        let is_whole = FLAGS.contains(&argument.as_str()) && arguments.next().is_some();
        if !is_whole && argument != "--bench" {
            return false;
        }
    }
    true
}

fn argument<T: std::str::FromStr>(name: &str) -> Option<T> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}

fn main() -> io::Result<()> {
    if !are_known(std::env::args().skip(1)) {
        eprintln!("{USAGE}");
        std::process::exit(2);
    }
    let seconds = argument("--seconds").unwrap_or(20.0);
    // Of many, each may take less time.
    let random_seconds = argument("--random-seconds").unwrap_or(10.0);
    let seed: u64 = argument("--seed").unwrap_or(1);
    let only: Option<String> = argument("--only");
    let procs = std::thread::available_parallelism()?.get() as u32;
    let mut report = Report::default();
    report.print_machine();
    println!("seed {seed}; work per mix: {seconds} s on each of {procs} CPUs");
    println!("work per random mix: {random_seconds} s on each; compared with xargs -P, and");
    println!("with GNU parallel where it is installed");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let server = server::Server::start()?;
    let random = argument("--random").unwrap_or(20);
    let throttle = throttle::Throttle::new(folder.path());
    if let Err(why) = &throttle {
        println!("no throttled disk: {why}");
    }
    let throttled = throttle.as_ref().ok().map(|throttle| work::throttled(&throttle.group));
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| name.starts_with(only));
    let scarce = is_wanted(work::SWAPS).then(|| scarce::Scarce::new(folder.path()));
    if let Some(Err(why)) = &scarce {
        println!("no swap space: {why}");
    }
    let swaps = scarce.iter().flatten().map(|scarce| work::swaps(&scarce.group));
    let named = work::named(&server.address).into_iter().chain(throttled).chain(swaps);
    let mixes = named.chain(work::random(seed, random));
    let (mut ratios, mut failed) = (Vec::new(), false);
    for mix in mixes.filter(|mix| is_wanted(&mix.name)) {
        let seconds = if mix.is_random { random_seconds } else { seconds };
        let ratio = compare(&mut report, &mix, procs, seconds, folder.path())?;
        failed |= ratio.is_none();
        ratios.extend(ratio.filter(|_| mix.is_random));
    }
    if is_wanted(memory::NAME) {
        memory::compare(&mut report, procs, folder.path())?;
    }
    if !ratios.is_empty() {
        ratios.sort_by(f64::total_cmp);
        let (median, worst) = (ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
        println!("\nrandom mixes, time of msup / time of the best xargs -P:");
        println!("  median {median:.3} (aim: 1.03), worst {worst:.3} (aim: 1.08)");
    }
    if let Some(path) = argument::<PathBuf>("--figure") {
        draw(&path, procs, 2.0 * seconds, folder.path())?;
    }
    if let Some(path) = argument::<PathBuf>("--json") {
        report.write(&path)?;
    }
    if failed { Err(io::Error::other("a run failed")) } else { Ok(()) }
}

/// The mix of alternating phases over time: msup, as many as there are CPUs, many.
fn draw(
    path: &std::path::Path,
    procs: u32,
    seconds: f64,
    folder: &std::path::Path,
) -> io::Result<()> {
    let mix = work::alternating();
    let work = mix.prepare(procs, seconds, folder)?;
    let (_, msup) = figure::watch("msup", || peers::msup(&work, &[]))?;
    let mut curves = vec![msup];
    for number in [procs, MANY] {
        let name = format!("xargs -P{number}");
        let run = || peers::xargs(&work, number, f64::INFINITY);
        curves.push(figure::watch(&name, run)?.1);
    }
    figure::write(path, &format!("{}, {} commands", mix.name, work.tasks), &curves)
}

/// One mix with xargs, GNU parallel and msup. The ratio of msup's time to that of the best number
/// for xargs.
fn compare(
    report: &mut Report,
    mix: &Mix,
    procs: u32,
    seconds: f64,
    folder: &std::path::Path,
) -> io::Result<Option<f64>> {
    let work = mix.prepare(procs, seconds, folder)?;
    let _neighbour = mix.has_neighbour.then(work::Neighbour::start).transpose()?;
    report.group(&format!("{}: {} commands", mix.name, work.tasks));
    let chosen = argument::<String>("--numbers");
    let numbers = match &chosen {
        Some(list) => list.split(',').filter_map(|number| number.parse().ok()).collect(),
        None => fixed::numbers(procs, mix.has_neighbour),
    };
    let fixed = Fixed::run(report, &work, numbers, seconds)?;
    let (Some(best), Some(fewest)) = (fixed.best(), fixed.fewest_as_good()) else {
        return Ok(None);
    };
    if chosen.is_none() {
        run_parallel(report, &work, best.1 * PARALLEL_AT_MOST)?;
    }
    let (mut peers, mut own) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let Outcome::Took(wall) = peers::xargs(&work, best.0, f64::INFINITY)? else {
            return Ok(None);
        };
        peers.push(wall);
        let Some(ran) = peers::msup(&work, &[])? else { return Ok(None) };
        own.push(ran);
    }
    let again = median(&mut peers, |wall| *wall).copied().unwrap_or(best.1);
    let Some(ran) = median(&mut own, |ran| ran.wall) else { return Ok(None) };
    let name = format!("xargs -P{}, median of {REPEATS} more", best.0);
    report.add(row("mixes", name, "s", again));
    report.add(row("mixes", format!("{}: msup, default flags", mix.name), "s", ran.wall));
    let ratio = ran.wall / again;
    println!("  => msup takes {ratio:.3} times as long as the best, xargs -P{}", best.0);
    print_details(ran, fewest);
    Ok(Some(ratio))
}

/// The mix with GNU parallel; it is stopped after `limit` seconds.
fn run_parallel(report: &mut Report, work: &Work, limit: f64) -> io::Result<()> {
    let name = "GNU parallel, default flags";
    match peers::parallel(work, limit)? {
        Outcome::Took(wall) => report.add(row("mixes", name, "s", wall)),
        Outcome::Late => println!("  {name:<44} more than {limit:.1} s"),
        Outcome::Failed => println!("  {name:<44} failed"),
        Outcome::Absent => println!("  {name:<44} not installed"),
    }
    Ok(())
}

/// What msup reports of its run. `fewest` is the smallest number with which xargs is as good as
/// with the best one.
fn print_details(Ran { mean, peak, debt, sampling, .. }: &Ran, fewest: u32) {
    println!("     commands in flight: mean {mean:.1}, peak {peak}");
    println!(
        "     mean in flight / smallest -P within 3 % of the best ({fewest}): {:.2}",
        mean / f64::from(fewest)
    );
    println!("     CPU time used beyond the tokens: {debt:.2} s");
    println!("     CPU time used by measuring: {:.2} % of one CPU", sampling * 100.0);
}

/// The middle one by this measure, if there is any.
fn median<T>(all: &mut [T], by: impl Fn(&T) -> f64) -> Option<&T> {
    all.sort_by(|a, b| by(a).total_cmp(&by(b)));
    all.get(all.len() / 2)
}
