//! Tags, colours and commands beside outputs, as GNU parallel shows them.

use std::path::Path;

use msup_tests::{Sandbox, run, run_with_input};

use super::{as_parallel, has_parallel, link, text};

/// Words for a GNU parallel. Both programs show the same.
const SAME: [&[&str]; 29] = [
    &["-k", "-v", "echo", ":::", "a", "b c"],
    &["-k", "-vv", "echo", ":::", "a", "it's"],
    &["-k", "-v", "-v", "echo {}; exit 3", ":::", "a"],
    &["-k", "-t", "echo", ":::", "a b"],
    &["-k", "--verbose", "echo", ":::", "a"],
    &["-k", "-tv", "echo", ":::", "a"],
    &["-k", "-v", "--tag", "echo", ":::", "a", "b"],
    &["-j1", "-v", "--lb", "echo", ":::", "a", "b"],
    &["-j1", "-v", "-u", "echo", ":::", "a", "b"],
    &["-k", "-v", "false", ":::", "a"],
    &["-k", "--dry-run", "-v", "echo", ":::", "a"],
    &["-k", "--lb", "--tag", "printf '1\\n2\\n'; echo e >&2; true", ":::", "a", "b"],
    &["-k", "--lb", "--tagstring", "{#}:{}", "printf '1\\n2'", ":::", "a", "b"],
    &["-j1", "--lb", "printf {}", ":::", "a", "b"],
    &["-j1", "--line-buffered", "cat /nonexistent; echo", ":::", "a", "b"],
    &["-j1", "-u", "echo {}; echo e >&2", ":::", "a", "b"],
    &["-j1", "-u", "--tag", "echo", ":::", "a"],
    &["-k", "--tag", "printf 'x\\r\\ny\\rz\\n'; true", ":::", "a"],
    &["-k", "--color", "printf 'x\\ny'; echo e >&2; true", ":::", "a", "b", "c"],
    &["-k", "--colour", "--tag", "printf 'x\\r\\ny\\rz\\n\\n'; true", ":::", "a"],
    &["-k", "--ctag", "echo", ":::", "a", "b"],
    &["-k", "--ctagstring", "<{}>", "echo", ":::", "a", "b"],
    &["-k", "--ctag-string", "{#}", "echo", ":::", "a"],
    &["-k", "--lb", "--color", "--tag", "printf '1\\n2\\n'; true", ":::", "a", "b"],
    &["-k", "--cf", "printf x; exit", ":::", "0", "1"],
    &["-k", "--colour-failed", "--tag", "echo x; exit", ":::", "0", "1"],
    &["-k", "--color", "--color-failed", "printf 'x\\n\\n'; exit", ":::", "0", "3", "0"],
    &["-k", "--lb", "--cf", "echo x; exit", ":::", "0", "1"],
    &["-k", "--color", "true", ":::", "a"],
];

fn differ(sandbox: &Sandbox, own: &Path, words: &[&str]) -> Option<String> {
    let real = as_parallel(sandbox, Path::new("parallel"), words);
    let own = as_parallel(sandbox, own, words);
    // The names of programs stand before their errors.
    let is_same = real.0 == own.0 && real.1 == own.1 && real.2 == own.2;
    (!is_same).then(|| format!("{words:?}: {real:?} and {own:?}"))
}

#[test]
fn outputs_look_as_in_gnu_parallel() {
    if has_parallel() {
        let sandbox = Sandbox::new();
        let own = link(&sandbox);
        let different: Vec<String> =
            SAME.iter().filter_map(|words| differ(&sandbox, &own, words)).collect();
        assert!(different.is_empty(), "{}", different.join("\n"));
    }
}

/// Each task has its colour, and they begin again.
#[test]
fn all_colours_are_those_of_gnu_parallel() {
    if has_parallel() {
        let sandbox = Sandbox::new();
        let own = link(&sandbox);
        let numbers: Vec<String> = (1..=600).map(|n| n.to_string()).collect();
        let words = ["-k", "--color", "-n2", "echo", ":::"].into_iter();
        let words: Vec<&str> = words.chain(numbers.iter().map(String::as_str)).collect();
        assert_eq!(differ(&sandbox, &own, &words), None);
    }
}

/// The same without GNU parallel's reading of the command.
#[test]
fn commands_are_shown_as_they_could_be_typed() {
    let sandbox = Sandbox::new();
    let shown = |words: &[&str]| {
        let output = run(&mut sandbox.msup(words));
        (text(&output.stdout), text(&output.stderr))
    };
    let both = |out: &str, err: &str| (out.to_owned(), err.to_owned());
    assert_eq!(
        shown(&["-q", "-k", "-v", "echo", ":::", "a", "b c"]),
        both("echo a\na\necho 'b c'\nb c\n", "")
    );
    assert_eq!(
        shown(&["-q", "-j1", "-t", "echo {} | cat", ":::", "a"]),
        both("a\n", "echo 'a' | cat\n")
    );
    // Before the command writes anything itself.
    assert_eq!(
        shown(&["-q", "-u", "-v", "-t", "echo {} | tee /dev/stderr", ":::", "a"]),
        both("echo 'a' | tee /dev/stderr\na\n", "echo 'a' | tee /dev/stderr\na\n")
    );
    assert_eq!(shown(&["-q", "--lb", "-v", "--tag", "./nonexistent", ":::", "a"]).0, "");
    let output = run(&mut sandbox.msup(["-v", "--worker", "cat", ":::", "a"]));
    assert!(text(&output.stderr).contains("cannot be used with"), "{}", text(&output.stderr));
}

/// Without `-v`, too, a command that cannot be started has its line.
#[test]
fn a_command_that_cannot_be_started_is_shown_all_the_same() {
    let sandbox = Sandbox::new();
    for flags in [&["-q", "-v"][..], &["-q", "-v", "--lb"], &["-q", "-v", "-u"]] {
        let mut msup = sandbox.msup([flags, &["{}", ":::", "./nonexistent"]].concat());
        let output = run(&mut msup);
        assert_eq!(text(&output.stdout), "./nonexistent\n", "{flags:?}");
    }
}

/// What was kept has its colour, too, when a resume shows it.
#[test]
fn outputs_that_are_shown_again_have_their_colours() {
    let sandbox = Sandbox::new();
    let words = ["-q", "-k", "--color", "--tag", "--journal", "run", "echo", ":::", "a", "b"];
    let shown = run(&mut sandbox.msup(words)).stdout;
    assert!(text(&shown).starts_with("\u{1b}[48;5;134;38;5;231m\u{1b}[Ka\ta\u{1b}[m\n"));
    let again = run(&mut sandbox.msup(["resume", "-q", "--replay", "./run"]));
    assert_eq!(text(&again.stdout), text(&shown));
}

#[test]
fn a_run_is_resumed_with_the_same_flags() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"a\nb\n");
    let script = "test -e go || exit 1; echo {}";
    let mut msup = sandbox.msup(["-q", "-k", "-v", "--tag", "--lb", "--journal", "run", script]);
    assert_eq!(run_with_input(&mut msup, b"a\nb\n").status.code(), Some(2));
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["retry", "-q", "./run"]));
    let line = "test -e go || exit 1; echo";
    let expected = format!("a\t{line} 'a'\na\ta\nb\t{line} 'b'\nb\tb\n");
    assert_eq!(text(&output.stdout), expected);
}
