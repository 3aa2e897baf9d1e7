//! Batches: the values that one command gets together.

use std::collections::VecDeque;

use super::combining::Arguments;
use super::room::CommandRoom;
use crate::arguments::Length;

/// How many values make up a batch.
#[derive(Debug)]
pub(crate) struct BatchSize {
    /// At most this number; at least 1.
    pub(crate) values: usize,
    /// As many as there is room for; `None`: it was not looked at how much that is.
    pub(crate) room: Option<CommandRoom>,
    /// What is left for the last batch is spread over this number of them.
    pub(crate) spread: Option<usize>,
}

impl BatchSize {
    /// Each value is one of its own.
    pub(crate) const SINGLE: BatchSize = BatchSize { values: 1, room: None, spread: None };
}

/// Makes batches of values.
pub(super) struct Batches {
    batch: BatchSize,
    /// Values that were read and do not belong to the batch before.
    waiting: VecDeque<Arguments>,
    /// The number of values that were in batches.
    given: u64,
}

impl Batches {
    pub(super) fn new(batch: BatchSize) -> Batches {
        Batches { batch, waiting: VecDeque::new(), given: 0 }
    }

    /// Whether a batch is over only when it is known what follows.
    pub(super) fn looks_ahead(&self) -> bool {
        self.batch.room.is_some() && self.batch.values > 1
    }

    /// The values of the next batch, each with its arguments; empty at the end. `next`: reads a
    /// value.
    ///
    /// # Errors
    /// A value cannot be read, or there is no room for it.
    pub(super) fn next(
        &mut self,
        mut next: impl FnMut() -> Result<Option<Arguments>, String>,
    ) -> Result<Vec<Arguments>, String> {
        let mut all = Vec::new();
        let mut length = self.batch.room.as_ref().map(|room| room.command.base());
        while all.len() < self.batch.values {
            let value = match self.waiting.pop_front() {
                Some(value) => Some(value),
                None => next()?,
            };
            let Some(value) = value else { break };
            match self.with(length, &value) {
                Ok(longer) => length = longer,
                Err(_) if !all.is_empty() && !self.must_fit() => {
                    self.waiting.push_front(value);
                    break;
                }
                Err(TooLong(bytes)) => {
                    let nth = self.given + all.len() as u64 + 1;
                    return Err(match all.len() {
                        0 => {
                            format!("value {nth}: the command with it has {bytes} bytes: too long")
                        }
                        n => format!("value {nth}: a command has room for {n} values only (-x)"),
                    });
                }
            }
            all.push(value);
        }
        self.spread(&mut all, &mut next)?;
        self.given += all.len() as u64;
        Ok(all)
    }

    fn must_fit(&self) -> bool {
        self.batch.room.as_ref().is_some_and(|room| room.must_fit)
    }

    /// The length with one value more.
    fn with(&self, length: Option<Length>, value: &Arguments) -> Result<Option<Length>, TooLong> {
        let (Some(room), Some(length)) = (&self.batch.room, length) else { return Ok(None) };
        let longer = value.iter().fold(length, |sum, one| sum.and(room.command.of(one)));
        if longer.fits(room.at_most) { Ok(Some(longer)) } else { Err(TooLong(longer.chars)) }
    }

    /// If these are the last values, they are spread over several batches.
    fn spread(
        &mut self,
        all: &mut Vec<Arguments>,
        next: &mut impl FnMut() -> Result<Option<Arguments>, String>,
    ) -> Result<(), String> {
        let Some(batches) = self.batch.spread else { return Ok(()) };
        if self.waiting.is_empty() {
            self.waiting.extend(next()?);
        }
        if !self.waiting.is_empty() {
            return Ok(());
        }
        self.batch.spread = None;
        let each = all.len().div_ceil(batches.max(1)).max(1);
        self.batch.values = self.batch.values.min(each);
        self.waiting.extend(all.drain(each.min(all.len())..));
        Ok(())
    }
}

/// There is no room for a command of this length.
struct TooLong(usize);

#[cfg(test)]
mod tests {
    use super::super::room::Measure;
    use super::*;

    #[derive(Debug)]
    struct Echo;

    impl Measure for Echo {
        fn base(&self) -> Length {
            Length::of("echo".len())
        }

        fn of(&self, argument: &[u8]) -> Length {
            Length::of(argument.len())
        }
    }

    fn room(chars: usize, must_fit: bool) -> Option<CommandRoom> {
        let at_most = Length { chars, total: 1000, grows: 0, longest: 100 };
        Some(CommandRoom { command: Box::new(Echo), at_most, must_fit })
    }

    fn batches(values: usize, of: BatchSize) -> Result<String, String> {
        let mut numbers = 1..=values;
        let mut next = || Ok(numbers.next().map(|number| vec![number.to_string().into_bytes()]));
        let mut batches = Batches::new(of);
        let mut shown = Vec::new();
        loop {
            let batch = batches.next(&mut next)?;
            if batch.is_empty() {
                return Ok(shown.join("|"));
            }
            let words: Vec<_> = batch.concat().into_iter().map(String::from_utf8).collect();
            let words: Result<Vec<_>, _> = words.into_iter().collect();
            shown.push(words.expect("text").join(" "));
        }
    }

    #[test]
    fn a_batch_has_as_many_values_as_fit() {
        let of = |chars, values| {
            let room = room(chars, false);
            batches(6, BatchSize { values, room, spread: None })
        };
        assert_eq!(of(9, usize::MAX).as_deref(), Ok("1 2|3 4|5 6"));
        assert_eq!(of(10, usize::MAX).as_deref(), Ok("1 2|3 4|5 6"));
        assert_eq!(of(11, 2).as_deref(), Ok("1 2|3 4|5 6"));
        let error = of(6, usize::MAX).expect_err("too long");
        assert!(error.starts_with("value 1: "), "{error}");
        assert_eq!(of(0, 1).ok(), None, "one value alone is measured, too");
        let exact = batches(6, BatchSize { values: 3, room: room(9, true), spread: None });
        assert!(exact.expect_err("2 fit").contains("room for 2 values"));
    }

    #[test]
    fn the_last_batch_is_spread() {
        let of = |n, values, batches_of| {
            let room = room(1000, false);
            batches(n, BatchSize { values, room, spread: Some(batches_of) })
        };
        assert_eq!(of(10, usize::MAX, 3).as_deref(), Ok("1 2 3 4|5 6 7 8|9 10"));
        assert_eq!(of(10, 2, 3).as_deref(), Ok("1 2|3 4|5 6|7 8|9|10"));
        assert_eq!(of(8, 4, 3).as_deref(), Ok("1 2 3 4|5 6|7 8"));
        assert_eq!(of(3, usize::MAX, 4).as_deref(), Ok("1|2|3"));
        assert_eq!(of(0, usize::MAX, 4).as_deref(), Ok(""));
    }
}
