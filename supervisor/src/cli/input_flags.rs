//! The flags about values: where they come from, what ends one, how they become arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use super::choices::Trim;
use super::delimiter;
use super::usage::{BadValue, UsageError};
use crate::input::{Columns, Format, Shape};

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

    /// Give each command N values: {} stands for all of them, {2} for the second one. The last
    /// command may get fewer
    #[arg(
        short = 'n',
        short_alias = 'N',
        long,
        aliases = ["maxargs", "max-replace-args", "maxreplaceargs"],
        value_name = "N"
    )]
    max_args: Option<String>,

    /// Split each value into columns where REGEXP matches: {2} stands for the second one
    #[arg(short = 'C', long, alias = "col-sep", value_name = "REGEXP")]
    colsep: Option<String>,

    /// Remove spaces, tabs and newlines from the beginning (l) or the end (r) of each argument, or
    /// from both (lr), or nothing (n) [default: lr with --colsep, else n]
    #[arg(long, value_name = "n|l|r|lr", hide_possible_values = true)]
    trim: Option<Trim>,
}

impl InputFlags {
    /// How values become arguments.
    ///
    /// # Errors
    /// A value that a flag does not take.
    pub(super) fn shape(&self) -> Result<Shape, UsageError> {
        let columns = self.colsep.as_deref().map(Columns::separated_by).transpose();
        let columns = columns.map_err(UsageError::Colsep)?;
        let usual = if columns.is_some() { Trim::Both } else { Trim::Nothing };
        let trims = self.trim.unwrap_or(usual).sides();
        Ok(Shape { columns, trims, batch: self.batch()? })
    }

    fn batch(&self) -> Result<usize, BadValue> {
        let Some(typed) = &self.max_args else { return Ok(1) };
        let number = typed.parse::<usize>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| BadValue::new("-n", typed, "the number of values, at least 1"))
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
        Ok(Format { separator, several, commands, crlf, hints })
    }
}
