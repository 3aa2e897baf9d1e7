//! The harness: a sandbox per test, the built programs, waiting without blind sleeps, and a
//! watchdog for everything that can hang.

pub mod board;
pub mod client;
pub mod desks;
pub mod groups;
mod programs;
pub mod ring;
pub mod screen;
pub mod trace;
pub mod waits;
mod watchdog;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag::register_conditional_default;

pub use programs::{copy_program, write_program};
use watchdog::Watchdog;

/// The variable that marks every process of a sandbox.
const MARK: &str = "MSUP_TEST_SANDBOX";

/// A program of the workspace, as built by `cargo test --workspace`.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("this test has a path");
    let folder = exe.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let found = [folder.join(name), folder.join("examples").join(name)]
        .into_iter()
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run cargo test --workspace"))
}

/// A folder for one test, and the mark that its processes carry. After it is dropped, all its
/// processes and files are gone, or the test fails.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
    mark: String,
    _watchdog: Watchdog,
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

impl Sandbox {
    /// A fresh sandbox, watched until it is dropped.
    #[must_use]
    pub fn new() -> Sandbox {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", std::process::id());
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tmp")).expect("a folder for temporary files");
        hear_signals();
        let _watchdog = Watchdog::new(mark.clone());
        Sandbox { folder, mark, _watchdog }
    }

    /// The test's folder: the working directory of what it runs.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the test's folder.
    pub fn file(&self, name: impl AsRef<OsStr>, content: &[u8]) -> PathBuf {
        let path = self.path().join(name.as_ref());
        fs::write(&path, content).expect("the sandbox is writable");
        path
    }

    /// Writes a program into the test's folder. It can be executed at once.
    pub fn program(&self, name: impl AsRef<OsStr>, content: &[u8]) -> PathBuf {
        let path = self.path().join(name.as_ref());
        write_program(&path, content);
        path
    }

    /// `msup` with these arguments, in the sandbox.
    pub fn msup<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(program("msup"));
        command.args(arguments);
        command
    }

    /// Any program, in the sandbox.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env("TMPDIR", self.path().join("tmp"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env(MARK, &self.mark)
            .stdin(Stdio::null());
        command
    }

    /// The living processes of this sandbox.
    #[must_use]
    pub fn processes(&self) -> BTreeSet<i32> {
        marked(&self.mark)
    }

    /// The living workers of a running `msup`.
    #[must_use]
    pub fn workers(&self, msup: &Child) -> Vec<i32> {
        let msup = msup.id() as i32;
        self.processes().into_iter().filter(|pid| parent_of(*pid) == Some(msup)).collect()
    }

    /// A shell script that runs with this folder of the sandbox as a disk of its own, of this size
    /// in bytes. `None` if no disk can be mounted; prints a note then. Other processes see the
    /// folder as [`inside`].
    #[must_use]
    pub fn on_small_disk(&self, folder: &str, bytes: u64, script: &str) -> Option<Command> {
        let shell = ["-rm", "sh", "-c"];
        let mut probe = self.command("unshare");
        if !probe.args(shell).arg("true").status().is_ok_and(|end| end.success()) {
            eprintln!("not tested: no mount namespaces here");
            return None;
        }
        fs::create_dir(self.path().join(folder)).expect("writable");
        let mut command = self.command("unshare");
        let mount = format!("mount -t tmpfs -o size={bytes} none {folder}");
        command.args(shell).arg(format!("{mount} && {script}"));
        Some(command)
    }

    /// A killed run leaves its folder for temporary files until the next start. This is one.
    ///
    /// # Panics
    /// If it fails.
    pub fn start_once_more(&self) {
        let output = run(&mut self.msup(["--no-journal", "true", ":::", "once"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The files that runs have left in the folder for temporary files.
    #[must_use]
    pub fn residue(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("tmp")).expect("the sandbox is readable");
        entries.map(|entry| entry.expect("readable").path()).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let left = self.processes();
        for pid in &left {
            kill(*pid, nix::sys::signal::Signal::SIGKILL);
        }
        if !thread::panicking() {
            assert_eq!(left, BTreeSet::new(), "processes survived their run");
            assert_eq!(self.residue(), Vec::<PathBuf>::new(), "files were left behind");
        }
    }
}

/// For runs that a test kills at random moments: no task is quarantined for having been alone in
/// flight at several of them.
pub const TASKS_DO_NOT_KILL: &str = "--crash-limit=1000";

/// What `observe` returns while the kernel kills no process of the machine for lack of memory: msup
/// reads the same count and may take another process's death for one of its own.
///
/// # Panics
/// If `/proc/vmstat` cannot be read.
pub fn while_memory_lasts<T>(mut observe: impl FnMut() -> T) -> T {
    let kills = || {
        let counts = fs::read_to_string("/proc/vmstat").expect("readable");
        counts.lines().find(|line| line.starts_with("oom_kill ")).map(str::to_owned)
    };
    loop {
        let before = kills();
        let observed = observe();
        if kills() == before {
            return observed;
        }
    }
}

/// The output of a run that must succeed.
pub fn shown<S: AsRef<OsStr>>(sandbox: &Sandbox, arguments: &[S], input: &[u8]) -> Vec<u8> {
    let output = run_with_input(&mut sandbox.msup(arguments), input);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The same as text.
pub fn shown_text<S: AsRef<OsStr>>(sandbox: &Sandbox, arguments: &[S], input: &[u8]) -> String {
    String::from_utf8(shown(sandbox, arguments, input)).expect("UTF-8")
}

/// The numbers `1..=count`, a line each.
pub fn numbers(count: usize) -> Vec<u8> {
    (1..=count).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

/// Runs a command with this standard input and waits for it.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = spawn_piped(command);
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    // A program that rejects its input early closes it: the test does not fail because of that.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it was spawned");
    writer.join().expect("the writer does not panic");
    output
}

/// Runs a command and waits for it.
pub fn run(command: &mut Command) -> Output {
    run_with_input(command, b"")
}

/// Starts a command with all three streams piped.
pub fn spawn_piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built")
}

/// Processes that a test starts must receive signals, even if the test itself was told to ignore
/// them, as in a background job of a script or with `nohup`: `msup` leaves ignored signals ignored.
/// A handler that does what the default does is reset to the default by `exec`.
fn hear_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            let is_to = Arc::new(AtomicBool::new(true));
            register_conditional_default(signal, is_to).expect("a signal with a default");
        }
    });
}

/// A process' standard error, as it arrives.
pub fn overheard(child: &mut Child) -> Arc<Mutex<String>> {
    let mut stderr = child.stderr.take().expect("piped");
    let said = Arc::new(Mutex::new(String::new()));
    let writes = Arc::clone(&said);
    thread::spawn(move || {
        let mut buffer = [0; 1000];
        while let Ok(len @ 1..) = stderr.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]);
            writes.lock().expect("no panic").push_str(&text);
        }
    });
    said
}

/// A path as seen by a process with mounts of its own.
#[must_use]
pub fn inside(child: &Child, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", child.id(), path.display()))
}

/// A run's `--summary` as JSON.
///
/// # Panics
/// If the file is missing or not JSON.
#[must_use]
pub fn summary(path: &Path) -> serde_json::Value {
    let text = fs::read_to_string(path).expect("the summary was written");
    serde_json::from_str(&text).expect("the summary is JSON")
}

/// Sends a signal to a process that may be gone.
pub fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}

/// The number of complete records of this kind in a journal; 0 if there is no such file. A record
/// that is being written does not count: a SIGKILL may cut it off.
#[must_use]
pub fn records(journal: &Path, event: &str) -> usize {
    let text = fs::read(journal).unwrap_or_default();
    let mark = format!("\"event\":\"{event}\"").into_bytes();
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole.filter(|line| line.windows(mark.len()).any(|bytes| bytes == mark)).count()
}

/// Polls until `condition` holds; the watchdog aborts a wait that never succeeds.
pub fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The parent of a process; `None` if there is none.
#[must_use]
pub fn parent_of(pid: i32) -> Option<i32> {
    status_field(pid, "PPid:")?.parse().ok()
}

/// The program name of a process; `None` if there is none.
#[must_use]
pub fn name_of(pid: i32) -> Option<String> {
    status_field(pid, "Name:")
}

/// Whether a process exists and has not exited.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    status_field(pid, "State:").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().to_owned())
}

/// The names in `/dev/shm` of segments that this supervisor has made. Those of other runs come and
/// go meanwhile.
///
/// # Panics
/// If there is no `/dev/shm`.
#[must_use]
pub fn segments_of(supervisor: u32) -> BTreeSet<String> {
    let entries = fs::read_dir("/dev/shm").expect("there is /dev/shm").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let pid = format!("-{supervisor}-");
    names.filter(|name| name.starts_with("msup-") && name.contains(&pid)).collect()
}

/// The living processes whose mark has this prefix. A mark is `PID-NUMBER`: `PID-` means all
/// sandboxes of that test process.
fn marked(mark: &str) -> BTreeSet<i32> {
    let entry = format!("{MARK}={mark}");
    let pids = fs::read_dir("/proc")
        .expect("there is /proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let rest = variable.strip_prefix(entry.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || mark.ends_with('-'))
        })
    })
    .filter(|pid| is_alive(*pid))
    .collect()
}

/// Whether the journal in this folder of a sandbox has its first record: before that there is no
/// run.
#[must_use]
pub fn has_begun(sandbox: &Sandbox, folder: &str) -> bool {
    let journal = fs::read(sandbox.path().join(folder).join("journal.jsonl")).unwrap_or_default();
    journal.contains(&b'\n')
}
