//! Any list of byte strings arrives exactly, whatever surrounds the values: a program shows what it
//! gets, byte for byte. No value is run as code: many hold commands that would make a file.
//!
//! All values and templates are random. `MSUP_SEED=N` chooses others, `MSUP_TEMPLATES=N` makes more
//! of them.

mod again;
mod batches;
mod direct;
mod expressions;
mod loose;
mod names;
mod parallel;
mod passed_on;
mod refused;
mod scripts;
mod statements;
mod values;
mod words;
mod xargs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use msup_tests::{Sandbox, program, run_with_input};

use values::{MARKER, list, seed};

/// A test for each of these shells.
macro_rules! in_shells {
    ($check:ident: $($name:ident $shell:literal),*) => {
        mod $check {
            $(
                #[test]
                fn $name() {
                    super::$check($shell);
                }
            )*
        }
    };
}
pub(crate) use in_shells;

/// A test for each shell that `--shell` may name.
macro_rules! in_each_shell {
    ($check:ident) => {
        crate::in_shells!($check: in_sh "sh", in_bash "bash", in_zsh "zsh", in_dash "dash",
            in_ksh "ksh", in_mksh "mksh", in_busybox "busybox");
    };
}
pub(crate) use in_each_shell;

/// A test for one shell of each kind that msup tells apart.
macro_rules! in_some_shells {
    ($check:ident) => {
        crate::in_shells!($check: in_sh "sh", in_bash "bash", in_zsh "zsh", in_mksh "mksh");
    };
}
pub(crate) use in_some_shells;

/// Where this program is, if it is installed; prints a note otherwise.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file());
    if found.is_none() {
        println!("not tested: {name} is not installed");
    }
    found
}

/// A sandbox in which `./dump` shows its arguments.
struct Place {
    sandbox: Sandbox,
}

impl Place {
    fn new() -> Place {
        let sandbox = Sandbox::new();
        let dump = sandbox.path().join("dump");
        std::os::unix::fs::symlink(program("shows_arguments"), dump).expect("a new name");
        Place { sandbox }
    }

    fn path(&self) -> &Path {
        self.sandbox.path()
    }

    /// Runs a program here, with a list on standard input.
    fn run(&self, program: &Path, words: &[&str], input: &[u8]) -> Output {
        let mut command = self.sandbox.command(program);
        command.args(words).env("HOME", self.path()).env("SHELL", "/bin/sh");
        for name in ["PARALLEL", "PARALLEL_SHELL", "ENV", "BASH_ENV", "LC_ALL"] {
            command.env_remove(name);
        }
        run_with_input(&mut command, input)
    }

    /// Runs msup, whose outputs are in the order of the values.
    fn msup(&self, words: &[&str], input: &[u8]) -> Output {
        self.run(&program("msup"), &[&["-q", "-k"], words].concat(), input)
    }

    /// Files here that no test has made: a value was run as code, or redirected an output.
    fn made(&self) -> Vec<String> {
        let known = [
            "dump",
            "tmp",
            "state",
            "config",
            "lists",
            "folders",
            "results",
            "run",
            "go",
            ".parallel",
        ];
        let entries = fs::read_dir(self.path()).expect("readable");
        let names = entries.map(|entry| entry.expect("readable").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| !known.contains(&name.as_str())).collect()
    }

    fn is_marked(&self) -> bool {
        self.path().join(MARKER).exists()
    }

    /// Runs msup over these values, and compares what each one has shown with `shows`, in the
    /// notation of [`filled`].
    fn check(&self, words: &[&str], values: &[Vec<u8>], shows: &[&str]) {
        let output = self.msup(&[&["-0"], words].concat(), &list(values, 0));
        let expected: Vec<Vec<u8>> = values.iter().flat_map(|value| lines(shows, value)).collect();
        self.compare(words, &output, &expected);
    }

    /// Fails if an output differs or something was made.
    fn compare(&self, words: &[&str], output: &Output, expected: &[Vec<u8>]) {
        let wrong = wrong(output, expected);
        let made = self.made();
        assert!(
            wrong.is_none() && made.is_empty(),
            "msup {words:?}: {}; made: {made:?} (MSUP_SEED={})",
            wrong.unwrap_or_default(),
            seed()
        );
    }
}

/// The line of `./dump` for these arguments.
fn line(arguments: &[Vec<u8>]) -> Vec<u8> {
    let digits = |bytes: &Vec<u8>| {
        let pairs: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if pairs.is_empty() { ".".to_owned() } else { pairs }
    };
    let words: Vec<String> = arguments.iter().map(digits).collect();
    format!("={}", words.join(" ")).into_bytes()
}

/// Arguments with `|` between them; `@` stands for the value.
fn filled(shows: &str, value: &[u8]) -> Vec<Vec<u8>> {
    let argument = |text: &str| {
        let parts: Vec<&[u8]> = text.split('@').map(str::as_bytes).collect();
        parts.join(value)
    };
    shows.split('|').map(argument).collect()
}

/// The lines of several calls of `./dump`.
fn lines(shows: &[&str], value: &[u8]) -> Vec<Vec<u8>> {
    shows.iter().map(|shows| line(&filled(shows, value))).collect()
}

/// What is wrong with the output of a run, if anything is.
fn wrong(output: &Output, expected: &[Vec<u8>]) -> Option<String> {
    let said = brief(&output.stderr);
    let mut shown: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').collect();
    let is_whole = shown.pop().is_some_and(<[u8]>::is_empty);
    for nth in 0..shown.len().max(expected.len()) {
        let shown = shown.get(nth).copied();
        let expected = expected.get(nth).map(Vec::as_slice);
        if shown != expected {
            let [shown, expected] = [shown, expected].map(|line| line.map_or("none".into(), told));
            return Some(format!("line {nth}: {shown} instead of {expected}; {said}"));
        }
    }
    let is_well = is_whole && output.status.success();
    (!is_well).then(|| format!("{}: {said}", output.status))
}

/// A line of `./dump`, to be read by people.
fn told(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let Some(words) = text.strip_prefix('=') else { return brief(line) };
    let argument = |word: &str| {
        let pair = |at: usize| u8::from_str_radix(word.get(at..at + 2)?, 16).ok();
        let bytes: Vec<u8> = (0..word.len()).step_by(2).map_while(pair).collect();
        format!("<{}>", brief(&bytes))
    };
    words.split(' ').map(argument).collect()
}

/// At most some hundred bytes.
fn brief(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(400)];
    let more = if cut.len() < bytes.len() { "..." } else { "" };
    format!("{}{more}", cut.escape_ascii())
}

/// Whether msup has refused a command line: one line says why, and nothing was run.
fn is_refused(output: &Output) -> bool {
    let said = &output.stderr;
    output.status.code() == Some(255)
        && output.stdout.is_empty()
        && said.starts_with(b"msup: ")
        && said.iter().filter(|byte| **byte == b'\n').count() == 1
}
