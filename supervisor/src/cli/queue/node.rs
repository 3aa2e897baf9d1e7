//! `msup node`: runs tasks of a queue on this machine.

use std::ffi::OsString;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::Command;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use msup_cluster::{Meta, Node, NodeEnd};

use super::flags::{JobAddress, NATS_URL, given};
use super::{FROM_QUEUE, QueueError};
use crate::cli::args::Typed;
use crate::cli::shared::{Limits, Reporting};
use crate::cli::usage::UsageError;
use crate::cli::wrong_line::one_line;
use crate::cli::{MetricsPlace, Refusal, concurrency, failures, help, plan};
use crate::journal::runs;
use crate::report::escape;

/// How long tasks may take to finish when the node is stopped, where nothing else is said: many
/// schedulers send SIGKILL 30 s after SIGTERM, and a task has this time twice.
const GRACE: &str = "10s";

/// Flags that are about the node itself or about files; the others are passed on as they are.
const OWN: [&str; 5] = ["url", "nats_creds", "stay", "summary", "metrics"];

/// Run tasks of a queue on this machine until the job is done: any number of machines, any time.
/// After SIGTERM, running tasks may finish for --grace, and the others are given back.
#[derive(Debug, Parser)]
#[command(
    name = "msup node",
    override_usage = "msup node [OPTIONS] URL",
    mut_args(help::under_heading)
)]
struct NodeFlags {
    #[command(flatten)]
    job: JobAddress,

    /// Wait for another job of this name when one is done
    #[arg(long, help_heading = "Queue")]
    stay: bool,

    /// How long running tasks may take to finish when the node is stopped. Then they get SIGTERM,
    /// and after the same time SIGKILL [default: that of msup submit, or 10s]
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    reporting: Reporting,
}

/// A node, as typed.
#[derive(Debug)]
pub(crate) struct NodeCommand {
    typed: NodeFlags,
    /// Flags for the msup that runs the tasks.
    flags: Vec<OsString>,
}

/// The definition of the command line.
pub(in crate::cli) fn command() -> clap::Command {
    NodeFlags::command()
}

impl NodeCommand {
    /// # Errors
    /// What is wrong with the command line.
    pub(super) fn read(words: Vec<OsString>) -> Result<Typed<NodeCommand>, Refusal> {
        let command = NodeFlags::command();
        let all = std::iter::once("msup node".into()).chain(words);
        let found = match command.clone().try_get_matches_from(all) {
            Ok(found) => found,
            Err(why) if !why.use_stderr() => return Ok(Typed::Help(why.to_string())),
            Err(why) => return Err(UsageError::Clap(one_line(&why, &command)).into()),
        };
        let unread = |why: clap::Error| UsageError::Clap(one_line(&why, &command));
        let typed = NodeFlags::from_arg_matches(&found).map_err(unread)?;
        // Wrong values are refused now, not by the process that runs the tasks.
        concurrency::check_limits(&typed.limits)?;
        plan::check(&typed.reporting)?;
        failures::check_grace(typed.grace.as_deref())?;
        let flags = passed_on(&typed, &found, &command).map_err(QueueError::Folder)?;
        Ok(Typed::Flags(NodeCommand { typed, flags }))
    }

    /// # Errors
    /// [`Refusal`].
    pub(super) fn run(self) -> Result<u8, Refusal> {
        let NodeCommand { typed, flags } = self;
        let program = std::env::current_exe().map_err(UsageError::OwnPath)?;
        let kept = runs::queue_folder().ok_or(QueueError::NoHome)?;
        let runner = |meta: &Meta| runner(&program, meta, &flags);
        // What cannot be said is no reason to stop.
        let say = |text: &str| drop(writeln!(stderr(), "msup: {}", escape::message(text)));
        let login = typed.job.login()?;
        let node = Node { login, stays: typed.stay, kept, runner: &runner, say: &say };
        let end = node.run().map_err(QueueError::from)?;
        if !typed.reporting.quiet {
            say(match end {
                NodeEnd::Done => "the job is done",
                NodeEnd::Cancelled => "the job was cancelled",
                NodeEnd::Stopped => "stopped: all tasks of this node are finished or given back",
            });
        }
        Ok(0)
    }
}

/// The flags that the msup gets which runs the tasks. It runs in the folder of the job.
fn passed_on(
    typed: &NodeFlags,
    found: &ArgMatches,
    command: &clap::Command,
) -> std::io::Result<Vec<OsString>> {
    let mut flags = given(found, command, |name| !OWN.contains(&name));
    let mut file = |flag: &str, path: &PathBuf| {
        let mut word = OsString::from(format!("--{flag}="));
        word.push(std::path::absolute(path)?);
        flags.push(word);
        Ok::<_, std::io::Error>(())
    };
    typed.reporting.summary.iter().try_for_each(|path| file("summary", path))?;
    match &typed.reporting.metrics {
        Some(MetricsPlace::File(path)) => file("metrics", path)?,
        Some(place) => flags.push(format!("--metrics={place}").into()),
        None => {}
    }
    Ok(flags)
}

/// The msup that runs the tasks of this job.
fn runner(program: &PathBuf, meta: &Meta, flags: &[OsString]) -> Command {
    let mut command = Command::new(program);
    let has_grace = meta.flags.iter().any(|flag| flag.0.starts_with(b"--grace="));
    let of_job = meta.flags.iter().cloned().map(OsString::from);
    command
        .args(["serve", FROM_QUEUE, &meta.total.to_string(), &meta.id])
        .arg(meta.arguments.to_string())
        .args((!has_grace).then(|| format!("--grace={GRACE}")))
        .args(of_job)
        .args(flags)
        .arg("--")
        .args(meta.command.iter().cloned().map(OsString::from))
        .current_dir(meta.folder.path())
        // Tasks have no business with the queue.
        .env_remove(NATS_URL);
    for (name, value) in &meta.environment {
        command.env(OsString::from(name.clone()), OsString::from(value.clone()));
    }
    command
}
