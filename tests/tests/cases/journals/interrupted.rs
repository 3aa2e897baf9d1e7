//! Values from standard input that had not been read when a signal stopped the run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::process::{Child, Stdio};

use msup_tests::{Sandbox, kill, numbers, overheard, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{lines, resume, text, told};

/// Notes its value; the first ones wait for a file.
const TASK: &str = "echo {} >>side; until [ -e go ]; do sleep 0.01; done; exit 0";

/// More values than are read ahead.
const MANY: usize = 3000;

/// Interrupts a run that has begun its first tasks, and lets these finish. What it has said.
fn interrupt(sandbox: &Sandbox, mut child: Child) -> String {
    let said = overheard(&mut child);
    wait_until(|| !lines(&sandbox.path().join("side")).is_empty());
    kill(child.id() as i32, Signal::SIGINT);
    wait_until(|| said.lock().expect("no panic").contains("msup: stopping"));
    sandbox.file("go", b"");
    child.wait().expect("ours");
    wait_until(|| said.lock().expect("no panic").contains("tasks succeeded"));
    said.lock().expect("no panic").clone()
}

fn values_that_ran(sandbox: &Sandbox) -> BTreeSet<String> {
    lines(&sandbox.path().join("side")).into_iter().collect()
}

#[test]
fn all_values_of_a_file_on_standard_input_are_kept_when_a_signal_stops_the_run() {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", &numbers(MANY));
    let mut msup = sandbox.msup(["-j2", "--journal", "j", TASK]);
    let msup = msup.stdin(File::open(list).expect("just written")).stdout(Stdio::null());
    let said = interrupt(&sandbox, msup.stderr(Stdio::piped()).spawn().expect("it is built"));
    assert!(said.contains(&format!("of {MANY} tasks succeeded")), "{said}");
    assert!(said.contains("; go on: msup resume ") && !said.contains("-a FILE"), "{said}");
    assert_eq!(told(&sandbox, "inputs-end")[0]["total"], MANY);
    let after = resume(&sandbox, &["-q"]);
    assert_eq!((after.status.code(), text(&after.stderr).as_str()), (Some(0), ""));
    assert_eq!(values_that_ran(&sandbox).len(), MANY);
}

#[test]
fn a_pipe_that_delivers_nothing_does_not_hold_up_the_stop() {
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.msup(["-j1", "--journal", "j", TASK]));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"1\n2\n3\n").expect("it reads");
    let said = interrupt(&sandbox, child);
    drop(stdin);
    assert!(said.contains("; go on: msup resume -a FILE /"), "{said}");
    let why = "not all input was read: msup resume -a FILE reads the list again; without it only \
               the 3 values read so far run";
    assert!(said.contains(why), "{said}");
    let after = resume(&sandbox, &[]);
    let why = "only 3 values were read before the run was stopped; for the rest: msup resume -a";
    assert!(text(&after.stderr).contains(why), "{}", text(&after.stderr));
    assert_eq!(after.status.code(), Some(255), "the rest of the list has not run");
    sandbox.file("list", &numbers(5));
    let after = resume(&sandbox, &["-a", "list"]);
    assert_eq!(after.status.code(), Some(0), "{}", text(&after.stderr));
    assert_eq!(lines(&sandbox.path().join("side")), ["1", "2", "3", "4", "5"]);
}

#[test]
fn what_a_pipe_has_delivered_is_kept_though_it_had_not_been_read() {
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.msup(["-j1", "--journal", "j", TASK]));
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        stdin.write_all(&numbers(MANY)).map(|()| stdin).expect("it reads on")
    });
    let said = interrupt(&sandbox, child);
    drop(writer.join().expect("no panic"));
    // Its producer may have been stopped by the same signal: the end of the list is not known.
    assert!(said.contains(&format!("only the {MANY} values read so far run")), "{said}");
    let after = resume(&sandbox, &["-q", "-j8"]);
    assert_eq!(after.status.code(), Some(255));
    assert_eq!(values_that_ran(&sandbox).len(), MANY);
}

/// Nothing has signalled the writer of the list: its end is the end.
#[test]
fn a_whole_list_from_a_pipe_is_known_to_be_whole_when_the_output_is_closed() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-j1", "--journal", "j", "sleep 0.1; echo {}"]);
    let mut child = spawn_piped(&mut msup);
    drop(child.stdout.take());
    child.stdin.take().expect("piped").write_all(&numbers(MANY)).expect("it reads on");
    let output = child.wait_with_output().expect("ours");
    let said = text(&output.stderr);
    assert!(said.contains("; go on: msup resume /") && !said.contains("not all input"), "{said}");
    assert_eq!(told(&sandbox, "inputs-end")[0]["total"], MANY);
}

#[test]
fn a_halted_run_keeps_the_rest_of_a_file_too() {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", &numbers(MANY));
    let flags = ["-j1", "--halt", "now,fail=1", "--journal", "j", "exit 3; : {}"];
    let mut msup = sandbox.msup(flags);
    msup.stdin(File::open(list).expect("just written")).stderr(Stdio::null());
    assert_eq!(msup.status().expect("it is built").code(), Some(3));
    assert_eq!(told(&sandbox, "inputs-end")[0]["total"], MANY);
}
