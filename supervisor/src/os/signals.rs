//! The signals that stop a run, suspend it or ask for its status, as descriptors for the event
//! loop.

#[cfg(feature = "nats")]
use std::io::Write;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1, SIGXCPU, SIGXFSZ};
use signal_hook::low_level::{emulate_default_handler, pipe};

use super::files;

/// Makes writes beyond the limit on file sizes (`ulimit -f`) fail instead of killing this process.
/// A handler, since ignored signals would stay ignored in executed programs.
///
/// # Errors
/// The system refused.
pub(crate) fn outlive_file_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

/// From now on SIGTERM and SIGHUP do not kill this process: their number is noted, which is 0 until
/// one arrives.
///
/// # Errors
/// The system refused.
pub(crate) fn note_stops() -> io::Result<Arc<AtomicUsize>> {
    let noted = Arc::default();
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(signal, Arc::clone(&noted), signal as usize)?;
    }
    Ok(noted)
}

/// Says this on standard error when SIGINT arrives, which then kills this process.
///
/// # Errors
/// The system refused.
#[cfg(feature = "nats")]
pub(crate) fn say_when_interrupted(text: String) -> io::Result<()> {
    let (mut arrived, writer) = UnixStream::pair()?;
    pipe::register(SIGINT, writer)?;
    let say = move || {
        if arrived.read(&mut [0]).is_ok() {
            let _ = io::stderr().write_all(text.as_bytes());
            die_of(SIGINT as u8);
        }
    };
    std::thread::Builder::new().name("interrupt".into()).spawn(say).map(drop)
}

/// One pipe per signal, readable when it has arrived.
#[derive(Debug)]
pub(crate) struct Signals {
    pipes: Vec<(u8, UnixStream)>,
    /// Set after a byte was written to one of them.
    has_arrived: Arc<AtomicBool>,
    /// The user has asked what runs.
    asked: bool,
    /// The run is to be suspended.
    pauses: bool,
    child_exited: Arc<AtomicBool>,
    /// The last signal that asks to stop.
    last: Option<u8>,
}

impl Signals {
    /// Handlers for SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGTSTP and SIGUSR1; a signal that was
    /// ignored when msup started (`nohup`, a background job of a script) stays ignored.
    ///
    /// # Errors
    /// The system refused.
    pub(crate) fn install() -> io::Result<Signals> {
        // Our parent may have left signals blocked; threads started later inherit the mask.
        SigSet::all().thread_unblock()?;
        // Our parent may have left SIGCHLD ignored, and then the kernel would reap workers by
        // itself. Any handler ends that, and does not survive into executed programs.
        let child_exited = Arc::default();
        signal_hook::flag::register(SIGCHLD, Arc::clone(&child_exited))?;
        let (mut pipes, has_arrived) = (Vec::new(), Arc::default());
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGTSTP, SIGUSR1] {
            if ignored >> (signal - 1) & 1 == 1 {
                continue;
            }
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            // What is registered first is done first.
            pipe::register(signal, writer)?;
            signal_hook::flag::register(signal, Arc::clone(&has_arrived))?;
            pipes.push((signal as u8, reader));
        }
        let (asked, pauses, last) = (false, false, None);
        Ok(Signals { pipes, has_arrived, asked, pauses, child_exited, last })
    }

    pub(crate) fn pipes(&self) -> impl Iterator<Item = &UnixStream> {
        self.pipes.iter().map(|(_, pipe)| pipe)
    }

    /// The signals to stop that have arrived since the last call, each as often as it did.
    pub(crate) fn arrived(&mut self) -> Vec<u8> {
        let mut arrived = Vec::new();
        if !self.has_arrived.swap(false, Ordering::SeqCst) {
            return arrived;
        }
        for (signal, pipe) in &mut self.pipes {
            let mut bytes = [0; 16];
            while let Ok(count @ 1..) = pipe.read(&mut bytes) {
                match i32::from(*signal) {
                    SIGUSR1 => self.asked = true,
                    SIGTSTP => self.pauses = true,
                    _ => arrived.extend(std::iter::repeat_n(*signal, count)),
                }
            }
        }
        self.last = arrived.last().copied().or(self.last);
        arrived
    }

    /// The last signal to stop that has arrived, however long ago.
    pub(crate) fn last(&self) -> Option<u8> {
        self.last
    }

    /// Whether SIGTSTP had arrived by the last call of [`Signals::arrived`].
    pub(crate) fn pauses(&mut self) -> bool {
        std::mem::take(&mut self.pauses)
    }

    /// Whether a child of this process has exited since the last call.
    pub(crate) fn child_exited(&self) -> bool {
        self.child_exited.swap(false, Ordering::SeqCst)
    }

    /// Notes that an exited child was not reaped yet.
    pub(crate) fn note_child_exit(&self) {
        self.child_exited.store(true, Ordering::SeqCst);
    }

    /// Whether the user had asked what runs by the last call of [`Signals::arrived`].
    pub(crate) fn asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }
}

/// Dies of this signal, as if it had never been handled: then a shell that runs msup in a loop
/// stops. Returns when that is impossible: the first process of a pid namespace gets no signal that
/// it does not handle.
pub(crate) fn die_of(signal: u8) {
    if std::process::id() != 1 {
        let _ = emulate_default_handler(i32::from(signal));
    }
}

/// The signals that this process ignores: bit 0 stands for signal 1.
fn ignored_signals() -> u64 {
    let status = files::read_short("/proc/self/status".as_ref()).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
