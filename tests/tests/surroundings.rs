//! What a task is told and given: its number, its place, its streams, and nothing of the machinery.

use std::collections::BTreeSet;

use msup_tests::{Sandbox, numbers, run, shown_text};

#[test]
fn a_task_knows_the_number_of_its_input() {
    let sandbox = Sandbox::new();
    let stdout = shown_text(&sandbox, &["-k", "--procs", "4", "--", "echo", "{#}"], &numbers(100));
    assert_eq!(stdout.into_bytes(), numbers(100));
}

#[test]
fn a_shell_command_knows_the_number_of_its_input() {
    let sandbox = Sandbox::new();
    let stdout = shown_text(&sandbox, &["-k", "echo {#} | cat"], &numbers(20));
    assert_eq!(stdout.into_bytes(), numbers(20));
}

#[test]
fn a_slot_is_between_one_and_the_cap_on_workers() {
    let sandbox = Sandbox::new();
    let command = ["--procs", "2", "--max-workers", "3", "--", "echo", "{%}"];
    let stdout = shown_text(&sandbox, &command, &numbers(100));
    let slots: BTreeSet<usize> = stdout.lines().map(|slot| slot.parse().expect("a slot")).collect();
    assert!(slots.iter().all(|slot| (1..=3).contains(slot)), "{slots:?}");
}

/// What a shell script shows that is run for one value.
fn one_task(script: &str) -> String {
    shown_text(&Sandbox::new(), &["--", "sh", "-c", script, "sh", ":::", "value"], b"")
}

#[test]
fn the_number_is_in_the_environment_under_both_names() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_SEQ $PARALLEL_SEQ $1";
    let stdout = shown_text(&sandbox, &["-k", "--", "sh", "-c", script, "sh"], &numbers(20));
    let wanted: String = (1..=20).map(|number| format!("{number} {number} {number}\n")).collect();
    assert_eq!(stdout, wanted);
}

#[test]
fn the_slot_is_in_the_environment_under_both_names() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_SLOT $PARALLEL_JOBSLOT $1";
    let stdout = shown_text(&sandbox, &["--", "sh", "-c", script, "sh", "{%}"], &numbers(20));
    for line in stdout.lines() {
        let slots: Vec<&str> = line.split(' ').collect();
        assert_eq!(slots, [slots[0]; 3], "{stdout}");
    }
}

#[test]
fn the_attempt_is_in_the_environment() {
    assert_eq!(one_task("echo $MSUP_ATTEMPT"), "1\n");
}

#[test]
fn a_task_reads_nothing_from_standard_input() {
    assert_eq!(one_task("readlink /proc/self/fd/0"), "/dev/null\n");
}

#[test]
fn a_task_cannot_take_the_values_of_others() {
    let sandbox = Sandbox::new();
    let stdout = shown_text(&sandbox, &["-k", "cat; echo {}"], &numbers(20));
    assert_eq!(stdout.into_bytes(), numbers(20));
}

#[test]
fn a_task_leads_a_process_group_of_its_own() {
    let stdout = one_task("echo $$ $(cut -d ' ' -f 5 /proc/$$/stat)");
    let (process, group) = stdout.trim().split_once(' ').expect("two numbers");
    assert_eq!(process, group);
}

#[test]
fn a_task_inherits_no_variables_of_the_machinery() {
    const TOLD: [&str; 6] =
        ["MSUP_SEQ", "MSUP_SLOT", "MSUP_ATTEMPT", "MSUP_THREADS", "MSUP_RUN", "MSUP_TEST_SANDBOX"];
    let stdout = one_task("env");
    let names = stdout.lines().filter_map(|line| Some(line.split_once('=')?.0));
    let others: Vec<&str> =
        names.filter(|name| name.starts_with("MSUP_") && !TOLD.contains(name)).collect();
    assert_eq!(others, Vec::<&str>::new());
}

/// Lists the descriptors of the shell, which has to be there after the list is.
const LIST_DESCRIPTORS: &str = "ls /proc/$$/fd; :";

/// The descriptors of a program started by this test itself: the standard streams, and what the
/// caller of the tests passes on to everything.
fn descriptors_of_any_program(sandbox: &Sandbox) -> String {
    let output = run(sandbox.command("sh").args(["-c", LIST_DESCRIPTORS]));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_task_inherits_no_descriptor_of_the_machinery() {
    let sandbox = Sandbox::new();
    let command = ["--no-journal", "--", "sh", "-c", LIST_DESCRIPTORS, "sh", ":::", "value"];
    assert_eq!(shown_text(&sandbox, &command, b""), descriptors_of_any_program(&sandbox));
}

#[test]
fn a_shell_command_inherits_no_descriptor_of_the_machinery() {
    let sandbox = Sandbox::new();
    let command = ["--no-journal", "ls /proc/$$/fd; : {}", ":::", "value"];
    assert_eq!(shown_text(&sandbox, &command, b""), descriptors_of_any_program(&sandbox));
}

#[test]
fn a_task_among_many_inherits_no_descriptor_of_the_machinery() {
    let sandbox = Sandbox::new();
    let command = ["--procs", "4", "--no-journal", "--", "sh", "-c", LIST_DESCRIPTORS, "sh"];
    let wanted = descriptors_of_any_program(&sandbox).repeat(50);
    assert_eq!(shown_text(&sandbox, &command, &numbers(50)), wanted);
}

/// With a journal there is one, by which a later supervisor knows that something of the run is
/// alive.
#[test]
fn a_task_inherits_the_lock_of_its_run() {
    let sandbox = Sandbox::new();
    let text = shown_text(&sandbox, &["readlink /proc/$$/fd/*; : {}", ":::", "value"], b"");
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("state/msup")).collect();
    assert!(ours.len() == 1 && ours[0].ends_with("/generation"), "{text}");
}

#[test]
fn a_task_writes_its_errors_to_a_stream_of_its_own() {
    let sandbox = Sandbox::new();
    let script = "readlink /proc/$$/fd/1 /proc/$$/fd/2; :";
    let output = run(&mut sandbox.msup(["--", "sh", "-c", script, "sh", ":::", "value"]));
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let (out, err) = stdout.trim().split_once('\n').expect("two streams");
    assert_ne!(out, err);
}

#[test]
fn a_command_gets_a_clean_place() {
    let sandbox = Sandbox::new();
    let script = "readlink /proc/self/fd/0; ls /proc/self/fd | tr '\\n' ' '; echo; \
                  env | grep -c -e _FD= -e MSUP_WORKER_SLOT -e MSUP_RUN_FOLDER; \
                  grep -E 'SigBlk|SigIgn' /proc/self/status; \
                  [ $$ = $(cut -d' ' -f5 /proc/$$/stat) ] && echo own group; ulimit -n; : {}";
    let output = run(&mut sandbox.msup(["-q", "--no-journal", script, ":::", "x"]));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "/dev/null");
    // The process that started the tests may have left descriptors open; msup must add none.
    let before = run(sandbox.command("sh").args(["-c", "ls /proc/self/fd | tr '\\n' ' '"]));
    assert_eq!(lines[1].as_bytes(), before.stdout, "{text}");
    assert_eq!(lines[2], "0");
    for line in [lines[3], lines[4]] {
        let mask =
            line.split_whitespace().last().and_then(|mask| u64::from_str_radix(mask, 16).ok());
        // Signals 32 and 33 are the C library's own; its way of starting workers leaves them
        // ignored. SIGHUP, the first, stays as msup inherited it: these tests may run
        // under nohup.
        assert_eq!(mask.map(|mask| mask & 0x7fff_fffe), Some(0), "{line}");
    }
    assert_eq!(lines[5], "own group");
    let own = run(sandbox.command("sh").args(["-c", "ulimit -n"]));
    assert_eq!(lines[6].as_bytes(), own.stdout.trim_ascii());
}

/// Tokens for which there is no other task are offered to those that there are.
#[test]
fn few_tasks_are_offered_several_threads() {
    let sandbox = Sandbox::new();
    let offered = |values: &[&str]| {
        let mut msup = sandbox.msup(["-k", "--procs", "7", "--quiet", "--"]);
        msup.args(["sh", "-c", "echo {threads} $MSUP_THREADS $OMP_NUM_THREADS", "sh", "{}", ":::"]);
        msup.env_remove("OMP_NUM_THREADS");
        let output = run(msup.args(values));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(offered(&["a", "b"]), "3 3 3\n3 3 3\n");
    assert_eq!(offered(&["a"; 7]), "1 1 1\n".repeat(7));
    let mut msup = sandbox.msup(["--procs", "7", "--quiet", "--"]);
    msup.args(["sh", "-c", "echo $OMP_NUM_THREADS", "sh", ":::", "a"]).env("OMP_NUM_THREADS", "2");
    assert_eq!(run(&mut msup).stdout, b"2\n", "what the user has set stays");
}
