//! The expressions that `--rpl` takes: those of Perl that most replacement strings are made of.
//!
//! `s/REGEXP/STRING/gismxe`, `tr/a-z/A-Z/`, `$_=uc($_)` and the like, `$_=substr($_,1,2)`,
//! `$_||="STRING"`; `;` stands between several of them, `||` between substitutions of which the
//! first that matches is made.

use super::edit::{Change, Flags, Insert, LetterCase, Substitution};
use crate::regexp::BadRegexp;

/// Code that is none of these, or a regular expression that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadExpression {
    #[error(
        "{0}: not one of the expressions that msup takes: s/REGEXP/STRING/, tr/a-z/A-Z/, \
         $_=uc($_), $_=substr($_,1,2); let the command compute it, such as 'x={{}}; echo \
         \"${{x%.gz}}\"'"
    )]
    NotKnown(String),
    #[error("{}", .0.of_part())]
    Regexp(BadRegexp),
}

/// Functions that change letters.
const CASES: [(&str, LetterCase); 4] = [
    ("ucfirst", LetterCase::UpperFirst),
    ("lcfirst", LetterCase::LowerFirst),
    ("uc", LetterCase::Upper),
    ("lc", LetterCase::Lower),
];

/// The steps of this code.
///
/// # Errors
/// [`BadExpression`].
pub(super) fn parse(code: &str) -> Result<Vec<Change>, BadExpression> {
    let mut parser = Parser { rest: code };
    let mut steps = Vec::new();
    loop {
        parser.skip_blanks();
        if parser.takes(";") {
            continue;
        }
        if parser.rest.is_empty() {
            return Ok(steps);
        }
        let at = parser.rest;
        let unknown = || BadExpression::NotKnown(at.trim_end().to_owned());
        steps.push(parser.statement()?.ok_or_else(unknown)?);
        parser.skip_blanks();
        if !parser.rest.is_empty() && !parser.rest.starts_with(';') {
            return Err(unknown());
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether this stands here, possibly behind blanks; it is passed over.
    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn statement(&mut self) -> Result<Option<Change>, BadExpression> {
        if let Some(step) = self.assignment() {
            return Ok(Some(step));
        }
        if let Some(step) = self.translation() {
            return Ok(Some(step));
        }
        let Some(first) = self.substitution()? else { return Ok(None) };
        let mut several = vec![first];
        while self.takes("||") {
            let Some(next) = self.substitution()? else { return Ok(None) };
            several.push(next);
        }
        Ok(Some(match several.len() {
            1 => Change::Substitute(several.remove(0)),
            _ => Change::Either(several),
        }))
    }

    /// `$_=uc($_)`, `$_=substr($_,1)`, `$_||="x"`, `substr($_,0,1)=""`. Nothing is passed over if
    /// it is none of these.
    fn assignment(&mut self) -> Option<Change> {
        let before = self.rest;
        let step = self.assigned();
        if step.is_none() {
            self.rest = before;
        }
        step
    }

    fn assigned(&mut self) -> Option<Change> {
        if self.takes("substr") {
            // What is cut off at the beginning.
            let (from, len) = self.arguments_of_substr()?;
            let is_cut = self.takes("=") && (self.takes("\"\"") || self.takes("''"));
            return (is_cut && from == 0).then(|| Change::Part(len.unwrap_or(i64::MAX), None));
        }
        if !self.takes("$_") {
            return None;
        }
        if self.takes("||=") {
            return self.string().map(|text| Change::Default(text.into_bytes()));
        }
        if !self.takes("=") {
            return None;
        }
        if self.takes("substr") {
            return self.arguments_of_substr().map(|(from, len)| Change::Part(from, len));
        }
        let (_, case) = CASES.iter().find(|(name, _)| self.takes(name))?;
        let in_parentheses = self.takes("(");
        (self.takes("$_") && (!in_parentheses || self.takes(")")))
            .then_some(Change::LetterCase(*case))
    }

    fn arguments_of_substr(&mut self) -> Option<(i64, Option<i64>)> {
        if !(self.takes("(") && self.takes("$_") && self.takes(",")) {
            return None;
        }
        let from = self.number()?;
        let len = if self.takes(",") { Some(self.number()?) } else { None };
        self.takes(")").then_some((from, len))
    }

    fn number(&mut self) -> Option<i64> {
        self.skip_blanks();
        let is_digit = |(at, c): &(usize, char)| c.is_ascii_digit() || (*at == 0 && *c == '-');
        let len = self.rest.char_indices().take_while(is_digit).count();
        let (number, rest) = self.rest.split_at(len);
        self.rest = rest;
        number.parse().ok()
    }

    fn string(&mut self) -> Option<String> {
        self.skip_blanks();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        self.rest = rest;
        // Perl would expand these.
        (!text.contains(['\\', '$', '@'])).then(|| text.to_owned())
    }

    /// `tr/a-z/A-Z/` or `y/a-z/A-Z/`, perhaps with `d`.
    fn translation(&mut self) -> Option<Change> {
        let rest = self.rest.strip_prefix("tr").or_else(|| self.rest.strip_prefix('y'))?;
        let mut parser = Parser { rest };
        let (from, to) = parser.delimited_pair()?;
        let deletes = parser.rest.starts_with('d');
        parser.rest = parser.rest.trim_start_matches('d');
        if parser.rest.starts_with(|c: char| c.is_alphanumeric()) {
            return None;
        }
        let (from, to) = (range(&from)?, range(&to)?);
        let mut table = Box::new(std::array::from_fn(|byte| u8::try_from(byte).ok()));
        for (at, byte) in from.iter().enumerate().rev() {
            table[usize::from(*byte)] = match to.get(at) {
                Some(other) => Some(*other),
                None if deletes => None,
                // The last one stands for all that are missing.
                None => Some(*to.last().unwrap_or(byte)),
            };
        }
        self.rest = parser.rest;
        Some(Change::Translate(table))
    }

    fn substitution(&mut self) -> Result<Option<Substitution>, BadExpression> {
        self.skip_blanks();
        let Some(rest) = self.rest.strip_prefix('s') else { return Ok(None) };
        let mut parser = Parser { rest };
        let Some((regexp, with)) = parser.delimited_pair() else { return Ok(None) };
        let Some(flags) = parser.flags() else { return Ok(None) };
        if has_variable(&regexp) {
            return Ok(None);
        }
        let with = if flags.is_code { code_insert(&with) } else { inserts(&with) };
        let Some(with) = with else { return Ok(None) };
        self.rest = parser.rest;
        let made = Substitution::new(&regexp, &flags, with);
        made.map(Some).map_err(BadExpression::Regexp)
    }

    fn flags(&mut self) -> Option<Flags> {
        let len = self.rest.chars().take_while(char::is_ascii_alphabetic).count();
        let (typed, rest) = self.rest.split_at(len);
        self.rest = rest;
        let mut flags = Flags::default();
        for flag in typed.chars() {
            match flag {
                'g' => flags.all = true,
                'i' => flags.ignores_case = true,
                's' => flags.dot_is_any = true,
                'm' => flags.lines = true,
                'x' => flags.spaced = true,
                'e' => flags.is_code = true,
                _ => return None,
            }
        }
        Some(flags)
    }

    /// The two texts between the delimiters that begin here.
    fn delimited_pair(&mut self) -> Option<(String, String)> {
        let (first, rest) = delimited(self.rest, None)?;
        let open = self.rest.chars().next()?;
        let (second, rest) = match closing(open) {
            // One delimiter stands between both.
            close if close == open => delimited(rest, Some(open))?,
            _ => delimited(rest.trim_start(), None)?,
        };
        self.rest = rest;
        Some((first, second))
    }
}

/// What closes a text that this opens.
fn closing(open: char) -> char {
    match open {
        '{' => '}',
        '(' => ')',
        '[' => ']',
        '<' => '>',
        same => same,
    }
}

/// The text between delimiters, and what follows it. `opened`: the delimiter, if it stands before
/// the text.
fn delimited(text: &str, opened: Option<char>) -> Option<(String, &str)> {
    let open = opened.or_else(|| text.chars().next())?;
    if open.is_alphanumeric() || open.is_whitespace() || matches!(open, ';' | '=' | '_') {
        return None;
    }
    let close = closing(open);
    let inner = if opened.is_some() { text } else { &text[open.len_utf8()..] };
    let (mut content, mut depth, mut chars) = (String::new(), 0, inner.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next()?;
                // A delimiter that means nothing else loses its backslash.
                let is_plain = escaped == close && matches!(close, '/' | ':' | ',' | '#' | '!');
                content.extend((!is_plain).then_some('\\'));
                content.push(escaped);
            }
            c if c == close && depth == 0 => return Some((content, chars.as_str())),
            c if c == close => (depth, _) = (depth - 1, content.push(c)),
            c if c == open => (depth, _) = (depth + 1, content.push(c)),
            c => content.push(c),
        }
    }
    None
}

/// Whether Perl would expand a variable in this regular expression.
fn has_variable(regexp: &str) -> bool {
    let behind = |at: usize| regexp[at + 1..].chars().next();
    let is_escaped = |at: usize| {
        let before = regexp[..at].chars().rev().take_while(|c| *c == '\\').count();
        before % 2 == 1
    };
    let starts = |c: char| c.is_alphabetic() || matches!(c, '_' | '{' | '$');
    regexp.match_indices('$').any(|(at, _)| !is_escaped(at) && behind(at).is_some_and(starts))
}

/// What stands in the place of a match: text, `$1`, `${1}`, `\1`, `$&`, and `\U \L \E \u \l`, which
/// change the letters behind them.
fn inserts(typed: &str) -> Option<Vec<Insert>> {
    let (mut all, mut chars) = (Vec::new(), typed.chars().peekable());
    let (mut case, mut next) = (LetterCase::Same, None);
    while let Some(c) = chars.next() {
        let group = match c {
            '$' if chars.next_if_eq(&'&').is_some() => Some(0),
            '$' => {
                let in_braces = chars.next_if_eq(&'{').is_some();
                let number = digits(&mut chars)?;
                if in_braces {
                    chars.next_if_eq(&'}')?;
                }
                Some(number)
            }
            '\\' => match chars.peek()? {
                '1'..='9' => digits(&mut chars),
                _ => {
                    match chars.next()? {
                        'U' => case = LetterCase::Upper,
                        'L' => case = LetterCase::Lower,
                        'E' => case = LetterCase::Same,
                        'u' => next = Some(LetterCase::UpperFirst),
                        'l' => next = Some(LetterCase::LowerFirst),
                        'n' => push(&mut all, '\n', case, &mut next),
                        't' => push(&mut all, '\t', case, &mut next),
                        c if c.is_alphanumeric() => return None,
                        c => push(&mut all, c, case, &mut next),
                    }
                    continue;
                }
            },
            '@' => return None,
            c => {
                push(&mut all, c, case, &mut next);
                continue;
            }
        };
        all.push(Insert::Group(group?, next.take().unwrap_or(case)));
    }
    Some(all)
}

/// Appends a character of text.
fn push(all: &mut Vec<Insert>, c: char, case: LetterCase, next: &mut Option<LetterCase>) {
    let mut bytes = [0; 4];
    let bytes = next.take().unwrap_or(case).of(c.encode_utf8(&mut bytes).as_bytes());
    match all.last_mut() {
        Some(Insert::Text(text)) => text.extend(bytes),
        _ => all.push(Insert::Text(bytes)),
    }
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut number = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        number.push(digit);
    }
    number.parse().ok()
}

/// What code puts into the place of a match: `$1`, `uc($1)` and the like.
fn code_insert(code: &str) -> Option<Vec<Insert>> {
    let mut parser = Parser { rest: code };
    let case =
        CASES.iter().find(|(name, _)| parser.takes(name)).map_or(LetterCase::Same, |(_, c)| *c);
    let in_parentheses = parser.takes("(");
    parser.takes("$").then_some(())?;
    let number = if parser.takes("&") { 0 } else { usize::try_from(parser.number()?).ok()? };
    let is_closed = !in_parentheses || parser.takes(")");
    (is_closed && parser.rest.trim().is_empty()).then(|| vec![Insert::Group(number, case)])
}

/// The bytes of a list such as `a-zA-Z_`.
fn range(typed: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), typed.as_bytes());
    while let [first, behind @ ..] = rest {
        let (from, behind) = match (first, behind) {
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b't', behind @ ..]) => (b'\t', behind),
            (b'\\', [escaped, _, ..] | [escaped]) if escaped.is_ascii_alphanumeric() => {
                return None;
            }
            (b'\\', [escaped, behind @ ..]) => (*escaped, behind),
            (byte, behind) => (*byte, behind),
        };
        rest = behind;
        match behind {
            [b'-', to, behind @ ..] if *to >= from && *to != b'\\' => {
                bytes.extend(from..=*to);
                rest = behind;
            }
            _ => bytes.push(from),
        }
    }
    (!bytes.is_empty() || typed.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::edit::Edit;

    fn changed(code: &str, argument: &str) -> String {
        let steps = parse(code).unwrap_or_else(|why| panic!("{code}: {why}"));
        let changed = Edit::new(Vec::new(), steps).of(argument.as_bytes()).into_owned();
        String::from_utf8(changed).expect("text")
    }

    /// What Perl makes of them, as `parallel --rpl` shows.
    #[test]
    fn expressions_do_what_perl_does() {
        for (code, argument, expected) in [
            ("", "a", "a"),
            ("s/a/b/", "aa", "ba"),
            ("s/a/b/g", "aa", "bb"),
            ("s:.*/::", "d/e/f", "f"),
            (r"s:\.[^/.]*$::", "d.e/f.g", "d.e/f"),
            ("s/(.)(.)/$2$1/", "abc", "bac"),
            (r"s/(.)(.)/\2${1}!$&/", "abc", "ba!abc"),
            ("s/B/x/i", "abc", "axc"),
            ("s{a}{b}; s(b) (c)", "a", "c"),
            ("s/x/1/ || s/a/2/ || s/b/3/", "ab", "2b"),
            (r"s/\//_/g", "a/b", "a_b"),
            (r"s/\./\\/", "a.b", r"a\b"),
            (r"s/(.*)/\U$1\E-$1/", "ab", "AB-ab"),
            (r"s/.*/\u$&/", "ab", "Ab"),
            ("s/(b)/uc($1)/e", "abc", "aBc"),
            ("s/([a-z])/uc $1/ge", "a-b", "A-B"),
            ("tr/a-z/A-Z/", "ab.c", "AB.C"),
            ("y/abc/x/", "abcd", "xxxd"),
            ("tr/ab//d", "abc", "c"),
            ("tr/._/ /", "a.b_c", "a b c"),
            ("$_=uc($_)", "ab", "AB"),
            ("$_ = lc $_ ; s/a/b/;", "AA", "ba"),
            ("$_=ucfirst($_)", "ab", "Ab"),
            ("$_=substr($_,1,2)", "abcd", "bc"),
            ("$_ = substr($_, -2)", "abcd", "cd"),
            ("substr($_,0,1) = \"\"", "abcd", "bcd"),
            ("$_ ||= \"none\"", "", "none"),
        ] {
            assert_eq!(changed(code, argument), expected, "{code}");
        }
    }

    #[test]
    fn other_code_is_refused() {
        for code in [
            "$_=`ls`",
            "system('x')",
            "s/a/b/r",
            "s/a/b",
            "s/$x/b/",
            "s/a/$x/",
            "s/a/b/ || die",
            "s/a/system(1)/e",
            "$_=$_+1",
            "1 $_=3",
            "s/a/b/ s/c/d/",
            "tr/a/b/r",
            "$_ ||= \"$x\"",
        ] {
            let refused = parse(code);
            assert!(matches!(refused, Err(BadExpression::NotKnown(_))), "{code}: {refused:?}");
        }
        assert!(matches!(parse("s/(/x/"), Err(BadExpression::Regexp(_))));
    }
}
