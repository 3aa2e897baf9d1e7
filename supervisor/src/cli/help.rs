//! How `--help` is laid out: the flags under headings, and what stands around them.

use clap::Arg;

/// The headings, each with the names of its flags in the order in which `--help` shows them.
const HEADINGS: [(&str, &[&str]); 9] = [
    ("Which tasks", &["failed", "quarantined"]),
    (
        "How many at once",
        &[
            "jobs",
            "procs",
            "max-workers",
            "memory",
            "mem-per-task",
            "order",
            "from",
            "idle-timeout",
            "at-cap",
        ],
    ),
    ("Input", &["arg-file", "link", "delimiter", "null", "crlf", "max-args", "colsep", "trim"]),
    (
        "Commands",
        &[
            "dry-run",
            "shell",
            "replace",
            "literal",
            "unsafe-replace",
            "worker",
            "worker-stdio",
            "start-timeout",
        ],
    ),
    ("Output", &["keep-order", "tag", "tagstring", "out", "replay"]),
    ("Failures", &["retries", "backoff", "crash-limit", "outside-limit", "timeout", "halt"]),
    ("Stopping", &["grace", "termseq", "leave", "leave-timeout"]),
    ("Journal and resume", &["journal", "no-journal", "keep-output", "durability"]),
    ("Reports", &["bar", "progress", "quiet", "stats", "summary", "joblog", "schedtrace"]),
];

/// Puts a flag under its heading. clap shows the headings in the order of their first flags.
pub(super) fn under_heading(flag: Arg) -> Arg {
    let place = flag.get_long().and_then(place_of);
    match place {
        Some((heading, at)) => flag.help_heading(heading).display_order(at),
        None => flag,
    }
}

/// The heading of this flag, and its position among all flags.
fn place_of(name: &str) -> Option<(&'static str, usize)> {
    let flags =
        HEADINGS.iter().flat_map(|(heading, names)| names.iter().map(move |n| (heading, n)));
    let found = flags.enumerate().find(|(_, (_, known))| **known == name);
    found.map(|(at, (heading, _))| (*heading, at))
}

/// `msup --help`, with the subcommands between the usage and the flags.
pub(super) const TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}

Subcommands (msup SUBCOMMAND --help shows the flags of one):
  resume [RUN]    Continue an interrupted run: run its unfinished tasks
  retry [RUN]     Run failed and quarantined tasks again
  log [RUN]       List all runs, or the finished tasks of one run
  clean [RUN]...  Remove the journals of finished runs
  serve           Take tasks from another program (docs/guide/serve.md)
  doctor          Show what this machine offers: CPUs, control groups, limits

{all-args}{after-help}";

/// The usage lines of `msup --help`.
pub(super) const USAGE: &str = "\
msup [OPTIONS] [--] COMMAND [ARG]... [::: VALUE...]...
       msup [OPTIONS] < commands.txt
       msup [OPTIONS] --worker PROGRAM [ARG]... [::: VALUE...]
       msup [OPTIONS] --worker-stdio COMMAND [ARG]... [::: VALUE...]
       msup parallel [OPTIONS] COMMAND...      GNU parallel's reading (see the guide)
       msup SUBCOMMAND [OPTIONS] [RUN]...";

/// The usage lines of `msup serve --help`.
pub(super) const SERVE_USAGE: &str = "\
msup serve [OPTIONS] --worker PROGRAM [ARG]...
       msup serve [OPTIONS] COMMAND [ARG]...";

/// What follows the flags in `msup --help`.
pub(super) const AFTER: &str = "\
Replacement strings in COMMAND. If there is none, the value is appended:
  {}         The value
  {.}        The value without its extension
  {/}        Its base name
  {//}       Its folder
  {/.}       Its base name without extension
  {..} {/..} Without two extensions; {...} and {/...}: without three
  {+.} {+..} Its extension, its last two extensions; {+...}: three
  {+/}       All before its last slash
  {2} {2.}   The second value or column of a task that has several, and its
               forms; {-1}: the last one. {} stands for all of them
  {#}        The number of the task, from 1
  {%}        The slot of the task, from 1: running tasks have different slots
  {threads}  The number of threads that the command may use
  {out}      The file to write: see --out

Lists of values. With several lists, COMMAND is run for all combinations:
  ::: VALUE...     The values
  :::: FILE...     The values in each file (-: standard input)
  :::+ and ::::+   Values that belong with those of the list before

Exit status:
  0          All tasks succeeded
  1 to 100   That number of tasks failed or were quarantined
  101        More than 100 tasks failed or were quarantined
  102        The journal or the joblog could not be written
  255        Wrong usage, nothing to resume, or values or outputs are missing: see
               the error line
  128 + N    Stopped by signal N
  With --halt other statuses are possible: see the guide.

Accepted without effect, for command lines of other tools: -L 1, -i, -r,
--will-cite, --no-notice, --group, --silent, --plain.

The guide: docs/guide/README.md in the source code of msup.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::args::Args;
    use crate::cli::commands::resume_retry::{Resume, Retry};
    use crate::cli::commands::serve::Serve;

    #[test]
    fn every_flag_has_a_heading() {
        for command in [Args::command(), Resume::command(), Retry::command(), Serve::command()] {
            let is_listed = |arg: &&clap::Arg| !arg.is_hide_set() && !arg.is_positional();
            for flag in command.get_arguments().filter(is_listed) {
                assert!(flag.get_help_heading().is_some(), "{flag}");
            }
        }
    }
}
