//! Bracket classes, and what stands behind a backslash.

use super::translation::{literal, refused};

/// What one escape stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member {
    Byte(u8),
    /// One of several bytes, as the crate writes it.
    Set(&'static str),
}

/// What is known between `[:` and `:]`.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The class whose opening bracket stands before this, and the number of bytes with its end.
///
/// # Errors
/// It is not closed, or has what the crate cannot do.
pub(super) fn bracketed(typed: &[u8]) -> Result<(String, usize), String> {
    let mut text = String::from("[");
    let mut at = 0;
    if typed.first() == Some(&b'^') {
        text.push('^');
        at = 1;
    }
    let first = at;
    loop {
        let rest = &typed[at..];
        match rest.first() {
            None => return Err("not a regular expression: a [ is not closed".into()),
            Some(b']') if at > first => {
                text.push(']');
                return Ok((text, at + 1));
            }
            Some(b'[') if rest.get(1) == Some(&b':') && named(rest).is_some() => {
                let (name, len) = named(rest).unwrap_or_default();
                check_name(&name)?;
                text.push_str(&name);
                at += len;
            }
            Some(_) => at += member(rest, &mut text)?,
        }
    }
}

/// A name between `[:` and `:]`, with these, and its length.
fn named(rest: &[u8]) -> Option<(String, usize)> {
    let end = rest.windows(2).position(|two| two == b":]").filter(|end| *end >= 2)?;
    let name = &rest[2..end];
    let is_name = name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'^');
    is_name.then(|| (String::from_utf8_lossy(&rest[..end + 2]).into_owned(), end + 2))
}

fn check_name(name: &str) -> Result<(), String> {
    let bare = name.trim_start_matches("[:").trim_start_matches('^').trim_end_matches(":]");
    match NAMED.contains(&bare) {
        true => Ok(()),
        false => Err(format!("not a regular expression: {name} is no class")),
    }
}

/// A byte, a range or a set. Returns its length.
fn member(rest: &[u8], text: &mut String) -> Result<usize, String> {
    let (first, len) = single(rest)?;
    let Member::Byte(from) = first else {
        if let Member::Set(set) = first {
            text.push_str(set);
        }
        return Ok(len);
    };
    literal(text, from);
    let behind = &rest[len..];
    if behind.first() != Some(&b'-') || matches!(behind.get(1), None | Some(b']')) {
        return Ok(len);
    }
    let is_named = behind[1..].starts_with(b"[:") && named(&behind[1..]).is_some();
    match if is_named { None } else { Some(single(&behind[1..])?) } {
        Some((Member::Byte(to), more)) if to >= from => {
            text.push('-');
            literal(text, to);
            Ok(len + 1 + more)
        }
        Some((Member::Byte(_), _)) => {
            Err("not a regular expression: a range in [ ] has a wrong order".into())
        }
        // A sign beside a set is itself.
        _ => {
            literal(text, b'-');
            Ok(len + 1)
        }
    }
}

fn single(rest: &[u8]) -> Result<(Member, usize), String> {
    match rest {
        [b'\\', b'b', ..] => Ok((Member::Byte(8), 2)),
        [b'\\', b'1'..=b'7', ..] => {
            let digits = octal(&rest[1..], 3);
            Ok((Member::Byte(number(&rest[1..=digits], 8)?), 1 + digits))
        }
        [b'\\', behind @ ..] => escaped(behind).map(|(meaning, len)| (meaning, len + 1)),
        [byte, ..] => Ok((Member::Byte(*byte), 1)),
        [] => Err("not a regular expression: a [ is not closed".into()),
    }
}

/// What stands behind a backslash, and its length.
///
/// # Errors
/// It means something that the crate cannot do.
pub(super) fn escaped(behind: &[u8]) -> Result<(Member, usize), String> {
    let Some(letter) = behind.first().copied() else {
        return Err("not a regular expression: a \\ stands at its end".into());
    };
    let byte = match letter {
        b'd' => return Ok((Member::Set(r"\d"), 1)),
        b'D' => return Ok((Member::Set(r"\D"), 1)),
        b'w' => return Ok((Member::Set(r"\w"), 1)),
        b'W' => return Ok((Member::Set(r"\W"), 1)),
        b's' => return Ok((Member::Set(r"\s"), 1)),
        b'S' => return Ok((Member::Set(r"\S"), 1)),
        b'v' => return Ok((Member::Set(r"[\x0a-\x0d\x85]"), 1)),
        b'V' => return Ok((Member::Set(r"[^\x0a-\x0d\x85]"), 1)),
        b'h' => return Ok((Member::Set(r"[\x09\x20\xa0]"), 1)),
        b'H' => return Ok((Member::Set(r"[^\x09\x20\xa0]"), 1)),
        b'a' => 0x07,
        b'e' => 0x1b,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => {
            let digits = octal(behind, 3);
            return Ok((Member::Byte(number(&behind[..digits], 8)?), digits));
        }
        b'x' => return hexadecimal(behind),
        b'c' => {
            let control = behind.get(1).filter(|byte| byte.is_ascii_graphic());
            let control = control.ok_or_else(|| refused("\\c without a letter"))?;
            return Ok((Member::Byte(control.to_ascii_uppercase() ^ 64), 2));
        }
        letter if letter.is_ascii_alphanumeric() => {
            return Err(refused(&format!("\\{}", char::from(letter))));
        }
        other => other,
    };
    Ok((Member::Byte(byte), 1))
}

/// `x9`, `x09`, `x{9}`: as in Perl, fewer digits are enough.
fn hexadecimal(behind: &[u8]) -> Result<(Member, usize), String> {
    if behind.get(1) == Some(&b'{') {
        let end = behind.iter().position(|byte| *byte == b'}');
        let end = end.ok_or_else(|| refused("\\x{ that is not closed"))?;
        return Ok((Member::Byte(number(&behind[2..end], 16)?), end + 1));
    }
    let digits = behind[1..].iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let byte = if digits == 0 { 0 } else { number(&behind[1..=digits], 16)? };
    Ok((Member::Byte(byte), 1 + digits))
}

/// How many octal digits stand here, of at most this number.
fn octal(text: &[u8], most: usize) -> usize {
    text.iter().take(most).take_while(|byte| matches!(byte, b'0'..=b'7')).count()
}

fn number(digits: &[u8], radix: u32) -> Result<u8, String> {
    let text = str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    let byte = text.and_then(|text| u8::from_str_radix(text, radix).ok());
    byte.ok_or_else(|| {
        refused(&format!("character with the number {}", String::from_utf8_lossy(digits)))
    })
}
