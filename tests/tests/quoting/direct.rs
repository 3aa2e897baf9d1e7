//! Commands without a shell, and the ways in which values get into a list.

use super::values::{Random, list, without};
use super::{Place, filled, line};

/// Commands, with blanks between their words, and what each value shows.
const COMMANDS: &[(&str, &str)] = &[
    ("./dump", "@"),
    ("./dump {}", "@"),
    ("./dump a{}b {} -- {}", "a@b|@|--|@"),
    ("./dump '{}' \"{}\" ${}", "'@'|\"@\"|$@"),
    ("./dump $(x){} `{}` ;{} >{} \\{}", "$(x)@|`@`|;@|>@|\\@"),
    ("env -- ./dump {}", "@"),
];

#[test]
fn commands_have_the_value() {
    for (nth, (command, shows)) in COMMANDS.iter().enumerate() {
        let place = Place::new();
        let values = Random::new(10 + nth as u64).values(100, 30_000);
        let words: Vec<&str> = [&["--"], &command.split(' ').collect::<Vec<_>>()[..]].concat();
        place.check(&words, &values, &[*shows]);
    }
}

#[test]
fn very_long_values_arrive() {
    let place = Place::new();
    let values: Vec<Vec<u8>> =
        (0..4).map(|test| Random::new(test).values(3, 100 * 1024).concat()).collect();
    let values: Vec<Vec<u8>> =
        values.into_iter().map(|value| value[value.len() - 100 * 1024..].to_vec()).collect();
    place.check(&["--", "./dump", "{}", "{}"], &values, &["@|@"]);
    place.check(&["./dump '{}' {}; ./dump \"a{}b\""], &values, &["@|@", "a@b"]);
}

/// A command that stands for the whole line is no script, whatever the values hold.
#[test]
fn one_word_of_a_shell_is_enough_for_a_script_and_no_value_makes_one() {
    let place = Place::new();
    let values = Random::new(20).values(100, 1000);
    place.check(&["./dump"], &values, &["@"]);
}

#[test]
fn lists_of_lines_have_all_other_bytes() {
    let place = Place::new();
    let values = without(b"\n", Random::new(21).values(100, 30_000));
    let output = place.msup(&["--", "./dump", "<{}>"], &list(&values, b'\n'));
    let expected: Vec<Vec<u8>> = values.iter().map(|v| line(&filled("<@>", v))).collect();
    place.compare(&["./dump <{}>"], &output, &expected);
}

#[test]
fn another_byte_may_end_values() {
    let place = Place::new();
    let values = without(b",", Random::new(22).values(100, 1000));
    let output = place.msup(&["-d", ",", "--", "./dump", "{}"], &list(&values, b','));
    let expected: Vec<Vec<u8>> = values.iter().map(|v| line(&filled("@", v))).collect();
    place.compare(&["-d , ./dump {}"], &output, &expected);
}

/// Behind `:::` values are words of msup's own command line.
#[test]
fn words_of_the_command_line_arrive() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let mut values = Random::new(23).values(150, 30_000);
    values.retain(|value| !value.starts_with(b":::"));
    for command in [&["./dump", "{}"][..], &["./dump {}; true"]] {
        let mut msup = place.sandbox.msup(["-q", "-k"]);
        msup.args(command).arg(":::").args(values.iter().map(|value| OsStr::from_bytes(value)));
        let output = msup_tests::run(msup.env("SHELL", "/bin/sh"));
        let expected: Vec<Vec<u8>> = values.iter().map(|v| line(&filled("@", v))).collect();
        place.compare(command, &output, &expected);
    }
}
