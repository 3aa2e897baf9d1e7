//! The whole command line as one definition: msup with its subcommands.

#[cfg(feature = "nats")]
use clap::builder::Resettable;
use clap::{Arg, Command, CommandFactory, ValueHint};

use super::clean::Clean;
use super::collect::Collect;
use super::ctl::Ctl;
use super::log::Log;
use super::report::ReportCommand;
use super::resume_retry::{Resume, Retry};
use super::serve::Serve;
use super::top::Top;
use super::trace::TraceCommand;
use crate::cli::args::Args;
use crate::cli::pipeline::RunFlags;
#[cfg(feature = "nats")]
use crate::cli::queue;
use crate::cli::{subcommands, topics};

/// msup, with every subcommand that it has.
pub(super) fn command() -> Command {
    let topics = || topics::TOPICS.iter().map(|topic| topic.name);
    let word = |name: &'static str| Arg::new(name).required(false);
    let doctor = subcommands::DOCTOR.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let whole = visible(Args::command(), "msup")
        .mut_arg("words", |words| words.value_hint(ValueHint::CommandWithArguments))
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .subcommand(visible(RunFlags::command(), "run"))
        .subcommand(visible(Resume::command(), "resume"))
        .subcommand(visible(Retry::command(), "retry"))
        .subcommand(visible(Log::command(), "log"))
        .subcommand(visible(ReportCommand::command(), "report"))
        .subcommand(visible(TraceCommand::command(), "trace"))
        .subcommand(visible(Top::command(), "top"))
        .subcommand(visible(Ctl::command(), "ctl"))
        .subcommand(visible(Clean::command(), "clean"))
        .subcommand(visible(Collect::command(), "collect"))
        .subcommand(visible(Serve::command(), "serve"))
        .subcommand(Command::new("doctor").about(doctor))
        .subcommand(
            Command::new("help")
                .about("Explain a subject")
                .arg(word("TOPIC").value_parser(topics().collect::<Vec<_>>())),
        )
        .subcommand(
            Command::new("man")
                .about("Print a manual page in the language of man: msup man | man -l -")
                .arg(word("PAGE").value_parser(super::man::pages())),
        )
        .subcommand(
            Command::new("completions")
                .about("Print completions for a shell")
                .arg(word("SHELL").value_parser(super::completions::SHELLS)),
        );
    with_queues(whole)
}

#[cfg(feature = "nats")]
fn with_queues(whole: Command) -> Command {
    queue::commands().into_iter().fold(whole, |whole, (name, command)| {
        // Flags that exclude each other may be hidden here.
        let command = command.mut_args(|arg| arg.conflicts_with(Resettable::Reset));
        whole.subcommand(visible(command, name))
    })
}

#[cfg(not(feature = "nats"))]
fn with_queues(whole: Command) -> Command {
    whole
}

/// A command without what its help does not show.
fn visible(command: Command, name: &'static str) -> Command {
    let usage = command.get_overridden_usage().cloned();
    let mut copy = Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(command.get_version().is_none())
        .args(command.get_arguments().filter(|arg| !arg.is_hide_set()).cloned());
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    match usage {
        Some(usage) => copy.override_usage(usage),
        None => copy,
    }
}
