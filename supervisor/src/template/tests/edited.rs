//! Values that `--plus` and `--rpl` change, given to real shells: what is made of a value arrives
//! as one argument wherever it stands, and none of it is executed.

use proptest::prelude::*;

use super::shells::{HOSTILE, Scene, pasted};
use super::*;

/// Replacement strings that change a value, or leave hostile parts of it.
const EDITED: [&str; 20] = [
    "{%.gz}",
    "{%%.*}",
    "{#.}",
    "{##.*x}",
    "{:1}",
    "{:1:4}",
    "{:-$(touch pwned)}",
    "{:-`touch pwned`}",
    "{/o/;touch pwned;}",
    "{//./'}",
    "{//[a-z]/\"}",
    "{^^[a-z]}",
    "{,,[A-Z]}",
    "{1%.gz}",
    "{-1//x/\\}",
    "{..}",
    "{0#}{##}",
    "{up}",
    "{cut:o}",
    "{x*y}",
];

/// Where a replacement string stands for one argument; `@` is its place.
const PLACES: [&str; 8] = [
    "printf '<%s>' @",
    "printf '<%s>' x@y",
    "printf '<%s>' \"x@\"",
    "printf '<%s>' 'x@'",
    "y=@; printf '<%s>' \"$y\"",
    "printf '<%s>' \"$(printf '%s' @)\"",
    "(printf '<%s>' @) | cat",
    "for y in @; do printf '<%s>' \"$y\"; done",
];

fn changing(shell: &str) -> Reading {
    let mut strings = Strings::of(1);
    strings.plus = true;
    for rule in ["{up} $_=uc($_)", "{cut:(.)} s/$$1/`touch pwned`/g", "{x*y} tr/a-z/;$'\"/"] {
        strings.rules.push(Rule::parse(rule).expect("valid"));
    }
    Reading { strings, ..reading(shell) }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_made_of_a_value_is_one_argument(
        edited in 0..EDITED.len(),
        place in 0..PLACES.len(),
        value in 0..HOSTILE.len(),
        shell in prop::sample::select(vec!["sh", "bash", "dash"]),
    ) {
        let (reading, string) = (changing(shell), EDITED[edited]);
        let template = |words: &[&str]| {
            let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            Template::from_words(words, &reading)
        };
        let value = HOSTILE[value];
        let alone = template(&["printf", string]).expect("no shell").render(value, at(7));
        let made = &alone.argv[1];
        let line = PLACES[place].replace('@', string);
        let script = template(&[&line]).unwrap_or_else(|why| panic!("{line}: {why}"));
        prop_assert!(matches!(script.kind, Kind::Script(_)));
        let (before, after) = match place {
            1 => ("<x", "y>"),
            2 | 3 => ("<x", ">"),
            _ => ("<", ">"),
        };
        // A substitution drops newlines at its end.
        let mut made = made.as_slice();
        while place == 5 && made.ends_with(b"\n") {
            made = &made[..made.len() - 1];
        }
        let expected = [before.as_bytes(), made, after.as_bytes()].concat();
        let scene = Scene::new();
        for run in [script.render(value, at(7)), pasted(shell, &script, value)] {
            let shown = scene.run(shell, &run).stdout;
            prop_assert_eq!(show(&shown), show(&expected), "{}: {}", shell, line);
        }
    }
}
