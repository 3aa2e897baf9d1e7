//! Accepted decision records are not rewritten.

use std::collections::BTreeMap;

use super::{files, read, root};

/// A line for each accepted record: its number and the checksum of its text.
const CHECKSUMS: &str = "docs/decisions/checksums";

/// The paragraph that begins so may change: it says what supersedes the record.
const STATUS: &str = "Status:";

/// The CRC-32 of the words of a record. Left out: the status; what stands between backticks, since
/// files, tests and flags get other names; and where lines are broken.
fn checksum(record: &str) -> String {
    let is_status = |paragraph: &&str| paragraph.trim_start().starts_with(STATUS);
    let body: Vec<&str> = record.split("\n\n").filter(|text| !is_status(text)).collect();
    let prose: Vec<&str> = body.iter().flat_map(|text| text.split('`').step_by(2)).collect();
    let prose = prose.join("`");
    let words: Vec<&str> = prose.split_whitespace().collect();
    format!("{:08x}", crc32fast::hash(words.join(" ").as_bytes()))
}

fn is_accepted(record: &str) -> bool {
    let status = record.lines().find_map(|line| line.strip_prefix(STATUS)).expect("a status");
    !status.trim_start().starts_with("proposed")
}

#[test]
fn accepted_records_are_unchanged() {
    let list = read(&root().join(CHECKSUMS));
    let mut listed: BTreeMap<&str, &str> =
        list.lines().map(|line| line.split_once(' ').expect("a number and a checksum")).collect();
    let mut wrong = Vec::new();
    let mut records = files("docs/decisions", ".md");
    records.sort();
    for path in records {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let number = name.split('-').next().unwrap_or_default();
        let text = read(&path);
        let is_record = number.len() == 4 && number != "0000";
        if !is_record || !is_accepted(&text) {
            continue;
        }
        let sum = checksum(&text);
        match listed.remove(number) {
            Some(known) if known == sum => {}
            Some(known) => wrong.push(format!(
                "{name}: its text is not the accepted one ({sum}, not {known}). Restore it. \
                 Write a new record that supersedes this one, and say so in its status."
            )),
            None => wrong.push(format!("{name}: new: add `{number} {sum}` to {CHECKSUMS}")),
        }
    }
    wrong.extend(listed.keys().map(|number| format!("{number}: an accepted record is gone")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_checksum_covers_all_but_status_names_and_line_breaks() {
    let record = "# 0001: one\n\nStatus: accepted\n\n## Decision\nThe file `a.rs` holds\nit.\n";
    let same = "# 0001: one\n\nStatus: accepted; partly\nsuperseded by 0002\n\n## Decision\n\
                The file `b/a.rs`\nholds it.\n";
    assert_eq!(checksum(record), checksum(same));
    assert_ne!(checksum(record), checksum(&record.replace("holds", "held")));
    assert_ne!(checksum(record), checksum(&record.replace("`a.rs`", "")));
}
