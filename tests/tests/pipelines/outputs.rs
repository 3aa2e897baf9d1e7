//! No task makes a file that another task makes, or that a source has found.

use super::{Place, said};

/// Runs it twice; it is refused both times, before anything has started.
fn is_refused(pipeline: &str, words: &str) {
    let place = Place::with_inputs(pipeline, 2);
    for _ in 0..2 {
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(255), "{}", said(&output));
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
        assert!(said(&output).contains("p.toml, line "), "{}", said(&output));
        assert_eq!(place.read("in/0.txt"), "input 0\n");
    }
}

#[test]
fn inputs_are_not_overwritten() {
    is_refused(
        r#"
[[stage]]
name = "a"
from = "in/*.txt"
run = "tr a-z A-Z < {} > {out}"
out = "in/{/}"
"#,
        "a: in/0.txt would make in/0.txt, which the glob of a source finds as an input",
    );
    is_refused(
        r#"
[[stage]]
name = "a"
from = {command = "ls in/*.txt"}
run = "tr a-z A-Z < {} > {out}"
out = "{}"
"#,
        "a: in/0.txt would overwrite in/0.txt, which a source lists and which was there before",
    );
}

#[test]
fn what_the_next_run_would_take_for_an_input_is_refused_by_the_first() {
    is_refused(
        r#"
[[stage]]
name = "a"
from = "in/*.txt"
run = "tr a-z A-Z < {} > {out}"
out = "{.}.upper.txt"
"#,
        "a: in/0.txt would make in/0.upper.txt, which the glob of a source finds as an input",
    );
}

#[test]
fn files_of_the_pipeline_itself_are_not_made() {
    for out in ["p.toml", "list", ".msup/p/history", "./list"] {
        let place = Place::new(&format!(
            "[[stage]]\nname = 'a'\nfrom = {{lines = 'list'}}\nrun = 'echo {{}} > {{out}}'\n\
             out = 'o/{{}}'\n[[stage]]\nname = 'g'\ngather = 'a'\n\
             run = 'cat {{inputs}} > {{out}}'\nout = '{out}'\n"
        ));
        place.write("list", "1\n2\n");
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(255), "{out}: {}", said(&output));
        assert!(said(&output).contains("which the pipeline itself needs"), "{}", said(&output));
        assert_eq!(place.read("list"), "1\n2\n");
    }
}

#[test]
fn a_link_to_a_folder_does_not_hide_that_two_files_are_one() {
    let stage = |name: &str, of: &str, out: &str| {
        format!("[[stage]]\nname = '{name}'\n{of}\nrun = 'echo {name} > {{out}}'\nout = '{out}'\n")
    };
    for (out, words) in [
        ("lin/{/}", "which the glob of a source finds as an input"),
        ("lin/{/}.n", "which the glob of a source finds as an input"),
        ("lout/{/}", "two tasks make the same file"),
    ] {
        let two = stage("a", "from = 'in/*'", "o/{/}") + &stage("b", "after = 'a'", out);
        let place = Place::with_inputs(&two, 2);
        std::fs::create_dir(place.path("o")).expect("writable");
        for (folder, link) in [("in", "lin"), ("o", "lout")] {
            std::os::unix::fs::symlink(folder, place.path(link)).expect("writable");
        }
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(255), "{out}: {}", said(&output));
        assert!(said(&output).contains(words), "{out}: {}", said(&output));
        assert_eq!(place.read("in/0.txt"), "input 0\n");
    }
}

#[test]
fn a_file_that_a_task_has_emitted_is_not_overwritten() {
    let place = Place::new(
        "[[stage]]\nname = 'a'\nfrom = {values = ['1']}\nrun = 'echo part'\nemits = 'lines'\n\
         [[stage]]\nname = 'b'\nafter = 'a'\nrun = 'cat {} {} > {out}'\nout = '{}'\n",
    );
    place.write("part", "content\n");
    for _ in 0..2 {
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("would overwrite part"), "{}", said(&output));
        assert_eq!(place.read("part"), "content\n");
    }
}

#[test]
fn a_second_name_of_a_file_leaves_nothing_beside_it() {
    let place = Place::with_inputs(
        "[[stage]]\nname = 'a'\nfrom = 'in/*.txt'\nrun = 'ln {} {out}'\nout = 'out/{/}'\n",
        2,
    );
    for _ in 0..2 {
        place.ran(&["--force", "a"]);
        let names: Vec<String> = super::files(&place.path("out")).into_keys().collect();
        assert_eq!(names, ["0.txt", "1.txt"]);
    }
}

#[test]
fn a_value_may_be_the_name_of_what_is_made() {
    let place = Place::new(
        r#"
[[stage]]
name = "a"
from = {values = ["x.pdf", "y.pdf"]}
run = "echo {} > {out}"
out = "{}"
"#,
    );
    place.ran(&[]);
    let output = place.run(&[]);
    assert!(said(&output).contains("2 up to date"), "{}", said(&output));
}

#[test]
fn one_file_has_one_maker() {
    is_refused(
        r#"
[[stage]]
name = "a"
from = {values = ["x", "y/../x"]}
run = "echo {} > {out}"
out = "v/{}"
"#,
        "two tasks make the same file: v/y/../x: a: x, and a: y/../x",
    );
}

#[test]
fn emitted_items_that_make_one_file_fail_in_every_run() {
    // Whichever is emitted first makes the file; later runs know both from the beginning.
    for slow in ["1", "2"] {
        two_emit_one_file(slow);
    }
}

fn two_emit_one_file(slow: &str) {
    let place = Place::new(
        &r#"
[[stage]]
name = "split"
from = {values = ["1", "2"]}
run = "[ {} != SLOW ] || sleep 0.5; echo x"
emits = "lines"

[[stage]]
name = "make"
after = "split"
run = "echo {item} > {out}"
out = "o/{}"
"#
        .replace("SLOW", slow),
    );
    for _ in 0..3 {
        let output = place.run(&[]);
        assert_eq!(output.status.code(), Some(1), "{slow}: {}", said(&output));
        assert!(said(&output).contains("two tasks make the same file: o/x"), "{}", said(&output));
        assert!(place.has("o/x"), "{slow}");
    }
    let output = place.run(&["--dry-run"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("make: 1 cannot run"));
}

#[test]
fn sources_that_repeat_values_or_differ_are_not_joined() {
    let join = |one: &str, two: &str| {
        format!(
            "[[stage]]\nname = 'a'\nfrom = {{values = {one}}}\nrun = 'true'\n\
             [[stage]]\nname = 'b'\nfrom = {{values = {two}}}\nrun = 'true'\n\
             [[stage]]\nname = 'c'\nafter = ['a', 'b']\nrun = 'true {{item}}'\n"
        )
    };
    is_refused(&join("['a', 'a', 'b']", "['a', 'b', 'c']"), "the source of 'a' repeats values");
    is_refused(
        &join("['a', 'b']", "['a', 'c']"),
        "'b' of stage 'a' is not among the values of 'b'",
    );
    is_refused(&join("['a']", "['a', 'z']"), "'z' of stage 'b' is not among the values of 'a'");
}

#[test]
fn a_temporary_output_that_cannot_be_removed_is_named() {
    let place = Place::new(
        "[[stage]]\nname = 'a'\nfrom = {values = ['1']}\nrun = 'echo > {out}'\nout = 'held/{}'\n\
         temporary = true\n[[stage]]\nname = 'b'\nafter = 'a'\n\
         run = 'chattr +a held 2>/dev/null || echo > cannot'\n",
    );
    let output = place.run(&[]);
    let free = std::process::Command::new("chattr").arg("-a").arg(place.path("held")).status();
    assert!(output.status.success(), "{}", said(&output));
    if place.has("cannot") || !free.is_ok_and(|status| status.success()) {
        println!("not tested: files cannot be made append-only here");
        return;
    }
    assert!(said(&output).contains("held/1: this temporary output stays: "), "{}", said(&output));
}
