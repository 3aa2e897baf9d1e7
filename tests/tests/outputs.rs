//! The output of each task comes out whole and in one piece, whether it is read or not.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use msup_tests::{Sandbox, kill, run, summary, wait_until};
use nix::sys::signal::Signal;

#[test]
fn each_tasks_output_is_in_one_piece() {
    let sandbox = Sandbox::new();
    let values: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    let expected = |n: &String| format!("{n}\n").repeat(3000);
    let script = "yes {} | head -n 3000";
    let output = run(sandbox.msup(["-q", "-k", "-j", "4", script, ":::"]).args(&values));
    let in_order: String = values.iter().map(expected).collect();
    assert!(output.stdout == in_order.as_bytes(), "not in the order of the input");
    let output = run(sandbox.msup(["-q", "-j", "4", script, ":::"]).args(&values));
    let text = String::from_utf8(output.stdout).expect("digits");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 200 * 3000);
    let whole = lines.chunks(3000).all(|task| task.iter().all(|line| *line == task[0]));
    assert!(whole, "tasks' outputs are mixed");
}

#[test]
fn a_large_output_arrives_whole_and_both_streams_stay_apart() {
    let sandbox = Sandbox::new();
    let script =
        "head -c 20000000 /dev/zero; echo trouble >&2; head -c 100000 /dev/zero >&2; exit {}";
    let output = run(&mut sandbox.msup(["-q", script, ":::", "7"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.len(), 20_000_000);
    assert!(output.stderr.starts_with(b"trouble\n") && output.stderr.len() == 100_008);
}

#[test]
fn a_closed_standard_output_stops_the_run() {
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    let script = "{ seq 100000 | \"$0\" -q echo; echo $? >status; } | head -n 1";
    let output = run(shell.args(["-c", script]).arg(msup_tests::program("msup")));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    let status = std::fs::read_to_string(sandbox.path().join("status")).expect("written");
    assert_eq!(status, "141\n");
}

/// A pipe whose reading end is closed.
fn unread_pipe() -> Stdio {
    let (_, writer) = nix::unistd::pipe().expect("a pipe");
    Stdio::from(writer)
}

/// A full pipe, and its reading end, which must be kept: without a reader the pipe is broken.
fn full_pipe() -> (OwnedFd, Stdio) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
    while nix::unistd::write(&writer, &[b'.'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("a pipe");
    (reader, Stdio::from(writer))
}

#[test]
fn a_closed_standard_error_costs_nothing() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--schedtrace", "1", "--summary", "s.json", "--", "sh", "-c"]);
    msup.args(["echo $1; echo trouble >&2", "sh", "{}", ":::", "a", "b", "c"]);
    let output = msup.stderr(unread_pipe()).output().expect("msup is built");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 6));
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["succeeded"], 3);
    for refused in [&["--procs", "0", "true"][..], &["--help"], &["--version"]] {
        let status = sandbox.msup(refused).stdout(unread_pipe()).stderr(unread_pipe()).status();
        let status = status.expect("msup is built").code();
        assert!(status == Some(0) || status == Some(255), "{refused:?}: {status:?}");
    }
}

/// A full disk is not a closed pipe.
#[test]
fn a_standard_output_that_cannot_be_written_is_an_error() {
    let sandbox = Sandbox::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("there is one");
    let mut msup = sandbox.msup(["-q", "--", "echo", "{}", ":::"]);
    msup.args((0..1000).map(|n| n.to_string())).stdout(full);
    let output = msup.output().expect("msup is built");
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("msup: standard output: No space left on device"), "{said}");
}

/// The pipe is neither read nor closed: a first signal drains, a second one stops the run all the
/// same.
#[test]
fn a_stuck_reader_does_not_hold_a_run_that_is_stopped() {
    let sandbox = Sandbox::new();
    for stuck in ["stdout", "stderr"] {
        let (_reader, pipe) = full_pipe();
        let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json", "--", "sh", "-c"]);
        msup.args(["echo $1 | tee /dev/stderr; : >began; sleep 100", "sh", "{}", ":::", "a", "b"]);
        let mut child = match stuck {
            "stdout" => msup.stdout(pipe).stderr(Stdio::null()),
            _ => msup.stdout(Stdio::null()).stderr(pipe),
        }
        .spawn()
        .expect("msup is built");
        wait_until(|| sandbox.path().join("began").exists());
        kill(child.id() as i32, Signal::SIGTERM);
        // Two signals at once are one to the kernel.
        wait_until(|| {
            kill(child.id() as i32, Signal::SIGTERM);
            child.try_wait().expect("ours").is_some()
        });
        assert_eq!(child.wait().expect("ours").signal(), Some(Signal::SIGTERM as i32), "{stuck}");
        assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["cancelled"], 2);
        assert!(sandbox.processes().is_empty() && sandbox.residue().is_empty());
        std::fs::remove_file(sandbox.path().join("began")).expect("ours");
    }
}

/// All is done and only the reader is missing: one signal is enough.
#[test]
fn one_signal_stops_a_run_that_only_waits_for_its_reader() {
    let sandbox = Sandbox::new();
    let (_reader, pipe) = full_pipe();
    let mut msup = sandbox.msup(["--procs", "1", "echo {}; : >ran", ":::", "a"]);
    let mut child = msup.stdout(pipe).stderr(Stdio::null()).spawn().expect("msup is built");
    wait_until(|| sandbox.path().join("ran").exists());
    // Its worker leaves.
    wait_until(|| sandbox.processes().len() == 1);
    kill(child.id() as i32, Signal::SIGINT);
    kill(child.id() as i32, Signal::SIGTERM);
    let signal = child.wait().expect("ours").signal();
    let stops = [Signal::SIGINT, Signal::SIGTERM].map(|signal| Some(signal as i32));
    assert!(stops.contains(&signal), "{signal:?}");
}

/// With `-k` all outputs wait for a first task that takes long and must run again.
#[test]
fn outputs_in_order_survive_a_first_task_that_runs_again() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "-k", "--procs", "2", "--", "sh", "-c"]);
    let script = "if [ $1 = 0 ]; then while [ ! -e late ]; do sleep 0.01; done; \
                  [ $MSUP_ATTEMPT = 1 ] && kill -9 $PPID; fi; [ $1 = 99 ] && : >late; \
                  head -c 300000 /dev/zero | tr '\\0' x; echo $1";
    let output = run(msup.args([script, "sh", "{}", ":::"]).args((0..100).map(|n| n.to_string())));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let ends: Vec<&str> = text.lines().map(|line| line.trim_start_matches('x')).collect();
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(ends, expected);
    assert_eq!(text.len(), 100 * 300_000 + 100 + 10 + 90 * 2);
}

/// Runs that start and finish beside each other share the folder above theirs.
#[test]
fn many_runs_at_once_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    for _ in 0..10 {
        let runs: Vec<_> = (0..8)
            .map(|_| {
                let mut msup = sandbox.msup(["-q", "--procs", "1", "true", ":::", "x"]);
                msup.stderr(Stdio::piped()).spawn().expect("msup is built")
            })
            .collect();
        for run in runs {
            let output = run.wait_with_output().expect("ours");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*said), (Some(0), ""));
        }
    }
}
