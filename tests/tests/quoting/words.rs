//! Random words of a script: pieces with and without quotes, some of which hold the value.

use super::values::Random;

/// Text without quotes, and what it means. A backslash takes the meaning from the next byte.
const BARE: &[(&str, &str)] = &[
    ("a", "a"),
    ("B.c", "B.c"),
    ("-", "-"),
    ("/", "/"),
    (",", ","),
    (":", ":"),
    ("+", "+"),
    ("%", "%"),
    ("\\ ", " "),
    ("\\'", "'"),
    ("\\\"", "\""),
    ("\\$", "$"),
    ("\\\\", "\\"),
    ("\\;", ";"),
    ("\\`", "`"),
    ("\\*", "*"),
    ("\\#", "#"),
    ("\\&", "&"),
    ("\\(", "("),
    ("\\{", "{"),
];

/// The same between double quotes.
const DOUBLE: &[(&str, &str)] = &[
    ("a", "a"),
    (" ", " "),
    ("'", "'"),
    ("''", "''"),
    (";", ";"),
    ("*", "*"),
    ("#", "#"),
    ("(", "("),
    (")", ")"),
    ("|", "|"),
    ("\n", "\n"),
    ("~", "~"),
    ("\\\"", "\""),
    ("\\\\", "\\"),
    ("\\$", "$"),
    ("\\`", "`"),
    ("$(printf %s \"b c\")", "b c"),
];

/// The same between single quotes.
const SINGLE: &[&str] =
    &["a", " ", "\"", "\\", "$", "$x", "`", "$(", ")", ";", "*", "#", "\n", "\\\"", "\"\"", "<<E"];

/// A word, and what it means with this mark for the value.
pub(crate) fn word(random: &mut Random, mark: &str) -> (String, String) {
    let (mut text, mut means) = (String::new(), String::new());
    let mut values = 0;
    for _ in 0..=random.below(5) {
        let quote = ["", "\"", "'"][random.below(3)];
        text.push_str(quote);
        for _ in 0..=random.below(3) {
            let piece = if values < 3 && random.below(3) == 0 {
                values += 1;
                ("{}", mark)
            } else {
                match quote {
                    "" => *random.pick(BARE),
                    "\"" => *random.pick(DOUBLE),
                    _ => {
                        let piece = *random.pick(SINGLE);
                        (piece, piece)
                    }
                }
            };
            text.push_str(piece.0);
            means.push_str(piece.1);
        }
        text.push_str(quote);
    }
    (text, means)
}
