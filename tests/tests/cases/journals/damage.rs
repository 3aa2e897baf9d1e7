//! Journals and kept input that are not as they were written.

use std::fs;
use std::process::Command;

use msup_tests::{Sandbox, numbers, run, run_with_input};

use super::{KILLS, journal, lines, resume, text};

/// Runs with values from a pipe, of which the first one kills msup.
fn cut_off(sandbox: &Sandbox, values: usize) {
    let script = format!("if mkdir once; then {KILLS}; fi; echo $1 >>log");
    let mut msup = sandbox.msup(["-j1", "--journal", "j", "--", "sh", "-c", &script, "sh"]);
    let output = run_with_input(&mut msup, &numbers(values));
    assert_eq!(output.status.code(), None, "it was killed");
}

fn copy(sandbox: &Sandbox, from: &str, to: &str) {
    let copied = Command::new("cp").args(["-rT", from, to]).current_dir(sandbox.path()).status();
    assert!(copied.expect("there is cp").success());
}

#[test]
fn a_flipped_bit_in_the_kept_input_never_runs_another_value() {
    let sandbox = Sandbox::new();
    cut_off(&sandbox, 30);
    copy(&sandbox, "j", "kept");
    let len = fs::metadata(sandbox.path().join("kept/inputs")).expect("values were kept").len();
    for at in (0..len as usize).step_by(5) {
        let _ = fs::remove_dir_all(sandbox.path().join("j"));
        let _ = fs::remove_file(sandbox.path().join("log"));
        copy(&sandbox, "kept", "j");
        let path = sandbox.path().join("j/inputs");
        let mut inputs = fs::read(&path).expect("readable");
        inputs[at] ^= 1 << (at % 8);
        fs::write(&path, inputs).expect("writable");
        let output = resume(&sandbox, &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "byte {at}: {said}");
        assert!(
            said.contains("of the kept input") && said.contains("damaged"),
            "byte {at}: {said}"
        );
        for line in lines(&sandbox.path().join("log")) {
            let value: usize = line.parse().unwrap_or(0);
            assert!((1..=30).contains(&value), "byte {at}: {line} was run");
        }
    }
    // With all values given anew everything is run.
    sandbox.file("list", &numbers(30));
    let output = resume(&sandbox, &["-a", "list"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut log = lines(&sandbox.path().join("log"));
    log.sort_by_key(|line| line.parse::<usize>().unwrap_or(0));
    log.dedup();
    assert_eq!(log.len(), 30);
    sandbox.start_once_more();
}

#[test]
fn kept_input_that_is_gone_is_not_an_empty_list() {
    let sandbox = Sandbox::new();
    cut_off(&sandbox, 3);
    fs::remove_file(sandbox.path().join("j/inputs")).expect("values were kept");
    let output = resume(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("-a FILE"), "{}", text(&output.stderr));
    sandbox.start_once_more();
}

#[test]
fn lines_of_another_run_are_not_believed() {
    let sandbox = Sandbox::new();
    let script = format!("test -e whole || {{ {KILLS}; }}; touch out.$1");
    let task = ["--", "sh", "-c", &script, "sh", ":::"];
    let values: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let mut first = sandbox.msup(["-j1", "--journal", "j"]);
    assert_eq!(run(first.args(task).args(&values)).status.code(), None, "it was killed");
    sandbox.file("whole", b"");
    let mut other = sandbox.msup(["-j1", "--journal", "other"]);
    assert!(run(other.args(task).args(&values)).status.success());
    for value in &values {
        fs::remove_file(sandbox.path().join(format!("out.{value}"))).expect("it was made");
    }
    let mut both = fs::read(journal(&sandbox)).expect("readable");
    both.extend(fs::read(sandbox.path().join("other/journal.jsonl")).expect("readable"));
    fs::write(journal(&sandbox), both).expect("writable");
    let output = resume(&sandbox, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for value in &values {
        assert!(sandbox.path().join(format!("out.{value}")).exists(), "{value} was not run");
    }
    sandbox.start_once_more();
}

/// A journal as releases before schema 2 wrote it, and a line more. Its run has an id of its own: a
/// resume kills what a killed run of the same id has left running.
fn old_journal(sandbox: &Sandbox, more: &[&str]) {
    let folder = sandbox.path().display();
    let id = crc32fast::hash(sandbox.path().as_os_str().as_encoded_bytes());
    let run = format!(
        concat!(
            r#""event":"run","schema":1,"run":"1-{id:x}","version":"0.1.0","generation":1,"#,
            r#""arguments":["-j1","-q","--","sh","-c","echo $1 $MSUP_ATTEMPT >>log","sh","#,
            r#"":::","a","b","c"],"folder":"{folder}","pid":1"#,
        ),
        folder = folder,
        id = id
    );
    let first = concat!(
        r#""event":"end","seq":1,"value":"a","attempt":1,"state":"succeeded","#,
        r#""seconds":0.1,"cpu":0.0"#,
    );
    let lines = [run.as_str(), first].into_iter().chain(more.iter().copied());
    let lines = lines.zip(1..).map(|(record, n)| {
        let body = format!("{{\"n\":{n},\"t\":1795478552.000,{record}");
        let crc = crc32fast::hash(body.as_bytes());
        format!("{body},\"crc\":\"{crc:08x}\"}}\n")
    });
    fs::create_dir(sandbox.path().join("j")).expect("writable");
    fs::write(journal(sandbox), lines.collect::<String>()).expect("writable");
}

#[test]
fn a_journal_of_schema_1_is_resumed() {
    let sandbox = Sandbox::new();
    let failed = r#""event":"again","seq":2,"value":"b","attempt":1,"cause":"exit 1""#;
    old_journal(&sandbox, &[failed]);
    let output = resume(&sandbox, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // There may have been an attempt that was not told.
    assert_eq!(lines(&sandbox.path().join("log")), ["b 3", "c 2"]);
    let log = run(&mut sandbox.msup(["log", "--json", "./j"]));
    assert_eq!(text(&log.stdout).lines().count(), 3);
    let again = resume(&sandbox, &[]);
    assert!(text(&again.stderr).contains("finished"), "{}", text(&again.stderr));
}

#[test]
fn a_line_with_the_largest_number_there_is_takes_no_memory() {
    for number in [u64::MAX, 1 << 53, 1 << 40] {
        for total in [Some(3), None] {
            let sandbox = Sandbox::new();
            let end = format!(
                concat!(
                    r#""event":"end","seq":{number},"value":"z","attempt":1,"state":"failed","#,
                    r#""cause":"exit 1","seconds":0.1,"cpu":0.0"#,
                ),
                number = number
            );
            let inputs = total.map(|total| format!(r#""event":"inputs-end","total":{total}"#));
            let more: Vec<&str> =
                [Some(end.as_str()), inputs.as_deref()].into_iter().flatten().collect();
            old_journal(&sandbox, &more);
            let msup = msup_tests::program("msup").display().to_string();
            // With -k numbers are waited for.
            for what in ["retry --failed", "resume"] {
                let script = format!("ulimit -v 4000000; exec {msup} {what} ./j");
                let output = run(sandbox.command("sh").args(["-c", &script]));
                let code = output.status.code();
                assert!(code.is_some_and(|code| code != 101), "{number}: {}", text(&output.stderr));
            }
        }
    }
}
