//! The folders that files are placed into: their identity, whatever their path, and where in them
//! tasks write.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::os::files;
use crate::os::files::folder_of;
use crate::os::leftovers;
use crate::output::files::committer::sync_folder;
use crate::output::files::error::FileError;
use crate::template::{OutFile, temporaries_of};

/// The identity of a folder, whatever its path: device and inode number.
type Identity = (u64, u64);

/// All target folders of a generation.
pub(crate) struct Places {
    run: String,
    /// What the names of temporary files begin with that dead runs have left: earlier generations
    /// of this one, and earlier starts of a shard.
    dead: Vec<String>,
    durable: bool,
    /// Folders that were looked at, with the private folder in which tasks write where any user may
    /// write to the folder itself.
    known: HashMap<Identity, Option<PathBuf>>,
    hashers: [RandomState; 2],
}

/// Two hashes of a file's folder and name identify it.
pub(crate) type Key = [u64; 2];

impl Places {
    /// `dead`: runs of which nothing is alive, and which may have left temporary files.
    pub(crate) fn new(run: String, dead: Vec<String>, durable: bool) -> Places {
        let (known, hashers) = Default::default();
        let dead = dead.iter().map(|run| temporaries_of(run)).collect();
        Places { run, dead, durable, known, hashers }
    }

    /// Tasks that make the same file, by whatever path, get the same key, as long as links do not
    /// change. For a folder that does not exist yet, the nearest existing one above it counts, and
    /// the path from there.
    pub(crate) fn key(&self, file: &OutFile) -> Key {
        let path = file.path();
        let folder = folder_of(&path);
        let (identity, below) = spot(folder);
        let name = (identity, below, file.name());
        [0, 1].map(|one: usize| self.hashers[one].hash_one(&name))
    }

    /// Removes what dead runs have left where this file belongs, unless that was done before.
    pub(crate) fn sweep(&mut self, file: &OutFile) {
        if !self.dead.is_empty() {
            let path = file.path();
            // A missing folder needs no sweeping; problems with it are reported when a task is to
            // write there.
            let _ = self.look(folder_of(&path));
        }
    }

    /// Where an attempt writes this file, in an existing folder.
    ///
    /// # Errors
    /// The folder cannot be made, or not be used.
    pub(crate) fn prepare(
        &mut self,
        file: &OutFile,
        seq: u64,
        attempt: u32,
    ) -> Result<PathBuf, FileError> {
        let path = file.path();
        let folder = folder_of(&path);
        let error = |why| FileError::Folder { folder: folder.to_owned(), why };
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(error)?;
            if self.durable {
                // The folders above may be new, too.
                for above in folder.ancestors().skip(1) {
                    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
                    sync_folder(above).map_err(|why| FileError::FolderUnsynced {
                        folder: above.to_owned(),
                        why: why.into(),
                    })?;
                }
            }
        }
        let identity = self.look(folder).map_err(error)?;
        if files::is_shared(folder) {
            let private = self.known.get(&identity).and_then(Option::as_ref);
            let private = match private
                .filter(|path| !path.is_symlink() && files::check_folder(path).is_ok())
            {
                Some(private) => private.clone(),
                None => self.make_private(folder, identity).map_err(error)?,
            };
            return Ok(self.temporary(file, seq, attempt, Some(&private)));
        }
        Ok(self.temporary(file, seq, attempt, None))
    }

    fn temporary(&self, file: &OutFile, seq: u64, attempt: u32, within: Option<&Path>) -> PathBuf {
        file.temporary(&self.run, &files::unguessable(), seq, attempt, within)
    }

    /// Looks at a folder. The first time what dead runs have left there is removed.
    fn look(&mut self, folder: &Path) -> io::Result<Identity> {
        let meta = fs::metadata(folder)?;
        let identity = (meta.dev(), meta.ino());
        if !self.known.contains_key(&identity) {
            leftovers::sweep(folder, &self.dead)?;
            self.known.insert(identity, None);
        }
        Ok(identity)
    }

    /// Another user could replace what tasks write there.
    fn make_private(&mut self, folder: &Path, identity: Identity) -> io::Result<PathBuf> {
        let name = format!("{}{}", temporaries_of(&self.run), files::unguessable());
        // Named as the user did: in the working folder without a path.
        let path = if folder == Path::new(".") { name.into() } else { folder.join(name) };
        DirBuilder::new().mode(0o700).create(&path)?;
        self.known.insert(identity, Some(path.clone()));
        Ok(path)
    }

    /// No task writes there any more.
    pub(crate) fn leave(&mut self) {
        for private in self.known.drain().filter_map(|(_, private)| private) {
            let _ = fs::remove_dir(private);
        }
    }
}

/// A folder: the nearest existing one, and the path from there.
fn spot(folder: &Path) -> (Option<Identity>, PathBuf) {
    let mut there = folder;
    let mut missing: Vec<Component> = Vec::new();
    let identity = loop {
        let path = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        match fs::metadata(path) {
            Ok(meta) => break Some((meta.dev(), meta.ino())),
            Err(_) => {
                let mut parts = there.components();
                let Some(last) = parts.next_back() else { break None };
                missing.push(last);
                there = parts.as_path();
            }
        }
    };
    let mut below = PathBuf::new();
    for part in missing.into_iter().rev() {
        match part {
            // What is created there is no link.
            Component::ParentDir if below.pop() => {}
            Component::ParentDir => return spot(&there.join("..")),
            part => below.push(part),
        }
    }
    (identity, below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_known_by_what_is() {
        let place = tempfile::tempdir().expect("a folder");
        let top = place.path();
        fs::create_dir(top.join("a")).expect("writable");
        std::os::unix::fs::symlink("a", top.join("b")).expect("writable");
        let spot = |path: &str| spot(&top.join(path));
        let here = spot("");
        assert_eq!(here.1, Path::new(""));
        for (one, other) in [
            ("a", "b"),
            ("a/..", "b/.."),
            ("a/new", "b/new"),
            ("new/er", "a/../new/er"),
            ("new/er", "new/other/../er"),
            ("new/..", ""),
        ] {
            assert_eq!(spot(one), spot(other), "{one} {other}");
        }
        for (one, other) in [("a", ""), ("new", "new/er"), ("a/new", "new")] {
            assert_ne!(spot(one), spot(other), "{one} {other}");
        }
    }
}
