//! What stands outside of bracket classes.

use std::fmt::Write;

use super::classes;

/// This expression of Perl as the crate `regex` has it. `spaced`: blanks and comments in it mean
/// nothing.
///
/// # Errors
/// A part of it that the crate cannot do.
pub(super) fn of(typed: &[u8], spaced: bool) -> Result<String, String> {
    let mut translation = Translation { typed, at: 0, spaced, text: String::new() };
    while let Some(byte) = translation.next() {
        translation.take(byte)?;
    }
    Ok(translation.text)
}

struct Translation<'a> {
    typed: &'a [u8],
    at: usize,
    spaced: bool,
    text: String,
}

impl<'a> Translation<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.typed.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn rest(&self) -> &'a [u8] {
        &self.typed[self.at..]
    }

    fn take(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'\\' => self.escape()?,
            b'[' => {
                let (class, len) = classes::bracketed(self.rest())?;
                self.text.push_str(&class);
                self.at += len;
            }
            b'(' => self.group()?,
            b'{' => self.brace()?,
            b'*' | b'+' | b'?' => {
                self.text.push(char::from(byte));
                self.behind_repetition()?;
            }
            b'.' | b'^' | b'$' | b'|' | b')' => self.text.push(char::from(byte)),
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c if self.spaced => {}
            b'#' if self.spaced => {
                let line = self.rest().iter().position(|byte| *byte == b'\n');
                self.at += line.unwrap_or(self.rest().len());
            }
            byte => literal(&mut self.text, byte),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let letter = self.rest().first().copied().ok_or_else(|| refused("a \\ at its end"))?;
        match letter {
            b'b' | b'B' if self.rest().get(1) == Some(&b'{') => {
                return Err(refused(&format!("\\{}{{", char::from(letter))));
            }
            b'b' | b'B' | b'A' | b'z' => {
                self.at += 1;
                self.text.extend(['\\', char::from(letter)]);
            }
            b'N' if self.rest().get(1) != Some(&b'{') => {
                self.at += 1;
                self.text.push_str(r"[^\n]");
            }
            b'1'..=b'9' => return Err(refused(&format!("\\{}", char::from(letter)))),
            _ => {
                let (meaning, len) = classes::escaped(self.rest())?;
                self.at += len;
                match meaning {
                    classes::Member::Byte(byte) => literal(&mut self.text, byte),
                    classes::Member::Set(set) => self.text.push_str(set),
                }
            }
        }
        Ok(())
    }

    /// What stands behind an opening parenthesis.
    fn group(&mut self) -> Result<(), String> {
        if self.rest().first() == Some(&b'*') {
            return Err(refused("(*"));
        }
        let Some(typed) = self.rest().strip_prefix(b"?") else {
            self.text.push('(');
            return Ok(());
        };
        if typed.starts_with(b"#") {
            let end = self.rest().iter().position(|byte| *byte == b')');
            self.at += end.ok_or_else(|| refused("a comment that is not closed"))? + 1;
            return Ok(());
        }
        let flags = typed.iter().take_while(|byte| b"ims-".contains(byte)).count();
        let has_flags = matches!(typed.get(flags), Some(b':' | b')'));
        let named = typed.strip_prefix(b"P").unwrap_or(typed);
        let is_named = named.first() == Some(&b'<') && !matches!(named.get(1), Some(b'=' | b'!'));
        let len = if has_flags {
            flags + 1
        } else if is_named {
            let name = typed.iter().position(|byte| *byte == b'>');
            name.ok_or_else(|| refused("a name that is not closed"))? + 1
        } else {
            let shown = String::from_utf8_lossy(&typed[..typed.len().min(1)]).into_owned();
            return Err(refused(&format!("(?{shown}")));
        };
        self.text.push_str("(?");
        self.text.push_str(&String::from_utf8_lossy(&typed[..len]));
        self.at += 1 + len;
        Ok(())
    }

    /// A brace is itself where it is not a number of repetitions.
    fn brace(&mut self) -> Result<(), String> {
        let end = self.rest().iter().position(|byte| *byte == b'}');
        let inner = end.map_or(&b""[..], |end| &self.rest()[..end]);
        let mut numbers = inner.splitn(2, |byte| *byte == b',');
        let first = numbers.next().unwrap_or_default();
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let second = numbers.next();
        if !digits(first) || !second.is_none_or(digits) || inner.is_empty() || inner == b"," {
            literal(&mut self.text, b'{');
            return Ok(());
        }
        if first.is_empty() {
            let shown = String::from_utf8_lossy(inner).into_owned();
            return Err(format!("write {{0{shown}}} or \\{{{shown}}} in the place of {{{shown}}}"));
        }
        let _ = write!(self.text, "{{{}}}", String::from_utf8_lossy(inner));
        self.at += inner.len() + 1;
        self.behind_repetition()
    }

    /// In the crate, another sign would repeat what is repeated; in Perl it has other meanings.
    fn behind_repetition(&mut self) -> Result<(), String> {
        match self.rest().first() {
            Some(b'?') => {
                self.at += 1;
                self.text.push('?');
            }
            Some(b'+') => return Err(refused("possessive repetition (+ behind a repetition)")),
            _ => {}
        }
        let next = self.rest();
        let repeats = matches!(next.first(), Some(b'*' | b'+' | b'?'));
        if repeats {
            return Err("not a regular expression: a repetition is repeated".into());
        }
        Ok(())
    }
}

/// A byte that stands for itself.
pub(super) fn literal(text: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        text.push(char::from(byte));
    } else {
        let _ = write!(text, r"\x{byte:02x}");
    }
}

pub(super) fn refused(what: &str) -> String {
    format!("msup has no {what} in regular expressions; write it without that")
}
