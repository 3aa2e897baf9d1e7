//! Values that have been kept or shown: retried from the journal, and pasted into a shell.

use std::fs;

use super::values::{Random, list};
use super::{Place, lines};

#[test]
fn a_retry_has_the_values_of_the_journal() {
    for command in [&["--", "./later", "{}"][..], &["./later '{}'; exit $?"]] {
        let place = Place::new();
        place.sandbox.file("go", b"#!/bin/sh\nexit 3\n");
        fs::create_dir(place.path().join("lists")).expect("a new folder");
        let mut values = Random::new(130).values(60, 50_000);
        values.dedup();
        let later = "#!/bin/sh\ntest -e go && exit 3\nexec ./dump \"$@\"\n";
        place.sandbox.program("lists/later", later.as_bytes());
        let command: Vec<String> =
            command.iter().map(|word| word.replace("./later", "lists/later")).collect();
        let mut words = vec!["-0", "--journal", "run"];
        words.extend(command.iter().map(String::as_str));
        let output = place.msup(&words, &list(&values, 0));
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        fs::remove_file(place.path().join("go")).expect("there");
        let again = place.run(&msup_tests::program("msup"), &["retry", "-q", "./run"], b"");
        let mut shown: Vec<&[u8]> = again.stdout.split(|byte| *byte == b'\n').collect();
        let mut expected: Vec<Vec<u8>> =
            values.iter().flat_map(|value| lines(&["@"], value)).collect();
        // A retry shows outputs as they come.
        shown.sort_unstable();
        expected.sort();
        let wrong = shown[1..].iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!((shown.len() - 1, wrong), (expected.len(), None), "{words:?}");
        assert_eq!(place.made(), Vec::<String>::new(), "{words:?}");
    }
}

/// What `--dry-run` shows can be pasted into a shell, and means the same there.
#[test]
fn a_dry_run_can_be_pasted() {
    for (command, shows) in [
        (&["--", "./dump", "{}"][..], "@"),
        (&["--", "./dump", "a{}b", "$(x)", "it's {}"], "a@b|$(x)|it's @"),
        (&["./dump {} '{}'; true"], "@|@"),
        (&["./dump \"a {} b\" x{}; true"], "a @ b|x@"),
    ] {
        let place = Place::new();
        let values = Random::new(140).values(60, 5000);
        let words = [&["-0", "--dry-run"], command].concat();
        let output = place.msup(&words, &list(&values, 0));
        assert!(output.status.success() && !place.is_marked(), "{words:?}");
        let expected: Vec<Vec<u8>> =
            values.iter().flat_map(|value| lines(&[shows], value)).collect();
        for shell in ["sh", "bash", "zsh", "ksh"].iter().filter_map(|name| super::installed(name)) {
            let pasted = place.run(&shell, &[], &output.stdout);
            place.compare(&words, &pasted, &expected);
        }
    }
}
