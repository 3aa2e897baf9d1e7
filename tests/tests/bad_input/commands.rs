//! Commands that are not found or cannot be executed, and lines that are commands.

use std::ffi::OsString;

use msup_tests::{Sandbox, run_with_input};

use super::{assert_names, quiet, refused, refused_by, script, stderr_of};

#[test]
fn a_command_that_is_not_found_is_named() {
    assert_names(&refused(&["no-such-command-here"]), &["no-such-command-here"]);
}

#[test]
fn a_command_with_arguments_that_is_not_found_is_named() {
    assert_names(&refused(&["--", "no-such-command-here", "-x", "{}"]), &["no-such-command-here"]);
}

#[test]
fn a_command_with_values_on_the_command_line_that_is_not_found_is_named() {
    let line = refused(&["no-such-command-here", "{}", ":::", "a", "b"]);
    assert_names(&line, &["no-such-command-here"]);
}

#[test]
fn an_absolute_path_that_is_not_found_is_named() {
    assert_names(&refused(&["/no/such/folder/program", "{}"]), &["/no/such/folder/program"]);
}

#[test]
fn a_relative_path_that_is_not_found_is_named() {
    assert_names(&refused(&["./no-such-program", "{}"]), &["./no-such-program"]);
}

#[test]
fn a_path_below_a_file_is_named() {
    assert_names(&refused(&["/etc/passwd/program", "{}"]), &["/etc/passwd/program"]);
}

#[test]
fn a_file_that_is_not_executable_is_named() {
    let sandbox = Sandbox::new();
    script(&sandbox, "plain", 0o644, "echo ran");
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["./plain", "{}"]), b"one\n");
    assert_names(&line, &["./plain"]);
}

#[test]
fn a_directory_as_command_is_named() {
    assert_names(&refused(&["./tmp", "{}"]), &["./tmp"]);
}

#[test]
fn a_command_that_is_an_empty_word_is_refused() {
    refused(&["--", "", "{}"]);
}

#[test]
fn a_command_whose_name_is_not_utf8_is_refused_in_a_readable_line() {
    use std::os::unix::ffi::OsStringExt;
    let name = OsString::from_vec(b"./no-such-\xff".to_vec());
    assert_names(&refused(&[name, "{}".into()]), &["./no-such-"]);
}

#[test]
fn a_line_with_a_command_that_does_not_exist_fails_alone() {
    let sandbox = Sandbox::new();
    let input = b"echo one\nno-such-command-here x\necho two\n";
    let output = run_with_input(&mut sandbox.msup(["-k"]), input);
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n");
}

#[test]
fn a_line_with_a_command_that_does_not_exist_is_named_in_the_report() {
    let sandbox = Sandbox::new();
    let output = run_with_input(&mut sandbox.msup(["-k"]), b"true\nno-such-command-here x\n");
    assert_names(&stderr_of(&output), &["no-such-command-here"]);
}

#[test]
fn every_line_with_a_command_that_does_not_exist_counts() {
    let sandbox = Sandbox::new();
    let input = b"/no/such/one\ntrue\nno-such-two a b\nno-such-three | cat; exit 3\n";
    let output = run_with_input(&mut quiet::<&str>(&sandbox, &[]), input);
    assert_eq!(output.status.code(), Some(3), "{}", stderr_of(&output));
}
