//! `--plus`: what stands between braces and changes an argument, in the manner of bash.

use super::edit::{Change, Edit, Flags, Insert, LetterCase, Substitution};
use super::expression::BadExpression;
use crate::regexp::BadRegexp;

/// The edit that this text between braces asks for; `None` if it asks for none.
///
/// # Errors
/// A regular expression in it is none.
pub(super) fn edit(inner: &[u8]) -> Option<Result<Edit, BadExpression>> {
    let text = std::str::from_utf8(inner).ok()?;
    let step = step(text)?;
    Some(step.map(|step| Edit::new(inner.to_vec(), vec![step])).map_err(BadExpression::Regexp))
}

fn step(text: &str) -> Option<Result<Change, BadRegexp>> {
    let (first, rest) = text.split_at_checked(1)?;
    match first {
        ":" => part(rest).map(Ok),
        "#" => match rest.strip_prefix('#') {
            Some(regexp) => is_pattern(regexp).then(|| remove(&format!("^{regexp}"), &[])),
            None => is_pattern(rest).then(|| {
                let shortest = shortest(rest);
                remove(&format!("^{shortest}(.*)"), &[Insert::Group(1, LetterCase::Same)])
            }),
        },
        "%" => match rest.strip_prefix('%').filter(|regexp| !regexp.is_empty()) {
            Some(regexp) => Some(remove(&format!("{regexp}$"), &[])),
            None => (!rest.is_empty()).then(|| {
                let shortest = shortest(rest);
                remove(&format!("(.*){shortest}$"), &[Insert::Group(1, LetterCase::Same)])
            }),
        },
        "/" => replace(rest),
        "^" => letters(rest, '^', LetterCase::Upper),
        "," => letters(rest, ',', LetterCase::Lower),
        _ => None,
    }
}

/// Patterns at the beginning must not begin like another replacement string.
fn is_pattern(regexp: &str) -> bool {
    !regexp.is_empty() && !regexp.starts_with('#')
}

/// `:-text`, `:number`, `:number:number`.
fn part(rest: &str) -> Option<Change> {
    if let Some(default) = rest.strip_prefix('-') {
        return (!default.is_empty()).then(|| Change::Default(default.as_bytes().to_vec()));
    }
    let number = |text: &str| -> Option<i64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    Some(match rest.split_once(':') {
        Some((from, len)) => Change::Part(number(from)?, Some(number(len)?)),
        None => Change::Part(number(rest)?, None),
    })
}

fn substitute(regexp: &str, with: Vec<Insert>, all: bool) -> Result<Change, BadRegexp> {
    let flags = Flags { all, ..Flags::default() };
    Substitution::new(regexp, &flags, with).map(Change::Substitute)
}

fn remove(regexp: &str, leaves: &[Insert]) -> Result<Change, BadRegexp> {
    substitute(regexp, leaves.to_vec(), false)
}

/// `regexp/text`; behind another slash everywhere, behind `#` at the beginning, behind `%` at the
/// end.
fn replace(rest: &str) -> Option<Result<Change, BadRegexp>> {
    let (kind, rest) = match rest.as_bytes().first()? {
        kind @ (b'/' | b'#' | b'%') => (Some(*kind), &rest[1..]),
        _ => (None, rest),
    };
    let (regexp, text) = rest.split_once('/').filter(|(regexp, _)| !regexp.is_empty())?;
    let with = vec![Insert::Text(text.as_bytes().to_vec())];
    Some(match kind {
        Some(b'#') => substitute(&format!("^{regexp}"), with, true),
        Some(b'%') => substitute(&format!("{regexp}$"), with, true),
        kind => substitute(regexp, with, kind.is_some()),
    })
}

/// `regexp` at the beginning; behind another one of these signs, everywhere.
fn letters(rest: &str, sign: char, case: LetterCase) -> Option<Result<Change, BadRegexp>> {
    let with = vec![Insert::Group(1, case)];
    match rest.strip_prefix(sign).filter(|regexp| !regexp.is_empty()) {
        Some(regexp) => Some(substitute(&format!("({regexp})"), with, true)),
        None => (!rest.is_empty()).then(|| substitute(&format!("^({rest})"), with, false)),
    }
}

/// The regular expression whose repetitions match as little as they can.
fn shortest(regexp: &str) -> String {
    let (mut changed, mut chars) = (String::new(), regexp.chars().peekable());
    let mut in_class = false;
    while let Some(c) = chars.next() {
        changed.push(c);
        match c {
            '\\' => changed.extend(chars.next()),
            ']' => in_class = false,
            '[' => in_class = true,
            '*' | '+' | '}' if !in_class => {
                chars.next_if_eq(&'?');
                changed.push('?');
            }
            _ => {}
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `parallel --plus` of version 20221122 makes of them.
    #[test]
    fn braces_change_an_argument() {
        for (inner, argument, expected) in [
            (":-none", "", "none"),
            (":-none", "a", "a"),
            (":2", "abcd", "cd"),
            (":1:2", "abcd", "bc"),
            ("#z.*z.", "z.z.z.foo", "z.foo"),
            ("##z.*z.", "z.z.z.foo", "foo"),
            ("%.z.*z", "foo.z.z.z", "foo.z"),
            ("%%.z.*z", "foo.z.z.z", "foo"),
            ("%.gz", "a.gz", "a"),
            ("/a/b", "aa", "ba"),
            ("//a/b", "aa", "bb"),
            ("/#a/b", "aaa", "baa"),
            ("/%a/b", "aaa", "aab"),
            ("/a/", "aba", "ba"),
            ("^a", "aba", "Aba"),
            ("^^a", "aba", "AbA"),
            (",A", "ABA", "aBA"),
            (",,A", "ABA", "aBa"),
        ] {
            let edit = edit(inner.as_bytes()).expect(inner).expect("a regular expression");
            assert_eq!(edit.of(argument.as_bytes()), expected.as_bytes(), "{inner}");
        }
        for other in ["", ":", ":x", ":-", "#", "##", "%", "/", "//", "/x", "^", ",", "x", "/./"] {
            if other == "/./" {
                assert!(edit(other.as_bytes()).is_some(), "{other}");
            } else {
                assert!(edit(other.as_bytes()).is_none(), "{other}");
            }
        }
        assert!(edit(b"#(").expect("an edit").is_err());
    }

    #[test]
    fn repetitions_are_as_short_as_they_can_be() {
        for (regexp, expected) in
            [("a*b+", "a*?b+?"), (r"\*[*]x", r"\*[*]x"), ("a{2,}", "a{2,}?"), ("a*?", "a*?")]
        {
            assert_eq!(shortest(regexp), expected);
        }
    }
}
