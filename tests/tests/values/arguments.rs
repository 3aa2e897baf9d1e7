//! Arguments as long as a kernel accepts, and longer.

use msup_tests::{Sandbox, run_with_input, shown, shown_text, summary};

use super::{nul_terminated, stderr_of};

/// What a kernel accepts as one argument, with its NUL byte.
const LONGEST: usize = 128 * 1024;

#[test]
fn a_long_argument_arrives_whole() {
    let sandbox = Sandbox::new();
    let command = ["--", "sh", "-c", "printf %s \"$1\" | wc -c", "sh"];
    assert_eq!(shown_text(&sandbox, &command, &[b'x'; 100 * 1024]).trim(), "102400");
}

#[test]
fn a_long_argument_of_a_shell_command_arrives_whole() {
    let sandbox = Sandbox::new();
    assert_eq!(
        shown_text(&sandbox, &["printf %s {} | wc -c"], &[b'x'; 100 * 1024]).trim(),
        "102400"
    );
}

#[test]
fn a_long_argument_arrives_unchanged() {
    let sandbox = Sandbox::new();
    let value: Vec<u8> = (1..=255).cycle().take(100 * 1024).collect();
    let input = nul_terminated(&[&value]);
    assert!(shown(&sandbox, &["-0", "--", "printf", "%s\\0"], &input) == input);
}

#[test]
fn the_longest_possible_argument_arrives_whole() {
    let sandbox = Sandbox::new();
    let value = vec![b'x'; LONGEST - 1];
    assert!(shown(&sandbox, &["--", "printf", "%s"], &value) == value);
}

/// A run in which the second of three values makes its command impossible to start.
fn assert_fails_alone(arguments: &[&str], length: usize) {
    let sandbox = Sandbox::new();
    let input = [b"before\n", &vec![b'x'; length][..], b"\nafter\n"].concat();
    let output = run_with_input(&mut sandbox.msup(arguments), &input);
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr:.2000}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "before\nafter\n");
    assert!(stderr.to_lowercase().contains("argument list"), "{stderr:.2000}");
}

#[test]
fn an_argument_one_byte_too_long_fails_its_task_only() {
    assert_fails_alone(&["-k", "--", "sh", "-c", "echo \"$1\"", "sh"], LONGEST);
}

#[test]
fn an_argument_far_too_long_fails_its_task_only() {
    assert_fails_alone(&["-k", "--", "echo"], 200 * 1024);
}

#[test]
fn an_argument_far_too_long_for_a_shell_command_fails_its_task_only() {
    assert_fails_alone(&["-k", "echo {} | cat"], 200 * 1024);
}

#[test]
fn an_argument_of_many_megabytes_fails_its_task_only() {
    assert_fails_alone(&["-k", "--", "echo"], 10 << 20);
}

#[test]
fn arguments_too_long_together_fail_their_task_only() {
    let repeated = ["{}"; 100];
    let command = ["-k", "--", "sh", "-c", "echo \"$1\"", "sh"];
    assert_fails_alone(&[&command[..], &repeated[..]].concat(), 100 * 1024);
}

#[test]
fn an_argument_too_long_is_counted_as_failed_in_the_summary() {
    let sandbox = Sandbox::new();
    let input = [b"before\n", &[b'x'; 200 * 1024][..], b"\nafter\n"].concat();
    run_with_input(&mut sandbox.msup(["--summary", "figures", "echo"]), &input);
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tasks"]["total"], 3);
    assert_eq!(figures["tasks"]["succeeded"], 2);
    assert_eq!(figures["tasks"]["failed"], 1);
    assert_eq!(figures["exit_status"], 1);
}
