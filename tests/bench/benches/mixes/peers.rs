//! The same work with xargs, GNU parallel and msup.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::work::Work;

/// What msup tells of a run.
pub(crate) struct Ran {
    pub(crate) wall: f64,
    pub(crate) mean: f64,
    pub(crate) peak: u64,
    pub(crate) debt: f64,
    /// The part of one CPU that measuring took.
    pub(crate) sampling: f64,
}

fn started(program: &str, arguments: &[String], work: &Work) -> io::Result<Child> {
    let mut command = match &work.group {
        None => Command::new(program),
        Some(group) => {
            let mut inside = Command::new("sh");
            inside.args(["-c", "echo 0 >\"$0\" && exec \"$@\""]);
            inside.arg(group.join("cgroup.procs")).arg(program);
            inside
        }
    };
    command
        .args(arguments)
        .args(&work.command)
        .stdin(File::open(&work.list)?)
        .stdout(Stdio::null())
        // Each refused download prints a message.
        .stderr(Stdio::null())
        .env("LOAD_FILE", work.folder.join("lock"))
        .env("LOAD_FOLDER", &work.folder)
        // msup's journals.
        .env("XDG_STATE_HOME", &work.folder)
        .process_group(0)
        .spawn()
}

/// Seconds within which every run finishes.
const FOR_EVER: f64 = 1e6;

/// What became of a run.
pub(crate) enum Outcome {
    /// It finished after this number of seconds.
    Took(f64),
    /// It would have taken longer than the limit.
    Late,
    /// Commands failed.
    Failed,
    /// The program is not installed.
    Absent,
}

fn wall(mut child: Child, began: Instant, limit: f64, work: &Work) -> io::Result<Outcome> {
    let pid = Pid::from_child(&child);
    let (tell, told) = mpsc::channel();
    // Looking every few milliseconds whether it has exited would take CPU time from the commands
    // that are measured.
    let waiter = thread::spawn(move || tell.send((child.wait(), began.elapsed().as_secs_f64())));
    if let Ok((outcome, wall)) = told.recv_timeout(Duration::from_secs_f64(limit.min(FOR_EVER))) {
        return Ok(if outcome?.success() { Outcome::Took(wall) } else { Outcome::Failed });
    }
    // xargs and what it started: its own group.
    let _ = kill_process_group(pid, Signal::KILL);
    let _ = waiter.join();
    // Only xargs itself can be waited for. What it had started would be beside the next one for a
    // moment.
    thread::sleep(Duration::from_millis(200));
    if let Some(group) = &work.group {
        // Processes that swap take long to exit, and would slow the next run down.
        while !fs::read(group.join("cgroup.procs"))?.is_empty() {
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(Outcome::Late)
}

pub(crate) fn xargs(work: &Work, number: u32, limit: f64) -> io::Result<Outcome> {
    let began = Instant::now();
    let arguments = ["-P", &number.to_string(), "-n", "1"].map(str::to_owned);
    wall(started("xargs", &arguments, work)?, began, limit, work)
}

pub(crate) fn parallel(work: &Work, limit: f64) -> io::Result<Outcome> {
    let began = Instant::now();
    match started("parallel", &["--will-cite", "-q"].map(str::to_owned), work) {
        Ok(child) => wall(child, began, limit, work),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Outcome::Absent),
        Err(why) => Err(why),
    }
}

/// msup as cargo has built it for benchmarks, with these options; `None` when commands failed.
pub(crate) fn msup(work: &Work, options: &[&str]) -> io::Result<Option<Ran>> {
    let summary = work.folder.join("summary.json");
    let began = Instant::now();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_load")).with_file_name("msup");
    let path = summary.display().to_string();
    let arguments: Vec<String> = ["--quiet", "--summary", &path]
        .iter()
        .chain(options)
        .map(|word| word.to_string())
        .collect();
    let child = started(&program.display().to_string(), &arguments, work)?;
    let Outcome::Took(wall) = wall(child, began, f64::INFINITY, work)? else { return Ok(None) };
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(summary)?)?;
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    Ok(Some(Ran {
        wall,
        mean: number(&summary["in_flight"]["mean"]),
        peak: summary["in_flight"]["peak"].as_u64().unwrap_or(0),
        debt: number(&summary["debt_seconds"]),
        sampling: number(&summary["sampling_seconds"]) / wall,
    }))
}
