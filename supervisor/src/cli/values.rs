//! Where the values come from, and how they are separated.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Refusal;
use super::commands::resume_retry::ResumeError;
use super::earlier_times::JobLog;
use super::list_flags::Separators;
use super::logs::Continued;
use super::usage::UsageError;
use crate::input::{Format, List, Lists, Room, Shape, Source};
use crate::journal::{JournalError, KeptInput};
use crate::os::streams;
use crate::shard::Shard;

/// The values, one for each task.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) source: Source,
    pub(crate) format: Format,
    /// The file in which blocks stand, which workers inherit.
    pub(crate) block_file: Option<OwnedFd>,
    /// The memory that blocks take.
    pub(crate) room: Option<Arc<Room>>,
    /// Start the longest first, as told by this.
    pub(crate) longest_first: Option<JobLog>,
    /// Commands depend on how many tasks there are.
    pub(crate) needs_total: bool,
    /// Which of them are tasks of this run, if not all.
    pub(crate) shard: Option<Shard>,
    /// A digest of what is done with each of them, if this is a shard.
    pub(crate) work: String,
}

/// A list of values as typed behind COMMAND.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypedList {
    /// The words are names of files that hold the values.
    are_files: bool,
    /// Its values belong with those of the list before it.
    is_linked: bool,
    words: Vec<OsString>,
}

impl TypedList {
    /// The list that this separator begins, if it is one.
    fn begun_by(word: &OsStr, separators: &Separators) -> Option<TypedList> {
        let word = word.as_bytes();
        let is = |separator: &[u8]| match word.strip_prefix(separator) {
            Some(b"") => Some(false),
            Some(b"+") => Some(true),
            _ => None,
        };
        let (are_files, is_linked) = match (is(&separators.values), is(&separators.files)) {
            (Some(is_linked), _) => (false, is_linked),
            (None, Some(is_linked)) => (true, is_linked),
            (None, None) => return None,
        };
        Some(TypedList { are_files, is_linked, words: Vec::new() })
    }
}

/// Whether a list of values begins with this word.
pub(super) fn begins_list(word: &OsStr, separators: &Separators) -> bool {
    TypedList::begun_by(word, separators).is_some()
}

/// The words of COMMAND, and the lists behind it. If `literal`, all words behind the first `:::`
/// are values.
pub(super) fn split(
    words: Vec<OsString>,
    literal: bool,
    separators: &Separators,
) -> (Vec<OsString>, Vec<TypedList>) {
    let (mut command, mut lists) = (Vec::new(), Vec::<TypedList>::new());
    for word in words {
        let begun = TypedList::begun_by(&word, separators);
        let is_first = lists.is_empty() && word.as_bytes() == separators.values;
        let begun = begun.filter(|_| !literal || is_first);
        match (begun, lists.last_mut()) {
            (Some(list), _) => lists.push(list),
            (None, Some(list)) => list.words.push(word),
            (None, None) => command.push(word),
        }
    }
    (command, lists)
}

/// How many lists there are: the number of arguments of each value.
pub(super) fn count(files: &[PathBuf], typed: &[TypedList]) -> usize {
    let lists = |list: &TypedList| if list.are_files { list.words.len() } else { 1 };
    (files.len() + typed.iter().map(lists).sum::<usize>()).max(1)
}

/// Makes sure that no list beside others was typed without values. `files`: how many lists stand
/// before these.
///
/// # Errors
/// Its number.
pub(super) fn refuse_empty(files: usize, typed: &[TypedList]) -> Result<(), UsageError> {
    let mut before = files;
    for list in typed {
        if list.words.is_empty() && !list.are_files && (typed.len() > 1 || files > 0) {
            return Err(UsageError::EmptyList(before + 1));
        }
        before += if list.are_files { list.words.len() } else { 1 };
    }
    Ok(())
}

/// The values that were typed.
pub(super) fn typed(lists: &[TypedList]) -> impl Iterator<Item = &OsString> {
    lists.iter().filter(|list| !list.are_files).flat_map(|list| &list.words)
}

/// The values: of the files of `-a`, then of the lists behind COMMAND; without either, of standard
/// input. Opens the files. If `all_linked`, the values of all lists belong together. `shape`: how
/// they become arguments.
///
/// # Errors
/// A file cannot be read, or a list is not one.
pub(super) fn source(
    files: Vec<PathBuf>,
    typed: Vec<TypedList>,
    all_linked: bool,
    shape: Shape,
) -> Result<Source, UsageError> {
    let mut groups: Vec<Vec<List>> = Vec::new();
    let mut add = |list, is_linked: bool| match groups.last_mut().filter(|_| is_linked) {
        Some(group) => group.push(list),
        None => groups.push(vec![list]),
    };
    let mut stdin_is_taken = false;
    let mut opened = |path, flag| open(path, flag, &mut stdin_is_taken);
    for path in files {
        add(opened(path, "-a")?, all_linked);
    }
    for TypedList { are_files, is_linked, words } in typed {
        let is_linked = is_linked || all_linked;
        if !are_files {
            let values = words.into_iter().map(OsString::into_vec).collect();
            add(List::Arguments(values), is_linked);
            continue;
        }
        if words.is_empty() {
            return Err(UsageError::NoFile);
        }
        for path in words {
            add(opened(path.into(), "::::")?, is_linked);
        }
    }
    if groups.is_empty() {
        refuse_closed_stdin()?;
        if std::io::stdin().is_terminal() {
            let hint = "reading values from the terminal, one a line, until Ctrl-D";
            let _ = writeln!(stderr(), "msup: {hint}");
        }
        return Ok(Source::Lists(Lists { shape, ..Lists::one(List::Stdin) }));
    }
    Ok(Source::Lists(Lists { groups, wraps: all_linked, fills: false, shape }))
}

/// # Errors
/// Standard input was closed.
fn refuse_closed_stdin() -> Result<(), UsageError> {
    match streams::stdin_was_closed() {
        true => Err(UsageError::Stdin(streams::closed())),
        false => Ok(()),
    }
}

/// Opens a list. `-` is standard input, which can be read once.
fn open(path: PathBuf, flag: &'static str, stdin_is_taken: &mut bool) -> Result<List, UsageError> {
    if path == Path::new("-") {
        return match std::mem::replace(stdin_is_taken, true) {
            true => Err(UsageError::StdinTwice),
            false => refuse_closed_stdin().map(|()| List::Stdin),
        };
    }
    match File::open(&path) {
        Ok(file) if file.metadata().is_ok_and(|meta| meta.is_dir()) => {
            Err(UsageError::ListIsFolder { flag, path })
        }
        Ok(file) => Ok(List::File(file, path)),
        Err(why) => Err(UsageError::File { flag, path, why }),
    }
}

/// The values of a run that continues.
///
/// # Errors
/// The values cannot be read, or were kept and are gone.
pub(super) fn source_again(
    continued: &mut Continued,
    source: impl FnOnce(Option<PathBuf>) -> Result<Source, UsageError>,
) -> Result<Source, Refusal> {
    if continued.retried.is_some() {
        return Ok(Source::Lists(Lists::one(List::Arguments(Vec::new()))));
    }
    if let Some(path) = continued.arg_file.take() {
        return Ok(source(Some(path))?);
    }
    let past = &continued.past;
    if let Some(spool) = continued.folder.open_inputs()? {
        let path = continued.folder.inputs();
        let kept = KeptInput::check(&spool, &past.kept, past.inputs, &past.seed);
        let kept = kept.map_err(JournalError::at(&path))?;
        // A power cut may have left the record that all were read, and not all of them.
        continued.cut_off = past.inputs.is_none_or(|total| kept.values < total);
        continued.missing = kept.missing;
        return Ok(Source::Kept(spool, path, kept.parts));
    }
    if !past.kept.is_empty() {
        return Err(ResumeError::ValuesGone(continued.folder.inputs()).into());
    }
    Ok(source(None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_begin_with_separators() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let list = |are_files, is_linked, values: &str| TypedList {
            are_files,
            is_linked,
            words: if values.is_empty() { Vec::new() } else { words(values) },
        };
        for (line, command, lists) in [
            ("a b", words("a b"), vec![]),
            ("a ::: b c", words("a"), vec![list(false, false, "b c")]),
            (":::", vec![], vec![list(false, false, "")]),
            (
                "a ::: b :::+ c :::: d - ::::+ e",
                words("a"),
                vec![
                    list(false, false, "b"),
                    list(false, true, "c"),
                    list(true, false, "d -"),
                    list(true, true, "e"),
                ],
            ),
        ] {
            let split = split(words(line), false, &Separators::usual());
            assert_eq!(split, (command, lists), "{line}");
        }
        let literal = split(words("a :::: ::: b ::: c"), true, &Separators::usual());
        assert_eq!(literal, (words("a ::::"), vec![list(false, false, "b ::: c")]));
    }

    fn split_usual(line: &str) -> Vec<TypedList> {
        let words = line.split(' ').map(OsString::from).collect();
        split(words, false, &Separators::usual()).1
    }

    #[test]
    fn other_separators_begin_lists() {
        let separators = Separators { values: b",,".to_vec(), files: b":::".to_vec() };
        let words = "a ,, b :::+ c :::: d".split(' ').map(OsString::from).collect();
        let (command, lists) = split(words, false, &separators);
        let shapes: Vec<_> =
            lists.iter().map(|l| (l.are_files, l.is_linked, l.words.len())).collect();
        assert_eq!((command.len(), shapes), (1, vec![(false, false, 1), (true, true, 3)]));
    }

    #[test]
    fn lists_are_grouped() {
        let lists = |line: &str, all_linked| {
            let typed = split_usual(line);
            match source(Vec::new(), typed, all_linked, Shape::default()) {
                Ok(Source::Lists(lists)) => lists.groups.iter().map(Vec::len).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(lists("a ::: b ::: c :::+ d ::: e", false), [1, 2, 1]);
        assert_eq!(lists("a :::+ b :::: /dev/null /dev/null", false), [1, 1, 1]);
        assert_eq!(lists("a ::: b ::: c ::: d", true), [3]);
        let refused = |line: &str| {
            let typed = split_usual(line);
            source(Vec::new(), typed, false, Shape::default()).expect_err(line).to_string()
        };
        assert!(refused("a :::: - -").contains("standard input"));
        assert!(refused("a :::: /").contains("is a directory"));
        assert!(refused("a ::: b ::::").contains("file"));
    }
}
