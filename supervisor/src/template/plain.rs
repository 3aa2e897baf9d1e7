//! Commands as xargs runs them: executed as they are, with the arguments of a value behind them, or
//! with one argument in the places of a string.
//!
//! In such a value a NUL byte ends each argument, so that there may be none.

use super::parsing::literal_word;
use super::replacement::{Replacement, Selection};
use super::{Feeding, Kind, Rendered, Template, TemplatePart, Word};
use crate::arguments::{self, Length};

/// A command.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    words: Vec<Vec<u8>>,
    /// The string that an argument replaces, if one does. An empty one stands nowhere.
    replaced: Option<Vec<u8>>,
    /// The variable that holds the slot number; empty if none does.
    pub(super) slot_variable: Vec<u8>,
}

impl Template {
    /// Takes the words of a command as xargs does. `replaced`: the string of its `-I`;
    /// `slot_variable`: the variable of its `--process-slot-var`, or nothing.
    pub(crate) fn plain(
        words: Vec<Vec<u8>>,
        replaced: Option<Vec<u8>>,
        slot_variable: Vec<u8>,
    ) -> Template {
        let mut outline: Vec<Word> = words.iter().map(|word| literal_word(word)).collect();
        outline.push(vec![TemplatePart::Replacement(Replacement::Value(Selection::WHOLE))]);
        let outline = super::Outline::new(&outline);
        let plain = Plain { words, replaced, slot_variable };
        Template { kind: Kind::Plain(plain), outline, feeding: Feeding::Values, repeats: false }
    }
}

impl Plain {
    /// The program that runs.
    pub(super) fn program(&self) -> &[u8] {
        self.words.first().map_or(b"", Vec::as_slice)
    }

    /// The command for one value.
    pub(super) fn render(&self, value: &[u8]) -> Rendered {
        let mut argv = Vec::with_capacity(self.words.len());
        match &self.replaced {
            None => {
                argv.extend(self.words.iter().cloned());
                argv.extend(arguments::split_ended(value).map(<[u8]>::to_vec));
            }
            Some(string) => {
                let argument = arguments::split_ended(value).next().unwrap_or_default();
                // The program is never replaced.
                argv.push(self.program().to_vec());
                let words = self.words.iter().skip(1);
                argv.extend(words.map(|word| replace(word, string, argument)));
            }
        }
        Rendered::without_replacements(argv)
    }

    /// What it takes without arguments, and without the strings that they replace.
    pub(super) fn length(&self) -> Length {
        let fixed = |(at, word): (usize, &Vec<u8>)| word.len() - self.replaced_in(at, word);
        let words = self.words.iter().enumerate().map(|word| Length::of(fixed(word)));
        words.fold(Length::default(), Length::and)
    }

    /// What an argument adds.
    pub(super) fn length_of(&self, argument: &[u8]) -> Length {
        let Some(string) = &self.replaced else { return Length::of(argument.len()) };
        let mut added = Length::default();
        for (at, word) in self.words.iter().enumerate() {
            let taken = self.replaced_in(at, word);
            let grown = taken / string.len().max(1) * argument.len();
            added.chars += grown;
            added.total += grown;
            added.longest = added.longest.max(word.len() - taken + grown);
        }
        added
    }

    /// The number of bytes in this word that an argument replaces.
    fn replaced_in(&self, at: usize, word: &[u8]) -> usize {
        match &self.replaced {
            // The program is never replaced.
            Some(string) if at > 0 && !string.is_empty() => {
                word.len() - replace(word, string, b"").len()
            }
            _ => 0,
        }
    }

    /// A line that shows the command as xargs shows it.
    pub(super) fn display(&self, value: &[u8]) -> Vec<u8> {
        let argv = self.render(value).argv;
        argv.iter().map(|word| shown(word)).collect::<Vec<_>>().join(&b' ')
    }
}

/// The word with all places of this string replaced, from the left.
fn replace(word: &[u8], string: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(word.len() + by.len());
    let mut at = 0;
    while at < word.len() {
        if !string.is_empty() && word[at..].starts_with(string) {
            replaced.extend_from_slice(by);
            at += string.len();
        } else {
            replaced.push(word[at]);
            at += 1;
        }
    }
    replaced
}

/// A word as the GNU tools quote it for a shell.
fn shown(word: &[u8]) -> Vec<u8> {
    let escaped = escapes(word);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:@]_".contains(byte);
    let is_special = |at: usize, byte: u8| match byte {
        b'#' | b'~' => at == 0,
        b'{' | b'}' => word.len() == 1,
        byte => !is_plain(&byte) && byte.is_ascii(),
    };
    let any_special = || word.iter().enumerate().any(|(at, byte)| is_special(at, *byte));
    if !word.is_empty() && !escaped.contains(&true) && !any_special() {
        return word.to_vec();
    }
    let fits_double = |(at, byte): (usize, &u8)| {
        is_plain(byte) || matches!(byte, b' ' | b'\'') || !byte.is_ascii() || {
            at == 0 && matches!(byte, b'#' | b'~')
        }
    };
    let is_apostrophe = |byte: &u8| *byte == b'\'';
    if word.iter().any(is_apostrophe)
        && !escaped.contains(&true)
        && word.iter().enumerate().all(fits_double)
    {
        return [b"\"", word, b"\""].concat();
    }
    in_single_quotes(word, &escaped)
}

fn in_single_quotes(word: &[u8], escaped: &[bool]) -> Vec<u8> {
    let (mut quoted, mut is_escaping) = (vec![b'\''], false);
    for (byte, is_escaped) in word.iter().zip(escaped) {
        if *is_escaped {
            if !is_escaping {
                quoted.extend_from_slice(b"'$'");
            }
            match byte {
                0x07 => quoted.extend_from_slice(b"\\a"),
                0x08 => quoted.extend_from_slice(b"\\b"),
                b'\t' => quoted.extend_from_slice(b"\\t"),
                b'\n' => quoted.extend_from_slice(b"\\n"),
                0x0b => quoted.extend_from_slice(b"\\v"),
                0x0c => quoted.extend_from_slice(b"\\f"),
                b'\r' => quoted.extend_from_slice(b"\\r"),
                other => quoted.extend_from_slice(format!("\\{other:03o}").as_bytes()),
            }
        } else {
            match byte {
                b'\'' if is_escaping => quoted.extend_from_slice(b"'\\''"),
                b'\'' => quoted.extend_from_slice(b"'\\''"),
                byte if is_escaping => quoted.extend_from_slice(&[b'\'', b'\'', *byte]),
                byte => quoted.push(*byte),
            }
        }
        is_escaping = *is_escaped;
    }
    quoted.push(b'\'');
    quoted
}

/// For each byte whether it cannot be shown: a control character, or no part of a character.
fn escapes(word: &[u8]) -> Vec<bool> {
    let mut escaped = Vec::with_capacity(word.len());
    let is_utf_8 = speaks_utf_8();
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            let hidden = character.is_control() || (!is_utf_8 && !character.is_ascii());
            escaped.extend(std::iter::repeat_n(hidden, character.len_utf8()));
        }
        escaped.extend(chunk.invalid().iter().map(|_| true));
    }
    escaped
}

/// Whether the environment asks for characters in UTF-8.
fn speaks_utf_8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    locale.is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str], replaced: Option<&str>, value: &[u8]) -> Vec<String> {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let replaced = replaced.map(|string| string.as_bytes().to_vec());
        let template = Template::plain(words, replaced, Vec::new());
        let rendered = template.render(value, super::super::Facts::default());
        rendered.argv.into_iter().map(|word| String::from_utf8(word).expect("text")).collect()
    }

    #[test]
    fn arguments_stand_behind_or_in_the_place_of_a_string() {
        assert_eq!(argv(&["a", "{}"], None, b""), ["a", "{}"]);
        assert_eq!(argv(&["a", "{}"], None, b"x y\0\0"), ["a", "{}", "x y", ""]);
        assert_eq!(argv(&["%", "<%%>", "b"], Some("%"), b"x\0"), ["%", "<xx>", "b"]);
        assert_eq!(argv(&["a", "b"], Some(""), b"x\0"), ["a", "b"]);
    }

    #[test]
    fn words_are_quoted_as_by_the_gnu_tools() {
        // What `xargs -0 -t` of findutils 4.9 prints.
        for (word, quoted) in [
            ("it's", "\"it's\""),
            ("a\"b'c", "'a\"b'\\''c'"),
            ("$x", "'$x'"),
            ("~", "'~'"),
            ("a#", "a#"),
            ("a#'", "'a#'\\'''"),
            ("#'", "\"#'\""),
            ("{", "'{'"),
            ("{a}", "{a}"),
            ("{'", "'{'\\'''"),
            ("", "''"),
            ("a=b", "'a=b'"),
            ("a\nb", "'a'$'\\n''b'"),
            ("\u{1}", "''$'\\001'"),
            ("it's\nx", "'it'\\''s'$'\\n''x'"),
            ("' \\", "''\\'' \\'"),
            ("a]@%+:,", "a]@%+:,"),
        ] {
            assert_eq!(String::from_utf8_lossy(&shown(word.as_bytes())), quoted, "{word:?}");
        }
    }

    #[test]
    fn what_arguments_take_is_what_the_command_takes() {
        let taken = |plain: &Plain, value: &[u8]| {
            let added = arguments::split_ended(value).map(|argument| plain.length_of(argument));
            added.fold(plain.length(), Length::and).chars
        };
        let percent = || Some(b"%".to_vec());
        for (replaced, value) in
            [(None, &b"x\0yy\0"[..]), (percent(), b"value\0"), (percent(), b"\0")]
        {
            let words = [&b"a"[..], b"<%%>", b"c"].map(<[u8]>::to_vec).to_vec();
            let plain = Plain { words, replaced, slot_variable: Vec::new() };
            let argv = plain.render(value).argv;
            let chars: usize = argv.iter().map(|word| word.len() + 1).sum();
            assert_eq!(taken(&plain, value), chars);
        }
    }
}
