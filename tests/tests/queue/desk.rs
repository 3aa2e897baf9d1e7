//! A NATS server of a test, and the commands that use it.

use std::ffi::OsStr;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use msup_tests::{Sandbox, is_alive, kill, run, wait_until};
use nix::sys::signal::Signal;

/// A server, and a sandbox for what uses it.
pub(crate) struct Desk {
    server: Option<Child>,
    flags: Vec<String>,
    port: u16,
    secret: String,
    /// The job that tests use.
    pub(crate) job: &'static str,
    pub(crate) sandbox: Sandbox,
}

/// Servers listen below the ports that connections get: one of these would take a port that was
/// free a moment ago.
const FIRST_PORT: u16 = 10_000;
const PORTS: u32 = 20_000;

/// Each test program has this number of ports of its own.
const SERVERS: u32 = 64;
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The server, where it is installed.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = [PathBuf::from("/usr/sbin")];
    let folders = std::env::split_paths(&path).chain(usual);
    folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file())
}

/// Whether msup was built with queues.
pub(crate) fn has_queues(sandbox: &Sandbox) -> bool {
    let output = run(&mut sandbox.msup(["status", "nats://127.0.0.1:1/j.j"]));
    !String::from_utf8_lossy(&output.stderr).contains("without queues")
}

impl Desk {
    /// With a server; `None`, and a note, where there is none.
    pub(crate) fn open() -> Option<Desk> {
        Desk::open_with(&[], "")
    }

    /// The server has these flags; clients have `secret` before the host.
    pub(crate) fn open_with(flags: &[&str], secret: &str) -> Option<Desk> {
        let sandbox = Sandbox::new();
        if program().is_none() || !has_queues(&sandbox) {
            eprintln!("not tested: nats-server, or msup --features nats, is not there");
            return None;
        }
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + ((std::process::id() * SERVERS + nth) % PORTS) as u16;
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let secret = secret.to_owned();
        let mut desk = Desk { server: None, flags, port, secret, job: "job", sandbox };
        desk.start();
        Some(desk)
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) fn start(&mut self) {
        loop {
            let mut server = self.sandbox.command(program().expect("looked for"));
            let store = self.sandbox.path().join("nats");
            server.args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(store);
            server.args(&self.flags).stdout(Stdio::null()).stderr(Stdio::null());
            let mut server = server.spawn().expect("it is there");
            let mut exits = || server.try_wait().expect("ours").is_some();
            wait_until(|| exits() || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
            if !exits() {
                self.server = Some(server);
                return;
            }
            // Another program has this port.
            self.port += 1;
        }
    }

    /// Kills the server: nothing is told to anyone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            kill(server.id() as i32, Signal::SIGKILL);
            server.wait().expect("ours");
        }
    }

    /// Stops the server, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().expect("it runs");
        kill(server.id() as i32, signal);
    }

    pub(crate) fn url(&self) -> String {
        let Desk { port, secret, job, .. } = self;
        format!("nats://{secret}127.0.0.1:{port}/{job}")
    }

    /// `msup submit` of this command line to the job.
    pub(crate) fn submit<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Output {
        let mut msup = self.sandbox.msup(["submit", "--queue", &self.url(), "--lease", "2s"]);
        run(msup.args(words))
    }

    /// The same, which must succeed.
    pub(crate) fn submitted<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) {
        let output = self.submit(words);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }

    /// `msup node` with these flags.
    pub(crate) fn node(&self, flags: &[&str]) -> Command {
        let mut msup = self.sandbox.msup(["node", &self.url()]);
        msup.args(flags);
        msup
    }

    /// The same, started.
    pub(crate) fn started(&self, flags: &[&str]) -> Child {
        self.node(flags).stderr(Stdio::piped()).spawn().expect("it is built")
    }

    /// One of the other commands about the job.
    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        let (name, flags) = words.split_first().expect("a command");
        run(self.sandbox.msup([*name]).args(flags).arg(self.url()))
    }

    /// The number of tasks that have finished.
    pub(crate) fn finished(&self) -> u64 {
        let output = self.ask(&["status"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = text.split(' ').next().and_then(|number| number.parse().ok());
        first.unwrap_or_else(|| panic!("{text}{}", said(&output)))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a command has said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines on its standard output.
pub(crate) fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Kills a node, and with it its runner, whose guardians kill what it runs.
pub(crate) fn kill_node(sandbox: &Sandbox, mut node: Child) {
    let before = sandbox.processes();
    let runners: Vec<i32> = before
        .into_iter()
        .filter(|pid| msup_tests::parent_of(*pid) == Some(node.id() as i32))
        .collect();
    for pid in [&[node.id() as i32][..], &runners].concat() {
        kill(pid, Signal::SIGKILL);
    }
    node.wait().expect("ours");
    wait_until(|| runners.iter().all(|pid| !is_alive(*pid)));
}
