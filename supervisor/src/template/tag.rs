//! `--tag` and `--tagstring`: what each line of a task's output begins with.

use super::parsing::parse_word;
use super::rendering::push_number;
use super::replacement::{Replacement, Strings};
use super::{TemplatePart, Word};

/// A tag with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct TagTemplate(Word);

/// A replacement string in a tag that is not known when a task has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{{%}}, {{threads}} and {{out}} cannot stand in a tag: they may differ between attempts")]
pub(crate) struct OfAttempt;

impl TagTemplate {
    /// Takes the tag as typed.
    ///
    /// # Errors
    /// [`OfAttempt`].
    pub(crate) fn parse(typed: &[u8], strings: &Strings) -> Result<TagTemplate, OfAttempt> {
        let word = parse_word(typed, strings);
        let is_of_attempt = |piece: &TemplatePart| match piece {
            TemplatePart::Replacement(replacement) => replacement.is_of_attempt(),
            TemplatePart::Text(_) => false,
        };
        if word.iter().any(is_of_attempt) { Err(OfAttempt) } else { Ok(TagTemplate(word)) }
    }

    /// The tag of the task with this value and number, with the tab that ends it.
    pub(crate) fn of(&self, value: &[u8], seq: u64) -> Vec<u8> {
        let mut tag = Vec::new();
        for piece in &self.0 {
            match piece {
                TemplatePart::Text(text) => tag.extend_from_slice(text),
                TemplatePart::Replacement(Replacement::Value(part)) => {
                    tag.extend_from_slice(&part.of(value, b""));
                }
                TemplatePart::Replacement(_) => push_number(&mut tag, seq),
            }
        }
        tag.push(b'\t');
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_it_says_and_a_tab() {
        let tag = |typed: &str| {
            let template = TagTemplate::parse(typed.as_bytes(), &Strings::of(2))?;
            Ok(String::from_utf8(template.of(b"d/a.b\0c d", 7)).expect("text"))
        };
        for (typed, expected) in
            [("{}", "d/a.b c d\t"), ("{#}:{1/.}", "7:a\t"), ("", "\t"), ("x {2}", "x c d\t")]
        {
            assert_eq!(tag(typed).as_deref(), Ok(expected), "{typed}");
        }
        assert_eq!(tag("{%}"), Err(OfAttempt));
    }
}
