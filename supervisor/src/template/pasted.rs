//! Commands as GNU parallel reads them: the words with blanks between them, each value quoted in
//! its place, and all of it run by a shell.
//!
//! What quotes around a value mean for the quoted value is the user's concern, as it is there.

use std::borrow::Cow;

use super::parsing::parse_word;
use super::rendering::varies;
use super::replacement::{Form, Replacement, Selection, Which};
use super::shell::Shell;
use super::{Facts, Feeding, Reading, Rendered, SlotMark, TemplatePart, Word, script};
use crate::arguments;

/// What GNU parallel calls this machine, for `{host}` and `{sshlogin}`.
const HOST: [(&[u8], &[u8]); 2] = [(b"PARALLEL_SSHHOST", b":"), (b"PARALLEL_SSHLOGIN", b":")];

/// A command line with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(super) struct Pasted {
    shell: Shell,
    pub(super) line: Word,
    /// The same, and for each part whether it is repeated for each argument.
    pub(super) groups: Vec<(Word, bool)>,
    /// Values are quoted: not where the command itself is one, since then a shell is to read it.
    quotes: bool,
    /// Values are no part of it.
    hides: bool,
}

impl Pasted {
    /// Takes the words of COMMAND. The values are appended if there is no replacement string
    /// and commands get values.
    pub(super) fn parse(words: &[Vec<u8>], reading: &Reading) -> Pasted {
        let mut line = parse_word(&words.join(&b' '), &reading.strings);
        let is_text = |piece: &TemplatePart| matches!(piece, TemplatePart::Text(_));
        let appends = reading.appends() && line.iter().all(is_text);
        if appends || (reading.feeding == Feeding::Nothing && line.iter().all(is_text)) {
            line.push(TemplatePart::Text(b" ".to_vec()));
        }
        if appends {
            line.push(TemplatePart::Replacement(Replacement::Value(Selection::WHOLE)));
        }
        let groups = vec![(line.clone(), false)];
        let quotes = !begins_with_value(&line);
        let hides = reading.feeding.hides_values();
        Pasted { shell: reading.shell.clone(), line, groups, quotes, hides }
    }

    /// Repeats what stands around each replacement string, up to the next blanks.
    ///
    /// # Errors
    /// An operator would be repeated, and a value behind it would be the name of a command.
    pub(super) fn repeat(&mut self) -> Result<(), u8> {
        let mut groups = vec![(Word::new(), false)];
        for piece in &self.line {
            let TemplatePart::Text(text) = piece else {
                push(&mut groups, piece.clone());
                continue;
            };
            for part in text.chunk_by(|a, b| a.is_ascii_whitespace() == b.is_ascii_whitespace()) {
                let is_blank = part[0].is_ascii_whitespace();
                if is_blank {
                    groups.push((Word::new(), false));
                }
                push(&mut groups, TemplatePart::Text(part.to_vec()));
                if is_blank {
                    groups.push((Word::new(), false));
                }
            }
        }
        for (pieces, repeats) in &mut groups {
            *repeats = varies(pieces);
        }
        let operator = if self.quotes { repeated_operator(&groups) } else { None };
        self.groups = groups;
        operator.map_or(Ok(()), Err)
    }

    /// The program that runs it.
    pub(super) fn program(&self) -> &[u8] {
        self.shell.program()
    }

    /// The command for one value.
    pub(super) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        let mut slots = Vec::new();
        let text = self.text(value, facts, |text, digits| slots.push((text.len(), digits)));
        let argv = script::literal_argv(&self.shell, &text);
        let last = argv.len() - 1;
        let marks = slots.into_iter().map(|(at, digits)| SlotMark::new(last, at, digits));
        let is_variable = |piece: &TemplatePart| {
            matches!(piece, TemplatePart::Replacement(Replacement::Variable(_)))
        };
        let hosts = if self.line.iter().any(is_variable) { &HOST[..] } else { &[] };
        let env = hosts.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Rendered { argv, env, slot_marks: marks.collect() }
    }

    /// The same for slot 1, to be pasted into a shell.
    pub(super) fn display(&self, value: &[u8], facts: Facts<'_>) -> Vec<u8> {
        self.text(value, facts, |text, digits| {
            text.extend(format!("{:0digits$}", 1, digits = digits.into()).bytes());
        })
    }

    fn text(
        &self,
        value: &[u8],
        facts: Facts<'_>,
        mut push_slot: impl FnMut(&mut Vec<u8>, u8),
    ) -> Vec<u8> {
        let mut text = Vec::new();
        for (pieces, repeats) in &self.groups {
            if !repeats {
                self.push_pieces(&mut text, pieces, [value, value], facts, &mut push_slot);
                continue;
            }
            for (nth, argument) in arguments::split(value).enumerate() {
                text.extend((nth > 0).then_some(b' '));
                self.push_pieces(&mut text, pieces, [value, argument], facts, &mut push_slot);
            }
        }
        text
    }

    /// `argument`: what stands for all arguments of the value.
    fn push_pieces(
        &self,
        text: &mut Vec<u8>,
        pieces: &[TemplatePart],
        [value, argument]: [&[u8]; 2],
        facts: Facts<'_>,
        push_slot: &mut impl FnMut(&mut Vec<u8>, u8),
    ) {
        for piece in pieces {
            match piece {
                TemplatePart::Text(bytes) => text.extend_from_slice(bytes),
                TemplatePart::Replacement(Replacement::Value(part)) => {
                    let part = &wrapped(part, value);
                    if part.is_missing(value) || (self.hides && part.form != Form::Out) {
                        continue;
                    }
                    let of = if part.which == Which::All { argument } else { value };
                    for (nth, argument) in part.each(of, facts.out).enumerate() {
                        text.extend((nth > 0).then_some(b' '));
                        match self.quotes {
                            true => push_quoted(text, &argument),
                            false => text.extend_from_slice(&argument),
                        }
                    }
                }
                TemplatePart::Replacement(Replacement::Number(number)) => number.push(text, facts),
                TemplatePart::Replacement(Replacement::Slot) => push_slot(text, 1),
                TemplatePart::Replacement(Replacement::PaddedSlot) => {
                    push_slot(text, facts.totals.slot_digits());
                }
                TemplatePart::Replacement(Replacement::Variable(name)) => {
                    text.extend_from_slice(name.as_bytes());
                }
            }
        }
    }

    /// The length of an argument with its quotes.
    pub(super) fn quoted_len(argument: &[u8]) -> usize {
        let mut quoted = Vec::with_capacity(argument.len());
        push_quoted(&mut quoted, argument);
        quoted.len()
    }
}

/// As in GNU parallel, a number that counts from the end and goes beyond the first argument goes on
/// from the last one.
fn wrapped<'a>(part: &'a Selection, value: &[u8]) -> Cow<'a, Selection> {
    let Which::Nth(number @ ..=-1) = part.which else { return Cow::Borrowed(part) };
    let all = arguments::split(value).count() as i64;
    let at = all + i64::from(number);
    match i32::try_from(all + at) {
        Ok(at_wrapped @ 0..) if at < 0 => {
            Cow::Owned(Selection { which: Which::Nth(at_wrapped + 1), form: part.form.clone() })
        }
        _ => Cow::Borrowed(part),
    }
}

/// The first operator of a shell, outside of quotes, that is repeated.
fn repeated_operator(groups: &[(Word, bool)]) -> Option<u8> {
    let (mut quote, mut is_escaped) = (None, false);
    for (pieces, repeats) in groups {
        for piece in pieces {
            let TemplatePart::Text(text) = piece else { continue };
            for &byte in text {
                if std::mem::take(&mut is_escaped) {
                    continue;
                }
                match (quote, byte) {
                    (None | Some(b'"'), b'\\') => is_escaped = true,
                    (None, b'\'' | b'"') => quote = Some(byte),
                    (Some(open), _) if open == byte => quote = None,
                    (None, b';' | b'|' | b'&' | b'(' | b')' | b'`') if *repeats => {
                        return Some(byte);
                    }
                    _ => {}
                }
            }
        }
    }
    None
}

/// Adds a piece to the last group.
fn push(groups: &mut [(Word, bool)], piece: TemplatePart) {
    if let Some((pieces, _)) = groups.last_mut() {
        pieces.push(piece);
    }
}

/// Whether a replacement string stands in the first word, and not behind a `=`.
fn begins_with_value(line: &Word) -> bool {
    let is_part = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'=');
    match line.as_slice() {
        [TemplatePart::Replacement(_), ..] => true,
        [TemplatePart::Text(text), TemplatePart::Replacement(_), ..] => text.iter().all(is_part),
        _ => false,
    }
}

/// A line quoted as GNU parallel does it.
pub(crate) fn gnu_quoted(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    push_quoted(&mut text, line);
    text
}

/// Appends an argument quoted just as GNU parallel does it, so that logs and dry runs are the same.
fn push_quoted(text: &mut Vec<u8>, argument: &[u8]) {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+/".contains(byte);
    if argument.is_empty() {
        text.extend_from_slice(b"''");
    } else if argument.iter().all(is_plain) {
        text.extend_from_slice(argument);
    } else {
        let mut quoted = vec![b'\''];
        for byte in argument {
            match byte {
                b'\'' => quoted.extend_from_slice(br#"'"'"'"#),
                byte => quoted.push(*byte),
            }
        }
        quoted.push(b'\'');
        // Without the empty pair at either end.
        let quoted = quoted.strip_prefix(b"''").unwrap_or(&quoted);
        text.extend_from_slice(quoted.strip_suffix(b"''").unwrap_or(quoted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_as_by_gnu_parallel() {
        // What `parallel --shellquote` of version 20221122 prints.
        for (argument, quoted) in [
            ("", "''"),
            ("a-b_c.d+e/f", "a-b_c.d+e/f"),
            ("a b", "'a b'"),
            ("it's", r#"'it'"'"'s'"#),
            ("'", r#""'""#),
            ("a=b", "'a=b'"),
            ("\u{e4}", "'\u{e4}'"),
            ("x'", r#"'x'"'""#),
        ] {
            let mut text = Vec::new();
            push_quoted(&mut text, argument.as_bytes());
            assert_eq!(String::from_utf8_lossy(&text), quoted, "{argument}");
        }
    }
}
