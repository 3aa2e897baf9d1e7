//! A flag that is nearly one of msup's is answered with the one that was probably meant.

use msup_tests::{Sandbox, run};

use super::{assert_refused, stdout_of};

#[test]
fn a_misspelled_flag_is_answered_with_the_nearest_one() {
    assert_refused(
        &["--retry", "3", "true", ":::", "a"],
        &["'--retry'", "did you mean '--retries'?"],
    );
    assert_refused(&["--keep-ordr", "true", ":::", "a"], &["did you mean '--keep-order'?"]);
    assert_refused(&["--keeporde", "true", ":::", "a"], &["did you mean '--keep-order'?"]);
    assert_refused(&["--job", "3", "true", ":::", "a"], &["did you mean"]);
}

#[test]
fn subcommands_answer_with_the_nearest_flag_too() {
    assert_refused(&["retry", "--faild"], &["did you mean '--failed'?"]);
    assert_refused(&["resume", "--sumary", "f"], &["did you mean '--summary'?"]);
    assert_refused(&["log", "--slow", "3"], &["did you mean '--slowest'?"]);
    assert_refused(&["log", "--state", "fialed"], &["did you mean 'failed'?"]);
    assert_refused(&["clean", "--dry-runn"], &["--dry-runn", "(see msup clean --help)"]);
    assert_refused(&["log", "--zzzzzz"], &["(see msup log --help)"]);
}

#[test]
fn what_is_no_number_is_answered_in_one_form() {
    for flag in ["--retries", "--crash-limit", "--max-workers", "--schedtrace"] {
        let line = format!("msup: {flag} x: must be a whole number of at least 1");
        assert_refused(&[flag, "x", "true", ":::", "a"], &[&line]);
    }
    assert_refused(&["--idle-timeout", "x", "true", ":::", "a"], &["must be a number of seconds"]);
}

#[test]
fn an_unknown_flag_that_resembles_nothing_is_named_alone() {
    assert_refused(&["--zzzzzz", "true", ":::", "a"], &["'--zzzzzz'", "msup --help"]);
}

#[test]
fn a_misspelled_subcommand_is_answered_with_the_nearest_one() {
    assert_refused(&["resum"], &["resum: no such program", "did you mean 'msup resume'?"]);
    assert_refused(&["claen"], &["did you mean 'msup clean'?"]);
    for word in ["paralel", "pararell", "parralel"] {
        assert_refused(&[word, "echo", ":::", "a"], &["did you mean 'msup parallel'?"]);
    }
    assert_refused(&["xarg"], &["did you mean 'msup xargs'?"]);
}

#[test]
fn a_program_that_is_called_nearly_like_a_subcommand_is_run() {
    let sandbox = Sandbox::new();
    sandbox.program("logs", b"#!/bin/sh\necho \"it is run: $1\"\n");
    let path = std::env::var("PATH").expect("text");
    let path = format!("{}:{path}", sandbox.path().display());
    let list = sandbox.file("list", b"a\n");
    let mut msup = sandbox.msup(["-q", "logs"]);
    let stdin = std::fs::File::open(&list).expect("just written");
    let output = msup.env("PATH", &path).stdin(stdin).output().expect("it is built");
    assert_eq!(stdout_of(&output), "it is run: a\n");
    let mut msup = sandbox.msup(["logs"]);
    let stdin = std::fs::File::open(&list).expect("just written");
    let output = msup.env("PATH", &path).stdin(stdin).output().expect("it is built");
    assert_eq!(stdout_of(&output), "it is run: a\n", "the only word");
}

#[test]
fn what_stands_beside_its_flag_is_answered_with_the_right_form() {
    assert_refused(&["--progress", "5s", "echo", ":::", "a"], &["--progress=5s"]);
    assert_refused(&["echo", "{2}", ":::", "a"], &["one list of values", "--colsep"]);
    let words = ["-I%", "sh", "-c", "echo %", ":::", "a"];
    assert_refused(&words, &["% in the script of sh", "leave sh -c out: msup runs 'echo %'"]);
    let words = ["-I%", "env", "sh", "-c", "echo %", ":::", "a"];
    assert_refused(&words, &["% in the script of sh", "sh -c 'echo \"$1\"' _ %"]);
}

#[test]
fn help_is_shown_for_the_word_as_for_the_flag() {
    let sandbox = Sandbox::new();
    let shown = |words: &[&str]| {
        let output = run(&mut sandbox.msup(words));
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        stdout_of(&output)
    };
    assert!(shown(&["help", "--all"]).contains("Usage: msup [OPTIONS]"));
    assert_eq!(shown(&["help"]), shown(&["-h"]));
    assert_eq!(shown(&["help", "--all"]), shown(&["--help"]));
    assert_eq!(shown(&["help", "retry"]), shown(&["retry", "--help"]));
    for tool in ["parallel", "xargs"] {
        let page = format!("docs/guide/coming-from-{tool}.md");
        assert!(shown(&["help", tool]).contains(&page), "{tool}");
        assert!(shown(&["-h"]).contains(&format!("msup {tool}")), "{tool}");
        assert!(shown(&["--help"]).contains(&format!("msup {tool}")), "{tool}");
    }
    for words in [["doctor", "--help"], ["doctor", "-h"], ["help", "doctor"]] {
        assert!(shown(&words).contains("Usage: msup doctor"), "{words:?}");
    }
}
