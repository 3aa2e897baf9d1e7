//! `--halt` with a share of the tasks, as in GNU parallel.

use msup_tests::{Sandbox, run_with_input, spawn_piped, wait_until};

use super::{assert_refused, ran, stderr_of, stdout_of};

/// Tasks that print and exit with their value, one after the other: which ran, the exit status, and
/// what was said.
fn halted(halt: &str, values: &str) -> (String, Option<i32>, String) {
    let sandbox = Sandbox::new();
    let flags = ["-j1", "--halt", halt, "--", "sh", "-c", "printf $1; exit $1", "sh"];
    let lines = values.chars().flat_map(|value| [value, '\n']).collect::<String>();
    let output = run_with_input(&mut sandbox.msup(flags), lines.as_bytes());
    (stdout_of(&output), output.status.code(), stderr_of(&output))
}

/// What GNU parallel 20221122 runs and exits with; it has a share of two failures count, too.
#[test]
fn a_share_is_one_of_all_tasks() {
    for (halt, values, ran, status) in [
        ("soon,fail=20%", "11100000000000000000", "11100000000000000000", 15),
        ("soon,fail=20%", "11110000000000000000", "1111", 20),
        ("now,fail=20%", "01010100010000000000", "0101010001", 20),
        ("soon,fail=30%", "1110000000", "111", 30),
        ("soon,fail=50%", "1100011000", "1100011000", 40),
        ("soon,success=50%", "1100011000", "110001100", 0),
        ("soon,done=30%", "1100011000", "110", 20),
        ("soon,success=90%", "1100011000", "1100011000", 40),
        ("30%", "1110000000", "111", 30),
    ] {
        let (printed, code, said) = halted(halt, values);
        assert_eq!((printed.as_str(), code), (ran, Some(status)), "{halt} {values}: {said}");
    }
}

#[test]
fn two_failures_are_no_share() {
    assert_eq!(halted("soon,fail=20%", "1100").0, "1100");
    assert_eq!(halted("soon,fail=1%", "11011").0, "1101");
}

#[test]
fn numbers_and_old_forms_exit_as_in_gnu_parallel() {
    for (halt, values, ran, status) in [
        ("now,fail=1", "0300", "03", 3),
        ("2", "0300", "03", 3),
        ("1", "0300", "03", 3),
        ("soon,fail=2", "0330", "033", 2),
        ("-1", "3300", "330", 0),
        ("soon,done=2", "0300", "03", 1),
        ("0", "0300", "0300", 1),
    ] {
        let (printed, code, said) = halted(halt, values);
        assert_eq!((printed.as_str(), code), (ran, Some(status)), "{halt} {values}: {said}");
    }
}

#[test]
fn no_condition_is_refused_with_the_forms() {
    for halt in ["3", "-3", "soon", "now,fail=0%", "now,fail=101%", "later,fail=1"] {
        assert_refused(
            &["--halt", halt, "true", ":::", "a"],
            &[&format!("--halt {halt}: "), "soon,fail=20%"],
        );
    }
}

/// As long as not all tasks are known, a share of them is not, either.
#[test]
fn a_share_waits_until_all_input_is_read() {
    use std::io::Write;
    let sandbox = Sandbox::new();
    let script = "echo >>began; exit 1";
    let mut child = spawn_piped(&mut sandbox.msup([
        "-j1",
        "--halt",
        "soon,fail=50%",
        "--",
        "sh",
        "-c",
        script,
    ]));
    let mut input = child.stdin.take().expect("piped");
    let began = || std::fs::read(sandbox.path().join("began")).map_or(0, |bytes| bytes.len());
    input.write_all(b"1\n2\n3\n4\n5\n").expect("it reads");
    wait_until(|| began() == 5);
    input.write_all(b"6\n7\n8\n").expect("it reads");
    wait_until(|| began() == 8);
    drop(input);
    let output = child.wait_with_output().expect("it was spawned");
    assert!(matches!(output.status.code(), Some(88 | 100)), "{}", stderr_of(&output));
}

/// What failed before does not give a resumed run up.
#[test]
fn failures_of_before_do_not_halt_a_resumed_run() {
    let sandbox = Sandbox::new();
    let script = "printf $1; exit $1";
    let flags =
        ["-q", "-j1", "--journal", "j", "--halt", "now,fail=1", "--", "sh", "-c", script, "sh"];
    let first = ran(&sandbox, &[&flags[..], &[":::", "2", "0", "0", "3", "0"]].concat(), b"");
    assert_eq!((stdout_of(&first), first.status.code()), ("2".into(), Some(2)));
    let second = ran(&sandbox, &["resume", "-q", "./j"], b"");
    assert_eq!((stdout_of(&second), second.status.code()), ("003".into(), Some(3)));
}
