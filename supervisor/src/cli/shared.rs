//! Flags that several subcommands have: those that may be given anew when a run is resumed or
//! retried ([`Limits`], [`Reporting`]), and those of runs and of `msup serve`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::choices::LeaveFlag;
use super::metrics_place::{MetricsPlace, MetricsPlaceParser};
use crate::engine::AtCap;

/// How much may run at once.
#[derive(Debug, clap::Args)]
pub(super) struct Limits {
    /// Number of tokens, that is, of CPUs that tasks may use at once: N, N% of the CPUs, +N or -N
    /// [default: all CPUs]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(super) procs: Option<String>,

    /// Largest number of worker processes, and so of tasks in flight [default: 100 per token, or
    /// what the limits of the machine allow]
    #[arg(long, value_name = "N")]
    pub(super) max_workers: Option<u32>,

    /// Run at most N tasks at once: N, N% of the CPUs, +N or -N for N more or fewer than there are
    /// CPUs, 0 for as many as possible, or a file that says it and is read again when it changes.
    /// Excludes --procs and --max-workers
    #[arg(
        short = 'j',
        visible_short_alias = 'P',
        visible_alias = "max-procs",
        alias = "maxprocs",
        long,
        value_name = "N",
        allow_hyphen_values = true,
        conflicts_with_all = ["procs", "max_workers"]
    )]
    pub(super) jobs: Option<String>,

    /// Start commands only while their memory, estimated from those that have run, fits into SIZE
    /// (512M, 16G)
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,

    /// Hard limit on the data memory of each process of a command (512M, 2G)
    #[arg(long, value_name = "SIZE")]
    pub(super) mem_per_task: Option<String>,
}

impl Limits {
    /// Replaces these by what is given anew. --jobs and --procs with --max-workers exclude each
    /// other: if one of the three is given, it replaces all three.
    pub(super) fn replace(&mut self, anew: Limits) {
        if anew.jobs.is_some() || anew.procs.is_some() || anew.max_workers.is_some() {
            (self.jobs, self.procs, self.max_workers) = (anew.jobs, anew.procs, anew.max_workers);
        }
        self.memory = anew.memory.or(self.memory.take());
        self.mem_per_task = anew.mem_per_task.or(self.mem_per_task.take());
    }
}

/// What is shown of the run besides the outputs of its tasks.
#[derive(Debug, clap::Args)]
pub(super) struct Reporting {
    /// Write a summary of the run to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) summary: Option<PathBuf>,

    /// Write counters in the format of Prometheus to this file every 5 s, or serve them at this
    /// address (127.0.0.1:9100, :9100) under /metrics
    #[arg(long, value_name = "WHERE", value_parser = MetricsPlaceParser)]
    pub(super) metrics: Option<MetricsPlace>,

    /// Run COMMAND with sh -c when the run is over, also after Ctrl-C: with the summary on its
    /// standard input, and MSUP_STATE, MSUP_EXIT and others in its environment
    #[arg(long, value_name = "COMMAND")]
    pub(super) notify: Option<OsString>,

    /// Print a line about tokens and workers every MS milliseconds
    #[arg(long, value_name = "MS")]
    pub(super) schedtrace: Option<u64>,

    /// Show a progress bar even if standard output is a pipe. Where standard error is no terminal,
    /// and with -u, print a progress line every 30 s instead [default: a bar on a terminal]
    #[arg(long, alias = "eta")]
    pub(super) bar: bool,

    /// Print a progress line at this interval instead of a bar; --progress alone means 30s
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s"
    )]
    pub(super) progress: Option<String>,

    /// Add CPU time, tokens and workers to the closing report
    #[arg(long)]
    pub(super) stats: bool,

    /// Print no bar and no closing report, only failures that the command cannot report itself: not
    /// found, killed, timed out
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Reporting {
    /// Adds what is given anew.
    pub(super) fn add(&mut self, anew: Reporting) {
        self.summary = anew.summary.or(self.summary.take());
        self.metrics = anew.metrics.or(self.metrics.take());
        self.notify = anew.notify.or(self.notify.take());
        self.schedtrace = anew.schedtrace.or(self.schedtrace);
        self.progress = anew.progress.or(self.progress.take());
        self.bar |= anew.bar;
        self.stats |= anew.stats;
        self.quiet |= anew.quiet;
    }
}

/// By what tasks are run.
#[derive(Debug, clap::Args)]
pub(super) struct Runners {
    /// The shell that runs scripts: sh, bash, dash, zsh, ksh, mksh or busybox [default: $SHELL if
    /// it is one of these, else sh]
    #[arg(long, value_name = "PATH", conflicts_with = "worker")]
    pub(super) shell: Option<PathBuf>,

    /// Take replacement strings and separators that only GNU parallel has ({1}, ::::) literally
    #[arg(long)]
    pub(super) literal: bool,

    /// Use REPL in the place of {}
    #[arg(short = 'I', long, value_name = "REPL", conflicts_with = "worker")]
    pub(super) replace: Option<OsString>,

    /// Insert values also where a shell runs them as code ({} in the script of bash -c)
    #[arg(long)]
    pub(super) unsafe_replace: bool,

    /// Pass the values to workers that run the task loop PROGRAM, instead of running a command per
    /// value
    #[arg(
        long,
        value_name = "PROGRAM",
        conflicts_with_all = ["memory", "mem_per_task", "unsafe_replace"]
    )]
    pub(super) worker: Option<PathBuf>,

    /// An idle worker exits after this many seconds, or at once when the input has ended and no
    /// task is left to start
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(super) idle_timeout: f64,

    /// What msup does if tasks are ready and a CPU is free, but all --max-workers workers of a task
    /// loop have waited in blocking calls for 5 s: wait for one, or abort the run (fail)
    #[arg(long, value_name = "wait|fail", default_value = "wait", hide_possible_values = true)]
    pub(super) at_cap: AtCap,
}

/// What happens to tasks that fail or must be stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Failing {
    /// Kill a worker that takes longer than this to start (30s, 5m); after three in a row msup
    /// aborts the run [default: no limit]
    #[arg(long, value_name = "TIME")]
    pub(super) start_timeout: Option<String>,

    /// Allow a task that fails up to N attempts [default: 1, no retry]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    pub(super) retries: u32,

    /// Delay before a failed task is retried: random, below a limit. The limit is the first value
    /// before the first retry, and doubles with each retry, up to the second value [default:
    /// 200ms..30s]
    #[arg(long, value_name = "TIME..TIME")]
    pub(super) backoff: Option<String>,

    /// Quarantine a task, that is, do not run it again, when it has crashed N times [default: 3]
    #[arg(long, value_name = "N")]
    pub(super) crash_limit: Option<u32>,

    /// Fail a task when its attempts or their workers were killed from outside (SIGKILL, SIGTERM) N
    /// times. Kills for lack of memory have a limit of their own: 4, or N if that is lower
    /// [default: 10]
    #[arg(long, value_name = "N")]
    pub(super) outside_limit: Option<u32>,

    /// Stop a task that takes longer than this (30s, 5m), or than N% of the median (200%): it has
    /// failed
    #[arg(long, value_name = "TIME|N%")]
    pub(super) timeout: Option<String>,

    /// When to halt the run: never, or now|soon,fail|success|done=N|N%. now stops running tasks,
    /// soon lets them finish. N% is a percentage of all tasks: msup reads all input before it
    /// decides
    #[arg(
        long,
        aliases = ["halt-on-error", "haltonerror"],
        value_name = "WHEN",
        allow_hyphen_values = true
    )]
    pub(super) halt: Option<String>,

    /// Time between SIGTERM and SIGKILL when msup stops a task [default: 10s]. If given, it also
    /// limits how long running tasks may take to finish after Ctrl-C, SIGTERM or SIGHUP; then msup
    /// stops them [default: no limit]
    #[arg(long, value_name = "TIME")]
    pub(super) grace: Option<String>,

    /// Signals that stop a task, each with the milliseconds until the next one, as in GNU parallel
    /// (INT,500,TERM,2000); SIGKILL comes last [default: TERM,GRACE]
    #[arg(long, alias = "term-seq", value_name = "SIGNAL,MS,...")]
    pub(super) termseq: Option<String>,

    /// What to do with processes that a command leaves running in the background: wait for them,
    /// leave them alone (ok), or stop them at once, as a timeout does (kill)
    #[arg(long, value_name = "wait|ok|kill", default_value = "wait", hide_possible_values = true)]
    pub(super) leave: LeaveFlag,

    /// How long to wait for such processes before msup stops them and their task fails [default:
    /// 10s]
    #[arg(long, value_name = "TIME")]
    pub(super) leave_timeout: Option<String>,
}
