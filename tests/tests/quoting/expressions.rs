//! Places where shells compute: they read a word as an expression, in which the index of an array
//! can be code. A number is computed; anything else makes the script fail, and never runs.

use super::values::{from_environment, list};
use super::{Place, in_each_shell, installed, is_refused, line};

/// Expressions with code in them.
const CODE: &[&[u8]] = &[
    b"a[$(touch MADE)]",
    b"a[$(touch MADE)0]",
    b"a[`touch MADE`]",
    b"a[$(touch MADE)]=1",
    b"PATH[$(touch MADE)]",
    b"x=a[$(touch MADE)]",
    b"1+a[$(touch MADE)0]",
    b"$(touch MADE)",
    b"`touch MADE`",
    b"1;touch MADE",
    b"1 ] || touch MADE; [ 1",
    b"0))||touch MADE;((0",
    b"1]] || touch MADE; [[ 1",
    b"x[1$(touch MADE)]",
    b"path[$(touch MADE)]",
    b"BASH_VERSINFO[$(touch MADE)]",
    b"1\ntouch MADE",
];

/// A script in which `{}` is where a number is expected, or the name of a variable.
const PLACES: &[&str] = &[
    "x=$(({})); ./dump \"$x\"",
    "x=$((1 + {} * 2)); ./dump \"$x\"",
    "x=$((a[{}])); ./dump \"$x\"",
    "x=$((\"{}\")); ./dump \"$x\"",
    "(({})) && ./dump yes",
    "(( x = {} )); ./dump \"$x\"",
    "for ((i={}; i<{}; i++)); do ./dump \"$i\"; done",
    "let {}; ./dump x",
    "let x={}; ./dump \"$x\"",
    "let 'x={}'; ./dump \"$x\"",
    "let \"x = {} + 1\"; ./dump \"$x\"",
    "[[ {} -gt 1 ]]; ./dump x",
    "[[ 1 -eq {} ]]; ./dump x",
    "[[ '{}' -lt \"{}\" ]]; ./dump x",
    "[[ x =~ {} ]]; ./dump x",
    "[ {} -gt 1 ]; ./dump x",
    "[ 1 -eq \"{}\" ]; ./dump x",
    "test {} -eq 1; ./dump x",
    "test 1 -lt '{}'; ./dump x",
    "declare -i x={}; ./dump x",
    "typeset -i x={}; ./dump x",
    "integer x={}; ./dump x",
    "f() { local -i x={}; }; f; ./dump x",
    "x=1; x[{}]=2; ./dump x",
    "x[{}]=2; ./dump x",
    "x=(1 2); ./dump \"${x[{}]}\"",
    "x=abc; ./dump \"${x:{}}\"",
    "x=abc; ./dump \"${x:0:{}}\"",
    "./dump \"${!{}}\"",
    "./dump \"${{}}\"",
    "./dump \"${#{}}\"",
    "./dump $[{}]",
    "(umask {}); ./dump x",
    "(trap - {}); ./dump x",
    "kill -l {}; ./dump x",
    "wait {}; ./dump x",
    "wait -p {}; ./dump x",
    "mapfile -t {} </dev/null; ./dump x",
    "mapfile -n {} x </dev/null; ./dump x",
    "getopts {} x; ./dump x",
    "print -u{} x; ./dump x",
    "print -P {}; ./dump x",
    "print -r -- {}; ./dump x",
    "alias {}; ./dump x",
    "alias x={}; ./dump x",
    "hash {}; type {}; command -v {}; ./dump x",
    "select i in {}; do :; done </dev/null; ./dump x",
    "IFS={}; x='a b'; ./dump $x",
    "set -o {}; ./dump x",
    "cd {}; ./dump x",
    ". {}; ./dump x",
    "{}; ./dump x",
    "exec {}",
    "command {}; ./dump x",
    "f() { :; }; unset -f {}; ./dump x",
    "exec 3>&{}; ./dump x",
    "./dump x >&{}",
    "./dump x >& \"x{}\"",
    "./dump x 1>&1{}",
    "(./dump x) >\\\n&{}",
    "./dump x >&$(printf %s {})",
    "./dump x &>{}",
    "./dump x >>&{}",
    "sleep {} & wait",
];

/// Places of names of variables, and of numbers: bash, zsh or mksh run the index of an array in
/// them. msup refuses the value, or takes only a number.
const NAMES: &[&str] = &[
    "[[ -v {} ]]; ./dump x",
    "[ -v {} ]; ./dump x",
    "test -v {}; ./dump x",
    "[[ -t {} ]]; ./dump x",
    "[ -t {} ]; ./dump x",
    "test -t \"{}\"; ./dump x",
    "printf %d {}; ./dump x",
    "printf '%5d %x' \"{}\" '{}'; ./dump x",
    "printf '%*s' {} x; ./dump x",
    "printf -v {} x; ./dump x",
    "read {} </dev/null; ./dump x",
    "read -r x {} </dev/null; ./dump x",
    "read -t {} x </dev/null; ./dump x",
    "read -n {} x </dev/null; ./dump x",
    "unset {}; ./dump x",
    "unset \"{}\" 'x{}'; ./dump x",
    "unset -v {}; ./dump x",
    "export {}; ./dump x",
    "export {}=1; ./dump x",
    "declare {}; ./dump x",
    "declare {}=1; ./dump x",
    "declare -i x; x={}; ./dump x",
    "typeset {}; ./dump x",
    "typeset -i x; x={}; ./dump x",
    "typeset -i x; x+={}; ./dump x",
    "local {}; ./dump x",
    "f() { local {}; }; f; ./dump x",
    "declare -n x={}; ./dump \"$x\"",
    "typeset -n x={}; ./dump \"$x\"",
    "nameref x={}; ./dump \"$x\"",
    "x=([{}]=2); ./dump x",
    "f() { return {}; }; f; ./dump x",
    "(exit {}); ./dump x",
    "(exit \"{}\"); ./dump x",
    "set -- 1 2 3; shift {}; ./dump x",
    "for i in 1; do break {}; done; ./dump x",
    "for i in 1; do continue {}; done; ./dump x",
    "print -v {}; ./dump x",
    "PS4={}; set -x; ./dump x",
    "OPTIND={}; ./dump x",
    "RANDOM={}; SECONDS={}; ./dump x",
    "HISTCMD={}; LINENO={}; ./dump x",
    "read -u {} x </dev/null; ./dump x",
    "readonly {}; ./dump x",
    "(ulimit -n {}); ./dump x",
    "getopts a {}; ./dump x",
    "x=1 typeset -p {}; ./dump x",
];

in_each_shell!(no_expression_runs_code);

/// Whatever these scripts do: nothing in the values runs.
fn no_expression_runs_code(shell: &str) {
    // A part of them, unless there is time for all.
    let step = if from_environment("MSUP_TEMPLATES").is_some() { 1 } else { 6 };
    let places: Vec<&str> = PLACES.iter().copied().step_by(step).collect();
    assert_not_run(shell, &places);
}

#[test]
fn no_name_of_a_variable_runs_code_in_bash() {
    assert_not_run("bash", NAMES);
}

#[test]
fn no_name_of_a_variable_and_no_number_runs_code_in_zsh() {
    assert_not_run("zsh", NAMES);
}

#[test]
fn no_name_of_a_variable_runs_code_in_mksh() {
    // It looks for the target of such a name for ever.
    let is_endless = |script: &&str| script.contains(" -n x=") || script.contains("nameref");
    let places: Vec<&str> = NAMES.iter().copied().filter(|script| !is_endless(script)).collect();
    assert_not_run("mksh", &places);
}

fn assert_not_run(shell: &str, scripts: &[&str]) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let values: Vec<Vec<u8>> = CODE.iter().map(|value| value.to_vec()).collect();
    let mut ran = Vec::new();
    for scripts in scripts.chunks(5) {
        let place = Place::new();
        for script in scripts {
            let words = ["-0", "--no-journal", "--timeout", "60", "--shell", path, "--", script];
            let output = place.msup(&words, &list(&values, 0));
            if place.is_marked() {
                std::fs::remove_file(place.path().join(super::MARKER)).expect("there");
                let is_refused = if is_refused(&output) { "refused" } else { "run" };
                ran.push(format!("{script:?} ({is_refused}): {}", super::brief(&output.stderr)));
            }
        }
    }
    assert!(ran.is_empty(), "{shell} has run a value in:\n{}", ran.join("\n"));
}

in_each_shell!(numbers_are_computed);

fn numbers_are_computed(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let place = Place::new();
    let values: Vec<Vec<u8>> = ["0", "7", "-3"].map(|value| value.as_bytes().to_vec()).into();
    let script = "x=$(({} * 2 + 1)); ./dump \"$x\"; test {} -eq \"{}\" && ./dump {}";
    let output = place.msup(&["-0", "--shell", path, script], &list(&values, 0));
    let expected = [["1", "0"], ["15", "7"], ["-5", "-3"]].concat();
    let expected: Vec<Vec<u8>> =
        expected.iter().map(|text| line(&[text.as_bytes().to_vec()])).collect();
    place.compare(&[shell, script], &output, &expected);
}
