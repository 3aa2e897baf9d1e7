//! A flag that is nearly one of msup's is answered with the one that was probably meant.

use super::assert_refused;

#[test]
fn a_misspelled_flag_is_answered_with_the_nearest_one() {
    assert_refused(
        &["--retry", "3", "true", ":::", "a"],
        &["'--retry'", "did you mean '--retries'?"],
    );
    assert_refused(&["--keep-ordr", "true", ":::", "a"], &["did you mean '--keep-order'?"]);
    assert_refused(&["--job", "3", "true", ":::", "a"], &["did you mean"]);
}

#[test]
fn subcommands_answer_with_the_nearest_flag_too() {
    assert_refused(&["retry", "--faild"], &["did you mean '--failed'?"]);
    assert_refused(&["resume", "--sumary", "f"], &["did you mean '--summary'?"]);
    assert_refused(&["log", "--slow", "3"], &["did you mean '--slowest'?"]);
    assert_refused(&["log", "--state", "fialed"], &["did you mean 'failed'?"]);
    assert_refused(&["clean", "--dry-runn"], &["--dry-runn"]);
}

#[test]
fn an_unknown_flag_that_resembles_nothing_is_named_alone() {
    assert_refused(&["--zzzzzz", "true", ":::", "a"], &["'--zzzzzz'", "msup --help"]);
}
