//! Which task makes which file: no two tasks make the same one, and none makes a file that a source
//! has found.
//!
//! Paths are compared as they are written, without `.`, `..` and doubled slashes, and also with the
//! real names of their folders: a link to a folder does not hide that two files are one.

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
    /// The file that lists them.
    pub(crate) list: Option<Vec<u8>>,
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
    /// A source lists it or a task has emitted it, and it was there before the task has ever run.
    Listed,
    /// It is the pipeline file, the list of a source, or in the folder with histories.
    Own,
}

/// What is asked about a file that is to be made.
pub(super) struct WantedFile<'a> {
    pub(super) path: &'a [u8],
    /// The same with the real name of its folder, where that is known and differs.
    pub(super) real: Option<&'a [u8]>,
    /// There is such a file, and the task has never run.
    pub(super) was_there: bool,
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
    own: HashSet<u64>,
    /// The real names of folders of outputs.
    pub(super) folders: HashMap<Vec<u8>, Option<Vec<u8>>>,
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
    /// With these sources. `folder`: that of the pipeline file, an absolute path; `own`: the file.
    pub(super) fn new(folder: Vec<u8>, own: &[u8], sources: &[SourceValues]) -> OutputFiles {
        let mut paths = OutputFiles { folder, ..OutputFiles::default() };
        let lists = sources.iter().filter_map(|source| source.list.as_deref());
        paths.own = lists.chain([own]).map(|path| paths.hash(path)).collect();
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

    /// The task is going to make this file, or has made it. Returns why it must not make it.
    pub(super) fn claim(&mut self, id: TaskId, asked: &WantedFile<'_>) -> Option<Clash> {
        let written = self.hash(asked.path);
        let real = asked.real.map(|real| self.hash(real));
        let maker = *self.makers.entry(real.unwrap_or(written)).or_insert(id);
        let is_one_of = |set: &HashSet<u64>| {
            set.contains(&written) || real.is_some_and(|hash| set.contains(&hash))
        };
        let paths = || [Some(asked.path), asked.real].into_iter().flatten();
        match maker == id {
            _ if is_one_of(&self.own) || paths().any(is_in_history) => Some(Clash::Own),
            _ if is_one_of(&self.found) || paths().any(|path| self.would_find(path)) => {
                Some(Clash::Found)
            }
            _ if asked.was_there && is_one_of(&self.listed) => Some(Clash::Listed),
            true => None,
            false => Some(Clash::MadeBy(maker)),
        }
    }

    fn would_find(&self, path: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.finds(&self.folder, path))
    }

    pub(super) fn is_found(&self, path: &[u8]) -> bool {
        self.found.contains(&self.hash(path))
    }

    /// A source has this value, with another name of the same file.
    pub(super) fn also_found(&mut self, real: &[u8]) {
        let hash = self.hash(real);
        self.found.insert(hash);
    }

    /// A task has emitted this value: it may be the name of a file.
    pub(super) fn note_emitted(&mut self, value: &[u8]) {
        let hash = self.hash(value);
        self.listed.insert(hash);
    }

    /// All tasks are known, and have been judged.
    pub(super) fn forget_makers(&mut self) {
        self.makers = HashMap::new();
    }

    /// Whether values of sources may be names of files that tasks make.
    pub(super) fn may_be_values(&self) -> bool {
        self.may_be_values
    }

    /// Whether this is what the path of a folder says without links.
    pub(super) fn is_as_written(&self, folder: &[u8], real: &[u8]) -> bool {
        let real = real.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        self.parts(folder).into_iter().eq(real)
    }

    fn hash(&self, path: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.parts(path).hash(&mut hasher);
        hasher.finish()
    }

    /// The names in the absolute form of a path.
    fn parts<'a>(&'a self, path: &'a [u8]) -> Vec<&'a [u8]> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let folder = if path.starts_with(b"/") { &[][..] } else { &self.folder };
        for part in folder.split(|byte| *byte == b'/').chain(path.split(|byte| *byte == b'/')) {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts
    }
}

/// Whether it is in a folder with histories of pipelines.
fn is_in_history(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| part == b".msup")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the task says that wants to make this file.
    fn claims(
        files: &mut OutputFiles,
        id: TaskId,
        path: &[u8],
        real: Option<&[u8]>,
    ) -> Option<Clash> {
        files.claim(id, &WantedFile { path, real, was_there: false })
    }

    fn paths(kind: SourceKind, values: &[&[u8]]) -> OutputFiles {
        let values = values.iter().map(|value| value.to_vec()).collect();
        OutputFiles::new(
            b"/home/me".to_vec(),
            b"p.toml",
            &[SourceValues { stage: 0, values, kind, pattern: None, list: Some(b"list".to_vec()) }],
        )
    }

    fn task(item: u32) -> TaskId {
        TaskId { stage: 1, item }
    }

    #[test]
    fn one_file_has_one_maker_however_it_is_written() {
        let mut paths = paths(SourceKind::Given, &[b"v/x"]);
        assert_eq!(claims(&mut paths, task(0), b"v/x", None), None);
        assert_eq!(claims(&mut paths, task(0), b"v/x", None), None, "the same task");
        for (item, other) in (1..).zip([&b"v/y/../x"[..], b"./v//x", b"/home/me/v/x"]) {
            let clash = claims(&mut paths, task(item), other, None);
            assert_eq!(clash, Some(Clash::MadeBy(task(0))), "{other:?}");
        }
        let clash = claims(&mut paths, task(8), b"link/x", Some(b"/home/me/v/x"));
        assert_eq!(clash, Some(Clash::MadeBy(task(0))), "by a link to a folder");
        assert_eq!(claims(&mut paths, task(9), b"v/xy", None), None);
    }

    #[test]
    fn what_a_source_has_found_is_not_made() {
        let mut found = paths(SourceKind::Found, &[b"in/a"]);
        assert_eq!(claims(&mut found, task(0), b"in/a", None), Some(Clash::Found));
        let through_link = claims(&mut found, task(0), b"lin/a", Some(b"/home/me/in/a"));
        assert_eq!(through_link, Some(Clash::Found));
        found.also_found(b"/real/b");
        assert_eq!(claims(&mut found, task(0), b"x/b", Some(b"/real/b")), Some(Clash::Found));
        let mut listed = paths(SourceKind::Listed, &[b"a", b"b"]);
        let was_there = |path| WantedFile { path, real: None, was_there: true };
        let clash = listed.claim(task(0), &was_there(b"a"));
        assert_eq!(clash, Some(Clash::Listed), "it was there");
        assert_eq!(claims(&mut listed, task(1), b"b", None), None, "what is to be made");
        listed.note_emitted(b"part");
        assert_eq!(listed.claim(task(2), &was_there(b"part")), Some(Clash::Listed));
        let mut given = paths(SourceKind::Given, &[b"a"]);
        assert_eq!(given.claim(task(0), &was_there(b"a")), None);
        for own in [&b"p.toml"[..], b"./list", b".msup/p/history", b"/home/me/.msup/x"] {
            assert_eq!(claims(&mut given, task(3), own, None), Some(Clash::Own));
        }
    }
}
