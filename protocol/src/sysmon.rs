//! sysmon's schedule: how often it looks, and when it sleeps. [`crate::supervisor_side`] has what a
//! look does.

use std::time::Duration;

use crate::layout::Shared;
use crate::park::Park;
use crate::supervisor_side::{Look, Sysmon};
use crate::sync::now_ns;

/// Go's numbers: it starts with 20 µs and, after 50 looks that changed nothing, doubles up to 10
/// ms.
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(10);
const LOOKS_BEFORE_BACKOFF: u32 = 50;

/// It wakes up after this long even without a kick. Only a safeguard: nothing relies on it.
const SLEEP_AT_MOST: Duration = Duration::from_millis(100);

/// Looks again and again. `note` gets every look and returns whether to go on; to interrupt a
/// sleep, kick with [`crate::sysmon_sleep::Watch::rouse`]. `nap` sleeps for about the given time.
pub fn watch(
    shared: &Shared<'_>,
    park: &impl Park,
    nap: impl Fn(Duration),
    mut note: impl FnMut(&Look) -> bool,
) {
    let mut sysmon = Sysmon::new();
    let (mut pause, mut useless) = (SHORTEST, 0);
    loop {
        let look = sysmon.look(shared, park, now_ns());
        if !note(&look) {
            return;
        }
        if let Some(quiet) = look.quiet {
            shared.watch.lie_down(quiet);
            // Once more, now that every worker can see that it is about to sleep.
            let again = sysmon.look(shared, park, now_ns());
            let go_on = note(&again);
            if again.quiet == Some(quiet) && go_on {
                shared.watch.sleep(park, quiet, SLEEP_AT_MOST);
            } else {
                shared.watch.get_up();
            }
            (pause, useless) = (SHORTEST, 0);
            if !go_on {
                return;
            }
            continue;
        }
        if look.was_useful() {
            (pause, useless) = (SHORTEST, 0);
        } else {
            useless += 1;
            if useless > LOOKS_BEFORE_BACKOFF {
                pause = (pause * 2).min(LONGEST);
            }
        }
        nap(pause);
    }
}
