//! Journals that are torn, damaged, foreign or newer, and what `msup log` tells.

use std::collections::BTreeSet;
use std::fs;

use msup_tests::{Sandbox, run, run_with_input};

use super::{journal, lines, resume, text};

#[test]
fn a_damaged_journal_costs_only_what_is_damaged() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>log";
    let mut first = sandbox.msup(["-j2", "--", "sh", "-c", script, "sh"]);
    let values: String = (0..200).map(|n| format!("{n}\n")).collect();
    assert!(run_with_input(&mut first, values.as_bytes()).status.success());
    let path = journal(&sandbox);
    let whole = fs::read(&path).expect("readable");
    // A block of zeros in the middle, and the last record gone.
    let mut damaged = whole[..whole.len() - 5].to_vec();
    let middle = whole.len() / 2;
    damaged[middle..middle + 2000].fill(0);
    fs::write(&path, &damaged).expect("writable");
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    assert!(
        text(&after.stderr).contains("lines of the journal are damaged"),
        "{}",
        text(&after.stderr)
    );
    let log = lines(&sandbox.path().join("log"));
    let again = log.len() - 200;
    assert!((5..60).contains(&again), "{again} were run again");
    assert_eq!(log.iter().collect::<BTreeSet<_>>().len(), 200);
    // Now all is told once more.
    let nothing = resume(&sandbox, &[]);
    assert!(text(&nothing.stderr).contains("is finished"), "{}", text(&nothing.stderr));
}

#[test]
fn a_journal_torn_anywhere_is_resumed() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.msup(["-j2", "--", "sh", "-c", "echo $1 >>log", "sh"]);
    let values: String = (0..40).map(|n| format!("{n}\n")).collect();
    assert!(run_with_input(&mut first, values.as_bytes()).status.success());
    let path = journal(&sandbox);
    let whole = fs::read(&path).expect("readable");
    let inputs_end = text(&whole).find("inputs-end").expect("it was written");
    // Every byte is the nightly run's; here a few, none of them special.
    let step = if std::env::var_os("MSUP_NIGHTLY").is_some() { 1 } else { 97 };
    for cut in (whole.len().saturating_sub(4096).max(200)..whole.len()).step_by(step) {
        fs::write(&path, &whole[..cut]).expect("writable");
        fs::write(sandbox.path().join("log"), b"").expect("writable");
        let after = resume(&sandbox, &[]);
        let kept = text(&whole[..cut]);
        let is_kept = |what: &str| {
            let whole = kept.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            whole.filter(|line| line.contains(what)).count()
        };
        let ends = is_kept("\"event\":\"end\"");
        let ran = lines(&sandbox.path().join("log")).len();
        assert_eq!(ran, 40 - ends, "cut at {cut}: {}", text(&after.stderr));
        // Whether all input was read must be known for a success.
        let knows = is_kept("inputs-end") > 0;
        assert_eq!(
            after.status.success(),
            knows,
            "cut at {cut} of {inputs_end}: {}",
            text(&after.stderr)
        );
    }
}

#[test]
fn foreign_and_newer_journals_are_refused() {
    let sandbox = Sandbox::new();
    let refused = |content: &[u8], says: &str| {
        let folder = sandbox.path().join("run");
        fs::create_dir_all(&folder).expect("writable");
        fs::write(folder.join("journal.jsonl"), content).expect("writable");
        let output = resume(&sandbox, &["./run"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
        assert_eq!(fs::read(folder.join("journal.jsonl")).expect("readable"), content, "untouched");
    };
    refused(b"", "this run is empty");
    refused(b"hello\nworld\n", "not an msup journal");
    refused(&newer(), "written by a later release (schema 99");
    let nowhere = resume(&sandbox, &["nowhere"]);
    assert_eq!(nowhere.status.code(), Some(255));
    assert!(text(&nowhere.stderr).contains("nowhere: no such run"), "{}", text(&nowhere.stderr));
    let none = resume(&sandbox, &[]);
    assert!(text(&none.stderr).contains("no run in"), "{}", text(&none.stderr));
}

/// As a later release might write it.
fn newer() -> Vec<u8> {
    let body = "{\"n\":1,\"t\":1.000,\"event\":\"run\",\"schema\":99,\"run\":\"x\",\
                \"version\":\"9\",\"generation\":1,\"arguments\":[],\"folder\":\"/\",\"pid\":1";
    format!("{body},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(body.as_bytes())).into_bytes()
}

#[test]
fn the_log_tells_what_became_of_each_task() {
    let sandbox = Sandbox::new();
    let script = "sleep $1; exit $1";
    run(&mut sandbox.msup(["-j2", "--", "sh", "-c", script, "sh", ":::", "0", "1", "0"]));
    let log = |flags: &[&str]| {
        let output = run(&mut sandbox.msup(["log"].iter().chain(flags)));
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(log(&[]).contains("  finished  2 succeeded, 1 failed  "), "{}", log(&[]));
    assert_eq!(log(&["last"]).lines().count(), 3);
    let failed = log(&["last", "--state", "failed"]);
    assert!(failed.starts_with("2\tfailed: exit 1\tattempt 1\t1."), "{failed}");
    assert_eq!(log(&["last", "--cause", "exit 1"]), failed);
    let slowest: serde_json::Value =
        serde_json::from_str(log(&["last", "--slowest", "1", "--json"]).trim()).expect("JSON");
    assert_eq!((&slowest["seq"], &slowest["state"]), (&2.into(), &"failed".into()));
    let removed = run(&mut sandbox.msup(["clean"]));
    assert!(removed.status.success() && text(&removed.stdout).contains("state/msup/"));
    assert_eq!(log(&[]), "");
}
