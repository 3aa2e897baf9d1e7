//! `msup top`: what it shows, its keys, and that the run does not notice it.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use msup_tests::{Sandbox, kill, run, screen::Screen, wait_until};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::Signal;
use rustix::io::{FdFlags, fcntl_setfd};

/// A run of 30 tasks, three at once, that wait until `go` exists.
fn begin(sandbox: &Sandbox) -> Child {
    let script = "echo >> ran; while [ ! -e go ]; do sleep 0.01; done; : {}";
    let values = (1..=30).map(|n| format!("value-{n}"));
    let mut msup = sandbox.msup(["-q", "-j3", script, ":::"]);
    let child = msup.args(values).stdout(Stdio::null()).spawn().expect("msup is built");
    wait_until(|| ran(sandbox) == 3);
    child
}

/// How many tasks have begun.
fn ran(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.path().join("ran")).unwrap_or_default().lines().count()
}

fn go(sandbox: &Sandbox, mut msup: Child) {
    sandbox.file("go", b"");
    assert!(msup.wait().expect("ours").success());
    assert_eq!(ran(sandbox), 30);
}

/// Waits until a row of the screen contains this text. If that takes long, the screen is printed.
fn shows(screen: &Screen, text: &str) {
    let began = Instant::now();
    let mut was_printed = false;
    wait_until(|| {
        if !was_printed && began.elapsed() > Duration::from_secs(20) {
            was_printed = true;
            eprintln!("no {text:?}: {screen:?}");
        }
        screen.rows().iter().any(|row| row.contains(text))
    });
}

#[test]
fn it_shows_the_run_and_every_key_does_what_it_says() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox);
    let screen = Screen::new(24, 80);
    let mut top = screen.shell(&sandbox, "\"$MSUP\" top; echo left $?; stty -a");
    shows(&screen, "0/30 · 3 running");
    let texts = ["running for ", "3 in flight", "value-1", "waiting", "q quit  p pause  d drain"];
    texts.iter().for_each(|text| shows(&screen, text));
    for (rows, columns) in [(24, 50), (50, 200), (10, 30), (24, 80)] {
        screen.resize(rows, columns);
        // What was drawn before it knows of the new size may wrap.
        wait_until(|| {
            let drawn = screen.rows();
            let keys = drawn.last().is_some_and(|row| row.starts_with("q quit"));
            keys && drawn[0].starts_with("0/30 · 3 running") && !screen.has_wrapped()
        });
    }
    screen.type_keys(b"/e-2");
    shows(&screen, "/e-2_");
    screen.type_keys(b"\r");
    shows(&screen, "only e-2");
    wait_until(|| !format!("{screen:?}").contains("value-1"));
    assert!(format!("{screen:?}").contains("value-2"), "{screen:?}");
    screen.type_keys(b"/\x1b");
    shows(&screen, "value-1");
    screen.type_keys(b"p");
    shows(&screen, "paused at ");
    sandbox.file("go", b"");
    shows(&screen, "3/30");
    shows(&screen, "p continue");
    assert_eq!(ran(&sandbox), 3);
    screen.type_keys(b"p");
    go(&sandbox, msup);
    shows(&screen, "over after ");
    screen.type_keys(b"q");
    assert!(top.wait().expect("ours").success());
    shows(&screen, "left 0");
    wait_until(|| screen.all_rows().iter().any(|row| row.contains(" icanon")));
}

#[test]
fn tasks_are_chosen_read_killed_and_retried() {
    let sandbox = Sandbox::new();
    let script = "echo {} >> ran; echo said by {}; [ {} != 2 ] || [ -e mended ] || exit 3; \
                  while [ ! -e go ]; do sleep 0.01; done";
    let mut msup = sandbox.msup(["-q", "--procs", "1", "--max-workers", "3", script, ":::"]);
    let msup = msup.args(["1", "2", "3"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut msup = msup.expect("msup is built");
    wait_until(|| ran(&sandbox) == 3);
    let screen = Screen::new(24, 80);
    let mut top = screen.start(&mut sandbox.msup(["top"]));
    shows(&screen, "1/3 · ");
    shows(&screen, "exit 3");
    // From then on the order of the tasks stays.
    wait_until(|| screen.rows().iter().all(|row| !row.contains(" 0.00 s")));
    screen.type_keys(b"\r");
    // Either may have begun first.
    shows(&screen, ": the last lines so far");
    let is_first = screen.rows().iter().any(|row| row.contains("task 1:"));
    let [first, other] = if is_first { [1, 3] } else { [3, 1] };
    shows(&screen, &format!("said by {first}"));
    screen.type_keys(b"x\x1b[B\r");
    shows(&screen, &format!("said by {other}"));
    screen.type_keys(b"xk");
    shows(&screen, &format!("Kill task {other} (it counts as failed)?"));
    screen.type_keys(b"n");
    shows(&screen, "q quit");
    screen.type_keys(b"r");
    shows(&screen, "choose a failure (Tab), then r");
    sandbox.file("mended", b"");
    screen.type_keys(b"\tr");
    // Nothing has failed any more: the tasks are in focus again.
    wait_until(|| !format!("{screen:?}").contains("exit 3"));
    wait_until(|| ran(&sandbox) == 4);
    screen.type_keys(b"k");
    shows(&screen, "Kill task ");
    screen.type_keys(b"y");
    shows(&screen, "killed by msup ctl");
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    for tokens in 2..=cpus.min(3) {
        screen.type_keys(b"+");
        shows(&screen, &format!("{tokens} tokens"));
    }
    screen.type_keys(b"+");
    shows(&screen, "procs: at most");
    screen.type_keys(b"s");
    shows(&screen, "by CPU");
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("ours").code(), Some(1));
    shows(&screen, "over after ");
    screen.type_keys(b"q");
    assert!(top.wait().expect("ours").success());
}

#[test]
fn a_run_is_drained_and_does_not_notice_that_top_is_killed_or_stopped() {
    let sandbox = Sandbox::new();
    let mut msup = begin(&sandbox);
    let screens: Vec<Screen> = (0..3).map(|_| Screen::new(24, 80)).collect();
    let mut tops: Vec<Child> =
        screens.iter().map(|screen| screen.start(&mut sandbox.msup(["top"]))).collect();
    screens.iter().for_each(|screen| shows(screen, "0/30"));
    kill(tops[0].id() as i32, Signal::SIGKILL);
    kill(tops[1].id() as i32, Signal::SIGSTOP);
    screens[2].type_keys(b"d");
    shows(&screens[2], "stopping");
    sandbox.file("go", b"");
    assert!(!msup.wait().expect("ours").success());
    assert_eq!(ran(&sandbox), 3);
    shows(&screens[2], "over after ");
    screens[2].type_keys(b"\x03");
    assert!(tops[2].wait().expect("ours").success());
    kill(tops[1].id() as i32, Signal::SIGKILL);
    for top in &mut tops[..2] {
        top.wait().expect("ours");
    }
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox);
    let screen = Screen::new(24, 80);
    let script = "\"$MSUP\" top & echo $! >pid; fg; echo left $?; stty -a";
    let mut shell = screen.shell(&sandbox, script);
    shows(&screen, "0/30");
    let pid = std::fs::read_to_string(sandbox.path().join("pid")).expect("written");
    kill(pid.trim().parse().expect("a number"), Signal::SIGTERM);
    shows(&screen, "left 143");
    wait_until(|| screen.all_rows().iter().any(|row| row.contains(" icanon")));
    wait_until(|| !screen.hides_cursor());
    shell.wait().expect("ours");
    go(&sandbox, msup);
}

#[test]
fn a_low_terminal_has_room_for_tasks_and_for_messages() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox);
    let screen = Screen::new(13, 50);
    let mut top = screen.start(&mut sandbox.msup(["top"]));
    for text in ["value-1", "value-2", "value-3"] {
        shows(&screen, text);
    }
    screen.type_keys(b"+");
    // At most as many as there are CPUs: the message goes on in a second row.
    shows(&screen, "procs: at most 3, as the run was started");
    screen.type_keys(b"k");
    shows(&screen, "Kill task 1 (it counts as failed)? y/n");
    screen.type_keys(b"n/none such\r");
    shows(&screen, "none of 3 tasks has this in its value");
    screen.type_keys(b"\x1b");
    shows(&screen, "value-3");
    screen.type_keys(b"pq");
    assert!(top.wait().expect("ours").success());
    assert!(run(&mut sandbox.msup(["ctl", "continue"])).status.success());
    go(&sandbox, msup);
}

#[test]
fn it_exits_when_its_terminal_is_gone() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox);
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(&size, None).expect("a pseudo-terminal");
    // What other tests start must not keep it.
    for descriptor in [&master, &slave] {
        fcntl_setfd(descriptor, FdFlags::CLOEXEC).expect("ours");
    }
    let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let mut top = sandbox.msup(["top"]);
    let top = top.stdin(stream()).stdout(stream()).stderr(stream()).spawn();
    let mut top = top.expect("msup is built");
    let (mut master, mut drawn) = (File::from(master), Vec::new());
    wait_until(|| {
        let mut bytes = [0; 4096];
        let len = master.read(&mut bytes).expect("it draws");
        drawn.extend_from_slice(&bytes[..len]);
        String::from_utf8_lossy(&drawn).contains("0/30")
    });
    drop((master, slave));
    wait_until(|| top.try_wait().expect("ours").is_some());
    go(&sandbox, msup);
}

#[test]
fn without_a_terminal_or_a_run_it_says_what_to_do() {
    let sandbox = Sandbox::new();
    for (words, said) in
        [(&["top"][..], "msup ctl snapshot"), (&["top", "--"], "msup ctl snapshot")]
    {
        let output = run(&mut sandbox.msup(words));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.lines().count()), (Some(255), 1), "{text}");
        assert!(text.contains(said), "{text}");
    }
    let screen = Screen::new(24, 80);
    let mut top = screen.start(&mut sandbox.msup(["top"]));
    assert_eq!(top.wait().expect("ours").code(), Some(255));
    shows(&screen, "no run goes on");
}
