//! The token protocol beside the hardware's floor and beside what others use.
//! `cargo bench -p msup-bench --bench tokens [-- [--quick] [--only GROUP] [--json FILE]]`.

mod claims;
mod grid;
mod hand_over;
mod pairs;
mod retake;

use std::io;
use std::path::PathBuf;

use msup_bench::go;
use msup_bench::report::Report;
use msup_bench::stage;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Interleaved repeats of each figure.
    rounds: u32,
    /// Everything that takes long is divided by this.
    shorter: u64,
}

fn main() -> io::Result<()> {
    if let Some(role) = stage::role() {
        match role.name.as_str() {
            "ping" => hand_over::ping(&role),
            "bare_ping" => hand_over::bare_ping(&role),
            "claims" => claims::claims(&role),
            "blocks" => retake::blocks(&role),
            "waits" => retake::waits(&role),
            "loops" => grid::loops(&role),
            "hog" => grid::hog(&role),
            other => panic!("no such role: {other}"),
        }
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let json = arguments.iter().position(|argument| argument == "--json");
    let json = json.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let effort =
        if quick { Effort { rounds: 3, shorter: 20 } } else { Effort { rounds: 9, shorter: 1 } };
    // Before anything is pinned.
    let _ = stage::cpus();
    let mut report = Report::default();
    report.print_machine();
    let target = std::env::current_exe()?;
    let target = target.ancestors().nth(3).expect("target/PROFILE/deps/BENCH").join("peer-go");
    let go = go::measure(&target);
    if let Err(why) = &go {
        println!("Go was skipped: {why}");
    }
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|at| arguments.get(at + 1));
    let wanted = |group: &str| only.is_none_or(|only| only == group);
    if wanted("pairs") {
        pairs::measure(&mut report, effort, go.as_ref().ok())?;
    }
    if wanted("hand_over") {
        hand_over::measure(&mut report, effort)?;
    }
    if wanted("claims") {
        claims::measure(&mut report, effort, go.as_ref().ok())?;
    }
    if wanted("retake") {
        retake::measure(&mut report, effort)?;
    }
    if wanted("grid") {
        grid::measure(&mut report, effort)?;
    }
    json.map_or(Ok(()), |path| report.write(&path))
}
