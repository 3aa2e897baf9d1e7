//! Values in all places of a command, and parts of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use msup_tests::{Sandbox, shown, shown_text};

use super::{NAMES, nul_terminated};

/// All names through a command that prints each with a NUL byte give the names back.
fn assert_names_survive(arguments: &[&str]) {
    let sandbox = Sandbox::new();
    let stdout = shown(&sandbox, arguments, &nul_terminated(NAMES));
    let seen: Vec<_> = stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let wanted: Vec<_> = NAMES.iter().map(|name| String::from_utf8_lossy(name)).collect();
    assert_eq!(seen[..seen.len() - 1], wanted);
    assert_eq!(stdout, nul_terminated(NAMES));
    assert!(!sandbox.path().join("x").exists(), "a value was executed");
}

#[test]
fn names_appended_to_a_command_arrive_byte_for_byte() {
    assert_names_survive(&["-0", "-k", "--", "printf", "%s\\0"]);
}

#[test]
fn names_replacing_a_word_arrive_byte_for_byte() {
    assert_names_survive(&["-0", "-k", "--", "printf", "%s\\0", "{}"]);
}

#[test]
fn names_within_a_word_arrive_byte_for_byte() {
    let sandbox = Sandbox::new();
    let command = ["-0", "-k", "--", "printf", "%s\\0", "<{}|{}>"];
    let wanted: Vec<Vec<u8>> =
        NAMES.iter().map(|name| [b"<", *name, b"|", name, b">"].concat()).collect();
    let wanted: Vec<&[u8]> = wanted.iter().map(Vec::as_slice).collect();
    assert_eq!(shown(&sandbox, &command, &nul_terminated(NAMES)), nul_terminated(&wanted));
}

#[test]
fn names_in_a_shell_command_arrive_byte_for_byte() {
    assert_names_survive(&["-0", "-k", "printf \"%s\\0\" {} | cat"]);
}

#[test]
fn names_appended_to_a_shell_command_arrive_byte_for_byte() {
    assert_names_survive(&["-0", "-k", "true && printf \"%s\\0\""]);
}

#[test]
fn names_in_double_quotes_of_a_shell_command_arrive_byte_for_byte() {
    assert_names_survive(&["-0", "-k", "printf \"%s\\0\" \"{}\" | cat"]);
}

#[test]
fn names_in_single_quotes_of_a_shell_command_arrive_byte_for_byte() {
    assert_names_survive(&["-0", "-k", "printf '%s\\0' '{}' | cat"]);
}

#[test]
fn names_given_on_the_command_line_arrive_byte_for_byte() {
    let sandbox = Sandbox::new();
    let names: Vec<&[u8]> = NAMES.iter().copied().filter(|name| *name != b":::").collect();
    let mut arguments: Vec<&OsStr> =
        ["-k", "--", "printf", "%s\\0", ":::"].map(OsStr::new).to_vec();
    arguments.extend(names.iter().map(|name| OsStr::from_bytes(name)));
    assert_eq!(shown(&sandbox, &arguments, b""), nul_terminated(&names));
}

#[test]
fn names_in_a_file_of_values_arrive_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.file("values", &nul_terminated(NAMES));
    let command = ["-0", "-k", "-a", "values", "--", "printf", "%s\\0"];
    assert_eq!(shown(&sandbox, &command, b""), nul_terminated(NAMES));
}

#[test]
fn names_of_real_files_open_those_files() {
    let sandbox = Sandbox::new();
    let is_file_name = |name: &&[u8]| !name.is_empty() && !name.contains(&b'/');
    let names: Vec<&[u8]> = NAMES.iter().copied().filter(is_file_name).collect();
    for name in &names {
        sandbox.file(OsStr::from_bytes(name), &[name, &b"\0"[..]].concat());
    }
    let command = ["-0", "-k", "--", "cat", "./{}"];
    assert_eq!(shown(&sandbox, &command, &nul_terminated(&names)), nul_terminated(&names));
}

#[test]
fn a_last_value_without_its_nul_byte_counts() {
    let sandbox = Sandbox::new();
    assert_eq!(shown(&sandbox, &["-0", "-k", "--", "printf", "%s\\0"], b"a\0b"), b"a\0b\0");
}

#[test]
fn a_last_line_without_its_newline_counts() {
    let sandbox = Sandbox::new();
    assert_eq!(shown_text(&sandbox, &["-k", "echo"], b"a\nb"), "a\nb\n");
}

#[test]
fn a_carriage_return_belongs_to_the_value() {
    let sandbox = Sandbox::new();
    assert_eq!(shown_text(&sandbox, &["-k", "--", "printf", "%s."], b"a\r\nb\n"), "a\r.b.");
}

#[test]
fn the_parts_of_a_name_are_replaced() {
    let sandbox = Sandbox::new();
    let command = ["--", "printf", "%s\\n", "{.}", "{/}", "{//}", "{/.}", ":::", "a b/c.d/e f.g h"];
    let parts = "a b/c.d/e f\ne f.g h\na b/c.d\ne f\n";
    assert_eq!(shown_text(&sandbox, &command, b""), parts);
}

#[test]
fn the_parts_of_a_hostile_name_are_not_executed() {
    let sandbox = Sandbox::new();
    let command = ["-0", "printf '%s\\0' {.} \"{/}\" '{/.}' {//} | cat"];
    let stdout = shown(&sandbox, &command, b"d'\"/$(touch x) `touch x`.c\xff\0");
    let parts: &[&[u8]] = &[
        b"d'\"/$(touch x) `touch x`",
        b"$(touch x) `touch x`.c\xff",
        b"$(touch x) `touch x`",
        b"d'\"",
    ];
    assert_eq!(stdout, nul_terminated(parts));
    assert!(!sandbox.path().join("x").exists(), "a value was executed");
}
