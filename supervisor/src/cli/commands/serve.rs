//! `msup serve`: tasks come from another program, and outcomes go back to it.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Parser;

use crate::cli::command::CommandReading;
use crate::cli::list_flags::Separators;
use crate::cli::logs::{Keeping, Logs};
use crate::cli::plan::{self, Outputs, Plan};
use crate::cli::shared::{Failing, Limits, Reporting, Runners};
use crate::cli::usage::UsageError;
use crate::cli::values::{self, Values};
use crate::cli::{Announced, OutputRoute, Refusal, command, concurrency, help};
use crate::input::{Format, Source};
use crate::template::LooksTemplate;

/// How long tasks have after SIGTERM where --grace is not given: a client that is gone does not
/// wait for them.
const GRACE: Duration = Duration::from_secs(1);

/// Take tasks from another program as frames on standard input, and give their outcomes back as
/// frames on standard output: see docs/guide/serve.md.
#[derive(Debug, Parser)]
#[command(
    name = "msup serve",
    override_usage = help::SERVE_USAGE,
    mut_args(help::under_heading)
)]
pub(in crate::cli) struct Serve {
    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    running: Runners,

    #[command(flatten)]
    failing: Failing,

    #[command(flatten)]
    reporting: Reporting,

    /// The command and its arguments, with replacement strings for the value of the task
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    words: Vec<OsString>,
}

/// A command line of `msup serve` that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("what are the tasks run by? Give --worker PROGRAM or a COMMAND")]
    Nothing,
    #[error(
        "{{##}} and {{0#}} cannot be used with msup serve: nothing knows how many tasks there are"
    )]
    Total,
    #[error("msup serve takes no values after `:::`: the client sends them")]
    Values,
    #[error(
        "msup serve talks with a program through its standard input and output, not with a \
         terminal: see docs/guide/serve.md"
    )]
    Terminal,
}

impl Serve {
    /// # Errors
    /// [`Refusal`].
    pub(in crate::cli) fn plan(self) -> Result<Plan, Refusal> {
        let Serve { limits, running, failing, reporting, words } = self;
        if running.worker.is_none() && words.is_empty() {
            return Err(UsageError::Serve(ServeError::Nothing).into());
        }
        let separators = Separators::usual();
        if words.iter().any(|word| values::begins_list(word, &separators)) {
            return Err(UsageError::Serve(ServeError::Values).into());
        }
        if io::stdin().is_terminal() || io::stdout().is_terminal() {
            return Err(UsageError::Serve(ServeError::Terminal).into());
        }
        let memory_per_task = concurrency::size("--mem-per-task", limits.mem_per_task.as_deref())?;
        let progress = plan::check(&reporting)?;
        let command = plan::typed(&words).filter(|_| running.worker.is_none());
        let read = CommandReading::plain(&running, 1)?;
        let (work, _) = command::read(&running, words, read, memory_per_task)?;
        if work.job.needs_total() {
            return Err(UsageError::Serve(ServeError::Total).into());
        }
        let keeping = Keeping::Nowhere;
        let format = Format::separated_by(vec![0]);
        Ok(Plan {
            run_id: keeping.run_id(),
            concurrency: concurrency::of(&limits, &running)?,
            work,
            values: Values {
                source: Source::Client,
                format,
                block_file: None,
                room: None,
                longest_first: None,
                needs_total: false,
                shard: None,
                work: String::new(),
            },
            outputs: Outputs {
                keep_order: false,
                files: None,
                looks: LooksTemplate::default(),
                route: OutputRoute::Whole,
                announced: Announced::default(),
                terminal: None,
                durable: false,
                frames: true,
                filing: None,
                tmpdir: None,
            },
            failures: plan::what_if_tasks_fail(&failing, GRACE)?,
            reports: plan::reports(&reporting, progress, true, keeping.here(), command),
            logs: Logs { keeping, keeps_all_output: false, joblog: None, resuming: None },
            pipeline: None,
        })
    }
}
