//! Tables of results.

use std::fs;

use super::{Case, STREAMS, is_there, ran, text};

/// Both programs show the same, or write the same table, but for times.
const TABLES: [Case; 14] = [
    (&["--pipe", "-N2", "--results", "-.csv", "cat"], "1\n2\n3\n"),
    (&["--pipe", "-N2", "--results", "-.json", "cat"], "1\n2\n3\n"),
    (&["--results", "made.csv", STREAMS, ":::", "a", "b c", "d,e", "f\"g"], ""),
    (&["--results", "made.TSV", STREAMS, ":::", "a", "b c", "d,e", "f\"g", "h\ti"], ""),
    (&["--results", "made.json", STREAMS, ":::", "a", "b c", "d\\e", "f\"g", "h\ti", "\u{e4}"], ""),
    (&["--results", "-.csv", STREAMS, ":::", "a", ":::", "1", "2"], ""),
    (&["--results", "-.tsv", "printf x; true", ":::", "a"], ""),
    (&["--results", "-.json", STREAMS, ":::", "a", ":::", "1", "2"], ""),
    (&["-N2", "--results", "-.csv", "echo {}", ":::", "a", "b", "c"], ""),
    (&["--tag", "--results", "-.csv", "printf 'a\\nb'; true", ":::", "a", "b"], ""),
    (&["--tagstring", "{#}", "--results", "-.json", "printf 'a\\nb'; true", ":::", "a"], ""),
    (&["-0", "--results", "-.csv", "true"], "l\nine\0\u{1}\0"),
    (&["-0", "--results", "-.json", "true"], "l\nine\0\u{1}\0"),
    (&["--results", "-.csv", "exit 9; true", ":::", "a"], ""),
];

/// A table with `T` for each number with three decimals.
fn without_times(table: &str) -> String {
    let mut out = String::new();
    let mut rest = table;
    while let Some(dot) = rest.find('.') {
        let (before, after) = rest.split_at(dot);
        let number = before.trim_end_matches(|c: char| c.is_ascii_digit());
        let decimals = after[1..].chars().take_while(char::is_ascii_digit).count();
        let is_time = number.len() < before.len() && decimals == 3;
        out.push_str(if is_time { number } else { before });
        out.push(if is_time { 'T' } else { '.' });
        rest = if is_time { &after[4..] } else { &after[1..] };
    }
    out + rest
}

#[test]
fn tables_are_those_of_gnu_parallel() {
    if !is_there() {
        return;
    }
    for (words, input) in TABLES {
        let words = [&["-k"], words].concat();
        let [real, own] = [true, false].map(|is_real| {
            let (sandbox, output) = ran(is_real, &words, input);
            let table = ["made.csv", "made.TSV", "made.json"]
                .map(|name| fs::read(sandbox.path().join(name)).unwrap_or_default());
            let shown = without_times(&text(&[output.stdout, table.concat()].concat()));
            (output.status.code(), shown, text(&output.stderr))
        });
        assert!(real.1.lines().count() >= 1, "{words:?}: {real:?}");
        assert_eq!(own, real, "{words:?}");
    }
}
