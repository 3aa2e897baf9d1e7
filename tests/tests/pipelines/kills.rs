//! msup is killed at any moment, and run again.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use msup_tests::{TASKS_DO_NOT_KILL, wait_until};
use nix::sys::signal::Signal;

use super::{Place, counts, files, said};

const PIPELINE: &str = r#"
[[stage]]
name = "split"
from = "in/*.txt"
run = "echo split {} >> log; for n in 1 2 3; do echo $(basename {} .txt)-$n; done"
emits = "lines"

[[stage]]
name = "make"
after = "split"
run = "echo make {} >> log; sleep 0.01; seq 1 500 > {out}; echo {} >> {out}"
out = "t/{}.made"
temporary = true

[[stage]]
name = "sum"
after = "make"
run = "echo sum {item} >> log; cksum < {} > {out}"
out = "out/{/.}.sum"
max = 2

[[stage]]
name = "pair"
after = ["make", "sum"]
run = "echo pair {item} >> log; cat {sum} > {out}; tail -n 1 {make} >> {out}"
out = "out/{item}.pair"

[[stage]]
name = "all"
gather = "pair"
run = "echo all >> log; cat {inputs} > {out}"
out = "all.txt"
"#;

/// Kills and inputs, in a normal test run and in the nightly one.
const NORMAL: (u32, u32) = (12, 12);
const NIGHTLY: (u32, u32) = (200, 60);

fn size() -> (u32, u32) {
    match std::env::var_os("MSUP_NIGHTLY") {
        Some(_) => NIGHTLY,
        None => NORMAL,
    }
}

#[test]
fn outputs_are_those_of_an_undisturbed_run() {
    let (kills, inputs) = size();
    let quiet = Place::with_inputs(PIPELINE, inputs);
    quiet.ran(&[]);
    let place = Place::with_inputs(PIPELINE, inputs);
    let mut chosen = u64::from(std::process::id());
    let mut killed = 0;
    for _ in 0..kills {
        chosen = chosen.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let mut msup = place.sandbox.msup(["run", "--quiet", TASKS_DO_NOT_KILL, "p.toml"]);
        let mut child = msup.stdout(Stdio::null()).spawn().expect("msup is built");
        std::thread::sleep(Duration::from_millis((chosen >> 33) % 150));
        let is_over = child.try_wait().expect("ours").is_some();
        msup_tests::kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| place.sandbox.processes().is_empty());
        killed += u32::from(!is_over);
        for (name, content) in files(place.sandbox.path()) {
            let is_output = name.starts_with("out/") && !name.contains("/.");
            let whole = quiet.path(&name);
            if is_output && whole.exists() {
                assert_eq!(content, std::fs::read(&whole).expect("readable"), "{name}");
            }
        }
        if is_over {
            std::fs::remove_dir_all(place.path("out")).expect("writable");
        }
    }
    assert!(killed >= kills / 4, "{killed} kills");
    let output = place.run(&[TASKS_DO_NOT_KILL]);
    assert!(output.status.success(), "{}", said(&output));
    let made = |place: &Place| {
        let mut made = files(place.sandbox.path());
        made.retain(|name, _| ["out/", "t/", "all.txt"].iter().any(|own| name.starts_with(own)));
        made
    };
    let (own, expected) = (made(&place), made(&quiet));
    let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        files.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&own), names(&expected));
    assert_eq!(own, expected);
    assert_eq!(place.ran(&[]), counts(&[]), "nothing is left to do");
}

/// The lines of the log: of tasks that have begun.
fn begun(place: &Place) -> Vec<String> {
    place.read("log").lines().map(str::to_owned).collect()
}

/// The number of tasks that are up to date, as a dry run says.
fn up_to_date(place: &Place) -> usize {
    let output = msup_tests::run(&mut place.sandbox.msup(["run", "--dry-run", "p.toml"]));
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    let stages = table.lines().skip(1).take(5);
    let counts = stages.map(|line| line.split_whitespace().nth(2).expect("a third column"));
    counts.map(|count| count.parse::<usize>().expect("a number")).sum()
}

/// What is known to have succeeded at a kill is not run again: only what was in flight is.
#[test]
fn what_has_succeeded_is_not_run_again() {
    let place = Place::with_inputs(PIPELINE, 12);
    let (mut killed, mut in_flight) = (0, 0);
    loop {
        let flags = ["run", "-j", "2", "--quiet", TASKS_DO_NOT_KILL, "p.toml"];
        let mut msup = place.sandbox.msup(flags);
        let mut child = msup.stdout(Stdio::null()).spawn().expect("msup is built");
        std::thread::sleep(Duration::from_millis(120));
        if let Some(status) = child.try_wait().expect("ours") {
            assert!(status.success());
            break;
        }
        msup_tests::kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| place.sandbox.processes().is_empty());
        killed += 1;
        assert!(killed < 200, "it gets nowhere");
        if place.has("log") {
            let distinct: BTreeSet<String> = begun(&place).into_iter().collect();
            in_flight += distinct.len() - up_to_date(&place);
        }
    }
    let (tasks, begun) = (12 + 3 * 36 + 1, begun(&place).len());
    println!("{begun} attempts of {tasks} tasks, {killed} kills, {in_flight} in flight at them");
    place.sandbox.start_once_more();
    assert!(begun <= tasks + in_flight, "{begun} attempts of {tasks} tasks, {in_flight} in flight");
}
