//! Names: each public type of the supervisor has a name that no other one has.

use std::collections::BTreeMap;

use super::{code, files};

/// Names that several public types have, and how many: the numbers may only shrink, and a name that
/// only one type has leaves the list.
const SHARED: [(&str, usize); 6] =
    [("Again", 2), ("Counted", 2), ("Limits", 2), ("Reading", 2), ("Reports", 2), ("Watch", 2)];

/// The name of the public type that this line declares: `pub`, `pub(crate)` or `pub(super)`.
fn public_type(line: &str) -> Option<&str> {
    let after = line.trim_start().strip_prefix("pub")?;
    let after = after.strip_prefix("(crate)").or(after.strip_prefix("(super)")).unwrap_or(after);
    let mut words = after.split_whitespace();
    words.next().filter(|word| ["struct", "enum", "trait"].contains(word))?;
    words.next()?.split(|c: char| !c.is_alphanumeric()).next()
}

/// Reading `Plan` without its path must be enough to know which one is meant.
#[test]
fn public_types_have_names_of_their_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files("supervisor/src", ".rs") {
        let is_test =
            path.iter().any(|part| part == "simulation" || part == "tests" || part == "tests.rs");
        if is_test {
            continue;
        }
        for name in code(&path).lines().filter_map(public_type) {
            places.entry(name.to_owned()).or_default().push(path.display().to_string());
        }
    }
    assert!(places.len() > 100, "they have not been found");
    let mut wrong = Vec::new();
    for (name, places) in places.iter().filter(|(_, places)| places.len() > 1) {
        let listed = SHARED.iter().find(|(shared, _)| shared == name).map_or(1, |shared| shared.1);
        if places.len() > listed {
            wrong
                .push(format!("{name}: give one of them another name:\n  {}", places.join("\n  ")));
        }
    }
    for (name, listed) in SHARED {
        let found = places.get(name).map_or(0, Vec::len);
        if found < listed {
            wrong.push(format!("{name}: {found} now, the list says {listed}: lower it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
