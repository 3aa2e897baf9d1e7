//! How the values of lists become arguments: columns, blanks at their ends, batches.

use std::rc::Rc;

use regex::bytes::Regex;

use super::batches::{BatchSize, Batches};
use super::combining::{Arguments, Combined};
use super::lists::Lists;
use super::{Format, Out, csv};
use crate::arguments;
use crate::os::random;
use crate::regexp::{self, BadRegexp};

/// How values become arguments.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Each value is split.
    pub(crate) columns: Option<Columns>,
    /// Blanks are removed from the beginning and from the end of each argument.
    pub(crate) trims: [bool; 2],
    /// The values that make up one.
    pub(crate) batch: BatchSize,
    /// All are read before the first is handed over, and come in random order.
    pub(crate) shuffles: bool,
    /// Combinations with two equal values are left out.
    pub(crate) distinct: bool,
    /// So are those whose values do not ascend.
    pub(crate) ascending: bool,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            columns: None,
            trims: [false; 2],
            batch: BatchSize::SINGLE,
            shuffles: false,
            distinct: false,
            ascending: false,
        }
    }
}

impl Shape {
    /// Whether no task is made of these arguments.
    fn leaves_out(&self, arguments: &[Vec<u8>]) -> bool {
        let is_twice = |(at, one): (usize, &Vec<u8>)| arguments[..at].contains(one);
        let descends = |two: &[Vec<u8>]| two[0] >= two[1];
        (self.distinct && arguments.iter().enumerate().any(is_twice))
            || (self.ascending && arguments.windows(2).any(descends))
    }

    /// The largest number of arguments that a value of this number of lists has.
    pub(crate) fn arguments(&self, lists: usize) -> usize {
        match &self.columns {
            Some(_) => usize::MAX,
            None => lists.saturating_mul(self.batch.values),
        }
    }

    /// After how many arguments of a value another one of its batch begins, for this number of
    /// lists.
    pub(crate) fn counted_to(&self, lists: usize) -> usize {
        if self.batch.values > 1 && self.columns.is_none() { lists } else { usize::MAX }
    }
}

/// Splits values into columns.
#[derive(Clone, Debug)]
pub(crate) enum Columns {
    /// Where this matches.
    Regexp(Regex),
    /// At this byte, as fields of CSV.
    Csv(u8),
}

impl Columns {
    /// Columns are separated by what this regular expression matches.
    ///
    /// # Errors
    /// [`BadRegexp`].
    pub(crate) fn separated_by(typed: &str) -> Result<Columns, BadRegexp> {
        regexp::of_separator(typed.as_bytes()).map(Columns::Regexp)
    }

    /// The columns of a value.
    pub(crate) fn split(&self, value: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Columns::Regexp(regexp) => split(regexp, value),
            Columns::Csv(separator) => csv::split(value, *separator),
        }
    }
}

/// As Perl splits: what a group has matched is a column, too.
fn split(regexp: &Regex, value: &[u8]) -> Vec<Vec<u8>> {
    let (mut columns, mut from) = (Vec::new(), 0);
    for found in regexp.captures_iter(value) {
        let (begin, end) = found.get(0).map_or((from, from), |all| (all.start(), all.end()));
        columns.push(value[from..begin].to_vec());
        let group = |group: Option<regex::bytes::Match<'_>>| {
            group.map_or(Vec::new(), |group| group.as_bytes().to_vec())
        };
        columns.extend(found.iter().skip(1).map(group));
        from = end;
    }
    columns.push(value[from..].to_vec());
    columns
}

/// The values of lists, in their shape.
pub(super) struct Shaped {
    values: Combined,
    /// They were all read, and come in this order, the last first.
    shuffled: Option<Vec<Arguments>>,
    shape: Shape,
    batches: Batches,
}

impl Shaped {
    /// # Errors
    /// One line: why and where values cannot be read.
    pub(super) fn of(lists: Lists, format: &Rc<Format>, out: &Rc<Out>) -> Result<Shaped, String> {
        let Lists { groups, wraps, fills, mut shape } = lists;
        let mut values = Combined::of(groups, (wraps, fills), format, out)?;
        let shuffled = if shape.shuffles { Some(shuffled(&mut values)?) } else { None };
        let batches = Batches::new(std::mem::replace(&mut shape.batch, BatchSize::SINGLE));
        Ok(Shaped { values, shuffled, shape, batches })
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Shaped { values, shuffled, shape, batches } = self;
        loop {
            let mut all = batches.next(|| {
                let combined = match shuffled {
                    Some(values) => values.pop(),
                    None => values.next()?,
                };
                let Some(value) = combined else { return Ok(None) };
                let mut value = match &shape.columns {
                    Some(columns) => value.iter().flat_map(|one| columns.split(one)).collect(),
                    None => value,
                };
                value.iter_mut().for_each(|argument| trim(argument, shape.trims));
                Ok(Some(value))
            })?;
            let all = match all.len() {
                1 => all.remove(0),
                _ => all.concat(),
            };
            if all.is_empty() {
                return Ok(None);
            }
            if !shape.leaves_out(&all) {
                return Ok(Some(arguments::join(all)));
            }
        }
    }

    /// Whether the next value, or the end, can be had without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        let is_there = self.shuffled.is_some() || self.values.is_at_hand();
        !self.batches.looks_ahead() && is_there
    }
}

/// All values, in random order.
fn shuffled(values: &mut Combined) -> Result<Vec<Arguments>, String> {
    let mut all = Vec::new();
    while let Some(value) = values.next()? {
        all.push(value);
    }
    random::shuffle(&mut all);
    Ok(all)
}

fn trim(argument: &mut Vec<u8>, [from_beginning, from_end]: [bool; 2]) {
    // Those of Perl's \s.
    let is_text = |byte: &u8| !matches!(byte, b'\t'..=b'\r' | b' ');
    if from_end {
        let end = argument.iter().rposition(is_text).map_or(0, |last| last + 1);
        argument.truncate(end);
    }
    if from_beginning {
        let blanks = argument.iter().position(is_text).unwrap_or(argument.len());
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
        let of = |values| BatchSize { values, ..BatchSize::SINGLE };
        let batch = |values| {
            let shape = Shape { batch: of(values), ..Shape::default() };
            shaped(&["a", "b", "", "d", "e"], shape)
        };
        assert_eq!(batch(1), ["a", "b", "", "d", "e"]);
        assert_eq!(batch(2), ["a|b", "|d", "e"]);
        assert_eq!(batch(9), ["a|b||d|e"]);
        assert_eq!(shaped(&[], Shape { batch: of(2), ..Shape::default() }), [""; 0]);
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
        assert_eq!(split("(,)|(;)", ",a;b"), "|,||a||;|b");
        let batch = BatchSize { values: 2, ..BatchSize::SINGLE };
        let batch = Shape { columns: columns(":"), batch, trims: [true, true], ..Shape::default() };
        assert_eq!(shaped(&["a : b", " c: "], batch), ["a|b|c|"]);
        let why = Columns::separated_by("(").expect_err("not closed").to_string();
        assert!(why.starts_with("(: not a regular expression: ") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn combinations_are_left_out() {
        let values = ["a", "b", "b", "b", "b", "a"];
        let pairs = |shape: Shape| {
            shaped(&values, Shape { batch: BatchSize { values: 2, ..BatchSize::SINGLE }, ..shape })
        };
        assert_eq!(pairs(Shape::default()), ["a|b", "b|b", "b|a"]);
        assert_eq!(pairs(Shape { distinct: true, ..Shape::default() }), ["a|b", "b|a"]);
        assert_eq!(pairs(Shape { ascending: true, ..Shape::default() }), ["a|b"]);
    }

    #[test]
    fn all_values_come_in_another_order() {
        let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let typed: Vec<&str> = values.iter().map(String::as_str).collect();
        let shuffles = || shaped(&typed, Shape { shuffles: true, ..Shape::default() });
        let (mut first, second) = (shuffles(), shuffles());
        assert!(first != second && first != values, "one in 100! orders");
        first.sort_by_key(|number| number.parse::<u32>().ok());
        assert_eq!(first, values);
    }

    #[test]
    fn blanks_are_removed_where_they_are_to_be() {
        let trimmed = |trims| shaped(&[" \ta b\n"], Shape { trims, ..Shape::default() }).remove(0);
        assert_eq!(trimmed([false, false]), " \ta b\n");
        assert_eq!(trimmed([true, false]), "a b\n");
        assert_eq!(trimmed([false, true]), " \ta b");
        assert_eq!(trimmed([true, true]), "a b");
        let all = Shape { trims: [true, true], ..Shape::default() };
        assert_eq!(shaped(&["\u{b}\u{c}a\u{c}\u{b}"], all), ["a"]);
    }

    #[test]
    fn as_many_arguments_as_there_can_be() {
        let batch = BatchSize { values: 3, ..BatchSize::SINGLE };
        let shape = Shape { batch, ..Shape::default() };
        assert_eq!((Shape::default().arguments(1), shape.arguments(2)), (1, 6));
    }
}
