//! Places in which a shell would run a value as code: msup refuses the command, and runs nothing.

use super::values::list;
use super::{Place, in_some_shells, installed, is_refused};

/// Scripts that the guide says are refused.
const REFUSED: &[&str] = &[
    "eval {}",
    "eval ./dump {}",
    "eval \"./dump {}\"",
    "eval './dump {}'",
    "eval -- {}",
    "\\eval {}",
    "'eval' {}",
    "ev\"al\" {}",
    "x=1 eval {}",
    "command eval {}",
    "true; eval {}",
    "true && eval {}",
    "true | eval {}",
    "! eval {}",
    "(eval {})",
    "{ eval {}; }",
    "if true; then eval {}; fi",
    "if eval {}; then :; fi",
    "while eval {}; do break; done",
    "for i in 1; do eval {}; done",
    "case x in x) eval {};; esac",
    "f() { eval {}; }; f",
    "./dump \"$(eval {})\"",
    "x=$(eval \"{}\"); ./dump",
    "trap {} EXIT",
    "trap './dump {}' 0",
    "trap -- \"{}\" EXIT",
    "sh -c {}",
    "sh -c './dump {}'",
    "sh -c \"./dump '{}'\"",
    "sh -ec './dump {}'",
    "sh -e -c './dump {}'",
    "sh -o errexit -c './dump {}'",
    "/bin/sh -c './dump {}'",
    "'sh' -c './dump {}'",
    "bash -c './dump {}'",
    "bash -lc './dump {}'",
    "bash --norc -c './dump {}'",
    "bash -O extglob -c './dump {}'",
    "dash -c './dump {}'",
    "zsh -fc './dump {}'",
    "ksh -c './dump {}'",
    "mksh -c './dump {}'",
    "busybox sh -c './dump {}'",
    "exec sh -c './dump {}'",
    "env sh -c './dump {}'",
    "env x=1 sh -c './dump {}'",
    "env -i sh -c './dump {}'",
    "nice sh -c './dump {}'",
    "nice -n 5 sh -c './dump {}'",
    "timeout 9 sh -c './dump {}'",
    "nohup sh -c './dump {}'",
    "setsid sh -c './dump {}'",
    "sudo sh -c './dump {}'",
    "time sh -c './dump {}'",
    "x=1 sh -c './dump {}'",
    "./dump | sh -c './dump {}'",
    "sh -c 'x' _ y; sh -c './dump {}'",
    "./dump \"$(sh -c './dump {}')\"",
    "su -c './dump {}'",
    "su root -c './dump {}'",
    "sh <<E\n./dump {}\nE",
    "bash -s <<E\n./dump {}\nE",
    "sh <<E | cat\n{}\nE",
    "cat <<'E'\n{}\nE",
    "cat <<\"E\"\n{}\nE",
    "cat <<\\E\n{}\nE",
    "./dump $'{}'",
    "./dump $'a\\n{}'",
    "./dump >&{}",
    "./dump 1>&x{}",
    "(./dump) >& \"{}\"",
    "./dump >\\\n&{}",
];

/// Words that are the name of a variable, or that shells read once more.
const REFUSED_NAMES: &[&str] = &[
    "unset {}",
    "unset \"x[{}]\"",
    "x=1 unset -v {}",
    "command unset {}",
    "command -p unset {}",
    "true && unset {}",
    "if true; then unset {}; fi",
    "for i in 1; do unset {}; done",
    "for i do unset {}; done",
    "case x in x) unset {};; esac",
    "./dump \"$(unset {})\"",
    "unset &>x {}",
    "read {} <dump",
    "read -r x {} <dump",
    "read -u {} x",
    "mapfile -t {} <dump",
    "readarray {} <dump",
    "getopts a {}",
    "declare {}",
    "declare {}=1",
    "declare -n x={}",
    "declare -a x={}",
    "x=(1); declare x={}",
    "typeset {}",
    "typeset -n x={}",
    "x=1 typeset -p {}",
    "nameref x={}; true",
    "f() { local {}; }; f",
    "readonly -a x={}",
    "[[ -v {} ]]",
    "[ -v {} ]",
    "! test -v {}",
    "test -t {}; true",
    "[ {1} {2} ]",
    "printf -v {} x; true",
    "printf {1} {2} x; true",
    "wait -p {}",
    "set -A {} x",
    "PS4={}; set -x; ./dump",
];

/// Command lines of several words, without a shell of msup's own.
const REFUSED_WORDS: &[&[&str]] = &[
    &["sh", "-c", "./dump {}"],
    &["sh", "-c", "{}"],
    &["bash", "-c", "./dump '{}'"],
    &["bash", "-ec", "./dump {}"],
    &["zsh", "-c", "./dump {}"],
    &["busybox", "sh", "-c", "./dump {}"],
    &["env", "sh", "-c", "./dump {}"],
    &["nice", "bash", "-c", "./dump {.}"],
    &["su", "-c", "./dump {}"],
];

fn code() -> Vec<Vec<u8>> {
    let code = ["touch MADE", ";touch MADE;", "$(touch MADE)", "';touch MADE;'", "\ntouch MADE\n"];
    code.map(|value| value.as_bytes().to_vec()).into()
}

in_some_shells!(code_is_refused);

fn code_is_refused(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let place = Place::new();
    let mut wrong = Vec::new();
    for script in REFUSED.iter().chain(REFUSED_NAMES) {
        let output = place.msup(&["-0", "--shell", path, "--", script], &list(&code(), 0));
        if !is_refused(&output) || !place.made().is_empty() {
            wrong.push(format!("{script:?}: {}; {:?}", output.status, place.made()));
            let _ = std::fs::remove_file(place.path().join(super::MARKER));
        }
    }
    assert!(wrong.is_empty(), "{shell}: not refused:\n{}", wrong.join("\n"));
}

#[test]
fn code_in_words_is_refused() {
    let place = Place::new();
    for words in REFUSED_WORDS {
        let words = [&["-0", "--"], *words].concat();
        let output = place.msup(&words, &list(&code(), 0));
        assert!(is_refused(&output) && place.made().is_empty(), "{words:?}: {output:?}");
    }
}

/// Without the protection the values do run: the tests of this folder would see it.
#[test]
fn the_values_would_run_if_they_were_not_refused() {
    for script in ["sh -c {}", "eval {}", "eval './dump {}'", "echo >&{}", "echo 1>&x{}"] {
        let place = Place::new();
        let words = ["-0", "--unsafe-replace", "--shell", "/bin/bash", "--", script];
        place.msup(&words, &list(&code(), 0));
        assert!(place.is_marked(), "{script:?} made nothing");
    }
}
