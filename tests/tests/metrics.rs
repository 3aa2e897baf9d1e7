//! `--metrics` and `--notify`: what other programs are told of a run.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use msup_tests::{Sandbox, kill, run, wait_until};
use nix::sys::signal::Signal;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value of a series, if it is there.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

fn task(state: &str, cause: &str, stage: &str) -> String {
    format!("msup_tasks_total{{state=\"{state}\",cause=\"{cause}\",stage=\"{stage}\"}}")
}

#[test]
fn the_file_has_the_last_counters_of_a_run() {
    let sandbox = Sandbox::new();
    // As a run that was killed leaves it.
    sandbox.file(".m.prom.0123.tmp", b"half of i");
    let words = ["-q", "--metrics", "m.prom", "--timeout", "1", "--leave", "kill"];
    let script = "case {} in a) exit 3;; b) kill -SEGV $$;; c) sleep 9;; esac";
    let values = [":::", "1", "2", "a", "b", "c"];
    run(sandbox.msup(words).arg(script).args(values));
    let path = sandbox.path().join("m.prom");
    let metrics = std::fs::read_to_string(&path).expect("written");
    for (series, expected) in [
        (task("succeeded", "", ""), 2.0),
        (task("failed", "exit", ""), 1.0),
        (task("failed", "timeout", ""), 1.0),
        (task("quarantined", "signal", ""), 1.0),
        ("msup_attempts_total".into(), 7.0),
        ("msup_running".into(), 0.0),
        ("msup_waiting".into(), 0.0),
        ("msup_task_seconds_count".into(), 5.0),
    ] {
        assert_eq!(value(&metrics, &series), Some(expected), "{series}\n{metrics}");
    }
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "collectors are other users");
    let names = std::fs::read_dir(sandbox.path()).expect("readable").flatten();
    let left: Vec<_> =
        names.filter(|entry| entry.path().extension().is_some_and(|e| e == "tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn stages_have_series_of_their_own() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "p.toml",
        b"[[stage]]\nname = 'one'\nfrom = {values = ['a', 'b']}\nrun = '[ {} = a ]'\n\
          [[stage]]\nname = 'two'\nafter = 'one'\nrun = 'true {}'\n",
    );
    run(&mut sandbox.msup(["run", "-q", "--metrics", "m", "p.toml"]));
    let metrics = std::fs::read_to_string(sandbox.path().join("m")).expect("written");
    for series in
        [task("succeeded", "", "one"), task("failed", "exit", "one"), task("succeeded", "", "two")]
    {
        assert_eq!(value(&metrics, &series), Some(1.0), "{series}\n{metrics}");
    }
}

/// A port that is free at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

fn request(port: u16, request: &str) -> Option<String> {
    let mut client = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn counters_are_served_while_the_run_goes_on() {
    let sandbox = Sandbox::new();
    let port = free_port();
    let address = format!(":{port}");
    let script = "[ {} = 1 ] || while [ ! -e go ]; do sleep 0.02; done";
    let mut msup = sandbox.msup(["-q", "-j2", "--metrics", &address, script, ":::", "1", "2"]);
    let mut msup = msup.stdout(Stdio::null()).spawn().expect("msup is built");
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let done = task("succeeded", "", "");
    wait_until(|| request(port, get).is_some_and(|answer| value(&answer, &done) == Some(1.0)));
    // A client that stalls does not hold up others for ever.
    let stalled = TcpStream::connect(("127.0.0.1", port)).expect("listening");
    let answer = request(port, get).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert_eq!(value(&answer, "msup_running"), Some(1.0));
    drop(stalled);
    let accept = "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n";
    let answer = request(port, accept).expect("an answer");
    assert!(
        answer.contains("application/openmetrics-text") && answer.ends_with("# EOF\n"),
        "{answer}"
    );
    for (other, status) in
        [("GET / HTTP/1.1\r\n\r\n", "404"), ("POST /metrics HTTP/1.1\r\n\r\n", "405")]
    {
        let answer = request(port, other).expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    sandbox.file("go", b"");
    assert!(msup.wait().expect("ours").success());
}

#[test]
fn what_cannot_be_published_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    for (place, why) in [
        (address.as_str(), "in use"),
        ("none/m.prom", "No such file"),
        ("localhost:9100", "must be a file, an address with a port"),
    ] {
        let output = run(&mut sandbox.msup(["--metrics", place, "touch", ":::", "ran"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains(&format!("--metrics {place}: ")) && said.contains(why), "{said}");
    }
    assert!(!sandbox.path().join("ran").exists());
}

#[test]
fn two_runs_do_not_write_one_file() {
    let sandbox = Sandbox::new();
    let words =
        ["-q", "--metrics", "m.prom", "while [ ! -e go ]; do sleep 0.02; done; : {}", ":::", "1"];
    let mut first = sandbox.msup(words).spawn().expect("msup is built");
    wait_until(|| sandbox.path().join("m.prom").exists());
    let output = run(&mut sandbox.msup(["--metrics", "./m.prom", "true", ":::", "1"]));
    assert!(
        text(&output.stderr).contains("another run writes this file"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(255));
    sandbox.file("go", b"");
    assert!(first.wait().expect("ours").success());
    let output = run(&mut sandbox.msup(["--metrics", "./m.prom", "true", ":::", "1"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_user_is_notified_of_every_end() {
    let sandbox = Sandbox::new();
    let tells =
        "echo $MSUP_STATE $MSUP_TOTAL $MSUP_SUCCEEDED $MSUP_FAILED $MSUP_EXIT > told; cat > s.json";
    let output = run(&mut sandbox.msup(["-q", "--notify", tells, "exit {}", ":::", "0", "1", "0"]));
    assert_eq!(output.status.code(), Some(1));
    let told = || std::fs::read_to_string(sandbox.path().join("told")).expect("it ran");
    assert_eq!(told(), "finished 3 2 1 1\n");
    let summary = msup_tests::summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["failed"], 1);
    // Also after a signal.
    let mut msup = sandbox.msup(["-q", "--notify", tells, "touch began; sleep 100", ":::", "0"]);
    let mut msup = msup.spawn().expect("msup is built");
    wait_until(|| sandbox.path().join("began").exists());
    // The first one lets the task finish, the second one does not. A third one would stop the
    // notifier, too.
    kill(msup.id() as i32, Signal::SIGTERM);
    std::thread::sleep(std::time::Duration::from_millis(300));
    kill(msup.id() as i32, Signal::SIGTERM);
    msup.wait().expect("ours");
    assert!(told().starts_with("stopped 1 0 "), "{}", told());
    // Its failure changes nothing but is said.
    let output = run(&mut sandbox.msup(["-q", "--notify", "exit 7", "true", ":::", "0"]));
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("--notify: exit status: 7"), "{}", text(&output.stderr));
}
