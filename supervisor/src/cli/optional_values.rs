//! `-l`, `--max-lines` and, in GNU parallel, `-i` and `--replace`: their value may be left out. It
//! is written out before flags are read.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, CommandFactory};

use super::args::Args;

/// Where none is given.
const ONE: &[u8] = b"1";

/// What stands for the value in a command of GNU parallel where none is given.
const BRACES: &[u8] = b"{}";

/// The words with the values of these flags written out: `-l` as `-L1`. In GNU parallel's reading
/// (`gnu`) also those of `-i` and `--replace`: `-i` as `-I{}`.
pub(super) fn written_out(words: Vec<OsString>, gnu: bool) -> Vec<OsString> {
    let concerned = |word: &OsString| {
        let word = word.as_bytes();
        let is_named = |name: &str| word.starts_with(name.as_bytes());
        let has = |letter| word.starts_with(b"-") && !is_named("--") && word.contains(&letter);
        is_named("--max-lines")
            || is_named("--maxlines")
            || has(b'l')
            || (gnu && (is_named("--replace") || has(b'i')))
    };
    // Most command lines have none of them.
    if !words.iter().any(concerned) {
        return words;
    }
    let command = Args::command();
    let flags: Vec<&Arg> = command.get_arguments().collect();
    let mut written = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" || bytes == b"-" || !bytes.starts_with(b"-") {
            written.push(word);
            break;
        }
        let found = match bytes.strip_prefix(b"--") {
            Some(b"max-lines" | b"maxlines") => Some((&b"--max-lines="[..], b'l', &b""[..])),
            Some(b"replace") if gnu => Some((&b"--replace="[..], b'i', &b""[..])),
            Some(_) => None,
            None => place_of(&flags, &bytes[1..], gnu)
                .map(|at| (&bytes[..=at], bytes[at + 1], &bytes[at + 2..])),
        };
        let Some((before, letter, value)) = found else {
            let takes = ends_with_value(&flags, bytes);
            written.push(word);
            written.extend(words.next_if(|_| takes));
            continue;
        };
        let is_value = |word: &OsString| match letter {
            b'l' => !word.is_empty() && word.as_bytes().iter().all(u8::is_ascii_digit),
            _ => !word.as_bytes().starts_with(b"-"),
        };
        let next = words.next_if(|next| value.is_empty() && is_value(next));
        let value = match &next {
            Some(next) => next.as_bytes(),
            None if !value.is_empty() => value,
            None if letter == b'l' => ONE,
            None => BRACES,
        };
        let letter = if before.starts_with(b"--") { &b""[..] } else { &[letter - 32] };
        written.push(OsString::from_vec([before, letter, value].concat()));
    }
    written.extend(words);
    written
}

/// Whether the next word is the value of the last flag of this one.
fn ends_with_value(flags: &[&Arg], word: &[u8]) -> bool {
    if let Some(name) = word.strip_prefix(b"--") {
        return !name.contains(&b'=') && takes_value(flags, Flag::Long(name));
    }
    let last = word.len() - 1;
    let first = (1..=last).find(|at| takes_value(flags, Flag::Short(word[*at])));
    first.is_some_and(|at| at == last)
}

enum Flag<'a> {
    Short(u8),
    Long(&'a [u8]),
}

fn takes_value(flags: &[&Arg], wanted: Flag<'_>) -> bool {
    let is_it = |arg: &&&Arg| match wanted {
        Flag::Short(letter) => {
            let all = arg.get_short_and_visible_aliases().unwrap_or_default();
            let hidden = arg.get_all_short_aliases().unwrap_or_default();
            all.iter().chain(&hidden).any(|known| *known == char::from(letter))
        }
        Flag::Long(name) => {
            let all = arg.get_long_and_visible_aliases().unwrap_or_default();
            let hidden = arg.get_all_aliases().unwrap_or_default();
            all.iter().chain(&hidden).any(|known| known.as_bytes() == name)
        }
    };
    flags
        .iter()
        .find(is_it)
        .is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

/// Where `-l`, or `-i` of GNU parallel, stands among these letters: before the first one whose
/// value is the rest.
fn place_of(flags: &[&Arg], letters: &[u8], gnu: bool) -> Option<usize> {
    let end = letters.iter().position(|letter| takes_value(flags, Flag::Short(*letter)));
    let is_it = |letter: &u8| *letter == b'l' || (gnu && *letter == b'i');
    letters[..end.unwrap_or(letters.len())].iter().position(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_left_out_is_written_out() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let gnu = words[0] == "--gnu";
            written_out(words, gnu).join(" ".as_ref()).into_string().expect("text")
        };
        for (typed, written) in [
            ("-l echo", "-L1 echo"),
            ("-l 2 echo", "-L2 echo"),
            ("-l3 echo", "-L3 echo"),
            ("-kl echo", "-kL1 echo"),
            ("--max-lines echo", "--max-lines=1 echo"),
            ("--max-lines=2 echo", "--max-lines=2 echo"),
            ("--max-lines 2 echo", "--max-lines=2 echo"),
            ("--maxlines 2 echo", "--max-lines=2 echo"),
            ("-i% echo", "-i% echo"),
            ("--gnu -i% echo", "--gnu -I% echo"),
            ("--gnu -ki % echo", "--gnu -kI% echo"),
            ("--gnu -i -k echo", "--gnu -I{} -k echo"),
            ("--gnu --replace % echo", "--gnu --replace=% echo"),
            ("--gnu --replace -k echo -i", "--gnu --replace={} -k echo -i"),
            ("--gnu -a -i ls", "--gnu -a -i ls"),
            ("-a -l ls -l", "-a -l ls -l"),
            ("--arg-file -l ls -l", "--arg-file -l ls -l"),
            ("-k ls -l", "-k ls -l"),
            ("-al ls", "-al ls"),
            ("-- -l", "-- -l"),
        ] {
            assert_eq!(of(typed), written, "{typed}");
        }
    }
}
