//! Replacement strings of GNU parallel that msup does not have: they are refused, not taken
//! literally.
//!
//! Braces have many other meanings, so only spellings that have hardly any other are refused.
//! Accepted are `${1}`, a regular expression's `[0-9]{4}`, `{1..3}`, `{a,b}` and `{print}`, and
//! strings that GNU parallel has only with --plus and that look like a format (`{%s}`, `{:5}`,
//! `{host}`).

use super::error::Foreign;
use super::replacement::{Replacement, Selection, Strings, Which};

/// The strings without their braces.
const SYMBOLS: [&[u8]; 3] = [b"//.", b"##", b"=="];

/// Makes sure that the words hold none of them, and none with a number that is not one of this
/// number of arguments.
///
/// # Errors
/// The first of them, and what to do instead.
pub(crate) fn refuse_foreign(words: &[Vec<u8>], arguments: usize) -> Result<(), Foreign> {
    let text = words.join(&b' ');
    let strings = Strings::of(arguments);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some((replacement, len)) = strings.at(&text, at) {
            if let Replacement::Value(Selection { which: Which::Nth(number), .. }) = replacement
                && number.unsigned_abs() as usize > arguments
            {
                let shown = rest[..len].escape_ascii().to_string();
                return Err(Foreign { shown, instead: NO_SUCH_LIST });
            }
            at += len;
            continue;
        }
        // Parameters of a shell.
        let parameter = at > 0 && text[at - 1] == b'$';
        if let Some(foreign) = foreign_at(rest).filter(|_| !parameter) {
            return Err(foreign);
        }
        at += 1;
    }
    Ok(())
}

/// Where a value would have to be computed.
const COMPUTED: &str = "let the command or a shell compute it, such as 'x={}; echo \"${x%.gz}\"'";

/// Of a list that there is not.
const NO_SUCH_LIST: &str = "there is no such list of values; a line can be split in the command, \
                            such as 'echo {} | { read -r a b; cp \"$a\" \"$b\"; }'";

const PADDED: &str = "{#} and {%} are not padded; in a script, printf %03d {#} is";
const TOTAL: &str = "how many tasks there are is not known when they start";
const OTHER_FORM: &str = "msup has {} {.} {/} {//} {/.} and more (msup --help); in a script, the \
                          shell does the rest, such as 'x={}; echo \"${x#*/}\"'";

/// The one that `text` begins with.
fn foreign_at(text: &[u8]) -> Option<Foreign> {
    let inner = text.strip_prefix(b"{")?;
    if inner.first() == Some(&b'=') && inner.windows(2).any(|pair| pair == b"=}") {
        return Some(Foreign { shown: "{= =}".into(), instead: COMPUTED });
    }
    let inner = &inner[..inner.iter().position(|byte| *byte == b'}')?];
    let padded = inner.strip_suffix(b"#").or(inner.strip_suffix(b"%"));
    let is_padded = |zeros: &[u8]| !zeros.is_empty() && zeros.iter().all(|byte| *byte == b'0');
    let instead = match inner {
        _ if padded.is_some_and(is_padded) => PADDED,
        b"##" => TOTAL,
        _ if SYMBOLS.contains(&inner) => OTHER_FORM,
        _ => return None,
    };
    Some(Foreign { shown: format!("{{{}}}", inner.escape_ascii()), instead })
}
