//! `--tag` and `--tagstring`: what each line of a task's output begins with.

use super::parsing::parse_word;
use super::replacement::Replacement;
use super::strings::Strings;
use super::{Facts, TemplatePart, Totals, Word};

/// A tag with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct TagTemplate(Word);

/// A replacement string in a tag that is not known when a task has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{{%}}, {{threads}} and {{out}} cannot stand here: they may differ between attempts")]
pub(crate) struct OfAttempt;

impl TagTemplate {
    /// Takes the tag as typed.
    ///
    /// # Errors
    /// [`OfAttempt`].
    pub(crate) fn parse(typed: &[u8], strings: &Strings) -> Result<TagTemplate, OfAttempt> {
        let word = parse_word(typed, strings);
        check(&word)?;
        Ok(TagTemplate(word))
    }

    /// Whether it depends on how many tasks there are.
    pub(crate) fn needs_total(&self) -> bool {
        self.0.iter().any(TemplatePart::needs_total)
    }

    /// The tag of the task with this value and number, with the tab that ends it.
    pub(crate) fn of(&self, value: &[u8], seq: u64, totals: Totals) -> Vec<u8> {
        let mut tag = text(&self.0, value, Facts { seq, totals, ..Facts::default() });
        // As in GNU parallel, nothing is no tag.
        if !self.0.is_empty() {
            tag.push(b'\t');
        }
        tag
    }
}

/// Makes sure that all of it is known before an attempt begins.
///
/// # Errors
/// [`OfAttempt`].
pub(super) fn check(word: &Word) -> Result<(), OfAttempt> {
    let is_of_attempt = |piece: &TemplatePart| match piece {
        TemplatePart::Replacement(replacement) => replacement.is_of_attempt(),
        TemplatePart::Text(_) => false,
    };
    if word.iter().any(is_of_attempt) { Err(OfAttempt) } else { Ok(()) }
}

/// The text with the value in its places.
pub(super) fn text(word: &Word, value: &[u8], facts: Facts<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in word {
        match piece {
            TemplatePart::Text(bytes) => text.extend_from_slice(bytes),
            TemplatePart::Replacement(Replacement::Value(part)) => {
                text.extend_from_slice(&part.of(value, b""));
            }
            TemplatePart::Replacement(Replacement::Number(number)) => number.push(&mut text, facts),
            // These were refused.
            TemplatePart::Replacement(_) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_it_says_and_a_tab() {
        let tag = |typed: &str| {
            let template = TagTemplate::parse(typed.as_bytes(), &Strings::of(2))?;
            let totals = Totals { tasks: 100, slots: 1 };
            Ok(String::from_utf8(template.of(b"d/a.b\0c d", 7, totals)).expect("text"))
        };
        for (typed, expected) in [
            ("{}", "d/a.b c d\t"),
            ("{#}:{1/.}", "7:a\t"),
            ("{0#}/{##}", "007/100\t"),
            ("", ""),
            ("x {2}", "x c d\t"),
        ] {
            assert_eq!(tag(typed).as_deref(), Ok(expected), "{typed}");
        }
        assert_eq!(tag("{%}"), Err(OfAttempt));
    }
}
