//! Replacement strings of GNU parallel that msup does not have: they are refused, not taken
//! literally.
//!
//! Braces have many other meanings, so only spellings that have hardly any other are refused.
//! Accepted are `${1}`, a regular expression's `[0-9]{4}`, `{1..3}`, `{a,b}` and `{print}`, and
//! strings that GNU parallel has only with --plus and that look like a format (`{%s}`, `{:5}`,
//! `{host}`).

use super::error::Foreign;
use super::replacement::replacement_at;

/// The strings without a number, without their braces.
const SYMBOLS: [&[u8]; 11] =
    [b"..", b"...", b"//.", b"+/", b"+.", b"+..", b"+...", b"/..", b"/...", b"##", b"=="];

/// What may follow the number of a positional replacement string.
const SUFFIXES: [&[u8]; 5] = [b"", b".", b"/", b"//", b"/."];

/// Makes sure that the words hold none of them.
///
/// # Errors
/// The first of them, and what to do instead.
pub(crate) fn refuse_foreign(words: &[Vec<u8>]) -> Result<(), Foreign> {
    let text = words.join(&b' ');
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some((_, len)) = replacement_at(rest) {
            at += len;
            continue;
        }
        // Parameters of a shell.
        let parameter = at > 0 && text[at - 1] == b'$';
        if let Some(foreign) = foreign_at(rest, &text[..at]).filter(|_| !parameter) {
            return Err(foreign);
        }
        at += 1;
    }
    Ok(())
}

/// Where a value would have to be computed.
const COMPUTED: &str = "let the command or a shell compute it, such as 'x={}; echo \"${x%.gz}\"'";

/// Of the first list of values, and of any other one.
const FIRST_LIST: &str = "there is one list of values, and {1} is {}";
const OTHER_LIST: &str = "there is one list of values, {}; a line can be split in the command, \
                          such as 'echo {} | { read -r a b; cp \"$a\" \"$b\"; }'";

const PADDED: &str = "{#} and {%} are not padded; in a script, printf %03d {#} is";
const TOTAL: &str = "how many tasks there are is not known when they start";
const OTHER_FORM: &str = "msup has {} {.} {/} {//} {/.}; in a script, the shell does the rest, \
                          such as 'x={}; echo \"${x%.*.*}\"'";

/// The one that `text` begins with.
fn foreign_at(text: &[u8], before: &[u8]) -> Option<Foreign> {
    let inner = text.strip_prefix(b"{")?;
    if inner.first() == Some(&b'=') && inner.windows(2).any(|pair| pair == b"=}") {
        return Some(Foreign { shown: "{= =}".into(), instead: COMPUTED });
    }
    let inner = &inner[..inner.iter().position(|byte| *byte == b'}')?];
    let padded = inner.strip_suffix(b"#").or(inner.strip_suffix(b"%"));
    let is_padded = |zeros: &[u8]| !zeros.is_empty() && zeros.iter().all(|byte| *byte == b'0');
    let instead = match position(inner, before) {
        Some(First) => FIRST_LIST,
        Some(Other) => OTHER_LIST,
        None if padded.is_some_and(is_padded) => PADDED,
        None if inner == b"##" => TOTAL,
        None if SYMBOLS.contains(&inner) => OTHER_FORM,
        None => return None,
    };
    Some(Foreign { shown: format!("{{{}}}", inner.escape_ascii()), instead })
}

enum Position {
    First,
    Other,
}
use Position::{First, Other};

/// Which list's value `{inner}` stands for, if it is positional. In a regular expression a
/// plain number says how often the character before it repeats: after `]` and `)` any number is
/// taken for that, after letters and dots any number but 1 (`out.{1}` is the first list).
fn position(inner: &[u8], before: &[u8]) -> Option<Position> {
    let unsigned = inner.strip_prefix(b"-").unwrap_or(inner);
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, suffix) = unsigned.split_at(digits);
    if number.is_empty() || number[0] == b'0' || !SUFFIXES.contains(&suffix) {
        return None;
    }
    let plain = suffix.is_empty() && unsigned.len() == inner.len();
    let repeats = match before.last() {
        Some(b']' | b')') => true,
        Some(last) => number != b"1" && (last.is_ascii_alphanumeric() || *last == b'.'),
        None => false,
    };
    match (plain && repeats, number) {
        (true, _) => None,
        (false, b"1") => Some(First),
        (false, _) => Some(Other),
    }
}
