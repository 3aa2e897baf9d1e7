//! Where the streams of commands lead, when they do not end at their workers.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use msup_protocol::env as names;
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// The size asked for, so that a burst of output stops no command. Where it is refused, the pipe
/// works as well.
const PIPE_BYTES: usize = 1 << 20;

/// The terminal of this process.
pub(crate) const TERMINAL: &str = "/dev/tty";

/// What workers inherit for their commands.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// For parts of outputs while commands run.
    live: Option<OwnedFd>,
    /// The standard output of commands.
    stdout: Option<OwnedFd>,
    /// Their standard input.
    tty: Option<OwnedFd>,
}

impl Routes {
    /// Makes the pipe for parts of outputs, and returns its reading end.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn open_live(&mut self) -> io::Result<OwnedFd> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
        self.live = Some(inheritable(writer)?);
        Ok(reader)
    }

    /// Commands write straight to this process' standard output.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn open_stdout(&mut self) -> io::Result<()> {
        self.stdout = Some(inheritable(io::stdout().as_fd().try_clone_to_owned()?)?);
        Ok(())
    }

    /// Commands read from this terminal.
    ///
    /// # Errors
    /// It cannot be passed on.
    pub(crate) fn take_terminal(&mut self, terminal: OwnedFd) -> io::Result<()> {
        self.tty = Some(inheritable(terminal)?);
        Ok(())
    }

    /// The environment variables that tell workers of them.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        let all = [
            (names::LIVE_FD, &self.live),
            (names::STDOUT_FD, &self.stdout),
            (names::TTY_FD, &self.tty),
        ];
        all.into_iter().filter_map(|(name, fd)| {
            let fd = fd.as_ref()?.as_raw_fd();
            Some((name, fd.to_string().into()))
        })
    }
}

/// The terminal of this process, for commands to read from.
///
/// # Errors
/// There is none.
pub(crate) fn open_terminal() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(TERMINAL, flags, Mode::empty())?)
}

/// The same, for this process to read answers from: reading does not wait for one.
///
/// # Errors
/// There is none.
pub(crate) fn open_prompt() -> io::Result<OwnedFd> {
    // It is opened anew: no other process reads from this description.
    let terminal = open_terminal()?;
    rustix::io::ioctl_fionbio(&terminal, true)?;
    Ok(terminal)
}

/// It survives `exec` in workers, which take it over.
fn inheritable(fd: OwnedFd) -> io::Result<OwnedFd> {
    rustix::io::fcntl_setfd(&fd, FdFlags::empty())?;
    Ok(fd)
}
