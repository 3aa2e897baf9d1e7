//! The flags about lists: their headers, their order, and what separates them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::usage::{BadValue, UsageError};
use crate::input::{BlockHeader, Columns, Format, Source};

#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    /// With ':', the first value of each list names its columns: {NAME}, {NAME.} and the like stand
    /// for them. With 0, the names of the files of -a and :::: stand for their values. Columns are
    /// separated by tabs, or by --colsep. With --pipe: the first line (:), N lines, or what REGEXP
    /// matches stands before each block
    #[arg(long, value_name = ":|0|N|REGEXP", conflicts_with = "worker")]
    header: Option<String>,

    /// Leave the first value of the first list out. With --pipe: the first line
    #[arg(long, alias = "skipfirstline")]
    skip_first_line: bool,

    /// Values are records of CSV: their fields are the columns, and may stand in quotes. --colsep
    /// is the byte that separates them [default: a comma]
    #[arg(long)]
    csv: bool,

    /// Run the tasks in random order. msup reads all input before it starts a task
    #[arg(long)]
    shuf: bool,

    /// What stands before values behind COMMAND [default: :::]
    #[arg(long, alias = "argsep", value_name = "STRING", allow_hyphen_values = true)]
    arg_sep: Option<OsString>,

    /// What stands before names of files behind COMMAND [default: ::::]
    #[arg(long, alias = "argfilesep", value_name = "STRING", allow_hyphen_values = true)]
    arg_file_sep: Option<OsString>,

    /// The names of the columns, kept with a run: its list may not be there when it is resumed.
    #[arg(long, hide = true)]
    column_name: Vec<OsString>,
}

/// What stands before lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Separators {
    pub(super) values: Vec<u8>,
    pub(super) files: Vec<u8>,
}

impl Separators {
    /// Those of msup and GNU parallel.
    pub(super) fn usual() -> Separators {
        Separators { values: b":::".to_vec(), files: b"::::".to_vec() }
    }
}

/// Where the names of columns come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    None,
    FirstValue,
    FileNames,
}

impl ListFlags {
    /// # Errors
    /// One of them is empty.
    pub(super) fn separators(&self) -> Result<Separators, UsageError> {
        let usual = Separators::usual();
        let given = |flag, typed: &Option<OsString>, usual: Vec<u8>| match typed {
            Some(typed) if typed.is_empty() => {
                Err(BadValue::new(flag, "''", "a string of at least one character"))
            }
            Some(typed) => Ok(typed.as_bytes().to_vec()),
            None => Ok(usual),
        };
        Ok(Separators {
            values: given("--arg-sep", &self.arg_sep, usual.values)?,
            files: given("--arg-file-sep", &self.arg_file_sep, usual.files)?,
        })
    }

    pub(super) fn is_csv(&self) -> bool {
        self.csv
    }

    pub(super) fn shuffles(&self) -> bool {
        self.shuf
    }

    /// How values are split into columns. `colsep`: what was typed.
    ///
    /// # Errors
    /// It cannot separate columns.
    pub(super) fn columns(&self, colsep: Option<&str>) -> Result<Option<Columns>, UsageError> {
        if self.csv {
            let &[separator] = colsep.unwrap_or(",").as_bytes() else {
                let wanted = "one byte, where --csv is given";
                return Err(BadValue::new("--colsep", colsep.unwrap_or_default(), wanted).into());
            };
            return Ok(Some(Columns::Csv(separator)));
        }
        let usual = (self.header()? != Header::None).then_some("\t");
        let columns = colsep.or(usual).map(Columns::separated_by).transpose();
        columns.map_err(UsageError::Colsep)
    }

    fn header(&self) -> Result<Header, BadValue> {
        match self.header.as_deref() {
            None => Ok(Header::None),
            Some("0") => Ok(Header::FileNames),
            // In GNU parallel, a regular expression counts with --pipe alone.
            Some(":" | ".*\\n" | "(.*\\n)" | "1") => Ok(Header::FirstValue),
            Some(other) => {
                let wanted = "':' (the first value of each list) or '0' (the names of files)";
                Err(BadValue::new("--header", other, wanted))
            }
        }
    }

    /// Those that mean nothing for blocks, and whether they are given.
    pub(super) fn of_values(&self) -> [(&'static str, bool); 3] {
        let of_files = self.header.as_deref() == Some("0");
        [("--csv", self.csv), ("--shuf", self.shuf), ("--header 0", of_files)]
    }

    /// Whether the first line of the input of `--pipe` is left out. Then it is no value that is.
    pub(super) fn take_skipped_line(&mut self) -> bool {
        std::mem::take(&mut self.skip_first_line)
    }

    /// What stands before each block of `--pipe`. Then the lists have no header.
    ///
    /// # Errors
    /// It is no regular expression.
    pub(super) fn take_block_header(&mut self) -> Result<Option<BlockHeader>, UsageError> {
        match self.header.take().as_deref() {
            None => Ok(None),
            Some(":") => Ok(Some(BlockHeader::Lines(1))),
            Some(typed) => match typed.parse() {
                Ok(lines) => Ok(Some(BlockHeader::Lines(lines))),
                Err(_) => BlockHeader::matching(typed).map(Some).map_err(UsageError::BlockHeader),
            },
        }
    }

    /// Takes what is no value from the lists. Returns the names of their columns, each with its
    /// number.
    ///
    /// # Errors
    /// A list cannot be read.
    pub(super) fn take_header(
        &self,
        source: &mut Source,
        format: &Format,
        columns: Option<&Columns>,
    ) -> Result<Vec<(Vec<u8>, i32)>, UsageError> {
        let header = self.header()?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        if let Source::Lists(lists) = source {
            let format = Format { csv: self.csv, ..format.clone() };
            if self.skip_first_line {
                lists.take_first(&format, false).map_err(UsageError::Header)?;
            }
            match header {
                Header::None => {}
                Header::FileNames => names = lists.names(),
                Header::FirstValue => {
                    for mut first in lists.take_first(&format, true).map_err(UsageError::Header)? {
                        if first.ends_with(b"\r") {
                            first.pop();
                        }
                        names.extend(match columns {
                            Some(columns) => columns.split(&first),
                            None => vec![first],
                        });
                    }
                }
            }
        }
        if !self.column_name.is_empty() {
            return Ok(self.kept_names());
        }
        let is_twice =
            |(at, name): &(usize, &Vec<u8>)| !name.is_empty() && names[..*at].contains(name);
        if let (Header::FirstValue, Some((_, name))) =
            (header, names.iter().enumerate().find(is_twice))
        {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(UsageError::ColumnTwice(name));
        }
        Ok(names.into_iter().zip(1..).collect())
    }

    /// The names of columns that were kept with a run.
    pub(super) fn kept_names(&self) -> Vec<(Vec<u8>, i32)> {
        self.column_name.iter().map(|name| name.as_bytes().to_vec()).zip(1..).collect()
    }

    /// The flags that keep these names with a run.
    pub(super) fn kept(names: &[(Vec<u8>, i32)]) -> impl Iterator<Item = Vec<u8>> {
        names.iter().map(|(name, _)| [b"--column-name=", name.as_slice()].concat())
    }
}

/// Which tasks are left out because of replacement strings of `--plus` in these words: those with
/// equal values, and those whose values do not ascend.
pub(super) fn left_out(words: &[OsString], plus: bool) -> [bool; 2] {
    let has = |wanted: &[u8]| {
        let holds = |word: &OsString| {
            word.clone().into_vec().windows(wanted.len()).any(|part| part == wanted)
        };
        plus && words.iter().any(holds)
    };
    [has(b"{uniq}"), has(b"{choose_k}")]
}
