//! Commands as GNU parallel reads them: the words with blanks between them, each value quoted in
//! its place, and all of it run by a shell.
//!
//! What quotes around a value mean for the quoted value is the user's concern, as it is there.

use super::parsing::parse_word;
use super::rendering::push_number;
use super::replacement::{Replacement, Selection};
use super::shell::Shell;
use super::{Facts, Reading, Rendered, SlotMark, TemplatePart, Word, script};

/// A command line with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(super) struct Pasted {
    shell: Shell,
    pub(super) line: Word,
}

impl Pasted {
    /// Takes the words of COMMAND. The values are appended if there is no replacement string.
    pub(super) fn parse(words: &[Vec<u8>], reading: &Reading) -> Pasted {
        let mut line = parse_word(&words.join(&b' '), &reading.strings);
        if line.iter().all(|piece| matches!(piece, TemplatePart::Text(_))) {
            line.push(TemplatePart::Text(b" ".to_vec()));
            line.push(TemplatePart::Replacement(Replacement::Value(Selection::WHOLE)));
        }
        Pasted { shell: reading.shell.clone(), line }
    }

    /// The program that runs it.
    pub(super) fn program(&self) -> &[u8] {
        self.shell.program()
    }

    /// The command for one value.
    pub(super) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        let mut slots = Vec::new();
        let text = self.text(value, facts, |text| slots.push(text.len()));
        let argv = script::literal_argv(&self.shell, &text);
        let last = argv.len() - 1;
        let slot_marks = slots.into_iter().map(|at| SlotMark::new(last, at)).collect();
        Rendered { argv, env: Vec::new(), slot_marks }
    }

    /// The same for slot 1, to be pasted into a shell.
    pub(super) fn display(&self, value: &[u8], facts: Facts<'_>) -> Vec<u8> {
        self.text(value, facts, |text| text.push(b'1'))
    }

    fn text(
        &self,
        value: &[u8],
        facts: Facts<'_>,
        mut push_slot: impl FnMut(&mut Vec<u8>),
    ) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.line {
            match piece {
                TemplatePart::Text(bytes) => text.extend_from_slice(bytes),
                TemplatePart::Replacement(Replacement::Value(part)) if part.is_missing(value) => {}
                TemplatePart::Replacement(Replacement::Value(part)) => {
                    for (nth, argument) in part.each(value, facts.out).enumerate() {
                        text.extend((nth > 0).then_some(b' '));
                        push_quoted(&mut text, argument);
                    }
                }
                TemplatePart::Replacement(Replacement::Seq) => push_number(&mut text, facts.seq),
                TemplatePart::Replacement(Replacement::Threads) => {
                    push_number(&mut text, facts.threads.into());
                }
                TemplatePart::Replacement(Replacement::Slot) => push_slot(&mut text),
            }
        }
        text
    }
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
