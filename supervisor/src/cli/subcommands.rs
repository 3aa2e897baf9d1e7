//! The names of the subcommands: `msup help`, and what a misspelled name was meant to be.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::topics;
use super::usage::UsageError;

/// All of them. Programs of these names can still be run: `msup -- doctor`.
const SUBCOMMANDS: [&str; 19] = [
    "run",
    "resume",
    "retry",
    "log",
    "report",
    "trace",
    "top",
    "ctl",
    "clean",
    "collect",
    "submit",
    "node",
    "status",
    "cancel",
    "doctor",
    "serve",
    "help",
    "man",
    "completions",
];

/// Other tools whose command lines msup reads.
const READINGS: [&str; 2] = ["parallel", "xargs"];

/// Words of at least this length may have two mistakes, shorter ones have one.
const LONG: usize = 5;

/// What `--help` shows of subcommands without flags.
const WITHOUT_FLAGS: [(&str, &str); 4] =
    [("doctor", DOCTOR), ("help", HELP), ("man", MAN), ("completions", COMPLETIONS)];

const HELP: &str = "\
Explain a subject, or show the flags of a subcommand

Usage: msup help [TOPIC|SUBCOMMAND]
       msup help --all

Topics: inputs, strings, pipelines, failures, resume, outputs, settings,
parallel, xargs
";

const MAN: &str = "\
Print a manual page in the language of man

Usage: msup man [PAGE]

Pages: run, resume, retry, log, report, trace, top, ctl, clean, collect, serve,
inputs, strings, pipelines, failures, outputs, settings, parallel, xargs;
without PAGE, that of msup itself

  msup man | man -l -
";

const COMPLETIONS: &str = "\
Print completions for a shell

Usage: msup completions bash|zsh|fish

  msup completions bash > ~/.local/share/bash-completion/completions/msup
  msup completions zsh > FOLDER/_msup          a folder of $fpath
  msup completions fish > ~/.config/fish/completions/msup.fish
";

/// What `msup doctor --help` shows.
pub(super) const DOCTOR: &str = "\
Show what this machine offers for measuring and killing processes, what msup
uses of it, and how many CPUs and workers msup may use

Usage: msup doctor
";

/// What `msup help` and `msup help TOPIC` print, and `--help` of what has no flags.
///
/// # Errors
/// There is no such topic, and no program of the name `help`.
pub(super) fn help(words: &[OsString]) -> Result<Option<String>, UsageError> {
    Ok(match words {
        [help] if help == "help" => Some(topics::brief()),
        [known, flag] if flag == "--help" || flag == "-h" => {
            without_flags(known).map(str::to_owned)
        }
        [help, word] if help == "help" && without_flags(word).is_some() => {
            without_flags(word).map(str::to_owned)
        }
        [help, word] if help == "help" => match topics::topic(word) {
            Some(topic) => Some(topics::help_on(topic)),
            None if word == "--all" || is_known(word) || is_program(help) => None,
            None => return Err(topics::none(word)),
        },
        _ => None,
    })
}

/// The help of a subcommand that has no flags.
fn without_flags(word: &OsString) -> Option<&'static str> {
    WITHOUT_FLAGS.iter().find(|(name, _)| word == name).map(|(_, text)| *text)
}

fn is_known(word: &OsString) -> bool {
    SUBCOMMANDS.iter().any(|known| word == known)
}

/// `msup help --all` and `msup help SUBCOMMAND` are the same as `--help`.
pub(super) fn spelled_out(words: Vec<OsString>) -> Vec<OsString> {
    match &words[..] {
        [help, all] if help == "help" && all == "--all" => vec!["--help".into()],
        [help, known] if help == "help" && is_known(known) => vec![known.clone(), "--help".into()],
        _ => words,
    }
}

/// Makes sure that a single word that is no program is not nearly one of these.
///
/// # Errors
/// Which one was probably meant.
pub(super) fn refuse_misspelled(words: &[OsString]) -> Result<(), UsageError> {
    let Some(word) = words.first() else { return Ok(()) };
    let subcommand = if words.len() == 1 { nearest(word, &SUBCOMMANDS) } else { None };
    let Some(meant) = subcommand.or_else(|| nearest(word, &READINGS)) else { return Ok(()) };
    if is_program(word) {
        return Ok(());
    }
    Err(UsageError::Misspelled { word: word.display().to_string(), meant })
}

fn nearest(word: &OsStr, names: &[&'static str]) -> Option<&'static str> {
    let bytes = word.as_bytes();
    if bytes.starts_with(b"-") {
        return None;
    }
    let at_most = if bytes.len() >= LONG { 2 } else { 1 };
    let near = names.iter().map(|known| (distance(bytes, known.as_bytes()), *known));
    let (mistakes, known) = near.min()?;
    (1..=at_most).contains(&mistakes).then_some(known)
}

/// Whether a program or a function of bash has this name.
pub(super) fn is_program(name: &OsStr) -> bool {
    let function = [b"BASH_FUNC_", name.as_bytes(), b"%%"].concat();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::var_os(OsStr::from_bytes(&function)).is_some()
        || std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// The number of letters that were left out, added, changed or swapped with the next one.
pub(super) fn distance(one: &[u8], other: &[u8]) -> usize {
    match (one, other) {
        ([], rest) | (rest, []) => rest.len(),
        // The lengths differ too much.
        _ if one.len().abs_diff(other.len()) > 2 => usize::MAX / 2,
        ([a, one_left @ ..], [b, other_left @ ..]) if a == b => distance(one_left, other_left),
        ([a, one_left @ ..], [b, other_left @ ..]) => {
            let swapped = match (one_left, other_left) {
                ([c, one_left @ ..], [d, other_left @ ..]) if (a, c) == (d, b) => {
                    distance(one_left, other_left)
                }
                _ => usize::MAX / 2,
            };
            let changed = distance(one_left, other_left);
            let (added, left_out) = (distance(one_left, other), distance(one, other_left));
            1 + swapped.min(changed).min(added).min(left_out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_subcommand_is_known() {
        for (word, meant) in [
            ("resum", "resume"),
            ("reusme", "resume"),
            ("retyr", "retry"),
            ("lgo", "log"),
            ("logs", "log"),
            ("claen", "clean"),
            ("docter", "doctor"),
            ("hlep", "help"),
        ] {
            assert_eq!(nearest(OsStr::new(word), &SUBCOMMANDS), Some(meant), "{word}");
        }
        for (word, meant) in [
            ("paralel", "parallel"),
            ("pararell", "parallel"),
            ("parralel", "parallel"),
            ("xarg", "xargs"),
        ] {
            assert_eq!(nearest(OsStr::new(word), &READINGS), Some(meant), "{word}");
        }
        for word in ["gzip", "ls", "l", "", "cat", "convert", "resume", "--help", "lxy"] {
            assert_eq!(nearest(OsStr::new(word), &SUBCOMMANDS), None, "{word}");
            assert_eq!(nearest(OsStr::new(word), &READINGS), None, "{word}");
        }
    }

    #[test]
    fn help_is_spelled_out() {
        let of = |text: &str| spelled_out(text.split(' ').map(OsString::from).collect());
        assert_eq!(of("help --all"), ["--help"]);
        assert_eq!(of("help retry"), ["retry", "--help"]);
        assert_eq!(of("help ::: a"), ["help", ":::", "a"], "a program of that name");
    }
}
