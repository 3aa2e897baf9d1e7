//! `msup report`: one or several runs in a page that needs nothing else.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::json;

use super::{log, printed};
use crate::cli::{Refusal, UsageError};
use crate::journal::{AttemptReader, Folder, JournalError, Record, Run};
use crate::os::files;
use crate::report::digest::{Digest, Lanes, RunExtent};
use crate::report::{escape, page, times};

/// Write a page about a run: what happened, charts over time, the time line of all tasks, failures.
/// The page is one file and loads nothing. Several runs are merged on one clock.
#[derive(Debug, Parser)]
#[command(name = "msup report", override_usage = "msup report [OPTIONS] [RUN]...")]
pub(crate) struct ReportCommand {
    /// The runs: ids, folders with a '/' (./FOLDER), files of pipelines, or last (default)
    runs: Vec<PathBuf>,

    /// The file to write; - for standard output [default: msup-report-ID.html]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A run, and what its journal says of it as a whole.
struct Reported {
    folder: Folder,
    run: Option<(Run, f64)>,
    /// Whether the last generation has finished, and all tasks with it.
    finished: Option<bool>,
    /// The number of its tasks, if the list was read to its end.
    total: Option<u64>,
}

impl ReportCommand {
    /// Writes the page.
    ///
    /// # Errors
    /// A run cannot be read, or the page cannot be written.
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        let folders = match self.runs.is_empty() {
            true => vec![log::folder_of(None)?],
            false => {
                let named = self.runs.iter().map(|run| log::folder_of(Some(run)));
                named.collect::<Result<_, _>>()?
            }
        };
        let mut seen = HashSet::new();
        let mut runs: Vec<Reported> = folders
            .into_iter()
            // A run that is named twice counts once.
            .filter(|folder| seen.insert(folder.path().canonicalize().ok()))
            .map(|folder| Reported { folder, run: None, finished: None, total: None })
            .collect();
        let (extent, under_way) = extent_of(&mut runs)?;
        let mut data = digest_of(&runs, extent)?.into_json();
        data["runs"] = runs.iter().map(Reported::to_json).collect();
        data["underWay"] = under_way.into();
        let path = self.output.clone().unwrap_or_else(|| default_path(&runs));
        if path.as_os_str() == "-" {
            let mut out = BufWriter::new(stdout().lock());
            return printed(page::write(&mut out, &data).and_then(|()| out.flush()));
        }
        written(&path, &data).map_err(|why| UsageError::Report { path: path.clone(), why })?;
        printed(writeln!(stdout(), "{}", escape::message(path.as_os_str().as_encoded_bytes())))
    }
}

/// Named after the run; a page about several is not taken for one about the first.
fn default_path(runs: &[Reported]) -> PathBuf {
    let id = runs[0].run.as_ref().map_or("run", |(run, _)| run.run.as_str());
    let more = match runs.len() - 1 {
        0 => String::new(),
        more => format!("-and-{more}-more"),
    };
    format!("msup-report-{id}{more}.html").into()
}

/// # Errors
/// A journal cannot be read.
fn extent_of(runs: &mut [Reported]) -> Result<(RunExtent, usize), JournalError> {
    let (mut extent, mut under_way) = (RunExtent::default(), 0);
    for (number, reported) in runs.iter_mut().enumerate() {
        let (mut reader, mut lanes) = (AttemptReader::default(), Lanes::default());
        let Reported { folder, run, finished, total } = reported;
        let damaged = folder.each_intact_record(|at, record| {
            extent.see(at);
            match &record {
                Record::Run(begun) => {
                    run.get_or_insert((begun.clone(), at));
                    *finished = None;
                }
                Record::InputsEnd { total: all } => {
                    let shard = run.as_ref().and_then(|(run, _)| run.shard);
                    *total = Some(shard.map_or(*all, |shard| shard.share_of(*all)));
                }
                Record::Finish { complete, .. } => *finished = Some(*complete),
                _ => {}
            }
            if let Some(told) = reader.take(at, record) {
                extent.look(number, lanes.lane_of(&told), &told);
            }
        })?;
        if run.is_none() {
            return Err(JournalError::NoJournal(folder.journal()));
        }
        log::say_damaged(folder, damaged.unwrap_or(0));
        under_way += log::under_way(folder, reader).count();
    }
    Ok((extent, under_way))
}

/// # Errors
/// A journal cannot be read.
fn digest_of(runs: &[Reported], extent: RunExtent) -> Result<Digest, JournalError> {
    let mut digest = Digest::new(extent);
    for (number, Reported { folder, .. }) in runs.iter().enumerate() {
        let (mut reader, mut lanes) = (AttemptReader::default(), Lanes::default());
        folder.each_record(|at, record| {
            if let Record::Sample(sample) = &record {
                digest.add_sample(at, sample);
            }
            if let Some(told) = reader.take(at, record) {
                digest.add(number, lanes.lane_of(&told), &told);
            }
        })?;
    }
    Ok(digest)
}

impl Reported {
    fn to_json(&self) -> serde_json::Value {
        let Some((run, began)) = &self.run else { return serde_json::Value::Null };
        let state = match self.finished {
            Some(true) => "finished",
            _ if self.folder.is_running() => "running",
            Some(false) => "stopped",
            None => "cut-off",
        };
        let path = self.folder.path();
        // As other commands name it.
        let is_by_id = path.file_name().is_some_and(|name| name == run.run.as_str());
        let name = if is_by_id { run.run.clone() } else { path.display().to_string() };
        json!({
            "id": run.run,
            "name": name,
            "command": log::command_of(&run.arguments),
            "folder": String::from_utf8_lossy(&run.folder.0),
            "began": times::local_with_zone(*began),
            "state": state,
            "total": self.total,
        })
    }
}

/// Writes the page as a whole, or not at all.
fn written(path: &Path, data: &serde_json::Value) -> io::Result<()> {
    files::replace(path, |file| {
        let mut out = BufWriter::new(file);
        page::write(&mut out, data)?;
        out.flush()
    })
}
