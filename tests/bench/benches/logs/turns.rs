//! One run of one form after the other, watched from outside.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use msup_bench::figure::Point;

use crate::forms::{Form, Kind, Logs};
use crate::seen::{self, Seen};
use crate::surroundings::Surroundings;

/// How often processes, threads and memory are looked at.
const EVERY: Duration = Duration::from_millis(200);
/// How often reports are counted, too. That takes some milliseconds.
const EVERY_COUNT: Duration = Duration::from_millis(500);

/// What was seen of one run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Seconds.
    pub(crate) wall: f64,
    /// How it ended, if it has not written all reports.
    pub(crate) died: Option<String>,
    pub(crate) most: Seen,
    pub(crate) reports: usize,
    /// Logarithm of the threads, and MB/s; empty unless it was watched.
    pub(crate) points: Vec<Point>,
    /// Of msup.
    pub(crate) summary: Option<serde_json::Value>,
}

impl Ran {
    /// What became of it, in one line. `reports` is how many there should be, `bytes` the size of
    /// the lines.
    pub(crate) fn story(&self, reports: usize, bytes: f64) -> String {
        let Ran { wall, most, .. } = self;
        let what = match &self.died {
            Some(how) => format!("{how} after {wall:.1} s, {} of {reports} reports", self.reports),
            None => format!("{wall:.1} s, {:.1} MB/s", bytes / 1e6 / wall),
        };
        let Seen { processes, threads, memory } = most;
        format!("{what}; {processes} processes, {threads} threads, {} MiB", memory >> 20)
    }
}

/// Runs forms one after the other.
#[derive(Debug)]
pub(crate) struct Turns<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) logs: &'a Logs,
    /// The checksum of the reports of the first run.
    expected: Option<u64>,
    different: Vec<&'static str>,
}

impl<'a> Turns<'a> {
    /// Reports, journals and messages are written below `folder`.
    pub(crate) fn new(folder: &'a Path, logs: &'a Logs) -> Turns<'a> {
        Turns { folder, logs, expected: None, different: Vec::new() }
    }

    /// # Errors
    /// Names the forms whose reports were not those of the first run.
    pub(crate) fn verdict(&self) -> io::Result<()> {
        match self.different.as_slice() {
            [] => Ok(()),
            forms => Err(io::Error::other(format!("other reports: {}", forms.join(", ")))),
        }
    }

    /// Runs a form once. If it `is_watched`, its reports are counted while it runs.
    ///
    /// # Errors
    /// It cannot be started or watched.
    pub(crate) fn take(
        &mut self,
        form: &Form,
        surroundings: &Surroundings,
        is_watched: bool,
    ) -> io::Result<Ran> {
        let reports = self.folder.join("reports");
        if reports.exists() {
            fs::remove_dir_all(&reports)?;
        }
        fs::create_dir(&reports)?;
        if surroundings.has_little_memory {
            // Pages of files would be counted, and could be freed when memory is short.
            self.logs.recall()?;
        } else {
            self.logs.forget()?;
        }
        rustix::fs::sync();
        let counted = is_watched.then_some(&*reports);
        let command = surroundings.entered();
        let began = Instant::now();
        let mut child = self.started(form, command, &reports)?;
        let (done, is_done) = channel::<()>();
        let (status, wall, (most, points)) = thread::scope(|scope| {
            let (pid, logs) = (child.id() as i32, self.logs);
            let watcher = scope.spawn(move || watch(pid, logs, counted, surroundings, &is_done));
            let status = child.wait();
            let wall = began.elapsed().as_secs_f64();
            drop(done);
            (status, wall, watcher.join().unwrap_or_default())
        });
        let written = checksum(&reports)?;
        let died = self.judge(form, status?, written);
        let summary = (form.kind == Kind::Msup && died.is_none()).then(|| self.summary());
        let summary = summary.transpose()?;
        Ok(Ran { wall, died, most, reports: written.0, points, summary })
    }

    fn started(&self, form: &Form, mut command: Command, reports: &Path) -> io::Result<Child> {
        command
            .args(&form.command)
            .arg(reports)
            .stdin(File::open(&self.logs.list)?)
            .stdout(Stdio::null())
            .stderr(File::create(self.folder.join("said"))?)
            // msup's journals.
            .env("XDG_STATE_HOME", self.folder)
            .spawn()
    }

    fn summary(&self) -> io::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&fs::read(self.folder.join("summary.json"))?)?)
    }

    /// How a run ended that has not written the reports of all logs without poison.
    fn judge(&mut self, form: &Form, status: ExitStatus, written: (usize, u64)) -> Option<String> {
        let (count, sum) = written;
        if let Some(signal) = status.signal() {
            return Some(format!("killed by signal {signal}"));
        }
        if count != self.logs.good() {
            let said = fs::read_to_string(self.folder.join("said")).unwrap_or_default();
            // Go prints all its stacks after the error.
            let fatal = said.lines().find(|line| line.starts_with("fatal error"));
            let why = fatal.or(said.lines().last()).unwrap_or("without a message");
            return Some(format!("failed ({why})"));
        }
        if *self.expected.get_or_insert(sum) != sum && !self.different.contains(&form.name) {
            self.different.push(form.name);
        }
        None
    }
}

/// Looks at a process tree until it is done: the largest numbers, and a point for each time if
/// reports are `counted` in that folder.
fn watch(
    pid: i32,
    logs: &Logs,
    counted: Option<&Path>,
    surroundings: &Surroundings,
    is_done: &Receiver<()>,
) -> (Seen, Vec<Point>) {
    let every = if counted.is_some() { EVERY_COUNT } else { EVERY };
    let one = logs.bytes / 1e6 / logs.good() as f64;
    let (began, mut most, mut points) = (Instant::now(), Seen::default(), Vec::new());
    let (mut before, mut reports_before) = (0.0, 0);
    while is_done.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let mut now = seen::tree(pid);
        now.memory = surroundings.memory().unwrap_or(now.memory);
        most = most.at_least(now);
        if let Some(folder) = counted {
            let seconds = began.elapsed().as_secs_f64();
            let reports = fs::read_dir(folder).map_or(0, Iterator::count);
            let rate = reports.saturating_sub(reports_before) as f64 * one / (seconds - before);
            points.push(Point { seconds, values: [(now.threads.max(1) as f64).log10(), rate] });
            (before, reports_before) = (seconds, reports);
        }
    }
    (most, points)
}

/// How many reports there are, and a checksum of their names and contents.
fn checksum(folder: &Path) -> io::Result<(usize, u64)> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let mut sum = DefaultHasher::new();
    for path in &paths {
        path.file_name().hash(&mut sum);
        fs::read(path)?.hash(&mut sum);
    }
    Ok((paths.len(), sum.finish()))
}
