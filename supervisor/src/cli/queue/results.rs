//! Shows results of a queue: the outputs of tasks, a joblog, a summary, and a report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Stdout, Write, stderr};
use std::path::PathBuf;

use msup_cluster::{
    Arrived, ClusterError, Count, Login, Meta, Reading, ResultRecord, Spent, TaskState,
};
use msup_protocol::exit;

use super::QueueError;
use crate::cli::Refusal;
use crate::cli::args::{Args, Typed};
use crate::cli::plan::Described;
use crate::os::{files, leftovers};
use crate::report::escape;
use crate::report::joblog::{Joblog, Sends};
use crate::report::summary::Summary;
use crate::template::{Totals, temporaries_of};

/// The number of failures that are named.
const NAMED: usize = 10;

/// Outputs that wait for their turn beyond this many bytes go to a file.
const HELD_IN_MEMORY: usize = 16 << 20;

/// A reader that has gone, as a shell reports it.
const SIGPIPE: u8 = 13;

const US_PER_S: f64 = 1e6;

/// What is wanted besides the outputs.
#[derive(Debug)]
pub(super) struct WantedResults {
    /// Outputs are shown in the order of the input.
    keep_order: bool,
    joblog: Option<PathBuf>,
    summary: Option<PathBuf>,
    quiet: bool,
}

impl WantedResults {
    pub(super) fn of(args: &Args, keep_order: bool) -> WantedResults {
        let (joblog, summary) = (args.joblog.clone(), args.reporting.summary.clone());
        WantedResults { keep_order, joblog, summary, quiet: args.reporting.quiet }
    }

    pub(super) fn in_order(joblog: Option<PathBuf>, summary: Option<PathBuf>) -> WantedResults {
        WantedResults { keep_order: true, joblog, summary, quiet: false }
    }

    /// The first of them that was typed.
    pub(super) fn first_flag(&self) -> Option<&'static str> {
        match self {
            WantedResults { keep_order: true, .. } => Some("keep-order"),
            WantedResults { joblog: Some(_), .. } => Some("joblog"),
            WantedResults { summary: Some(_), .. } => Some("summary"),
            _ => None,
        }
    }
}

/// The outputs of a task that waits for its turn.
enum HeldOutput {
    Here([Vec<u8>; 2]),
    /// In the file: where, and how many bytes of each stream.
    There(u64, [usize; 2]),
}

/// What is shown, and what is known of all that was.
pub(super) struct ShownResults {
    wanted: WantedResults,
    out: BufWriter<Stdout>,
    joblog: Option<(Joblog, Described, Totals)>,
    /// The number of the task whose output is shown next, and those that wait.
    next: u64,
    held: BTreeMap<u64, HeldOutput>,
    in_memory: usize,
    spool: Option<File>,
    states: HashMap<u64, TaskState>,
    failures: BTreeMap<u64, ResultRecord>,
    /// The folders of files that were made.
    folders: BTreeSet<PathBuf>,
    /// When the first one began and the last one finished, in microseconds since 1970.
    span: Option<(u64, u64)>,
    cpu_us: u64,
    attempts: u64,
}

impl ShownResults {
    /// # Errors
    /// A file cannot be written, or the job not be described.
    pub(super) fn begin(login: &Login, wanted: WantedResults) -> Result<ShownResults, Refusal> {
        let joblog = wanted.joblog.as_deref().map(|path| {
            let meta = msup_cluster::described(login).map_err(QueueError::from)?;
            let described = described(&meta)?;
            let totals = Totals { tasks: meta.total, slots: 1 };
            Ok::<_, Refusal>((Joblog::open(path, false, Sends::Unknown)?, described, totals))
        });
        if let Some(path) = &wanted.summary {
            files::check_replaceable(path).map_err(|why| summary_error(path.clone(), why))?;
        }
        Ok(ShownResults {
            joblog: joblog.transpose()?,
            wanted,
            out: BufWriter::new(io::stdout()),
            next: 1,
            held: BTreeMap::new(),
            in_memory: 0,
            spool: None,
            states: HashMap::new(),
            failures: BTreeMap::new(),
            folders: BTreeSet::new(),
            span: None,
            cpu_us: 0,
            attempts: 0,
        })
    }

    /// Takes in a result.
    ///
    /// # Errors
    /// Its output cannot be shown.
    pub(super) fn take(&mut self, arrived: Arrived) -> io::Result<()> {
        let Arrived { record, outputs } = arrived;
        let is_corrected = self.states.insert(record.seq, record.state).is_some();
        self.log(&record, &outputs);
        let seq = record.seq;
        self.note(record);
        if is_corrected {
            // Its output was shown, or waits.
            return Ok(());
        }
        if !self.wanted.keep_order {
            show(&mut self.out, &outputs)?;
            return self.out.flush();
        }
        self.hold(seq, outputs)?;
        while let Some(output) = self.held.remove(&self.next) {
            self.next += 1;
            self.show_held(output)?;
        }
        Ok(())
    }

    fn note(&mut self, record: ResultRecord) {
        let Spent { began_us, wall_us, cpu_us, .. } = record.spent;
        if began_us > 0 {
            let (first, last) = self.span.unwrap_or((u64::MAX, 0));
            self.span = Some((first.min(began_us), last.max(began_us.saturating_add(wall_us))));
        }
        self.cpu_us = self.cpu_us.saturating_add(cpu_us);
        self.attempts += u64::from(record.attempts);
        let place = record.file.as_ref().map(|file| file.target.path());
        self.folders.extend(place.and_then(|path| Some(path.parent()?.to_owned())));
        match record.state {
            TaskState::Succeeded => drop(self.failures.remove(&record.seq)),
            _ => drop(self.failures.insert(record.seq, record)),
        }
    }

    fn log(&mut self, record: &ResultRecord, outputs: &[Vec<u8>; 2]) {
        let Some((joblog, described, totals)) = &mut self.joblog else { return };
        let command = described.task(&record.value, record.seq, *totals);
        let times = [record.spent.began_us, record.spent.wall_us].map(|us| us as f64 / US_PER_S);
        let received = outputs.iter().map(|output| output.len() as u64).sum();
        let ended = (record.status, record.signal);
        joblog.add_finished(record.seq, times.into(), received, ended, &command);
        let _ = joblog.flush();
    }

    /// Keeps outputs until it is their turn, many of them in a file.
    fn hold(&mut self, seq: u64, outputs: [Vec<u8>; 2]) -> io::Result<()> {
        let len = outputs[0].len() + outputs[1].len();
        if seq == self.next || self.in_memory + len <= HELD_IN_MEMORY {
            self.in_memory += len;
            self.held.insert(seq, HeldOutput::Here(outputs));
            return Ok(());
        }
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(tempfile::tempfile()?),
        };
        let at = spool.seek(SeekFrom::End(0))?;
        outputs.iter().try_for_each(|output| spool.write_all(output))?;
        let lens = [outputs[0].len(), outputs[1].len()];
        self.held.insert(seq, HeldOutput::There(at, lens));
        Ok(())
    }

    fn show_held(&mut self, output: HeldOutput) -> io::Result<()> {
        let outputs = match (output, &mut self.spool) {
            (HeldOutput::Here(outputs), _) => {
                self.in_memory -= outputs[0].len() + outputs[1].len();
                outputs
            }
            (HeldOutput::There(at, lens), Some(spool)) => {
                let mut outputs = lens.map(|len| vec![0; len]);
                spool.seek(SeekFrom::Start(at))?;
                outputs.iter_mut().try_for_each(|output| spool.read_exact(output))?;
                outputs
            }
            (HeldOutput::There(..), None) => return Ok(()),
        };
        show(&mut self.out, &outputs)
    }

    /// Shows what is left, says how the job has gone, and returns the exit status: as of a run on
    /// one machine if all is done, else 1.
    ///
    /// # Errors
    /// The results could not be read, or a file not be written.
    pub(super) fn finish(mut self, reading: Result<Reading, ClusterError>) -> Result<u8, Refusal> {
        let reading = match reading {
            Err(ClusterError::Shown(why)) if why.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(exit::SIGNAL_BASE + SIGPIPE);
            }
            Err(ClusterError::Shown(why)) => return Err(Refusal::Stdout(why)),
            reading => reading.map_err(QueueError::from)?,
        };
        for output in std::mem::take(&mut self.held).into_values() {
            self.show_held(output).map_err(Refusal::Stdout)?;
        }
        self.out.flush().map_err(Refusal::Stdout)?;
        let mut count = Count::default();
        self.states.values().for_each(|state| count.add(*state));
        let failures = count.failed + count.quarantined;
        let mut status = match reading.is_done {
            true => exit::for_failures(failures),
            false => exit::for_failures(1),
        };
        let trouble = self.joblog.as_mut().and_then(|(joblog, ..)| joblog.finish());
        if trouble.is_some() {
            status = exit::ERROR;
        }
        if reading.is_done {
            self.remove_temporaries(&reading.meta);
        }
        if let Some(path) = &self.wanted.summary {
            let summary = self.summary(&reading, count, status);
            summary.write(path).map_err(|why| summary_error(path.clone(), why))?;
        }
        let mut text = String::new();
        if !self.wanted.quiet {
            text = self.text(&reading, count);
        }
        text.extend(trouble.map(|trouble| format!("msup: {}\n", escape::message(trouble))));
        // The exit status says it all where this cannot be printed.
        let _ = stderr().write_all(text.as_bytes());
        Ok(status)
    }

    fn text(&self, reading: &Reading, count: Count) -> String {
        let (total, finished) = (reading.meta.total, count.sum());
        let mut text = match reading.is_done {
            true => format!("msup: {} of {total} tasks succeeded", count.succeeded),
            false => format!(
                "msup: {finished} of {total} tasks have finished: {} succeeded",
                count.succeeded
            ),
        };
        for (number, what) in [(count.failed, "failed"), (count.quarantined, "quarantined")] {
            if number > 0 {
                text += &format!(", {number} {what}");
            }
        }
        if reading.is_cancelled && !reading.is_done {
            text += "; the job was cancelled";
        }
        text.push('\n');
        for record in self.failures.values().take(NAMED) {
            let is_quarantined = record.state == TaskState::Quarantined;
            let how = if is_quarantined { "was quarantined" } else { "failed" };
            let cause = escape::cause(record.cause.as_deref().unwrap_or_default());
            let (seq, value) = (record.seq, escape::value(&record.value));
            text += &format!("msup: task {seq} {how}: {cause}: {value}\n");
        }
        if self.failures.len() > NAMED {
            text += &format!("msup: and {} more\n", self.failures.len() - NAMED);
        }
        text
    }

    fn summary(&self, reading: &Reading, count: Count, status: u8) -> Summary {
        let mut summary = Summary::new(reading.meta.id.clone(), 0, 0);
        summary.exit_status = status;
        summary.tasks.total = reading.meta.total;
        summary.tasks.succeeded = count.succeeded;
        summary.tasks.failed = count.failed;
        summary.tasks.quarantined = count.quarantined;
        summary.tasks.attempts = self.attempts;
        let (first, last) = self.span.unwrap_or_default();
        summary.wall_seconds = last.saturating_sub(first) as f64 / US_PER_S;
        summary.cpu_seconds = self.cpu_us as f64 / US_PER_S;
        summary
    }

    /// Removes what dead nodes have left beside the files that are complete. Where that is not
    /// allowed, it stays.
    fn remove_temporaries(&self, meta: &Meta) {
        let dead = [temporaries_of(&meta.id)];
        for folder in &self.folders {
            let _ = leftovers::sweep(folder, &dead);
        }
    }
}

fn show(out: &mut BufWriter<Stdout>, outputs: &[Vec<u8>; 2]) -> io::Result<()> {
    out.write_all(&outputs[0])?;
    if !outputs[1].is_empty() {
        out.flush()?;
        // A standard error that was closed is not missed.
        let _ = stderr().write_all(&outputs[1]);
    }
    Ok(())
}

fn summary_error(path: PathBuf, why: io::Error) -> Refusal {
    QueueError::Summary { path, why }.into()
}

/// What a job does with its values, for logs.
fn described(meta: &Meta) -> Result<Described, Refusal> {
    let words = meta.flags.iter().cloned().map(OsString::from);
    let words = words.chain([OsString::from("--")]);
    let words = words.chain(meta.command.iter().cloned().map(OsString::from));
    let args = Args::read(words)?;
    match args {
        Typed::Flags(args) => Described::of_queue(args, meta.arguments),
        Typed::Help(_) => Err(QueueError::NoCommand.into()),
    }
}
