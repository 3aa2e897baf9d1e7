//! The colours of outputs (`--color`), the same as in GNU parallel: each task has one, neighbours
//! have different ones.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// Colours of the terminal's palette on which black text can be read.
const UNDER_BLACK: [RangeInclusive<u8>; 10] = [
    6..=7,
    9..=11,
    13..=15,
    40..=51,
    75..=87,
    113..=123,
    147..=159,
    171..=182,
    185..=231,
    249..=254,
];

/// The same for white text.
const UNDER_WHITE: [RangeInclusive<u8>; 11] = [
    1..=9,
    12..=13,
    16..=45,
    52..=81,
    88..=114,
    124..=149,
    160..=178,
    180..=180,
    182..=184,
    196..=214,
    232..=250,
];

/// Black and white in that palette, in three digits: then tabs stand as without colours.
const BLACK: &str = "000";
const WHITE: &str = "231";

/// The colour under white text for failed tasks.
const RED: u8 = 196;

/// What takes the colours back at the end of a line.
pub(super) const RESET: &[u8] = b"\x1b[m";

/// Makes neighbours in the list of colours different: it is sorted by what its numbers leave after
/// division by these.
const FIRST: usize = 23;
const SECOND: usize = 7;

/// What begins each line of the task with this number.
pub(super) fn of(seq: u64) -> Vec<u8> {
    static ALL: OnceLock<Vec<(u8, &str)>> = OnceLock::new();
    let all = ALL.get_or_init(in_order);
    let (background, text) = all[(seq % all.len() as u64) as usize];
    sequence(background, text)
}

/// What begins each line of a failed task.
pub(super) fn of_failure() -> Vec<u8> {
    sequence(RED, WHITE)
}

fn in_order() -> Vec<(u8, &'static str)> {
    let black = UNDER_BLACK.into_iter().flatten().map(|background| (background, BLACK));
    let white = UNDER_WHITE.into_iter().flatten().map(|background| (background, WHITE));
    let mut all: Vec<_> = black.chain(white).enumerate().collect();
    all.sort_by_key(|(at, _)| (at % FIRST, Reverse(at % SECOND)));
    all.into_iter().map(|(_, color)| color).collect()
}

/// The line is coloured to its end.
fn sequence(background: u8, text: &str) -> Vec<u8> {
    format!("\x1b[48;5;{background:03};38;5;{text}m\x1b[K").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_and_colours_begin_again() {
        assert_eq!(of(1), b"\x1b[48;5;134;38;5;231m\x1b[K");
        assert_eq!(of(2), b"\x1b[48;5;021;38;5;231m\x1b[K");
        let count = in_order().len() as u64;
        (0..count).for_each(|seq| assert_ne!(of(seq), of(seq + 1)));
        assert_eq!(of(3), of(3 + count));
        assert_eq!(of_failure(), b"\x1b[48;5;196;38;5;231m\x1b[K");
    }
}
