//! `msup serve`: another program submits tasks and gets their outcomes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use msup_tests::client::{Client, Frame, Outcome};
use msup_tests::{Sandbox, kill, program, run, wait_until};
use nix::sys::signal::Signal;

/// `msup serve` with a task loop that answers.
fn with_answers(sandbox: &Sandbox, flags: &[&str]) -> Client {
    let mut msup = sandbox.msup(["serve", "-q"]);
    Client::start(msup.args(flags).arg("--worker").arg(program("answers")))
}

/// State, cause, exit status and signal.
fn ended(outcome: &Outcome) -> (u8, u8, (u8, u8)) {
    (outcome.state, outcome.cause, outcome.ended)
}

#[test]
fn commands_are_served() {
    let sandbox = Sandbox::new();
    let script = "echo out {}; echo err >&2; [ {} != bad ]";
    let mut client = Client::start(&mut sandbox.msup(["serve", "-q", script]));
    client.send(["a b", "bad", "c\nd"]);
    client.end();
    let outcomes = client.outcomes();
    let expected = [(0, "out a b\n"), (1, "out bad\n"), (0, "out c\nd\n")];
    assert_eq!(outcomes.len(), expected.len());
    for (outcome, (state, stdout)) in outcomes.iter().zip(expected) {
        let streams = [&b""[..], stdout.as_bytes(), b"err\n"];
        assert_eq!((outcome.state, &outcome.streams), (state, &streams.map(<[u8]>::to_vec)));
    }
    assert_eq!(ended(&outcomes[1]), (1, 1, (1, 0)), "exit 1");
    assert_eq!(client.msup.wait().expect("ours").code(), Some(1), "one task has failed");
}

#[test]
fn any_value_comes_back_as_a_result() {
    let sandbox = Sandbox::new();
    let mut client = with_answers(&sandbox, &[]);
    let values = [b"".to_vec(), vec![0], (0..=255).collect(), vec![b'\n'; 5000], vec![7; 10 << 20]];
    client.send(&values);
    client.end();
    let outcomes = client.outcomes();
    let results: Vec<Vec<u8>> = outcomes.into_iter().map(|o| o.streams[0].clone()).collect();
    let backwards = values.map(|value| value.into_iter().rev().collect::<Vec<u8>>());
    assert!(results == backwards);
    assert!(client.msup.wait().expect("ours").success());
}

#[test]
fn a_worker_that_dies_fails_only_its_own_task() {
    let sandbox = Sandbox::new();
    let flags = ["--crash-limit", "1", "--outside-limit", "1", "--timeout", "1s"];
    let mut client = with_answers(&sandbox, &[&flags[..], &["--termseq", "KILL"]].concat());
    client.send(["abort", "exit", "kill", "panic", "hang", "fail"]);
    client.send((0..200).map(|n| n.to_string()));
    client.end();
    let outcomes = client.outcomes();
    let expected = [(2, 7, (0, 6)), (2, 7, (9, 0)), (1, 7, (0, 9)), (2, 5, (0, 0))];
    for (outcome, expected) in outcomes.iter().zip(expected) {
        assert_eq!(ended(outcome), expected, "{outcome:?}");
        assert_eq!(outcome.attempts, 1, "{outcome:?}");
    }
    assert_eq!(
        (ended(&outcomes[4]), outcomes[4].text.as_str()),
        ((1, 9, (0, 0)), "timeout after 1 s")
    );
    let failed = &outcomes[5];
    assert_eq!((ended(failed), failed.text.as_str()), ((1, 4, (0, 0)), "asked to"));
    assert_eq!(failed.streams[0], b"the reason", "an error may have a result, too");
    assert!(outcomes[6..].iter().all(|outcome| outcome.state == 0));
    assert_eq!(outcomes.len(), 206);
    assert_eq!(client.msup.wait().expect("ours").code(), Some(6));
}

#[test]
fn large_results_and_prints_arrive_whole() {
    let sandbox = Sandbox::new();
    let mut client = with_answers(&sandbox, &[]);
    client.send(["large", "prints", "large"]);
    client.end();
    let outcomes = client.outcomes();
    assert!(outcomes[0].streams == [vec![b'x'; 5_000_000], vec![], vec![]]);
    assert_eq!(outcomes[1].streams, [b"".to_vec(), b"out".to_vec(), b"err".to_vec()]);
    assert!(outcomes[2] == Outcome { task: 3, ..outcomes[0].clone() });
}

/// A client may send a task because of the outcome of another one.
#[test]
fn tasks_may_be_sent_at_any_time() {
    let sandbox = Sandbox::new();
    let mut client = with_answers(&sandbox, &[]);
    let Some(Frame::Hello(hello)) = client.next_frame() else { panic!("no hello") };
    assert_eq!(hello["protocol"], 1);
    let folder = hello["folder"].as_str().expect("a folder").to_owned();
    assert!(std::path::Path::new(&folder).is_dir());
    let mut value = b"ab".to_vec();
    for number in 1..=20 {
        client.send([&value]);
        let Some(Frame::Outcome(outcome)) = client.next_frame() else { panic!("no outcome") };
        assert_eq!(outcome.task, number);
        let [result, ..] = outcome.streams;
        assert!(result.iter().rev().eq(&value));
        value = [result, vec![b'c']].concat();
    }
    client.end();
    assert_eq!(client.next_frame(), None);
    assert!(client.msup.wait().expect("ours").success());
    assert!(!std::path::Path::new(&folder).exists());
}

#[test]
fn a_client_that_is_gone_leaves_nothing_running() {
    let sandbox = Sandbox::new();
    let mut client = with_answers(&sandbox, &[]);
    client.send(["hang", "hang", "hang"]);
    assert!(matches!(client.next_frame(), Some(Frame::Hello(_))));
    wait_until(|| sandbox.workers(&client.msup).len() >= 2);
    let mut msup = client.leave();
    assert!(!msup.wait().expect("ours").success());
    assert_eq!(sandbox.processes(), BTreeSet::new());
}

#[test]
fn what_is_no_frame_is_one_clear_line() {
    for (bytes, why) in [
        (&[2, 0, 0, 0, 1][..], "standard input, frame 1: it ends in the middle of a frame"),
        (&[1, 0, 0, 0, 9], "standard input, frame 1: frames of kind 9 are not known"),
        (&[0, 0, 0, 0], "standard input, frame 1: an empty frame"),
        (&[255, 255, 255, 255, 1], "standard input, frame 1: 4294967294 bytes"),
    ] {
        let sandbox = Sandbox::new();
        let mut msup = sandbox.msup(["serve", "-q", "cat"]);
        let mut client = Client::start(msup.stderr(Stdio::piped()));
        client.send_raw(bytes);
        client.end();
        assert!(client.outcomes().is_empty());
        let mut said = String::new();
        let stderr = client.msup.stderr.as_mut().expect("piped");
        stderr.read_to_string(&mut said).expect("text");
        assert!(said.contains(why), "{said}");
        assert_eq!(client.msup.wait().expect("ours").code(), Some(255), "{said}");
    }
}

#[test]
fn no_tasks_are_no_failure() {
    let sandbox = Sandbox::new();
    let mut client = with_answers(&sandbox, &[]);
    client.end();
    assert!(client.outcomes().is_empty());
    assert!(client.msup.wait().expect("ours").success());
}

/// The first frame tells the client which folder it shares with the workers.
#[test]
fn a_folder_that_the_client_cannot_be_told_is_one_clear_line() {
    let sandbox = Sandbox::new();
    let place = sandbox.path().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&place).expect("writable");
    let mut msup = sandbox.msup(["serve", "-q", "cat"]);
    let output = run(msup.env("TMPDIR", &place));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(255), &b""[..]), "{said}");
    assert!(said.contains("(TMPDIR): its name must be UTF-8"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(fs::read_dir(&place).expect("there").count(), 0);
}

/// A task that would be retried, had msup not been told to stop, has no outcome. What it has
/// printed is no frame.
#[test]
fn a_task_that_is_not_retried_because_msup_stops_sends_nothing() {
    let sandbox = Sandbox::new();
    let script = "echo printed; touch begun; until test -e go; do sleep 0.01; done; exit 1";
    let flags = ["serve", "-q", "--retries", "3", "--", "sh", "-c", script, "{}"];
    let mut client = Client::start(sandbox.msup(flags).stderr(Stdio::piped()));
    client.send(["a"]);
    wait_until(|| sandbox.path().join("begun").exists());
    kill(client.msup.id() as i32, Signal::SIGTERM);
    let (mut said, stderr) = (String::new(), client.msup.stderr.take().expect("piped"));
    BufReader::new(stderr).read_line(&mut said).expect("text");
    assert!(said.contains("stopping when the running tasks have finished"), "{said}");
    sandbox.file("go", b"");
    assert_eq!(client.outcomes(), []);
    assert!(!client.msup.wait().expect("ours").success());
}
