//! `msup parallel`: values are quoted in their places, for each shell, and as the real GNU parallel
//! does it.

use std::path::Path;
use std::process::Output;

use msup_tests::program;

use super::values::{Random, list, without};
use super::{Place, in_some_shells, installed, lines};

/// Command lines, with blanks between their words, and what each value shows.
const COMMANDS: &[(&str, &[&str])] = &[
    ("./dump", &["@"]),
    ("./dump {}", &["@"]),
    ("./dump a{}b {} -- {}", &["a@b|@|--|@"]),
    ("./dump {} ; ./dump x{}", &["@", "x@"]),
    ("./dump {} | cat", &["@"]),
    ("x={} ; ./dump \"$x\"", &["@"]),
    ("true && ( ./dump {} )", &["@"]),
    ("printf %s {} | SHOWS_INPUT=1 ./dump", &["@"]),
    ("for i in {} b ; do ./dump \"$i\" ; done", &["@", "b"]),
    ("./dump \"$(printf %s {} ; echo .)\"", &["@."]),
];

fn parallel(place: &Place, shell: &Path, words: &[&str], input: &[u8]) -> Output {
    let mut msup = place.sandbox.msup([&["parallel", "-k"], words].concat());
    msup.env("HOME", place.path()).env("PARALLEL_SHELL", shell).env_remove("PARALLEL");
    msup_tests::run_with_input(&mut msup, input)
}

in_some_shells!(gnu_commands_have_the_value);

fn gnu_commands_have_the_value(shell: &str) {
    // `$PARALLEL_SHELL` is one word.
    let Some(path) = installed(shell).filter(|_| shell != "busybox") else { return };
    for (nth, (command, shows)) in COMMANDS.iter().enumerate() {
        let place = Place::new();
        let values = Random::new(200 + nth as u64).values(20, 5000);
        let words: Vec<&str> = [&["-0"], &command.split(' ').collect::<Vec<_>>()[..]].concat();
        let output = parallel(&place, &path, &words, &list(&values, 0));
        let expected: Vec<Vec<u8>> = values.iter().flat_map(|value| lines(shows, value)).collect();
        place.compare(&words, &output, &expected);
    }
}

/// Beside the real one, which has the same shell.
const SAME: &[&[&str]] = &[
    &["-0", "./dump"],
    &["-0", "./dump", "a{}b", "{}"],
    &["-0", "-q", "./dump", "$x{}", "it's", "{}"],
    &["-0", "-j1", "-X", "./dump"],
    &["-0", "-j1", "-X", "./dump", "a{}b"],
    &["-0", "-j1", "-m", "./dump", "a{}b"],
    &["-0", "-n3", "./dump", "{}"],
    &["-0", "-n3", "./dump", "{3}", "{1}-{-1}"],
    &["-0", "--colsep", ":", "./dump", "{2}", "{1}"],
    &["-0", "./dump", "{.}", "{/}", "{//}", "{/.}"],
    &["-0", "--plus", "./dump", "{..}", "{+/}", "{/..}", "{+.}"],
    &["-0", "--tag", "./dump"],
    &["-0", "--tagstring", "<{}>", "./dump"],
    &["-0", "--dry-run", "./dump", "{}", "x{}"],
    &["-0", "--shellquote"],
    &["-0", "--trim", "lr", "./dump", "<{}>"],
    &["./dump", "{}"],
    &["-d", "e", "./dump", "{}"],
];

/// They are compared in three parts, at the same time.
const PARTS: usize = 3;

#[test]
fn hostile_values_are_those_of_gnu_parallel_1() {
    compare(0);
}

#[test]
fn hostile_values_are_those_of_gnu_parallel_2() {
    compare(1);
}

#[test]
fn hostile_values_are_those_of_gnu_parallel_3() {
    compare(2);
}

fn compare(part: usize) {
    let Some(real) = installed("parallel") else { return };
    let mut different = Vec::new();
    for (nth, words) in SAME.iter().enumerate().skip(part).step_by(PARTS) {
        let place = Place::new();
        let told = place.run(&real, &["--version"], b"");
        if !told.stdout.starts_with(b"GNU parallel") {
            println!("not tested: this parallel is not GNU parallel");
            return;
        }
        // Its patterns for parts of names stop at newlines.
        let has_parts = words.iter().any(|word| ["{.}", "{..}"].contains(word));
        let left_out: &[u8] = if has_parts { b"\n" } else { b"" };
        let values = without(left_out, Random::new(220 + nth as u64).values(40, 2000));
        let end = if words[0] == "-0" { 0 } else { b'\n' };
        let input = list(&values, end);
        let theirs = place.run(&real, &[&["--will-cite", "-k"], *words].concat(), &input);
        let ours = place.run(&program("msup"), &[&["parallel", "-k"], *words].concat(), &input);
        if let Some((real, own)) = first_difference(&theirs.stdout, &ours.stdout) {
            let said = super::brief(&ours.stderr);
            different.push(format!("{words:?}:\n  real {real}\n  own  {own} {said}"));
        }
        assert_eq!(place.made(), Vec::<String>::new(), "{words:?}");
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The first lines that differ, to be read by people.
fn first_difference(real: &[u8], own: &[u8]) -> Option<(String, String)> {
    let [real, own] = [real, own].map(|text| text.split(|byte| *byte == b'\n').collect::<Vec<_>>());
    let differs = |at: &usize| real.get(*at) != own.get(*at);
    let at = (0..real.len().max(own.len())).find(differs)?;
    let told = |lines: &[&[u8]]| lines.get(at).map_or("none".to_owned(), |line| super::told(line));
    Some((told(&real), told(&own)))
}
