//! How the values of lists become arguments: columns, blanks at their ends, batches.

use std::rc::Rc;

use regex::bytes::Regex;

use super::combining::{Arguments, Combined};
use super::lists::Lists;
use super::{Format, Out};
use crate::arguments;

/// How values become arguments.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Each value is split.
    pub(crate) columns: Option<Columns>,
    /// Blanks are removed from the beginning and from the end of each argument.
    pub(crate) trims: [bool; 2],
    /// The number of values that make up one; at least 1.
    pub(crate) batch: usize,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { columns: None, trims: [false; 2], batch: 1 }
    }
}

impl Shape {
    /// The largest number of arguments that a value of this number of lists has.
    pub(crate) fn arguments(&self, lists: usize) -> usize {
        match &self.columns {
            Some(_) => usize::MAX,
            None => lists.saturating_mul(self.batch),
        }
    }
}

/// Splits values into columns.
#[derive(Debug)]
pub(crate) struct Columns(Regex);

/// A regular expression that is none.
#[derive(Debug, thiserror::Error)]
#[error("{typed}: not a regular expression: {why}")]
pub(crate) struct BadRegexp {
    typed: String,
    why: String,
}

impl Columns {
    /// Columns are separated by what this regular expression matches.
    ///
    /// # Errors
    /// [`BadRegexp`].
    pub(crate) fn separated_by(typed: &str) -> Result<Columns, BadRegexp> {
        Regex::new(typed).map(Columns).map_err(|why| {
            // The last line says it; those before show the place.
            let why = why.to_string().lines().last().unwrap_or_default().to_owned();
            let why = why.trim_start_matches("error: ").to_owned();
            BadRegexp { typed: typed.to_owned(), why }
        })
    }

    fn split(&self, value: &[u8]) -> Arguments {
        self.0.split(value).map(<[u8]>::to_vec).collect()
    }
}

/// The values of lists, in their shape.
pub(super) struct Shaped {
    values: Combined,
    shape: Shape,
}

impl Shaped {
    /// # Errors
    /// One line: why and where values cannot be read.
    pub(super) fn of(lists: Lists, format: &Rc<Format>, out: &Rc<Out>) -> Result<Shaped, String> {
        let Lists { groups, wraps, shape } = lists;
        Ok(Shaped { values: Combined::of(groups, wraps, format, out)?, shape })
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut all = Arguments::new();
        for _ in 0..self.shape.batch {
            let Some(values) = self.values.next()? else { break };
            match &self.shape.columns {
                Some(columns) => all.extend(values.iter().flat_map(|value| columns.split(value))),
                None => all.extend(values),
            }
        }
        all.iter_mut().for_each(|argument| trim(argument, self.shape.trims));
        Ok((!all.is_empty()).then(|| arguments::join(&all)))
    }

    /// Whether the next value, or the end, can be had without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        self.values.is_at_hand()
    }
}

fn trim(argument: &mut Vec<u8>, [from_beginning, from_end]: [bool; 2]) {
    if from_end {
        argument.truncate(argument.trim_ascii_end().len());
    }
    if from_beginning {
        let blanks = argument.len() - argument.trim_ascii_start().len();
        argument.drain(..blanks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::lists::List;
    use crate::input::tests::{lines, out};

    fn shaped(values: &[&str], shape: Shape) -> Vec<String> {
        let list = List::Arguments(values.iter().map(|value| value.as_bytes().to_vec()).collect());
        let lists = Lists { shape, ..Lists::one(list) };
        let mut shaped = Shaped::of(lists, &Rc::new(lines()), &out().0).expect("lists");
        let next = || {
            let value = shaped.next().expect("arguments")?;
            Some(String::from_utf8(value).expect("text").replace('\0', "|"))
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        let batch = |batch| shaped(&["a", "b", "", "d", "e"], Shape { batch, ..Shape::default() });
        assert_eq!(batch(1), ["a", "b", "", "d", "e"]);
        assert_eq!(batch(2), ["a|b", "|d", "e"]);
        assert_eq!(batch(9), ["a|b||d|e"]);
        assert_eq!(shaped(&[], Shape { batch: 2, ..Shape::default() }), [""; 0]);
    }

    #[test]
    fn values_are_split_into_columns() {
        let columns = |regexp: &str| Some(Columns::separated_by(regexp).expect("valid"));
        let split = |regexp: &str, value: &str| {
            shaped(&[value], Shape { columns: columns(regexp), ..Shape::default() }).remove(0)
        };
        assert_eq!(split(",", "a,b,,d,"), "a|b||d|");
        assert_eq!(split(r"\t", "a b\tc"), "a b|c");
        assert_eq!(split(r"\s+", "a  b c"), "a|b|c");
        assert_eq!(split(",", ""), "");
        let batch = Shape { columns: columns(":"), batch: 2, trims: [true, true] };
        assert_eq!(shaped(&["a : b", " c: "], batch), ["a|b|c|"]);
        let why = Columns::separated_by("(").expect_err("not closed").to_string();
        assert!(why.starts_with("(: not a regular expression: ") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn blanks_are_removed_where_they_are_to_be() {
        let trimmed = |trims| shaped(&[" \ta b\n"], Shape { trims, ..Shape::default() }).remove(0);
        assert_eq!(trimmed([false, false]), " \ta b\n");
        assert_eq!(trimmed([true, false]), "a b\n");
        assert_eq!(trimmed([false, true]), " \ta b");
        assert_eq!(trimmed([true, true]), "a b");
    }

    #[test]
    fn as_many_arguments_as_there_can_be() {
        let shape = Shape { batch: 3, ..Shape::default() };
        assert_eq!((Shape::default().arguments(1), shape.arguments(2)), (1, 6));
    }
}
