//! Cutting beside a simple splitter, and what streams and files have in common.

use std::io::Write;

use proptest::prelude::*;

use super::*;

/// Bytes that arrive in pieces.
struct Pieces {
    all: Vec<u8>,
    arrived: usize,
    piece: usize,
    is_late: bool,
    reads: std::cell::Cell<usize>,
}

impl Pieces {
    fn of(all: &[u8], piece: usize) -> Pieces {
        Pieces { all: all.to_vec(), arrived: 0, piece, is_late: false, reads: Default::default() }
    }
}

impl Bytes for Pieces {
    fn reach(&mut self, to: u64) -> io::Result<u64> {
        while (self.arrived as u64) < to && self.arrived < self.all.len() {
            self.arrived = (self.arrived + self.piece).min(self.all.len());
        }
        Ok(self.arrived as u64)
    }

    /// The time is over before each piece comes.
    fn reach_by(&mut self, to: u64, _until: Instant) -> io::Result<bool> {
        if self.arrived == self.all.len() {
            return Ok(true);
        }
        self.is_late = (self.arrived as u64) < to && !self.is_late;
        if self.is_late || self.arrived as u64 >= to {
            return Ok(!self.is_late);
        }
        self.arrived = (self.arrived + self.piece).min(self.all.len());
        Ok(self.arrived as u64 >= to)
    }

    fn at_hand(&self) -> u64 {
        self.arrived as u64
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        let at = at as usize;
        assert!(at + buffer.len() <= self.arrived, "it has not arrived");
        buffer.copy_from_slice(&self.all[at..at + buffer.len()]);
        Ok(())
    }
}

fn cutting(boundary: Boundary, block: u64) -> Cutting {
    Cutting {
        boundary,
        block,
        rounds_up: false,
        records: None,
        parts: 1,
        preamble: Preamble::default(),
        removes: false,
        waits: None,
    }
}

fn strings(end: &str, start: &str) -> Boundary {
    Boundary::of_strings(end.into(), start.into())
}

/// The blocks of these bytes, and the header.
fn blocks(all: &[u8], piece: usize, cutting: Cutting) -> (Vec<Vec<u8>>, Vec<u8>) {
    let bytes = Pieces::of(all, piece);
    let mut cutter = Cutter::new(bytes, 0, cutting);
    let (mut blocks, mut at) = (Vec::new(), None);
    while let Some(block) = cutter.next().expect("bytes in memory") {
        let begin = *at.get_or_insert(cutter.header().end());
        assert_eq!(block.at, begin, "nothing is left out");
        at = Some(block.end());
        blocks.push(all[block.at as usize..block.end() as usize].to_vec());
    }
    let header = cutter.header();
    (blocks, all[header.at as usize..header.end() as usize].to_vec())
}

fn texts(all: &str, cutting: Cutting) -> Vec<String> {
    let blocks = blocks(all.as_bytes(), 3, cutting).0;
    blocks.into_iter().map(|block| String::from_utf8(block).expect("text")).collect()
}

#[test]
fn blocks_are_as_large_as_they_may_be_and_end_with_a_record() {
    let cut = |block| texts("1\n2\n3\n10\n11\n", cutting(strings("\n", ""), block));
    assert_eq!(cut(4), ["1\n2\n", "3\n", "10\n", "11\n"]);
    assert_eq!(cut(100), ["1\n2\n3\n10\n11\n"]);
    assert_eq!(cut(1), ["1\n", "2\n", "3\n", "10\n", "11\n"], "no record is cut");
    assert_eq!(texts("abcdefg", cutting(Boundary::Anywhere, 3)), ["abc", "def", "g"]);
    assert_eq!(texts("", cutting(strings("\n", ""), 3)), [""; 0]);
    let starts = texts(">a\nb\n>c\n>d", cutting(strings("", ">"), 5));
    assert_eq!(starts, [">a\nb\n", ">c\n", ">d"]);
    let both = texts("a\n>b\nc\n>d", cutting(strings("\n", ">"), 5));
    assert_eq!(both, ["a\n", ">b\nc\n", ">d"]);
    let matching = Boundary::matching("[0-9]+", "", false).expect("valid");
    assert_eq!(texts("a1b22c333d", cutting(matching, 5)), ["a1b22", "c333", "d"]);
}

/// Pieces of three bytes arrive, each after the time.
#[test]
fn a_block_that_is_late_ends_behind_the_last_record() {
    let late = |all, boundary, block| {
        let waits = Some(std::time::Duration::ZERO);
        texts(all, Cutting { waits, ..cutting(boundary, block) })
    };
    let lines = || strings("\n", "");
    assert_eq!(late("1\n2\n3\n10\n11", lines(), 100), ["1\n", "2\n3\n", "10\n", "11"]);
    assert_eq!(late("abcdefgh\ni\n", lines(), 100), ["abcdefgh\n", "i\n"]);
    assert_eq!(late("abcdefg", Boundary::Anywhere, 100), ["abc", "def", "g"]);
    assert_eq!(late("1\n2\n3\n", lines(), 2), ["1\n", "2\n", "3\n"], "they are full");
    let matching = Boundary::matching("[0-9]", "", false).expect("valid");
    assert_eq!(late("ab1c2d", matching, 100), ["ab1", "c2", "d"]);
    let waits = Some(std::time::Duration::ZERO);
    let pairs = Cutting { waits, parts: 2, ..cutting(lines(), 100) };
    assert_eq!(texts("1\n2\n3\n4\n5\n", pairs), ["1\n2\n", "3\n4\n", "5\n"]);
    let counted = Cutting { waits, records: Some(2), ..cutting(lines(), 100) };
    assert_eq!(texts("1\n2\n3\n", counted), ["1\n2\n", "3\n"]);
}

#[test]
fn parts_of_a_file_end_with_the_record_in_which_they_have_their_size() {
    let parts = |block| {
        let rounded = Cutting { rounds_up: true, ..cutting(strings("\n", ""), block) };
        texts("1\n22\n333\n4\n", rounded)
    };
    assert_eq!(parts(3), ["1\n22\n", "333\n", "4\n"]);
    assert_eq!(parts(4), ["1\n22\n", "333\n4\n"]);
    assert_eq!(parts(1), ["1\n", "22\n", "333\n", "4\n"]);
    assert_eq!(parts(50), ["1\n22\n333\n4\n"]);
}

#[test]
fn records_are_counted() {
    let counted =
        |records, parts, block| Cutting { records, parts, ..cutting(strings("\n", ""), block) };
    let lines = "1\n2\n3\n4\n5\n6\n7";
    assert_eq!(texts(lines, counted(Some(3), 1, 1)), ["1\n2\n3\n", "4\n5\n6\n", "7"]);
    assert_eq!(texts(lines, counted(Some(2), 2, 1)), ["1\n2\n3\n4\n", "5\n6\n7"]);
    assert_eq!(texts(lines, counted(None, 2, 9)), ["1\n2\n3\n4\n", "5\n6\n7"]);
    assert_eq!(texts(lines, counted(None, 3, 2)), ["1\n2\n3\n", "4\n5\n6\n", "7"]);
    let matching = Boundary::matching("\n+", "", false).expect("valid");
    let counted = Cutting { records: Some(1), ..cutting(matching, 1) };
    assert_eq!(texts("a\n\n\nb\nc", counted), ["a\n\n\n", "b\n", "c"]);
}

#[test]
fn what_matches_nothing_separates_lines_or_bytes() {
    for piece in 1..6 {
        let cut = |end: &str, start: &str, text: &str| {
            let matching = Boundary::matching(end, start, false).expect("valid");
            let cutting = Cutting { records: Some(1), ..cutting(matching, 1) };
            let (blocks, _) = blocks(text.as_bytes(), piece, cutting);
            let text = |block: &Vec<u8>| String::from_utf8(block.clone()).expect("text");
            blocks.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(cut("", "^X", "aXb\nXc\nXd"), ["aXb\n", "Xc\n", "Xd"]);
        assert_eq!(cut("$", "", "1\n2\n"), ["1", "\n2", "\n"]);
        assert_eq!(cut("^", "", "1\n2\n").concat(), "1\n2\n");
        assert_eq!(cut("x*", "", "axxb").concat(), "axxb");
    }
}

#[test]
fn a_header_is_no_part_of_a_block() {
    let with = |header| {
        let preamble = Preamble { skips_line: false, header: Some(header) };
        let cutting = Cutting { preamble, ..cutting(strings("\n", ""), 2) };
        let (blocks, header) = blocks(b"#1\n#2\na\nb\n", 1, cutting);
        (String::from_utf8(header).expect("text"), blocks.len())
    };
    assert_eq!(with(BlockHeader::Lines(2)), ("#1\n#2\n".into(), 2));
    assert_eq!(with(BlockHeader::Lines(4)), ("#1\n#2\na\nb\n".into(), 0));
    assert_eq!(with(BlockHeader::Lines(5)), (String::new(), 4), "less than a header is data");
    let regexp = regex::bytes::Regex::new("(?:#.*\n)*").expect("valid");
    assert_eq!(with(BlockHeader::Matching(regexp)).0, "", "a header is within the first block");
}

#[test]
fn the_line_before_the_header_is_in_no_block() {
    let with = |header: Option<BlockHeader>, piece| {
        let preamble = Preamble { skips_line: true, header };
        let cutting = Cutting { preamble, ..cutting(strings("\n", ""), 2) };
        let (blocks, header) = blocks(b"#1\n#2\na\nb\n", piece, cutting);
        (
            String::from_utf8(header).expect("text"),
            String::from_utf8(blocks.concat()).expect("text"),
        )
    };
    for piece in [1, 100] {
        assert_eq!(with(None, piece).1, "#2\na\nb\n");
        let lines = with(Some(BlockHeader::Lines(1)), piece);
        assert_eq!(lines, ("#2\n".into(), "a\nb\n".into()));
        let matching = BlockHeader::matching("#").expect("valid");
        assert_eq!(with(Some(matching), piece), ("#".into(), "2\na\nb\n".into()));
    }
}

/// Each search looks at all that has no boundary: there are few of them.
#[test]
fn a_long_record_is_not_searched_again_and_again() {
    let boundary = Boundary::matching("x", "", false).expect("valid");
    let cutting = Cutting { records: Some(1), ..cutting(boundary, 1) };
    let all = [&vec![b'a'; 4 << 20][..], b"xb"].concat();
    let mut cutter = Cutter::new(Pieces::of(&all, all.len()), 0, cutting);
    let block = cutter.next().expect("bytes in memory").expect("a block");
    assert_eq!(block.len, (4 << 20) + 1);
    let reads = cutter.bytes().reads.get();
    assert!(reads < 20, "it was read in {reads} parts");
}

#[test]
fn a_boundary_may_be_longer_than_what_is_looked_at() {
    let end = "a".repeat(70_000);
    let all = [&[0; 100_000][..], end.as_bytes(), &[0; 100_000]].concat();
    let parts = blocks(&all, 4_000, cutting(strings(&end, ""), 10_000)).0;
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [170_000, 100_000]);
}

#[test]
fn separators_are_removed() {
    let removed = |boundary: Boundary, block: &str| {
        String::from_utf8(boundary.removed_from(block.as_bytes())).expect("text")
    };
    assert_eq!(removed(strings("::", ""), "a::b::"), "ab");
    assert_eq!(removed(strings("\n", ">"), ">a\n>b\n"), "ab");
    assert_eq!(removed(Boundary::Anywhere, "a"), "a");
    let matching = || Boundary::matching("[;,]", "", false).expect("valid");
    assert_eq!(removed(matching(), "a;b,"), "ab");
}

#[test]
fn a_stream_takes_no_more_memory_than_it_may() {
    const BLOCK: u64 = 1000;
    let (theirs, ours) = std::io::pipe().expect("a pipe");
    let writer = std::thread::spawn(move || {
        let mut ours = ours;
        (0..100_000).try_for_each(|number| writeln!(ours, "{number:08}"))
    });
    let stream = File::from(OwnedFd::from(theirs));
    let at_most = 10 * BLOCK;
    let cut = cutting(strings("\n", ""), BLOCK);
    let (mut blocks, file, room) =
        Blocks::of_stream(stream, "test".into(), cut, at_most).expect("memory");
    let (file, room) = (File::from(file), room.expect("blocks are in memory"));
    let (mut waiting, mut arrived) = (std::collections::VecDeque::new(), Vec::new());
    while let Some(value) = blocks.next().expect("a stream") {
        waiting.push_back(value);
        if waiting.len() as u64 * BLOCK >= at_most {
            let value = waiting.pop_front().expect("there is one");
            let [part] = extent::of_value(&value).expect("a block")[..] else {
                panic!("{value:?}")
            };
            let mut block = vec![0; part.len as usize];
            file.read_exact_at(&mut block, part.at).expect("it was not released");
            arrived.extend(block);
            room.release(&value);
        }
    }
    writer.join().expect("no panic").expect("it was read");
    let held = std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("a file")) * 512;
    // What a pipe holds is read at once.
    assert!(held <= at_most + (256 << 10), "{held} bytes are held");
    assert!(arrived.starts_with(b"00000000\n00000001\n"));
    let waits = |value: &Vec<u8>| {
        extent::of_value(value).iter().flatten().map(|part| part.len as usize).sum::<usize>()
    };
    assert_eq!(arrived.len() + waiting.iter().map(waits).sum::<usize>(), 900_000);
}

/// The records of these bytes, found in the simplest way.
fn records(all: &[u8], end: &[u8]) -> Vec<Vec<u8>> {
    let (mut records, mut record) = (Vec::new(), Vec::new());
    for byte in all {
        record.push(*byte);
        if record.ends_with(end) {
            records.push(std::mem::take(&mut record));
        }
    }
    records.extend(Some(record).filter(|record| !record.is_empty()));
    records
}

proptest! {
    #[test]
    fn no_record_is_cut(
        all in "[ab\n]{0,300}",
        end in "\n|ab|b\n",
        block in 1u64..40,
        piece in 1usize..50,
        count in proptest::option::of(1u64..5),
        rounds_up: bool,
    ) {
        let cutting = Cutting {
            records: count,
            rounds_up: rounds_up && count.is_none(),
            ..cutting(strings(&end, ""), block)
        };
        let cut = blocks(all.as_bytes(), piece, cutting).0;
        prop_assert_eq!(cut.concat(), all.as_bytes());
        let expected = records(all.as_bytes(), end.as_bytes());
        let found: Vec<_> = cut.iter().flat_map(|part| records(part, end.as_bytes())).collect();
        prop_assert_eq!(&found, &expected);
        if let Some(count) = count {
            let numbers = cut.iter().map(|part| records(part, end.as_bytes()).len() as u64);
            let numbers: Vec<u64> = numbers.collect();
            let whole = numbers.len().saturating_sub(1);
            prop_assert!(numbers[..whole].iter().all(|number| *number == count));
        } else if !rounds_up {
            let is_small = |part: &Vec<u8>| {
                part.len() as u64 <= block || records(part, end.as_bytes()).len() == 1
            };
            prop_assert!(cut.iter().all(is_small));
        }
    }
}
