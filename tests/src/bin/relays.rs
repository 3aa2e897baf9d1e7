//! A chain of processes: each starts the next one and exits at once, for some milliseconds; the
//! last one writes a file. Arguments: the milliseconds, the file, and the start in microseconds
//! since 1970, which each process passes on.

use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let ms: u128 = arguments[1].parse().expect("milliseconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    let began = arguments.get(3).map_or(now, |text| text.parse().expect("microseconds"));
    if now - began >= ms * 1000 {
        std::fs::write(&arguments[2], "done\n").expect("writable");
        return;
    }
    let mut next = Command::new(&arguments[0]);
    next.args([&arguments[1], &arguments[2], &began.to_string()]);
    let next = next.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    drop(next.expect("this program"));
}
