//! Runs after runs that were killed, and what is said of the last run.

use std::process::{Child, Output, Stdio};

use msup_tests::{TASKS_DO_NOT_KILL, inside, overheard, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{Place, counts, said};

/// `first` hangs while there is `hang/ITEM`, and fails where there is `fail/ITEM`.
const TWO: &str = r#"
[[stage]]
name = "first"
from = {values = ["1", "2", "3"]}
run = """
echo {} >> begun
[ ! -e fail/{} ] || exit 3
while [ -e hang/{} ]; do sleep 0.01; done
echo {} > {out}"""
out = "one/{}"

[[stage]]
name = "second"
after = "first"
run = "while [ -e late/{/} ]; do echo >> waits; sleep 0.01; done; cp {} {out}"
out = "two/{/}"

[[stage]]
name = "all"
gather = "second"
run = "cat {inputs} > {out}"
out = "all"
"#;

fn begin(place: &Place, words: &[&str]) -> Child {
    let mut msup = place.sandbox.msup(words.iter().chain(&[TASKS_DO_NOT_KILL]));
    msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("msup is built")
}

fn kill(place: &Place, mut msup: Child) {
    msup_tests::kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait().expect("ours");
    wait_until(|| place.sandbox.processes().is_empty());
}

fn mark(place: &Place, names: &[&str]) {
    for name in names {
        std::fs::create_dir_all(place.path(name).parent().expect("a folder")).expect("writable");
        place.write(name, "");
    }
}

fn retry(place: &Place) -> Output {
    run(&mut place.sandbox.msup(["retry", "--failed", "--summary", "s.json", "p.toml"]))
}

#[test]
fn a_retry_runs_what_a_kill_has_cut_off() {
    let place = Place::new(TWO);
    mark(&place, &["hang/1", "hang/2", "hang/3"]);
    let msup = begin(&place, &["run", "-j3", "p.toml"]);
    wait_until(|| place.has("begun") && place.read("begun").lines().count() == 3);
    kill(&place, msup);
    std::fs::remove_dir_all(place.path("hang")).expect("there");
    let outlook = place.run(&["--dry-run"]);
    let outlook = String::from_utf8_lossy(&outlook.stdout).into_owned();
    assert!(outlook.contains("first: 3 cut off: 1, 2, 3"), "{outlook}");
    let output = retry(&place);
    assert!(output.status.success(), "{}", said(&output));
    let expected = counts(&[("first", 3), ("second", 3), ("all", 1)]);
    assert_eq!(place.counts("succeeded"), expected);
    assert_eq!(place.read("all"), "1\n2\n3\n");
}

#[test]
fn readers_of_what_a_killed_retry_has_mended_run_in_the_next_retry() {
    let place = Place::new(TWO);
    mark(&place, &["fail/2"]);
    assert_eq!(place.run(&[]).status.code(), Some(1));
    std::fs::remove_dir_all(place.path("fail")).expect("there");
    mark(&place, &["late/2"]);
    let msup = begin(&place, &["retry", "--failed", "p.toml"]);
    wait_until(|| place.has("one/2") && place.has("waits"));
    kill(&place, msup);
    std::fs::remove_dir_all(place.path("late")).expect("there");
    let output = retry(&place);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(place.read("all"), "1\n2\n3\n");
    assert!(said(&retry(&place)).contains("7 up to date"), "nothing is left");
}

/// They have no record of their own: it is the task above that tells.
#[test]
fn readers_that_a_retry_of_some_stages_has_left_run_in_the_next_retry() {
    let place = Place::new(TWO);
    mark(&place, &["fail/1", "fail/2"]);
    assert_eq!(place.run(&[]).status.code(), Some(2));
    std::fs::remove_dir_all(place.path("fail")).expect("there");
    let part = run(&mut place.sandbox.msup(["retry", "--failed", "--until", "first", "p.toml"]));
    assert!(part.status.success(), "{}", said(&part));
    assert!(place.has("one/1") && place.has("one/2") && !place.has("two/1"));
    assert!(retry(&place).status.success());
    assert_eq!(place.read("all"), "1\n2\n3\n");
}

/// A task that has failed may need its parent to run again first: the parent's input was mended.
#[test]
fn a_retry_runs_what_a_failed_task_waits_for() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'norm'\nfrom = 'in/*'\nrun = 'cp {} {out}'\nout = 'n/{/}'\n\
         [[stage]]\nname = 'parse'\nafter = 'norm'\nrun = 'grep input {} > {out}'\nout = 'o/{/}'\n",
        3,
    );
    place.write("in/1.txt", "bad\n");
    assert_eq!(place.run(&[]).status.code(), Some(1));
    place.write("in/1.txt", "input again\n");
    place.write("in/2.txt", "input changed, and not failed\n");
    let output = retry(&place);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(place.counts("succeeded"), counts(&[("norm", 1), ("parse", 1)]));
    assert_eq!(place.read("o/1.txt"), "input again\n");
}

#[test]
fn what_is_named_and_would_not_run_is_refused() {
    let place = Place::new(TWO);
    for (words, why) in [
        (
            &["run", "--only", "1", "--until", "all"][..],
            "--until all: --only leaves this stage out",
        ),
        (&["run", "--only", "1", "--force", "all"], "--force all: --only leaves this stage out"),
        (&["run", "--until", "first", "--force", "all"], "--force all: --until leaves this stage"),
        (&["retry", "--failed", "--force", "all"], "--force: msup retry runs what has failed"),
    ] {
        let output = run(&mut place.sandbox.msup(words.iter().chain(&["p.toml"])));
        assert_eq!(output.status.code(), Some(255), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{words:?}: {}", said(&output));
    }
    let two = place.ran(&["--until", "second", "--until", "first"]);
    assert_eq!(two, counts(&[("first", 3), ("second", 3)]));
}

#[test]
fn values_with_nul_bytes_are_refused() {
    for (source, text) in
        [("{command = 'printf \"1\\\\0002\"'}", ""), ("{lines = 'list'}", "1\x002\n")]
    {
        let place = Place::new(&format!(
            "[[stage]]\nname = 'a'\nfrom = {source}\nrun = 'echo {{}} >> ran'\n"
        ));
        place.write("list", text);
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(255), "{source}: {}", said(&output));
        assert!(said(&output).contains("value 1 holds a NUL byte"), "{}", said(&output));
        assert!(!place.has("ran"));
    }
    let place = Place::new(
        "[[stage]]\nname = 'a'\nfrom = {values = ['1']}\nrun = 'printf \"1\\\\0002\"'\n\
         emits = 'lines'\n[[stage]]\nname = 'b'\nafter = 'a'\nrun = 'echo {} >> ran'\n",
    );
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("NUL byte (use emits"), "{}", said(&output));
    assert!(!place.has("ran"));
}

#[test]
fn log_and_report_are_about_the_last_run_of_the_folder() {
    let place = Place::new(TWO);
    run(&mut place.sandbox.msup(["true", ":::", "x"]));
    place.ran(&[]);
    let shown = |words: &[&str]| {
        let output = run(&mut place.sandbox.msup(words));
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(shown(&["log", "last"]).contains("first: 1"));
    // There is nothing to do: the last run stays known.
    run(&mut place.sandbox.msup(["run", "p.toml"]));
    for words in [&["log", "last"][..], &["log", "p.toml"]] {
        assert!(shown(words).contains("second: 3"), "{words:?}");
    }
    shown(&["report", "p.toml"]);
    run(&mut place.sandbox.msup(["true", ":::", "x"]));
    assert!(!shown(&["log", "last"]).contains("first: 1"), "that is the last one now");
}

#[test]
fn several_items_run_alone_and_a_wrong_one_has_a_hint() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\nrun = 'cp {} {out}'\nout = 'out/{/}'\n",
        4,
    );
    assert_eq!(place.ran(&["--only", "in/1.txt", "--only", "in/3.txt"])["a"], 2);
    assert!(place.has("out/1.txt") && place.has("out/3.txt") && !place.has("out/0.txt"));
    let output = place.run(&["--only", "in/0.txt", "--only", "2.txt"]);
    assert_eq!(output.status.code(), Some(255));
    let words = "--only 2.txt: no source has this value (one has in/2.txt)";
    assert!(said(&output).contains(words), "{}", said(&output));
    assert!(!place.has("out/0.txt"));
}

#[test]
fn a_history_that_is_no_file_is_named() {
    let place = Place::new(TWO);
    std::fs::create_dir_all(place.path(".msup/p")).expect("writable");
    nix::unistd::mkfifo(&place.path(".msup/p/history"), nix::sys::stat::Mode::S_IRWXU)
        .expect("writable");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(255));
    let words = ".msup/p/history: the history of this pipeline cannot be used: it is no regular";
    assert!(said(&output).contains(words), "{}", said(&output));
}

/// A run that is stopped does not wait for space on the disk with its journal.
#[test]
fn a_pipeline_whose_journal_is_full_can_be_stopped() {
    let place = Place::new(
        "[[stage]]\nname = 'a'\nfrom = {command = 'seq 2000'}\n\
         run = 'echo {} > {out}'\nout = 'out/{}'\n",
    );
    let msup = msup_tests::program("msup").display().to_string();
    let script = format!(
        "head -c 150000 /dev/zero >.msup/filler && exec {msup} run -j2 {TASKS_DO_NOT_KILL} p.toml"
    );
    let Some(mut command) = place.sandbox.on_small_disk(".msup", 300 << 10, &script) else {
        return;
    };
    let mut msup = spawn_piped(&mut command);
    let told = overheard(&mut msup);
    wait_until(|| told.lock().expect("no panic").contains("no space left for the journal"));
    assert!(inside(&msup, &place.path(".msup/filler")).exists());
    msup_tests::kill(msup.id() as i32, Signal::SIGINT);
    msup.wait().expect("ours");
    let told = told.lock().expect("no panic").clone();
    assert!(told.contains("the journal is not complete"), "{told}");
}
