//! Points at which the supervisor of a pipeline dies.

use msup_tests::{Sandbox, run};

use super::is_killed;

const PIPELINE: &[u8] = b"[[stage]]\nname = 'a'\nfrom = {values = ['1', '2']}\n\
    run = 'echo a{} >>log; echo {} > {out}'\nout = 't/{}'\ntemporary = true\n\
    [[stage]]\nname = 'b'\nafter = 'a'\nrun = 'cp {} {out}'\nout = 'o/{/}'\n";

fn run_pipeline(sandbox: &Sandbox, label: Option<&str>) -> Option<String> {
    let mut msup = sandbox.msup(["run", "p.toml"]);
    if let Some(label) = label {
        msup.env("MSUP_CRASH_SUPERVISOR", format!("{label}:crashed"));
        assert!(is_killed(msup.status().expect("msup is built")), "{label} was not reached");
        return None;
    }
    let output = run(&mut msup);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The supervisor dies at `label` in the first run. Nothing runs twice.
fn the_supervisor_dies(label: &str) {
    let sandbox = Sandbox::new();
    sandbox.file("p.toml", PIPELINE);
    run_pipeline(&sandbox, Some(label));
    run_pipeline(&sandbox, None);
    let log = std::fs::read_to_string(sandbox.path().join("log")).expect("it ran");
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(sandbox.path().join("o/1").exists() && sandbox.path().join("o/2").exists());
    assert!(!sandbox.path().join("t/1").exists() && !sandbox.path().join("t/2").exists());
    assert!(run_pipeline(&sandbox, None).expect("it ran").contains("nothing to do"));
    sandbox.start_once_more();
}

#[test]
fn history_written() {
    the_supervisor_dies("history_written");
}

#[test]
fn history_before_journal_removed() {
    // The journal of the first run is removed when the second one has something to run.
    let sandbox = Sandbox::new();
    sandbox.file("p.toml", PIPELINE);
    run_pipeline(&sandbox, None);
    std::fs::remove_file(sandbox.path().join("o/1")).expect("made");
    run_pipeline(&sandbox, Some("history_before_journal_removed"));
    let said = run_pipeline(&sandbox, None).expect("it ran");
    // The temporary output is made again.
    assert!(said.contains("2 tasks succeeded"), "{said}");
    let log = std::fs::read_to_string(sandbox.path().join("log")).expect("it ran");
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(sandbox.path().join("o/1").exists() && !sandbox.path().join("t/1").exists());
    assert!(run_pipeline(&sandbox, None).expect("it ran").contains("nothing to do"));
    sandbox.start_once_more();
}

#[test]
fn ends_before_removal() {
    the_supervisor_dies("ends_before_removal");
}
