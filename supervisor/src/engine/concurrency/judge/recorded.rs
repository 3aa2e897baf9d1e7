//! What real programs did, several runs of each: `tests/bench/record` writes the files.

use std::sync::OnceLock;

use super::loads::Spell;

/// A run after the other, with an empty line between them; a spell on each line.
const FILES: [(&str, &str); 5] = [
    ("compress", include_str!("recorded/compress.txt")),
    ("database", include_str!("recorded/database.txt")),
    ("checksum", include_str!("recorded/checksum.txt")),
    ("download", include_str!("recorded/download.txt")),
    ("script", include_str!("recorded/script.txt")),
];

/// A name, and runs.
type Program = (&'static str, Vec<Vec<Spell>>);

/// Names of programs, and runs of each.
pub(in crate::engine::concurrency) fn programs()
-> impl Iterator<Item = (&'static str, &'static [Vec<Spell>])> {
    static ALL: OnceLock<Vec<Program>> = OnceLock::new();
    let read = |(name, file): (&'static str, &str)| (name, file.split("\n\n").map(run).collect());
    let all = ALL.get_or_init(|| FILES.into_iter().map(read).collect());
    all.iter().map(|(name, runs)| (*name, &**runs))
}

fn run(lines: &str) -> Vec<Spell> {
    let spell = |line: &str| {
        let (cpu, wait) = line.split_once(' ')?;
        Some((cpu.parse().ok()?, wait.parse().ok()?))
    };
    lines.trim().lines().map(|line| spell(line).expect("two numbers")).collect()
}
