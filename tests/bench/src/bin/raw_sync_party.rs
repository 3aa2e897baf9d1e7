//! One party in a test of what a killed process leaves: does one thing with `raw_sync`'s mutex or
//! event in the memory that is its standard input, and says when.

use std::io::{self, Write};

use msup_bench::stage::Scratch;
use raw_sync::Timeout;
use raw_sync::events::{Event, EventInit, EventState};
use raw_sync::locks::{LockInit, Mutex};

fn say(what: &str) {
    println!("{what}");
    io::stdout().flush().expect("the test listens");
}

fn main() {
    let memory = Scratch::map(io::stdin()).expect("standard input is memory");
    let base = memory.base();
    // Room for the event beside it.
    let data = base.wrapping_add(4096);
    match std::env::args().nth(1).as_deref() {
        Some("hold") => {
            // SAFETY: mapped for as long as the process lives, and large enough.
            let (mutex, _) = unsafe { Mutex::new(base, data) }.expect("a mutex");
            let _held = mutex.lock().expect("free");
            say("held");
            sleep_for_ever();
        }
        Some("lock") => {
            // SAFETY: as above; the holder has set it up.
            let (mutex, _) = unsafe { Mutex::from_existing(base, data) }.expect("a mutex");
            say("trying");
            let _held = mutex.lock();
            say("got it");
        }
        Some("wait") => {
            // SAFETY: as above.
            let (event, _) = unsafe { Event::new(base, false) }.expect("an event");
            say("waiting");
            let _ = event.wait(Timeout::Infinite);
        }
        Some("wait too") => {
            // SAFETY: as above; the first waiter has set it up.
            let (event, _) = unsafe { Event::from_existing(base) }.expect("an event");
            say("waiting");
            let _ = event.wait(Timeout::Infinite);
        }
        Some("set") => {
            // SAFETY: as above; the waiter has set it up.
            let (event, _) = unsafe { Event::from_existing(base) }.expect("an event");
            say("trying");
            let _ = event.set(EventState::Signaled);
            let _ = event.set(EventState::Clear);
            say("got it");
        }
        other => panic!("no such party: {other:?}"),
    }
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}
