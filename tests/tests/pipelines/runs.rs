//! What runs, and what does not run again.

use msup_tests::{run, spawn_piped, wait_until};

use super::{Place, counts, said};

const THREE: &str = r#"
[[stage]]
name = "up"
from = "in/*.txt"
run = "tr a-z A-Z < {} > {out}"
out = "t/{/.}.up"
temporary = true

[[stage]]
name = "count"
after = "up"
run = "wc -c < {} > {out}"
out = "out/{/.}.n"

[[stage]]
name = "both"
after = ["up", "count"]
run = "cat {up} {count} > {out}"
out = "out/{item/.}.both"

[[stage]]
name = "all"
gather = "both"
run = "cat {inputs} > {out}"
out = "all.txt"
"#;

#[test]
fn the_second_run_does_nothing() {
    let place = Place::with_inputs(THREE, 3);
    assert_eq!(place.ran(&[]), counts(&[("up", 3), ("count", 3), ("both", 3), ("all", 1)]));
    assert_eq!(place.read("all.txt"), "INPUT 0\n8\nINPUT 1\n8\nINPUT 2\n8\n");
    assert!(!place.has("t/0.up"));
    assert!(place.has(".msup/p/history"));
    for _ in 0..2 {
        let output = run(&mut place.sandbox.msup(["run", "p.toml"]));
        assert_eq!(said(&output), "msup: nothing to do: 10 tasks are up to date\n");
        assert_eq!(output.status.code(), Some(0));
    }
    assert_eq!(place.ran(&[]), counts(&[]));
    assert_eq!(place.counts("up_to_date").values().sum::<u64>(), 10, "the summary is written");
}

#[test]
fn a_change_runs_what_depends_on_it() {
    let place = Place::with_inputs(THREE, 3);
    place.ran(&[]);
    let one = counts(&[("up", 1), ("count", 1), ("both", 1), ("all", 1)]);
    place.write("in/1.txt", "other\n");
    assert_eq!(place.ran(&[]), one, "an input");
    assert_eq!(place.read("all.txt"), "INPUT 0\n8\nOTHER\n6\nINPUT 2\n8\n");
    std::fs::remove_file(place.path("out/2.n")).expect("it is there");
    assert_eq!(place.ran(&[]), one, "an output");
    place.write("p.toml", &THREE.replace("wc -c", "wc -l"));
    assert_eq!(place.ran(&[]), counts(&[("up", 3), ("count", 3), ("both", 3), ("all", 1)]));
    place.write("p.toml", &THREE.replace("wc -c", "wc -l").replace("\"all\"", "\"whole\""));
    assert_eq!(place.ran(&[]), counts(&[]), "a name");
    std::fs::remove_file(place.path("all.txt")).expect("it is there");
    assert_eq!(place.ran(&[]), counts(&[("whole", 1)]));
}

#[test]
fn a_dry_run_says_why_and_changes_nothing() {
    let place = Place::with_inputs(THREE, 4);
    let before = super::files(place.sandbox.path());
    let output = run(&mut place.sandbox.msup(["run", "--dry-run", "p.toml"]));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "stage  items  up to date  to run");
    assert_eq!(lines[1], "up         4           0       4");
    assert_eq!(lines[5], "up: 4 never run: in/0.txt, in/1.txt, in/2.txt, ...");
    assert_eq!(super::files(place.sandbox.path()), before);
    assert!(!place.has(".msup"));
    place.ran(&[]);
    place.write("in/3.txt", "more\n");
    let output = run(&mut place.sandbox.msup(["run", "--dry-run", "p.toml"]));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("up: 1 input changed: in/3.txt\n"), "{text}");
    assert!(text.contains("all: 1 input changed\n"), "{text}");
}

#[test]
fn contents_count_where_that_is_asked_for() {
    let place = Place::with_inputs(THREE, 2);
    place.ran(&[]);
    assert_eq!(place.ran(&["--check", "hash"]), counts(&[]));
    let again = std::fs::read(place.path("in/1.txt")).expect("readable");
    std::fs::write(place.path("in/1.txt"), &again).expect("writable");
    assert_eq!(place.ran(&["--check", "hash"]), counts(&[]), "the same content");
    assert_eq!(place.ran(&[]), counts(&[]), "and it is noted");
    place.write("in/1.txt", "other\n");
    let one = counts(&[("up", 1), ("count", 1), ("both", 1), ("all", 1)]);
    assert_eq!(place.ran(&["--check", "hash"]), one);
}

#[test]
fn sources_are_of_several_kinds() {
    let stage = |from: &str| {
        format!("[[stage]]\nname = 'a'\nfrom = {from}\nrun = 'echo {{}} > {{out}}'\nout = 'o/{{}}'")
    };
    for from in [
        "{values = ['x', 'y z']}",
        "{lines = 'list'}",
        "{null = 'list0'}",
        "{command = 'cat list'}",
        "{command = 'cat list0', null = true}",
    ] {
        let place = Place::new(&stage(from));
        place.write("list", "x\ny z\n");
        place.write("list0", "x\0y z\0");
        assert_eq!(place.ran(&[]), counts(&[("a", 2)]), "{from}");
        assert_eq!(place.read("o/y z"), "y z\n", "{from}");
    }
    let place = Place::new(&stage("{stdin = true}"));
    let mut msup = place.sandbox.msup(["run", "p.toml"]);
    let output = msup_tests::run_with_input(&mut msup, b"x\ny z\n");
    assert!(output.status.success() && place.has("o/y z"), "{}", said(&output));
    let refused = |from: &str, words: &str| {
        let output = Place::new(&stage(from)).run(&[]);
        assert!(!output.status.success() && said(&output).contains(words), "{}", said(&output));
    };
    refused("'none/*'", "no file has such a name: none/*");
    refused("{lines = 'none'}", "none");
    refused("{command = 'echo x; exit 3'}", "the command exited with 3: nothing was started");
    let place = Place::new(&stage("{lines = '/dev/null'}"));
    let output = run(&mut place.sandbox.msup(["run", "p.toml"]));
    assert_eq!(said(&output), "msup: nothing to do: 0 tasks are up to date\n");
}

#[test]
fn what_is_emitted_becomes_items() {
    let place = Place::with_inputs(
        r#"
[[stage]]
name = "split"
from = "in/*.txt"
run = "for n in 1 2; do echo $(basename {} .txt)-$n; done"
emits = "lines"
[[stage]]
name = "part"
after = "split"
run = "echo part {} > {out}"
out = "out/{}"
[[stage]]
name = "all"
gather = "part"
run = "cat $(cat {list}) > {out}"
out = "all.txt"
"#,
        2,
    );
    assert_eq!(place.ran(&[]), counts(&[("split", 2), ("part", 4), ("all", 1)]));
    assert_eq!(place.read("all.txt"), "part 0-1\npart 0-2\npart 1-1\npart 1-2\n");
    assert_eq!(place.ran(&[]), counts(&[]));
    std::fs::remove_file(place.path("out/1-1")).expect("it is there");
    assert_eq!(place.ran(&[]), counts(&[("part", 1), ("all", 1)]));
}

#[test]
fn paths_are_relative_to_the_file() {
    let place = Place::with_inputs(THREE, 2);
    let above = place.sandbox.path().parent().expect("a folder").to_owned();
    let mut msup = place.sandbox.msup(["run", "--quiet"]);
    msup.arg(place.path("p.toml")).current_dir(&above);
    assert!(run(&mut msup).status.success());
    assert!(place.has("all.txt") && place.has(".msup/p"));
    assert_eq!(place.ran(&[]), counts(&[]));
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\nrun = 'touch started; sleep 60; true {}'\n",
        1,
    );
    let flags = ["run", "--grace", "100ms", "p.toml"];
    let mut first = spawn_piped(&mut place.sandbox.msup(flags));
    wait_until(|| place.has("started"));
    let output = place.run(&[]);
    let words = format!("still going on (process {})", first.id());
    assert!(said(&output).contains(&words), "{}", said(&output));
    msup_tests::kill(first.id() as i32, nix::sys::signal::Signal::SIGTERM);
    first.wait().expect("ours");
}

#[test]
fn flags_stand_in_the_file() {
    let pipeline = "[run]\nretries = 2\nprocs = 1\n\n[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\n\
                    run = 'echo x >> tries; test $(wc -l < tries) = 2 # {}'\n";
    let place = Place::with_inputs(pipeline, 1);
    assert_eq!(place.ran(&[]), counts(&[("a", 1)]));
    let place = Place::with_inputs(pipeline, 1);
    assert!(!place.run(&["--retries", "1"]).status.success(), "the command line counts more");
    let place = Place::with_inputs(&pipeline.replace("retries", "retriess"), 1);
    let output = place.run(&[]);
    assert!(said(&output).contains("line 2: retriess = 2: unknown key: did you mean 'retries'?"));
}

#[test]
fn joins_of_two_sources_need_the_same_values() {
    let pipeline = |second: &str| {
        format!(
            "[[stage]]\nname = 'a'\nfrom = {{values = ['1', '2']}}\nrun = 'echo a{{}} > {{out}}'\n\
             out = 'a/{{}}'\n[[stage]]\nname = 'b'\nfrom = {{values = {second}}}\n\
             run = 'echo b{{}} > {{out}}'\nout = 'b/{{}}'\n[[stage]]\nname = 'c'\n\
             after = ['a', 'b']\nrun = 'cat {{a}} {{b}} > {{out}}'\nout = 'c/{{item}}'\n"
        )
    };
    let place = Place::new(&pipeline("['2', '1']"));
    place.ran(&[]);
    assert_eq!(place.read("c/1"), "a1\nb1\n");
    for second in ["['1']", "['1', '2', '3']", "['1', '3']"] {
        let output = Place::new(&pipeline(second)).run(&[]);
        assert!(said(&output).contains("is not among the values of"), "{second}");
    }
}

#[test]
fn a_pipeline_is_not_resumed_but_run_again() {
    let place = Place::with_inputs(THREE, 1);
    place.ran(&[]);
    let output = run(&mut place.sandbox.msup(["resume"]));
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains("msup run p.toml runs what is left"), "{}", said(&output));
}
