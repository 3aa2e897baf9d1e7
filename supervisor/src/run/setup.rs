//! Starts a run: makes its parts from the plan, each from the parts before it.

use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

use msup_protocol::layout::Sizes;
use msup_protocol::segment;

use super::Run;
use super::clock::Clock;
use super::commits::{Commits, Places};
use super::error::RunError;
use super::inputs::Inputs;
use super::reports::Reports;
use super::run_log::{OfRun, Opened, RunLog};
use super::segment_recovery::{Epoch, Epochs, Segments};
use super::serving;
use super::shown::Shown;
use super::stats::Figures;
use super::usage::{LENDABLE, Usage};
use super::wakeups::Wakeups;
use super::watching::Watch;
use crate::cli::shared_memory;
use crate::cli::{Concurrency, Keeping, Outputs, Plan, Work};
use crate::engine::{Engine, Leave, Limits, Policy};
use crate::os::cgroup::Groups;
use crate::os::files;
use crate::os::orphans::Orphanage;
use crate::os::process::{Inheritance, Recipe};
use crate::os::run_folder::RunFolder;
use crate::output::Style;
use crate::output::files::committer::Committer;
use crate::report::bar::Manner;
use crate::tasks::slots::Queue;
use crate::template::Job;
use crate::workers::processes::Crew;

/// The number of commands that may lie ready beyond those that run. Each is journaled before, and
/// again after a crash of msup.
const COMMANDS_AHEAD: u32 = 64;

/// What all parts of a run stand on.
struct Ground {
    folder: RunFolder,
    epochs: Epochs,
    epoch: Epoch,
    wakeups: Wakeups,
    orphanage: Orphanage,
    groups: Option<Rc<Groups>>,
}

impl Ground {
    /// `runs_commands`: workers run commands, not task loops.
    ///
    /// # Errors
    /// Something of it cannot be made.
    fn lay(
        concurrency: &Concurrency,
        leave: Leave,
        runs_commands: bool,
    ) -> Result<Ground, RunError> {
        let folder = RunFolder::create().map_err(RunError::Folder)?;
        let mut epochs = Epochs::new(
            sizes(concurrency),
            concurrency.procs,
            concurrency.nofile,
            folder.path().to_owned(),
            leave == Leave::Alone,
        );
        let epoch = epochs.begin()?;
        let wakeups = Wakeups::open()?;
        let orphanage = Orphanage::open().map_err(RunError::Subreaper)?;
        // Without control groups commands are measured and stopped process by process. With
        // `--leave ok` there are none: processes to be left alone would be killed with their group.
        let has_groups = runs_commands && leave != Leave::Alone;
        let groups = if has_groups { Groups::create().ok() } else { None };
        Ok(Ground { folder, epochs, epoch, wakeups, orphanage, groups: groups.map(Rc::new) })
    }
}

impl Run {
    /// # Errors
    /// The run cannot start.
    pub(super) fn start(plan: Plan) -> Result<Run, RunError> {
        segment::sweep();
        let clock = Clock::start();
        let Plan { run_id, concurrency, work, values, outputs, failures, logs, reports } = plan;
        if let Some(path) = &reports.summary {
            let checked = files::check_replaceable(path);
            checked.map_err(|why| RunError::Summary { path: path.clone(), why })?;
        }
        let runs_commands = !matches!(work.job, Job::Values);
        let leave = failures.leave;
        let Ground { folder, epochs, epoch, wakeups, orphanage, groups } =
            Ground::lay(&concurrency, leave, runs_commands)?;
        let engine = Engine::new(limits(
            &concurrency,
            epochs.sizes(),
            runs_commands,
            work.worker_program.display().to_string(),
            values.longest_first.is_some(),
            outputs.frames,
            failures.policy,
        ));
        let segment = Arc::clone(&epoch.segment);
        let (queue, mut recipe) = queue(work, &outputs, epoch, &run_id, &wakeups)?;
        // Before anything is started: the descriptors that processes inherit show that something of
        // this run is alive.
        let describe = |value: &[u8], seq| queue.describe(value, seq);
        let continues = matches!(logs.keeping, Keeping::Continued { .. });
        let of_run =
            OfRun { id: &run_id, slots: epochs.sizes().tasks, keeps_all: logs.keeps_all_output };
        let joblog = logs.joblog.as_deref();
        let Opened { mut log, words, inputs, last_emitted, in_flight } =
            RunLog::open(logs.keeping, &of_run, joblog, describe, wakeups.doorbell()?)?;
        recipe.in_flight = in_flight;
        recipe.inheritance.close();
        let journal = log.journal_file().map_err(RunError::of("the journal"))?;
        let Concurrency { procs, max_workers, .. } = concurrency;
        let hello = || serving::hello(procs, max_workers, &folder);
        let style = Style {
            hello: outputs.frames.then(hello),
            keep_order: outputs.keep_order,
            folder: folder.path().to_owned(),
            bar: reports.progress == Manner::Bar,
            keeper: log.take_keeper(),
        };
        let commits = commits(outputs, journal, &run_id, continues, &wakeups)?;
        let figures = Figures::new(run_id, procs, max_workers.into());
        let usage = Usage::new(&concurrency, groups.clone(), runs_commands);
        let members = Arc::clone(&segment);
        let mut run = Run {
            engine,
            inputs: Inputs::start(values, (inputs, last_emitted), wakeups.doorbell()?)?,
            queue,
            usage,
            crew: Crew::new(members, recipe, orphanage, groups, runs_commands, max_workers),
            watch: Watch::new(max_workers, failures.stop_steps, leave, runs_commands),
            shown: Shown::start(style, wakeups.doorbell()?)?,
            log,
            commits,
            reports: Reports::new(reports, figures),
            clock,
            segments: Segments::watch(epochs, segment, folder, wakeups.doorbell()?)?,
            wakeups,
            finished: false,
        };
        run.log.keep();
        words.iter().chain(&concurrency.lowered).for_each(|text| run.shown.say(text));
        Ok(run)
    }
}

/// The sizes of the segment, unless there is a limit on the sizes of files.
fn sizes(concurrency: &Concurrency) -> Sizes {
    shared_memory::sizes(concurrency.procs + LENDABLE, concurrency.max_workers)
}

/// What the engine needs to know of the plan.
fn limits(
    concurrency: &Concurrency,
    sizes: Sizes,
    runs_commands: bool,
    worker_program: String,
    longest_first: bool,
    has_client: bool,
    policy: Policy,
) -> Limits {
    Limits {
        worker_program,
        procs: concurrency.procs,
        max_workers: concurrency.max_workers,
        // More slots than ready commands: then a slot left by a long task is not the next one that
        // workers look at, so commands start in the order of their input.
        task_slots: sizes.tasks as usize,
        most_published: match runs_commands {
            true => u32::from(concurrency.max_workers) + COMMANDS_AHEAD,
            false => sizes.tasks,
        } as usize,
        idle_timeout: concurrency.idle_timeout,
        at_cap: concurrency.at_cap,
        admits: concurrency.admits,
        has_client,
        longest_first,
        memory: concurrency.memory,
        policy,
        seed: msup_protocol::sync::now_ns(),
    }
}

/// The task slots, and how workers are started that take tasks from them.
fn queue(
    work: Work,
    outputs: &Outputs,
    epoch: Epoch,
    run_id: &str,
    wakeups: &Wakeups,
) -> Result<(Queue, Recipe), RunError> {
    let Work { job, worker_program, worker_arguments, memory_per_task } = work;
    let recipe = Recipe {
        program: worker_program,
        arguments: worker_arguments,
        segment: epoch.fd,
        doorbell: wakeups.inherited_doorbell()?,
        folder: epoch.folder.clone(),
        run_id: run_id.to_owned(),
        in_flight: None,
        inheritance: Inheritance::open().map_err(RunError::of("/dev/null"))?,
        ends_within: job.ends_within(),
    };
    let (shown, memory) =
        ((outputs.files.clone(), outputs.tag.clone()), memory_per_task.unwrap_or(0));
    Ok((Queue::new(epoch.segment, epoch.folder, job, shown, memory), recipe))
}

/// What commits the files of tasks, if they make any. The journal is synced before a file is put
/// into its place.
fn commits(
    outputs: Outputs,
    journal: Option<File>,
    run_id: &str,
    continues: bool,
    wakeups: &Wakeups,
) -> Result<Option<Commits>, RunError> {
    let Outputs { files: Some(files), durable, .. } = outputs else { return Ok(None) };
    let committer = Committer::start(durable, journal, wakeups.doorbell()?)?;
    let places = Places::new(run_id.to_owned(), continues, durable);
    Ok(Some(Commits::new(files, places, committer)))
}
