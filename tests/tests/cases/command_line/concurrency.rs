//! How many at once, as in GNU parallel and xargs.

use std::thread::available_parallelism;

use msup_tests::{Sandbox, numbers, summary};
use serde_json::Value;

use super::{assert_refused, ran, stderr_of};

fn figures(flags: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    let arguments = [&["--summary", "figures"], flags, &["true"]].concat();
    let output = ran(&sandbox, &arguments, &numbers(3));
    assert_eq!(output.status.code(), Some(0), "{flags:?}: {}", stderr_of(&output));
    summary(&sandbox.path().join("figures"))
}

fn cpus() -> u64 {
    available_parallelism().expect("known").get() as u64
}

#[test]
fn jobs_take_all_forms_of_gnu_parallel() {
    let cpus = cpus();
    for (text, wanted) in [
        ("3", 3),
        ("+3", cpus + 3),
        ("-1", (cpus - 1).max(1)),
        ("-1000", 1),
        ("100%", cpus),
        ("50%", cpus.div_ceil(2)),
        ("1%", 1),
        ("150.0%", (cpus * 3).div_ceil(2)),
    ] {
        for flags in [["-j", text], ["-P", text], ["--jobs", text], ["--max-procs", text]] {
            let figures = figures(&flags);
            assert_eq!(
                (&figures["procs"], &figures["max_workers"]),
                (&wanted.into(), &wanted.into()),
                "{flags:?}"
            );
        }
        assert_eq!(figures(&[&format!("-j{text}")])["max_workers"], wanted);
    }
}

#[test]
fn no_number_of_jobs_means_as_many_as_possible() {
    for flag in ["-j", "-P"] {
        let figures = figures(&[flag, "0"]);
        assert!(figures["max_workers"].as_u64() > Some(99), "{figures}");
        assert_eq!(figures["max_workers"], figures["procs"]);
    }
}

#[test]
fn tokens_are_counted_by_procs_alone() {
    let cpus = cpus();
    for (text, wanted) in [("3", 3), ("+3", cpus + 3), ("-1000", 1), ("200%", cpus * 2)] {
        let figures = figures(&["--procs", text]);
        assert_eq!(figures["procs"], wanted);
        assert!(figures["max_workers"].as_u64() > Some(wanted), "{figures}");
    }
}

#[test]
fn a_number_of_jobs_that_is_none_is_refused_with_the_forms() {
    for text in ["many", "--2", "+", "%", "1.5", "", "3 "] {
        let shown = if text.is_empty() { "''" } else { text };
        assert_refused(&["-j", text, "true", ":::", "a"], &[&format!("--jobs {shown}: "), "N%"]);
    }
    assert_refused(&["-P", "2", "--procs", "2", "true", ":::", "a"], &["--jobs", "--procs"]);
    assert_refused(&["--procs", "0", "true", ":::", "a"], &["--procs 0"]);
}

#[test]
fn resume_and_retry_take_the_same_forms() {
    let sandbox = Sandbox::new();
    let output =
        ran(&sandbox, &["-q", "--journal", "j", "sh", "-c", "test -e ok", "sh", ":::", "a"], b"");
    assert_eq!(output.status.code(), Some(1));
    for (verb, flag, text, wanted) in [
        ("retry", "-j", "+3", cpus() + 3),
        ("retry", "-P", "3", 3),
        ("retry", "--max-procs", "100%", cpus()),
        ("resume", "-j", "+3", cpus() + 3),
    ] {
        let which: &[&str] = if verb == "retry" { &["--failed"] } else { &["-a", "list"] };
        sandbox.file("list", b"a\nb\n");
        let arguments = [&[verb, "./j", flag, text, "--summary", "figures"], which].concat();
        let output = ran(&sandbox, &arguments, b"");
        assert!(output.status.code().is_some_and(|status| status < 3), "{}", stderr_of(&output));
        assert_eq!(
            summary(&sandbox.path().join("figures"))["max_workers"],
            wanted,
            "{arguments:?}"
        );
    }
}
