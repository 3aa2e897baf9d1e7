//! `msup xargs`: values arrive exactly, and in the same commands as with the real xargs.

use std::process::Output;

use msup_tests::program;

use super::values::{Random, list, without};
use super::{Place, filled, installed, line};

/// How values are made a list.
#[derive(Clone, Copy)]
enum Listed {
    /// A byte ends each of them, which none of them holds.
    Ended(u8),
    /// A backslash stands before each byte.
    Escaped,
}

/// Flags and commands, how many values a command gets (0: as many as fit), and what it shows.
const COMMANDS: &[(&[&str], Listed, usize, &str)] = &[
    (&["-0", "./dump"], Listed::Ended(0), 0, "@"),
    (&["-0", "-n1", "./dump", "--"], Listed::Ended(0), 1, "--|@"),
    (&["-0", "-n3", "./dump"], Listed::Ended(0), 3, "@"),
    (&["-0", "-L2", "./dump"], Listed::Ended(0), 2, "@"),
    (&["-0", "-P4", "-n1", "./dump"], Listed::Ended(0), 0, "@"),
    (&["-0", "-I{}", "./dump", "a{}b", "$(x)"], Listed::Ended(0), 1, "a@b|$(x)"),
    (&["-0", "-I", "%", "./dump", "%", "it's %"], Listed::Ended(0), 1, "@|it's @"),
    (&["-d", ",", "./dump"], Listed::Ended(b','), 0, "@"),
    (&["-d", "\\n", "-n2", "./dump"], Listed::Ended(b'\n'), 2, "@"),
    (&["-d", "x", "-I@", "./dump", "<@>"], Listed::Ended(b'x'), 1, "<@>"),
    (&["-n1", "./dump"], Listed::Escaped, 1, "@"),
    (&["-n4", "./dump"], Listed::Escaped, 4, "@"),
];

fn list_of(listed: Listed, values: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, Vec<u8>) {
    match listed {
        Listed::Ended(byte) => {
            let values = without(&[byte], values);
            let list = list(&values, byte);
            (values, list)
        }
        Listed::Escaped => {
            // An empty value would have to stand in quotes.
            let values: Vec<Vec<u8>> =
                values.into_iter().filter(|value| !value.is_empty()).collect();
            let escape = |value: &Vec<u8>| value.iter().flat_map(|byte| [b'\\', *byte]).collect();
            let escaped: Vec<Vec<u8>> = values.iter().map(escape).collect();
            (values, list(&escaped, b'\n'))
        }
    }
}

#[test]
fn commands_of_xargs_have_the_value() {
    for (nth, (words, listed, together, shows)) in COMMANDS.iter().enumerate() {
        let place = Place::new();
        let longest = if words.iter().any(|word| word.starts_with("-I")) { 20_000 } else { 60_000 };
        let values = Random::new(240 + nth as u64).values(100, longest);
        let (values, list) = list_of(*listed, values);
        let output = place.run(&program("msup"), &[&["xargs"], *words].concat(), &list);
        // Whatever fits into a command: only all of it together is compared.
        let is_one = |output: &Output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let text = text.lines().map(|call| call.trim_start_matches('=')).collect::<Vec<_>>();
            text.join(" ").into_bytes()
        };
        let expected: Vec<Vec<u8>> = match together {
            0 => values.iter().map(|value| line(&filled(shows, value))).collect(),
            1 => values.iter().map(|value| line(&filled(shows, value))).collect(),
            count => values.chunks(*count).map(line).collect(),
        };
        if *together == 0 {
            let mut shown: Vec<String> =
                String::from_utf8_lossy(&is_one(&output)).split(' ').map(str::to_owned).collect();
            let mut all: Vec<String> = expected
                .iter()
                .map(|line| String::from_utf8_lossy(&line[1..]).into_owned())
                .collect();
            if words.contains(&"-P4") {
                shown.sort();
                all.sort();
            }
            assert!(output.status.success() && shown == all, "{words:?}");
            assert_eq!(place.made(), Vec::<String>::new(), "{words:?}");
        } else {
            place.compare(words, &output, &expected);
        }
    }
}

#[test]
fn hostile_values_are_those_of_xargs() {
    let Some(real) = installed("xargs") else { return };
    let place = Place::new();
    if !place.run(&real, &["--version"], b"").stdout.starts_with(b"xargs (GNU findutils)") {
        println!("not tested: this xargs is not that of GNU");
        return;
    }
    for (nth, (words, listed, ..)) in COMMANDS.iter().enumerate() {
        let values = Random::new(260 + nth as u64).values(100, 10_000);
        let (_, list) = list_of(*listed, values);
        if words.contains(&"-P4") {
            continue;
        }
        let theirs = place.run(&real, words, &list);
        let ours = place.run(&program("msup"), &[&["xargs"], *words].concat(), &list);
        assert!(theirs.stdout == ours.stdout, "{words:?}: {}", super::brief(&ours.stderr));
        assert_eq!(theirs.status.code(), ours.status.code(), "{words:?}");
    }
}
