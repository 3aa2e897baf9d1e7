//! Why tokens are not locks: the same kill that wedges `raw_sync`'s mutex and event for good costs
//! msup's tokens nothing (docs/decisions/0003).

use std::io::{BufRead, BufReader, Lines};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use msup_bench::stage::Scratch;
use msup_protocol::layout::Sizes;
use msup_protocol::park::Futex;
use msup_protocol::segment;
use msup_protocol::worker_side::Seat;

struct Party {
    child: Child,
    says: Lines<BufReader<ChildStdout>>,
}

impl Party {
    fn start(what: &str, memory: &OwnedFd) -> Party {
        let mut child = Command::new(env!("CARGO_BIN_EXE_raw_sync_party"))
            .arg(what)
            .stdin(Stdio::from(memory.try_clone().expect("a descriptor")))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is built");
        let says = BufReader::new(child.stdout.take().expect("piped")).lines();
        Party { child, says }
    }

    fn says(&mut self) -> String {
        self.says.next().expect("it says something").expect("text")
    }

    /// SIGKILL, and the kernel's word that it is dead.
    fn kill(mut self) {
        self.child.kill().expect("ours");
        self.child.wait().expect("ours");
    }

    /// Asleep in the kernel, and no wake is owed: no other party is alive.
    fn is_asleep(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.expect("alive").rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    }
}

/// Starts a party and waits until it sleeps in the kernel.
fn asleep(what: &str, says: &str, memory: &OwnedFd) -> Party {
    let mut party = Party::start(what, memory);
    assert_eq!(party.says(), says);
    while !party.is_asleep() {
        std::thread::sleep(Duration::from_millis(1));
    }
    party
}

/// No party is left that could wake it, and a second is long for a step that takes microseconds.
fn assert_hangs(what: &str, memory: &OwnedFd) {
    let mut party = Party::start(what, memory);
    assert_eq!(party.says(), "trying");
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        party.is_asleep(),
        "it went on: raw_sync or the C library has changed, and 0003 with it"
    );
    party.kill();
}

#[test]
fn a_killed_holder_hangs_raw_syncs_mutex() {
    let memory = Scratch::memory().expect("memory");
    asleep("hold", "held", &memory).kill();
    assert_hangs("lock", &memory);
}

/// After the death of one waiter a process that signals the next one hangs: in msup that would be
/// the supervisor.
#[test]
fn a_killed_waiter_hangs_the_signaller_of_raw_syncs_event() {
    let memory = Scratch::memory().expect("memory");
    asleep("wait", "waiting", &memory).kill();
    let mut first = Party::start("set", &memory);
    assert_eq!((first.says(), first.says()), ("trying".into(), "got it".into()));
    first.kill();
    let next = asleep("wait too", "waiting", &memory);
    assert_hangs("set", &memory);
    next.kill();
}

/// A process that holds the only token, or waits for it, is killed in the same way.
fn a_killed_worker_costs_nothing(verbs: &[&str], holds: bool) {
    let sizes = Sizes { tokens: 1, workers: 2, tasks: 1, cell_bytes: 64 };
    let (segment, fd) = segment::create(sizes, 1, "test", 1024).expect("shared memory");
    let shared = segment.shared();
    let own = Seat::new(shared, 1, Futex).expect("a slot");
    let mut held = (!holds).then(|| shared.tokens.acquire(1).expect("idle"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_token_party"))
        .args(verbs)
        .stdin(Stdio::from(fd))
        .spawn()
        .expect("it is built");
    while (holds && shared.tokens.census().running == 0) || (!holds && !shared.line.is_announced(0))
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("ours");
    child.wait().expect("ours");
    let _reclaimed = shared.bury(&Futex, 0);
    // As the signaller of a dead waiter, twice; then as a worker that wants the token itself.
    for _ in 0..2 {
        if let Some(held) = held.take() {
            own.release(held).expect("ours");
        }
        held = Some(own.exit(None));
    }
    own.release(held.expect("got it")).expect("ours");
    assert_eq!(shared.tokens.census().idle, 1);
}

#[test]
fn a_killed_holder_of_a_token_costs_nothing() {
    a_killed_worker_costs_nothing(&["hold"], true);
}

#[test]
fn a_killed_waiter_for_a_token_costs_nothing() {
    a_killed_worker_costs_nothing(&["wait"], false);
}
