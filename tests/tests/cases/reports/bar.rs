//! The bar on a terminal: nothing that is written above it vanishes, and nothing of it stays
//! behind.

use std::fs;

use msup_tests::screen::Screen;
use msup_tests::{Sandbox, kill, records, wait_until};
use nix::sys::signal::Signal;

/// Tasks wait for this file.
const UNTIL_GO: &str = "while [ ! -e go ]; do sleep 0.01; done";

/// How many rows a bar fills that names all tasks it can.
const TALLEST: usize = 6;

/// The rows of the bar, its first one being that of the counts.
fn bar(screen: &Screen) -> Vec<String> {
    let rows = screen.rows();
    let is_first =
        |row: &String| row.starts_with(|c: char| c.is_ascii_digit()) && row.contains(" running");
    let first = rows.iter().position(is_first);
    rows.into_iter().skip(first.unwrap_or(usize::MAX)).filter(|row| !row.is_empty()).collect()
}

#[test]
fn no_line_of_ten_thousand_vanishes_where_a_bar_stands() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let script = "$MSUP --bar -k -j2 'seq {}00 {}99; sleep 0.01' ::: $(seq 100 199); echo over";
    let mut child = screen.shell(&sandbox, script);
    assert!(child.wait().expect("ours").success());
    wait_until(|| screen.all_rows().last().is_some_and(|row| row == "over"));
    assert!(screen.count(" running") > 1, "there was a bar");
    let rows = screen.all_rows();
    let expected: Vec<String> = (10_000..20_000).map(|number| number.to_string()).collect();
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    let after = &rows[10_000..];
    assert!(after[0].starts_with("msup: 100 of 100 tasks succeeded"), "{after:?}");
    assert_eq!(after[1..], ["over"], "nothing of the bar stays behind");
}

#[test]
fn what_a_command_writes_to_standard_error_does_not_vanish() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let script =
        "$MSUP --bar -k -j2 'seq {}0 {}9 >&2; printf {}; sleep 0.01' ::: $(seq 10 59); echo over";
    let mut child = screen.shell(&sandbox, script);
    assert!(child.wait().expect("ours").success());
    wait_until(|| screen.all_rows().last().is_some_and(|row| row == "over"));
    let rows = screen.all_rows();
    let expected: Vec<String> = (10..60)
        .flat_map(|task| {
            let lines = (0..10).map(move |line| (task * 10 + line).to_string());
            std::iter::once(task.to_string()).chain(lines)
        })
        .collect();
    assert_eq!(rows[..expected.len()], expected, "an output without a final newline gets one");
    assert_eq!(rows.len(), expected.len() + 2, "{:?}", &rows[expected.len()..]);
}

#[test]
fn a_file_gets_the_bytes_as_they_are() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let script = "$MSUP --bar -k -j2 'printf {}; sleep 0.1' ::: 1 2 3 4 5 6 7 8 >file; echo over";
    let mut child = screen.shell(&sandbox, script);
    assert!(child.wait().expect("ours").success());
    wait_until(|| screen.rows().iter().any(|row| row == "over"));
    assert_eq!(fs::read(sandbox.path().join("file")).expect("written"), b"12345678");
    let rows = screen.all_rows();
    assert!(rows.len() == 2 && rows[0].starts_with("msup: 8 of 8"), "{rows:?}");
}

#[test]
fn nothing_wraps_and_nothing_smears_at_any_width() {
    for columns in [50, 80, 200] {
        let sandbox = Sandbox::new();
        let screen = Screen::new(24, columns);
        let long = "v".repeat(190);
        let script = format!(
            "$MSUP --bar -j8 '{UNTIL_GO}; exit 1 #' ::: $(seq -f '{long}%02g' 1 8) $(seq 50)"
        );
        let mut child = screen.shell(&sandbox, &script);
        // A whole frame: the screen may be read in the middle of one.
        let mut rows = Vec::new();
        wait_until(|| {
            rows = screen.rows();
            let filled = rows.iter().filter(|row| !row.is_empty()).count();
            filled == TALLEST && rows[1].contains(" 2 s ")
        });
        assert!(!screen.has_wrapped(), "{columns}: {screen:?}");
        assert!(rows[0].starts_with("0/58 · "), "{columns}: {screen:?}");
        assert_eq!(rows.iter().filter(|row| row.contains("/58")).count(), 1, "{screen:?}");
        assert!(
            rows[1..TALLEST].iter().all(|row| row.contains("ing  ") && row.contains("  vvv")),
            "{screen:?}"
        );
        assert!(rows[TALLEST..].iter().all(String::is_empty), "{columns}: {screen:?}");
        // What others write takes the place of the bar.
        wait_until(|| screen.cursor() == (0, 0));
        sandbox.file("go", b"");
        assert!(!child.wait().expect("ours").success());
        wait_until(|| screen.rows().iter().any(|row| row.starts_with("msup: and 48 more")));
        assert!(screen.all_rows()[0].starts_with("msup: 0 of 58 tasks"), "{screen:?}");
    }
}

#[test]
fn long_tasks_are_shown_with_what_they_do() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    // What a command leaves running is waited for.
    let script = "case {} in computes) while [ ! -e go ]; do :; done;; \
                  leaves) while [ ! -e go ]; do sleep 0.3; done & exit;; \
                  waits) while [ ! -e go ]; do sleep 0.3; done; esac";
    let script = format!("$MSUP --bar -j3 '{script}' ::: computes waits leaves");
    let mut child = screen.shell(&sandbox, &script);
    for text in ["computing  computes", "waiting    waits", "waiting    leaves"] {
        wait_until(|| bar(&screen).iter().any(|row| row.contains(text)));
    }
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success());
}

#[test]
fn a_terminal_that_changes_its_size_has_one_bar() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 100);
    let script = format!("$MSUP --bar -j6 'echo {{}}; {UNTIL_GO} #' ::: $(seq -f '%090g' 1 6)");
    let mut child = screen.shell(&sandbox, &script);
    wait_until(|| bar(&screen).len() == TALLEST);
    for (rows, columns) in [(24, 40), (10, 40), (24, 120), (4, 30), (24, 100)] {
        screen.resize(rows, columns);
        let drawn = screen.count(" running");
        wait_until(|| screen.count(" running") >= drawn + 3);
        // The screen may be read in the middle of a frame: what is right for a whole one comes.
        let tallest = TALLEST.min(usize::from(rows) - 1);
        wait_until(|| {
            let filled = screen.rows().iter().filter(|row| !row.is_empty()).count();
            (bar(&screen).len(), filled) == (tallest, tallest)
        });
        assert!(!screen.has_wrapped());
    }
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success());
}

#[test]
fn in_the_background_nothing_is_drawn_and_the_foreground_has_it_again() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let script = "$MSUP --bar -j1 'sleep 0.01; : >began.{}; [ {} -lt 60 ] || \
                  while [ ! -e go ]; do sleep 0.01; done' ::: $(seq 60) & echo prompt; \
                  until [ -e fore ]; do sleep 0.01; done; fg >/dev/null; echo over";
    let mut child = screen.shell(&sandbox, script);
    wait_until(|| sandbox.path().join("began.60").exists());
    let rows = screen.all_rows();
    assert_eq!(rows.last().map(String::as_str), Some("prompt"), "{rows:?}");
    assert_eq!(screen.count(" running"), 0);
    sandbox.file("fore", b"");
    wait_until(|| bar(&screen).first().is_some_and(|row| row.starts_with("59/60 ")));
    sandbox.file("go", b"");
    child.wait().expect("ours");
    wait_until(|| screen.rows().iter().any(|row| row == "over"));
    assert!(bar(&screen).is_empty(), "{screen:?}");
}

#[test]
fn a_run_that_is_stopped_leaves_the_screen_to_the_shell() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let script = format!(
        "$MSUP --bar -j6 '{UNTIL_GO} #' ::: 1 2 3 4 5 6; echo prompt; \
         until [ -e fore ]; do sleep 0.01; done; fg >/dev/null; echo over"
    );
    let mut child = screen.shell(&sandbox, &script);
    wait_until(|| bar(&screen).len() == TALLEST);
    screen.type_keys(b"\x1a");
    wait_until(|| screen.rows().iter().any(|row| row == "prompt"));
    assert!(bar(&screen).is_empty(), "{screen:?}");
    sandbox.file("fore", b"");
    wait_until(|| bar(&screen).len() == TALLEST);
    sandbox.file("go", b"");
    child.wait().expect("ours");
    wait_until(|| screen.rows().iter().any(|row| row == "over"));
    assert!(bar(&screen).is_empty(), "{screen:?}");
}

#[test]
fn cancelled_tasks_are_not_counted_as_done() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 100);
    let script = format!("$MSUP --bar --no-journal -j2 '{UNTIL_GO} #' ::: $(seq 100)");
    let mut child = screen.shell(&sandbox, &script);
    wait_until(|| bar(&screen).first().is_some_and(|row| row.starts_with("0/100 ")));
    screen.type_keys(b"\x03");
    wait_until(|| screen.rows().iter().any(|row| row.starts_with("msup: stopping")));
    wait_until(|| bar(&screen).first().is_some_and(|row| row.contains("stopping")));
    let first = bar(&screen).remove(0);
    assert_eq!(first, "0/100 · stopping · 2 running");
    sandbox.file("go", b"");
    child.wait().expect("ours");
}

#[test]
fn after_a_resume_the_rate_is_that_of_this_generation() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let task = "[ {} -le 300 ] || { : >began.{}; while [ ! -e go ]; do sleep 0.01; done; }";
    let values: Vec<String> = (1..=302).map(|number| number.to_string()).collect();
    let mut msup = sandbox.msup(["-q", "-j2", "--journal", "j", task, ":::"]);
    let mut child = msup.args(values).spawn().expect("built");
    let began = || [301, 302].iter().all(|n| sandbox.path().join(format!("began.{n}")).exists());
    wait_until(began);
    wait_until(|| records(&sandbox.path().join("j/journal.jsonl"), "end") == 300);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    let mut child = screen.shell(&sandbox, "$MSUP resume --bar ./j");
    // What was cut off runs alone.
    wait_until(|| bar(&screen).len() == 2);
    assert_eq!(bar(&screen)[0], "300/302 · 1 running", "nothing has finished since");
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success());
    sandbox.start_once_more();
}

#[test]
fn a_bar_is_drawn_where_no_other_program_draws() {
    let sandbox = Sandbox::new();
    let task = "-j1 'sleep 0.1; echo {}' ::: 1 2 3 4 5 6 7 8";
    for (script, drawn) in [
        (format!("$MSUP {task}"), true),
        (format!("$MSUP {task} >file"), true),
        (format!("$MSUP {task} >/dev/null"), true),
        (format!("$MSUP {task} | cat"), false),
        (format!("$MSUP -q {task}"), false),
        (format!("$MSUP -q --bar {task}"), true),
        (format!("TERM=dumb $MSUP --bar {task}"), false),
        (format!("$MSUP {task} 2>said"), false),
    ] {
        let screen = Screen::new(24, 80);
        let mut child = screen.shell(&sandbox, &format!("{script}; echo over"));
        child.wait().expect("ours");
        wait_until(|| screen.rows().iter().any(|row| row == "over"));
        assert_eq!(screen.count(" running") > 0, drawn, "{script}: {screen:?}");
    }
}

#[test]
fn progress_is_told_in_lines_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let flags = ["--no-journal", "-q", "-j1", "--progress=100ms", "--bar"];
    let mut msup = sandbox.msup(flags);
    msup.args(["sleep 0.1; exit {}", ":::", "0", "1", "0", "0", "0", "0"]);
    let output = msup_tests::run(&mut msup);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.lines().count() >= 2, "{said}");
    // `+`: not all values are read yet.
    let counts = |line: &str| line.contains("/6") || line.contains("+ · ");
    assert!(said.lines().all(|line| line.starts_with("msup: ") && counts(line)), "{said}");
    assert!(said.contains(" · 1 failed"), "{said}");
    let output = msup_tests::run(&mut sandbox.msup(["--progress=often", "true"]));
    assert_eq!(output.status.code(), Some(255));
}

/// With `--lb`, too.
#[test]
fn the_bar_stands_between_lines_at_any_width() {
    for columns in [50, 80, 200] {
        let sandbox = Sandbox::new();
        let screen = Screen::new(24, columns);
        let script = "$MSUP --lb --bar -j1 'for n in $(seq 40); do echo line $n; sleep 0.05; done; \
                      : {}' ::: a";
        let mut child = screen.shell(&sandbox, script);
        assert!(child.wait().expect("ours").success());
        wait_until(|| screen.all_rows().iter().any(|row| row.starts_with("msup: 1 of 1")));
        assert!(screen.count(" running") > 5, "{columns}: {}", screen.count(" running"));
        let rows = screen.all_rows();
        let expected: Vec<String> = (1..=40).map(|n| format!("line {n}")).collect();
        assert_eq!(rows[..40], expected, "{columns}");
    }
}

/// Commands would write into it.
#[test]
fn there_is_no_bar_where_commands_write_to_the_terminal_themselves() {
    for columns in [50, 80, 200] {
        let sandbox = Sandbox::new();
        let screen = Screen::new(24, columns);
        let script = "$MSUP -u --bar -j2 'for n in 1 2 3 4; do echo {}; sleep 0.2; done' ::: a b";
        let mut child = screen.shell(&sandbox, script);
        assert!(child.wait().expect("ours").success());
        wait_until(|| screen.all_rows().iter().any(|row| row.starts_with("msup: 2 of 2")));
        assert_eq!(screen.count(" running"), 0, "{columns}: {screen:?}");
        let rows = screen.all_rows();
        assert_eq!(rows.iter().filter(|row| *row == "a" || *row == "b").count(), 8, "{rows:?}");
    }
}
