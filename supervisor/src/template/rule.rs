//! `--rpl`: replacement strings with a spelling of the user's own.

use std::sync::Arc;

use regex::bytes::Regex;

use super::edit::Edit;
use super::expression::{self, BadExpression};
use super::replacement::{Form, Number, Replacement, Selection, Which};
use crate::regexp::{self, RegexpModes};

/// A replacement string of `--rpl`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// As typed: the length decides which of several is meant.
    tag: String,
    /// The tag at the beginning of a text, with its groups.
    plain: Regex,
    /// The same with a number behind the brace, if it begins with one.
    numbered: Option<Regex>,
    meaning: Meaning,
}

#[derive(Debug, Clone)]
enum Meaning {
    /// Code, in which `$$1` stands for the first group of the tag.
    Code(String),
    Number(Number),
    Slot,
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRule {
    #[error("--rpl '{0}': the replacement string is missing: --rpl 'TAG CODE'")]
    NoTag(String),
    #[error("--rpl '{rule}': {why}")]
    Code {
        rule: String,
        #[source]
        why: BadExpression,
    },
}

/// Code that stands for a number of the task, without blanks.
const NUMBERS: [(&str, Number); 5] = [
    ("$_=$job->seq()", Number::Seq),
    ("$_=seq()", Number::Seq),
    ("$_=$job->total_jobs()", Number::Total),
    ("$_=total_jobs()", Number::Total),
    ("$_=$job->seq", Number::Seq),
];
const SLOTS: [&str; 2] = ["$_=$job->slot()", "$_=slot()"];

impl Rule {
    /// Takes a rule as typed.
    ///
    /// # Errors
    /// [`BadRule`].
    pub(crate) fn parse(typed: &str) -> Result<Rule, BadRule> {
        let (tag, code) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
        if tag.is_empty() {
            return Err(BadRule::NoTag(typed.to_owned()));
        }
        let bad = |why| BadRule::Code { rule: typed.to_owned(), why };
        let matching = |begins: &str, tag: &str| {
            let around = |tag: &str| format!("^{begins}{tag}");
            let built = regexp::composed(pattern(tag).as_bytes(), RegexpModes::default(), around);
            built.map_err(|why| bad(BadExpression::Regexp(why)))
        };
        let numbered = tag.strip_prefix('{').map(|rest| matching(r"\{(-?[0-9]+)\s*", rest));
        let rule = Rule {
            plain: matching("", tag)?,
            numbered: numbered.transpose()?,
            tag: tag.to_owned(),
            meaning: meaning(code),
        };
        // Code with groups is checked where it is used: they are not known yet.
        if let Meaning::Code(code) = &rule.meaning
            && !code.contains("$$")
        {
            expression::parse(code).map_err(bad)?;
        }
        Ok(rule)
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// What stands at the beginning of this text, if it is this rule's string, and its length.
    ///
    /// # Errors
    /// The code cannot be used with these groups.
    pub(super) fn at(&self, text: &[u8]) -> Option<(Result<Replacement, BadExpression>, usize)> {
        if let Some(found) = self.plain.captures(text) {
            return Some((self.replacement(Which::All, &found, 1), found[0].len()));
        }
        let found = self.numbered.as_ref()?.captures(text)?;
        let number: i32 = std::str::from_utf8(&found[1]).ok()?.parse().ok()?;
        // As in GNU parallel, 0 is no number of an argument.
        let which = if number == 0 { Which::All } else { Which::Nth(number) };
        Some((self.replacement(which, &found, 2), found[0].len()))
    }

    fn replacement(
        &self,
        which: Which,
        found: &regex::bytes::Captures<'_>,
        first_group: usize,
    ) -> Result<Replacement, BadExpression> {
        let code = match &self.meaning {
            Meaning::Number(number) => return Ok(Replacement::Number(*number)),
            Meaning::Slot => return Ok(Replacement::Slot),
            Meaning::Code(code) => code,
        };
        let mut code = code.clone();
        // The last first: $$1 is the beginning of $$10.
        for at in (first_group..found.len()).rev() {
            let group = found.get(at).map_or(&b""[..], |group| group.as_bytes());
            let number = at - first_group + 1;
            code = code.replace(&format!("$${number}"), &String::from_utf8_lossy(group));
        }
        let steps = expression::parse(&code)?;
        let form = match steps.is_empty() {
            true => Form::Whole,
            false => Form::Edited(Arc::new(Edit::new(code.into_bytes(), steps))),
        };
        Ok(Replacement::Value(Selection { which, form }))
    }
}

fn meaning(code: &str) -> Meaning {
    let bare: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    // A 1 before it tells GNU parallel that no value is needed.
    let bare = bare.trim_end_matches(';');
    let bare = bare.strip_prefix('1').unwrap_or(bare);
    let number = NUMBERS.iter().find(|(known, _)| *known == bare);
    match number {
        Some((_, number)) => Meaning::Number(*number),
        None if SLOTS.contains(&bare) => Meaning::Slot,
        None => Meaning::Code(code.to_owned()),
    }
}

/// A regular expression that matches a tag. Its text stands for itself, but for what stands between
/// the first and the last parenthesis.
fn pattern(tag: &str) -> String {
    match (tag.find('('), tag.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            [&regex::escape(&tag[..open]), &tag[open..=close], &regex::escape(&tag[close + 1..])]
                .concat()
        }
        _ => regex::escape(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rule: &str, text: &str) -> Option<(Option<String>, usize)> {
        let (replacement, len) = Rule::parse(rule).expect("valid").at(text.as_bytes())?;
        let Ok(Replacement::Value(part)) = replacement else { return Some((None, len)) };
        let value = b"my_file.tar.gz\0b.c";
        Some((Some(String::from_utf8_lossy(&part.of(value, b"")).into_owned()), len))
    }

    #[test]
    fn a_tag_stands_for_what_its_code_makes() {
        let text = |text: &str, len| Some((Some(text.to_owned()), len));
        assert_eq!(at("{:} s:(\\.[^/]+)*$::", "{:}x"), text("my_file b", 3));
        assert_eq!(at("{:} s:(\\.[^/]+)*$::", "{2:}"), text("b", 4));
        assert_eq!(at("%% s/_.*//", "%%"), text("my b.c", 2));
        assert_eq!(at("{%(.*?)} s/$$1//", "{%.tar.gz}"), text("my_file b.c", 10));
        assert_eq!(at("{/(.+?)/(.*?)} s/$$1/$$2/;", "{1/file/x}"), text("my_x.tar.gz", 10));
        assert_eq!(at("{x} s/a/b/", "{y}"), None);
        assert_eq!(at("{same}", "{same}"), text("my_file.tar.gz b.c", 6));
        assert_eq!(at("{n} 1 $_=$job->seq()", "{n}"), Some((None, 3)));
        assert_eq!(at("{n} $_ = slot();", "{n}"), Some((None, 3)));
        let bad = Rule::parse("{:(.*)} s/$$1/").expect("checked later");
        assert!(bad.at(b"{:x}").is_some_and(|(found, _)| found.is_err()));
    }

    #[test]
    fn a_rule_that_is_none_is_refused() {
        assert!(matches!(Rule::parse(" s/a/b/"), Err(BadRule::NoTag(_))));
        assert!(matches!(Rule::parse(""), Err(BadRule::NoTag(_))));
        assert!(matches!(Rule::parse("{x} die"), Err(BadRule::Code { .. })));
        assert!(Rule::parse("{x(} s/a/b/").is_ok());
        assert!(matches!(Rule::parse("{(*)} s/a/b/"), Err(BadRule::Code { .. })));
    }
}
