//! The braces in commands and names of outputs that mean something in a pipeline.

use std::fmt;

/// Names that mean something in every pipeline: no stage has them.
pub(super) const RESERVED: [&str; 6] = ["item", "inputs", "list", "list0", "out", "threads"];

/// Spellings of parts of a value behind a name.
const FORMS: [&str; 5] = ["", ".", "/", "//", "/."];

/// What only a stage with `gather` has, or does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GatherOnly {
    /// This one is only for gathers.
    Only(&'static str),
    /// A gather has no single value.
    NoValue,
    /// One command has the values themselves, or a list of them.
    InputsOrList,
}

impl fmt::Display for GatherOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatherOnly::Only(name) => write!(f, "{{{name}}}: only a stage with `gather` has it"),
            GatherOnly::NoValue => f.write_str(
                "a stage with `gather` has no single value: use {inputs}, {list} or {list0}",
            ),
            GatherOnly::InputsOrList => f.write_str(
                "{inputs} beside {list} or {list0}: use {list} or {list0} alone, which a command \
                 can read twice",
            ),
        }
    }
}

/// Braces with a name, or with none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    /// Where it stands.
    pub(crate) at: usize,
    pub(crate) len: usize,
    /// Empty for the value itself.
    pub(crate) name: &'a str,
    /// The part of it.
    pub(crate) form: &'a str,
}

/// Whether a stage may have this name.
pub(super) fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_part)
}

/// All braces of a text that hold a name, a form, or nothing.
pub(super) fn references(text: &str) -> impl Iterator<Item = Reference<'_>> {
    text.match_indices('{').filter_map(|(at, _)| {
        let inner = &text[at + 1..];
        let inner = &inner[..inner.find('}')?];
        let name_len = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let (name, form) = inner.split_at(name_len.unwrap_or(inner.len()));
        let is_one = (name.is_empty() || is_name(name)) && FORMS.contains(&form);
        is_one.then_some(Reference { at, len: inner.len() + 2, name, form })
    })
}

/// All other braces without blanks in them: they look as if they were to be replaced.
pub(super) fn other_braces(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(at, _)| {
        let end = text[at..].find('}')? + at;
        let whole = &text[at..=end];
        (references(whole).next().is_none()).then_some(whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_forms_are_found() {
        let found: Vec<_> =
            references("a {} {wav/.} {item//} {print $1} {1} {.} {a b} {x").collect();
        let found: Vec<_> = found.iter().map(|one| (one.name, one.form)).collect();
        assert_eq!(found, [("", ""), ("wav", "/."), ("item", "//"), ("", ".")]);
    }

    #[test]
    fn names_of_stages() {
        for name in ["a", "_x", "A-1_b"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "-a", "a.b", "\u{e9}", "a b"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn other_braces_are_those_that_nothing_replaces() {
        let found: Vec<_> = other_braces("{} {#} {wav} {1}.{x y}").collect();
        assert_eq!(found, ["{#}", "{1}", "{x y}"]);
    }
}
