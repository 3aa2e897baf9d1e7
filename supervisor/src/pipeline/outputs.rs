//! Which task makes which file: no two tasks make the same one, and none makes a file that a source
//! has found.
//!
//! Paths are compared as they are written, without `.`, `..` and doubled slashes; links are not
//! followed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::graph::StageId;
use super::keys::Made;
use super::pattern::FilePattern;
use super::task::TaskId;

/// The values of a source.
#[derive(Clone, Debug)]
pub(crate) struct SourceValues {
    /// The stage that has it.
    pub(crate) stage: StageId,
    pub(crate) values: Vec<Vec<u8>>,
    pub(crate) kind: SourceKind,
    /// The glob that has found them.
    pub(crate) pattern: Option<FilePattern>,
}

/// What the values of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    /// Files that were found by a glob.
    Found,
    /// A list; it may name files.
    Listed,
    /// They stand in the pipeline file: names of outputs as well as of inputs.
    Given,
}

/// Why a task must not make its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// This task makes it.
    MadeBy(TaskId),
    /// The glob of a source has found it, or would find it in the next run.
    Found,
    /// A source lists it, and it was there before the task has ever run.
    Listed,
}

/// The outputs of tasks. Which task makes which file is known by hashes of paths: of 10^7 paths two
/// have the same hash with probability 3 in 10^6.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputFiles {
    /// The folder of the pipeline file.
    folder: Vec<u8>,
    makers: HashMap<u64, TaskId>,
    found: HashSet<u64>,
    patterns: Vec<FilePattern>,
    listed: HashSet<u64>,
    may_be_values: bool,
    /// Paths that were asked for last.
    pub(super) paths: RefCell<HashMap<TaskId, Vec<u8>>>,
    /// OutputFiles on the disk that have another identity.
    pub(super) made_again: BTreeMap<TaskId, Made>,
    /// Tasks whose temporary outputs could not be made again.
    pub(super) lost: BTreeSet<TaskId>,
    /// Tasks that cannot run, and why.
    pub(super) refused: BTreeMap<TaskId, String>,
}

impl OutputFiles {
    /// With these sources. `folder`: that of the pipeline file, an absolute path.
    pub(super) fn new(folder: Vec<u8>, sources: &[SourceValues]) -> OutputFiles {
        let mut paths = OutputFiles { folder, ..OutputFiles::default() };
        paths.patterns = sources.iter().filter_map(|source| source.pattern.clone()).collect();
        for SourceValues { values, kind, .. } in sources {
            paths.may_be_values |= *kind != SourceKind::Found;
            let hashes: Vec<u64> = match kind {
                SourceKind::Given => continue,
                _ => values.iter().map(|value| paths.hash(value)).collect(),
            };
            match kind {
                SourceKind::Found => paths.found.extend(hashes),
                _ => paths.listed.extend(hashes),
            }
        }
        paths
    }

    /// The task is going to make this file, or has made it. `was_there`: there is such a file, and
    /// the task has never run. Returns why it must not make it.
    pub(super) fn claim(&mut self, id: TaskId, path: &[u8], was_there: bool) -> Option<Clash> {
        let hash = self.hash(path);
        let maker = *self.makers.entry(hash).or_insert(id);
        match maker == id {
            _ if self.found.contains(&hash) || self.would_find(path) => Some(Clash::Found),
            _ if was_there && self.listed.contains(&hash) => Some(Clash::Listed),
            true => None,
            false => Some(Clash::MadeBy(maker)),
        }
    }

    fn would_find(&self, path: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.finds(&self.folder, path))
    }

    /// All tasks are known, and have been judged.
    pub(super) fn forget_makers(&mut self) {
        self.makers = HashMap::new();
    }

    /// Whether values of sources may be names of files that tasks make.
    pub(super) fn may_be_values(&self) -> bool {
        self.may_be_values
    }

    fn hash(&self, path: &[u8]) -> u64 {
        let mut parts: Vec<&[u8]> = Vec::new();
        let folder = if path.starts_with(b"/") { &[][..] } else { &self.folder };
        for part in folder.split(|byte| *byte == b'/').chain(path.split(|byte| *byte == b'/')) {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let mut hasher = DefaultHasher::new();
        parts.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(kind: SourceKind, values: &[&[u8]]) -> OutputFiles {
        let values = values.iter().map(|value| value.to_vec()).collect();
        OutputFiles::new(
            b"/home/me".to_vec(),
            &[SourceValues { stage: 0, values, kind, pattern: None }],
        )
    }

    fn task(item: u32) -> TaskId {
        TaskId { stage: 1, item }
    }

    #[test]
    fn one_file_has_one_maker_however_it_is_written() {
        let mut paths = paths(SourceKind::Given, &[b"v/x"]);
        assert_eq!(paths.claim(task(0), b"v/x", false), None);
        assert_eq!(paths.claim(task(0), b"v/x", false), None, "the same task");
        for (item, other) in (1..).zip([&b"v/y/../x"[..], b"./v//x", b"/home/me/v/x"]) {
            let clash = paths.claim(task(item), other, false);
            assert_eq!(clash, Some(Clash::MadeBy(task(0))), "{other:?}");
        }
        assert_eq!(paths.claim(task(9), b"v/xy", false), None);
    }

    #[test]
    fn what_a_source_has_found_is_not_made() {
        let mut found = paths(SourceKind::Found, &[b"in/a"]);
        assert_eq!(found.claim(task(0), b"in/a", false), Some(Clash::Found));
        let mut listed = paths(SourceKind::Listed, &[b"a", b"b"]);
        assert_eq!(listed.claim(task(0), b"a", true), Some(Clash::Listed), "it was there");
        assert_eq!(listed.claim(task(1), b"b", false), None, "a name of what is to be made");
        let mut given = paths(SourceKind::Given, &[b"a"]);
        assert_eq!(given.claim(task(0), b"a", true), None);
    }
}
