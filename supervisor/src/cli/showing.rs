//! The flags about how outputs are shown: while tasks run or whole, with which colours, and what is
//! printed with them.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::shared::Limits;
use super::usage::UsageError;
use crate::os::routes;

#[derive(Debug, clap::Args)]
pub(super) struct Showing {
    /// Show each line of an output as soon as it is complete. With -k, only those of the first
    /// task that is not finished
    #[arg(
        long,
        visible_alias = "lb",
        aliases = ["line-buffered", "linebuffer", "linebuffered"],
        conflicts_with_all = ["ungroup", "worker", "worker_stdio", "keep_output"]
    )]
    pub(super) line_buffer: bool,

    /// Let commands write straight to msup's own standard output and error. Lines of several
    /// commands may be mixed; -k, --tag and --color have no effect
    #[arg(short = 'u', long, conflicts_with_all = ["worker", "worker_stdio", "keep_output"])]
    pub(super) ungroup: bool,

    /// Let commands read from the terminal, one at a time and with --ungroup, unless -j or
    /// --line-buffer is given
    #[arg(long, conflicts_with_all = ["worker", "worker_stdio"])]
    pub(super) tty: bool,

    /// Let commands read from the terminal, and change nothing else
    #[arg(
        short = 'o',
        long,
        alias = "opentty",
        conflicts_with_all = ["worker", "worker_stdio"]
    )]
    pub(super) open_tty: bool,

    /// Show each command before its output
    #[arg(
        short = 'v',
        action = clap::ArgAction::Count,
        conflicts_with_all = ["worker", "worker_stdio"]
    )]
    pub(super) show_commands: u8,

    /// Print each command on standard error before it is run
    #[arg(short = 't', long, conflicts_with_all = ["worker", "worker_stdio"])]
    pub(super) verbose: bool,

    /// Give the lines of each task a background colour
    #[arg(long, alias = "colour")]
    pub(super) color: bool,

    /// Make the outputs of failed tasks red. No effect with --line-buffer
    #[arg(
        long,
        visible_alias = "cf",
        aliases = [
            "colour-failed", "colorfailed", "colourfailed", "color-fail", "colour-fail",
            "colorfail", "colourfail",
        ]
    )]
    pub(super) color_failed: bool,
}

/// How the outputs of commands reach msup's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputRoute {
    /// Each when its task has finished.
    Whole,
    /// Line by line while tasks run. `separates`: no line follows the unfinished line of another
    /// task.
    Lines { separates: bool },
    /// Commands write to them.
    Direct,
}

/// What is written of a command before it is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// It begins its output.
    pub(crate) in_output: bool,
    /// It is written to standard error at once.
    pub(crate) at_once: bool,
}

impl Showing {
    /// By which route outputs travel. `serial`: in the order of the input; `gnu`: as in GNU
    /// parallel.
    pub(super) fn route(&self, serial: bool, gnu: bool) -> OutputRoute {
        match (self.line_buffer, self.ungroup || self.tty) {
            (true, _) => OutputRoute::Lines { separates: !serial && !gnu },
            (false, true) => OutputRoute::Direct,
            (false, false) => OutputRoute::Whole,
        }
    }

    pub(super) fn announced(&self) -> Announced {
        Announced { in_output: self.show_commands > 0, at_once: self.verbose }
    }

    /// Whether something may be written on the terminal that msup does not see.
    pub(super) fn hides_bar(&self) -> bool {
        self.ungroup || self.tty || self.open_tty || self.verbose
    }

    /// With `--tty` one command runs at a time, unless something else was asked for.
    pub(super) fn limit(&self, limits: &mut Limits) {
        let is_limited = limits.jobs.is_some() || limits.max_workers.is_some();
        if self.tty && !is_limited && limits.procs.is_none() {
            limits.jobs = Some("1".into());
        }
    }

    /// The terminal, if commands read from it. In GNU parallel's reading they have an empty input
    /// where there is none.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn terminal(&self, gnu: bool) -> Result<Option<OwnedFd>, UsageError> {
        let flag = match (self.tty, self.open_tty) {
            (true, _) => "--tty",
            (false, true) => "--open-tty",
            (false, false) => return Ok(None),
        };
        match routes::open_terminal() {
            Ok(terminal) => Ok(Some(terminal)),
            Err(_) if gnu => Ok(None),
            Err(why) => Err(UsageError::File { flag, path: PathBuf::from(routes::TERMINAL), why }),
        }
    }
}
