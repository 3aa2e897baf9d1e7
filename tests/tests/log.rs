//! `msup log` and `msup trace`: what is known of a run, afterwards.

use std::collections::BTreeMap;

use msup_tests::{Sandbox, run};
use serde_json::Value;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `msup log` with these words prints, a JSON object on each line.
fn logged(sandbox: &Sandbox, words: &[&str]) -> Vec<Value> {
    let output = run(&mut sandbox.msup(["log"].iter().chain(words)));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn printed(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = run(&mut sandbox.msup(words));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Some that succeed, one that does at its second attempt, one that fails.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let script = "echo out {}; echo first >&2; echo last {} >&2; sleep 0.05; \
                  [ {} != b ] || { mkdir once && exit 3; }; [ {} != c ] || exit 7";
    let words =
        ["-q", "-j2", "--retries", "2", "--backoff", "1ms..1ms", script, ":::", "a", "b", "c"];
    run(&mut sandbox.msup(words));
    sandbox
}

/// Whether a value has one of the types that a property of the schema allows.
fn is_allowed(schema: &Value, value: &Value) -> bool {
    if let Some(all) = schema["enum"].as_array() {
        return all.contains(value);
    }
    if let Some(all) = schema["oneOf"].as_array() {
        return all.iter().any(|one| is_allowed(one, value));
    }
    if schema["$ref"].is_string() {
        return value.is_string() || value["hex"].is_string();
    }
    let types = schema["type"].as_array().cloned().unwrap_or(vec![schema["type"].clone()]);
    types.iter().any(|kind| match kind.as_str().expect("a type") {
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    })
}

#[test]
fn what_is_printed_is_as_the_schema_says() {
    let sandbox = sandbox();
    let schema: Value =
        serde_json::from_str(&printed(&sandbox, &["log", "--schema"])).expect("JSON");
    let (attempts, runs) =
        (logged(&sandbox, &["last", "--attempts", "--json"]), logged(&sandbox, &["--json"]));
    assert_eq!((attempts.len(), runs.len()), (5, 1));
    for (kind, lines) in [("attempt", attempts), ("run", runs)] {
        let kind = &schema["$defs"][kind];
        let properties = kind["properties"].as_object().expect("properties");
        for line in lines {
            let line = line.as_object().expect("an object");
            for (key, value) in line {
                let property =
                    properties.get(key).unwrap_or_else(|| panic!("{key} is not described"));
                assert!(is_allowed(property, value), "{key}: {value}");
            }
            for key in properties.keys() {
                assert!(line.contains_key(key), "{key} is missing");
            }
        }
    }
}

#[test]
fn each_attempt_is_told_with_all_that_is_known_of_it() {
    let sandbox = sandbox();
    let last = logged(&sandbox, &["last", "--json"]);
    assert_eq!(last.len(), 3, "of each task the last attempt");
    let of = |seq: u64| last.iter().find(|line| line["seq"] == seq).expect("there").clone();
    let (a, b, c) = (of(1), of(2), of(3));
    assert_eq!(
        (&a["state"], &a["attempts"], &a["stderr"]),
        (&"succeeded".into(), &1.into(), &Value::Null)
    );
    assert_eq!(
        (&b["state"], &b["attempt"], &b["attempts"]),
        (&"succeeded".into(), &2.into(), &2.into())
    );
    assert_eq!(
        (&c["state"], &c["exit"], &c["cause"]),
        (&"failed".into(), &7.into(), &"exit 7".into())
    );
    assert_eq!(c["stderr"], "first\nlast c\n");
    assert_eq!((&c["stdout_bytes"], &c["stderr_bytes"]), (&6.into(), &13.into()));
    for line in logged(&sandbox, &["last", "--attempts", "--json"]) {
        let number = |key: &str| line[key].as_f64().expect("a number");
        assert!(number("start") > 1.7e9 && number("seconds") >= 0.05, "{line}");
        assert!((number("end") - number("start") - number("seconds")).abs() < 1e-5, "{line}");
        assert!((1..=2).contains(&line["slot"].as_u64().expect("a slot")), "{line}");
        assert!(line["memory"].as_u64().expect("bytes") > 100_000, "{line}");
    }
    let retried = logged(&sandbox, &["last", "--attempts", "--json"]);
    let retried: Vec<_> = retried.iter().filter(|line| line["state"] == "retried").collect();
    assert_eq!(retried.len(), 2, "of b and of c");
    assert_eq!(retried[0]["cause"].as_str().map(|cause| cause.starts_with("exit ")), Some(true));
}

#[test]
fn failures_of_the_last_run_need_no_name() {
    let sandbox = sandbox();
    let failed = logged(&sandbox, &["--failed", "--json"]);
    assert_eq!(failed.iter().map(|line| line["seq"].as_u64()).collect::<Vec<_>>(), [Some(3)]);
    assert!(printed(&sandbox, &["log", "--failed"]).starts_with("3\tfailed: exit 7\tattempt 2\t"));
}

#[test]
fn one_task_is_told_with_its_output() {
    let sandbox = Sandbox::new();
    run(&mut sandbox.msup([
        "-q",
        "--keep-output",
        "echo out {}; echo err {} >&2; exit {}",
        ":::",
        "0",
        "4",
    ]));
    let about = printed(&sandbox, &["log", "last", "2"]);
    for part in ["value     4\n", "state     failed: exit 4 (attempt 1 of 1)\n", "slot      "] {
        assert!(about.contains(part), "{part}: {about}");
    }
    assert!(about.ends_with("standard output:\nout 4\n\nstandard error:\nerr 4\n"), "{about}");
    assert_eq!(printed(&sandbox, &["log", "last", "2", "--raw"]), "out 4\n");
    let output = run(&mut sandbox.msup(["log", "last", "9"]));
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("no task 9 has finished there"));
}

#[test]
fn a_trace_has_every_attempt_and_no_overlap() {
    let sandbox = Sandbox::new();
    let script = "sleep 0.0{}; [ {} != 3 ] || [ $MSUP_ATTEMPT = 2 ]";
    let words = ["-q", "-j3", "--retries", "2", "--backoff", "1ms..1ms", script, ":::"];
    let values = ["1", "2", "3", "4", "1", "2", "3", "4", "1", "1", "1", "2"];
    run(&mut sandbox.msup(words.iter().chain(&values)));
    let attempts = logged(&sandbox, &["last", "--attempts", "--json"]).len();
    assert_eq!(attempts, 14);
    let trace: Value = serde_json::from_str(&printed(&sandbox, &["trace"])).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let spans: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    assert_eq!(spans.len(), attempts);
    let mut tracks: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut before = 0;
    for span in spans {
        let number = |key: &str| span[key].as_u64().expect("a number");
        let free = tracks.entry((number("pid"), number("tid"))).or_default();
        assert!(number("ts") >= *free && number("ts") >= before, "{span}");
        (*free, before) = (number("ts") + number("dur"), number("ts"));
    }
    assert_eq!(tracks.len(), 3);
    assert!(events.iter().any(|event| event["ph"] == "M" && event["args"]["name"] == "tasks"));
}

#[test]
fn the_stages_of_a_pipeline_are_processes_of_its_trace() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "p.toml",
        b"[[stage]]\nname = 'one'\nfrom = {values = ['a: b', 'c']}\nrun = 'true {}'\n\
          [[stage]]\nname = 'two'\nafter = 'one'\nrun = 'true {}'\n",
    );
    run(&mut sandbox.msup(["run", "-q", "p.toml"]));
    let lines = logged(&sandbox, &["p.toml", "--json"]);
    let mut stages: Vec<_> =
        lines.iter().map(|line| line["stage"].as_str().expect("one")).collect();
    stages.sort_unstable();
    assert_eq!(stages, ["one", "one", "two", "two"]);
    let trace: Value =
        serde_json::from_str(&printed(&sandbox, &["trace", "p.toml"])).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events").iter();
    let names = events.filter(|event| event["name"] == "process_name");
    let names: Vec<_> =
        names.map(|event| event["args"]["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["msup", "one", "two"]);
}
