//! Where and how commands run: their folder, their nice level, the variable with their slot.

use std::path::{Path, PathBuf};

use msup_protocol::codec::{Folder, Place};

use super::parsing::parse_word;
use super::tag::{OfAttempt, check, text};
use super::{Facts, Totals, Word};
use crate::template::strings::Strings;

/// What stands for a temporary folder of each task.
const TEMPORARY: &[u8] = b"...";

/// Where and how commands run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    folder: Option<TaskFolder>,
    nice: Option<i8>,
    /// Commands have a variable of this name with their slot, from 0; empty for none.
    slot_variable: String,
}

#[derive(Debug, Clone)]
enum TaskFolder {
    Temporary,
    /// It is made if it is not there.
    Named {
        word: Word,
        is_made: bool,
    },
}

impl Surroundings {
    /// `folder`: as typed, if commands do not run in that of msup. `makes`: it is made.
    ///
    /// # Errors
    /// The folder depends on what is not known.
    pub(crate) fn new(
        folder: Option<&[u8]>,
        makes: bool,
        nice: Option<i8>,
        slot_variable: &str,
        strings: &Strings,
    ) -> Result<Surroundings, OfAttempt> {
        let folder = match folder {
            None => None,
            Some(TEMPORARY) => Some(TaskFolder::Temporary),
            Some(typed) => {
                let word = parse_word(typed, strings);
                check(&word)?;
                Some(TaskFolder::Named { word, is_made: makes })
            }
        };
        Ok(Surroundings { folder, nice, slot_variable: slot_variable.to_owned() })
    }

    /// Whether the folder depends on how many tasks there are.
    pub(crate) fn needs_total(&self) -> bool {
        match &self.folder {
            Some(TaskFolder::Named { word, .. }) => {
                word.iter().any(super::TemplatePart::needs_total)
            }
            _ => false,
        }
    }

    /// The path of a task's file as its command must call it.
    pub(crate) fn seen_from_there(&self, path: &Path) -> PathBuf {
        match &self.folder {
            Some(_) => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            None => path.to_owned(),
        }
    }

    /// Those of the task with this value and number. `below`: where a temporary folder is made.
    pub(crate) fn of(
        &self,
        value: &[u8],
        (seq, attempt): (u64, u32),
        totals: Totals,
        below: &Path,
    ) -> Place {
        let folder = match &self.folder {
            None => Folder::OfWorker,
            Some(TaskFolder::Temporary) => {
                let path = below.join(format!("wd-{seq}.{attempt}"));
                Folder::Temporary(path.into_os_string().into_encoded_bytes().into())
            }
            Some(TaskFolder::Named { word, is_made }) => {
                let path = text(word, value, Facts { seq, totals, ..Facts::default() });
                match is_made {
                    true => Folder::Made(path.into()),
                    false => Folder::Given(path.into()),
                }
            }
        };
        Place {
            folder,
            nice: self.nice,
            slot_variable: self.slot_variable.clone().into_bytes().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_its_folder() {
        let folder = |typed: &str, makes| {
            let made = Surroundings::new(Some(typed.as_bytes()), makes, None, "", &Strings::USUAL);
            let totals = Totals::default();
            made.map(|made| made.of(b"a/b.c", (7, 2), totals, Path::new("/run")).folder)
        };
        let bytes = |text: &str| text.as_bytes().to_vec().into();
        assert_eq!(folder("x/{//}", false), Ok(Folder::Given(bytes("x/a"))));
        assert_eq!(folder("{/.}-{#}", true), Ok(Folder::Made(bytes("b-7"))));
        assert_eq!(folder("...", true), Ok(Folder::Temporary(bytes("/run/wd-7.2"))));
        assert_eq!(folder("{%}", true), Err(OfAttempt));
        assert!(Surroundings::default().seen_from_there(Path::new("x")).is_relative());
    }
}
