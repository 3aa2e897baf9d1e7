//! `--results`: where the output of a task is filed, as GNU parallel does it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::parsing::parse_word;
use super::strings::Strings;
use super::{Facts, TemplatePart, Word};
use crate::arguments;

/// The number of bytes that every file name may have.
const NAME_AT_MOST: usize = 255;

/// The longest ending of a name.
const ENDING: &str = ".err";

/// The template of `--results`, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct ResultsTemplate(Form);

#[derive(Debug, Clone)]
enum Form {
    /// A tree of folders below this one. The arguments are counted anew after this number of them,
    /// and have the names of their columns instead of numbers, where they have any.
    Tree { folder: Vec<u8>, counted_to: usize, names: Vec<Vec<u8>> },
    /// What the word gives. No task leaves the folder that is typed before the first replacement
    /// string, which has this number of bytes.
    Word { word: Word, folder: usize },
}

/// Where the output of one task is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResultsPlace {
    /// As `stdout`, `stderr` and `seq` in this folder, whose name ends with a slash. It may be that
    /// of another task if it `is_cut`: a value was too long.
    Folder { path: PathBuf, is_cut: bool },
    /// As this file, and beside it with `.err` and `.seq` added to its name.
    File(PathBuf),
}

/// Why `--results` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResultsError {
    #[error("the name of a folder or a file is missing")]
    Empty,
    #[error("holds a NUL byte")]
    Nul,
    /// What it depends on is not fixed for a task.
    #[error(
        "{{%}}, {{threads}}, {{out}} and the number of tasks are not known beforehand: use {{#}}"
    )]
    OfAttempt,
}

/// Why a task has no place for its output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The place, and the folder.
    #[error(
        "--results: '{}' is not in the folder '{}'",
        .0.escape_ascii(),
        .1.escape_ascii()
    )]
    Outside(Vec<u8>, Vec<u8>),
    #[error("--results: '{}': a folder, not a file", .0.escape_ascii())]
    Folder(Vec<u8>),
    #[error("--results: '{}': too long a file name", .0.escape_ascii())]
    TooLong(Vec<u8>),
    #[error("--results: '{}': a NUL byte cannot be part of a file name", .0.escape_ascii())]
    Nul(Vec<u8>),
}

impl ResultsTemplate {
    /// Takes the template as typed. `counted_to`: after this number of arguments of a value they
    /// are counted anew.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub(crate) fn parse(
        typed: &[u8],
        strings: &Strings,
        counted_to: usize,
    ) -> Result<ResultsTemplate, ResultsError> {
        let word = parse_word(typed, strings);
        let is_of_attempt = |piece: &TemplatePart| match piece {
            TemplatePart::Replacement(replacement) => {
                replacement.is_of_attempt() || replacement.needs_total()
            }
            TemplatePart::Text(_) => false,
        };
        if typed.is_empty() {
            return Err(ResultsError::Empty);
        }
        if typed.contains(&0) {
            return Err(ResultsError::Nul);
        }
        if word.iter().any(is_of_attempt) {
            return Err(ResultsError::OfAttempt);
        }
        let is_text = |piece: &TemplatePart| matches!(piece, TemplatePart::Text(_));
        if word.iter().all(is_text) {
            let (folder, names) = (typed.to_vec(), strings.names.iter());
            let names = names.map(|(name, _)| as_name(name)).collect();
            return Ok(ResultsTemplate(Form::Tree { folder, counted_to, names }));
        }
        let before = match word.first() {
            Some(TemplatePart::Text(text)) => text.as_slice(),
            _ => b"",
        };
        let folder = before.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        Ok(ResultsTemplate(Form::Word { word, folder }))
    }

    /// The folder that all places are in, as far as it is typed.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = match &self.0 {
            Form::Tree { folder, .. } => folder.clone(),
            Form::Word { word, folder } => match word.first() {
                Some(TemplatePart::Text(text)) => text[..*folder].to_vec(),
                _ => Vec::new(),
            },
        };
        match folder.is_empty() {
            true => PathBuf::from("."),
            false => PathBuf::from(OsString::from_vec(folder)),
        }
    }

    /// The place of the task with this value and number.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub(crate) fn place(&self, value: &[u8], seq: u64) -> Result<ResultsPlace, PlaceError> {
        match &self.0 {
            Form::Tree { folder, counted_to, names } => {
                Ok(in_tree(folder, *counted_to, names, value))
            }
            Form::Word { word, folder } => {
                let path = rendered(word, value, seq);
                let (typed, chosen) = path.split_at(*folder);
                let leaves = |part: &[u8]| part == b"..";
                // Where nothing is typed before it, values are paths that a user has chosen.
                if !typed.is_empty() && chosen.split(|byte| *byte == b'/').any(leaves) {
                    return Err(PlaceError::Outside(path.clone(), typed.to_vec()));
                }
                if path.contains(&0) {
                    return Err(PlaceError::Nul(path));
                }
                let longest = path.split(|byte| *byte == b'/').map(<[u8]>::len).max();
                let is_folder = path.is_empty() || path.ends_with(b"/");
                let ending = if is_folder { 0 } else { ENDING.len() };
                if longest.is_some_and(|len| len + ending > NAME_AT_MOST) {
                    return Err(PlaceError::TooLong(path));
                }
                if matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"." | b"..")) {
                    return Err(PlaceError::Folder(path));
                }
                let path = PathBuf::from(OsString::from_vec(path));
                Ok(match is_folder {
                    true => ResultsPlace::Folder { path, is_cut: false },
                    false => ResultsPlace::File(path),
                })
            }
        }
    }
}

impl ResultsPlace {
    /// The names of the files for standard output, standard error and the task's number.
    pub(crate) fn names(&self) -> [PathBuf; 3] {
        match self {
            ResultsPlace::Folder { path, .. } => {
                ["stdout", "stderr", "seq"].map(|name| path.join(name))
            }
            ResultsPlace::File(path) => ["", ENDING, ".seq"].map(|end| {
                let mut name = path.clone().into_os_string();
                name.push(end);
                name.into()
            }),
        }
    }
}

/// `FOLDER/1/VALUE/2/VALUE/`, or `FOLDER/COLUMN/VALUE/COLUMN/VALUE/`
fn in_tree(folder: &[u8], counted_to: usize, names: &[Vec<u8>], value: &[u8]) -> ResultsPlace {
    let (mut path, mut is_cut) = (folder.to_vec(), false);
    path.push(b'/');
    for (at, argument) in arguments::split(value).enumerate() {
        let at = at % counted_to.max(1);
        let number = (at + 1).to_string().into_bytes();
        let column =
            names.get(at % names.len().max(1)).filter(|name| !name.is_empty()).unwrap_or(&number);
        for name in [column, &as_name(argument)] {
            is_cut |= name.len() > NAME_AT_MOST;
            path.extend(name.iter().take(NAME_AT_MOST));
            path.push(b'/');
        }
    }
    ResultsPlace::Folder { path: PathBuf::from(OsString::from_vec(path)), is_cut }
}

/// An argument as the name of a folder. What would be another folder than its own is quoted in a
/// way that GNU parallel does not know.
fn as_name(argument: &[u8]) -> Vec<u8> {
    if matches!(argument, b"." | b"..") {
        return [b"\\", argument].concat();
    }
    let mut name = Vec::with_capacity(argument.len());
    for byte in argument {
        match byte {
            b'\\' => name.extend_from_slice(br"\\"),
            b'\t' => name.extend_from_slice(br"\t"),
            b'/' => name.extend_from_slice(br"\_"),
            byte => name.push(*byte),
        }
    }
    name
}

/// The text with the value in its places.
fn rendered(word: &Word, value: &[u8], seq: u64) -> Vec<u8> {
    super::tag::text(word, value, Facts { seq, ..Facts::default() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    fn place(typed: &str, arguments: &[&[u8]], counted_to: usize) -> String {
        let strings = Strings::of(arguments.len());
        let template = ResultsTemplate::parse(typed.as_bytes(), &strings, counted_to);
        let place = template.expect("valid").place(&arguments.join(&0), 7);
        let names = place.expect("a place").names();
        names[0].display().to_string()
    }

    /// The names that `parallel --results` of version 20221122 makes.
    #[test]
    fn places_are_those_of_gnu_parallel() {
        for (typed, arguments, name) in [
            ("d", &["a"] as &[&str], "d/1/a/stdout"),
            ("d/", &["a"], "d//1/a/stdout"),
            ("d", &["a", "b/c"], r"d/1/a/2/b\_c/stdout"),
            ("d", &["\t\\"], r"d/1/\t\\/stdout"),
            ("d", &["l\nx -*", ""], "d/1/l\nx -*/2//stdout"),
            ("o/{1}-{2}", &["a", "b"], "o/a-b"),
            ("o/{1}-{2}", &["a", "b/c"], "o/a-b/c"),
            ("o/{1}/", &["a"], "o/a/stdout"),
            ("{.}.res", &["/tmp/a.c"], "/tmp/a.res"),
            ("o/{#}", &["a"], "o/7"),
        ] {
            let arguments: Vec<&[u8]> = arguments.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(place(typed, &arguments, usize::MAX), name, "{typed} {arguments:?}");
        }
        assert_eq!(place("d", &[b"a", b"b"], 1), "d/1/a/1/b/stdout");
        let mut strings = Strings::of(2);
        strings.names = vec![(b"x".to_vec(), 1), (b"".to_vec(), 2)];
        let named = ResultsTemplate::parse(b"d", &strings, 9).expect("valid");
        let names = named.place(b"a\0b", 1).expect("a place").names();
        assert_eq!(names[0].as_os_str(), "d/x/a/2/b/stdout");
        let long = [b'x'; 300];
        assert_eq!(place("d", &[&long], 9), format!("d/1/{}/stdout", "x".repeat(255)));
    }

    #[test]
    fn the_folder_is_what_is_typed() {
        for (typed, folder) in
            [("d/e", "d/e"), ("d/{}", "d/"), ("d/x{1}/{2}", "d/"), ("{.}.x", "."), ("x{}", ".")]
        {
            let template = ResultsTemplate::parse(typed.as_bytes(), &Strings::of(2), 1);
            assert_eq!(template.expect("valid").folder().as_os_str(), folder, "{typed}");
        }
    }

    #[test]
    fn what_is_no_place() {
        let parse = |typed: &str| ResultsTemplate::parse(typed.as_bytes(), &Strings::of(1), 1);
        for typed in ["", "a\0b", "{%}", "x/{out}"] {
            assert!(parse(typed).is_err(), "{typed:?}");
        }
        let place = |value: &str| parse("o/{}.x").expect("valid").place(value.as_bytes(), 1);
        for value in ["../a", "a/../../b/c", "../../etc/", "/../a"] {
            assert!(matches!(place(value), Err(PlaceError::Outside(..))), "{value}");
        }
        assert!(place("..").is_ok(), "o/...x");
        for (typed, value) in [("{}", ".."), ("o/{}", "."), ("o/{}", "a/.")] {
            let place = parse(typed).expect("valid").place(value.as_bytes(), 1);
            assert!(matches!(place, Err(PlaceError::Folder(_))), "{typed} {value}");
        }
        let place = parse("o/{}").expect("valid").place(&[b'x'; 252], 1);
        assert!(matches!(place, Err(PlaceError::TooLong(_))), "no room for .err");
    }

    proptest! {
        /// Whatever a value holds.
        #[test]
        fn no_task_leaves_the_folder(
            arguments in proptest::collection::vec(
                prop_oneof![
                    "[./\\\\\n a-]{0,6}".prop_map(String::into_bytes),
                    proptest::collection::vec(1_u8.., 0..300),
                    Just(b"..".to_vec()),
                    Just(b"../../x".to_vec()),
                    Just(b".".to_vec()),
                ],
                1..4,
            ),
            typed in
                prop_oneof![Just("d"), Just("d/"), Just("d/{}"), Just("d/x{1}/"), Just("d/{2}")],
        ) {
            let strings = Strings::of(arguments.len().max(2));
            let template = ResultsTemplate::parse(typed.as_bytes(), &strings, 2).expect("valid");
            if let Ok(place) = template.place(&arguments.join(&0), 1) {
                for name in place.names() {
                    let parts: Vec<Component> = name.components().collect();
                    prop_assert_eq!(parts[0], Component::Normal("d".as_ref()));
                    let is_name = |part: &Component| matches!(part, Component::Normal(_));
                    prop_assert!(parts[1..].iter().all(is_name));
                    prop_assert!(!name.as_os_str().as_bytes().contains(&0));
                    if !typed.contains('{') {
                        prop_assert!(parts.iter().all(|part| part.as_os_str().len() <= 255));
                    }
                }
            } else {
                prop_assert!(typed.contains('{'), "the tree has a place for each value");
            }
        }

        /// Else the results of one task would be overwritten by another.
        #[test]
        fn different_values_have_different_names(
            one in "[./\\\\\t a_t]{0,6}", other in "[./\\\\\t a_t]{0,6}",
        ) {
            let names = [&one, &other].map(|value| as_name(value.as_bytes()));
            prop_assert_eq!(one == other, names[0] == names[1]);
        }
    }
}
