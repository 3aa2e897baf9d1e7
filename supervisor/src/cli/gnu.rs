//! `msup parallel`, and msup called by that name: GNU parallel's own reading of a command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Parser;
use msup_protocol::process_tree::look_up;

use super::args::Args;
use super::gnu_asked::GnuAsked;
use super::optional_values;

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

    /// No flags of variables and files: they were left out.
    #[arg(long, hide = true)]
    plain: bool,

    #[command(flatten)]
    pub(super) asked: GnuAsked,

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
    let given = unquoted_words(given.as_bytes());
    let all = optional_values::written_out(words.clone(), true);
    let known = Args::try_parse_from(std::iter::once("msup".into()).chain(all));
    let (profiles, plain) =
        known.map_or((Vec::new(), false), |args| (args.reading.asked.profile, args.reading.plain));
    let before = if plain { Vec::new() } else { flags_of_files(&profiles) };
    let given = if plain { Vec::new() } else { given };
    std::iter::once(FLAG.into()).chain(before).chain(given).chain(words).collect()
}

/// The flags in these files, or in those that are read without `--profile`. Files that are not
/// there have none.
fn flags_of_files(profiles: &[String]) -> Vec<OsString> {
    let named =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let beside = |path: PathBuf| path.join("parallel");
    let home = named("HOME").unwrap_or_default();
    let mut folders: Vec<PathBuf> = named("PARALLEL_HOME").into_iter().collect();
    folders.extend(named("XDG_CONFIG_HOME").map(beside));
    let shared = std::env::var_os("XDG_CONFIG_DIRS").unwrap_or_default();
    folders.extend(std::env::split_paths(&shared).filter(|path| path.is_absolute()).map(beside));
    folders.push(home.join(".parallel"));
    let mut files = Vec::new();
    if profiles.is_empty() {
        files.push(PathBuf::from("/etc/parallel/config"));
        files.extend(folders.iter().map(|folder| folder.join("config")));
        files.push(home.join(".parallelrc"));
    }
    for profile in profiles {
        match profile.starts_with("./") || profile.starts_with('/') {
            true => files.push(profile.into()),
            false => files.extend(folders.iter().map(|folder| folder.join(profile))),
        }
    }
    let texts = files.iter().filter_map(|file| std::fs::read(file).ok());
    texts.flat_map(|text| flags_of(&text)).collect()
}

/// The words of a file with flags: lines that begin with `#` are comments.
fn flags_of(text: &[u8]) -> Vec<OsString> {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    lines.flat_map(unquoted_words).collect()
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

/// Programs, of which the first that is a shell runs commands: that of the variable, then those
/// that have started msup, the nearest first, then the user's own shell.
pub(super) fn shells() -> impl Iterator<Item = PathBuf> {
    let parent = |pid: i32| look_up(pid).map(|kin| kin.parent);
    let ancestors =
        std::iter::successors(parent(std::process::id().cast_signed()), move |pid| parent(*pid));
    let programs = ancestors.filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    named(SHELL).into_iter().chain(programs).chain(named("SHELL"))
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
        let flags = flags_of(b"# -j1\n--tag -k\n  # x\n--joblog 'a b'\n");
        assert_eq!(flags, ["--tag", "-k", "--joblog", "a b"]);
    }
}
