//! Programs and builtins that give words, variables or input to a shell: msup refuses values there,
//! and nowhere else.

use super::values::list;
use super::{Place, in_some_shells, installed, is_refused};

/// Scripts in which a value would be run as code.
const REFUSED: &[&str] = &[
    // Builtins that expand their words.
    "compgen -W \"{}\" -- a",
    "true; complete -C {} x",
    "compgen -C {} x; true",
    "compgen -F {} x; true",
    // Variables that a shell expands.
    "ENV={} dash -i -c true",
    "ENV={} sh -i -c true",
    "ENV={} busybox sh -i -c true",
    "PS1={} bash -i",
    "PROMPT_COMMAND={} bash -i",
    "PS4[0]={}; set -x; ls",
    "env BASH_ENV={} bash -c true",
    "env -u X ENV={} sh -i",
    "env -i A=b ENV={} sh -i",
    "sudo -u root BASH_ENV={} bash -c true",
    "env 'BASH_FUNC_ls%%={}' bash -c ls",
    "export BASH_ENV={}; bash -c true",
    "declare -x BASH_ENV={}; bash -c true",
    "typeset -x BASH_ENV={}; bash -c true",
    "readonly ENV={}; true",
    "f() { local BASH_ENV={}; }; f",
    // Input.
    "bash /dev/stdin <<< {}",
    "sh /dev/fd/0 <<< {}",
    "sh /proc/self/fd/0 <<< {}",
    "sh - <<< {}",
    "bash -s <<< {}",
    "bash -s a <<< {}",
    "<<< {} sh",
    "(sh <<< {})",
    "sh <<< {} | cat",
    "<<E sh\n{}\nE",
    ". /dev/stdin <<< {}",
    ". /dev/fd/3 3<<< {}",
    "source /dev/stdin <<E\n{}\nE",
    "at now <<< {}",
    "batch <<E\n{}\nE",
    // Programs.
    "watch {}",
    "watch -n 1 ls {}",
    "nice -n 5 watch ls {}; true",
    "if watch {}; then :; fi",
    "flock x watch {}",
    "find . -exec watch {} ';'",
    "parallel echo {} ::: a",
    "parallel ::: {}",
    "msup parallel echo {} ::: a",
    "ls | entr -s {}",
    "ssh host cat {}",
    "ssh -p 22 host -v cat {}",
    "ssh -o ProxyCommand={} host",
    "split --filter={} dump",
    "runuser -c {}",
    "script -c {}",
    "flock x -c {}",
];

/// The same for command lines of several words.
const REFUSED_WORDS: &[&[&str]] = &[
    &["env", "BASH_ENV={}", "bash", "-c", "true"],
    &["env", "-u", "X", "ENV={}", "sh"],
    &["watch", "{}"],
    &["timeout", "5", "watch", "ls", "{}"],
    &["ssh", "host", "cat", "{}"],
    &["parallel", "echo", "{}", ":::", "a"],
    &["xargs", "-I%", "sh", "-c", "{}"],
    &["find", ".", "-exec", "sh", "-c", "{}", ";"],
];

/// Scripts that look like these.
const ALLOWED: &[&str] = &[
    "echo complete {}; true",
    "echo compgen -W {}; true",
    "env LANG={} sort; true",
    "env true ENV={}; true",
    "MY_ENV={} true; true",
    "bash {} 2>&1; true",
    "bash ./none {} <<< {} 2>&1; true",
    "bash -c cat <<< {}",
    "cat /dev/stdin <<< {}",
    "echo . /dev/stdin <<< {}",
    "echo watch {}; true",
    "echo ssh host {}; true",
    "echo parallel {}; true",
    "ssh {} true 2>&1; true",
    "entr {} 2>&1; true",
    "sudo -n apt install parallel {} 2>&1; true",
];

fn code() -> Vec<u8> {
    let values = ["touch MADE", "$(touch MADE)", ";touch MADE;"];
    list(&values.map(|value| value.as_bytes().to_vec()), 0)
}

in_some_shells!(code_that_is_passed_on_is_refused);

fn code_that_is_passed_on_is_refused(shell: &str) {
    let Some(path) = installed(shell) else { return };
    let path = path.to_str().expect("UTF-8");
    let place = Place::new();
    let mut wrong = Vec::new();
    for script in REFUSED {
        // Some of them need no shell: then msup runs the words.
        let output = place.msup(&["-0", "--shell", path, "--", script], &code());
        if !is_refused(&output) || !place.made().is_empty() {
            wrong.push(format!("{script:?}: {}; {:?}", output.status, place.made()));
            let _ = std::fs::remove_file(place.path().join(super::MARKER));
        }
    }
    assert!(wrong.is_empty(), "{shell}: not refused:\n{}", wrong.join("\n"));
}

#[test]
fn code_in_words_that_are_passed_on_is_refused() {
    let place = Place::new();
    for words in REFUSED_WORDS {
        let output = place.msup(&[&["-0", "--"], *words].concat(), &code());
        assert!(is_refused(&output) && place.made().is_empty(), "{words:?}: {output:?}");
    }
}

#[test]
fn words_that_only_look_like_these_are_allowed() {
    let Some(bash) = installed("bash") else { return };
    let bash = bash.to_str().expect("UTF-8");
    let place = Place::new();
    for script in ALLOWED {
        let output = place.msup(&["-0", "--shell", bash, "--", script], &code());
        assert!(output.status.success() && place.made().is_empty(), "{script:?}: {output:?}");
    }
}

/// `-X` repeats the word around a value: an operator in it would make the next value a command.
#[test]
fn operators_that_are_repeated_are_refused() {
    let msup = msup_tests::program("msup");
    let run = |line: &str| {
        let place = Place::new();
        place.sandbox.file("go", b"");
        let words = ["parallel", "-0", "-j1", "-X", line];
        let output = place.run(&msup, &words, &list(&[b"a".to_vec(), b"./dump".to_vec()], 0));
        (output, place.made())
    };
    for line in ["echo {}; echo y", "echo {}|cat", "echo {}&", "(echo {})", "echo `echo {}`"] {
        let (output, made) = run(line);
        assert!(is_refused(&output) && made.is_empty(), "{line}: {output:?}");
        assert!(output.stderr.windows(11).any(|part| part == b"put a blank"), "{line}: {output:?}");
    }
    for line in ["echo {} ; echo y", "echo \"{};\"", "echo {}\\;", "echo {}\necho y"] {
        let (output, made) = run(line);
        assert!(output.status.success() && made.is_empty(), "{line}: {output:?}");
    }
}
