//! A flag that is nearly one of msup's is answered with the one that was probably meant.

use super::assert_refused;

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
