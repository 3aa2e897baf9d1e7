//! `-d`: what ends a value.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::usage::BadValue;

/// The bytes that end a value.
///
/// # Errors
/// The delimiter is empty, or an escape in it has no meaning.
pub(super) fn of(typed: Option<&OsStr>, null: bool) -> Result<Vec<u8>, BadValue> {
    let Some(typed) = typed else { return Ok(vec![if null { 0 } else { b'\n' }]) };
    let refused = || {
        let wanted = "one character or more, with \\n, \\t, \\0, \\xHH (hexadecimal) and the like";
        BadValue::new("-d", &typed.display().to_string(), wanted)
    };
    match unescaped(typed.as_bytes()) {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(refused()),
    }
}

/// The text with its escapes as C has them; `None` if one has no meaning.
pub(super) fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escaped, behind) = rest.split_first()?;
        rest = behind;
        bytes.push(match escaped {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' => b'\\',
            b'x' => {
                let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit());
                let (digits, behind) = rest.split_at(digits.count());
                rest = behind;
                number(digits, 16)?
            }
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7'));
                let (digits, behind) = rest.split_at(more.count());
                rest = behind;
                number(&[&[*escaped], digits].concat(), 8)?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    u8::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_c() {
        let of = |typed: &str| of(Some(typed.as_ref()), false).ok();
        for (typed, bytes) in [
            (",", &b","[..]),
            ("--", b"--"),
            (r"\n", b"\n"),
            (r"\r\n", b"\r\n"),
            (r"\0", b"\0"),
            (r"\054x", b",x"),
            (r"\x2c", b","),
            (r"\x9", b"\t"),
            (r"\\", b"\\"),
            ("\u{e4}", "\u{e4}".as_bytes()),
        ] {
            assert_eq!(of(typed).as_deref(), Some(bytes), "{typed}");
        }
        for typed in ["", r"\", r"\x", r"\xgg", r"\q", r"\777"] {
            assert_eq!(of(typed), None, "{typed}");
        }
    }
}
