//! Scripts in each shell: every statement, and random ones of them inside others.

use super::statements::{AROUND, STATEMENTS, Statement};
use super::values::{Random, list, seed, templates, without};
use super::{Place, in_each_shell, installed, is_refused, line, lines, words, wrong};

/// As many templates use one sandbox, which must not live for long.
const IN_ONE_PLACE: usize = 20;

/// Values for each random template.
const VALUES: usize = 10;

/// A script, and what it shows.
#[derive(Debug, Default)]
struct Script {
    text: String,
    /// In the notation of `filled`, but with marks of one byte each that no template holds.
    shows: Vec<Vec<String>>,
    may_be_refused: bool,
}

/// Stands for the value in what a script shows: templates hold `@` and `|`.
const VALUE: &str = "\u{1}";

impl Script {
    fn add(&mut self, text: &str, shows: &[Vec<String>], may_be_refused: bool) {
        self.text.push_str(text);
        self.text.push('\n');
        self.shows.extend_from_slice(shows);
        self.may_be_refused |= may_be_refused;
    }

    fn expected(&self, values: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let fill = |text: &String, value: &[u8]| {
            text.split(VALUE).map(str::as_bytes).collect::<Vec<_>>().join(value)
        };
        let call = |call: &Vec<String>, value: &[u8]| {
            line(&call.iter().map(|text| fill(text, value)).collect::<Vec<_>>())
        };
        let of =
            |value: &Vec<u8>| self.shows.iter().map(|shown| call(shown, value)).collect::<Vec<_>>();
        values.iter().flat_map(of).collect()
    }
}

/// What the statement shows, with other marks.
fn marked(statement: &Statement) -> Vec<Vec<String>> {
    let call = |shown: &&str| shown.split('|').map(|text| text.replace('@', VALUE)).collect();
    statement.shows.iter().map(call).collect()
}

in_each_shell!(statements_have_the_value);

/// Five statements in a script; those that may be refused are alone.
fn statements_have_the_value(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let known = STATEMENTS.iter().filter(|one| one.is_known_to(shell));
    let (open, plain): (Vec<&Statement>, Vec<&Statement>) =
        known.partition(|one| one.may_be_refused);
    let mut random = Random::new(1);
    let mut wrongs = Vec::new();
    let place = Place::new();
    for statements in plain.chunks(5).chain(open.chunks(1)) {
        let mut script = Script::default();
        for statement in statements {
            script.add(statement.text, &marked(statement), statement.may_be_refused);
        }
        script.text.push_str("true");
        let values = random.values(10, 5000);
        let output = place.msup(&["-0", "--shell", path, &script.text], &list(&values, 0));
        if script.may_be_refused && is_refused(&output) {
            println!("refused in {shell}: {}", script.text);
        } else if let Some(wrong) = wrong(&output, &script.expected(&values)) {
            wrongs.push(format!("{:?}: {wrong}", script.text));
        }
        assert_eq!(place.made(), Vec::<String>::new(), "{shell}: {:?}", script.text);
    }
    assert!(wrongs.is_empty(), "{shell}:\n{}", wrongs.join("\n"));
}

/// One to three statements or calls with random words, each perhaps inside another one.
fn random_script(random: &mut Random, shell: &str) -> Script {
    let mut script = Script::default();
    for _ in 0..=random.below(3) {
        let (mut text, shows, mut may_be_refused) = if random.below(2) == 0 {
            let (texts, means): (Vec<String>, Vec<String>) =
                (0..=random.below(3)).map(|_| words::word(random, VALUE)).unzip();
            (format!("./dump {}", texts.join(" ")), vec![means], false)
        } else {
            let statement = loop {
                let statement = random.pick(STATEMENTS);
                if statement.is_known_to(shell) {
                    break statement;
                }
            };
            (statement.text.to_owned(), marked(statement), statement.may_be_refused)
        };
        for _ in 0..random.below(3) {
            let around = random.pick(AROUND);
            text = around.replace("@@", &text);
            // Shells disagree about where a substitution with these ends.
            may_be_refused |=
                around.contains("$(") && (text.contains("<<") || text.contains("case"));
        }
        script.add(&text, &shows, may_be_refused);
    }
    script.text.push_str("true");
    script
}

in_each_shell!(random_scripts_have_the_value);

fn random_scripts_have_the_value(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let mut random = Random::new(2);
    let (mut wrongs, mut refused) = (Vec::new(), 0);
    let count = templates(6);
    let mut place = Place::new();
    for nth in 0..count {
        if nth % IN_ONE_PLACE == 0 {
            place = Place::new();
        }
        let script = random_script(&mut random, shell);
        let values = random.values(VALUES, 2000);
        let words = ["-0", "--no-journal", "--shell", path, &script.text];
        let output = place.msup(&words, &list(&values, 0));
        if script.may_be_refused && is_refused(&output) {
            refused += 1;
        } else if let Some(wrong) = wrong(&output, &script.expected(&values)) {
            wrongs.push(format!("{:?}: {wrong}", script.text));
        }
        assert_eq!(place.made(), Vec::<String>::new(), "{shell}: {:?}", script.text);
        if wrongs.len() == 10 {
            break;
        }
    }
    println!("{shell}: {count} templates, {refused} refused");
    assert!(wrongs.is_empty(), "{shell} (MSUP_SEED={}):\n{}", seed(), wrongs.join("\n"));
    assert!(refused * 2 <= count, "{shell}: {refused} of {count} were refused");
}

in_each_shell!(values_name_files_behind_a_redirection);

/// Behind `>` and `<` a value is the name of one file.
fn values_name_files_behind_a_redirection(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let place = Place::new();
    std::fs::create_dir(place.path().join("folders")).expect("a new folder");
    let mut values = without(b"/", Random::new(3).values(60, 200));
    values.sort();
    values.dedup();
    let script = "./dump {} >folders/x{}; ./dump \"{}\" >>\"folders/x{}\"; cat <folders/'x{}'";
    let output = place.msup(&["-0", "--shell", path, script], &list(&values, 0));
    let expected: Vec<Vec<u8>> =
        values.iter().flat_map(|value| lines(&["@", "@"], value)).collect();
    place.compare(&[shell, script], &output, &expected);
    let entries = std::fs::read_dir(place.path().join("folders")).expect("readable");
    let mut names: Vec<Vec<u8>> =
        entries.map(|entry| entry.expect("readable").file_name().into_encoded_bytes()).collect();
    names.sort();
    let expected: Vec<Vec<u8>> =
        values.iter().map(|value| [b"x", value.as_slice()].concat()).collect();
    assert!(names == expected, "{shell}: other files");
}
