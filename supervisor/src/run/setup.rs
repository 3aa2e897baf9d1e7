//! Starts a run: makes its parts from the plan, each from the parts before it.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use msup_protocol::layout::Sizes;
use msup_protocol::segment;

use super::Run;
use super::clock::Clock;
use super::commits::{Commits, Places};
use super::control::Steered;
use super::error::RunError;
use super::filing::Filer;
use super::inputs::Inputs;
use super::publishing::Publisher;
use super::reports::Reports;
use super::run_log::{OfRun, Opened, OtherStarts, RunLog};
use super::segment_recovery::{Epoch, Epochs, Segments};
use super::serving;
use super::shown::Shown;
use super::start_conditions::Conditions;
use super::stats::Figures;
use super::usage::{LENDABLE, Usage};
use super::wakeups::Wakeups;
use super::watching::Watch;
use crate::cli::{self, MetricsPlace, shared_memory};
use crate::cli::{
    Announced, Concurrency, FiledTo, FilingPlan, Keeping, OutputRoute, Outputs, Plan, Values, Work,
};
use crate::engine::{Engine, Leave, Limits, Policy};
use crate::input::{Deal, DealEnd, Source};
use crate::journal::claims::Claims;
use crate::os::cgroup::Groups;
use crate::os::files;
use crate::os::orphans::Orphanage;
use crate::os::process::{Inheritance, Recipe};
use crate::os::routes::Routes;
use crate::os::run_folder::RunFolder;
use crate::output::files::committer::Committer;
use crate::output::filing::{Filing, Table};
use crate::output::{LivePipe, Style};
use crate::report::bar::Manner;
use crate::report::joblog::Sends;
use crate::tasks::slots::{OfWork, Queue};
use crate::template::{Feeding, Job, Totals};
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
        tmpdir: Option<&Path>,
    ) -> Result<Ground, RunError> {
        segment::sweep();
        let folder = RunFolder::create(tmpdir).map_err(RunError::Folder)?;
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
        let clock = Clock::start();
        let Plan { run_id, concurrency, work, mut values, mut outputs, failures, .. } = plan;
        let Plan { logs, reports, pipeline, .. } = plan;
        let publisher = outlets(&reports, outputs.filing.as_ref())?;
        let (runs_commands, sends) = (!matches!(work.job, Job::Values), sends(&work.job));
        let (leave, retries) = (failures.leave, failures.policy.tries > 1);
        let Ground { folder, epochs, epoch, wakeups, orphanage, groups } =
            Ground::lay(&concurrency, leave, runs_commands, outputs.tmpdir.as_deref())?;
        let is_again = pipeline.is_some(); // What the attempts of earlier runs had begun is left.
        let of_tasks = (outputs.frames || is_again, reports.voice.shows_commands());
        let limits = limits(&concurrency, epochs.sizes(), &work, &values, of_tasks);
        let steered = Steered::of(&concurrency, is_again, &outputs, &values);
        let engine = Engine::new(Limits { policy: failures.policy, ..limits });
        let stop = deal(&mut values, &work.job, concurrency.jobs(), &epoch)?;
        let segment = Arc::clone(&epoch.segment);
        let (routes, live, is_direct) = routes(&mut outputs, retries)?;
        let (mut queue, mut recipe) = queue(work, &outputs, epoch, &run_id, (routes, &wakeups))?;
        queue.totals = totals(&logs.keeping, &values, concurrency.slots());
        // Before anything is started: what processes inherit shows that some of them are alive.
        let describe = |value: &[u8], seq| queue.describe(value, seq);
        let continues = matches!(logs.keeping, Keeping::Continued { .. });
        let (keeps_all, has_blocks) = (logs.keeps_all_output, values.block_file.is_some());
        let (id, slots, shard) = (&run_id, epochs.sizes().tasks, values.shard);
        let of_run = OfRun { id, shard, work: &values.work.clone(), slots, keeps_all, sends };
        let adds = continues || logs.resuming.is_some();
        let joblog = logs.joblog.as_deref().map(|path| (path, adds));
        let opened = RunLog::open(logs.keeping, &of_run, joblog, describe, wakeups.doorbell()?);
        let Opened { mut log, words, inputs, last_emitted, in_flight, others } =
            opened.map_err(|why| why.of_pipeline(is_again))?;
        (recipe.in_flight, recipe.blocks) = (in_flight, values.block_file.take());
        recipe.inheritance.close();
        let Concurrency { procs, max_workers, .. } = concurrency;
        let filing = outputs.filing.take();
        log.results_are_on(filing.as_ref().and_then(FilingPlan::on));
        let style = Style {
            hello: hello(&outputs, &concurrency, &folder)?,
            filing: filing_of(filing.as_ref(), outputs.tmpdir.as_deref(), adds)?,
            keeper: log.take_keeper().filter(|_| filing.is_none()),
            live,
            ..style(&outputs, &reports, &folder)
        };
        let commits = commits(outputs, (&log, others), (id, continues || is_again), &wakeups)?;
        let (members, doorbell) = (Arc::clone(&segment), wakeups.doorbell()?);
        let (filer, speaker) =
            (filing.map(|plan| Filer::new(plan, has_blocks)), reports.voice.speaker());
        let mut inputs = Inputs::start(values, (inputs, last_emitted, logs.resuming), doorbell)?;
        let found = inputs.take_up(pipeline, stop);
        let mut run = Run {
            engine,
            inputs,
            queue,
            usage: Usage::new(&concurrency, groups.clone(), runs_commands),
            conditions: Conditions::new(concurrency.starts, concurrency.jobs_file),
            crew: Crew::new(members, recipe, orphanage, groups, runs_commands, max_workers),
            watch: Watch::new(max_workers, failures.stop_steps, leave, runs_commands),
            shown: Shown::start(style, (filer, is_direct, speaker), wakeups.doorbell()?)?,
            log,
            commits,
            reports: Reports::new(reports, Figures::new(run_id, procs, max_workers), publisher),
            clock,
            segments: Segments::watch(epochs, segment, folder, wakeups.doorbell()?)?,
            wakeups,
            finished: false,
        };
        run.listen(steered);
        run.log.keep();
        found.iter().chain(&words).chain(&concurrency.lowered).for_each(|text| run.shown.say(text));
        Ok(run)
    }
}

/// Looks at the places where the user wants to have something written. Returns where metrics go.
///
/// # Errors
/// It cannot be written there.
fn outlets(
    reports: &cli::Reports,
    filing: Option<&FilingPlan>,
) -> Result<Option<Publisher>, RunError> {
    reports.summary.as_deref().map_or(Ok(()), check_summary)?;
    filing.map_or(Ok(()), check_results)?;
    let open = |place: &MetricsPlace| {
        Publisher::open(place).map_err(|why| RunError::Metrics { place: place.clone(), why })
    };
    reports.metrics.as_ref().map(open).transpose()
}

/// # Errors
/// The summary cannot be written there.
fn check_summary(path: &Path) -> Result<(), RunError> {
    files::check_replaceable(path).map_err(|why| RunError::Summary { path: path.to_owned(), why })
}

/// # Errors
/// Results cannot be written there.
fn check_results(filing: &FilingPlan) -> Result<(), RunError> {
    filing.check().map_err(|(path, why)| RunError::Results { path, why })
}

/// The first frame for a client.
fn hello(
    outputs: &Outputs,
    concurrency: &Concurrency,
    folder: &RunFolder,
) -> Result<Option<Vec<u8>>, RunError> {
    let Concurrency { procs, max_workers, .. } = *concurrency;
    outputs.frames.then(|| serving::hello(procs, max_workers, folder)).transpose()
}

/// How outputs are shown, without what must be opened for that.
fn style(outputs: &Outputs, reports: &cli::Reports, folder: &RunFolder) -> Style {
    Style {
        keep_order: outputs.keep_order,
        folder: folder.path().to_owned(),
        bar: reports.progress == Manner::Bar,
        hello: None,
        filing: None,
        keeper: None,
        live: None,
    }
}

/// What commands read, for the joblog.
fn sends(job: &Job) -> Sends {
    match job.feeding() {
        Feeding::Values | Feeding::Nothing | Feeding::ManyBlocks => Sends::Unknown,
        Feeding::Blocks | Feeding::BlockFiles | Feeding::BlockFifos => Sends::Blocks,
        Feeding::Whole(part) => Sends::Whole(part.len),
    }
}

/// Has the blocks of the input dealt, if that is what tasks are for. Returns what ends that.
///
/// # Errors
/// The kernel's.
fn deal(
    values: &mut Values,
    job: &Job,
    commands: u32,
    epoch: &Epoch,
) -> Result<Option<Arc<DealEnd>>, RunError> {
    let Source::Blocks(blocks) = &mut values.source else { return Ok(None) };
    if !job.deals() {
        return Ok(None);
    }
    let (folder, room) = (epoch.folder.clone(), values.room.clone());
    let stop = Arc::new(DealEnd::new().map_err(RunError::of("an eventfd"))?);
    blocks.deal(Deal { commands, folder, room, stop: Arc::clone(&stop) });
    Ok(Some(stop))
}

/// How the writer files outputs. It adds to a table, if `adds`.
fn filing_of(
    plan: Option<&FilingPlan>,
    tmpdir: Option<&Path>,
    adds: bool,
) -> Result<Option<Filing>, RunError> {
    let Some(plan) = plan else { return Ok(None) };
    let table = match &plan.results {
        FiledTo::Table { format, path } => {
            let opened = Table::open(*format, path.as_deref(), adds);
            let name = path.clone().unwrap_or_default();
            Some(opened.map_err(|why| RunError::Results { path: name, why })?)
        }
        FiledTo::Places(_) | FiledTo::Temporary => None,
    };
    let place = tmpdir.map_or_else(std::env::temp_dir, Path::to_owned);
    Ok(Some(Filing::new(table, place, plan.shows_names, plan.drops_errors)))
}

/// How many tasks there are, where an earlier generation or the queue knows, and how many at once.
fn totals(keeping: &Keeping, values: &Values, slots: u32) -> Totals {
    let tasks = match (keeping, &values.source) {
        (Keeping::Continued { continued, .. }, _) => continued.past.inputs.unwrap_or(0),
        (_, Source::Node { total }) => *total,
        (Keeping::New { .. } | Keeping::Nowhere, _) => 0,
    };
    Totals { tasks, slots }
}

/// The sizes of the segment, unless there is a limit on the sizes of files.
fn sizes(concurrency: &Concurrency) -> Sizes {
    shared_memory::sizes(concurrency.most_procs() + LENDABLE, concurrency.max_workers)
}

/// What the engine needs to know of the plan, without the policy about failures. Tasks come from a
/// client, or are shown in turn when they are published.
fn limits(
    concurrency: &Concurrency,
    sizes: Sizes,
    work: &Work,
    values: &Values,
    (has_client, in_turn): (bool, bool),
) -> Limits {
    Limits {
        worker_program: work.worker_program.display().to_string(),
        procs: concurrency.procs,
        max_workers: concurrency.max_workers,
        // More slots than ready commands: then a slot left by a long task is not the next one that
        // workers look at, so commands start in the order of their input.
        task_slots: sizes.tasks as usize,
        most_published: match !matches!(work.job, Job::Values) {
            // What is shown when it is published is to run then.
            true if in_turn => u32::from(concurrency.max_workers),
            true => u32::from(concurrency.max_workers) + COMMANDS_AHEAD,
            false => sizes.tasks,
        } as usize,
        idle_timeout: concurrency.idle_timeout,
        at_cap: concurrency.at_cap,
        admits: concurrency.admits,
        has_client,
        longest_first: values.longest_first.is_some(),
        needs_total: values.needs_total,
        memory: concurrency.memory,
        starts: concurrency.starts.rules,
        policy: Policy::default(),
        seed: msup_protocol::sync::now_ns(),
    }
}

/// The task slots, and how workers are started that take tasks from them.
fn queue(
    work: Work,
    outputs: &Outputs,
    epoch: Epoch,
    run_id: &str,
    (routes, wakeups): (Routes, &Wakeups),
) -> Result<(Queue, Recipe), RunError> {
    let Work { job, surroundings, .. } = work;
    let Work { worker_program, worker_arguments, memory_per_task, .. } = work;
    let Work { own_stdin, keeps_ignored, .. } = work;
    let recipe = Recipe {
        program: worker_program,
        arguments: worker_arguments,
        segment: epoch.fd,
        doorbell: wakeups.inherited_doorbell()?,
        folder: epoch.folder.clone(),
        tmpdir: outputs.tmpdir.clone(),
        run_id: run_id.to_owned(),
        in_flight: None,
        blocks: None,
        routes,
        inheritance: Inheritance::open(own_stdin, keeps_ignored)
            .map_err(RunError::of("/dev/null"))?,
        ends_within: job.ends_within(),
    };
    let shown = (outputs.files.clone(), outputs.looks.clone());
    let Announced { in_output, at_once } = outputs.announced;
    let (announced, memory) = ([in_output, at_once], memory_per_task.unwrap_or(0));
    let work = OfWork { job, surroundings, announced, memory };
    Ok((Queue::new(epoch.segment, epoch.folder, work, shown), recipe))
}

/// Where the streams of commands lead, the pipe for parts of outputs, and whether commands write to
/// msup's own standard output. `retries`: failed tasks run again.
fn routes(
    outputs: &mut Outputs,
    retries: bool,
) -> Result<(Routes, Option<LivePipe>, bool), RunError> {
    let no_descriptor = RunError::of("descriptors for outputs");
    let (mut routes, mut live) = (Routes::default(), None);
    let terminal = outputs.terminal.take();
    let opened = terminal.map_or(Ok(()), |terminal| routes.take_terminal(terminal));
    let opened = opened.and_then(|()| match outputs.route {
        OutputRoute::Whole => Ok(()),
        OutputRoute::Direct => routes.open_stdout(),
        OutputRoute::Lines { separates } => {
            live = Some(LivePipe { pipe: routes.open_live()?, separates, retries });
            Ok(())
        }
    });
    opened.map_err(no_descriptor)?;
    Ok((routes, live, outputs.route == OutputRoute::Direct))
}

/// What commits the files of tasks, if they make any. The journal is synced before a file is put
/// into its place.
fn commits(
    outputs: Outputs,
    (log, others): (&RunLog, Option<OtherStarts>),
    (run_id, continues): (&str, bool),
    wakeups: &Wakeups,
) -> Result<Option<Commits>, RunError> {
    let Outputs { files: Some(files), durable, frames, .. } = outputs else { return Ok(None) };
    let journal = log.journal_file().map_err(RunError::of("the journal"))?;
    let (claims, mut dead) = others.map(|others| (others.claims, others.dead)).unzip();
    let claims = claims.map(|folder| Claims::new(folder, durable)).transpose();
    let claims = claims.map_err(RunError::of("the claims of this shard"))?;
    let committer = Committer::start(durable, journal, claims, wakeups.doorbell()?)?;
    let dead = dead.take().into_iter().flatten().chain(continues.then(|| run_id.to_owned()));
    let places = Places::new(run_id.to_owned(), dead.collect(), durable);
    // A client whose tasks make files is a node.
    Ok(Some(Commits::new(files, places, committer, frames)))
}
