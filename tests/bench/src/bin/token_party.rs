//! The same for msup's tokens: holds the token of the segment that is its standard input, or waits
//! for it, until it is killed.

use std::io;

use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::worker_side::Seat;

fn main() {
    let segment = Segment::attach(io::stdin(), None).expect("standard input is a segment");
    let seat = Seat::new(segment.shared(), 0, Futex).expect("a slot");
    seat.attach();
    let _held = match std::env::args().nth(1).as_deref() {
        Some("hold") => segment.shared().tokens.acquire(0).expect("idle"),
        _ => seat.exit(None),
    };
    loop {
        std::thread::park();
    }
}
