//! One at a time means in the order of the input, also on a machine that is busy.

use std::process::Child;

use msup_tests::{Sandbox, kill, numbers, shown};
use nix::sys::signal::Signal;

/// Rounds of which at least one goes wrong if several tasks lie ready for the one worker: nearly
/// every second one did.
const ROUNDS: usize = 5;

/// Programs that compute until they are dropped.
struct Busy(Vec<Child>);

impl Busy {
    fn new(sandbox: &Sandbox) -> Busy {
        let spin = || sandbox.command("sh").args(["-c", "while :; do :; done"]).spawn();
        Busy((0..3).map(|_| spin().expect("a shell")).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            kill(child.id() as i32, Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

#[test]
fn one_at_a_time_is_in_order() {
    let sandbox = Sandbox::new();
    let _busy = Busy::new(&sandbox);
    let input = numbers(600);
    for words in [&["xargs", "-n", "1"][..], &["-q", "-j1", "--no-journal", "echo"]] {
        for round in 1..=ROUNDS {
            assert!(shown(&sandbox, words, &input) == input, "{words:?}, round {round}");
        }
    }
}
