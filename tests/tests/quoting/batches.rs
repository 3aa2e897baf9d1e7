//! Several values in one command: batches, lists and columns.

use super::values::{Random, list, without};
use super::{Place, line};

/// All arguments of all calls, in their order.
fn all_arguments(output: &std::process::Output) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digits = |word: &str| -> Vec<u8> {
        let pair = |at: usize| u8::from_str_radix(word.get(at..at + 2)?, 16).ok();
        (0..word.len()).step_by(2).map_while(pair).collect()
    };
    let calls = text.lines().map(|call| call.strip_prefix('=').expect("a call of ./dump"));
    calls.flat_map(|call| call.split(' ').map(digits).collect::<Vec<_>>()).collect()
}

/// As many as fit, in whatever calls: together they are the list.
#[test]
fn full_batches_have_all_values() {
    let place = Place::new();
    let values = Random::new(30).values(1000, 100 * 1024);
    let plain: Vec<Vec<u8>> = values.clone();
    let around: Vec<Vec<u8>> =
        values.iter().map(|value| [b"a", &value[..], b"b"].concat()).collect();
    for (words, expected) in [
        (&["-X", "--", "./dump", "{}"][..], &plain),
        (&["-m", "--", "./dump"], &plain),
        (&["-X", "--", "./dump", "a{}b"], &around),
        (&["-X", "./dump {}; true"], &plain),
        (&["-m", "./dump {}; true"], &plain),
        (&["-X", "-s", "5000", "--", "./dump", "{}"], &plain),
    ] {
        let expected: Vec<Vec<u8>> = if words.contains(&"-s") {
            expected.iter().filter(|value| value.len() < 2000).cloned().collect()
        } else {
            expected.clone()
        };
        let input = if words.contains(&"-s") { list(&expected, 0) } else { list(&plain, 0) };
        let output = place.msup(&[&["-0"], words].concat(), &input);
        let said = super::brief(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        let shown = all_arguments(&output);
        let wrong = shown.iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!((shown.len(), wrong), (expected.len(), None), "{words:?}: {said}");
        assert_eq!(place.made(), Vec::<String>::new(), "{words:?}");
    }
}

/// Runs of three values, and what they show.
type Three = fn(&[Vec<u8>]) -> Vec<Vec<u8>>;

fn three(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    values.to_vec()
}

fn turned(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![[&values[2][..], b"-", &values[0]].concat(), values[1].clone()]
}

fn joined(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![[b"x", &values.join(&b' ')[..], b"y"].concat()]
}

fn last_and_first(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![values[2].clone(), values[0].clone()]
}

const OF_THREE: &[(&[&str], Three)] = &[
    (&["--", "./dump", "{}"], three),
    (&["--", "./dump"], three),
    (&["--", "./dump", "{1}", "{2}", "{3}"], three),
    (&["--", "./dump", "{3}-{1}", "{2}"], turned),
    (&["--", "./dump", "{-1}", "{-3}"], last_and_first),
    (&["--", "./dump", "x{}y"], joined),
    (&["./dump {}; true"], three),
    (&["./dump {1} \"{2}\" '{3}'; true"], three),
    (&["./dump \"{3}\"-'{1}' {2}; true"], turned),
    (&["a={-1}; ./dump \"$a\" {-3}"], last_and_first),
    (&["./dump \"x{}y\"; true"], joined),
];

#[test]
fn batches_of_three_have_their_places() {
    for (nth, (words, shows)) in OF_THREE.iter().enumerate() {
        let place = Place::new();
        let values = Random::new(40 + nth as u64).values(60, 20_000);
        let expected: Vec<Vec<u8>> = values.chunks(3).map(|three| line(&shows(three))).collect();
        let words = [&["-0", "-n", "3"], *words].concat();
        let output = place.msup(&words, &list(&values, 0));
        place.compare(&words, &output, &expected);
    }
}

#[test]
fn lists_have_their_places() {
    for (nth, (words, shows)) in OF_THREE.iter().enumerate() {
        let place = Place::new();
        let mut random = Random::new(60 + nth as u64);
        let lists = [0, 1, 2].map(|_| random.values(30, 10_000));
        std::fs::create_dir(place.path().join("lists")).expect("a new folder");
        for (name, values) in ["lists/a", "lists/b"].iter().zip(&lists) {
            place.sandbox.file(name, &list(values, 0));
        }
        let flags = ["-0", "-a", "lists/a", "-a", "lists/b", "-a", "-", "--link"];
        let words = [&flags[..], words].concat();
        let output = place.msup(&words, &list(&lists[2], 0));
        let task = |at: usize| line(&shows(&[0, 1, 2].map(|list| lists[list][at].clone())));
        let expected: Vec<Vec<u8>> = (0..30).map(task).collect();
        place.compare(&words, &output, &expected);
    }
}

#[test]
fn all_combinations_of_lists_arrive() {
    let place = Place::new();
    let mut random = Random::new(80);
    let [one, other] = [0, 1].map(|_| random.values(16, 3000));
    std::fs::create_dir(place.path().join("lists")).expect("a new folder");
    place.sandbox.file("lists/a", &list(&one, 0));
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| vec![a.clone(), b.clone()]));
    let expected: Vec<Vec<u8>> = pairs.map(|pair| line(&pair)).collect();
    for command in [&["--", "./dump", "{1}", "{2}"][..], &["./dump '{1}' \"{2}\"; true"]] {
        let words = [&["-0", "-a", "lists/a"], command, &["::::", "-"]].concat();
        let output = place.msup(&words, &list(&other, 0));
        place.compare(&words, &output, &expected);
    }
}

#[test]
fn columns_have_their_places() {
    for (nth, (words, shows)) in OF_THREE.iter().enumerate() {
        // The value itself is all three, which msup splits only once.
        let place = Place::new();
        let mut random = Random::new(90 + nth as u64);
        let values = without(b",", random.values(60, 10_000));
        let rows: Vec<&[Vec<u8>]> = values.chunks_exact(3).collect();
        let input: Vec<Vec<u8>> = rows.iter().map(|row| row.join(&b',')).collect();
        let words = [&["-0", "--colsep", ",", "--trim", "n"], *words].concat();
        let output = place.msup(&words, &list(&input, 0));
        let expected: Vec<Vec<u8>> = rows.iter().map(|row| line(&shows(row))).collect();
        place.compare(&words, &output, &expected);
    }
}

/// Fields in quotes hold everything, also what separates.
#[test]
fn fields_of_csv_have_their_places() {
    for (nth, (words, shows)) in OF_THREE.iter().enumerate() {
        let place = Place::new();
        let values = Random::new(110 + nth as u64).values(90, 10_000);
        let quoted = |value: &Vec<u8>| {
            let doubled = value.iter().flat_map(|byte| {
                let times = if *byte == b'"' { 2 } else { 1 };
                std::iter::repeat_n(*byte, times)
            });
            [b"\"", &doubled.collect::<Vec<_>>()[..], b"\""].concat()
        };
        let row = |row: &[Vec<u8>]| row.iter().map(quoted).collect::<Vec<_>>().join(&b',');
        let input: Vec<Vec<u8>> = values.chunks(3).map(row).collect();
        let words = [&["--csv", "--trim", "n"], *words].concat();
        let output = place.msup(&words, &list(&input, b'\n'));
        let expected: Vec<Vec<u8>> = values.chunks(3).map(|row| line(&shows(row))).collect();
        place.compare(&words, &output, &expected);
    }
}
