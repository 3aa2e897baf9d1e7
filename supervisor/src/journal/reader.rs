//! Reads a journal that may have been cut off or damaged: whole lines count, others are reported.

use std::io::{self, BufRead};

use super::Record;
use super::line::{self, Line, Seed};

/// The state of a journal, apart from its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// The next record's number.
    pub(crate) next: u64,
    /// Bytes up to the end of the last line: what comes after is the torn end of a write.
    pub(crate) whole: u64,
    /// Bytes of that torn end.
    pub(crate) torn: u64,
    /// The number of lines that cannot be read, are duplicates, or are missing.
    pub(crate) damaged: u64,
}

/// The run that a journal belongs to, from the first `run` record. `None` if there is none.
///
/// # Errors
/// It cannot be read.
pub(crate) fn seed(mut input: impl BufRead) -> io::Result<Option<Seed>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let found = line.strip_suffix(b"\n").and_then(Seed::of);
        if found.is_some() {
            return Ok(found);
        }
    }
}

/// Goes through all records of this run in order, each with the time it was written, in seconds
/// since 1970.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(
    mut input: impl BufRead,
    seed: &Seed,
    mut each: impl FnMut(f64, Record),
) -> io::Result<Condition> {
    let mut condition = Condition { next: 1, ..Condition::default() };
    let mut line = Vec::new();
    // Unreadable lines since the last readable one.
    let mut unread = 0;
    // Whether all lines since the last `run` record may be unbound.
    let mut is_old = seed.is_old();
    loop {
        line.clear();
        let len = input.read_until(b'\n', &mut line)? as u64;
        let Some(content) = line.strip_suffix(b"\n") else {
            // An interrupted write. It is discarded even if only the newline is missing.
            condition.torn = len;
            condition.damaged += unread;
            return Ok(condition);
        };
        condition.whole += len;
        let is_believed = |line: &Line| {
            let is_run = matches!(line.record, Record::Run(_));
            (line.is_bound || is_run || is_old) && line.head.n >= condition.next
        };
        match line::read(content, seed) {
            Some(line) if is_believed(&line) => {
                let Line { head, record, is_bound } = line;
                // A missing line and an unreadable one are mostly the same.
                condition.damaged += unread.max(head.n - condition.next);
                unread = 0;
                condition.next = head.n + 1;
                is_old &= !is_bound;
                each(head.t, record);
            }
            // A copied line: its record was already read.
            Some(line) if line.head.n < condition.next => condition.damaged += 1,
            _ => unread += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Head;
    use super::*;

    fn seed() -> Seed {
        Seed::new("1-2")
    }

    fn journal(lines: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 1..=lines {
            line::write(Head { n, t: 0.0 }, &Record::InputsEnd { total: n }, &seed(), &mut out);
        }
        out
    }

    fn totals(bytes: &[u8]) -> (Vec<u64>, Condition) {
        let mut totals = Vec::new();
        let condition = read(bytes, &seed(), |_, record| {
            let Record::InputsEnd { total } = record else { panic!("not written") };
            totals.push(total);
        });
        (totals, condition.expect("memory can be read"))
    }

    #[test]
    fn cut_at_every_byte_all_whole_lines_count() {
        let bytes = journal(5);
        let ends: Vec<usize> =
            (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect();
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let (totals, condition) = totals(&bytes[..cut]);
            assert_eq!(totals.len(), whole, "cut at {cut}");
            let end = whole.checked_sub(1).map_or(0, |last| ends[last]);
            assert_eq!((condition.whole, condition.torn), (end as u64, (cut - end) as u64));
            assert_eq!((condition.damaged, condition.next), (0, whole as u64 + 1));
        }
    }

    #[test]
    fn a_damaged_middle_costs_only_itself() {
        let bytes = journal(9);
        let third = bytes.len() / 3;
        let mut zeroed = bytes.clone();
        zeroed[third..2 * third].fill(0);
        let (left, condition) = totals(&zeroed);
        assert_eq!(left.len() as u64 + condition.damaged, 9);
        assert!(left.contains(&1) && left.contains(&9) && condition.damaged >= 3);
        assert_eq!((condition.torn, condition.next), (0, 10));
    }

    #[test]
    fn a_block_that_stands_there_twice_is_heard_once() {
        let bytes = journal(4);
        let half = bytes.len() / 2;
        let at = bytes[..half].iter().rposition(|byte| *byte == b'\n').expect("lines") + 1;
        let doubled = [&bytes[..at], &bytes[..at], &bytes[at..]].concat();
        let (left, condition) = totals(&doubled);
        assert_eq!(left, [1, 2, 3, 4]);
        assert!(condition.damaged > 0);
    }

    #[test]
    fn a_block_that_was_taken_out_is_missed() {
        let bytes = journal(4);
        let ends: Vec<usize> =
            (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect();
        let (left, condition) = totals(&[&bytes[..ends[0]], &bytes[ends[2]..]].concat());
        assert_eq!((left, condition.damaged), (vec![1, 4], 2));
    }

    #[test]
    fn lines_of_another_run_are_passed_over() {
        let mut bytes = journal(2);
        let head = Head { n: 3, t: 0.0 };
        line::write(head, &Record::InputsEnd { total: 9 }, &Seed::new("1-3"), &mut bytes);
        let (left, condition) = totals(&bytes);
        assert_eq!((left, condition.damaged, condition.next), (vec![1, 2], 1, 3));
    }

    #[test]
    fn lines_without_a_run_are_believed_before_the_first_one_with_it() {
        let run = |schema: u32, generation: u32| {
            format!(
                concat!(
                    r#""event":"run","schema":{schema},"run":"1-2","version":"0","#,
                    r#""generation":{generation},"arguments":[],"folder":"","pid":1"#
                ),
                schema = schema,
                generation = generation
            )
        };
        let plain = |n: u64, record: &str| {
            let body = format!("{{\"n\":{n},\"t\":0.000,{record}");
            let crc = crc32fast::hash(body.as_bytes());
            format!("{body},\"crc\":\"{crc:08x}\"}}\n").into_bytes()
        };
        let end = |total: u64| format!(r#""event":"inputs-end","total":{total}"#);
        let mut bytes = [plain(1, &run(1, 1)), plain(2, &end(2)), plain(3, &run(2, 2))].concat();
        let bound = Head { n: 4, t: 0.0 };
        line::write(bound, &Record::InputsEnd { total: 4 }, &Seed::new("1-2"), &mut bytes);
        bytes.extend(plain(5, &end(5)));
        let seed = super::seed(&bytes[..]).expect("readable").expect("it names its run");
        let mut left = Vec::new();
        let condition = read(&bytes[..], &seed, |_, record| {
            if let Record::InputsEnd { total } = record {
                left.push(total);
            }
        });
        assert_eq!((left, condition.expect("readable").damaged), (vec![2, 4], 1));
    }
}
