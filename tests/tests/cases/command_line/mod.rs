//! The command line: flags, separators and replacement strings that people know from other tools,
//! lists, scripts.

mod concurrency;
mod elsewhere;
mod halting;
mod lists;
mod order;
mod scripts;
mod shells;
mod suggestions;
mod warnings;

use std::process::Output;

use msup_tests::{Sandbox, run_with_input};

/// What a run with this input gave.
fn ran(sandbox: &Sandbox, arguments: &[&str], input: &[u8]) -> Output {
    run_with_input(&mut sandbox.msup(arguments), input)
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The one line of a refusal, before anything ran.
fn refused(arguments: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let output = ran(&sandbox, arguments, b"value\n");
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(255), "{arguments:?}: {stderr}");
    assert_eq!(stdout_of(&output), "", "{arguments:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    stderr
}

/// Every part is in the refusal.
fn assert_refused(arguments: &[&str], parts: &[&str]) {
    let line = refused(arguments);
    for part in parts {
        assert!(line.contains(part), "{arguments:?}: no {part:?} in {line}");
    }
}

/// What a quiet run shows that succeeds and says nothing.
fn shown(arguments: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let output = ran(&sandbox, &[&["-q", "-k"], arguments].concat(), b"");
    let stderr = stderr_of(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout_of(&output)
}
