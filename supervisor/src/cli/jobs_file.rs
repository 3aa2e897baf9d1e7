//! `-j FILE`: the number of commands that may run at once is in a file, which is read again when it
//! has changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::concurrency::parse_procs;

/// The file is looked at when a task has finished, and else this often.
const LOOKED_AT_EACH: Duration = Duration::from_secs(1);

/// A number of jobs in a file.
#[derive(Debug)]
pub(crate) struct JobsFile {
    path: PathBuf,
    /// The last valid number in it.
    number: u32,
    /// The largest number that is possible.
    at_most: u32,
    cpus: u64,
    /// The file as it was when it was last read.
    seen: Option<Stamp>,
    /// The number was passed on.
    is_told: bool,
    /// The last text that was no number.
    wrong: String,
    looks_at: Duration,
}

/// What shows that a file has changed: its last change, its length and its inode number.
type Stamp = (i64, i64, u64, u64);

/// What a look at the file has brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Jobs {
    /// This many commands may run at once from now on.
    Allowed(u32),
    /// It holds no valid number. Why, and that the last number still counts.
    Wrong(String),
}

/// What the text of a file says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// Nothing: another process is about to write it.
    Nothing,
    Number(u64),
    NoNumber,
}

impl JobsFile {
    /// Of this file, which is read. `None` if there is none, or no number of jobs in it. It may
    /// later say up to `later`; 0 now stands for `all`.
    pub(super) fn open(path: &str, cpus: u64, later: u32, all: u32) -> Option<JobsFile> {
        let path = PathBuf::from(path);
        let (seen, text) = read(&path).ok()?;
        let Said::Number(number) = said(&text, cpus) else { return None };
        let number = if number == 0 { all } else { u32::try_from(number).unwrap_or(u32::MAX) };
        let (at_most, seen) = (number.max(later), Some(seen));
        let looks_at = Duration::ZERO;
        let (is_told, wrong) = (false, String::new());
        Some(JobsFile { path, number, at_most, cpus, seen, is_told, wrong, looks_at })
    }

    /// The largest number that the file may say.
    pub(super) fn at_most(&self) -> u32 {
        self.at_most
    }

    /// The number of commands that may run at once.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Looks at the file, if it is time. `finished`: a task has finished.
    pub(crate) fn look(&mut self, finished: bool, now: Duration) -> Option<Jobs> {
        if !std::mem::replace(&mut self.is_told, true) {
            return Some(Jobs::Allowed(self.number));
        }
        if !finished && now < self.looks_at {
            return None;
        }
        self.looks_at = now + LOOKED_AT_EACH;
        // Without the file, its last number counts.
        let stamp = fs::metadata(&self.path).ok().map(|meta| stamp(&meta))?;
        if self.seen == Some(stamp) {
            return None;
        }
        let (stamp, text) = read(&self.path).ok()?;
        let what = said(&text, self.cpus);
        if what == Said::Nothing {
            return None;
        }
        self.seen = Some(stamp);
        let number = match what {
            Said::Number(number) => allowed(number, self.at_most),
            Said::Nothing | Said::NoNumber => None,
        };
        let Some(number) = number else {
            // It is said once, however often the same is written.
            let is_new = std::mem::replace(&mut self.wrong, text.clone()) != text;
            return is_new.then(|| Jobs::Wrong(self.why_wrong(&text)));
        };
        self.wrong.clear();
        let former = std::mem::replace(&mut self.number, number);
        (former != number).then_some(Jobs::Allowed(number))
    }

    fn why_wrong(&self, text: &str) -> String {
        let (path, text) = (self.path.display(), text.trim());
        format!(
            "--jobs {path}: it says '{text}' now, which is no number of jobs (up to {}): it \
             stays {}",
            self.at_most, self.number
        )
    }
}

/// A file's text, with what it looked like before it was read.
fn read(path: &Path) -> io::Result<(Stamp, String)> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        // Reading a pipe might never end.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((stamp(&meta), fs::read_to_string(path)?))
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    (meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino())
}

fn said(text: &str, cpus: u64) -> Said {
    match text.trim() {
        "" => Said::Nothing,
        "0" => Said::Number(0),
        text => parse_procs(text, cpus).map_or(Said::NoNumber, Said::Number),
    }
}

/// As many as this number says, if that is possible.
fn allowed(number: u64, at_most: u32) -> Option<u32> {
    match number {
        0 => Some(at_most),
        number => u32::try_from(number).ok().filter(|number| *number <= at_most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_file_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jobs");
        let write = |text: &str| fs::write(&path, text).expect("written");
        write("2\n");
        let name = path.to_str().expect("a name");
        let mut file = JobsFile::open(name, 4, 100, 200).expect("a number");
        assert_eq!((file.number(), file.at_most()), (2, 100));
        assert_eq!(file.look(false, NOW), Some(Jobs::Allowed(2)), "the first one is told, too");
        assert_eq!(file.look(true, NOW), None);
        write("200%");
        assert_eq!(file.look(false, NOW + LOOKED_AT_EACH / 2), None, "it is not time yet");
        assert_eq!(file.look(true, NOW), Some(Jobs::Allowed(8)));
        write("");
        assert_eq!(file.look(true, NOW), None, "it is being written");
        write("none");
        let Some(Jobs::Wrong(why)) = file.look(true, NOW) else { panic!("a word") };
        assert!(why.contains("it says 'none' now") && why.ends_with("it stays 8"), "{why}");
        assert_eq!(file.look(true, NOW), None, "it is said once");
        write("101");
        assert!(matches!(file.look(true, NOW), Some(Jobs::Wrong(_))));
        write("0");
        assert_eq!(file.look(false, NOW + 2 * LOOKED_AT_EACH), Some(Jobs::Allowed(100)));
        fs::remove_file(&path).expect("it is there");
        assert_eq!((file.look(true, NOW), file.number()), (None, 100));
    }

    #[test]
    fn what_is_no_file_with_a_number_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |name: &str| {
            let path = folder.path().join(name);
            let file = JobsFile::open(path.to_str().expect("a name"), 4, 100, 200);
            file.map(|file| (file.number(), file.at_most()))
        };
        fs::write(folder.path().join("word"), "two").expect("written");
        fs::write(folder.path().join("empty"), "\n").expect("written");
        fs::write(folder.path().join("large"), "101").expect("written");
        fs::write(folder.path().join("all"), "0").expect("written");
        assert_eq!([open("."), open("missing"), open("word"), open("empty")], [None; 4]);
        assert_eq!(open("large"), Some((101, 101)), "it is possible on some machines");
        assert_eq!(open("all"), Some((200, 200)));
    }
}
