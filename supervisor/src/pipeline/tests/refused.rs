//! Files that are refused before anything starts.

use super::jobs::{self, StageLimits};
use super::{Graph, PipelineFile, reading};

fn refused(text: &str) -> String {
    let checked = PipelineFile::parse(text.to_owned()).and_then(|file| {
        let graph = Graph::of(&file)?;
        let limits = vec![StageLimits::default(); graph.stages.len()];
        jobs::of(&file, &graph, &reading(), &limits)
    });
    let why = checked.err().unwrap_or_else(|| panic!("not refused: {text}"));
    format!("{why}\n{}", why.excerpt().unwrap_or_default())
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let stages: [(&str, &str); 27] = [
        ("name = '1'\nfrom = 'a'\nrun = 'b'", "cannot be the name of a stage"),
        ("name = 'item'\nfrom = 'a'\nrun = 'b'", "{item} has a meaning of its own"),
        ("name = 'a'\nrun = 'b'", "needs one of `from`, `after` and `gather`"),
        ("name = 'a'\nfrom = 'x'\nafter = 'a'\nrun = 'b'", "more than one of"),
        ("name = 'a'\nfrom = 'x'", "needs `run` or `worker`"),
        ("name = 'a'\nafter = 'a'\nrun = 'b'", "wait for each other: a after a"),
        ("name = 'a'\nafter = []\nrun = 'b'", "names no stage"),
        ("name = 'a'\nafter = 'b'\nrun = 'b'", "there is no stage 'b': did you mean 'a'?"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b {out}'", "{out}: the stage has no `out`"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b {inputs}'", "only a stage with `gather`"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = 'c'", "every task would write this file"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = 'c{#}'", "{#} is no name of an item"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = 'c{}{what}'", "{what} has no meaning here"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = 'c{}{1}'", "{1} has no meaning here"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = 'c{out}'", "{out} has no meaning here"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\ntemporary = true", "needs `out`"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = '{}.c'\ntemporary = true", "reads the output"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nout = '{}.c'\nemits = 'lines'", "has no `out`"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nemits = 'words'", "words"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nmin = 3", "`min` belongs to"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nmax = 0", "must be at least 1"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nmax = -1", "-1"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nahead = 3", "no effect"),
        ("name = 'a'\nfrom = 'x'\nrun = ''", "the command is empty"),
        ("name = 'a'\nfrom = 'x'\nrun = []", "the command is empty"),
        ("name = 'a'\nfrom = 'x'\nrun = \"sh -c 'echo {}'\"", "sh -c"),
        ("name = 'a'\nfrom = 'x'\nrun = 'b'\nworker = 'c'", "both `run` and `worker`"),
    ];
    for (stage, words) in stages {
        let why = refused(&format!("[[stage]]\n{stage}\n"));
        assert!(why.contains(words), "{stage}: {why}");
        assert!(why.contains("line ") && why.contains("^"), "{stage}: {why}");
    }
}

#[test]
fn what_is_wrong_between_stages_is_named_with_its_place() {
    let two = "[[stage]]\nname = 'a'\nfrom = 'x'\nrun = 'b'\nout = '{}.o'\n\n[[stage]]\n";
    let stages: [(&str, &str); 12] = [
        ("name = 'a'\nfrom = 'x'\nrun = 'b'", "two stages are named 'a'"),
        ("name = 'c'\nafter = ['a', 'a']\nrun = 'b'", "names 'a' twice"),
        ("name = 'c'\nfrom = 'x'\nrun = 'b {a}'", "'a' is not among the stages in `after`"),
        ("name = 'c'\ngather = 'a'\nrun = 'b {item}'", "{item}: there is one task"),
        ("name = 'c'\ngather = 'a'\nrun = 'b {}'", "no single value"),
        ("name = 'c'\ngather = 'a'\nrun = 'b {inputs} {list}'", "use {list} or {list0} alone"),
        (
            "name = 'c'\ngather = 'a'\nrun = ['b', '{list0}', '{inputs}']",
            "use {list} or {list0} alone",
        ),
        ("name = 'c'\ngather = 'a'\nrun = 'b'\nmin = '101%'", "a percentage"),
        ("name = 'c'\nfrom = 'x'\nrun = 'b'\nout = '{}.o'\n", ""),
        (
            "name = 'c'\nafter = 'a'\nrun = 'b'\nout = '{item}.p'\n[[stage]]\nname = 'd'\n\
             after = ['a', 'c']\nrun = 'b'\nout = '{item}.p'",
            "stage 'c' makes the same files",
        ),
        (
            "name = 'c'\nafter = 'a'\nrun = 'b'\nemits = 'lines'\n[[stage]]\nname = 'e'\n\
             from = 'x'\nrun = 'b'\n[[stage]]\nname = 'd'\nafter = ['e', 'c']\nrun = 'b'",
            "have no items in common",
        ),
        (
            "name = 'c'\nafter = 'a'\nrun = 'b'\n[[stage]]\nname = 'd'\nafter = ['a', 'c']\n\
             run = 'b {}'",
            "{} could be any of a, c",
        ),
    ];
    for (stage, words) in stages.into_iter().filter(|(_, words)| !words.is_empty()) {
        let why = refused(&format!("{two}{stage}\n"));
        assert!(why.contains(words), "{stage}: {why}");
        assert!(why.contains("line ") && why.contains("^"), "{stage}: {why}");
    }
}

#[test]
fn the_pipelines_of_the_repository_are_right() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/pipelines");
    let mut files = vec![std::path::Path::new(root).join("reference.toml")];
    for entry in std::fs::read_dir(root).expect("readable").flatten() {
        files.push(entry.path().join("pipeline.toml"));
    }
    files.retain(|file| file.is_file());
    assert_eq!(files.len(), 6);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
        let file = PipelineFile::parse(text).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        let graph = Graph::of(&file).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        let limits = vec![StageLimits::default(); graph.stages.len()];
        let jobs = jobs::of(&file, &graph, &reading(), &limits);
        jobs.unwrap_or_else(|why| panic!("{path:?}: {why}"));
    }
}

#[test]
fn the_name_in_a_list_is_underlined() {
    let text = "[[stage]]\nname = 'a'\nfrom = 'x'\nrun = 'b'\n[[stage]]\nname = 'c'\n\
                after = ['a', 'bb']\nrun = 'b'\n";
    let why = refused(text);
    assert!(why.ends_with("  7 | after = ['a', 'bb']\n    |               ^^^^"), "{why}");
}
