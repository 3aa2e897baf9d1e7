//! `msup submit`, `node`, `status` and `cancel`, and `msup collect` of an address: a queue on a
//! NATS server, for machines that come and go. All of it speaks with the server in the crate
//! `msup-cluster`, which is there with the feature `nats`.

#[cfg(feature = "nats")]
mod asking;
#[cfg(feature = "nats")]
mod error;
#[cfg(feature = "nats")]
mod flags;
#[cfg(feature = "nats")]
mod node;
#[cfg(feature = "nats")]
mod results;
#[cfg(feature = "nats")]
mod submit;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

#[cfg(feature = "nats")]
use clap::CommandFactory;

#[cfg(feature = "nats")]
pub(crate) use error::QueueError;

use super::args::Args;
#[cfg(feature = "nats")]
use super::args::Typed;
use super::plan::{self, QueuedJob};
use super::usage::UsageError;
use super::{Command, Refusal, subcommands};

/// The subcommands that are about queues alone.
const NAMES: [&str; 4] = ["submit", "node", "status", "cancel"];

/// The flag with which a node starts the msup that runs its tasks.
pub(super) const FROM_QUEUE: &str = "--from-queue";

/// The definitions of the command lines, with their names.
#[cfg(feature = "nats")]
pub(super) fn commands() -> [(&'static str, clap::Command); 4] {
    [
        ("submit", submit::command()),
        ("node", node::command()),
        ("status", asking::Status::command()),
        ("cancel", asking::Cancel::command()),
    ]
}

/// What is done with a queue.
#[derive(Debug)]
#[cfg(feature = "nats")]
pub(crate) enum QueueCommand {
    Submit(Box<submit::Submitting>),
    Node(Box<node::NodeCommand>),
    Status(asking::Status),
    Collect(asking::CollectQueue),
    Cancel(asking::Cancel),
}

#[cfg(feature = "nats")]
impl QueueCommand {
    /// Returns the exit status.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn run(self) -> Result<u8, Refusal> {
        match self {
            QueueCommand::Submit(submitting) => submitting.run(),
            QueueCommand::Node(node) => node.run(),
            QueueCommand::Status(status) => status.run(),
            QueueCommand::Collect(collect) => collect.run(),
            QueueCommand::Cancel(cancel) => cancel.run(),
        }
    }
}

/// Whether a command line is one of these. Programs may have the same names: `msup node tool.js`
/// runs Node.js.
pub(super) fn is_meant(words: &[OsString]) -> bool {
    let Some((name, rest)) = words.split_first() else { return false };
    let named = NAMES.iter().any(|known| name == known);
    let has_address = rest.iter().any(|word| is_address(word));
    match rest {
        _ if has_address => named || name == "collect",
        [flag] if named && (flag == "--help" || flag == "-h") => true,
        _ => named && !subcommands::is_program(name),
    }
}

/// Whether a word is the address of a job, or a flag with one.
fn is_address(word: &OsStr) -> bool {
    let word = word.as_bytes();
    let word = word.strip_prefix(b"--queue=").unwrap_or(word);
    word.starts_with(b"nats://") || word.starts_with(b"tls://")
}

/// Reads the command line of one of these.
///
/// # Errors
/// [`Refusal`].
#[cfg(feature = "nats")]
pub(super) fn read(words: Vec<OsString>) -> Result<Command, Refusal> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let queue = |command| Ok(Command::Queue(command));
    match name.to_str() {
        Some("submit") => submit::Submitting::read(words.collect())?
            .then(|submitting| queue(QueueCommand::Submit(Box::new(submitting)))),
        Some("node") => node::NodeCommand::read(words.collect())?
            .then(|node| queue(QueueCommand::Node(Box::new(node)))),
        Some("status") => {
            Typed::read("msup status", words)?.then(|status| queue(QueueCommand::Status(status)))
        }
        Some("cancel") => {
            Typed::read("msup cancel", words)?.then(|cancel| queue(QueueCommand::Cancel(cancel)))
        }
        _ => Typed::read("msup collect", words)?
            .then(|collect| queue(QueueCommand::Collect(collect))),
    }
}

/// This msup was built without queues.
///
/// # Errors
/// Always: how to get it.
#[cfg(not(feature = "nats"))]
pub(super) fn read(words: Vec<OsString>) -> Result<Command, Refusal> {
    let name = words.first().map(|name| name.display().to_string()).unwrap_or_default();
    Err(UsageError::WithoutQueues(name).into())
}

/// The plan of the msup that runs the tasks of a node: `TOTAL ID ARGUMENTS`, flags and COMMAND.
///
/// # Errors
/// [`Refusal`].
pub(super) fn runner(words: &[OsString]) -> Result<Command, Refusal> {
    let [total, id, arguments, rest @ ..] = words else { return Err(UsageError::FromQueue.into()) };
    let number = |word: &OsString| word.to_str().and_then(|text| text.parse().ok());
    let (Some(total), Some(id), Some(arguments)) = (number(total), id.to_str(), number(arguments))
    else {
        return Err(UsageError::FromQueue.into());
    };
    let job = QueuedJob { id: id.to_owned(), total, arguments: arguments as usize };
    Args::read(rest.to_vec())?.then(|args| Ok(Command::Run(Box::new(plan::of_queue(args, &job)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_same_names_can_be_run() {
        let meant = |line: &str| is_meant(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "node nats://h/j",
            "node --procs 8 tls://h/j",
            "submit --queue nats://h/j echo",
            "submit --queue=nats://h/j echo",
            "collect nats://h/j",
            "node --help",
            "cancel --delete nats://h/j",
        ] {
            assert!(meant(line), "{line}");
        }
        assert!(!meant("collect folder") && !meant("echo nats://h/j"));
        // A program of this name is on each machine.
        assert!(!meant("sh nats://h/j"));
    }
}
