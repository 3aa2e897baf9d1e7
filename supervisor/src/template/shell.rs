//! Which shell runs scripts, and the functions that bash exports.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// How a shell reads what POSIX leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// dash, busybox, or an unknown shell (`sh`).
    Posix,
    Bash,
    Zsh,
    /// ksh93, mksh and similar shells.
    Ksh,
}

/// The shells that scripts are written for and that take values as bytes (yash does not), by their
/// names.
const KNOWN: [(&str, Dialect); 12] = [
    ("sh", Dialect::Posix),
    ("dash", Dialect::Posix),
    ("ash", Dialect::Posix),
    ("busybox", Dialect::Posix),
    ("bash", Dialect::Bash),
    ("rbash", Dialect::Bash),
    ("zsh", Dialect::Zsh),
    ("ksh", Dialect::Ksh),
    ("ksh93", Dialect::Ksh),
    ("mksh", Dialect::Ksh),
    ("lksh", Dialect::Ksh),
    ("oksh", Dialect::Ksh),
];

/// What begins and ends the names of variables in which bash hands functions on.
const FUNCTION: (&[u8], &[u8]) = (b"BASH_FUNC_", b"%%");

/// What runs scripts.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    /// The program, and what it needs before `-c`.
    pub(super) argv: Vec<Vec<u8>>,
    pub(super) dialect: Dialect,
    /// Functions that run through bash when they are the first word.
    functions: HashSet<Vec<u8>>,
}

impl Shell {
    /// `sh`, without any functions.
    pub(crate) fn sh() -> Shell {
        let (argv, dialect) = (vec![b"sh".to_vec()], Dialect::Posix);
        Shell { argv, dialect, functions: HashSet::new() }
    }

    /// The shell of this name or path, if scripts are written for it.
    pub(crate) fn named(program: &OsStr) -> Option<Shell> {
        let name = program.as_bytes().rsplit(|byte| *byte == b'/').next()?;
        let (known, dialect) = KNOWN.iter().find(|(known, _)| known.as_bytes() == name)?;
        let mut argv = vec![program.as_bytes().to_vec()];
        if *known == "busybox" {
            argv.push(b"sh".to_vec());
        }
        Some(Shell { argv, dialect: *dialect, functions: HashSet::new() })
    }

    /// With the functions that bash has put into this environment.
    pub(crate) fn with_functions<'a>(
        mut self,
        environment: impl IntoIterator<Item = &'a OsStr>,
    ) -> Shell {
        let (before, after) = FUNCTION;
        let name = |variable: &'a OsStr| {
            variable.as_bytes().strip_prefix(before)?.strip_suffix(after).map(<[u8]>::to_vec)
        };
        self.functions = environment.into_iter().filter_map(name).collect();
        self
    }

    /// The name or path of the program.
    pub(crate) fn program(&self) -> &[u8] {
        &self.argv[0]
    }

    /// The program and the arguments that run this command line.
    pub(crate) fn command(&self, line: &[u8]) -> Vec<Vec<u8>> {
        super::script::literal_argv(self, line)
    }

    /// Whether this first word is a function of bash.
    pub(super) fn is_function(&self, word: &[u8]) -> bool {
        self.functions.contains(word)
    }

    /// The shell for a script that begins with a function: this one if it is bash, else bash.
    pub(super) fn for_functions(&self) -> Cow<'_, Shell> {
        match self.dialect {
            Dialect::Bash => Cow::Borrowed(self),
            _ => {
                let (argv, dialect) = (vec![BASH.to_vec()], Dialect::Bash);
                Cow::Owned(Shell { argv, dialect, functions: HashSet::new() })
            }
        }
    }
}

pub(super) const BASH: &[u8] = b"bash";

/// What makes bash run its first argument, a function, with the others.
pub(super) const CALL: &[u8] = br#""$0" "$@""#;
