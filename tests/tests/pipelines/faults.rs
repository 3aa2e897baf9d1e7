//! A failure costs what depends on it, and nothing else.

use super::{Place, counts, said};

/// Inputs whose names say what happens to them in the second stage.
const POISON: &str = r#"
[run]
timeout = "5s"
grace = "200ms"

[[stage]]
name = "first"
from = "in/*.txt"
run = "cp {} {out}"
out = "t/{/}"
temporary = true

[[stage]]
name = "second"
after = "first"
run = '''
case {} in
  *bad*) exit 3;;
  *crash*) kill -SEGV $$;;
  *hang*) sleep 100;;
  *large*) head -c 50000000 /dev/zero; exit 1;;
esac
cp {} {out}
'''
out = "two/{/}"

[[stage]]
name = "third"
after = "second"
run = "cp {} {out}"
out = "three/{/}"
max = 2
"#;

#[test]
fn everything_else_is_done() {
    // In the nightly run 500 files, 5 % of them poison, and 2 GB of output from some.
    let nightly = std::env::var_os("MSUP_NIGHTLY").is_some();
    let (healthy, each) = if nightly { (475, 25) } else { (36, 4) };
    let large = if nightly { "2000000000" } else { "50000000" };
    let place = Place::with_inputs(&POISON.replace("50000000", large), healthy);
    let kinds = ["bad", "crash", "hang", "large"];
    for (number, kind) in (0..each).zip(kinds.iter().cycle()) {
        let number = if number < 4 { String::new() } else { number.to_string() };
        place.write(&format!("in/{kind}{number}.txt"), "poison\n");
    }
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(each as i32), "{}", said(&output));
    let (all, healthy, each) = (u64::from(healthy + each), healthy.into(), each.into());
    let succeeded = counts(&[("first", all), ("second", healthy), ("third", healthy)]);
    assert_eq!(place.counts("succeeded"), succeeded);
    assert_eq!(place.counts("failed"), counts(&[("second", each)]));
    assert_eq!(place.counts("skipped"), counts(&[("third", each)]));
    assert_eq!(super::files(&place.path("three")).len() as u64, healthy);
    let report = said(&output);
    if nightly {
        assert!(report.contains("25 failed, 25 skipped"), "{report}");
        return;
    }
    for words in [
        "failed: exit 3: second: in/bad.txt",
        "second: in/crash.txt",
        "timeout after 5 s: second: in/hang.txt",
        "failed: exit 1: second: in/large.txt",
        "4 failed, 4 skipped",
        "retry them: msup retry --failed p.toml",
        "4 temporary outputs are kept: not all tasks that read them have succeeded",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(place.has("t/bad.txt") && !place.has("t/0.txt"));
}

#[test]
fn failed_ones_and_what_follows_are_retried() {
    let place = Place::with_inputs(POISON, 2);
    place.write("in/bad.txt", "poison\n");
    assert_eq!(place.run(&[]).status.code(), Some(1));
    place.write("in/new.txt", "new\n");
    place.write("p.toml", &POISON.replace("exit 3", "true"));
    for words in [&["retry", "--failed", "p.toml"][..], &["retry", "--failed"]] {
        let output = msup_tests::run(&mut place.sandbox.msup(words));
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(place.has("three/bad.txt") && !place.has("three/new.txt"));
    // The command of the others has changed, too.
    assert_eq!(place.ran(&[])["third"], 3);
}

#[test]
fn an_item_counts_once() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\nrun = 'cp {} {out}'\nout = 'a/{/}'\n\
         [[stage]]\nname = 'b'\nafter = 'a'\nrun = 'false {}'\n\
         [[stage]]\nname = 'c'\nafter = 'a'\nrun = 'false {}'\n",
        3,
    );
    assert_eq!(place.run(&[]).status.code(), Some(3));
    assert_eq!(place.counts("failed"), counts(&[("b", 3), ("c", 3)]));
}

#[test]
fn a_gather_needs_enough() {
    let pipeline = |min: &str| {
        format!(
            "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\n\
             run = 'case {{}} in *0*) false;; *) cp {{}} {{out}};; esac'\nout = 'a/{{/}}'\n\
             [[stage]]\nname = 'all'\ngather = 'a'\n{min}\nrun = 'cat {{inputs}} > {{out}}'\n\
             out = 'all'\n"
        )
    };
    for (min, is_enough, failed) in [
        ("", false, 1),
        ("min = 3", true, 1),
        ("min = '75%'", true, 1),
        // The gather says that it got too little.
        ("min = 4", false, 2),
    ] {
        let place = Place::with_inputs(&pipeline(min), 4);
        assert_eq!(place.run(&[]).status.code(), Some(failed), "{min}");
        assert_eq!(place.has("all"), is_enough, "{min}");
    }
}

#[test]
fn a_command_that_does_not_write_its_output_has_failed() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\nrun = 'true {} {out}'\nout = 'a/{/}'\n",
        1,
    );
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("has not written"), "{}", said(&output));
}

#[test]
fn limits_are_those_of_the_stage() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\nrun = 'sleep 30; true {}'\ntimeout = '300ms'\n\
         [[stage]]\nname = 'b'\nfrom = 'in/*.txt'\nrun = 'ulimit -d > {out}; true {}'\n\
         out = 'b/{/}'\nmemory = '100M'\n\
         [[stage]]\nname = 'c'\nfrom = 'in/*.txt'\nrun = 'echo {threads} > {out}; true {}'\n\
         out = 'c/{/}'\nthreads = 3\n",
        1,
    );
    let output = place.run(&["--grace", "100ms"]);
    assert!(said(&output).contains("timeout after 0.3 s: a: in/0.txt"), "{}", said(&output));
    assert_eq!(place.read("b/0.txt"), "102400\n");
    assert_eq!(place.read("c/0.txt"), "3\n");
}

#[test]
fn a_path_with_a_newline_is_not_put_on_a_line() {
    let place = Place::new(
        "[[stage]]\nname = 'a'\nfrom = {null = 'list'}\nrun = 'true {} > {out}'\nout = 'a/{}'\n\
         [[stage]]\nname = 'all'\ngather = 'a'\nrun = 'cat {list} > {out}'\nout = 'all'\n",
    );
    place.write("list", "x\ny\0z\0");
    let output = place.run(&[]);
    assert!(said(&output).contains("a path holds a newline: use {list0}"), "{}", said(&output));
    place.write("p.toml", &place.read("p.toml").replace("{list}", "{list0}"));
    place.ran(&[]);
    assert_eq!(place.read("all"), "a/x\ny\0a/z\0");
}
