//! A command that prints how long it and its parent may compute in one go, in milliseconds.

use msup_protocol::timeslice;

fn main() {
    let parent = std::os::unix::process::parent_id().cast_signed();
    println!("{} {}", timeslice::of(0).as_millis(), timeslice::of(parent).as_millis());
}
