//! Flags that do not go with `--worker-stdio`, and those that do.

use msup_tests::{Sandbox, run};

use super::{ran, text, write_program};

#[test]
fn what_makes_no_sense_is_refused_with_one_line() {
    let sandbox = Sandbox::new();
    let conflict = "cannot be used with";
    let cases: [(&[&str], &str); 11] = [
        (&["sh", "program", "{}", ":::", "a"], "leave {} and the like out (--literal"),
        (&["sh program {1}", ":::", "a"], "leave {} and the like out (--literal"),
        (&[":::", "a"], "--worker-stdio: which program? Give COMMAND after the flags"),
        (&["", ":::", "a"], "the command is empty"),
        (&["sh", "program", ":::", "a", "b\nc"], "a value holds a newline: use -0"),
        (&["--memory", "1G", "sh", "program", ":::", "a"], "--memory cannot be used with"),
        (&["--leave", "ok", "sh", "program", ":::", "a"], "--leave ok cannot be used with"),
        (&["--out", "{.}.x", "sh", "program", ":::", "a"], conflict),
        (&["--worker", "sh", "program", ":::", "a"], conflict),
        (&["--unsafe-replace", "sh", "program", ":::", "a"], conflict),
        (&["--order", "longest", "--from", "log", "sh", "program", ":::", "a"], conflict),
    ];
    for (words, says) in cases {
        let output = run(&mut sandbox.msup(["--worker-stdio"].iter().chain(words)));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{words:?}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{words:?}: {said}");
    }
}

#[test]
fn a_resume_with_a_flag_that_makes_no_sense_is_refused() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "bad) fails no;;", "");
    assert_eq!(ran(&sandbox, &["-j1"], &["bad"]).status.code(), Some(1));
    let output = run(&mut sandbox.msup(["retry", "-q", "--memory", "1G"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("--memory cannot be used with --worker-stdio"), "{said}");
    let output = run(&mut sandbox.msup(["retry"]));
    assert_eq!(output.status.code(), Some(1), "it fails again: {}", text(&output.stderr));
}

#[test]
fn braces_can_be_taken_literally() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "shown=$1", "x) ok \"$shown\";;", "");
    let flags = ["--literal", "--worker-stdio", "sh", "program", "{}", ":::", "x"];
    assert_eq!(text(&run(&mut sandbox.msup(flags)).stdout), "{}\n");
}

#[test]
fn the_limit_on_memory_holds_for_the_program() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "limit=$(ulimit -d)", "x) ok \"$limit\";;", "");
    let output = ran(&sandbox, &["--mem-per-task", "512M"], &["x"]);
    assert_eq!(text(&output.stdout), "524288\n", "in KiB");
}

/// Its value is what a joblog and the log show of a task.
#[test]
fn a_joblog_names_the_values() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "bad) fails no;;", "");
    let output = ran(&sandbox, &["-j1", "--joblog", "log"], &["1", "bad"]);
    assert_eq!(output.status.code(), Some(1));
    let mut log = super::lines(&sandbox, "log");
    // A task is there when its output was written.
    log[1..].sort();
    let fields: Vec<Vec<&str>> = log[1..].iter().map(|line| line.split('\t').collect()).collect();
    let shown: Vec<[&str; 4]> = fields.iter().map(|f| [f[0], f[6], f[7], f[8]]).collect();
    assert_eq!(shown, [["1", "0", "0", "1"], ["2", "255", "0", "bad"]]);
}
