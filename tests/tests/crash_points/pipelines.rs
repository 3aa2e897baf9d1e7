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

/// The supervisor dies at `label` in the first run, or in the second. Nothing runs twice.
fn the_supervisor_dies(label: &str, in_the_first: bool) {
    let sandbox = Sandbox::new();
    sandbox.file("p.toml", PIPELINE);
    if !in_the_first {
        run_pipeline(&sandbox, None);
    }
    run_pipeline(&sandbox, Some(label));
    let said = run_pipeline(&sandbox, None).expect("it ran");
    assert!(in_the_first || said.contains("nothing to do"), "{said}");
    let log = std::fs::read_to_string(sandbox.path().join("log")).expect("it ran");
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(sandbox.path().join("o/1").exists() && sandbox.path().join("o/2").exists());
    assert!(!sandbox.path().join("t/1").exists() && !sandbox.path().join("t/2").exists());
    assert!(run_pipeline(&sandbox, None).expect("it ran").contains("nothing to do"));
    sandbox.start_once_more();
}

#[test]
fn history_written() {
    the_supervisor_dies("history_written", true);
}

#[test]
fn history_before_journal_removed() {
    the_supervisor_dies("history_before_journal_removed", false);
}

#[test]
fn ends_before_removal() {
    the_supervisor_dies("ends_before_removal", true);
}
