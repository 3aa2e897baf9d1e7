//! `msup parallel`, and msup called by that name: GNU parallel's own reading of a command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The subcommand, and the name that msup may be called by.
const NAME: &str = "parallel";

/// The flag that stands for it in a command line that is kept.
const FLAG: &str = "--gnu";

/// Flags for every run.
const VARIABLE: &str = "PARALLEL";

/// The shell that runs commands.
const SHELL: &str = "PARALLEL_SHELL";

/// Whether COMMAND is read as GNU parallel reads it.
#[derive(Debug, clap::Args)]
pub(super) struct GnuFlags {
    #[arg(long, hide = true)]
    pub(super) gnu: bool,

    /// `-q` was given: words are not read by a shell.
    #[arg(skip)]
    pub(super) quotes: bool,

    /// The whole command line, with what variables have added.
    #[arg(skip)]
    pub(super) typed: Vec<OsString>,
}

/// The words of a command line, if msup was called by the name of GNU parallel, or its reading was
/// asked for: with the flag for that, and with those of the variable.
pub(super) fn expanded(program: Option<OsString>, mut words: Vec<OsString>) -> Vec<OsString> {
    let name = program.as_deref().and_then(|program| Path::new(program).file_name());
    if name != Some(OsStr::new(NAME)) {
        if words.first().is_none_or(|first| first != NAME) {
            return words;
        }
        words.remove(0);
    }
    let given = std::env::var_os(VARIABLE).unwrap_or_default();
    std::iter::once(FLAG.into()).chain(unquoted_words(given.as_bytes())).chain(words).collect()
}

/// The words of a line as a shell reads them, without expanding anything.
fn unquoted_words(line: &[u8]) -> Vec<OsString> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<Vec<u8>>, None);
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, b' ' | b'\t' | b'\n') => words.extend(word.take()),
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (Some(open), byte) if open == byte => quote = None,
            (None | Some(b'"'), b'\\') => word.get_or_insert_default().extend(bytes.next()),
            (_, byte) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

/// The shell that runs commands: that of the variable, else the one that has started msup, else the
/// user's own.
pub(super) fn shells() -> impl Iterator<Item = PathBuf> {
    let parent = std::fs::read_link(format!("/proc/{}/exe", std::os::unix::process::parent_id()));
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    named(SHELL).into_iter().chain(parent.ok()).chain(named("SHELL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_variable() {
        let words = |line: &str| unquoted_words(line.as_bytes());
        assert_eq!(words(" -j2  --tagstring 'a b'\t"), ["-j2", "--tagstring", "a b"]);
        assert_eq!(words(r#"a\ b "c \"d\"" '' 'e\'"#), ["a b", "c \"d\"", "", r"e\"]);
        assert_eq!(words(""), [""; 0]);
    }
}
