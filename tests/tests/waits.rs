//! How long a worker waits for a token in the middle of its task, counted in what the others do
//! meanwhile, so that a slow machine makes no difference.

use std::sync::atomic::Ordering::SeqCst;

use msup_tests::board::Board;
use msup_tests::waits::{LIMIT, LONG, WAITS, WORST};
use msup_tests::{Sandbox, program, run, summary};

/// Runs these tasks. Returns how many waits there were, how many were longer than `limit`, and the
/// worst.
fn waits(procs: &str, tasks: &str, limit: u64) -> [u64; 3] {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("board");
    let board = Board::create(&path);
    board[LIMIT].store(limit, SeqCst);
    sandbox.file("list", tasks.as_bytes());
    let flags = ["--procs", procs, "--max-workers", "16", "--summary", "s.json", "-a", "list"];
    let mut msup = sandbox.msup(flags);
    let output = run(msup.arg("--worker").arg(program("lines_up")).arg(path));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tokens"]["rescues"], 0);
    let [waits, long, worst] = [WAITS, LONG, WORST].map(|word| board[word].load(SeqCst));
    println!("{waits} waits, {long} longer than {limit}, worst {worst}");
    [waits, long, worst]
}

/// A task that makes a call every 200 µs, each over at once, keeps its token for a slice of 10 ms
/// (50 calls), not for ever.
#[test]
fn short_calls_do_not_keep_a_token() {
    let [waits, long, worst] = waits("1", "wants 200\nshort\n", 200);
    assert_eq!(waits, 200);
    assert!(long <= 10 && worst <= 2000, "{long} waits lasted more than 200 calls, one {worst}");
}

/// 16 workers on two tokens: a worker that sleeps for its token is served before workers that came
/// a round later.
#[test]
fn the_longest_waiter_is_served_first() {
    let [waits, long, worst] = waits("2", &"mixed 3000\n".repeat(32), 32);
    assert!(waits >= 1000, "only {waits} waits: this shows nothing");
    assert!(long <= waits / 100, "{long} of {waits} waits saw more than 32 others served");
    assert!(worst <= 32 + waits / 20, "one of {waits} waits saw {worst} others served");
}
