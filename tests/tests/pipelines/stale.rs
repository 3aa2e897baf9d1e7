//! What is not up to date runs, and what did not succeed is never called so.

use std::process::Stdio;

use msup_tests::{TASKS_DO_NOT_KILL, wait_until};
use nix::sys::signal::Signal;

use super::{Place, said};

#[test]
fn a_task_that_was_forced_and_killed_runs_again() {
    let place = Place::new(
        r#"
[[stage]]
name = "a"
from = {values = ["1"]}
run = "echo begin >> log; while [ -e slow ]; do sleep 0.01; done; echo end >> log"
"#,
    );
    place.ran(&[]);
    place.write("slow", "");
    let flags = ["run", "--quiet", "--force", "a", TASKS_DO_NOT_KILL, "p.toml"];
    let mut msup = place.sandbox.msup(flags).stdout(Stdio::null()).spawn().expect("msup is built");
    wait_until(|| place.read("log").matches("begin").count() == 2);
    msup_tests::kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait().expect("ours");
    wait_until(|| place.sandbox.processes().is_empty());
    std::fs::remove_file(place.path("slow")).expect("there");
    let outlook = place.run(&["--dry-run"]);
    assert!(String::from_utf8_lossy(&outlook.stdout).contains("a: 1 cut off"));
    place.ran(&[]);
    assert_eq!(place.read("log").matches("begin").count(), 3);
    assert!(said(&place.run(&[])).contains("1 up to date"));
}

#[test]
fn a_gather_that_gets_too_little_fails_and_says_so() {
    let text = r#"
[[stage]]
name = "a"
from = {values = ["1", "2", "3"]}
run = "echo {} > {out}"
out = "o/{}"

[[stage]]
name = "g"
gather = "a"
min = 5
run = "cat {inputs} > {out}"
out = "g"
"#;
    let place = Place::new(text);
    for _ in 0..2 {
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("min = 5: 3 of 3 items got there"), "{}", said(&output));
    }
}

#[test]
fn a_gather_of_emitted_names_sees_changes_of_their_files() {
    for flags in [&[][..], &["--check", "hash"]] {
        let place = Place::new(
            r#"
[[stage]]
name = "split"
from = "*.src"
run = "cp {} part; echo part"
emits = "lines"

[[stage]]
name = "all"
gather = "split"
run = "cat {inputs} > {out}"
out = "all.txt"
"#,
        );
        for content in ["one", "two or more"] {
            place.write("in.src", content);
            place.ran(flags);
            assert_eq!(place.read("all.txt"), content, "{flags:?}");
        }
        place.write("part", "three, by hand");
        place.ran(flags);
        assert_eq!(place.read("all.txt"), "three, by hand", "{flags:?}");
    }
}

#[test]
fn a_gather_of_emitted_values_sees_that_they_changed() {
    let place = Place::new(
        r#"
[[stage]]
name = "e"
from = "*.src"
run = "cat db"
emits = "lines"

[[stage]]
name = "g"
gather = "e"
run = "cat {list} > {out}"
out = "g"
"#,
    );
    place.write("in.src", "");
    place.write("db", "1\n2\n");
    place.ran(&["--check", "hash"]);
    place.ran(&["--check", "hash"]);
    place.write("db", "3\n4\n");
    place.ran(&["--until", "e", "--force", "e"]);
    place.ran(&["--check", "hash"]);
    assert_eq!(place.read("g"), "3\n4\n");
}

#[test]
fn readers_run_after_a_parent_whose_output_looks_the_same() {
    let place = Place::new(
        r#"
[[stage]]
name = "a"
from = "*.src"
run = "tr a-z A-Z < {} > {out}; touch -d @0 {out}"
out = "a/{}"

[[stage]]
name = "b"
after = "a"
run = "cat {} > {out}"
out = "b/{/}"
"#,
    );
    for content in ["aaa", "bbb"] {
        place.write("in.src", content);
        place.ran(&[]);
        assert_eq!(place.read("b/in.src"), content.to_uppercase());
    }
}

#[test]
fn readers_run_after_a_parent_without_an_output_that_ran_again() {
    let place = Place::new(
        r#"
[[stage]]
name = "a"
from = {values = ["1"]}
run = "echo a >> log; test ! -e bad"

[[stage]]
name = "b"
after = "a"
run = "echo b >> log"
"#,
    );
    place.ran(&[]);
    place.write("bad", "");
    assert_eq!(place.run(&["--force", "a"]).status.code(), Some(1));
    std::fs::remove_file(place.path("bad")).expect("there");
    place.ran(&[]);
    assert_eq!(place.read("log"), "a\nb\na\na\nb\n");
    assert!(said(&place.run(&[])).contains("2 up to date"));
}

#[test]
fn contents_are_compared_after_one_run_and_pipes_are_not_read() {
    let place = Place::with_inputs(
        r#"
[[stage]]
name = "a"
from = {command = "ls in/*; echo pipe"}
run = "test -p {} || cat {} > {out}; touch {out}"
out = "o/{/}"
"#,
        3,
    );
    nix::unistd::mkfifo(&place.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("writable");
    place.ran(&["--check", "hash"]);
    for name in ["in/0.txt", "o/1.txt"] {
        let content = place.read(name);
        place.write(name, &content);
    }
    let output = place.run(&["--check", "hash"]);
    assert!(said(&output).contains("0 tasks succeeded, 4 up to date"), "{}", said(&output));
}
