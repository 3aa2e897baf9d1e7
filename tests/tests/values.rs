//! Values, outputs and statuses arrive as they are, whatever bytes they are made of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use msup_tests::{Sandbox, numbers, run, run_with_input, shown, shown_text, summary};

/// Names that programs which quote by hand get wrong.
const NAMES: &[&[u8]] = &[
    b"plain",
    b"with space",
    b"  spaces around  ",
    b"it's",
    b"''",
    b"'; touch x; '",
    b"say \"so\"",
    b"\"; touch x; \"",
    b"both ' and \"",
    b"new\nline",
    b"newline at the end\n",
    b"\n",
    b"tab\there",
    b"\t",
    b"carriage\rreturn\r\n",
    b"-n",
    b"--help",
    b"--",
    b":::",
    b"latin \xe9\xff\xfe",
    b"\x80",
    b"\xf0\x9f\xa6\x80 crab",
    b"\xf0\x9f",
    b"*",
    b"?[a-z]*{a,b}",
    b"$(touch x)",
    b"`touch x`",
    b"; touch x",
    b"| touch x",
    b"& touch x &",
    b"> x",
    b"$HOME ${HOME} $1 $@ $$",
    b"!!",
    b"~",
    b"# no comment",
    b"back\\slash",
    b"\\",
    b"\\n\\0\\\\",
    b"%s%d%%",
    b"{}",
    b"{#} {%} {/} {.}",
    b"\x01\x02\x1b[31m\x7f",
    b"",
    b"after the empty one",
];

fn nul_terminated(values: &[&[u8]]) -> Vec<u8> {
    values.iter().flat_map(|value| [value, &b"\0"[..]].concat()).collect()
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

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

// Names.

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

// Long arguments.

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

// Outputs.

const TASKS: usize = 200;
const LINES: usize = 3_000;

/// The output of many tasks that print their number many times, as runs of equal lines.
fn blocks(arguments: &[&str]) -> Vec<(usize, usize)> {
    let sandbox = Sandbox::new();
    let command = [arguments, &["yes {} | head -n 3000"]].concat();
    let stdout = shown_text(&sandbox, &command, &numbers(TASKS));
    let lines: Vec<usize> = stdout.lines().map(|line| line.parse().expect("a number")).collect();
    lines.chunk_by(|one, other| one == other).map(|block| (block[0], block.len())).collect()
}

#[test]
fn the_lines_of_a_task_stay_together() {
    let mut blocks = blocks(&["--procs", "4"]);
    blocks.sort_unstable();
    assert_eq!(blocks, (1..=TASKS).map(|task| (task, LINES)).collect::<Vec<_>>());
}

#[test]
fn outputs_keep_the_order_of_the_input_when_asked() {
    let blocks = blocks(&["--procs", "4", "-k"]);
    assert_eq!(blocks, (1..=TASKS).map(|task| (task, LINES)).collect::<Vec<_>>());
}

#[test]
fn a_large_output_arrives_whole() {
    let sandbox = Sandbox::new();
    let stdout = shown(&sandbox, &["head -c 20971520 /dev/zero | tr '\\0' {}", ":::", "x"], b"");
    assert_eq!(stdout.len(), 20 << 20);
    assert!(stdout.iter().all(|byte| *byte == b'x'));
}

#[test]
fn large_outputs_of_several_tasks_do_not_mix() {
    let sandbox = Sandbox::new();
    let command =
        ["-k", "--procs", "2", "head -c 20971520 /dev/zero | tr '\\0' {}", ":::", "a", "b"];
    let stdout = shown(&sandbox, &command, b"");
    let blocks = stdout.chunk_by(|one, other| one == other);
    let blocks: Vec<_> = blocks.map(|block| (block[0], block.len())).collect();
    assert_eq!(blocks, [(b'a', 20 << 20), (b'b', 20 << 20)]);
}

#[test]
fn an_output_without_a_final_newline_stays_so() {
    let sandbox = Sandbox::new();
    assert_eq!(shown_text(&sandbox, &["-k", "--", "printf", "%s", ":::", "a", "b"], b""), "ab");
}

#[test]
fn errors_of_tasks_arrive_on_standard_error() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["-q", "echo {} >&2", ":::", "oops"]));
    assert_eq!((output.stdout, output.stderr), (Vec::new(), b"oops\n".to_vec()));
}

#[test]
fn the_output_of_a_task_that_fails_is_shown() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["-q", "echo {}; exit 7", ":::", "shown"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "shown\n");
}

// Exit statuses.

fn status_of(arguments: &[&str], input: &[u8]) -> Option<i32> {
    let sandbox = Sandbox::new();
    run_with_input(&mut sandbox.msup(arguments), input).status.code()
}

#[test]
fn the_status_is_the_number_of_failures() {
    let command = ["--", "sh", "-c", "exit $1", "sh", ":::", "0", "1", "2", "0", "3"];
    assert_eq!(status_of(&command, b""), Some(3));
}

#[test]
fn a_hundred_failures_are_still_counted() {
    assert_eq!(status_of(&["false"], &numbers(100)), Some(100));
}

#[test]
fn more_failures_share_a_status() {
    assert_eq!(status_of(&["false"], &numbers(101)), Some(101));
    assert_eq!(status_of(&["false"], &numbers(150)), Some(101));
}

#[test]
fn more_failures_are_counted_in_the_summary() {
    let sandbox = Sandbox::new();
    run_with_input(&mut sandbox.msup(["--summary", "figures", "false"]), &numbers(150));
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tasks"]["failed"], 150);
    assert_eq!(figures["exit_status"], 101);
}

// The figures of a run.

#[test]
fn a_run_over_names_is_summed_up() {
    let sandbox = Sandbox::new();
    let command = ["-0", "--summary", "figures", "--procs", "2", "--", "printf", "%s\\0"];
    shown(&sandbox, &command, &nul_terminated(NAMES));
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tasks"]["total"], NAMES.len());
    assert_eq!(figures["tasks"]["succeeded"], NAMES.len());
    assert_eq!(figures["tasks"]["failed"], 0);
    assert_eq!(figures["exit_status"], 0);
}

#[test]
fn every_token_is_back_when_tasks_failed() {
    let sandbox = Sandbox::new();
    let arguments = ["--procs", "3", "--max-workers", "9", "--summary", "figures", "false"];
    run_with_input(&mut sandbox.msup(arguments), &numbers(50));
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tokens"]["idle_at_end"], 3, "{figures:#}");
}

/// What took longest in the run that the log tells of comes first, what it does not know before
/// all. Outputs and numbers are those of the input.
#[test]
fn the_longest_can_come_first() {
    let sandbox = Sandbox::new();
    let line = |value: &str, seconds: f64| {
        format!("1\t:\t1795478552.077\t{seconds:10.3}\t0\t4\t0\t0\tsh ./note {value}\n")
    };
    let log = [line("a", 0.5), line("b", 7.0), line("c", 3.0)].concat();
    sandbox.file("log", log.as_bytes());
    sandbox.file("note", b"#!/bin/sh\necho $1 >>started\necho $MSUP_SEQ\n");
    let mut msup = sandbox.msup(["-k", "-j", "1", "--order", "longest", "--from", "log", "--"]);
    let output = run(msup.args(["sh", "./note", "{}", ":::", "a", "b", "new", "c"]));
    assert_eq!(output.stdout, b"1\n2\n3\n4\n");
    let started = std::fs::read_to_string(sandbox.path().join("started")).expect("written");
    assert_eq!(started, "new\nb\nc\na\n");
}
