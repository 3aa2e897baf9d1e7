//! Which start of a shard places the file of a task. Starts of one shard may run at the same
//! time, on machines that do not see each other: the first one that claims a file places it.
//!
//! A claim is a small file in the folder of the shard. It names the temporary file and its place.
//! `link` gives it its name, which succeeds for one start only, on network file systems, too.
//! If a start dies between its claim and the rename, the next one that makes the same file
//! finds the claim and renames for it. If that temporary file is gone, the claim counts no more,
//! and a new one follows it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use msup_protocol::crash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::record::{Bytes, Made};
use crate::os::files;

/// More claims of one file than this are not followed: something removes temporary files.
const CLAIMS_AT_MOST: u32 = 1000;

/// The claims of a shard.
#[derive(Debug)]
pub(crate) struct Claims {
    folder: PathBuf,
    durable: bool,
}

/// What has become of a file that was to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is in its place.
    Here,
    /// Another start has made the same one, which is in its place; this one was removed.
    Elsewhere,
}

/// What a claim says. Paths are absolute.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    temporary: Bytes,
    target: Bytes,
    /// The file as it was before the rename, which does not change it.
    made: Made,
}

impl Claim {
    fn temporary(&self) -> PathBuf {
        std::ffi::OsString::from_vec(self.temporary.0.clone()).into()
    }

    fn target(&self) -> PathBuf {
        std::ffi::OsString::from_vec(self.target.0.clone()).into()
    }

    /// Finishes what its start has begun. Returns whether its file is in its place now.
    fn finish(&self) -> io::Result<bool> {
        match fs::rename(self.temporary(), self.target()) {
            Ok(()) => Ok(true),
            // It was renamed before, or is lost.
            Err(why) if why.kind() == ErrorKind::NotFound => {
                let there = fs::symlink_metadata(self.target());
                Ok(there.is_ok_and(|meta| Made::of(&meta) == self.made))
            }
            Err(why) => Err(why),
        }
    }
}

impl Claims {
    /// In this folder, which is made.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(folder: PathBuf, durable: bool) -> io::Result<Claims> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Claims { folder, durable })
    }

    /// Places the file of a task, unless another start has placed the same one, or was about to:
    /// then that is finished, and this file removed.
    ///
    /// # Errors
    /// No claim can be written or read, or the file cannot be renamed.
    pub(crate) fn place(&self, temporary: &Path, target: &Path) -> io::Result<Placed> {
        let bytes = |path: PathBuf| Bytes(path.into_os_string().as_bytes().to_vec());
        let own = Claim {
            temporary: bytes(std::path::absolute(temporary)?),
            target: bytes(std::path::absolute(target)?),
            made: Made::of(&fs::symlink_metadata(temporary)?),
        };
        // Numbers of tasks that others have added may differ between starts; places do not.
        let key = key_of(&own);
        let draft = self.folder.join(format!("{key}.{}", files::unguessable()));
        self.write(&draft, &own)?;
        let placed = self.compete(&key, &draft, &own);
        let _ = fs::remove_file(&draft);
        if placed.as_ref().is_ok_and(|placed| *placed == Placed::Elsewhere) {
            let _ = fs::remove_file(temporary);
        }
        placed
    }

    fn compete(&self, key: &str, draft: &Path, own: &Claim) -> io::Result<Placed> {
        for nth in 1..=CLAIMS_AT_MOST {
            let name = self.folder.join(format!("{key}-{nth}"));
            if link(draft, &name)? {
                self.sync()?;
                // CRASH: claim_before_rename. A claim whose temporary file exists: the next
                // start that makes this file renames it.
                crash::point("claim_before_rename");
                // Another start may have renamed it meanwhile.
                return if own.finish()? {
                    Ok(Placed::Here)
                } else {
                    Err(ErrorKind::NotFound.into())
                };
            }
            let claim = fs::read(&name)?;
            let other: Claim = serde_json::from_slice(&claim).map_err(io::Error::other)?;
            if other.finish()? {
                return Ok(Placed::Elsewhere);
            }
        }
        Err(io::Error::other(format!("{CLAIMS_AT_MOST} starts have claimed it and lost it")))
    }

    /// Writes a claim, complete before it has its name.
    fn write(&self, path: &Path, claim: &Claim) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec(claim).map_err(io::Error::other)?)?;
        if self.durable { file.sync_all() } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        if self.durable { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }
}

/// Names the place of a file: two of 2^50 places have the same name with probability 2^-29.
fn key_of(claim: &Claim) -> String {
    let digest = Sha256::digest(&claim.target.0);
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folders of the files that starts of a shard have claimed in the folder `claims`, as far as
/// claims can be read.
pub(crate) fn target_folders(claims: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(claims).into_iter().flatten().flatten();
    let claims = entries.filter_map(|entry| {
        let claim: Claim = serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?;
        Some(files::folder_of(&claim.target()).to_owned())
    });
    claims.collect()
}

/// Gives a file a second name. Returns false if another file has it.
fn link(file: &Path, name: &Path) -> io::Result<bool> {
    match fs::hard_link(file, name) {
        Ok(()) => Ok(true),
        // On network file systems an answer may be lost and the request repeated.
        Err(why) if why.kind() == ErrorKind::AlreadyExists => {
            let [one, other] = [fs::symlink_metadata(file)?, fs::symlink_metadata(name)?];
            Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
        }
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        claims: Claims,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().expect("a folder");
            let claims = Claims::new(folder.path().join("claims"), true).expect("made");
            Place { folder, claims }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn made(&self, name: &str) -> PathBuf {
            fs::write(self.path(name), name).expect("writable");
            self.path(name)
        }

        fn place(&self, temporary: &str) -> Placed {
            let temporary = self.made(temporary);
            self.claims.place(&temporary, &self.path("out")).expect("placed")
        }

        fn out(&self) -> String {
            fs::read_to_string(self.path("out")).unwrap_or_default()
        }
    }

    #[test]
    fn the_first_one_places_its_file() {
        let place = Place::new();
        fs::write(place.path("out"), "of last week").expect("writable");
        assert_eq!((place.place("one"), place.out().as_str()), (Placed::Here, "one"));
        assert_eq!((place.place("two"), place.out().as_str()), (Placed::Elsewhere, "one"));
        assert!(!place.path("two").exists(), "what lost is removed");
        let left = fs::read_dir(place.path("claims")).expect("there").count();
        assert_eq!(left, 1, "drafts are removed");
    }

    /// A start that has died after its claim.
    fn dead_claim(place: &Place, temporary: &str) {
        let temporary = place.made(temporary);
        let bytes = |path: PathBuf| Bytes(path.into_os_string().as_bytes().to_vec());
        let made = Made::of(&temporary.symlink_metadata().expect("there"));
        let target = bytes(place.path("out"));
        let claim = Claim { temporary: bytes(temporary), target, made };
        let key = key_of(&claim);
        place.claims.write(&place.path(&format!("claims/{key}-1")), &claim).expect("written");
    }

    #[test]
    fn what_a_dead_start_has_claimed_is_placed_for_it() {
        let place = Place::new();
        dead_claim(&place, "one");
        assert_eq!((place.place("two"), place.out().as_str()), (Placed::Elsewhere, "one"));
    }

    #[test]
    fn a_claim_without_its_file_counts_no_more() {
        let place = Place::new();
        fs::write(place.path("out"), "of last week").expect("writable");
        dead_claim(&place, "one");
        fs::remove_file(place.path("one")).expect("there");
        assert_eq!((place.place("two"), place.out().as_str()), (Placed::Here, "two"));
        assert_eq!((place.place("three"), place.out().as_str()), (Placed::Elsewhere, "two"));
    }

    #[test]
    fn of_many_that_compete_one_wins() {
        let place = Place::new();
        let names: Vec<String> = (0..16).map(|nth| format!("t{nth}")).collect();
        let place = &place;
        let placed: Vec<Placed> = std::thread::scope(|scope| {
            let all: Vec<_> =
                names.iter().map(|name| scope.spawn(move || place.place(name))).collect();
            all.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winners: Vec<&String> = names
            .iter()
            .zip(&placed)
            .filter(|(_, placed)| **placed == Placed::Here)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(winners, [&place.out()]);
    }
}
