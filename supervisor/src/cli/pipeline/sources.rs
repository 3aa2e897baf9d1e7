//! The values of the sources of a pipeline.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use walkdir::{DirEntry, WalkDir};

use super::error::PipelineError;
use super::loaded::Loaded;
use crate::pipeline::{FilePattern, SourceKind, SourceTable, SourceValues};
use crate::template::Shell;

/// The values of each source, by its stage.
///
/// # Errors
/// One cannot be read, or a glob matches nothing.
pub(super) fn read(loaded: &Loaded, shell: &Shell) -> Result<Vec<SourceValues>, PipelineError> {
    let mut all = Vec::new();
    let mut stdin_is_read = false;
    for (id, table) in loaded.file().stages.iter().enumerate() {
        let Some(source) = &table.from else { continue };
        if let SourceTable::Stdin { .. } = source.get_ref()
            && std::mem::replace(&mut stdin_is_read, true)
        {
            let why = "standard input can be read once, and a stage above reads it";
            return Err(loaded.wrong_at(source.span(), why.to_owned()));
        }
        let values = of(source.get_ref(), shell);
        let values = values.map_err(|why| loaded.wrong_at(source.span(), why))?;
        let (kind, pattern) = match source.get_ref() {
            SourceTable::Glob(glob) => (SourceKind::Found, pattern_of(glob).ok()),
            SourceTable::Values(_) => (SourceKind::Given, None),
            _ => (SourceKind::Listed, None),
        };
        let list = match source.get_ref() {
            SourceTable::Lines(path) | SourceTable::Null(path) => Some(path.clone().into_bytes()),
            _ => None,
        };
        all.push(SourceValues { stage: id, values, kind, pattern, list });
    }
    Ok(all)
}

/// # Errors
/// What is wrong with it.
fn of(source: &SourceTable, shell: &Shell) -> Result<Vec<Vec<u8>>, String> {
    let wrong = |what: &str| {
        let what = what.to_owned();
        move |why: io::Error| format!("{what}: {why}")
    };
    Ok(match source {
        SourceTable::Values(values) => {
            without_nul(values.iter().map(|value| value.clone().into_bytes()).collect())?
        }
        SourceTable::Glob(glob) => {
            let found = matches(&pattern_of(glob)?).map_err(wrong(glob))?;
            if found.is_empty() {
                return Err(format!("no file has such a name: {glob}"));
            }
            found
        }
        SourceTable::Lines(path) => split(&fs::read(path).map_err(wrong(path))?, b'\n')?,
        SourceTable::Null(path) => split(&fs::read(path).map_err(wrong(path))?, 0)?,
        SourceTable::Stdin { null } => {
            let mut text = Vec::new();
            io::stdin().lock().read_to_end(&mut text).map_err(wrong("standard input"))?;
            split(&text, separator(*null))?
        }
        SourceTable::Command { command, null } => {
            let argv = shell.command(command.as_bytes());
            let words = argv.iter().map(|word| std::ffi::OsStr::from_bytes(word));
            let mut words = words.collect::<Vec<_>>().into_iter();
            let output = Command::new(words.next().unwrap_or_default())
                .args(words)
                .stdin(Stdio::null())
                .stderr(Stdio::inherit())
                .output()
                .map_err(wrong(command))?;
            if !output.status.success() {
                let how = match (output.status.code(), output.status.signal()) {
                    (Some(code), _) => format!("exited with {code}"),
                    (None, signal) => format!("got signal {}", signal.unwrap_or_default()),
                };
                return Err(format!("the command {how}: nothing was started"));
            }
            split(&output.stdout, separator(*null))?
        }
    })
}

fn pattern_of(glob: &str) -> Result<FilePattern, String> {
    FilePattern::new(glob).map_err(|why| format!("{glob}: {why}"))
}

fn separator(null: bool) -> u8 {
    if null { 0 } else { b'\n' }
}

/// The values in a list; empty ones are none.
///
/// # Errors
/// One holds a NUL byte.
fn split(list: &[u8], separator: u8) -> Result<Vec<Vec<u8>>, String> {
    let values = list.split(|byte| *byte == separator).filter(|value| !value.is_empty());
    without_nul(values.map(<[u8]>::to_vec).collect())
}

fn without_nul(values: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
    match values.iter().position(|value| value.contains(&0)) {
        Some(at) => Err(format!("value {} holds a NUL byte: use null for such a list", at + 1)),
        None => Ok(values),
    }
}

/// The files with names like this, in the order of their bytes. Hidden ones are left out.
fn matches(pattern: &FilePattern) -> io::Result<Vec<Vec<u8>>> {
    let root = pattern.root();
    let start = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let is_wanted =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_bytes().starts_with(b".");
    let mut found = Vec::new();
    for entry in WalkDir::new(start).follow_links(true).into_iter().filter_entry(is_wanted) {
        let entry = match entry {
            Ok(entry) => entry,
            // Nothing is there: nothing matches. A folder that cannot be read may hold files.
            Err(why) if why.depth() == 0 && why.io_error().is_some_and(is_missing) => break,
            Err(why) if why.loop_ancestor().is_some() => continue,
            // A link to nothing: the task that reads it fails, and that is not overlooked.
            Err(why) if why.io_error().is_some_and(is_missing) => {
                let link = why.path().filter(|path| path.is_symlink());
                found.extend(link.filter(|path| pattern.matches(plain_of(path))).map(bytes_of));
                continue;
            }
            Err(why) => return Err(why.into()),
        };
        if entry.file_type().is_file() && pattern.matches(plain_of(entry.path())) {
            found.push(bytes_of(entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn plain_of(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

fn bytes_of(path: &Path) -> Vec<u8> {
    plain_of(path).as_os_str().as_bytes().to_vec()
}

fn is_missing(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_finds_files_and_links_but_nothing_hidden() {
        let place = tempfile::tempdir().expect("a folder");
        let top = place.path();
        for name in ["b.x", "a.x", "sub/c.x", "sub/d.y", ".h.x", ".msup/e.x", "sub/er/f.x"] {
            fs::create_dir_all(top.join(name).parent().expect("a folder")).expect("writable");
            fs::write(top.join(name), b"").expect("writable");
        }
        fs::create_dir(top.join("folder.x")).expect("writable");
        std::os::unix::fs::symlink("nowhere", top.join("link.x")).expect("writable");
        let found = |glob: &str| {
            let glob = format!("{}/{glob}", top.display());
            let pattern = FilePattern::new(&glob).expect("a glob");
            let found = matches(&pattern).expect("readable").into_iter();
            let names = found.map(|path| {
                String::from_utf8(path).expect("UTF-8")[top.as_os_str().len() + 1..].to_owned()
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(found("*.x"), ["a.x", "b.x", "link.x"]);
        assert_eq!(found("**/*.x"), ["a.x", "b.x", "link.x", "sub/c.x", "sub/er/f.x"]);
        assert_eq!(found("sub/*"), ["sub/c.x", "sub/d.y"]);
        assert_eq!(found("a.x"), ["a.x"]);
        assert_eq!(found("{a,b}.x"), ["a.x", "b.x"]);
        assert_eq!(found("none/*"), [""; 0]);
    }

    #[test]
    fn empty_values_are_none() {
        let some = |list: &[u8], separator| split(list, separator).expect("no NUL");
        assert_eq!(some(b"a\n\nb\n", b'\n'), [b"a", b"b"]);
        assert_eq!(some(b"", b'\n'), [b""; 0]);
        assert_eq!(some(b"a\nb\0", 0), [b"a\nb"]);
        assert!(split(b"a\nb\0c\n", b'\n').is_err());
    }
}
