//! Values are bytes and arrive exactly; outputs come back whole, in one piece each.

use msup_tests::{Sandbox, run, run_with_input, summary};

/// Names that break careless programs.
const HOSTILE: [&[u8]; 16] = [
    b"plain",
    b"two words",
    b" leading and trailing ",
    b"it's",
    b"\"double\"",
    b"line\nbreak",
    b"tab\there",
    b"-dash",
    b"--help",
    b"\xff\xfe invalid",
    b"*?[a-z]",
    b"$(touch pwned)`touch pwned`",
    b"'; touch pwned; '",
    b"back\\slash\\",
    b"{} {.} {#} {%}",
    b"",
];

fn nul_separated() -> Vec<u8> {
    HOSTILE.iter().flat_map(|value| [value, &b"\0"[..]].concat()).collect()
}

fn assert_all_arrive(arguments: &[&str]) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-0", "-k", "-q", "--"].iter().chain(arguments));
    let output = run_with_input(&mut msup, &nul_separated());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.stdout == nul_separated(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!sandbox.path().join("pwned").exists(), "a value was executed");
}

#[test]
fn hostile_names_arrive_as_arguments() {
    assert_all_arrive(&["printf", "%s\\0", "{}"]);
    assert_all_arrive(&["printf", "%s\\0"]);
}

#[test]
fn hostile_names_arrive_through_a_shell() {
    for script in [
        "printf '%s\\0' {} | cat",
        "printf '%s\\0' \"{}\" | cat",
        "printf '%s\\0' '{}' | cat",
        "x={}; printf '%s\\0' \"$x\"",
        "f() { printf '%s\\0' {}; }; f",
    ] {
        assert_all_arrive(&[script]);
    }
}

#[test]
fn a_long_argument_arrives_and_a_too_long_one_fails_alone() {
    let sandbox = Sandbox::new();
    let long = |len: usize| [vec![b'x'; len], b"\n".to_vec()].concat();
    let input = [long(100 << 10), long(200 << 10), long(3 << 20), b"short\n".to_vec()].concat();
    let output = run_with_input(&mut sandbox.msup(["-k", "printf %s {} | wc -c"]), &input);
    // In a script the value is one variable of the environment: the same limit.
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "102400\n5\n");
    let output = run_with_input(&mut sandbox.msup(["-k", "--", "expr", "length", "{}"]), &input);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "102400\n5\n");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(report.contains("task 2 failed: cannot start: Argument list too long"), "{report}");
}

#[test]
fn each_tasks_output_is_in_one_piece() {
    let sandbox = Sandbox::new();
    let values: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    let expected = |n: &String| format!("{n}\n").repeat(3000);
    let script = "yes {} | head -n 3000";
    let output = run(sandbox.msup(["-q", "-k", "-j", "4", script, ":::"]).args(&values));
    let in_order: String = values.iter().map(expected).collect();
    assert!(output.stdout == in_order.as_bytes(), "not in the order of the input");
    let output = run(sandbox.msup(["-q", "-j", "4", script, ":::"]).args(&values));
    let text = String::from_utf8(output.stdout).expect("digits");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 200 * 3000);
    let whole = lines.chunks(3000).all(|task| task.iter().all(|line| *line == task[0]));
    assert!(whole, "tasks' outputs are mixed");
}

#[test]
fn a_large_output_arrives_whole_and_both_streams_stay_apart() {
    let sandbox = Sandbox::new();
    let script =
        "head -c 20000000 /dev/zero; echo trouble >&2; head -c 100000 /dev/zero >&2; exit {}";
    let output = run(&mut sandbox.msup(["-q", script, ":::", "7"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.len(), 20_000_000);
    assert!(output.stderr.starts_with(b"trouble\n") && output.stderr.len() == 100_008);
}

#[test]
fn a_closed_standard_output_stops_the_run() {
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    let script = "{ seq 100000 | \"$0\" -q echo; echo $? >status; } | head -n 1";
    let output = run(shell.args(["-c", script]).arg(msup_tests::program("msup")));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    let status = std::fs::read_to_string(sandbox.path().join("status")).expect("written");
    assert_eq!(status, "141\n");
}

#[test]
fn a_task_knows_its_numbers() {
    let sandbox = Sandbox::new();
    let script = "echo {#} $MSUP_SEQ $PARALLEL_SEQ $MSUP_ATTEMPT; \
                  [ {%} = $MSUP_SLOT ] && [ $PARALLEL_JOBSLOT -ge 1 ] && [ {%} -le 3 ] && \
                  [ -n \"$MSUP_RUN\" ]";
    let mut msup = sandbox.msup(["-q", "-k", "-j", "3", script, ":::", "a", "b", "c"]);
    let output = run(&mut msup);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 1 1 1\n2 2 2 1\n3 3 3 1\n");
}

#[test]
fn a_command_gets_a_clean_place() {
    let sandbox = Sandbox::new();
    let script = "readlink /proc/self/fd/0; ls /proc/self/fd | tr '\\n' ' '; echo; \
                  env | grep -c -e _FD= -e MSUP_WORKER_SLOT -e MSUP_RUN_FOLDER; \
                  grep -E 'SigBlk|SigIgn' /proc/self/status; \
                  [ $$ = $(cut -d' ' -f5 /proc/$$/stat) ] && echo own group; ulimit -n; : {}";
    let output = run(&mut sandbox.msup(["-q", script, ":::", "x"]));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "/dev/null");
    // Whoever started the tests may have left descriptors open; msup must add none.
    let before = run(sandbox.command("sh").args(["-c", "ls /proc/self/fd | tr '\\n' ' '"]));
    assert_eq!(lines[1].as_bytes(), before.stdout, "{text}");
    assert_eq!(lines[2], "0");
    for line in [lines[3], lines[4]] {
        let mask =
            line.split_whitespace().last().and_then(|mask| u64::from_str_radix(mask, 16).ok());
        // Signals 32 and 33 are the C library's own; its way of starting workers leaves them ignored.
        assert_eq!(mask.map(|mask| mask & 0x7fff_ffff), Some(0), "{line}");
    }
    assert_eq!(lines[5], "own group");
    let own = run(sandbox.command("sh").args(["-c", "ulimit -n"]));
    assert_eq!(lines[6].as_bytes(), own.stdout.trim_ascii());
}

#[test]
fn values_come_from_files_too() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"a\nb");
    let output = run(&mut sandbox.msup(["-k", "-q", "--summary", "s.json", "-a", "list", "echo"]));
    assert_eq!(output.stdout, b"a\nb\n");
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["total"], 2);
}
