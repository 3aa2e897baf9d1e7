//! Unmodified commands of many kinds: msup with default flags beside `xargs -P` with every number
//! that somebody might choose. What there is to choose here: `cargo bench -p msup-bench --bench
//! mixes -- --help`.

mod figure;
mod memory;
mod peers;
mod scarce;
mod seen;
mod server;
mod throttle;
mod work;

use std::io;
use std::path::PathBuf;

use msup_bench::report::{Report, row};
use peers::{Outcome, Ran};
use work::Mix;

/// What is tried with xargs, in tokens, and once more 200.
const TIMES: [u32; 6] = [1, 2, 4, 8, 16, 32];
const MANY: u32 = 200;

/// Who takes so many times as long as the best so far is not waited for; nor, once two have, any
/// with fewer.
const TOO_SLOW: f64 = 1.15;
const TOO_MANY: u32 = 2;
/// The same for GNU parallel.
const PARALLEL_AT_MOST: f64 = 2.0;

/// Within this of the best is as good as the best.
const AS_GOOD: f64 = 1.03;

/// The best of many single runs is partly the luckiest: it is run again so many times, in turn with
/// msup, and their medians are compared.
const REPEATS: usize = 3;

const USAGE: &str = "usage: cargo bench -p msup-bench --bench mixes -- [--seconds S] [--only NAME] [--seed N] \
                     [--random N] [--random-seconds S] [--numbers P,P...] [--json FILE] [--figure FILE]";
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

/// Whether the arguments are what there is. Cargo adds `--bench` at the end.
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
    println!(
        "seed {seed}, {procs} times about {seconds} s of work each, {random_seconds} s for random ones; xargs -P beside \
         it, GNU parallel where it is"
    );
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
        println!("\nrandom mixes: median {median:.3}, worst {worst:.3} (aim: 1.03, 1.08)");
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

/// One mix with everybody. The ratio of msup's time to the best.
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
    let all = TIMES.map(|times| times * procs).into_iter().chain([MANY]);
    let chosen = argument::<String>("--numbers");
    let numbers: Vec<u32> = match &chosen {
        Some(list) => list.split(',').filter_map(|number| number.parse().ok()).collect(),
        // More would only take the neighbour's CPU away.
        None if mix.has_neighbour => vec![procs],
        None => all.collect(),
    };
    let (mut static_runs, mut too_slow): (Vec<(u32, f64)>, u32) = (Vec::new(), 0);
    // The most first: that is mostly near the best, and those far from it are not waited for.
    for number in numbers.into_iter().rev() {
        let best = static_runs.iter().map(|run| run.1).fold(f64::INFINITY, f64::min);
        let limit = (best * TOO_SLOW).min(seconds * 4.0 + 10.0);
        let name = format!("xargs -P{number}");
        if too_slow == TOO_MANY {
            println!("  {name:<44} not run");
            continue;
        }
        match peers::xargs(&work, number, limit)? {
            Outcome::Took(wall) => {
                static_runs.push((number, wall));
                too_slow = 0;
                report.add(row("mixes", name, "s", wall));
            }
            Outcome::Late => {
                // With many the memory may have been short; with fewer it may not.
                too_slow += u32::from(!static_runs.is_empty());
                println!("  {name:<44} more than {limit:.1} s");
            }
            Outcome::Failed | Outcome::Absent => println!("  {name:<44} failed"),
        }
    }
    static_runs.sort_by_key(|run| run.0);
    let Some(best) = static_runs.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(None);
    };
    if chosen.is_none() {
        let limit = best.1 * PARALLEL_AT_MOST;
        let name = "GNU parallel, default flags";
        match peers::parallel(&work, limit)? {
            Outcome::Took(wall) => report.add(row("mixes", name, "s", wall)),
            Outcome::Late => println!("  {name:<44} more than {limit:.1} s"),
            Outcome::Failed => println!("  {name:<44} failed"),
            Outcome::Absent => println!("  {name:<44} not here"),
        }
    }
    let fewest =
        static_runs.iter().find(|run| run.1 <= best.1 * AS_GOOD).map_or(best.0, |run| run.0);
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
    let Some(Ran { wall, mean, peak, debt, sampling }) = median(&mut own, |ran| ran.wall) else {
        return Ok(None);
    };
    let ratio = wall / again;
    let name = format!("xargs -P{}, median of {REPEATS} more", best.0);
    report.add(row("mixes", name, "s", again));
    report.add(row("mixes", format!("{}: msup, default flags", mix.name), "s", *wall));
    println!(
        "  => {ratio:.3} of the best (-P{}), {mean:.1} in flight ({:.2} of -P{fewest}, the fewest that is as \
         good), {peak} at most, {debt:.2} s of debt; measuring took {:.2} % of a CPU",
        best.0,
        mean / f64::from(fewest),
        sampling * 100.0,
    );
    Ok(Some(ratio))
}

/// The middle one by this measure, if there is any.
fn median<T>(all: &mut [T], by: impl Fn(&T) -> f64) -> Option<&T> {
    all.sort_by(|a, b| by(a).total_cmp(&by(b)));
    all.get(all.len() / 2)
}
