//! The lists that values come from: the command line, files, standard input.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;

use super::records::Records;
use super::shaping::Shape;
use super::{Format, Out};

/// Several lists, and how they are combined.
#[derive(Debug)]
pub(crate) struct Lists {
    /// A value is made of one value of each group. Within a group the first values belong together,
    /// then the second ones, and so on.
    pub(crate) groups: Vec<Vec<List>>,
    /// Within a group, shorter lists begin again until the longest is over. Else the shortest
    /// decides.
    pub(crate) wraps: bool,
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
        Lists { groups: vec![vec![list]], wraps: false, shape: Shape::default() }
    }

    /// Whether one of them cannot be read a second time.
    pub(super) fn are_read_once(&self) -> bool {
        self.all().any(|list| match list {
            List::Arguments(_) => false,
            List::Stdin => true,
            List::File(file, _) => !is_file(file),
        })
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

/// A list that is being read.
pub(super) enum OpenList {
    Arguments(std::vec::IntoIter<Vec<u8>>),
    Records(Records),
}

impl OpenList {
    pub(super) fn of(list: List, format: &Rc<Format>, out: &Rc<Out>) -> OpenList {
        let records = |input: Box<dyn Read>, name: String| {
            OpenList::Records(Records::new(input, name, format, out))
        };
        match list {
            List::Arguments(values) => OpenList::Arguments(values.into_iter()),
            List::Stdin => records(Box::new(io::stdin().lock()), "standard input".into()),
            List::File(file, path) => records(Box::new(file), path.display().to_string()),
        }
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self {
            OpenList::Arguments(values) => Ok(values.next()),
            OpenList::Records(records) => records.next(),
        }
    }

    /// Whether the next value, or the end, can be had without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        match self {
            OpenList::Arguments(_) => true,
            OpenList::Records(records) => records.is_at_hand(),
        }
    }
}
