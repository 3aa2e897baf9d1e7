//! The commands of a pipeline's stages. What a task gets as arguments is known by its number; its
//! value names its stage and its item for people.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::time::Duration;

use msup_protocol::codec::Program;

use super::error::OutFileError;
use super::output_path::{OutFile, OutTemplate};
use super::{Facts, Template, Totals};
use crate::arguments::{self, Length};

/// What stands between two arguments in the line of a task.
const TAB: u8 = b'\t';

/// The stage of a task, and its arguments, if it has any.
type Given = (usize, Option<Vec<u8>>);

/// The commands of all stages, in the order of the file.
#[derive(Debug)]
pub(crate) struct Stages {
    jobs: Vec<StageJob>,
    /// The stages and the arguments of tasks that have not finished, by their numbers.
    given: RefCell<HashMap<u64, Given>>,
}

/// The files that tasks make.
#[derive(Clone, Debug)]
pub(crate) enum OutFiles {
    /// Each task makes one (`--out`).
    Each(OutTemplate),
    /// Tasks of some stages of a pipeline do.
    Stages(Rc<Stages>),
}

impl OutFiles {
    /// The file that the task with this value and number makes, if it makes one.
    ///
    /// # Errors
    /// It has no usable path.
    pub(crate) fn file(&self, value: &[u8], seq: u64) -> Result<Option<OutFile>, OutFileError> {
        match self {
            OutFiles::Each(template) => template.file(value, seq).map(Some),
            OutFiles::Stages(stages) => stages.file(seq),
        }
    }
}

/// What one stage does.
#[derive(Debug)]
pub(crate) struct StageJob {
    pub(crate) name: Vec<u8>,
    pub(crate) template: Template,
    /// The command where nothing was gathered: `{inputs}` is nothing there.
    pub(crate) for_none: Option<Box<Template>>,
    /// A program that keeps running and reads a line for each task, instead of the command.
    pub(crate) program: Option<Box<Program>>,
    /// The number of arguments that such a line has.
    pub(crate) fields: usize,
    pub(crate) out: Option<OutTemplate>,
    /// The command before anything is put into it, and what runs it.
    pub(crate) outline: Vec<u8>,
    /// It reads a list with a path on each line.
    pub(crate) reads_lines: bool,
    /// Limits of each task: bytes that a process may have, threads, time.
    pub(crate) memory: Option<u64>,
    pub(crate) threads: Option<u32>,
    pub(crate) timeout: Option<Duration>,
}

impl Stages {
    pub(crate) fn new(jobs: Vec<StageJob>) -> Stages {
        Stages { jobs, given: RefCell::default() }
    }

    pub(crate) fn get(&self, stage: usize) -> &StageJob {
        &self.jobs[stage]
    }

    /// The programs that keep running.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.jobs.iter().filter_map(|job| job.program.as_deref())
    }

    /// The shortest time limit that one has.
    pub(crate) fn shortest_time_limit(&self) -> Option<Duration> {
        self.jobs.iter().filter_map(|job| job.timeout).min()
    }

    /// The task with this number is one of this stage, and has these arguments.
    pub(crate) fn give(&self, seq: u64, stage: usize, arguments: Option<Vec<u8>>) {
        self.given.borrow_mut().insert(seq, (stage, arguments));
    }

    /// The task with this number has finished.
    pub(crate) fn forget(&self, seq: u64) {
        self.given.borrow_mut().remove(&seq);
    }

    /// The stage of this task, and its arguments, if it has not finished.
    pub(crate) fn of(&self, seq: u64) -> Option<(&StageJob, Option<Vec<u8>>)> {
        let (stage, arguments) = self.given.borrow().get(&seq)?.clone();
        Some((&self.jobs[stage], arguments))
    }

    /// The file that the task with this number makes, if it makes one.
    ///
    /// # Errors
    /// It has no usable path.
    fn file(&self, seq: u64) -> Result<Option<OutFile>, OutFileError> {
        let Some((job, arguments)) = self.of(seq) else { return Ok(None) };
        let file = |out: &OutTemplate| out.file(arguments.as_deref().unwrap_or_default(), 0);
        job.out.as_ref().map(file).transpose()
    }
}

impl StageJob {
    /// The template for these arguments.
    pub(crate) fn template(&self, arguments: Option<&[u8]>) -> &Template {
        match (&self.for_none, arguments) {
            (Some(template), None) => template,
            _ => &self.template,
        }
    }

    /// What the program reads for a task with these arguments, with tabs between them. `out`: the
    /// file that it makes, if it makes one.
    pub(crate) fn line(&self, arguments: &[u8], out: Option<&[u8]>) -> Vec<u8> {
        let fields = arguments::split(arguments).take(self.fields).chain(out);
        fields.collect::<Vec<_>>().join(&TAB)
    }

    /// Whether the command is short enough with these arguments.
    pub(crate) fn fits(&self, joined: &[u8], room: Length) -> bool {
        let each = arguments::split(joined).map(|argument| self.template.length_of(argument));
        each.fold(self.template.length(), Length::and).fits(room)
    }

    /// Whether a program could not tell where the arguments of a task end.
    pub(crate) fn cannot_read(&self, arguments: &[u8]) -> bool {
        let is_cut = |byte: &u8| matches!(*byte, TAB | b'\n');
        self.program.is_some() && arguments.iter().any(is_cut)
    }

    /// The output of a task with these arguments; empty if the stage has none.
    ///
    /// # Errors
    /// It has no usable path.
    pub(crate) fn output(&self, arguments: Option<&[u8]>) -> Result<Vec<u8>, OutFileError> {
        let Some(out) = &self.out else { return Ok(Vec::new()) };
        let file = out.file(arguments.unwrap_or_default(), 0)?;
        Ok(file.path().as_os_str().as_bytes().to_vec())
    }

    /// The command of a task with these arguments, as a person could paste it into a shell.
    pub(crate) fn command(&self, arguments: Option<&[u8]>) -> Vec<u8> {
        let out = self.output(arguments).unwrap_or_default();
        let facts = Facts { seq: 0, threads: 1, out: &out, totals: Totals::default() };
        self.template(arguments).display(arguments.unwrap_or_default(), facts)
    }
}
