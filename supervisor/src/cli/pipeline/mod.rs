//! `msup run FILE.toml`: the command line of a pipeline.

mod disk;
mod error;
mod last;
mod loaded;
mod outlook;
mod past;
mod sources;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::{CommandFactory, Parser};

use super::args::Typed;
use super::logs::{Keeping, Logs};
use super::plan::{self, Failures, Outputs, Plan};
use super::shared::{Failing, Limits, Reporting, Runners};
use super::values::Values;
use super::{
    Announced, Command, Concurrency, MetricsPlace, OutputRoute, Refusal, Work, command,
    concurrency, help, settings, stopping,
};
use crate::arguments::Length;
use crate::engine::AtCap;
use crate::input::{Format, List, Lists, Source};
use crate::journal::{Durability, runs};
use crate::os::limits;
use crate::pipeline::{Pipeline, Scope, SourceValues};
use crate::template::{Job, LooksTemplate, OutFiles, Stages, Surroundings};
pub(crate) use disk::Disk;
pub(crate) use error::PipelineError;
pub(in crate::cli) use last::{file as last_file, folder as last_folder};
use loaded::Loaded;
pub(in crate::cli) use loaded::history_of;
pub(crate) use past::write_history;

/// Idle workers wait this long, in seconds, as in other runs.
const IDLE_TIMEOUT: f64 = 10.0;

/// A stage with temporary outputs may be ahead of its readers by this number of items per worker.
const AHEAD_PER_WORKER: u32 = 4;

/// What becomes of this number of tasks is decided between two looks at whether one can run.
const DECIDED_AT_ONCE: usize = 1000;

/// The flag of `msup retry` that says what a retry of a pipeline does anyway.
const FAILED: &str = "--failed";

/// Run a pipeline: stages over files, described in FILE (docs/guide/pipelines.md). Tasks that have
/// succeeded before and whose commands, inputs and outputs are the same are not run again.
#[derive(Debug, Parser)]
#[command(
    name = "msup run",
    override_usage = "msup run [OPTIONS] FILE.toml",
    args_override_self = true,
    mut_args(help::under_heading)
)]
pub(in crate::cli) struct RunFlags {
    /// The pipeline file
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,

    /// Print which tasks would run and why, and run nothing
    #[arg(long)]
    dry_run: bool,

    /// Run all tasks of STAGE again, and those of the stages behind it (repeatable)
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,

    /// Run only STAGE and the stages that it waits for (repeatable)
    #[arg(long, value_name = "STAGE")]
    until: Vec<String>,

    /// Run only the tasks of this value of a source, and no stage that gathers (repeatable)
    #[arg(long, value_name = "ITEM")]
    only: Vec<OsString>,

    /// Do not remove temporary outputs
    #[arg(long)]
    keep_temporary: bool,

    /// What tells whether a file has changed: its size and time, or its content where these differ
    #[arg(long, value_name = "time|hash", default_value = "time", hide_possible_values = true)]
    check: CheckFlag,

    /// Run only tasks that failed in the last run, and those behind them
    #[arg(long, hide = true)]
    only_failed: bool,

    /// Insert values also where a shell runs them as code ({} in the script of bash -c)
    #[arg(long)]
    unsafe_replace: bool,

    /// The shell that runs scripts: sh, bash, dash, zsh, ksh, mksh or busybox [default: sh,
    /// whatever $SHELL is]
    #[arg(long, value_name = "PATH")]
    shell: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    failing: Failing,

    #[command(flatten)]
    reporting: Reporting,
}

/// What tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CheckFlag {
    Time,
    Hash,
}

/// A pipeline that is to run.
#[derive(Debug)]
pub(crate) struct PipelinePlan {
    pub(crate) pipeline: Pipeline,
    pub(crate) stages: Rc<Stages>,
    /// The folder with its history.
    pub(crate) folder: PathBuf,
    /// The file, as the user named it.
    pub(crate) file: PathBuf,
    /// What was found of an interrupted run.
    pub(crate) words: Vec<String>,
}

/// `msup run` with these words.
///
/// # Errors
/// [`Refusal`].
pub(in crate::cli) fn run(words: Vec<OsString>) -> Result<Command, Refusal> {
    let typed = match Typed::<RunFlags>::read("msup run", words.iter().cloned())? {
        Typed::Flags(flags) => flags,
        Typed::Help(text) => return Ok(Command::Print(text)),
    };
    let loaded = Loaded::read(&typed.file)?;
    let of_file = settings::of_pipeline(&typed.file, loaded.text(), &RunFlags::command())?;
    let added = settings::read_for(&words, RunFlags::command(), Some((typed.file, of_file)))?;
    let flags = Typed::<RunFlags>::read("msup run", added.before(words));
    let flags = flags.map_err(|why| added.explain(why))?;
    let Some(flags) = flags.flags() else { return Err(PipelineError::NoFile.into()) };
    go(flags, loaded).map_err(|why| added.explain(why))
}

/// Whether these words after `msup retry` name a pipeline file, or the last run of this folder is
/// one of a pipeline and they name nothing else.
pub(in crate::cli) fn is_retried(words: &[OsString]) -> bool {
    names_file(words) || words.iter().all(|word| word == FAILED) && last::file().is_some()
}

fn names_file(words: &[OsString]) -> bool {
    let is_file = |word: &OsString| {
        let path = Path::new(word);
        path.extension() == Some(OsStr::new("toml")) && !path.is_dir()
    };
    words.iter().any(is_file)
}

/// `msup retry --failed [FILE.toml]` with these words behind `retry`.
///
/// # Errors
/// [`Refusal`].
pub(in crate::cli) fn retry(words: &[OsString]) -> Result<Command, Refusal> {
    if words.iter().any(|word| word == "--quarantined") {
        return Err(PipelineError::Quarantined.into());
    }
    if words.iter().any(|word| word == "--force" || word.as_bytes().starts_with(b"--force=")) {
        return Err(PipelineError::ForcedRetry.into());
    }
    let others = words.iter().filter(|word| *word != FAILED).cloned();
    let file = if names_file(words) { None } else { last::file() };
    let file = file.map(PathBuf::into_os_string);
    run(std::iter::once("--only-failed".into()).chain(others).chain(file).collect())
}

fn go(mut flags: RunFlags, loaded: Loaded) -> Result<Command, Refusal> {
    let runners = runners(flags.shell.clone(), flags.unsafe_replace);
    // Paths of flags are relative to the present folder, all others to that of the file.
    if let Some(summary) = flags.reporting.summary.take() {
        let absolute = std::path::absolute(&summary);
        flags.reporting.summary = Some(absolute.map_err(PipelineError::Here)?);
    }
    if let Some(MetricsPlace::File(path)) = &mut flags.reporting.metrics {
        *path = std::path::absolute(&*path).map_err(PipelineError::Here)?;
    }
    let here = std::env::current_dir().unwrap_or_default();
    loaded.enter()?;
    let reading = command::reading(&runners, command::CommandReading::plain(&runners, 1)?)?;
    let failures = plan::what_if_tasks_fail(&flags.failing, stopping::GRACE)?;
    let (graph, stages, kinds) = loaded.check(&reading, &failures)?;
    let concurrency = concurrency::of(&flags.limits, &runners)?;
    let asked = asked(&mut flags, &loaded, concurrency.max_workers)?;
    let values = sources::read(&loaded, &reading.shell)?;
    refuse_unknown_items(&asked.only, &values)?;
    let recalled = past::read(loaded.folder(), !asked.is_dry)?;
    let past::Recalled { history, run, words, replaced } = recalled;
    let stages = Rc::new(stages);
    let is_dry = asked.is_dry;
    let mut pipeline = Pipeline::new((graph, Rc::clone(&stages), kinds), values, history, asked);
    if let Some((flag, stage)) = pipeline.named_in_vain() {
        let stage = stage.to_owned();
        let is_until = flag == "--force" && !flags.until.is_empty();
        let by = if is_until { "--until" } else { "--only" };
        return Err(PipelineError::NotNeeded { flag, stage, by }.into());
    }
    pipeline.check_items(&mut Disk).map_err(|why| loaded.wrong_stage(why))?;
    if is_dry {
        pipeline.look_ahead(&mut Disk);
        return Ok(Command::Print(outlook::table(&pipeline.counts())));
    }
    while !pipeline.has_ready() && pipeline.has_undecided() {
        pipeline.advance(DECIDED_AT_ONCE, &mut Disk);
    }
    // With a summary there is a run, even if it has nothing to do.
    let is_silent = flags.reporting.summary.is_none();
    if is_silent && pipeline.is_over() && !pipeline.has_removals() {
        if pipeline.counts_by_content() {
            write_history(loaded.folder(), pipeline.history(), false)?;
        }
        let (line, status) = outlook::nothing_to_do(&pipeline.counts());
        return Ok(Command::NothingLeft(line, status));
    }
    if let Some(replaced) = replaced {
        replaced.remove()?;
    }
    let (folder, file) = (loaded.folder().to_owned(), loaded.named().to_owned());
    let pipeline = PipelinePlan { pipeline, stages, folder, file, words };
    let made = plan_of(&flags, pipeline, (concurrency, failures), (run, here))?;
    Ok(Command::Run(Box::new(made)))
}

/// # Errors
/// One of the values of `--only` is none of a source.
fn refuse_unknown_items(only: &[Vec<u8>], sources: &[SourceValues]) -> Result<(), PipelineError> {
    let all = || sources.iter().flat_map(|source| &source.values);
    let Some(item) = only.iter().find(|item| !all().any(|value| value == *item)) else {
        return Ok(());
    };
    // People give the name of the file, or the path from where they are.
    let name = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
    let near = all().find(|value| name(value) == name(item)).cloned();
    Err(PipelineError::NoItem { item: item.clone(), near })
}

/// What was asked for beyond the file.
///
/// # Errors
/// There is no such stage.
fn asked(flags: &mut RunFlags, loaded: &Loaded, workers: u16) -> Result<Scope, PipelineError> {
    let force = flags.force.iter().map(|name| loaded.stage("--force", name));
    let until = flags.until.iter().map(|name| loaded.stage("--until", name));
    let (total, longest) = limits::arguments();
    Ok(Scope {
        force: force.collect::<Result<_, _>>()?,
        until: until.collect::<Result<_, _>>()?,
        only: std::mem::take(&mut flags.only).into_iter().map(OsString::into_vec).collect(),
        keep_temporary: flags.keep_temporary,
        only_failed: flags.only_failed,
        is_dry: flags.dry_run,
        by_content: flags.check == CheckFlag::Hash,
        ahead: AHEAD_PER_WORKER.saturating_mul(workers.into()),
        here: std::env::current_dir().unwrap_or_default().into_os_string().into_vec(),
        file: loaded.named().file_name().unwrap_or_default().as_bytes().to_vec(),
        folder: loaded.folder().as_os_str().as_bytes().to_vec(),
        room: Length { chars: usize::MAX, total, grows: 0, longest },
    })
}

/// The plan of a run of this pipeline. `run`: the id of its runs.
///
/// # Errors
/// A flag has a wrong value, or something is missing.
fn plan_of(
    flags: &RunFlags,
    pipeline: PipelinePlan,
    (concurrency, failures): (Concurrency, Failures),
    (run, here): (String, PathBuf),
) -> Result<Plan, Refusal> {
    let memory_per_task = flags.limits.mem_per_task.as_deref();
    let memory_per_task = concurrency::size("--mem-per-task", memory_per_task)?;
    let progress = plan::check(&flags.reporting)?;
    let arguments = ["run".into(), pipeline.file.as_os_str().as_bytes().to_vec()];
    let keeping = Keeping::New {
        place: Some(std::path::absolute(&pipeline.folder).map_err(PipelineError::Here)?),
        shard: None,
        order: runs::next_order(),
        arguments: arguments.into(),
        spools: false,
        durability: Durability::Batch,
    };
    Ok(Plan {
        run_id: run,
        concurrency,
        work: Work {
            job: Job::Stages(Rc::clone(&pipeline.stages)),
            surroundings: Surroundings::default(),
            worker_program: command::worker_beside_us()?,
            worker_arguments: Vec::new(),
            memory_per_task,
            own_stdin: false,
            keeps_ignored: false,
        },
        values: no_values(),
        outputs: Outputs {
            keep_order: false,
            files: Some(OutFiles::Stages(Rc::clone(&pipeline.stages))),
            looks: LooksTemplate::default(),
            route: OutputRoute::Whole,
            announced: Announced::default(),
            terminal: None,
            durable: true,
            frames: false,
            filing: None,
            tmpdir: None,
        },
        failures,
        logs: Logs { keeping, keeps_all_output: false, joblog: None, resuming: None },
        reports: plan::reports(&flags.reporting, progress, false, here, None),
        pipeline: Some(Box::new(pipeline)),
    })
}

/// Tasks come from the pipeline.
fn no_values() -> Values {
    Values {
        source: Source::Lists(Lists::one(List::Arguments(Vec::new()))),
        format: Format::separated_by(vec![0]),
        block_file: None,
        room: None,
        longest_first: None,
        needs_total: false,
        shard: None,
        work: String::new(),
    }
}

fn runners(shell: Option<PathBuf>, unsafe_replace: bool) -> Runners {
    Runners {
        // A pipeline does the same for everybody: $SHELL has no part in it.
        shell: shell.or_else(|| Some("sh".into())),
        literal: false,
        replace: None,
        unsafe_replace,
        worker: None,
        idle_timeout: IDLE_TIMEOUT,
        at_cap: AtCap::Wait,
    }
}
