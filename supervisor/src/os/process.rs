//! Worker processes: starting them, signalling them, and learning how they exited.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use msup_protocol::env as names;
use msup_protocol::launch::{Order, start};
use msup_protocol::packed::WorkerId;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::os::cgroup::Groups;
use crate::os::routes::Routes;
use msup_protocol::exit::WorkerEnd;

/// How every worker of a run is started.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The worker program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// The segment's descriptor, which must survive exec.
    pub(crate) segment: OwnedFd,
    /// The doorbell's descriptor, which must survive exec.
    pub(crate) doorbell: OwnedFd,
    /// The run's folder.
    pub(crate) folder: PathBuf,
    /// The folder for temporary files of commands, if it is not the usual one.
    pub(crate) tmpdir: Option<PathBuf>,
    /// The run's id.
    pub(crate) run_id: String,
    /// Where workers note what they take up, if a journal is kept.
    pub(crate) in_flight: Option<PathBuf>,
    /// The file of blocks, which must survive exec, if commands get blocks.
    pub(crate) blocks: Option<OwnedFd>,
    /// Where the streams of commands lead.
    pub(crate) routes: Routes,
    /// Their standard input, and what else they inherit.
    pub(crate) inheritance: Inheritance,
    /// How long a worker without a task may need to end what it keeps running.
    pub(crate) ends_within: Duration,
}

/// The variable that names the folder for temporary files.
const TMPDIR: &str = "TMPDIR";

/// What every worker inherits beyond what is made for it.
#[derive(Debug)]
pub(crate) struct Inheritance {
    stdin: File,
    /// Signals that were ignored when msup was started stay ignored in commands.
    keeps_ignored: bool,
    /// The last descriptor that any of them may inherit.
    last: RawFd,
}

impl Inheritance {
    /// For now everything is inherited that is open. `own_stdin`: standard input is that of this
    /// process, not an empty one. `keeps_ignored`: ignored signals stay ignored.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn open(own_stdin: bool, keeps_ignored: bool) -> io::Result<Inheritance> {
        let stdin = match own_stdin {
            true => io::stdin().as_fd().try_clone_to_owned()?.into(),
            false => File::open("/dev/null")?,
        };
        Ok(Inheritance { stdin, keeps_ignored, last: RawFd::MAX })
    }

    /// Everything that workers inherit is open now: what msup itself inherited, and what it opened
    /// for them. What is opened later is not for them.
    pub(crate) fn close(&mut self) {
        let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
        let open = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        self.last = open.max().unwrap_or(RawFd::MAX);
    }

    /// The last one, where `given` are inherited, too.
    fn last_with(&self, given: [&OwnedFd; 2]) -> RawFd {
        given.into_iter().fold(self.last, |last, fd| last.max(fd.as_raw_fd()))
    }
}

/// A worker's process, until it is reaped. Dropping it before that kills it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Recipe {
    /// Starts a worker, in a control group of its own if possible. Call it from the thread that
    /// lives as long as the run: workers ask the kernel for a signal when the thread that started
    /// them is gone.
    ///
    /// # Errors
    /// The process cannot be created, or the program cannot be executed.
    pub(crate) fn start(&self, worker: WorkerId, groups: Option<&Groups>) -> io::Result<Process> {
        let Some(groups) = groups else { return self.start_in(None, worker) };
        match groups.enter(worker, |group| self.start_in(Some(group), worker)) {
            Ok(process) => Ok(process),
            // If it is not the group's fault, this fails as well.
            Err(_) => self.start_in(None, worker).inspect(|_| groups.give_up()),
        }
    }

    fn start_in(&self, group: Option<BorrowedFd<'_>>, worker: WorkerId) -> io::Result<Process> {
        let of_bytes = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
        let of_text = |text: &OsStr| of_bytes(text.as_bytes().to_vec());
        let program = of_text(self.program.as_os_str())?;
        let arguments = [self.program.as_os_str()]
            .into_iter()
            .chain(self.arguments.iter().map(|argument| &**argument));
        let arguments = arguments.map(of_text).collect::<io::Result<Vec<CString>>>()?;
        let own = self.variables(worker);
        let is_own = |name: &OsStr| own.iter().any(|(own, _)| name == *own);
        let inherited = std::env::vars_os().filter(|(name, _)| !is_own(name));
        let own = own.iter().map(|(name, value)| (OsString::from(name), value.clone()));
        let variables = inherited
            .chain(own)
            .map(|(name, value)| of_bytes([name.as_bytes(), b"=", value.as_bytes()].concat()));
        let variables = variables.collect::<io::Result<Vec<CString>>>()?;
        // What a worker itself prints must not get between the outputs of tasks.
        let stderr = io::stderr();
        let streams = [self.inheritance.stdin.as_fd(), stderr.as_fd()];
        let (pid, pidfd) = start(Order {
            program: &program,
            arguments: &arguments,
            environment: &variables,
            streams,
            group,
            last_inherited: self.inheritance.last_with([&self.segment, &self.doorbell]),
        })?;
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Process { pid, pidfd, reaped: false })
    }

    /// The environment variables of a worker.
    fn variables(&self, worker: WorkerId) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            (names::SEGMENT_FD, self.segment.as_raw_fd().to_string().into()),
            (names::DOORBELL_FD, self.doorbell.as_raw_fd().to_string().into()),
            (names::WORKER_SLOT, worker.to_string().into()),
            (names::SUPERVISOR_PID, std::process::id().to_string().into()),
            (names::RUN_FOLDER, self.folder.clone().into()),
            (names::RUN, self.run_id.clone().into()),
        ];
        let tmpdir = self.tmpdir.as_ref();
        variables.extend(tmpdir.map(|path| (TMPDIR, path.clone().into())));
        let in_flight = self.in_flight.as_ref();
        variables.extend(self.routes.variables());
        variables.extend(in_flight.map(|path| (names::IN_FLIGHT, path.clone().into())));
        let blocks = self.blocks.as_ref().map(|blocks| blocks.as_raw_fd().to_string());
        variables.extend(blocks.map(|blocks| (names::BLOCKS_FD, blocks.into())));
        let keeps_ignored = self.inheritance.keeps_ignored;
        variables.extend(keeps_ignored.then(|| (names::KEEPS_IGNORED, "1".into())));
        variables
    }
}

/// Starts a program that is no worker, with its arguments. What it prints goes to standard error,
/// and it dies with this thread.
///
/// # Errors
/// The process cannot be created, or the program cannot be executed.
pub(crate) fn start_command(words: &[Vec<u8>]) -> io::Result<Process> {
    let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
    let arguments = words.iter().cloned().map(c_string).collect::<io::Result<Vec<CString>>>()?;
    let variables = std::env::vars_os()
        .map(|(name, value)| c_string([name.as_bytes(), b"=", value.as_bytes()].concat()));
    let variables = variables.collect::<io::Result<Vec<CString>>>()?;
    let program = arguments.first().ok_or(io::ErrorKind::InvalidInput)?;
    let (null, stderr) = (File::open("/dev/null")?, io::stderr());
    let (pid, pidfd) = start(Order {
        program,
        arguments: &arguments,
        environment: &variables,
        streams: [null.as_fd(), stderr.as_fd()],
        group: None,
        last_inherited: stderr.as_raw_fd(),
    })?;
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Process { pid, pidfd, reaped: false })
}

impl Process {
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills it. What it had started becomes ours, see [`crate::os::orphans`].
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// How it exited, if it has; its pid stays reserved until [`Process::reap`].
    pub(crate) fn ended(&self) -> Option<WorkerEnd> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).ok()??;
        let end = match (status.exit_status(), status.terminating_signal()) {
            (Some(exit), _) => WorkerEnd::Exited(exit as u8),
            (None, Some(signal)) => WorkerEnd::Signaled(signal as u8),
            (None, None) => return None,
        };
        Some(end)
    }

    /// Releases its pid. Only after [`Process::ended`] has returned a value.
    pub(crate) fn reap(mut self) {
        self.reaped = true;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        }
    }
}
