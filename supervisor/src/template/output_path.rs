//! `--out`: the file that a task makes, and the one it writes until then.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::error::{OutFileError, OutTemplateError};
use super::parsing::parse_word;
use super::replacement::{Form, Number, Replacement};
use super::strings::Strings;
use super::{Facts, TemplatePart, Word};

/// The number of bytes that every file name may have.
const NAME_AT_MOST: usize = 255;

/// The template of `--out`, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct OutTemplate {
    word: Word,
}

/// The file that one task makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutFile {
    /// The folder, and the name in it.
    folder: PathBuf,
    name: Vec<u8>,
}

impl OutTemplate {
    /// Takes the template as typed.
    ///
    /// # Errors
    /// [`OutTemplateError`].
    pub(crate) fn parse(typed: &[u8], strings: &Strings) -> Result<OutTemplate, OutTemplateError> {
        let template = OutTemplate::parse_for_one(typed, strings)?;
        let differs = |piece: &TemplatePart| match piece {
            TemplatePart::Replacement(Replacement::Number(Number::Seq)) => true,
            TemplatePart::Replacement(Replacement::Value(part)) => part.form != Form::Out,
            _ => false,
        };
        match template.word.iter().any(differs) {
            true => Ok(template),
            false => Err(OutTemplateError::SameForAll),
        }
    }

    /// The same where there is only one task.
    ///
    /// # Errors
    /// [`OutTemplateError`].
    pub(crate) fn parse_for_one(
        typed: &[u8],
        strings: &Strings,
    ) -> Result<OutTemplate, OutTemplateError> {
        let word = parse_word(typed, strings);
        let has = |wanted: fn(&TemplatePart) -> bool| word.iter().any(wanted);
        if typed.contains(&0) {
            Err(OutTemplateError::Nul)
        } else if has(|piece| matches!(piece, TemplatePart::Replacement(r) if r.is_of_attempt())) {
            Err(OutTemplateError::OfAttempt)
        } else if has(TemplatePart::needs_total) {
            Err(OutTemplateError::OfAll)
        } else {
            Ok(OutTemplate { word })
        }
    }

    /// The file that the task with this value and number makes.
    ///
    /// # Errors
    /// [`OutFileError`].
    pub(crate) fn file(&self, value: &[u8], seq: u64) -> Result<OutFile, OutFileError> {
        let mut path = Vec::new();
        for piece in &self.word {
            match piece {
                TemplatePart::Text(bytes) => path.extend_from_slice(bytes),
                TemplatePart::Replacement(Replacement::Value(part)) => {
                    path.extend_from_slice(&part.of(value, b""));
                }
                TemplatePart::Replacement(Replacement::Number(number)) => {
                    number.push(&mut path, Facts { seq, ..Facts::default() });
                }
                // These were refused.
                TemplatePart::Replacement(_) => {}
            }
        }
        let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        match path[at..].len() {
            0 => Err(OutFileError::NoName(path)),
            len if len > NAME_AT_MOST => Err(OutFileError::TooLong(path)),
            _ if matches!(&path[at..], b"." | b"..") => Err(OutFileError::Folder(path)),
            // Without `.`, so that different spellings of a path are equal.
            _ => Ok(OutFile {
                folder: Path::new(OsStr::from_bytes(&path[..at]))
                    .components()
                    .filter(|part| *part != Component::CurDir)
                    .collect(),
                name: path[at..].to_vec(),
            }),
        }
    }
}

impl OutFile {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(OsStr::from_bytes(&self.name))
    }

    /// The name in the folder.
    pub(crate) fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.name)
    }

    /// Where an attempt writes it: in its folder or in a private one there, with the same
    /// extension, which many programs look at. No other user can guess `unguessable` and put
    /// something there before.
    pub(crate) fn temporary(
        &self,
        run: &str,
        unguessable: &str,
        seq: u64,
        attempt: u32,
        within: Option<&Path>,
    ) -> PathBuf {
        let mut name =
            format!("{}{unguessable}-{seq}.{attempt}-", temporaries_of(run)).into_bytes();
        // A long name keeps its end.
        let mut from = self.name.len().saturating_sub(NAME_AT_MOST - name.len());
        let is_inside = |from: usize| self.name.get(from).is_some_and(|byte| byte >> 6 == 0b10);
        while from > 0 && is_inside(from) {
            from += 1;
        }
        name.extend_from_slice(&self.name[from..]);
        within.unwrap_or(&self.folder).join(std::ffi::OsString::from_vec(name))
    }
}

/// What the names of all temporary files of a run begin with.
pub(crate) fn temporaries_of(run: &str) -> String {
    format!(".msup-{run}-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(template: &str, value: &[u8]) -> Result<OutFile, OutFileError> {
        OutTemplate::parse(template.as_bytes(), &Strings::USUAL).expect("valid").file(value, 7)
    }

    #[test]
    fn files_and_where_they_are_written() {
        for (template, value, path, temporary) in [
            ("{.}.png", "a/b.jpg", "a/b.png", "a/.msup-R-N-7.2-b.png"),
            ("{/.}.txt", "a/b.jpg", "b.txt", ".msup-R-N-7.2-b.txt"),
            ("./out//./{#}", "x", "out/7", "out/.msup-R-N-7.2-7"),
            ("/tmp/{}", "x y", "/tmp/x y", "/tmp/.msup-R-N-7.2-x y"),
        ] {
            let file = file(template, value.as_bytes()).expect("a file");
            assert_eq!(file.path(), Path::new(path));
            assert_eq!(file.temporary("R", "N", 7, 2, None), Path::new(temporary));
            let within = file.temporary("R", "N", 7, 2, Some(Path::new("private")));
            assert_eq!(within.parent(), Some(Path::new("private")));
            assert_eq!(within.file_name(), Path::new(temporary).file_name());
        }
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        let long = ["\u{e4}".repeat(123), ".png".into()].concat();
        let file = file("{}", long.as_bytes()).expect("250 bytes");
        let temporary = file.temporary(&"1".repeat(30), &"2".repeat(16), 7, 1, None);
        let name = temporary.to_str().expect("no character is cut in two");
        assert!(name.len() <= NAME_AT_MOST && name.ends_with("\u{e4}.png"), "{name}");
    }

    #[test]
    fn what_is_no_file() {
        for (template, value) in
            [("{}", "a/"), ("{}", ""), ("{}", ".."), ("d/{}", "."), ("{//}/", "a/b")]
        {
            assert!(file(template, value.as_bytes()).is_err(), "{template} {value:?}");
        }
        assert!(file("{}", &[b'x'; 300]).is_err());
    }

    #[test]
    fn what_is_no_template() {
        for bad in ["", "out.png", "{out}", "{%}.{}", "{}{threads}", "{}\0"] {
            assert!(OutTemplate::parse(bad.as_bytes(), &Strings::USUAL).is_err(), "{bad:?}");
        }
    }
}
