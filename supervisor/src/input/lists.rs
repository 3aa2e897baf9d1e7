//! The lists that values come from: the command line, files, standard input.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use super::records::{Records, take_first};
use super::shaping::Shape;
use super::{Format, Out, csv};

/// Several lists, and how they are combined.
#[derive(Debug)]
pub(crate) struct Lists {
    /// A value is made of one value of each group. Within a group the first values belong together,
    /// then the second ones, and so on.
    pub(crate) groups: Vec<Vec<List>>,
    /// Within a group, shorter lists begin again until the longest is over. Else the shortest
    /// decides.
    pub(crate) wraps: bool,
    /// An empty list beside others has one empty value, as in GNU parallel; else it is an error.
    pub(crate) fills: bool,
    /// How their values become arguments.
    pub(crate) shape: Shape,
}

/// One list of values.
#[derive(Debug)]
pub(crate) enum List {
    /// From the command line.
    Arguments(Vec<Vec<u8>>),
    Stdin,
    /// From a file that was already opened.
    File(File, PathBuf),
}

impl Lists {
    /// A single list.
    pub(crate) fn one(list: List) -> Lists {
        Lists { groups: vec![vec![list]], wraps: false, fills: false, shape: Shape::default() }
    }

    /// Takes the first value from each list, or only from the first list.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(crate) fn take_first(
        &mut self,
        format: &Format,
        from_each: bool,
    ) -> Result<Vec<Vec<u8>>, String> {
        let lists = self.groups.iter_mut().flatten();
        let lists = lists.take(if from_each { usize::MAX } else { 1 });
        lists.map(|list| Ok(list.take_first(format)?.unwrap_or_default())).collect()
    }

    /// The names of the files, in the order of the lists.
    pub(crate) fn names(&self) -> Vec<Vec<u8>> {
        let name = |list: &List| match list {
            List::File(_, path) => path.as_os_str().as_bytes().to_vec(),
            List::Arguments(_) | List::Stdin => Vec::new(),
        };
        self.all().map(name).collect()
    }

    /// Whether one of them cannot be read a second time, or not in the same order.
    pub(super) fn are_read_once(&self) -> bool {
        let is_read_once = |list: &List| match list {
            List::Arguments(_) => false,
            List::Stdin => true,
            List::File(file, _) => !is_file(file),
        };
        // How many values a batch has depends on the system, which may be another one on a resume.
        let is_measured = self.shape.batch.room.is_some();
        self.shape.shuffles || is_measured || self.all().any(is_read_once)
    }

    /// Whether they can be read to their ends without waiting for another process.
    pub(super) fn are_all_there(&self) -> bool {
        self.all().all(|list| match list {
            List::Arguments(_) => true,
            List::Stdin => {
                io::stdin().as_fd().try_clone_to_owned().is_ok_and(|fd| is_file(&File::from(fd)))
            }
            List::File(file, _) => is_file(file),
        })
    }

    fn all(&self) -> impl Iterator<Item = &List> {
        self.groups.iter().flatten()
    }
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file())
}

impl List {
    fn take_first(&mut self, format: &Format) -> Result<Option<Vec<u8>>, String> {
        let (read, name) = match self {
            List::Arguments(values) if values.is_empty() => return Ok(None),
            List::Arguments(values) => return closed(values.remove(0), format).map(Some),
            List::Stdin => {
                let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
                (stdin.and_then(|file| take_first(file, format)), "standard input".to_owned())
            }
            List::File(file, path) => (take_first(&*file, format), path.display().to_string()),
        };
        read.map_err(|why| format!("{name}: {why}"))
    }
}

/// A value of the command line.
///
/// # Errors
/// With `--csv`: a quote is open.
fn closed(value: Vec<u8>, format: &Format) -> Result<Vec<u8>, String> {
    match format.csv && csv::is_open(&value) {
        true => Err(format!("{}: a quote (\") is open at its end (--csv)", value.escape_ascii())),
        false => Ok(value),
    }
}

/// A list that is being read.
pub(super) struct OpenList {
    values: OpenValues,
    format: Rc<Format>,
    is_over: bool,
    /// Its first value, if that was looked at.
    first: Option<Vec<u8>>,
}

enum OpenValues {
    Arguments(std::vec::IntoIter<Vec<u8>>),
    Records(Records),
}

impl OpenList {
    pub(super) fn of(list: List, format: &Rc<Format>, out: &Rc<Out>) -> OpenList {
        let records = |input: Box<dyn Read>, name: String| {
            OpenValues::Records(Records::new(input, name, format, out))
        };
        let values = match list {
            List::Arguments(values) => OpenValues::Arguments(values.into_iter()),
            List::Stdin => records(Box::new(io::stdin().lock()), "standard input".into()),
            List::File(file, path) => records(Box::new(file), path.display().to_string()),
        };
        OpenList { values, format: Rc::clone(format), is_over: false, first: None }
    }

    /// Whether it has no value. Waits for the first one.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn is_empty(&mut self) -> Result<bool, String> {
        self.first = self.next()?;
        Ok(self.first.is_none())
    }

    /// Gives an empty list one empty value.
    pub(super) fn fill(&mut self) {
        self.first = Some(Vec::new());
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let is_skipped = |value: &Vec<u8>| value.trim_ascii().is_empty();
        let mut next = self.one()?;
        while self.format.skips_blank && next.as_ref().is_some_and(is_skipped) {
            next = self.one()?;
        }
        let Some(mut value) = next else { return Ok(None) };
        while self.format.continues && value.ends_with(b" ") | value.ends_with(b"\t") {
            let Some(more) = self.one()? else { break };
            value.extend_from_slice(&more);
        }
        Ok(Some(value))
    }

    fn one(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.is_over {
            return Ok(None);
        }
        let value = match &mut self.values {
            OpenValues::Arguments(values) => {
                values.next().map(|value| closed(value, &self.format)).transpose()?
            }
            OpenValues::Records(records) => records.next()?,
        };
        self.is_over = value.is_none() || (value == self.format.end && value.is_some());
        Ok(value.filter(|_| !self.is_over))
    }

    /// Whether the next value, or the end, can be had without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        match &self.values {
            _ if self.first.is_some() => true,
            OpenValues::Arguments(_) => true,
            OpenValues::Records(records) => self.is_over || records.is_at_hand(),
        }
    }
}
