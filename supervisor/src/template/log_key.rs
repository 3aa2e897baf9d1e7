//! The key of a command in logs of other runs. Quotes make no difference to it.

use super::replacement::{self, Replacement};
use super::{TemplatePart, Word};

/// A template without its quotes, from which keys are made. Numbers that differ between runs do not
/// count.
#[derive(Debug, Clone)]
pub(crate) struct Outline(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(Vec<u8>),
    Value(replacement::Selection),
    /// `{#}`, `{%}` or `{threads}`.
    Number,
}

/// Stands for a number in a key. No command holds it.
const NUMBER: u8 = 0;

impl Outline {
    pub(super) fn new(words: &[Word]) -> Outline {
        let mut parts = Vec::new();
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                parts.push(Part::Text(b" ".to_vec()));
            }
            parts.extend(word.iter().map(|piece| match piece {
                TemplatePart::Text(text) => Part::Text(unquoted(text)),
                TemplatePart::Replacement(Replacement::Value(part)) => Part::Value(part.clone()),
                TemplatePart::Replacement(_) => Part::Number,
            }));
        }
        Outline(parts)
    }

    /// The key of the command with this value, which makes this file.
    pub(crate) fn key(&self, value: &[u8], out: &[u8]) -> Vec<u8> {
        let mut key = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => key.extend_from_slice(text),
                Part::Value(part) => key.extend(unquoted(&part.of(value, out))),
                Part::Number => key.push(NUMBER),
            }
        }
        key
    }

    /// The same for a command in a log; `None` if it is not one of this template.
    pub(crate) fn key_of(&self, command: &[u8]) -> Option<Vec<u8>> {
        let command = unquoted(command);
        if !self.0.iter().any(|part| matches!(part, Part::Number)) {
            return Some(command);
        }
        let mut key = Vec::new();
        fits(&self.0, &command, &mut key).then_some(key)
    }
}

/// The key of the text, if the parts make it up. A value is as short as it can be.
fn fits(parts: &[Part], text: &[u8], key: &mut Vec<u8>) -> bool {
    let Some((part, others)) = parts.split_first() else { return text.is_empty() };
    let length = key.len();
    let lengths = match part {
        Part::Text(known) if text.starts_with(known) => known.len()..=known.len(),
        Part::Text(_) => return false,
        Part::Value(_) => 0..=text.len(),
        Part::Number => 1..=text.iter().take_while(|byte| byte.is_ascii_digit()).count(),
    };
    for len in lengths {
        match part {
            Part::Number => key.push(NUMBER),
            _ => key.extend_from_slice(&text[..len]),
        }
        if fits(others, &text[len..], key) {
            return true;
        }
        key.truncate(length);
    }
    false
}

/// The text without characters that programs quote in different ways. GNU parallel writes a line
/// break as a NUL byte.
pub(crate) fn unquoted(text: &[u8]) -> Vec<u8> {
    let plain = text.iter().filter(|byte| !b"'\"\\".contains(byte));
    plain.map(|byte| if *byte == 0 { b'\n' } else { *byte }).collect()
}
