//! What to do instead of flags and words of GNU parallel, xargs and shells that msup does not have.

mod flags;
mod harmless;

use std::ffi::OsString;

pub(super) use flags::{begun, known};
pub(super) use harmless::Harmless;

/// Operators of a shell: as words of COMMAND they are arguments.
const OPERATORS: [&str; 12] =
    [">", ">>", "<", "|", "||", "&&", "&", "|&", "&>", "&>>", "<<<", ">|"];

/// Programs that have such arguments.
const COMPARING: [&str; 3] = ["test", "[", "expr"];

/// A line about a word that does not do what it does in a shell, with the form that does.
pub(super) fn warn_of_operators(words: &[OsString]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let program = words.first()?.rsplit('/').next();
    if words.len() < 2 || COMPARING.iter().any(|known| Some(*known) == program) {
        return None;
    }
    let operator = words.iter().find(|word| OPERATORS.contains(word) || is_redirection(word))?;
    let script: Vec<String> = words.iter().map(|word| in_script(word)).collect();
    Some(format!(
        "warning: '{operator}' is an argument here; for a shell to act on it, quote the whole \
         command: msup '{}'",
        script.join(" ").replace('\'', "'\\''")
    ))
}

/// A word as it is written in a script: operators as they are, words with special characters in
/// quotes.
fn in_script(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+./:,@%={}#".contains(c);
    if OPERATORS.contains(&word)
        || is_redirection(word)
        || (!word.is_empty() && word.chars().all(is_plain))
    {
        return word.into();
    }
    let escaped = |c: char| ["", "\\"][usize::from("\"\\$`".contains(c))].chars().chain([c]);
    format!("\"{}\"", word.chars().flat_map(escaped).collect::<String>())
}

/// `2>`, `2>&1`, `>&2`, `2>/dev/null`: these are never meant as arguments.
fn is_redirection(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let (numbered, rest) = (rest.len() < word.len(), rest.strip_prefix('>'));
    rest.is_some_and(|rest| match rest.strip_prefix('&') {
        Some(target) => {
            !target.is_empty() && target.chars().all(|c| c.is_ascii_digit() || c == '-')
        }
        None => numbered && !rest.starts_with('='),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quoted_form_means_what_was_typed() {
        let words = ["grep", "a b", "it's $x", "{}", ">", "o.txt"].map(OsString::from);
        let warning = warn_of_operators(&words).expect("a warning");
        assert!(warning.ends_with(r#"msup 'grep "a b" "it'\''s \$x" {} > o.txt'"#), "{warning}");
    }

    #[test]
    fn redirections_and_what_only_resembles_them() {
        for word in ["2>", "2>&1", ">&2", "2>/dev/null", "2>>log", ">&-"] {
            assert!(is_redirection(word), "{word}");
        }
        for word in [">", ">file", ">=2", "2", "a>b", "<b>", "1>=2", ">&x"] {
            assert!(!is_redirection(word), "{word}");
        }
    }
}
