//! Replacement strings of GNU parallel that msup does not have: they are refused, not taken
//! literally.
//!
//! Braces have many other meanings, so only spellings that have hardly any other are refused: not
//! `${1}`, a regular expression's `[0-9]{4}`, `{1..3}`, `{a,b}` or `{print}`, nor what GNU parallel
//! itself knows with --plus alone and looks like a format (`{%s}`, `{:5}`, `{host}`).

use super::replacement::replacement_at;

/// Those that are spelled in one way, without their braces.
const SYMBOLS: [&[u8]; 11] =
    [b"..", b"...", b"//.", b"+/", b"+.", b"+..", b"+...", b"/..", b"/...", b"##", b"=="];

/// What may follow the number of a positional one.
const SUFFIXES: [&[u8]; 5] = [b"", b".", b"/", b"//", b"/."];

/// The first of them in the words.
///
/// # Errors
/// One line that says what to do instead.
pub(crate) fn refuse_foreign(words: &[Vec<u8>]) -> Result<(), String> {
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
        if let Some((shown, instead)) = foreign_at(rest, &text[..at]).filter(|_| !parameter) {
            return Err(format!(
                "{shown} is not supported: {instead} (--literal takes such braces literally)"
            ));
        }
        at += 1;
    }
    Ok(())
}

/// The one that `text` begins with, as shown in messages, and what to do instead.
fn foreign_at<'a>(text: &'a [u8], before: &[u8]) -> Option<(String, &'static str)> {
    let inner = text.strip_prefix(b"{")?;
    if inner.first() == Some(&b'=') && inner.windows(2).any(|pair| pair == b"=}") {
        return Some((
            "{= =}".into(),
            "let the command or a shell compute it, such as 'x={}; echo \"${x%.gz}\"'",
        ));
    }
    let inner: &'a [u8] = &inner[..inner.iter().position(|byte| *byte == b'}')?];
    let shown = format!("{{{}}}", inner.escape_ascii());
    if let Some(number) = position(inner, before) {
        let instead = match number {
            First => "there is one list of values, and {1} is {}",
            Other => {
                "there is one list of values, {}; a line can be split in the command, such as 'echo {} | { read -r \
                      a b; cp \"$a\" \"$b\"; }'"
            }
        };
        return Some((shown, instead));
    }
    let padded = inner.strip_suffix(b"#").or(inner.strip_suffix(b"%"));
    if padded.is_some_and(|zeros| !zeros.is_empty() && zeros.iter().all(|byte| *byte == b'0')) {
        return Some((shown, "{#} and {%} are not padded; in a script, printf %03d {#} is"));
    }
    let instead = match inner {
        b"##" => "how many tasks there are is not known when they start",
        _ => {
            "msup has {} {.} {/} {//} {/.}; in a script, the shell does the rest, such as 'x={}; echo \"${x%.*.*}\"'"
        }
    };
    SYMBOLS.contains(&inner).then_some((shown, instead))
}

enum Position {
    First,
    Other,
}
use Position::{First, Other};

/// Which list's value `{inner}` stands for, if it is positional. Behind what a regular expression
/// may repeat, a number says how often: the first list has letters and dots before it, too
/// (`out.{1}`), others do not exist here.
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
