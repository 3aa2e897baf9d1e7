//! A command that prints its own and its parent's time slice, in milliseconds.

use msup_protocol::timeslice;

fn main() {
    let parent = std::os::unix::process::parent_id().cast_signed();
    println!("{} {}", timeslice::of(0).as_millis(), timeslice::of(parent).as_millis());
}
