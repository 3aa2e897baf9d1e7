//! The flags about values: where they come from, what ends one, how they become arguments.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::choices::Trim;
use super::delimiter;
use super::list_flags::ListFlags;
use super::usage::{BadValue, UsageError};
use crate::input::{BatchSize, Format, Shape};

#[derive(Debug, clap::Args)]
pub(super) struct InputFlags {
    /// Read values from FILE (-: standard input). With several lists, commands are run for all
    /// combinations of their values
    #[arg(short = 'a', long, alias = "argfile", value_name = "FILE")]
    pub(super) arg_file: Vec<PathBuf>,

    /// The first values of all lists belong together, then the second ones, and so on. Shorter
    /// lists begin again
    #[arg(long, alias = "xapply")]
    pub(super) link: bool,

    /// What ends a value, instead of a newline: DELIM, with \n, \t, \0, \xHH and the like
    #[arg(short = 'd', long, value_name = "DELIM", conflicts_with = "null")]
    delimiter: Option<OsString>,

    /// Values are separated by NUL bytes, not newlines
    #[arg(short = '0', long)]
    pub(super) null: bool,

    /// Lines end with CR LF, as on Windows: remove the CR from each value, and a byte order mark
    /// from the first
    #[arg(long, conflicts_with = "null")]
    crlf: bool,

    /// The value EOF ends a list, and is not part of it
    #[arg(short = 'E', short_alias = 'e', long, value_name = "EOF")]
    eof: Option<OsString>,

    /// In GNU parallel's reading, blank values are skipped. msup runs nothing without values.
    #[arg(
        short = 'r',
        long,
        alias = "norunifempty",
        action = clap::ArgAction::Count,
        hide = true
    )]
    pub(super) no_run_if_empty: u8,

    /// Split each value into columns where REGEXP matches: {2} stands for the second one
    #[arg(short = 'C', long, alias = "col-sep", value_name = "REGEXP")]
    colsep: Option<String>,

    /// Remove spaces, tabs and newlines from the beginning (l) or the end (r) of each argument, or
    /// from both (lr), or nothing (n) [default: lr with --colsep, else n]
    #[arg(long, value_name = "n|l|r|lr", hide_possible_values = true)]
    trim: Option<Trim>,
}

impl InputFlags {
    /// Those that mean nothing for blocks, and whether they are given.
    pub(super) fn of_values(&self) -> [(&'static str, bool); 7] {
        [
            ("-0", self.null),
            ("-d", self.delimiter.is_some()),
            ("-E", self.eof.is_some()),
            ("--crlf", self.crlf),
            ("--colsep", self.colsep.is_some()),
            ("--trim", self.trim.is_some()),
            ("--link", self.link),
        ]
    }

    /// How values become arguments; `batch`: how many of them make up one.
    ///
    /// # Errors
    /// A value that a flag does not take.
    pub(super) fn shape(&self, lists: &ListFlags, batch: BatchSize) -> Result<Shape, UsageError> {
        let columns = lists.columns(self.colsep.as_deref())?;
        // As in GNU parallel: not where --csv or --header alone make columns.
        let usual = if self.colsep.is_some() { Trim::Both } else { Trim::Nothing };
        let trims = self.trim.unwrap_or(usual).sides();
        Ok(Shape { columns, trims, batch, shuffles: lists.shuffles(), ..Shape::default() })
    }

    /// What ends a value.
    ///
    /// # Errors
    /// It cannot be a delimiter.
    pub(super) fn separator(&self) -> Result<Vec<u8>, BadValue> {
        delimiter::of(self.delimiter.as_deref(), self.null)
    }

    /// How values are read from files. `several`: they may have several arguments, `commands`: they
    /// are commands.
    ///
    /// # Errors
    /// As for [`InputFlags::separator`].
    pub(super) fn format(
        &self,
        several: bool,
        commands: bool,
        hints: bool,
    ) -> Result<Format, BadValue> {
        let separator = self.separator()?;
        let crlf = self.crlf && separator == b"\n";
        let end = self.eof.as_ref().map(|end| end.as_bytes().to_vec());
        // An empty one ends nothing.
        let end = end.filter(|end| !end.is_empty());
        Ok(Format { several, commands, crlf, hints, end, ..Format::separated_by(separator) })
    }
}
