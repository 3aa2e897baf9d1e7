//! Finds what is known of a task in a list that may have changed: by its content, and among equal
//! ones by its number.

use std::collections::{HashMap, VecDeque};

use super::story::{Known, Story};

/// What is known, by task content.
#[derive(Debug)]
pub(crate) struct Matches {
    pub(super) ends: ByContent<Known>,
    pub(super) open: ByContent<Story>,
    /// For tasks that the journal does not mention.
    unheard: Story,
}

/// What was found of a task.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its end, and the number that it had then.
    End(Known, u64),
    /// What is known of an unfinished one, and its number if that was another one.
    Story(Story, Option<u64>),
}

impl Matches {
    pub(super) fn new(unheard: Story) -> Matches {
        Matches { ends: ByContent::default(), open: ByContent::default(), unheard }
    }

    /// What is known of the task with this number and content: of the one that had both, else of
    /// another one with this content that is left over.
    pub(crate) fn find(&mut self, seq: u64, content: &[u8]) -> Found {
        if let Some((end, before)) = self.ends.take(content, seq) {
            return Found::End(end, before);
        }
        if let Some((story, _)) = self.open.take(content, seq) {
            return Found::Story(story, None);
        }
        if let Some((end, before)) = self.ends.take_other(content, seq) {
            return Found::End(end, before);
        }
        match self.open.take_other(content, seq) {
            Some((story, before)) => Found::Story(story, Some(before)),
            None => Found::Story(self.unheard.clone(), None),
        }
    }

    /// The number of finished tasks that were not found.
    pub(crate) fn left(&self) -> usize {
        self.ends.0.values().map(VecDeque::len).sum()
    }
}

/// Things that are known of tasks: for each content, with the tasks' numbers, in their order.
#[derive(Debug)]
pub(super) struct ByContent<T>(HashMap<Vec<u8>, VecDeque<(u64, T)>>);

impl<T> Default for ByContent<T> {
    fn default() -> ByContent<T> {
        ByContent(HashMap::new())
    }
}

impl<T> ByContent<T> {
    /// The numbers must not fall.
    pub(super) fn add(&mut self, content: Vec<u8>, seq: u64, known: T) {
        self.0.entry(content).or_default().push_back((seq, known));
    }

    /// What is known of the task with this number.
    fn take(&mut self, content: &[u8], seq: u64) -> Option<(T, u64)> {
        let all = self.0.get_mut(content)?;
        let at = all.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        let (before, known) = all.remove(at)?;
        if all.is_empty() {
            self.0.remove(content);
        }
        Some((known, before))
    }

    /// What is known of another one. Tasks come in the order of their numbers: one before `seq`
    /// has found what it could, and of those after it the last one is the least likely to come.
    fn take_other(&mut self, content: &[u8], seq: u64) -> Option<(T, u64)> {
        let all = self.0.get_mut(content)?;
        let has_passed = all.front().is_some_and(|(first, _)| *first < seq);
        let (before, known) = if has_passed { all.pop_front() } else { all.pop_back() }?;
        if all.is_empty() {
            self.0.remove(content);
        }
        Some((known, before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(numbers: &[u64]) -> ByContent<()> {
        let mut all = ByContent::default();
        numbers.iter().for_each(|seq| all.add(b"a".to_vec(), *seq, ()));
        all
    }

    #[test]
    fn the_one_with_the_number_is_found_and_else_the_one_least_likely_to_come() {
        let mut all = numbered(&[2, 5, 9]);
        assert!(all.take(b"a", 3).is_none() && all.take(b"b", 2).is_none());
        assert_eq!(all.take(b"a", 5), Some(((), 5)));
        assert_eq!(all.take_other(b"a", 1), Some(((), 9)), "2 may still come");
        assert_eq!(all.take_other(b"a", 3), Some(((), 2)));
        assert!(all.take_other(b"a", 4).is_none() && all.0.is_empty());
        assert_eq!(numbered(&[2, 9]).take_other(b"a", 4), Some(((), 2)), "2 has passed");
    }
}
