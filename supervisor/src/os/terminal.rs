//! The terminal on standard error: its size, and whether this process may draw on it; and what
//! standard output is.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{isatty, tcgetpgrp, tcgetwinsize};

/// The size of a terminal that does not report it.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// Rows and columns of the terminal on standard error.
pub(crate) fn size() -> (usize, usize) {
    let size = tcgetwinsize(io::stderr()).ok();
    let known =
        |number: Option<u16>, default| usize::from(number.filter(|n| *n > 0).unwrap_or(default));
    (known(size.map(|size| size.ws_row), ROWS), known(size.map(|size| size.ws_col), COLUMNS))
}

/// Whether a shell has put this process into the background. False if the terminal is not its
/// controlling terminal.
pub(crate) fn is_in_background() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|foreground| foreground != getpgrp())
}

/// Whether standard error is a terminal on which lines can be redrawn.
pub(crate) fn can_be_drawn_on() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    isatty(io::stderr()) && !is_dumb
}

/// Whether standard output goes to a terminal.
pub(crate) fn shows_output() -> bool {
    isatty(io::stdout())
}

/// Whether another program reads standard output: it may draw on the same terminal.
pub(crate) fn output_is_piped() -> bool {
    use rustix::fs::{FileType, fstat};
    let kind = fstat(io::stdout()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

/// Whether standard output is a pipe or socket without a reader.
pub(crate) fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut looked = [PollFd::new(&stdout, PollFlags::empty())];
    output_is_piped()
        && poll(&mut looked, Some(&Timespec::default())).is_ok()
        // A pipe without a reader, or a socket whose other end is closed.
        && looked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Whether standard output is an empty file.
pub(crate) fn output_is_empty_file() -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(io::stdout()).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
    })
}
