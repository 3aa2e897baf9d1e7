//! Standard input and output that were closed when this process was started.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in their places: what is shown would be lost
//! without a word. Later it cannot be told from the `/dev/null` of a user who wants that, so they
//! are looked at before the runtime begins.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin, stdout};

static STDIN_WAS_CLOSED: AtomicBool = AtomicBool::new(false);
static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the loader calls what this section names, with the calling convention of C.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Nothing of Rust's runtime is ready here.
extern "C" fn look() {
    for (stream, was_closed) in [(stdin(), &STDIN_WAS_CLOSED), (stdout(), &STDOUT_WAS_CLOSED)] {
        was_closed.store(fcntl_getfd(stream).is_err(), Ordering::Relaxed);
    }
}

/// Makes streams that were closed fail as they would without the runtime, here and in commands:
/// what cannot be read is opened for writing, and the other way round.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub(crate) fn break_closed() -> io::Result<()> {
    if stdin_was_closed() {
        dup2_stdin(File::options().write(true).open("/dev/null")?)?;
    }
    if stdout_was_closed() {
        dup2_stdout(File::open("/dev/null")?)?;
    }
    Ok(())
}

/// Whether standard input was closed. [`io::Stdin`] tells of no error then.
pub(crate) fn stdin_was_closed() -> bool {
    STDIN_WAS_CLOSED.load(Ordering::Relaxed)
}

/// Whether standard output was closed. [`io::Stdout`] tells of no error then.
pub(crate) fn stdout_was_closed() -> bool {
    STDOUT_WAS_CLOSED.load(Ordering::Relaxed)
}

/// What using a closed stream gives.
pub(crate) fn closed() -> io::Error {
    Errno::BADF.into()
}

/// Whether an error says that a stream was closed.
pub(crate) fn is_closed(why: &io::Error) -> bool {
    why.raw_os_error() == Some(Errno::BADF.raw_os_error())
}
