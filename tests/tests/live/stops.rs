//! What a kill, a reader that does not read, and one that is gone leave of outputs that are shown
//! while tasks run.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use msup_tests::{Sandbox, is_alive, kill, program, records, run, summary, wait_until};
use nix::sys::signal::Signal;

use super::{Heard, fifo, text};

/// The worker is killed when it has passed on half a line: that half is never shown.
#[test]
fn half_a_line_of_a_killed_worker_is_not_shown() {
    for order in [&[][..], &["-k"]] {
        let sandbox = Sandbox::new();
        let script = "printf \"$MSUP_ATTEMPT\\nhalf\"; [ $MSUP_ATTEMPT = 2 ] || sleep 100; echo {}";
        let mut msup = sandbox.msup(["-q", "--lb", "-j1"]);
        msup.args(order).args([script, ":::", "x"]);
        let mut heard = Heard::start(&mut msup);
        // The half was written with it, and so passed on with it.
        assert_eq!(heard.line(), "1\n");
        let workers = sandbox.workers(&heard.child);
        workers.into_iter().for_each(|worker| kill(worker, Signal::SIGKILL));
        assert_eq!(heard.rest(), ("2\nhalfx\n".into(), Some(0)), "{order:?}");
    }
}

/// Of attempts that are followed by another one, whole lines are shown.
#[test]
fn each_attempt_shows_its_lines() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_ATTEMPT; printf end; [ $MSUP_ATTEMPT = 3 ] || cat /nonexistent";
    let mut msup = sandbox.msup(["-q", "--lb", "--retries", "3", "--backoff", "1ms..1ms"]);
    let output = run(msup.args(["-j1", script, ":::", "x"]));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "1\n2\n3\nend"));
}

/// Every process is killed in the middle of a line. The resume runs the tasks that had not
/// finished, and them alone.
#[test]
fn a_killed_run_is_resumed() {
    let sandbox = Sandbox::new();
    ["gate", "other"].into_iter().for_each(|name| fifo(&sandbox, name));
    // The third one waits while the second one has finished: its output waits for the first one.
    let script = "echo {} >>starts; case {} in \
        1) echo one; printf ha; test -e go || cat gate; echo lf;; \
        2) echo two; test -e go || : >finished;; \
        3) test -e go || cat other; echo three;; esac";
    let mut msup = sandbox.msup(["-q", "--lb", "-k", "-j3", "--journal", "run"]);
    let mut heard = Heard::start(msup.args([script, ":::", "1", "2", "3"]));
    assert_eq!(heard.line(), "one\n");
    let journal = sandbox.path().join("run/journal.jsonl");
    wait_until(|| records(&journal, "unshown") == 1);
    kill(heard.child.id() as i32, Signal::SIGKILL);
    assert_eq!(heard.rest().0, "", "half a line");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    assert_eq!(text(&output.stdout), "one\nhalf\ntwo\nthree\n", "{}", text(&output.stderr));
    let mut starts: Vec<char> =
        fs::read_to_string(sandbox.path().join("starts")).expect("written").chars().collect();
    starts.retain(|c| *c != '\n');
    starts.sort_unstable();
    assert_eq!(starts, ['1', '1', '2', '3', '3'], "the second one had finished");
}

/// A task that waits for the reader needs no CPU: another one runs meanwhile.
#[test]
fn a_task_that_waits_for_the_reader_has_no_token() {
    let sandbox = Sandbox::new();
    let script = "case {} in 1) echo begun; yes;; 2) : >ran;; esac";
    let mut msup = sandbox.msup(["-q", "--lb", "--procs", "1", "--max-workers", "2"]);
    msup.args(["--halt", "never", "--timeout", "1000", script, ":::", "1", "2"]);
    // The first line is read, and nothing after it.
    let mut heard = Heard::start(&mut msup);
    assert_eq!(heard.line(), "begun\n");
    wait_until(|| sandbox.path().join("ran").exists());
    let Heard { mut child, lines } = heard;
    drop(lines);
    assert_eq!(child.wait().expect("ours").code(), Some(141));
}

/// No process reads: what a task has not passed on does not keep its worker from reporting.
#[test]
fn a_stuck_reader_holds_neither_a_timeout_nor_a_run_that_is_stopped() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "--lb", "-j1", "--summary", "s.json", "--timeout", "1"]);
    msup.args(["echo {} >>begun; yes", ":::", "a", "b"]).stdout(Stdio::piped());
    let mut child = msup.stderr(Stdio::null()).spawn().expect("msup is built");
    // The first one was stopped and reported: its slot is free for the second one.
    let begun = sandbox.path().join("begun");
    wait_until(|| fs::read_to_string(&begun).is_ok_and(|text| text == "a\nb\n"));
    wait_until(|| {
        kill(child.id() as i32, Signal::SIGTERM);
        child.try_wait().expect("ours").is_some()
    });
    assert_eq!(child.wait().expect("ours").signal(), Some(Signal::SIGTERM as i32));
    assert_eq!(summary(&sandbox.path().join("s.json"))["workers"]["lost"], 0);
    assert!(sandbox.processes().is_empty() && sandbox.residue().is_empty());
}

#[test]
fn a_closed_standard_output_stops_the_run() {
    for flag in ["--lb", "-u"] {
        let sandbox = Sandbox::new();
        let mut shell = sandbox.command("sh");
        let script = "{ \"$0\" -q $1 yes ::: a b; echo $? >status; } | head -n 1";
        let output = run(shell.args(["-c", script]).arg(program("msup")).arg(flag));
        assert!(["a\n", "b\n"].contains(&text(&output.stdout).as_str()), "{flag}");
        assert_eq!(text(&output.stderr), "", "{flag}");
        let status = fs::read_to_string(sandbox.path().join("status")).expect("written");
        assert_eq!(status, "141\n", "{flag}");
    }
}

/// Where nothing is written no reader is needed.
#[test]
fn a_standard_output_that_is_not_used_may_be_closed() {
    for flag in ["--lb", "-u"] {
        let sandbox = Sandbox::new();
        let (_, pipe) = nix::unistd::pipe().expect("a pipe");
        let mut msup = sandbox.msup(["-q", flag, "touch", ":::", "a", "b"]);
        assert!(msup.stdout(pipe).status().expect("msup is built").success(), "{flag}");
    }
}

/// A command that writes into the pipe of its worker loses outputs, and the run says so.
#[test]
fn a_process_that_writes_into_the_pipe_is_noticed() {
    let sandbox = Sandbox::new();
    let script = "fd=$(tr '\\0' '\\n' </proc/$PPID/environ | sed -n 's/^MSUP_LIVE_FD=//p'); \
                  test {} = 1 && head -c 100 /dev/zero >/proc/$PPID/fd/$fd; true";
    let output = run(&mut sandbox.msup(["-q", "--lb", "-j1", script, ":::", "1", "2"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("a process has written into the pipe for outputs"), "{said}");
}

/// With `-u` nothing of msup stands between a command and the reader, so nothing is left of a run
/// that is killed.
#[test]
fn commands_that_write_themselves_die_with_a_killed_run() {
    let sandbox = Sandbox::new();
    let mut heard =
        Heard::start(&mut sandbox.msup(["-q", "-u", "echo $$; sleep 100; : {}", ":::", "x"]));
    let pid: i32 = heard.line().trim().parse().expect("a number");
    kill(heard.child.id() as i32, Signal::SIGKILL);
    assert_eq!(heard.rest().0, "");
    wait_until(|| !is_alive(pid));
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
}
