//! A worker for commands that runs none. It reports success, and for a command that ends in `lie`
//! also an impossible number of the kind that `LIES_ABOUT` names.

use std::env;
use std::fs::File;
use std::os::fd::RawFd;

use msup_protocol::codec::{self, OutcomeFrame, Stream, TaskFrame, Usage, Verdict, Work};
use msup_protocol::env as names;
use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::worker_side::{Next, Seat};

fn main() {
    let what = env::var("LIES_ABOUT").expect("what to lie about");
    let number =
        |name| -> i32 { env::var(name).expect("started by msup").parse().expect("a number") };
    let fd: RawFd = number(names::SEGMENT_FD);
    // A second descriptor for it: a bare number cannot be passed on.
    let file = File::options().read(true).write(true).open(format!("/proc/self/fd/{fd}"));
    let segment = Segment::attach(file.expect("inherited"), None).expect("a segment");
    let me = number(names::WORKER_SLOT) as u16;
    let mut seat = Seat::new(segment.shared(), me, Futex).expect("there is such a slot");
    seat.attach();
    let (mut token, mut frame) = (None, Vec::new());
    loop {
        let (held, claim) = match seat.next_task(token.take(), &|| false).expect("ours") {
            Next::Run(held, claim) => (Some(held), claim),
            Next::Start(claim) => (None, claim),
            Next::Leave => return,
        };
        let tasks = seat.shared().tasks;
        tasks.read(claim.index(), &mut frame).expect("a frame");
        let task: TaskFrame = codec::decode(&frame).expect("a task");
        let is_lie = match &task.work {
            Work::Command(command) => command.argv.last().is_some_and(|word| word == b"lie"),
            Work::Value { .. } | Work::Line(_) => false,
        };
        let outcome = outcome(if is_lie { &what } else { "nothing" });
        codec::encode(&outcome, &mut frame).expect("small");
        tasks.write(claim.index(), &frame).expect("it fits");
        let index = claim.index();
        assert!(tasks.complete(me, claim));
        seat.shared().done.set(index);
        token = held;
    }
}

fn outcome(what: &str) -> OutcomeFrame {
    let mut usage = Usage { pid: 1, wall_ns: 1, cpu_ns: 1, sleeps: 1, peak: 1, worker_ns: 1 };
    let (mut verdict, mut wall_ns) = (Verdict::Done, 1);
    match what {
        "sleeps" => usage.sleeps = u64::MAX,
        "wall" => (wall_ns, usage.wall_ns) = (u64::MAX, u64::MAX),
        "peak" => usage.peak = u64::MAX,
        "cpu" => (usage.cpu_ns, usage.worker_ns) = (u64::MAX, u64::MAX),
        "signal" => verdict = Verdict::Signaled(255),
        _ => {}
    }
    let (stdout, stderr) = (Stream::nothing(), Stream::nothing());
    OutcomeFrame {
        verdict,
        began_ns: 1,
        wall_ns,
        usage,
        leaked: false,
        stdout,
        stderr,
        result: Stream::nothing(),
        emitted: Stream::nothing(),
    }
}
