//! Perl's regular expressions, as flags of GNU parallel have them: on bytes, where letters, digits
//! and blanks are those of ASCII. What the crate `regex` reads otherwise is written in its own way
//! (`translation.rs`, `classes.rs`), and what it cannot do is refused.

mod classes;
mod translation;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

/// A regular expression that is none, or that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{typed}: {why}")]
pub(crate) struct BadRegexp {
    typed: String,
    why: String,
}

impl BadRegexp {
    fn new(typed: &[u8], why: String) -> BadRegexp {
        BadRegexp { typed: String::from_utf8_lossy(typed).into_owned(), why }
    }

    /// The same where the expression is a part of what was typed.
    pub(crate) fn of_part(&self) -> String {
        format!("{}, in {}", self.why, self.typed)
    }

    fn of_crate(typed: &[u8], why: &regex::Error) -> BadRegexp {
        // The last line says it; those before show the place.
        let why = why.to_string().lines().last().unwrap_or_default().to_owned();
        let why = why.trim_start_matches("error: ");
        BadRegexp::new(typed, format!("not a regular expression: {why}"))
    }
}

/// What Perl's letters behind a regular expression say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RegexpModes {
    /// `i`
    pub(crate) ignores_case: bool,
    /// `s`: `.` is any byte.
    pub(crate) dot_is_any: bool,
    /// `m`: `^` and `$` match at each line.
    pub(crate) lines: bool,
    /// `x`: blanks and comments mean nothing.
    pub(crate) spaced: bool,
}

/// What Perl would match with this.
///
/// # Errors
/// [`BadRegexp`].
pub(crate) fn of_perl(typed: &[u8], modes: RegexpModes) -> Result<Regex, BadRegexp> {
    composed(typed, modes, |all| all.to_owned())
}

/// The same with other expressions of the crate around it.
///
/// # Errors
/// As for [`of_perl`].
pub(crate) fn composed(
    typed: &[u8],
    modes: RegexpModes,
    around: impl FnOnce(&str) -> String,
) -> Result<Regex, BadRegexp> {
    let inner = translated(typed, modes)?;
    built(typed, &around(&inner), modes)
}

/// The same as the crate writes it, to be put together with others.
///
/// # Errors
/// As for [`of_perl`].
pub(crate) fn translated(typed: &[u8], modes: RegexpModes) -> Result<String, BadRegexp> {
    let text = translation::of(typed, modes.spaced).map_err(|why| BadRegexp::new(typed, why))?;
    // Errors are about what was typed, whatever is put around it.
    built(typed, &text, modes)?;
    Ok(text)
}

/// Builds one that is already written as the crate has it.
///
/// # Errors
/// As for [`of_perl`].
pub(crate) fn built(typed: &[u8], text: &str, modes: RegexpModes) -> Result<Regex, BadRegexp> {
    let built = RegexBuilder::new(text)
        .unicode(false)
        .case_insensitive(modes.ignores_case)
        .dot_matches_new_line(modes.dot_is_any)
        .multi_line(modes.lines)
        .build();
    built.map_err(|why| BadRegexp::of_crate(typed, &why))
}

/// One for Perl's `split`. What matches nothing is refused: Perl would split between characters.
///
/// # Errors
/// As for [`of_perl`].
pub(crate) fn of_separator(typed: &[u8]) -> Result<Regex, BadRegexp> {
    let regexp = of_perl(typed, RegexpModes::default())?;
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(regexp.as_str());
    if parsed.is_ok_and(|parsed| parsed.properties().minimum_len() == Some(0)) {
        let why = "it matches an empty text; write one that matches at least one character, and \
                   characters such as | with a backslash";
        return Err(BadRegexp::new(typed, why.into()));
    }
    Ok(regexp)
}

#[cfg(test)]
mod tests;
