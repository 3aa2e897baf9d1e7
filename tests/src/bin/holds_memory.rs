//! `holds_memory MIB MS`: holds this amount of resident memory for this time.

use std::hint::black_box;
use std::time::Duration;

fn main() {
    let mut numbers =
        std::env::args().skip(1).map(|number| number.parse::<u64>().expect("a number"));
    let mut next = || numbers.next().expect("MIB MS");
    let memory = vec![1_u8; (next() << 20) as usize];
    std::thread::sleep(Duration::from_millis(next()));
    black_box(memory);
}
