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
            let shape: String =
                bare.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            out += &match (is_time, is_run, shape.as_str()) {
                (true, ..) => word.replace(bare, "TIME"),
                (_, true, _) => word.replace(bare, "RUN"),
                (.., "0000-00-00") => word.replace(bare, "DATE"),
                (.., "00:00:00") => word.replace(bare, "HOUR"),
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
    for command in
        ["", "run", "resume", "retry", "log", "top", "ctl", "clean", "collect", "doctor", "serve"]
    {
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
    // Columns are as wide as the path of the folder.
    let log = shown(&sandbox, &["log"]);
    let rows = log.lines().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "));
    insta::assert_snapshot!("log", rows.collect::<Vec<_>>().join("\n"));
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

/// Pipeline files that are wrong, between lines of `-`: one message each, with the place.
const BROKEN_PIPELINES: &str = include_str!("broken_pipelines.txt");

#[test]
fn messages_about_wrong_pipelines() {
    let sandbox = Sandbox::new();
    let many = |count: usize| {
        let stage = |n| format!("[[stage]]\nname = 'a{n}'\nfrom = 'in/*'\nrun = 'true {{}}'\n");
        (0..count).map(stage).collect::<String>().into_bytes()
    };
    let files = BROKEN_PIPELINES.split("-----\n").map(|file| file.as_bytes().to_vec());
    let files = files.chain([b"\xff\xfe".to_vec(), many(1_001), many(100_000)]);
    let mut all = String::new();
    for (number, file) in files.enumerate() {
        sandbox.file("p.toml", &file);
        let output = run(sandbox.msup(["run", "p.toml"]).env("SHELL", "/bin/sh"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{text}");
        all += &format!("# {number}\n{}", steady(&sandbox, &text));
    }
    insta::assert_snapshot!("pipelines", all);
    assert!(!sandbox.path().join(".msup").exists(), "nothing starts");
}
