//! A remote-controlled worker: attaches to the segment that is its standard input and carries out
//! its arguments, one after the other.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use msup_protocol::crash::{self, Role};
use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::worker_side::{Next, Seat};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let slot = arguments.next().and_then(|slot| slot.parse().ok()).expect("a slot");
    let segment = Segment::attach(io::stdin(), None).expect("standard input is a segment");
    let mut seat = Seat::new(segment.shared(), slot, Futex).expect("there is such a slot");
    crash::arm(Role::Worker);
    seat.attach();
    let (mut held, mut away, mut claim) = (None, None, None);
    for verb in arguments {
        let (verb, file) = verb.split_once(':').unwrap_or((&verb, ""));
        match verb {
            "touch" => drop(File::create(file).expect("writable")),
            "await" => {
                while !Path::new(file).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            "acquire" => held = seat.shared().tokens.acquire(slot),
            "release" => seat.release(held.take().expect("a token")).expect("ours"),
            "enter" => away = seat.enter_lazily(held.take().expect("a token")),
            "hand_over" => {
                away = seat.enter_eagerly(held.take().expect("a token")).expect("ours");
            }
            "yield" => held = Some(seat.yield_token(held.take().expect("a token")).expect("ours")),
            "exit" => held = Some(seat.exit(away.take())),
            "next" => match seat.next_task(held.take(), &|| false).expect("ours") {
                Next::Run(token, task) => (held, claim) = (Some(token), Some(task)),
                Next::Start(task) => claim = Some(task),
                Next::Leave => return,
            },
            "complete" => {
                assert!(seat.shared().tasks.complete(slot, claim.take().expect("a task")));
            }
            other => panic!("no such verb: {other}"),
        }
    }
}
