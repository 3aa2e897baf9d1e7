//! Sizes: of functions, structs and files, and of lines.

use std::path::Path;

use super::{files, read, root};

const FUNCTION_AT_MOST: usize = 70;
const STRUCT_AT_MOST: usize = 15;
const FILE_AT_MOST: usize = 400;
const COLUMNS_AT_MOST: usize = 100;

/// What is larger than it may be, and how large: it may shrink, and what has shrunk enough leaves
/// the list.
type Larger = &'static [(&'static str, usize)];

const LONG_FUNCTIONS: Larger = &[];

const LARGE_STRUCTS: Larger = &[
    // One field for each flag: clap derives the command line from it.
    ("supervisor/src/cli/args.rs Args", 34),
];

const LONG_FILES: Larger = &[];

/// Lines over [`COLUMNS_AT_MOST`] in the whole tree.
const WIDE_LINES: usize = 3;

/// A file as a list of lines, by its path in the tree.
fn sources() -> impl Iterator<Item = (String, Vec<String>)> {
    files(".", ".rs").into_iter().map(|path| {
        let lines = read(&path).lines().map(str::to_owned).collect();
        (in_tree(&path), lines)
    })
}

fn in_tree(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("a file of the tree").display().to_string();
    path.trim_start_matches("./").to_owned()
}

/// Compares what was found with the list: nothing may grow or be new, and the list may not be out
/// of date.
fn compare(found: Vec<(String, usize)>, list: Larger, at_most: usize) {
    let mut wrong = Vec::new();
    for (name, size) in &found {
        match list.iter().find(|(listed, _)| listed == name) {
            None => wrong.push(format!("{name}: {size}, at most {at_most}")),
            Some((_, listed)) if size > listed => {
                wrong.push(format!("{name}: {size}, it was {listed}"));
            }
            Some(_) => {}
        }
    }
    for (listed, _) in list.iter().filter(|(name, _)| !found.iter().any(|one| one.0 == *name)) {
        wrong.push(format!("{listed}: small enough now, or gone: take it from the list"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// The name after this word, where it begins an item.
fn named<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(inside) => inside.split_once(')')?.1,
            None => after,
        };
    }
    let rest = rest.trim_start();
    let rest = ["const ", "unsafe ", "extern \"C\" "]
        .iter()
        .fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    let rest = rest.strip_prefix(word)?.strip_prefix(' ')?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

/// How many lines from here to the one that closes what begins here, both included; `None` for what
/// has no body.
fn body(lines: &[String], start: usize) -> Option<usize> {
    let close = format!("{}}}", indent(&lines[start]));
    for (at, line) in lines.iter().enumerate().skip(start) {
        if line.starts_with(&close) && indent(line) == indent(&lines[start]) {
            return Some(at - start + 1);
        }
        let is_over = at == start && (line.ends_with('}') || line.ends_with(';'));
        if is_over || (at > start && line.ends_with(';') && indent(line) == indent(&lines[start])) {
            return None;
        }
    }
    None
}

#[test]
fn functions_are_short() {
    let mut found = Vec::new();
    for (path, lines) in sources() {
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = named(line, "fn") else { continue };
            if let Some(len) = body(&lines, at).filter(|len| *len > FUNCTION_AT_MOST) {
                found.push((format!("{path} {name}"), len));
            }
        }
    }
    compare(found, LONG_FUNCTIONS, FUNCTION_AT_MOST);
}

#[test]
fn structs_have_few_fields() {
    let mut found = Vec::new();
    for (path, lines) in sources() {
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = named(line, "struct").filter(|_| line.ends_with('{')) else {
                continue;
            };
            let Some(len) = body(&lines, at) else { continue };
            let inner = format!("{}    ", indent(line));
            let is_field = |line: &&String| {
                let field = line.trim_start().trim_start_matches("pub").trim_start();
                let field = match field.strip_prefix('(') {
                    Some(rest) => rest.split_once(") ").map_or("", |(_, field)| field),
                    None => field,
                };
                let name = field.split(':').next().unwrap_or_default();
                indent(line) == inner
                    && field.contains(": ")
                    && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            };
            let fields = lines[at + 1..at + len].iter().filter(is_field).count();
            if fields > STRUCT_AT_MOST {
                found.push((format!("{path} {name}"), fields));
            }
        }
    }
    compare(found, LARGE_STRUCTS, STRUCT_AT_MOST);
}

#[test]
fn files_are_short() {
    let mut found = Vec::new();
    for (path, lines) in sources() {
        // Tests at the end of a file are about it.
        let tests =
            lines.windows(2).position(|two| two[0] == "#[cfg(test)]" && two[1] == "mod tests {");
        let len = tests.unwrap_or(lines.len());
        if len > FILE_AT_MOST {
            found.push((path, len));
        }
    }
    compare(found, LONG_FILES, FILE_AT_MOST);
}

#[test]
fn lines_are_narrow() {
    let is_wide = |line: &&String| line.chars().count() > COLUMNS_AT_MOST;
    let wide: usize = sources().map(|(_, lines)| lines.iter().filter(is_wide).count()).sum();
    assert!(wide <= WIDE_LINES, "{wide} lines over {COLUMNS_AT_MOST} columns, it was {WIDE_LINES}");
    assert!(wide + 20 > WIDE_LINES, "only {wide} are left: lower the limit");
}
