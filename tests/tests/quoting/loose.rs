//! Pieces of shell syntax in any order, most of which make no sense. Whatever a shell does with
//! such a script: it does not run the values.

use super::values::{Random, list, seed, templates};
use super::{Place, in_each_shell, installed};

/// What a template is made of. None of these makes a file, assigns a value to a variable that is
/// read again, or gives a value to a shell by way of another program.
const PIECES: &[&str] = &[
    "{}",
    "{}",
    "{}",
    "{}",
    "{}",
    "{}",
    "'",
    "'",
    "\"",
    "\"",
    "`",
    "\\",
    "\\\n",
    "\n",
    " ",
    " ",
    " ",
    ";",
    "&",
    "&&",
    "|",
    "||",
    "(",
    ")",
    "{ ",
    "; }",
    "!",
    "#",
    " # ",
    "~",
    "*",
    "?",
    "[a-z]",
    "[",
    "]",
    "[ ",
    " ]",
    "[[ ",
    " ]]",
    " = ",
    " == ",
    " != ",
    " =~ ",
    " -gt ",
    " -eq ",
    " -n ",
    "((",
    "))",
    "$((",
    "$(",
    "$(printf %s ",
    "$",
    "${",
    "}",
    "${x#",
    "${x%%",
    "${x:-",
    "${x+",
    "${#",
    "${x/",
    "/",
    "${x:",
    "${!",
    "$'",
    "$\"",
    "<(",
    "<<E\n",
    "<<-E\n",
    "<<'E'\n",
    "\nE\n",
    "<<<",
    "2>&1",
    ">&",
    "1>&x",
    "\\\n",
    "</dev/null",
    "case ",
    " in ",
    ") ",
    ";; ",
    " esac\n",
    "if ",
    "then ",
    "fi\n",
    "for i in ",
    "do ",
    "done\n",
    "f() ",
    "./dump ",
    "echo ",
    "test ",
    "true ",
    "set -- ",
    "a=(",
    "x=",
    "eval ",
    "sh -c ",
    "trap ",
    " EXIT",
    "E",
    "1",
    "a",
    "-",
    "--",
    "=",
    "%",
    "+",
    ",",
    ":",
    "@",
    "^",
    "\t",
    "{a,",
    "{1..",
    "\u{e4}",
];

/// Values that get out of many contexts.
const VALUES: &[&str] = &[
    "$(touch MADE)",
    "`touch MADE`",
    "\ntouch MADE\n",
    ";touch MADE;",
    "'\ntouch MADE\n'",
    "\"\ntouch MADE\n\"",
    "'\"`touch MADE`$(touch MADE)\"'",
    "a[$(touch MADE)0]",
    "}\ntouch MADE\n{",
    ")\ntouch MADE\n(",
    "\nE\ntouch MADE\n",
    "]];touch MADE;[[ a",
    ";;esac;touch MADE",
    "\\\ntouch MADE\n",
    "'$(touch MADE)'\"$(touch MADE)\"",
];

fn template(random: &mut Random, shell: &str) -> String {
    loop {
        let count = 2 + random.below(9);
        let template: String = (0..count).map(|_| *random.pick(PIECES)).collect();
        // A variable with a value could be computed with, which is the script's own doing.
        let reads = template.contains("x=") && (template.contains("((") || template.contains('['));
        // What a program writes is not a value any more.
        let runs = ["eval ", "sh -c ", "trap "].iter().any(|word| template.contains(word));
        let writes = template.contains('$') || template.contains('`') || template.contains("<(");
        // It computes for ever over some here-documents that are not closed.
        let hangs = shell == "ksh" && template.contains("<<");
        let is_left_out = hangs || reads || (runs && writes);
        if template.contains("{}") && !is_left_out {
            return template;
        }
    }
}

in_each_shell!(no_script_runs_a_value);

fn no_script_runs_a_value(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let mut random = Random::new(4);
    let values: Vec<Vec<u8>> = VALUES.iter().map(|value| value.as_bytes().to_vec()).collect();
    let mut ran = Vec::new();
    let mut place = Place::new();
    for nth in 0..templates(5) {
        if nth % 20 == 0 || place.is_marked() {
            place = Place::new();
        }
        let template = template(&mut random, shell);
        let words = ["-0", "--no-journal", "--timeout", "60", "--shell", path, "--", &template];
        let output = place.msup(&words, &list(&values, 0));
        if place.is_marked() {
            ran.push(format!("{template:?}: {}", super::brief(&output.stderr)));
        }
    }
    let seed = seed();
    assert!(ran.is_empty(), "{shell} has run a value (MSUP_SEED={seed}):\n{}", ran.join("\n"));
}
