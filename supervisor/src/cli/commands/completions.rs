//! `msup completions SHELL`: from the definitions of the flags.

use std::ffi::OsString;

use clap_complete::Shell;

use super::whole;
use crate::cli::{Refusal, UsageError, xargs};

/// The shells that there are completions for.
pub(super) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What decides in bash which words are completed: clap takes a word of COMMAND for a subcommand.
const WORDS: &str = include_str!("completions.bash");

/// The completions for the shell of this name.
///
/// # Errors
/// There are none for it.
pub(in crate::cli) fn text(words: &[OsString]) -> Result<String, Refusal> {
    let [shell] = words else { return Err(UsageError::CompletionsOf.into()) };
    let shell = match shell.to_str() {
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => return Err(UsageError::CompletionsOf.into()),
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut whole::command(), "msup", &mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok(if shell == Shell::Bash { text + &words_of_bash() } else { text })
}

fn words_of_bash() -> String {
    let command = whole::command();
    let valued = command.get_arguments().filter(|arg| {
        arg.get_action().takes_values() && !arg.is_positional() && !arg.is_require_equals_set()
    });
    let valued = valued.flat_map(|arg| {
        let letters = arg.get_short_and_visible_aliases().unwrap_or_default();
        let names = arg.get_long_and_visible_aliases().unwrap_or_default();
        let letters = letters.into_iter().map(|letter| format!("-{letter}"));
        letters.chain(names.into_iter().map(|name| format!("--{name}"))).collect::<Vec<_>>()
    });
    let subcommands: Vec<&str> = command.get_subcommands().map(|one| one.get_name()).collect();
    WORDS
        .replace("@XARGS@", &xargs::flags().join(" "))
        .replace("@SUBCOMMANDS@", &subcommands.join("|"))
        .replace("@VALUED@", &valued.collect::<Vec<_>>().join("|"))
        .replace("@FIRST@", &[&subcommands[..], &["parallel", "xargs"]].concat().join(" "))
}
