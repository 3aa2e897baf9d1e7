//! How `--help` is laid out: the flags under headings, and what stands around them.

use clap::Arg;

/// The headings, each with the names of its flags in the order in which `--help` shows them.
const HEADINGS: [(&str, &[&str]); 11] = [
    (
        "Which tasks",
        &["shard", "shards", "failed", "quarantined", "force", "until", "only", "check"],
    ),
    (
        "How many at once",
        &[
            "jobs",
            "procs",
            "max-workers",
            "memory",
            "mem-per-task",
            "delay",
            "load",
            "memfree",
            "noswap",
            "limit",
            "interactive",
            "order",
            "from",
            "idle-timeout",
            "at-cap",
        ],
    ),
    (
        "Input",
        &[
            "arg-file",
            "link",
            "delimiter",
            "null",
            "crlf",
            "eof",
            "colsep",
            "trim",
            "csv",
            "header",
            "skip-first-line",
            "shuf",
            "max-args",
            "max-lines",
            "xargs",
            "fill",
            "repeat",
            "max-chars",
            "exit",
            "max-line-length-allowed",
            "show-limits",
            "arg-sep",
            "arg-file-sep",
        ],
    ),
    (
        "Input as blocks",
        &[
            "pipe",
            "pipe-part",
            "block",
            "block-timeout",
            "recstart",
            "recend",
            "regexp",
            "remove-rec-sep",
            "round-robin",
            "tee",
            "cat",
            "fifo",
        ],
    ),
    (
        "Commands",
        &[
            "dry-run",
            "shell",
            "wd",
            "nice",
            "env",
            "process-slot-var",
            "replace",
            "plus",
            "rpl",
            "extensionreplace",
            "basenamereplace",
            "dirnamereplace",
            "basenameextensionreplace",
            "seqreplace",
            "slotreplace",
            "parens",
            "literal",
            "unsafe-replace",
            "worker",
            "worker-stdio",
            "start-timeout",
        ],
    ),
    (
        "Output",
        &[
            "keep-order",
            "line-buffer",
            "ungroup",
            "tag",
            "tagstring",
            "color",
            "color-failed",
            "show_commands",
            "verbose",
            "tty",
            "open-tty",
            "out",
            "keep-temporary",
            "results",
            "files",
            "tmpdir",
            "replay",
        ],
    ),
    ("Failures", &["retries", "backoff", "crash-limit", "outside-limit", "timeout", "halt"]),
    ("Stopping", &["grace", "termseq", "leave", "leave-timeout"]),
    (
        "Journal and resume",
        &[
            "journal",
            "no-journal",
            "keep-output",
            "durability",
            "resume",
            "resume-failed",
            "retry-failed",
        ],
    ),
    (
        "Reports",
        &[
            "bar",
            "progress",
            "quiet",
            "stats",
            "summary",
            "joblog",
            "metrics",
            "notify",
            "schedtrace",
        ],
    ),
    ("Help and settings", &["help", "no-config"]),
];

/// Puts a flag under its heading. clap shows the headings in the order of their first flags.
pub(super) fn under_heading(flag: Arg) -> Arg {
    let place = place_of(flag.get_long().unwrap_or(flag.get_id().as_str()));
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
  run FILE        Run a pipeline: stages over files (msup help pipelines)
  resume [RUN]    Continue an interrupted run: run its unfinished tasks
  retry [RUN]     Run failed and quarantined tasks again
  log [RUN [SEQ]] List all runs, the finished tasks of one, or all about one task
  report [RUN]    Write a page about a run: charts, time line, failures
  trace [RUN]     Print the time line of a run, for Perfetto
  top [RUN]       Watch a run that goes on: rate, CPU use, running tasks
  ctl [RUN] VERB  Pause a run, let it go on or stop it, ask how it is doing
  clean [RUN]...  Remove the journals of finished runs
  collect FOLDER  Show what the shards of a list have done together (--shard)
  submit, node    Put a list into a queue on a server; run its tasks on this machine
  status, cancel  Show how a queue is doing; stop it (docs/guide/cluster.md)
  serve           Take tasks from another program (docs/guide/serve.md)
  doctor          Show what this machine offers: CPUs, control groups, limits
  parallel ...    Read a command line as GNU parallel does (msup help parallel)
  xargs ...       Read a command line as xargs does (msup help xargs)
  help [TOPIC]    Explain inputs, strings, pipelines, failures, resume, outputs,
                  settings, parallel or xargs
  man [PAGE]      Print a manual page: msup man | man -l -
  completions     Print completions for bash, zsh or fish

{all-args}{after-help}";

/// The usage lines of `msup --help`.
pub(super) const USAGE: &str = "\
msup [OPTIONS] [--] COMMAND [ARG]... [::: VALUE...]...
       msup [OPTIONS] < commands.txt
       msup [OPTIONS] --worker PROGRAM [ARG]... [::: VALUE...]
       msup [OPTIONS] --worker-stdio COMMAND [ARG]... [::: VALUE...]
       msup parallel [OPTIONS] COMMAND...      GNU parallel's reading (see the guide)
       msup xargs [OPTIONS] [COMMAND [ARG]...] xargs' reading
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
  {#} {0#}   The number of the task, from 1; with zeros before it
  {##}       The number of all tasks
  {%} {0%}   The slot of the task, from 1: running tasks have different slots
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

Accepted without effect, for command lines of other tools: -i, -r,
--will-cite, --no-notice, --group, --silent, --plain.

More: msup help TOPIC, and the guide: docs/guide/README.md in the source code.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::args::Args;
    use crate::cli::commands::resume_retry::{Resume, Retry};
    use crate::cli::commands::serve::Serve;
    use crate::cli::pipeline::RunFlags;

    #[test]
    fn every_flag_has_a_heading() {
        let others = [Resume::command(), Retry::command(), Serve::command(), RunFlags::command()];
        for command in [Args::command()].into_iter().chain(others) {
            let is_listed = |arg: &&clap::Arg| !arg.is_hide_set() && !arg.is_positional();
            for flag in command.get_arguments().filter(is_listed) {
                assert!(flag.get_help_heading().is_some(), "{flag}");
            }
        }
    }
}
