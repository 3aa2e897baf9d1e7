//! A command that waited gets a CPU before a new one starts. A test program of its own: other tests
//! would take the CPUs away.

use std::fs::{self, File};

use msup_tests::{Sandbox, trace};

/// Waits for a second, then computes until its process has used this many hundredths of a second of
/// CPU time, however long that takes.
const DOWNLOAD: &str = "sleep 1; until read -ra stat </proc/self/stat && ((stat[13] >= 90)); \
                        do for ((i = 0; i < 2000; ++i)); do :; done; done";

/// Commands that download, more than there are tokens.
const DOWNLOADS: u64 = 8;

/// All commands: enough that some are left to start when the downloads compute.
const TASKS: u64 = 600;

/// A command may start although another one is owed a token if its start was allowed before: one
/// for each token.
const ON_THEIR_WAY: u64 = 2;

/// Consecutive lines of the trace in each of which a command is owed a token.
#[derive(Default)]
struct Span {
    lines: u64,
    /// In flight at its first line.
    in_flight: u64,
    /// Other commands that began between its lines.
    starts: u64,
}

/// The longest span in a file to which both msup writes its trace and each other command a line
/// when it begins: the kernel puts them in order, so no clocks are compared.
fn longest_span(text: &str) -> Span {
    let (mut longest, mut span, mut starts) = (Span::default(), Span::default(), 0);
    for line in text.split_inclusive('\n') {
        if line == "begins\n" {
            starts += 1;
        }
        let Some(line) = trace::lines(line).pop() else { continue };
        if line["owed"] == 0 {
            span = Span::default();
        } else if span.lines == 0 {
            span = Span { lines: 1, in_flight: line["in_flight"], starts: 0 };
        } else {
            span = Span { lines: span.lines + 1, starts: span.starts + starts, ..span };
        }
        starts = 0;
        if span.lines > longest.lines {
            longest = Span { ..span };
        }
    }
    longest
}

/// Eight that have waited come back and compute. As long as they are owed a token, nothing new
/// starts, however much there is to start.
#[test]
fn nothing_new_starts_while_a_woken_command_is_owed_a_token() {
    let sandbox = Sandbox::new();
    let computes = "echo begins >>trace; i=0; while ((i < 20000)); do ((++i)); done";
    let script = format!("if (($1 <= {DOWNLOADS})); then {DOWNLOAD}; else {computes}; fi");
    let trace = sandbox.path().join("trace");
    let mut msup = sandbox.msup(["--procs", "2", "--quiet", "--schedtrace", "50", "--"]);
    msup.args(["bash", "-c", &script, "bash", "{}", ":::"]);
    msup.stderr(File::options().append(true).create(true).open(&trace).expect("writable"));
    let status = msup.args((1..=TASKS).map(|n| n.to_string())).status().expect("msup is built");
    let said = fs::read_to_string(&trace).expect("written");
    assert!(status.success(), "{said}");
    assert_eq!(said.matches("begins\n").count() as u64, TASKS - DOWNLOADS);
    let Span { lines, in_flight, starts } = longest_span(&said);
    assert!(lines > 5, "owed in {lines} lines only: this shows nothing: {said}");
    // The others that were in flight may not have got as far as to their first line.
    let late = in_flight.saturating_sub(DOWNLOADS) + ON_THEIR_WAY;
    assert!(starts <= late, "{starts} of at most {late} began in {lines} lines: {said}");
    println!("{starts} of at most {late} began in {lines} lines");
}
