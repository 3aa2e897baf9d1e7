//! Combines lists: values that belong together, and all combinations.

use std::rc::Rc;

use super::lists::{List, OpenList};
use super::{Format, Out};

/// The values that make up one.
pub(super) type Arguments = Vec<Vec<u8>>;

/// Lists whose first values belong together, then the second ones, and so on.
struct Linked {
    lists: Vec<OpenList>,
    /// Shorter lists begin again.
    wraps: bool,
    /// What each list has given, and what it gives next if it is over.
    given: Vec<(Vec<Vec<u8>>, Option<usize>)>,
}

impl Linked {
    fn new(lists: Vec<OpenList>, wraps: bool) -> Linked {
        let given = lists.iter().map(|_| (Vec::new(), None)).collect();
        Linked { wraps: wraps && lists.len() > 1, lists, given }
    }

    /// One value of each list; `None` if the lists are over.
    fn next(&mut self) -> Result<Option<Arguments>, String> {
        if self.lists.is_empty() {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(self.lists.len());
        for (list, (given, again)) in self.lists.iter_mut().zip(&mut self.given) {
            let next = if again.is_none() { list.next()? } else { None };
            match next {
                Some(value) => {
                    if self.wraps {
                        given.push(value.clone());
                    }
                    values.push(value);
                }
                None if !self.wraps => return Ok(None),
                None if given.is_empty() => return Err("a list that is linked is empty".into()),
                None => {
                    let at = again.unwrap_or(0);
                    *again = Some((at + 1) % given.len());
                    values.push(given.get(at).cloned().unwrap_or_default());
                }
            }
        }
        let goes_on = self.given.iter().any(|(_, again)| again.is_none());
        Ok(Some(values).filter(|_| goes_on))
    }
}

/// All combinations of the values of several groups of lists: those of the last group change
/// fastest. Only the first group is read as the values are wanted; the others are kept in memory.
pub(super) struct Combined {
    first: Linked,
    head: Option<Arguments>,
    others: Vec<Vec<Arguments>>,
    /// Which of each of the others is next.
    at: Vec<usize>,
}

impl Combined {
    /// Reads all groups but the first. With `fills`, an empty list beside others has one empty
    /// value.
    ///
    /// # Errors
    /// One line: why and where values cannot be read, or which list is empty beside others.
    pub(super) fn of(
        groups: Vec<Vec<List>>,
        (wraps, fills): (bool, bool),
        format: &Rc<Format>,
        out: &Rc<Out>,
    ) -> Result<Combined, String> {
        let open = |list| OpenList::of(list, format, out);
        let mut groups: Vec<Vec<OpenList>> =
            groups.into_iter().map(|group| group.into_iter().map(open).collect()).collect();
        if !are_filled(&mut groups, fills)? {
            groups.clear();
        }
        let mut groups = groups.into_iter().map(|lists| Linked::new(lists, wraps));
        let first = groups.next().unwrap_or_else(|| Linked::new(Vec::new(), false));
        let mut others = Vec::new();
        for mut group in groups {
            let mut values = Vec::new();
            while let Some(value) = group.next()? {
                values.push(value);
            }
            others.push(values);
        }
        let at = vec![0; others.len()];
        Ok(Combined { first, head: None, others, at })
    }

    /// The arguments of the next combination; `None` at the end.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Arguments>, String> {
        if self.others.is_empty() {
            return self.first.next();
        }
        if self.head.is_none() {
            self.head = self.first.next()?;
        }
        let Some(head) = &self.head else { return Ok(None) };
        let others = self.others.iter().zip(&self.at).flat_map(|(values, at)| &values[*at]);
        let value = head.iter().chain(others).cloned().collect();
        if self.step() {
            self.head = None;
        }
        Ok(Some(value))
    }

    /// Goes on to the next combination with the same head. Returns whether there is none.
    fn step(&mut self) -> bool {
        for (values, at) in self.others.iter().zip(&mut self.at).rev() {
            *at = (*at + 1) % values.len();
            if *at > 0 {
                return false;
            }
        }
        true
    }

    /// Whether the next value, or the end, can be had without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        self.head.is_some() || self.first.lists.iter().all(OpenList::is_at_hand)
    }
}

/// Makes sure that no list beside others is empty: with `fills` it gets an empty value. Returns
/// whether there are values at all.
///
/// # Errors
/// A list cannot be read, or is empty.
fn are_filled(groups: &mut [Vec<OpenList>], fills: bool) -> Result<bool, String> {
    let mut lists: Vec<&mut OpenList> = groups.iter_mut().flatten().collect();
    if lists.len() < 2 {
        return Ok(true);
    }
    // The first list may be a pipe: whether the others are empty is known at once.
    let mut empty = vec![false; lists.len()];
    for (list, is_empty) in lists.iter_mut().zip(&mut empty).rev() {
        *is_empty = list.is_empty()?;
    }
    match empty.iter().position(|is_empty| *is_empty) {
        None => Ok(true),
        Some(_) if empty.iter().all(|is_empty| *is_empty) && fills => Ok(false),
        Some(at) if !fills => {
            let nth = at + 1;
            Err(format!("list {nth} is empty, so there are no combinations with it"))
        }
        Some(_) => {
            let those = lists.iter_mut().zip(&empty).filter(|(_, is_empty)| **is_empty);
            those.for_each(|(list, _)| list.fill());
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::tests::{lines, out};

    /// The values of these groups of lists, `-` between the arguments.
    fn combined(groups: &[&[&str]], wraps: bool) -> Result<String, String> {
        let list = |text: &&str| {
            List::Arguments(
                text.split_terminator(' ').map(|word| word.as_bytes().to_vec()).collect(),
            )
        };
        let groups = groups.iter().map(|group| group.iter().map(list).collect()).collect();
        let mut combined = Combined::of(groups, (wraps, false), &Rc::new(lines()), &out().0)?;
        let mut told = Vec::new();
        while let Some(value) = combined.next()? {
            told.push(String::from_utf8(value.join(&b'-')).expect("text"));
        }
        Ok(told.join(" "))
    }

    #[test]
    fn all_combinations_the_last_list_changes_fastest() {
        for (groups, expected) in [
            (&[&["a b"][..], &["c d"]][..], "a-c a-d b-c b-d"),
            (&[&["a b"], &["c"], &["d e"]], "a-c-d a-c-e b-c-d b-c-e"),
            (&[&["a b"]], "a b"),
            (&[&[""]], ""),
            (&[], ""),
        ] {
            assert_eq!(combined(groups, false).as_deref(), Ok(expected));
        }
        let empty = combined(&[&["a"], &["b"], &[""]], false).expect_err("an empty list");
        assert!(empty.starts_with("list 3 is empty"), "{empty}");
        assert!(combined(&[&["a", ""]], true).is_err(), "nothing to begin again with");
        let first = combined(&[&[""], &["a"]], false).expect_err("an empty list");
        assert!(first.starts_with("list 1 is empty"), "{first}");
    }

    #[test]
    fn linked_lists_go_on_together() {
        for (groups, wraps, expected) in [
            (&[&["a b", "c d"][..]][..], false, "a-c b-d"),
            (&[&["a b c", "d e"]], false, "a-d b-e"),
            (&[&["a b c d e", "x y", "1"]], true, "a-x-1 b-y-1 c-x-1 d-y-1 e-x-1"),
            (&[&["a b", "c d"], &["x y"]], false, "a-c-x a-c-y b-d-x b-d-y"),
            (&[&["x y"], &["a b", "c d"]], false, "x-a-c x-b-d y-a-c y-b-d"),
        ] {
            assert_eq!(combined(groups, wraps).as_deref(), Ok(expected));
        }
    }
}
