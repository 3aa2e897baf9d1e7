//! The journals of shards in a folder that several machines share: FOLDER/shard-NTH/START.
//!
//! Each start of a shard writes a journal of its own, and reads those of the starts before it.
//! So no file has two writers, and no lock has to reach from one machine to another: a start may
//! still run on a machine that the scheduler takes for dead.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use msup_protocol::crash;

use super::error::JournalError;
use super::folder::Folder;
use super::record::{Bytes, Run};
use crate::os::machine;
use crate::shard::Shard;

/// What the names of the folders of shards begin with.
const PREFIX: &str = "shard-";

/// The folder of one shard, with a folder for each of its starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardFolder(PathBuf);

impl ShardFolder {
    /// Below this folder, which all shards share.
    pub(crate) fn of(shared: &Path, shard: Shard) -> ShardFolder {
        ShardFolder(shared.join(format!("{PREFIX}{}", shard.nth)))
    }

    /// The folders of all shards below this one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn all_in(shared: &Path) -> Result<Vec<ShardFolder>, JournalError> {
        let error = JournalError::at(shared);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(shared).map_err(&error)? {
            let name = entry.map_err(&error)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
            numbers.extend(number.map(|number: u64| (number, name)));
        }
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|(_, name)| ShardFolder(shared.join(name))).collect())
    }

    /// Whether the run in this folder is a start of a shard.
    pub(crate) fn has_start(folder: &Folder) -> bool {
        let mut names = folder.path().iter().rev().map(|name| name.to_str().unwrap_or_default());
        let is_number = |name: Option<&str>| name.is_some_and(|name| name.parse::<u64>().is_ok());
        is_number(names.next())
            && is_number(names.next().and_then(|name| name.strip_prefix(PREFIX)))
    }

    /// The number of a start, from 1.
    pub(crate) fn number_of(start: &Folder) -> u64 {
        let name = start.path().file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).unwrap_or(1)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder in which starts claim the files that they make.
    pub(crate) fn claims(&self) -> PathBuf {
        // Beside the starts: FOLDER/shard-*/* are runs.
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.0.with_file_name(format!("claims-{}", name.trim_start_matches(PREFIX)))
    }

    /// The starts so far whose journals have begun, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn starts(&self) -> Result<Vec<Folder>, JournalError> {
        let numbers = self.numbers().map_err(JournalError::at(&self.0))?;
        let folders = numbers.into_iter().map(|number| self.start(number));
        Ok(folders.filter(|folder| folder.has_journal() && !folder.is_empty_run()).collect())
    }

    /// Makes the folder of one more start. No other process gets the same one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn begin(&self) -> Result<Folder, JournalError> {
        let error = JournalError::at(&self.0);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        builder.recursive(true).create(&self.0).map_err(&error)?;
        let mut number = self.numbers().map_err(&error)?.last().map_or(1, |last| last + 1);
        loop {
            let folder = self.start(number);
            match builder.recursive(false).create(folder.path()) {
                Ok(()) => {
                    // CRASH: start_before_journal. An empty folder: later starts pass it over.
                    crash::point("start_before_journal");
                    return Ok(folder);
                }
                Err(why) if why.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(why) => return Err(JournalError::at(folder.path())(why)),
            }
        }
    }

    fn start(&self, number: u64) -> Folder {
        Folder::at(self.0.join(number.to_string()))
    }

    /// The numbers of starts, ascending; none if there is no such folder.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(why),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl Run {
    /// Whether both do shards of the same work: the same command in the same folder, divided into
    /// the same number of shards.
    pub(crate) fn shares_work_with(&self, other: &Run) -> bool {
        let of = |run: &Run| run.shard.map(|shard| shard.of);
        of(self) == of(other) && self.folder == other.folder && self.work == other.work
    }

    /// Whether the supervisor of this start has run here and is dead. One that runs elsewhere
    /// cannot be asked: locks do not reach from one machine to another.
    pub(crate) fn has_died_here(&self, start: &Folder) -> bool {
        self.machine.is_some() && self.machine == machine::identity() && start.is_left()
    }
}

/// Flags without what differs between shards. COMMAND is none of them: it may have flags of these
/// names.
pub(crate) fn without_shard(flags: &[Bytes]) -> Vec<&[u8]> {
    let mut all = flags.iter().map(|word| word.0.as_slice());
    let mut words = Vec::new();
    while let Some(word) = all.next() {
        let rest = SHARD_FLAGS.iter().find_map(|name| word.strip_prefix(name.as_bytes()));
        match rest {
            Some([]) => drop(all.next()),
            Some([b'=', ..]) => {}
            _ => words.push(word),
        }
    }
    words
}

/// The flags that say which shard this is.
const SHARD_FLAGS: [&str; 3] = ["--kept-shard", "--shards", "--shard"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_folder_of_its_own() {
        let shared = tempfile::tempdir().expect("a folder");
        let shard = ShardFolder::of(shared.path(), Shard { nth: 3, of: 16 });
        assert_eq!(shard.starts().expect("none yet"), []);
        for number in ["1", "2", "3"] {
            let folder = shard.begin().expect("made");
            assert_eq!(folder.path(), shared.path().join("shard-3").join(number));
        }
        assert_eq!(shard.starts().expect("readable"), [], "none has a journal");
        fs::write(shared.path().join("shard-3/notes.txt"), "").expect("written");
        fs::create_dir(shared.path().join("shard-3/12")).expect("made");
        assert!(shard.begin().expect("made").path().ends_with("13"));
    }

    #[test]
    fn what_differs_between_shards_is_left_out() {
        let left = |typed: &str| {
            let typed: Vec<Bytes> =
                typed.split(' ').map(|word| Bytes(word.as_bytes().to_vec())).collect();
            let words: Vec<String> = without_shard(&typed)
                .into_iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            words.join(" ")
        };
        assert_eq!(left("--kept-shard=3/16 --shard auto -k"), "-k");
        assert_eq!(left("--kept-shard=3/16 --shard=auto --shards 16 -k"), "-k");
        assert_eq!(left("-k --shard 0/2"), "-k");
        assert_eq!(left("--sharder -k"), "--sharder -k");
    }
}
