//! The closing report: the result, the next step, what failed and why; and what is left of it with
//! `-q`.

use std::ffi::OsStr;
use std::process::Command;

use msup_tests::{
    Sandbox, kill, overheard, run, run_with_input, spawn_piped, wait_until, while_memory_lasts,
};
use nix::sys::signal::Signal;

fn said(command: &mut Command) -> String {
    String::from_utf8(run(command).stderr).expect("text")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn last_line(text: &str) -> &str {
    text.lines().next_back().unwrap_or_default()
}

#[test]
fn failed_crashed_and_lost_attempts_are_counted_apart() {
    let sandbox = Sandbox::new();
    let report =
        said(&mut sandbox.msup(["--retries", "3", "--backoff", "1ms..2ms", "false", ":::", "x"]));
    assert!(report.contains("msup: 2 failed attempts were retried\n"), "{report}");
    assert!(!report.contains("crashed") && !report.contains("outside"), "{report}");
    let script = "case {} in a) kill -SEGV $$;; \
                  b) [ $MSUP_ATTEMPT = 1 ] && kill -9 $PPID; true;; c) exit 1;; esac";
    let flags = ["--retries", "2", "--backoff", "1ms..2ms", script, ":::", "a", "b", "c"];
    let report = while_memory_lasts(|| said(&mut sandbox.msup(flags)));
    let counts = "msup: 1 failed attempt was retried\n\
                  msup: 2 crashed attempts were retried\n\
                  msup: 1 attempt was killed from outside and retried\n";
    assert!(report.contains(counts), "{report}");
}

#[test]
fn a_failure_shows_the_template_the_value_and_its_last_words() {
    let sandbox = Sandbox::new();
    let script = "echo first >&2; echo 'last: '{} >&2; echo >&2; exit 3";
    let report = said(&mut sandbox.msup([script, ":::", "it's 7"]));
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(&lines[..2], ["first", "last: it's 7"], "it is shown as it came, too");
    let report = &lines[lines.len() - 4..];
    assert!(report[0].starts_with("msup: 0 of 1 tasks succeeded, 1 failed in "), "{report:?}");
    assert_eq!(report[1], format!("msup: the command: {script}"));
    assert_eq!(report[2], "msup: task 1 failed: exit 3: it's 7");
    assert_eq!(report[3], "msup:     last: it's 7");
}

#[test]
fn several_words_are_shown_as_they_could_be_typed() {
    let sandbox = Sandbox::new();
    let report = said(&mut sandbox.msup(["sh", "-c", "exit 1", "{}", "a/{/.}.b", ":::", "x y"]));
    assert!(report.contains("msup: the command: sh -c 'exit 1' {} a/{/.}.b\n"), "{report}");
    let report = run_with_input(&mut sandbox.msup(["-q"; 0]), b"exit 4\n").stderr;
    let report = String::from_utf8(report).expect("text");
    assert!(report.contains("msup: task 1 failed: exit 4: exit 4\n"), "{report}");
    assert!(!report.contains("the command:"), "each value is one: {report}");
}

#[test]
fn last_words_are_escaped_and_short_however_long_they_are() {
    let sandbox = Sandbox::new();
    let script = "printf 'a\\033[2J' >&2; head -c {} /dev/zero | tr '\\0' y >&2; exit 1";
    for size in ["300", "3000", "3000000"] {
        let output = run(&mut sandbox.msup([script, ":::", size]));
        let report = String::from_utf8(output.stderr).expect("text");
        let last = report.lines().find_map(|line| line.strip_prefix("msup:     ")).expect("shown");
        let shown = if size == "3000000" { "y" } else { "a\\x1b[2Jy" };
        assert!(last.starts_with(shown) && last.ends_with("y…"), "{size}: {last}");
        assert_eq!(last.chars().count(), 201);
    }
}

#[test]
fn the_report_of_a_success_is_one_line() {
    let sandbox = Sandbox::new();
    let report = said(&mut sandbox.msup(["true", ":::", "a", "b"]));
    assert!(report.starts_with("msup: 2 of 2 tasks succeeded in 0."), "{report}");
    assert_eq!(report.lines().count(), 1, "{report}");
    let report = said(&mut sandbox.msup(["--stats", "true", ":::", "a", "b"]));
    let stats = report.lines().nth(1).expect("a second line");
    assert!(stats.contains(" s of CPU, ") && stats.contains(" tokens"), "{report}");
}

#[test]
fn after_failures_the_report_says_how_to_retry_them() {
    let sandbox = Sandbox::new();
    let report = said(&mut sandbox.msup(["exit {}", ":::", "0", "1"]));
    assert!(first_line(&report).ends_with("; retry them: msup retry --failed"), "{report}");
    let crash = "[ {} = 0 ] || kill -SEGV $$";
    let report = said(&mut sandbox.msup(["--crash-limit", "1", crash, ":::", "0", "1"]));
    assert!(first_line(&report).ends_with("; retry them: msup retry --quarantined"), "{report}");
    let both = "case {} in 1) kill -SEGV $$;; 2) exit 1;; esac";
    let report = said(&mut sandbox.msup(["--crash-limit", "1", both, ":::", "0", "1", "2"]));
    assert!(first_line(&report).ends_with("; retry them: msup retry"), "{report}");
    let report = said(&mut sandbox.msup(["retry"]));
    assert!(
        report.lines().nth(1).expect("a report").ends_with("; retry them: msup retry"),
        "{report}"
    );
    assert!(report.contains("msup: 1 of 3 tasks succeeded, 1 failed, 1 quarantined"), "{report}");
    let report = said(&mut sandbox.msup(["--no-journal", "false", ":::", "1"]));
    assert!(!report.contains("msup retry"), "there is nothing to retry: {report}");
}

#[test]
fn a_bare_retry_takes_the_failed_and_the_quarantined() {
    let sandbox = Sandbox::new();
    let script =
        "echo {} >>ran; [ -e well ] && exit; case {} in 1) kill -SEGV $$;; 2) exit 1;; esac";
    let flags = ["-j1", "--crash-limit", "1", script, ":::", "0", "1", "2"];
    assert_eq!(run(&mut sandbox.msup(flags)).status.code(), Some(2));
    sandbox.file("well", b"");
    assert_eq!(run(&mut sandbox.msup(["retry"])).status.code(), Some(0));
    let ran = std::fs::read_to_string(sandbox.path().join("ran")).expect("written");
    assert_eq!(ran, "0\n1\n2\n1\n2\n");
}

#[test]
fn many_failures_are_counted_and_the_log_is_named() {
    let sandbox = Sandbox::new();
    let values: Vec<String> = (0..13).map(|number| number.to_string()).collect();
    let report = said(sandbox.msup(["false", ":::"]).args(&values));
    assert!(report.ends_with("msup: and 3 more: msup log last --state failed\n"), "{report}");
    let report = said(sandbox.msup(["--no-journal", "false", ":::"]).args(&values));
    assert!(report.ends_with("msup: and 3 more\n"), "{report}");
}

/// The headline of the report; the run is stopped while two tasks run.
fn stopped(sandbox: &Sandbox, flags: &[&str], input: Option<&str>) -> String {
    let script = ": >began.$MSUP_SEQ; while [ ! -e go ]; do sleep 0.01; done #";
    let mut msup = sandbox.msup(["-j2"]);
    msup.args(flags).arg(script);
    if input.is_none() {
        msup.args([":::", "1", "2", "3", "4", "5"]);
    }
    let mut child = spawn_piped(&mut msup);
    let mut stdin = child.stdin.take();
    if let (Some(input), Some(stdin)) = (input, &mut stdin) {
        std::io::Write::write_all(stdin, input.as_bytes()).expect("it reads");
    }
    let said = overheard(&mut child);
    let so_far = || said.lock().expect("no panic").clone();
    wait_until(|| (1..=2).all(|n| sandbox.path().join(format!("began.{n}")).exists()));
    kill(child.id() as i32, Signal::SIGINT);
    wait_until(|| so_far().contains("msup: stopping"));
    sandbox.file("go", b"");
    child.wait().expect("ours");
    wait_until(|| so_far().contains("tasks succeeded"));
    for name in ["go", "began.1", "began.2"] {
        std::fs::remove_file(sandbox.path().join(name)).expect("ours");
    }
    drop(stdin);
    let said = so_far();
    said.lines().find(|line| line.contains("tasks succeeded")).unwrap_or_default().to_owned()
}

#[test]
fn after_a_signal_the_report_says_what_is_left_and_how_to_go_on() {
    let sandbox = Sandbox::new();
    let report = stopped(&sandbox, &[], None);
    assert!(report.starts_with("msup: 2 of 5 tasks succeeded, 3 left in "), "{report}");
    assert!(report.ends_with("; go on: msup resume"), "{report}");
    sandbox.file("go", b"");
    let report = said(&mut sandbox.msup(["resume"]));
    let report = last_line(&report);
    std::fs::remove_file(sandbox.path().join("go")).expect("ours");
    for number in 1..=5 {
        let _ = std::fs::remove_file(sandbox.path().join(format!("began.{number}")));
    }
    assert!(
        report.starts_with("msup: 5 of 5 tasks succeeded (2 had finished earlier) in"),
        "{report}"
    );
    let report = stopped(&sandbox, &["--no-journal"], None);
    assert!(report.starts_with("msup: 2 of 5") && !report.contains("resume"), "{report}");
    let report = stopped(&sandbox, &[], Some("1\n2\n3\n"));
    assert!(report.starts_with("msup: 2 of 3+ tasks succeeded, 1+ left in "), "{report}");
}

#[test]
fn a_hint_names_the_run_where_a_bare_command_finds_another_one() {
    let sandbox = Sandbox::new();
    let report = said(&mut sandbox.msup(["--journal", "my runs/a", "false", ":::", "1"]));
    let folder = std::fs::canonicalize(sandbox.path()).expect("there").join("my runs/a");
    let hint = format!("; retry them: msup retry --failed '{}'", folder.display());
    assert!(first_line(&report).ends_with(&hint), "{report}");
    // The hint is a command.
    let typed = hint.split_once(": ").expect("a hint").1.replace("msup", "\"$0\"");
    let mut shell = sandbox.command("sh");
    shell.args([OsStr::new("-c"), typed.as_ref(), msup_tests::program("msup").as_os_str()]);
    assert!(said(&mut shell).contains("msup: 0 of 1 tasks succeeded, 1 failed"));
    assert_eq!(run(&mut sandbox.msup(["false", ":::", "1"])).status.code(), Some(1));
    let name = std::fs::read_dir(sandbox.path().join("state/msup")).expect("there").next();
    let name = name.expect("one run").expect("readable").file_name().into_string().expect("an id");
    // Another folder has a run of its own.
    std::fs::create_dir(sandbox.path().join("other")).expect("writable");
    let there = |words: &[&str]| {
        let mut msup = sandbox.msup(words);
        said(msup.current_dir(sandbox.path().join("other")))
    };
    assert!(there(&["true", ":::", "1"]).starts_with("msup: 1 of 1"));
    let report = there(&["retry", "--failed", &name]);
    let hint = format!("; retry them: msup retry --failed {name}");
    assert!(first_line(&report).ends_with(&hint), "{report}");
}

#[test]
fn quiet_keeps_a_line_for_failures_in_which_the_command_could_not_speak() {
    let sandbox = Sandbox::new();
    let script = "case {} in a) kill -HUP $$;; b) sleep 100;; c) exit 3;; d) kill -SEGV $$;; esac";
    let flags = ["-q", "-k", "-j1", "--timeout", "2s", "--grace", "100ms", "--crash-limit", "1"];
    let text = said(sandbox.msup(flags).args([script, ":::", "a", "b", "c", "d"]));
    let expected = "msup: task 1 failed: signal 1: a\n\
                    msup: task 2 failed: timeout after 2 s: b\n\
                    msup: task 4 was quarantined: signal 11: d\n";
    assert_eq!(text, expected, "a command that exits with a status has said why");
    sandbox.file("no-program", b"");
    let text = said(&mut sandbox.msup(["-q", "./{}", "x", ":::", "no-program", "none"]));
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(" failed: cannot start: Permission denied"), "{text}");
    assert!(text.contains(" failed: ./none: no such file: none"), "{text}");
    sandbox.program("adrift", b"#!/no/such/interpreter\n");
    let text =
        said(&mut sandbox.msup(["-q", "-k", "-j1", "{}", "x", ":::", "./adrift", "no-such"]));
    assert!(text.contains(" failed: ./adrift: its interpreter does not exist: "), "{text}");
    assert!(text.contains(" failed: no-such: command not found in PATH: no-such"), "{text}");
    let text = said(&mut sandbox.msup(["-q", "--out", "o{}", "true", ":::", "1"]));
    assert!(text.starts_with("msup: task 1 failed: it has not written its output"), "{text}");
    let loses_worker = ["-q", "-j1", "kill -9 $PPID; exit {}", ":::", "1"];
    let text = while_memory_lasts(|| said(&mut sandbox.msup(loses_worker)));
    assert!(text.starts_with("msup: task 1 failed: lost worker"), "{text}");
}

#[test]
fn colours_are_for_terminals_and_can_be_refused() {
    use msup_tests::screen::Screen;
    let sandbox = Sandbox::new();
    for (prefix, count) in [("", 1), ("NO_COLOR=1 ", 0), ("NO_COLOR= ", 1), ("TERM=dumb ", 0)] {
        let screen = Screen::new(24, 100);
        let script = format!("{prefix}$MSUP --no-journal false ::: 1; echo over");
        screen.shell(&sandbox, &script).wait().expect("ours");
        wait_until(|| screen.rows().iter().any(|row| row == "over"));
        assert_eq!(screen.count("\x1b[31m1 failed"), count, "{prefix}");
    }
    let report = said(&mut sandbox.msup(["false", ":::", "1"]));
    assert!(!report.contains('\x1b'), "{report:?}");
}
