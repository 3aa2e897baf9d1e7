//! A pipeline: its tasks on their way to the engine, what has become of them on the way back, and
//! temporary outputs that are removed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use msup_protocol::crash;

use super::Run;
use crate::cli::{Disk, PipelineError, PipelinePlan, write_history};
use crate::engine::{Earlier, Effect, Entry, Event, Input, Tried, Turn};
use crate::journal::{Made, runs};
use crate::output::{Delivery, Piece};
use crate::pipeline::{
    Files, GatheredLists, Pipeline, Removal, Separator, StepFate, TaskEnd, TaskId, TaskOrder,
    TaskStep,
};
use crate::report::escape;
use crate::report::stages::StageFigures;
use crate::template::Stages;

/// What becomes of at most this number of tasks is decided in one turn of the event loop.
const DECIDED_AT_ONCE: usize = 2000;

/// The pipeline of a run.
pub(super) struct PipelineRun {
    pub(super) pipeline: Pipeline,
    stages: Rc<Stages>,
    /// The folder with the lists of what is gathered.
    folder: PathBuf,
    /// The file, as the user named it.
    pub(super) file: PathBuf,
    /// The tasks that were handed out, by their numbers.
    tasks: HashMap<u64, (TaskId, TaskStep)>,
    /// What has come in with the outcome of a task, until its end is recorded.
    made: HashMap<u64, Made>,
    values: HashMap<u64, Vec<Vec<u8>>>,
    /// Temporary outputs that are removed once the journal says that nothing needs them.
    removals: Vec<Removal>,
    has_ended: bool,
}

impl PipelineRun {
    pub(super) fn new(plan: PipelinePlan) -> PipelineRun {
        let PipelinePlan { pipeline, stages, folder, file, .. } = plan;
        PipelineRun {
            pipeline,
            stages,
            folder,
            file,
            tasks: HashMap::new(),
            made: HashMap::new(),
            values: HashMap::new(),
            removals: Vec::new(),
            has_ended: false,
        }
    }

    /// Whether more can be decided at once.
    pub(super) fn has_more(&self) -> bool {
        self.pipeline.has_undecided()
    }

    /// Writes the history: all that the journal says, if the run is `complete`; else only what
    /// `--check hash` has found out, and the next run reads the journal.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write_history(&self, complete: bool) -> Result<(), PipelineError> {
        match complete || self.pipeline.counts_by_content() {
            true => write_history(&self.folder, self.pipeline.history(), complete),
            false => Ok(()),
        }
    }

    /// The stages in figures.
    pub(super) fn figures(&self) -> Vec<StageFigures> {
        let figures = self.pipeline.counts().into_iter().map(|counts| StageFigures {
            name: counts.name,
            tasks: counts.tasks as u64,
            succeeded: counts.succeeded as u64,
            up_to_date: counts.up_to_date as u64,
            failed: counts.failed as u64,
            skipped: counts.skipped as u64,
            left: counts.left as u64,
            kept_temporary: counts.kept_temporary as u64,
        });
        figures.collect()
    }

    /// The name of the stage of the task with this number.
    pub(super) fn stage_of(&self, seq: u64) -> Option<String> {
        let (task, _) = self.tasks.get(&seq)?;
        Some(String::from_utf8_lossy(&self.stages.get(task.stage).name).into_owned())
    }

    /// Writes the lists of what a task gathers.
    ///
    /// # Errors
    /// They cannot be written, or a path holds a newline and is to stand on a line.
    fn write_lists(&self, order: &TaskOrder) -> io::Result<()> {
        let Some(GatheredLists { paths, reads_lines }) = &order.lists else { return Ok(()) };
        let name = String::from_utf8_lossy(&self.stages.get(order.task.stage).name).into_owned();
        if *reads_lines && paths.iter().any(|path| path.contains(&b'\n')) {
            return Err(io::Error::other("a path holds a newline: use {list0}"));
        }
        for (end, separator) in [("list", b'\n'), ("list0", b'\0')] {
            let path = self.folder.join(format!("{name}.{end}"));
            let mut list = Vec::new();
            for path in paths {
                list.extend_from_slice(path);
                list.push(separator);
            }
            let temporary = self.folder.join(format!("{name}.{end}.new"));
            File::create(&temporary)?.write_all(&list)?;
            fs::rename(&temporary, &path)?;
        }
        Ok(())
    }

    /// What the engine takes in for a task.
    fn input(&self, order: &TaskOrder) -> Input {
        let earlier = match (&order.refused, order.unfinished) {
            (Some(why), _) => Earlier::Refused(why.clone()),
            (None, Some(past)) => Earlier::Tried(Tried {
                attempts: past.attempts,
                failures: past.failures,
                crashes: past.crashes,
                is_suspect: past.is_suspect,
                alone: past.alone,
                ..Tried::default()
            }),
            (None, None) => Earlier::Nothing,
        };
        let turn = Turn { rank: order.rank, expected: order.expected };
        Input { value: order.value.clone(), turn, earlier, ..Input::default() }
    }
}

impl Run {
    /// Hands out tasks that may run, and the end of the pipeline.
    pub(super) fn feed_pipeline(&mut self, effects: &mut Vec<Effect>) {
        let Some(fed) = &mut self.inputs.pipeline else { return };
        fed.pipeline.advance(DECIDED_AT_ONCE, &mut Disk);
        fed.removals.extend(fed.pipeline.take_removals());
        while !self.engine.is_stopped() {
            let wants_first = self.engine.wants_input();
            let Some(fed) = &mut self.inputs.pipeline else { return };
            let room = self.segments.shared().tasks.len() as u32;
            let Some(mut order) = fed.pipeline.take(wants_first, room) else { break };
            let seq = self.engine.accepted_values() + 1;
            let step = TaskStep::of(&order, runs::now_ns());
            if !fed.pipeline.is_refused(order.task) {
                self.log.note_step(seq, &step);
            }
            fed.tasks.insert(seq, (order.task, step));
            fed.stages.give(seq, order.task.stage, order.arguments.take());
            if let Err(why) = fed.write_lists(&order) {
                order.refused = Some(format!("the list of what is gathered: {why}"));
            }
            let mut input = fed.input(&order);
            if let Some(commits) = &mut self.commits {
                commits.claim(&mut input, seq);
            }
            self.engine.step(Event::Inputs(vec![input]), self.clock.now(), effects);
        }
        let Some(fed) = &mut self.inputs.pipeline else { return };
        if fed.pipeline.is_over() && !std::mem::replace(&mut fed.has_ended, true) {
            self.engine.step(Event::InputsEnded, self.clock.now(), effects);
        }
    }

    /// Takes what a task emits out of its output.
    pub(super) fn take_values(&mut self, seq: u64, delivery: &mut Delivery) -> io::Result<()> {
        let Some(fed) = &mut self.inputs.pipeline else { return Ok(()) };
        let Some(separator) = fed.tasks.get(&seq).and_then(|(id, _)| fed.pipeline.emits(id.stage))
        else {
            return Ok(());
        };
        let printed = std::mem::replace(&mut delivery.stdout, Piece::Bytes(Vec::new()));
        let printed = printed.whole()?;
        let values = values_of(&printed, separator)?;
        self.log.note_values(seq, &values);
        fed.values.insert(seq, values);
        Ok(())
    }

    /// The file that a task has made.
    pub(super) fn note_made(&mut self, seq: u64, made: Option<Made>) {
        if let (Some(fed), Some(made)) = (&mut self.inputs.pipeline, made) {
            fed.made.insert(seq, made);
        }
    }

    /// A task has finished: its readers may run.
    pub(super) fn note_step_ended(&mut self, entry: &Entry) {
        let Some(fed) = &mut self.inputs.pipeline else { return };
        let Entry::End { seq, value, failure, wall, .. } = entry else { return };
        let Some((id, step)) = fed.tasks.remove(seq) else { return };
        self.commits.iter_mut().for_each(|commits| commits.give_up(value, *seq));
        let (made, values) = (fed.made.remove(seq).or(step.ran()), fed.values.remove(seq));
        // What it has emitted may be lost.
        let is_whole = values.is_some() || fed.pipeline.emits(id.stage).is_none();
        let values = values.unwrap_or_default();
        let (fate, ended) = match failure {
            None if is_whole => {
                let seconds = wall.as_secs_f64();
                let fate = StepFate::Succeeded { made, values: values.clone(), seconds };
                (fate, TaskEnd::Succeeded { made, values })
            }
            _ => (StepFate::Failed, TaskEnd::Failed),
        };
        fed.pipeline.ended(id, ended);
        // What must not run has not run: its file is still not its own.
        if !fed.pipeline.is_refused(id) {
            step.note(fate, fed.pipeline.history_mut());
        }
        fed.pipeline.note_content(id, &mut Disk);
    }

    /// The end of a task was recorded: nothing is asked about it any more.
    pub(super) fn forget_step(&mut self, seq: u64) {
        if let Some(fed) = &self.inputs.pipeline {
            fed.stages.forget(seq);
        }
    }

    /// Removes temporary outputs that nothing needs. The journal says so.
    pub(super) fn remove_temporaries(&mut self) {
        let Some(fed) = &mut self.inputs.pipeline else { return };
        for Removal { path, made } in fed.removals.drain(..) {
            if Disk.look(&path) == Some(made) {
                // CRASH: ends_before_removal. The output stays; the next run removes it.
                crash::point("ends_before_removal");
                let path = Path::new(std::ffi::OsStr::from_bytes(&path));
                if let Err(why) = fs::remove_file(path) {
                    let path = escape::message(path.as_os_str().as_bytes());
                    self.shown.say(&format!("{path}: this temporary output stays: {why}"));
                }
            }
        }
    }
}

/// The values in what a task has printed; empty ones are none, as in sources.
///
/// # Errors
/// A line holds a NUL byte.
fn values_of(printed: &[u8], separator: Separator) -> io::Result<Vec<Vec<u8>>> {
    let byte = match separator {
        Separator::Lines => b'\n',
        Separator::Null => 0,
    };
    if byte != 0 && printed.contains(&0) {
        return Err(io::Error::other("it holds a NUL byte (use emits = \"null\")"));
    }
    let values = printed.split(|at| *at == byte).filter(|value| !value.is_empty());
    Ok(values.map(<[u8]>::to_vec).collect())
}
