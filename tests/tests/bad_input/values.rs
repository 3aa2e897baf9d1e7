//! Values that cannot be read, NUL bytes among them, and no values at all.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use msup_tests::{Sandbox, program, run, run_with_input};

use super::{assert_names, assert_names_number, quiet, refused, refused_by, stderr_of};

#[test]
fn a_file_of_values_that_is_missing_is_named() {
    assert_names(&refused(&["-a", "no-such-values", "echo"]), &["no-such-values"]);
}

#[test]
fn a_directory_as_file_of_values_is_named() {
    assert_names(&refused(&["-a", "tmp", "echo"]), &["tmp"]);
}

#[test]
fn a_file_of_values_that_may_not_be_read_is_named() {
    let sandbox = Sandbox::new();
    let values = sandbox.file("secret-values", b"one\n");
    fs::set_permissions(&values, fs::Permissions::from_mode(0o000)).expect("it is the test's own");
    // Root reads everything unless it is told not to.
    let is_root = fs::metadata(&values).expect("it was written").uid() == 0;
    let mut command = sandbox.command(if is_root { "setpriv".into() } else { program("msup") });
    if is_root {
        command.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(program("msup"));
    }
    command.args(["-q", "-a", "secret-values", "echo"]);
    let output = run(&mut command);
    let stderr = stderr_of(&output);
    assert_eq!((output.status.code(), output.stdout), (Some(255), Vec::new()), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("msup: "), "{stderr}");
    assert_names(&stderr, &["secret-values"]);
}

// Values before the bad line may have run by the time it is read: their command is silent.

#[test]
fn a_nul_byte_in_a_line_is_refused_with_its_line_and_the_way_out() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["true"]), b"one\ntw\0o\nthree\n");
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 2);
}

#[test]
fn a_nul_byte_in_the_first_line_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["echo"]), b"a\0b\nc\n");
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 1);
}

#[test]
fn a_nul_byte_far_into_the_input_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    let mut input = b"value\n".repeat(1_999);
    input.extend_from_slice(b"a\0b\n");
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["true"]), &input);
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 2_000);
}

#[test]
fn a_nul_byte_after_empty_lines_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["true"]), b"one\n\n\na\0b\n");
    assert_names_number(&line, 4);
}

#[test]
fn a_nul_byte_after_empty_lines_among_commands_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    let mut command = quiet::<&str>(&sandbox, &[]);
    let line = refused_by(&sandbox, &mut command, b"true\n\n\ntrue a\0b\n");
    assert_names_number(&line, 4);
}

#[test]
fn a_nul_byte_in_a_file_of_values_is_refused_with_file_and_line() {
    let sandbox = Sandbox::new();
    sandbox.file("values", b"one\ntwo\nthr\0ee\n");
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["-a", "values", "true"]), b"");
    assert_names(&line, &["values", "-0"]);
    assert_names_number(&line, 3);
}

#[test]
fn a_nul_byte_in_a_line_that_is_a_command_is_refused() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet::<&str>(&sandbox, &[]), b"true\ntrue t\0o\n");
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 2);
}

/// What a run shows that has no values and succeeds.
fn shown_without_values(sandbox: &Sandbox, arguments: &[&str], input: &[u8]) -> String {
    let output = run_with_input(&mut quiet(sandbox, arguments), input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn an_empty_input_succeeds() {
    assert_eq!(shown_without_values(&Sandbox::new(), &["echo"], b""), "");
}

#[test]
fn an_empty_nul_separated_input_succeeds() {
    assert_eq!(shown_without_values(&Sandbox::new(), &["-0", "echo"], b""), "");
}

#[test]
fn an_empty_list_of_commands_succeeds() {
    assert_eq!(shown_without_values(&Sandbox::new(), &[], b""), "");
}

#[test]
fn an_empty_file_of_values_succeeds() {
    let sandbox = Sandbox::new();
    sandbox.file("values", b"");
    assert_eq!(shown_without_values(&sandbox, &["-a", "values", "echo"], b""), "");
}

#[test]
fn an_empty_group_of_values_succeeds_and_leaves_the_input_alone() {
    assert_eq!(shown_without_values(&Sandbox::new(), &["echo", ":::"], b"one\n"), "");
}
