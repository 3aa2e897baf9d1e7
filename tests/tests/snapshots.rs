//! What users read, kept as it is: help, lists, the closing report and messages. After a change
//! on purpose, `INSTA_UPDATE=always cargo test -p msup-tests --test snapshots` writes the new
//! texts.

use std::process::Output;

use msup_tests::{Sandbox, run};

/// Numbers that differ from run to run, and the folder of the test.
fn steady(sandbox: &Sandbox, text: &str) -> String {
    let text = text.replace(&sandbox.path().display().to_string(), "FOLDER");
    let mut out = String::new();
    for line in text.lines() {
        for word in line.split_inclusive([' ', '\t', '/']) {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            let is_time = bare.contains('.') && bare.parse::<f64>().is_ok();
            let is_run = bare.len() > 20
                && bare.contains('-')
                && bare.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
            out += &match (is_time, is_run) {
                (true, _) => word.replace(bare, "TIME"),
                (_, true) => word.replace(bare, "RUN"),
                _ => word.to_owned(),
            };
        }
        out += "\n";
    }
    out
}

fn text(sandbox: &Sandbox, output: &Output) -> String {
    let status = output.status.code().map_or("a signal".into(), |status| status.to_string());
    let shown = steady(sandbox, &String::from_utf8_lossy(&output.stdout));
    let said = steady(sandbox, &String::from_utf8_lossy(&output.stderr));
    format!("exit status {status}\n--- standard output\n{shown}--- standard error\n{said}")
}

fn shown(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let mut msup = sandbox.msup(arguments);
    text(sandbox, &run(msup.env("COLUMNS", "100").env("SHELL", "/bin/sh")))
}

#[test]
fn help_of_every_command() {
    let sandbox = Sandbox::new();
    for command in ["", "resume", "retry", "log", "clean", "doctor", "serve"] {
        let arguments: Vec<&str> =
            [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let name = if command.is_empty() { "msup" } else { command };
        insta::assert_snapshot!(format!("help_{name}"), shown(&sandbox, &arguments));
    }
}

#[test]
fn the_closing_report_the_log_and_what_can_be_done_next() {
    let sandbox = Sandbox::new();
    let script = "[ {} != 2 ] || { echo no such thing >&2; exit 3; }; \
                  [ {} != 3 ] || kill -SEGV $$; echo out {}";
    let report = shown(&sandbox, &["-k", "-j1", script, ":::", "1", "2", "3", "4"]);
    insta::assert_snapshot!("report", report);
    // A task without output finishes before one whose output is still to be written.
    let log = shown(&sandbox, &["log", "last"]);
    let mut lines: Vec<&str> = log.lines().collect();
    lines[2..6].sort_unstable();
    insta::assert_snapshot!("log_last", lines.join("\n"));
    insta::assert_snapshot!("log", shown(&sandbox, &["log"]));
    insta::assert_snapshot!("resume_of_a_finished_run", shown(&sandbox, &["resume"]));
    insta::assert_snapshot!("retry", shown(&sandbox, &["retry", "--failed"]));
}

/// What is found depends on the machine; what is looked for does not.
#[test]
fn what_the_doctor_looks_at() {
    let sandbox = Sandbox::new();
    let doctor = text(&sandbox, &run(&mut sandbox.msup(["doctor"])));
    let lines = doctor.lines().map(|line| match line.split_at_checked(4) {
        Some(("yes " | "no  ", found)) => found.split("  ").next().unwrap_or_default(),
        Some(("    ", limit)) => limit.split(':').next().unwrap_or_default(),
        _ => line,
    });
    insta::assert_snapshot!("doctor", lines.collect::<Vec<&str>>().join("\n"));
}

/// Thirty command lines that are wrong, each with what msup says about it.
#[test]
fn messages_about_wrong_command_lines() {
    let sandbox = Sandbox::new();
    let lines: [&[&str]; 30] = [
        &["--frobnicate"],
        &["--retrys", "3", "true"],
        &["-j", "many", "true"],
        &["--procs", "0", "true"],
        &["--max-workers", "x", "true"],
        &["--memory", "lots", "true"],
        &["--timeout", "soon", "true"],
        &["--grace", "1 hour", "true"],
        &["--termseq", "TERM,x", "true"],
        &["--leave", "maybe", "true"],
        &["--leave-timeout", "soon", "true"],
        &["--at-cap", "run", "true"],
        &["--order", "random", "--from", "log", "true"],
        &["--durability", "much", "true"],
        &["--halt", "often", "true"],
        &["--retries", "-1", "true"],
        &["--backoff", "fast", "true"],
        &["--crash-limit", "0", "true"],
        &["--start-timeout", "x", "true"],
        &["--joblog", "/nowhere/log", "true", ":::", "a"],
        &["--summary", "/nowhere/s.json", "true", ":::", "a"],
        &["-a", "/nowhere/list", "true"],
        &["--out", "same", "true", ":::", "a", "b"],
        &["-n", "2", "echo", ":::", "a"],
        &["echo", "{1}", ":::", "a"],
        &["echo", "::::", "list"],
        &["sh", "-c", "echo {}", ":::", "a"],
        &["resmue"],
        &["resume", "nothing-like-this"],
        &["log", "--state", "good", "last"],
    ];
    let mut all = String::new();
    for arguments in lines {
        all += &format!("$ msup {}\n{}\n", arguments.join(" "), shown(&sandbox, arguments));
    }
    insta::assert_snapshot!("wrong_command_lines", all);
}
