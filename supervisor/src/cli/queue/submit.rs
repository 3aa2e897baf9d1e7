//! `msup submit`: puts a list into a queue.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write, stderr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args as _, CommandFactory, FromArgMatches};
use msup_cluster::{Login, Submission, Submitted, Words, submit};
use rustix::event::{EventfdFlags, eventfd};

use super::QueueError;
use super::flags::{self, Credentials, given, is_given};
use super::results::{ShownResults, WantedResults};
use crate::cli::args::{Args, Typed};
use crate::cli::logs::Keeping;
use crate::cli::usage::{BadValue, UsageError};
use crate::cli::wrong_line::one_line;
use crate::cli::{Plan, Refusal, concurrency, optional_values, plan};
use crate::input::{self, Group};
use crate::os::signals;
use crate::pipeline::Digester;
use crate::report::escape;

/// A node that is silent for less time may only be busy.
const LEASE_AT_LEAST: Duration = Duration::from_secs(1);

/// Flags that travel with the job to the nodes.
const OF_NODES: [&str; 29] = [
    "shell",
    "literal",
    "replace",
    "unsafe_replace",
    "worker",
    "idle_timeout",
    "at_cap",
    "plus",
    "rpl",
    "extensionreplace",
    "basenamereplace",
    "dirnamereplace",
    "basenameextensionreplace",
    "seqreplace",
    "slotreplace",
    "parens",
    "wd",
    "nice",
    "process_slot_var",
    "out",
    "mem_per_task",
    "start_timeout",
    "retries",
    "backoff",
    "crash_limit",
    "outside_limit",
    "timeout",
    "termseq",
    "leave",
];

/// The same, which do not change what a task does: another submission may have others.
const HOW_LONG: [&str; 2] = ["grace", "leave_timeout"];

/// Flags about the list, and about what is shown with `--wait`.
const OF_SUBMIT: [&str; 24] = [
    "arg_file",
    "link",
    "delimiter",
    "null",
    "crlf",
    "eof",
    "colsep",
    "trim",
    "header",
    "skip_first_line",
    "csv",
    "arg_sep",
    "arg_file_sep",
    "env",
    "keep_order",
    "joblog",
    "summary",
    "quiet",
    "help",
    "brief",
    "no_config",
    "anyway",
    "words",
    "column_name",
];

/// The flags of `msup submit` alone.
#[derive(Debug, clap::Args)]
struct SubmitFlags {
    /// The job: nats://HOST:PORT/JOB, or tls://... Where HOST is left out, $NATS_URL names it
    #[arg(long, value_name = "URL", help_heading = "Queue")]
    queue: String,

    /// Show the outputs of tasks as they finish, and exit as a run on one machine would. Ctrl-C
    /// stops only this
    #[arg(long, help_heading = "Queue")]
    wait: bool,

    /// A node that is silent for this time loses its tasks to others
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "Queue")]
    lease: String,

    /// How long results are kept when the job is done
    #[arg(long, value_name = "TIME", default_value = "7d", help_heading = "Queue")]
    keep: String,

    /// Keep at most this much output of a task; a task with more has failed
    #[arg(long, value_name = "SIZE", default_value = "64M", help_heading = "Queue")]
    max_output: String,

    #[command(flatten)]
    credentials: Credentials,
}

/// A list that is to be put into a queue.
#[derive(Debug)]
pub(crate) struct Submitting {
    typed: SubmitFlags,
    args: Args,
    /// What nodes are told of the flags; those that count, and the others.
    flags: [Vec<OsString>; 2],
}

/// The definition of the command line: that of msup, as far as it makes sense for a queue.
pub(in crate::cli) fn command() -> clap::Command {
    let is_taken = |name: &str| {
        OF_NODES.contains(&name) || HOW_LONG.contains(&name) || OF_SUBMIT.contains(&name)
    };
    let command = Args::command()
        .name("msup submit")
        .about(
            "Put the tasks of a list into a queue, for any number of machines (msup node). Prints \
             the job's address and returns at once. Submitting the same job again adds nothing",
        )
        .override_usage("msup submit --queue URL [OPTIONS] [--] COMMAND [ARG]... [::: VALUE...]...")
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}")
        .after_help("")
        .mut_args(|arg| match is_taken(arg.get_id().as_str()) {
            true => arg,
            false => arg.hide(true),
        });
    SubmitFlags::augment_args(command)
}

impl Submitting {
    /// # Errors
    /// What is wrong with the command line.
    pub(super) fn read(words: Vec<OsString>) -> Result<Typed<Submitting>, Refusal> {
        let words = optional_values::written_out(words, false);
        let command = command();
        let all = std::iter::once("msup submit".into()).chain(words);
        let mut found = match command.clone().try_get_matches_from(all) {
            Ok(found) => found,
            Err(why) if !why.use_stderr() => return Ok(Typed::Help(why.to_string())),
            Err(why) => return Err(UsageError::Clap(one_line(&why, &command)).into()),
        };
        refuse_others(&found, &command)?;
        let flags = [&OF_NODES[..], &HOW_LONG[..]]
            .map(|names| given(&found, &command, |name| names.contains(&name)));
        let unread = |why: clap::Error| UsageError::Clap(one_line(&why, &command));
        let typed = SubmitFlags::from_arg_matches_mut(&mut found).map_err(unread)?;
        let args = Args::from_arg_matches_mut(&mut found).map_err(unread)?;
        Ok(Typed::Flags(Submitting { typed, args, flags }))
    }

    /// Submits it. Returns the exit status.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn run(self) -> Result<u8, Refusal> {
        let Submitting { typed, args, flags } = self;
        let login = typed.credentials.login(&typed.queue)?;
        let wanted = WantedResults::of(&args, args.output.keep_order);
        if let Some(flag) = wanted.first_flag().filter(|_| !typed.wait) {
            return Err(QueueError::NeedsWait(flag).into());
        }
        let quiet = args.reporting.quiet;
        let submission = submission(&typed, args, flags)?;
        let submitted = submit(&login, &submission).map_err(QueueError::from)?;
        drop(submission);
        let mut out = io::stdout();
        if !typed.wait {
            let line = format!("{}\n", login.address);
            let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
            written.map_err(Refusal::Stdout)?;
        }
        if !quiet {
            let _ = writeln!(stderr(), "msup: {}", told(&login, submitted));
        }
        if typed.wait { wait(&login, wanted) } else { Ok(0) }
    }
}

/// What was done, in a line.
fn told(login: &Login, Submitted { total, added }: Submitted) -> String {
    let job = login.address.job();
    match (added, total - added) {
        (added, 0) => format!("job {job}: {added} tasks submitted"),
        (0, known) => format!("job {job}: all {known} tasks were submitted before"),
        (added, known) => format!("job {job}: {added} tasks submitted, {known} were before"),
    }
}

/// Shows results as they come.
fn wait(login: &Login, wanted: WantedResults) -> Result<u8, Refusal> {
    let mut shown = ShownResults::begin(login, wanted)?;
    let job = login.address.clone();
    // Following is interrupted as any program is; the job goes on.
    let text = format!("msup: the job goes on; to stop it: msup cancel {job}\n");
    signals::say_when_interrupted(text).map_err(Refusal::Input)?;
    let reading = msup_cluster::follow(login, |arrived| shown.take(arrived));
    shown.finish(reading)
}

/// Refuses flags that make no sense for a queue.
fn refuse_others(found: &ArgMatches, command: &clap::Command) -> Result<(), Refusal> {
    let own = SubmitFlags::augment_args(clap::Command::new(""));
    let is_own = |name: &str| own.get_arguments().any(|arg| arg.get_id() == name);
    let is_taken = |name: &str| {
        OF_NODES.contains(&name)
            || HOW_LONG.contains(&name)
            || OF_SUBMIT.contains(&name)
            || is_own(name)
    };
    let other = command
        .get_arguments()
        .find(|arg| !is_taken(arg.get_id().as_str()) && is_given(found, arg));
    match other {
        Some(arg) if arg.get_id() == "worker_stdio" => Err(QueueError::Stdio.into()),
        Some(arg) => {
            let name = arg.get_long().unwrap_or(arg.get_id().as_str());
            Err(QueueError::Flag(name.to_owned()).into())
        }
        None => Ok(()),
    }
}

/// Reads the list, and all that nodes need to know.
fn submission(
    typed: &SubmitFlags,
    args: Args,
    [flags, how_long]: [Vec<OsString>; 2],
) -> Result<Submission, Refusal> {
    let wanted = "a time of at least 1s, such as 30s or 5m";
    let lease = flags::at_least("--lease", &typed.lease, LEASE_AT_LEAST, wanted)?;
    let wanted = "a time such as 12h or 7d";
    let keep = flags::at_least("--keep", &typed.keep, Duration::from_secs(1), wanted)?;
    let max_output = concurrency::parse_size(&typed.max_output);
    let bad_size = || BadValue::new("--max-output", &typed.max_output, "a size such as 64M");
    let max_output = max_output.ok_or_else(bad_size)?;
    let environment = variables(&args);
    let (command, arguments) = plan::work_of(&args)?;
    let plan = plan::make(args, None)?;
    let (kept, crash_limit) = (kept_flags(&plan), plan.failures.policy.crash_limit);
    let digest_of_work = plan::digest_of(&plan);
    let folder = std::env::current_dir().map_err(QueueError::Folder)?;
    let values = values_of(plan)?;
    let mut digester = Digester::default();
    digester.add(digest_of_work.as_bytes()).add(folder.as_os_str().as_bytes());
    for word in kept.iter().chain(&flags) {
        digester.add(word.as_bytes());
    }
    for value in &values {
        digester.add(value);
    }
    let all = kept.iter().chain(&flags).chain(&how_long);
    Ok(Submission {
        flags: all.map(flags::words_of).collect(),
        command: command.iter().map(flags::words_of).collect(),
        arguments,
        folder: Words(folder.into_os_string().into_vec()),
        environment,
        digest: digester.key().to_string(),
        crash_limit,
        lease,
        keep,
        max_output,
        values,
    })
}

/// The variables of `--env`, as they are here.
fn variables(args: &Args) -> Vec<(Words, Words)> {
    let names = args.places.variables();
    let found = names.filter_map(|name| Some((name, std::env::var_os(name)?)));
    let words = |word: OsString| Words(word.into_vec());
    found.map(|(name, value)| (words(name.into()), words(value))).collect()
}

/// What was found out here and must be the same on nodes: the shell, and the names of columns.
fn kept_flags(plan: &Plan) -> Vec<OsString> {
    let Keeping::New { arguments, .. } = &plan.logs.keeping else { return Vec::new() };
    arguments.iter().cloned().map(OsString::from_vec).collect()
}

/// Reads all values, and makes sure that no two tasks make the same file.
fn values_of(plan: Plan) -> Result<Vec<Vec<u8>>, Refusal> {
    let Plan { values, outputs, .. } = plan;
    let doorbell = eventfd(0, EventfdFlags::NONBLOCK).map_err(io::Error::from);
    let doorbell = doorbell.map_err(Refusal::Input)?;
    let mut read: Vec<Vec<u8>> = Vec::new();
    for group in input::start(values.source, values.format, doorbell)? {
        match group {
            Group::Values(mut values) => read.append(&mut values),
            Group::Hint(text) => drop(writeln!(stderr(), "msup: {}", escape::message(text))),
            Group::Failed(why) => return Err(Refusal::Input(io::Error::other(why))),
            Group::End(_) => break,
            Group::Missing(_) | Group::Orders(_) => {}
        }
    }
    let Some(files) = &outputs.files else { return Ok(read) };
    let mut makers: HashMap<PathBuf, u64> = HashMap::new();
    for (seq, value) in (1..).zip(&read) {
        // A task that can make no file fails alone.
        let Ok(Some(file)) = files.file(value, seq) else { continue };
        if let Some(first) = makers.insert(file.path(), seq) {
            return Err(QueueError::SameFile { first, second: seq, path: file.path() }.into());
        }
    }
    Ok(read)
}
