//! Command lines: which of them need a shell, their words, and words quoted for a shell.

use super::strings::{INERT, Strings};

/// Keywords, and builtins that have no program of their own (or not everywhere).
const SHELL_WORDS: [&str; 56] = [
    "!", ".", ":", "alias", "bg", "break", "builtin", "case", "cd", "chdir", "command", "continue",
    "coproc", "declare", "do", "done", "elif", "else", "esac", "eval", "exec", "exit", "export",
    "fc", "fg", "fi", "for", "function", "getopts", "hash", "if", "in", "jobs", "let", "local",
    "read", "readonly", "return", "select", "set", "shift", "shopt", "source", "then", "time",
    "times", "trap", "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait",
    "while",
];

/// Whether a line could mean anything else to a shell than its words at blanks. Replacement strings
/// in it are masked, or have no meaning.
///
/// `]`, `%` and `^` mean nothing to a shell by themselves, and neither does `!` unless it is the
/// first word; braces do to shells with brace expansion.
pub(super) fn needs_shell(line: &[u8]) -> bool {
    let mut previous = b' ';
    for &byte in line {
        let special = match byte {
            b'\n' | b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')' | b'$' | b'`' => true,
            b'\\' | b'"' | b'\'' | b'*' | b'?' | b'[' | b'{' | b'}' => true,
            b'#' => is_blank(previous),
            // A home directory also begins after these in an assignment. Shells disagree on
            // arguments that look like an assignment.
            b'~' => is_blank(previous) || matches!(previous, b':' | b'='),
            _ => false,
        };
        if special {
            return true;
        }
        previous = byte;
    }
    words(line).next().is_some_and(|first| is_shell_word(first) || is_assignment(first))
}

/// Returns the words of a line that needs no shell.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.split(|&byte| is_blank(byte)).filter(|word| !word.is_empty())
}

/// Tells whether `byte` separates words on a line.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Tells whether `byte` can be part of a shell variable's name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Takes a first word, tells whether it is `NAME=...` (or bash's `NAME+=...`).
pub(super) fn is_assignment(word: &[u8]) -> bool {
    let Some(equals) = word.iter().position(|&byte| byte == b'=') else { return false };
    let name = word[..equals].strip_suffix(b"+").unwrap_or(&word[..equals]);
    name.first().is_some_and(|first| !first.is_ascii_digit())
        && name.iter().all(|&byte| is_name_byte(byte))
}

fn is_shell_word(word: &[u8]) -> bool {
    SHELL_WORDS.iter().any(|known| known.as_bytes() == word)
}

/// Returns the words as one command line for a shell.
pub(crate) fn quoted_words(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        let command = index == 0;
        // zsh reads `=ls` as the path of that program.
        let is_plain = is_plain(word) && !word.starts_with(b"=");
        if is_plain && !(command && (is_shell_word(word) || is_assignment(word))) {
            line.extend_from_slice(word);
        } else {
            push_quoted(&mut line, word);
        }
    }
    line
}

/// The words of COMMAND as they could have been typed: quoted where a shell needs that, but not
/// because of a replacement string.
pub(crate) fn typed_words(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        let rest: Vec<u8> =
            Strings::USUAL.masked(word).into_iter().filter(|byte| *byte != INERT).collect();
        let only_replaced = rest.is_empty() && !word.is_empty();
        if only_replaced || is_plain(&rest) {
            line.extend_from_slice(word);
        } else {
            push_quoted(&mut line, word);
        }
    }
    line
}

/// Appends `bytes` as one single-quoted word.
pub(super) fn push_quoted(line: &mut Vec<u8>, bytes: &[u8]) {
    line.push(b'\'');
    push_inside_quotes(line, bytes);
    line.push(b'\'');
}

/// Appends `bytes` where single quotes are open already.
pub(super) fn push_inside_quotes(line: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            _ => line.push(byte),
        }
    }
}

fn is_plain(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-+./:,@%=".contains(byte))
}
