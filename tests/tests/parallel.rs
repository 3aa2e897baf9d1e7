//! `msup parallel`: GNU parallel's reading of a command line, beside the real one where it is
//! installed.

use std::path::Path;
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run_with_input};

/// Words of a command line, and the standard input.
type Case = (&'static [&'static str], &'static str);

/// Command lines of its manual, its tutorial and of scripts. Both programs do the same.
const SAME: [Case; 44] = [
    (&["echo", ":::", "a b", "c", "it's", "$HOME", "*", ""], ""),
    (&["echo"], "a b\nc  d\n"),
    (&["echo {} | tr a-z A-Z"], "a b\nc\n"),
    (&["echo", "{}", "|", "tr", "a-z", "A-Z", ":::", "a b", "c"], ""),
    (&["echo", "<{}>", "{#}", ":::", "a"], ""),
    (&["echo \"{}\"", ":::", "a", "b c"], ""),
    (&["echo", "$((1+{}))", ":::", "1", "2"], ""),
    (&["echo {1} and {2}", ":::", "a b", ":::", "c"], ""),
    (&["echo {1}{2}{3}", ":::", "a", ":::+", "b", ":::", "c", "d"], ""),
    (&["--link", "echo", ":::", "1", "2", "3", ":::", "a", "b"], ""),
    (&["echo", "{.}", "{/}", "{//}", "{/.}", ":::", "d/a.b.c", "x"], ""),
    (&["-N2", "echo", "{2}", "{1}", ":::", "a", "b", "c"], ""),
    (&["-n3", "echo"], "1\n2\n3\n4\n"),
    (&["--colsep", "\\t", "echo", "{2}", "{1}"], "a\tb\nc\td e\n"),
    (&["--colsep", ",", "echo {2} {1}"], "a,b c\n"),
    (&["-0", "echo"], "a\nb\0c\0"),
    (&["-d", ",", "echo"], "a,b,c"),
    (&["-a", "list", "wc -c"], ""),
    (&["wc", "-l", "<", "{}", "::::", "list"], ""),
    (&["cat", "::::", "list", ":::", "/dev/null"], ""),
    (&["-I%", "echo", "%%", ":::", "a b"], ""),
    (&["-q", "printf", "%s,", "{}", "a  b", ":::", "x y"], ""),
    (&["-q", "sh", "-c", "echo \"$1\"", "sh", "{}", ":::", "$x", "'"], ""),
    (&["--dry-run", "gzip -9 {}", ":::", "a b", "it's", "x=1", "\u{e4}"], ""),
    (&["--dry-run", "mv", "{}", "{.}.{#}.txt", ":::", "a.b"], ""),
    (&["-j1", "echo", "{%}", ":::", "a", "b"], ""),
    (&["-j0", "true", ":::", "a", "b"], ""),
    (&["-j200%", "echo", ":::", "a"], ""),
    (&["false", ":::", "a", "b", "c"], ""),
    (&["exit", ":::", "0", "1", "2"], ""),
    (&["--halt", "now,fail=1", "-j1", "exit", ":::", "0", "7", "0"], ""),
    (&["--halt", "soon,fail=1", "-j1", "echo {}; exit {}", ":::", "0", "7", "0"], ""),
    (&["--retries", "2", "exit", ":::", "1"], ""),
    (&["echo $PARALLEL_SEQ", ":::", "a"], ""),
    (&["--will-cite", "--no-notice", "-r", "echo"], ""),
    (&["cat list; echo", ":::", "x"], ""),
    (&["cd / && pwd && echo {}", ":::", "x"], ""),
    (&["for i in 1 2; do echo $i {}; done", ":::", "x"], ""),
    (&["greet", ":::", "you"], ""),
    (&[], "echo a; echo b\nexit 3\n"),
    (&["--tag", "printf", "'%s\\n' 1 2; echo err >&2; echo", ":::", "a b", "c"], ""),
    (&["--tagstring", "{#}:{/.}", "cat; echo {}; echo", ":::", "d/a.b"], ""),
    (&["--tag", "echo", ":::", "a", ":::", "b"], ""),
    (&["--tag", "true", ":::", "a"], ""),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"list\n");
    sandbox
}

fn ran(sandbox: &Sandbox, program: &Path, words: &[&str], input: &str) -> Output {
    // A script of bash, so that both programs find the same shell.
    let mut bash = sandbox.command("bash");
    bash.env("HOME", sandbox.path()).env_remove("PARALLEL");
    let script =
        "greet() { echo \"hello $1\"; }; export -f greet; p=$1; shift; \"$p\" \"$@\"; exit $?";
    bash.args(["-c", script, "bash"]).arg(program).args(words);
    run_with_input(&mut bash, input.as_bytes())
}

/// msup, called by that name.
fn link(sandbox: &Sandbox) -> std::path::PathBuf {
    let link = sandbox.path().join("parallel");
    std::os::unix::fs::symlink(program("msup"), &link).expect("a new name");
    link
}

#[test]
fn it_does_what_gnu_parallel_does() {
    let real = Command::new("parallel").arg("--version").output();
    if !real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let sandbox = sandbox();
    let own = link(&sandbox);
    let mut different = Vec::new();
    for (words, input) in SAME {
        let words = [&["-k"], words].concat();
        let [real, own] = [Path::new("parallel"), &own].map(|program| {
            let Output { status, stdout, stderr } = ran(&sandbox, program, &words, input);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (status.code(), text(&stdout), text(&stderr))
        });
        // Where the real one says that it halts, msup says it in its own words.
        let says_more = own.2.starts_with("msup: ") && real.2.is_empty();
        if (real.0, &real.1) != (own.0, &own.1) || says_more {
            different.push(format!("{words:?}: {real:?} and {own:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn it_is_asked_for_by_its_name_or_as_a_subcommand() {
    let sandbox = sandbox();
    let words = ["echo", "{}", "|", "tr", "a", "b", ":::", "a a"];
    let by_name = ran(&sandbox, &link(&sandbox), &words, "");
    let words = [&["parallel"], &words[..]].concat();
    for output in [by_name, ran(&sandbox, &program("msup"), &words, "")] {
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"b b\n"[..]));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no report");
    }
}

#[test]
fn a_variable_adds_flags() {
    let sandbox = sandbox();
    let mut msup = sandbox.msup(["parallel", "echo", ":::", "a,b"]);
    let output = run_with_input(msup.env("PARALLEL", "-k --colsep ','"), b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a b\n");
}
