//! The names of files that a glob of a source takes in.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A glob. Names that begin with a dot are left out below its plain part.
#[derive(Clone, Debug)]
pub(crate) struct FilePattern {
    matcher: GlobMatcher,
    root: PathBuf,
}

impl FilePattern {
    /// # Errors
    /// What is wrong with the glob.
    pub(crate) fn new(glob: &str) -> Result<FilePattern, String> {
        let plain = glob.strip_prefix("./").unwrap_or(glob);
        let made = GlobBuilder::new(plain).literal_separator(true).backslash_escape(true).build();
        let matcher = made.map_err(|why| why.kind().to_string())?.compile_matcher();
        Ok(FilePattern { matcher, root: root_of(plain) })
    }

    /// The folder below which all matches are; empty for the present one.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it takes in this path, which does not begin with `./`, if no folder of it is hidden.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }

    /// Whether it would find a file with this path. `folder`: the present one.
    pub(super) fn finds(&self, folder: &[u8], path: &[u8]) -> bool {
        let path = Path::new(OsStr::from_bytes(path));
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
                part => plain.push(part),
            }
        }
        let within = Path::new(OsStr::from_bytes(folder));
        // Of a relative and an absolute path one has the form of the glob.
        let plain = match (self.root.is_absolute(), plain.is_absolute()) {
            (true, false) => within.join(plain),
            (false, true) => match plain.strip_prefix(within) {
                Ok(plain) => plain.to_owned(),
                Err(_) => return false,
            },
            _ => plain,
        };
        let Ok(below) = plain.strip_prefix(&self.root) else { return false };
        let is_hidden = |part: Component<'_>| part.as_os_str().as_bytes().starts_with(b".");
        !below.components().any(is_hidden) && self.matches(&plain)
    }
}

/// The folder below which all matches are: the parts before the first that is a pattern.
fn root_of(glob: &str) -> PathBuf {
    let is_pattern = |part: &Component<'_>| {
        part.as_os_str().as_bytes().iter().any(|byte| b"*?[{\\".contains(byte))
    };
    let parts: Vec<Component<'_>> = Path::new(glob).components().collect();
    let plain = parts.iter().take_while(|part| !is_pattern(part)).count();
    // A glob without patterns is a name.
    parts[..plain.min(parts.len().saturating_sub(1))].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_part_of_a_glob() {
        assert_eq!(root_of("in/a/*.mp3"), Path::new("in/a"));
        assert_eq!(root_of("in/**/*.mp3"), Path::new("in"));
        assert_eq!(root_of("*.mp3"), Path::new(""));
        assert_eq!(root_of("/x/y.mp3"), Path::new("/x"));
    }

    #[test]
    fn what_a_glob_would_find() {
        let finds = |glob: &str, path: &str| {
            FilePattern::new(glob).expect(glob).finds(b"/home/me", path.as_bytes())
        };
        for (glob, path) in [
            ("*.txt", "a.txt"),
            ("*.txt", "./a.txt"),
            ("./in/*", "in/a"),
            ("in/**/*.txt", "in/b/a.txt"),
            ("/home/me/in/*", "in/a"),
            ("in/*", "/home/me/in/a"),
            (".hidden/*", ".hidden/a"),
            ("in/*", "o/../in/a"),
        ] {
            assert!(finds(glob, path), "{glob} {path}");
        }
        for (glob, path) in [
            ("*.txt", "out/a.txt"),
            ("**/*", ".msup/a"),
            ("**/*", "a/.b/c"),
            ("*", ".a"),
            ("in/*", "/home/other/in/a"),
            ("*.txt", "a.txt.out"),
        ] {
            assert!(!finds(glob, path), "{glob} {path}");
        }
    }
}
