//! Replacement strings of GNU parallel that msup does not have: they are refused, not taken
//! literally.
//!
//! Braces have many other meanings, so only spellings that have hardly any other are refused.
//! Accepted are `${1}`, a regular expression's `[0-9]{4}`, `{1..3}`, `{a,b}` and `{print}`, and
//! strings that GNU parallel has only with --plus and that look like a format (`{%s}`, `{:5}`,
//! `{host}`).

use super::error::Foreign;
use super::replacement::{Replacement, Selection, Which};
use super::strings::Strings;

/// The strings without their braces.
const SYMBOLS: [&[u8]; 2] = [b"//.", b"=="];

/// Makes sure that the words hold none of them, and none with a number that is not one of an
/// argument, and that those of `--plus` and `--rpl` can be used.
///
/// # Errors
/// The first of them, and what to do instead.
pub(crate) fn refuse_foreign(words: &[Vec<u8>], strings: &Strings) -> Result<(), Foreign> {
    let text = words.join(&b' ');
    if let Err((shown, why)) = strings.check(&text) {
        return Err(Foreign::Bad { shown: shown.escape_ascii().to_string(), why });
    }
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some((replacement, len)) = strings.at(&text, at) {
            if is_missing(&replacement, strings) {
                let shown = rest[..len].escape_ascii().to_string();
                return Err(Foreign::Missing { shown, instead: no_such_list(strings) });
            }
            at += len;
            continue;
        }
        // Parameters of a shell.
        let parameter = at > 0 && text[at - 1] == b'$';
        if let Some(foreign) = foreign_at(rest, strings).filter(|_| !parameter) {
            return Err(foreign);
        }
        at += 1;
    }
    Ok(())
}

/// Whether it is that of an argument that no value has. GNU parallel takes these for empty.
fn is_missing(replacement: &Replacement, strings: &Strings) -> bool {
    match (replacement, strings.numbered) {
        (Replacement::Value(Selection { which: Which::Nth(number), .. }), Some(arguments))
            if !strings.gnu =>
        {
            number.unsigned_abs() as usize > arguments
        }
        _ => false,
    }
}

/// Where a value would have to be computed.
const COMPUTED: &str = "let the command or a shell compute it, such as 'x={}; echo \"${x%.gz}\"', \
                        or see --plus and --rpl";

/// Of a list that there is not.
fn no_such_list(strings: &Strings) -> &'static str {
    match strings.numbered {
        Some(1) => {
            "there is one list of values; add another one (::: VALUE...), or split lines \
                    into columns with --colsep REGEXP"
        }
        _ => {
            "there is no such list of values; add one (::: VALUE...), or split lines into columns \
              with --colsep REGEXP"
        }
    }
}

const OTHER_FORM: &str = "msup has {} {.} {/} {//} {/.} and more (msup --help); in a script, the \
                          shell does the rest, such as 'x={}; echo \"${x#*/}\"'";

/// The one that `text` begins with.
fn foreign_at(text: &[u8], strings: &Strings) -> Option<Foreign> {
    let [open, close] = &strings.parentheses;
    if let Some(inner) = text.strip_prefix(open.as_ref())
        && inner.windows(close.len()).any(|part| part == close.as_ref())
    {
        let shown = [open.as_ref(), b" ", close.as_ref()].concat().escape_ascii().to_string();
        return Some(Foreign::Missing { shown, instead: COMPUTED });
    }
    let inner = text.strip_prefix(b"{").filter(|_| !strings.gnu)?;
    let inner = &inner[..inner.iter().position(|byte| *byte == b'}')?];
    let shown = format!("{{{}}}", inner.escape_ascii());
    let is_known = SYMBOLS.contains(&inner);
    is_known.then_some(Foreign::Missing { shown, instead: OTHER_FORM })
}
