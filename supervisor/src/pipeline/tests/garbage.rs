//! Files that are damaged at random are refused or read, and never more than that.

use proptest::prelude::*;

use super::jobs::{self, StageLimits};
use super::{Graph, PipelineFile, reading};

const REFERENCE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/pipelines/reference.toml"));

/// Pieces that mean something in a pipeline file.
const PIECES: [&str; 24] = [
    "[[stage]]\n",
    "name = 'a'\n",
    "name = \"b\"\n",
    "after = 'a'\n",
    "after = ['a', 'b']\n",
    "gather = \"a\"\n",
    "from = 'in/*'\n",
    "from = {values = ['x']}\n",
    "run = 'c {} {out}'\n",
    "run = ['c', '{a/.}']\n",
    "worker = 'w'\n",
    "out = 'o/{/.}'\n",
    "out = '{item}{b}'\n",
    "temporary = true\n",
    "emits = 'lines'\n",
    "max = 2\n",
    "ahead = 0\n",
    "min = '3%'\n",
    "{",
    "}",
    "'",
    "\n",
    "\u{e9}",
    "=",
];

/// Reads and checks a file. Whether it is right.
fn check(text: String) -> bool {
    let checked = PipelineFile::parse(text).and_then(|file| {
        let graph = Graph::of(&file)?;
        let limits = vec![StageLimits::default(); graph.stages.len()];
        jobs::of(&file, &graph, &reading(), &limits)
    });
    // An error can be shown.
    checked.map_err(|why| (why.to_string(), why.excerpt())).is_ok()
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_or_read(
        at in 0..REFERENCE.len(),
        len in 0..40_usize,
        piece in 0..PIECES.len(),
    ) {
        let begin = REFERENCE.floor_char_boundary(at);
        let end = REFERENCE.floor_char_boundary((at + len).min(REFERENCE.len()));
        check([&REFERENCE[..begin], PIECES[piece], &REFERENCE[end.max(begin)..]].concat());
    }

    #[test]
    fn pieces_in_any_order_are_refused_or_read(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..30),
    ) {
        check(pieces.into_iter().map(|piece| PIECES[piece]).collect());
    }
}

#[test]
fn the_reference_is_right() {
    assert!(check(REFERENCE.to_owned()));
}
