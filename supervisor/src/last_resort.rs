//! Handles a panic of the supervisor, in any of its threads: the process tree is killed and the
//! exit status is 255.
//!
//! Files are left as a SIGKILL would leave them: `msup resume` continues from the journal, and the
//! next start removes temporary files.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use msup_protocol::exit;

use crate::os::orphans;

/// How long the processes of the run may take to die.
const DIE_WITHIN: Duration = Duration::from_secs(2);

/// From now on a panic of any thread is handled here.
pub(crate) fn install() {
    panic::set_hook(Box::new(give_up));
}

fn give_up(info: &PanicHookInfo<'_>) {
    static IS_GIVING_UP: AtomicBool = AtomicBool::new(false);
    while IS_GIVING_UP.swap(true, Ordering::SeqCst) {
        // Another thread does it, and exits.
        thread::park();
    }
    // First the processes: standard error may be a pipe that is not read.
    let left = orphans::kill_all(DIE_WITHIN);
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let mut line = format!(
        "msup: internal error{place}: {}; all running tasks were killed, 'msup resume' runs them again \
         (please report this)\n",
        text.unwrap_or("no message").replace('\n', " ")
    );
    if left > 0 {
        line += &format!("msup: {left} processes could not be killed (uninterruptible sleep?)\n");
    }
    let _ = io::stderr().write_all(line.as_bytes());
    process::exit(i32::from(exit::ERROR));
}
