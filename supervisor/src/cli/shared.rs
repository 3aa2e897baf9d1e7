//! Flags that a run has at its start and that may be given anew when it is resumed or retried.

use std::path::PathBuf;

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
    /// CPUs, 0 for as many as possible. Excludes --procs and --max-workers
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

    /// Limit the total memory of all commands (512M, 16G); msup estimates it from finished ones
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

    /// Print a line about tokens and workers every MS milliseconds
    #[arg(long, value_name = "MS")]
    pub(super) schedtrace: Option<u64>,

    /// Show a progress bar even if standard output is a pipe. Where standard error is no terminal,
    /// print a progress line every 30 s instead [default: a bar on a terminal]
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
        self.schedtrace = anew.schedtrace.or(self.schedtrace);
        self.progress = anew.progress.or(self.progress.take());
        self.bar |= anew.bar;
        self.stats |= anew.stats;
        self.quiet |= anew.quiet;
    }
}
