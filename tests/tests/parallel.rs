//! `msup parallel`: GNU parallel's reading of a command line, beside the real one where it is
//! installed.

use std::path::Path;
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run, run_with_input};

/// Words of a command line, and the standard input.
type Case = (&'static [&'static str], &'static str);

/// Command lines of its manual, its tutorial and of scripts. Both programs do the same.
const SAME: [Case; 119] = [
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
    (&["-n2", "-j1", "echo", "x{}y"], "1\n2\n3\n4\n"),
    (&["-N2", "-j1", "echo", "x{}y"], "1\n2\n3\n4\n"),
    (&["-L2", "-j1", "echo", "x{}y"], "1\n2\n3\n4\n"),
    (&["-N3", "-m", "-j1", "echo", "x{}y"], "1\n2\n3\n4\n"),
    (&["-N2", "-j1", "echo", "x{/.}y", "{1}"], "a/1.b\n2\n3\n"),
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
    (&["-r", "echo x{}"], "a\n\n \n\t\nb\n"),
    (&["-r", "echo", "{#}", "{}", ":::", "a", "", " ", "b"], ""),
    (&["-r", "-N2", "echo"], "a\n\nb\n"),
    (&["-r", "echo", "x", ":::", "a", "", ":::", "", "b"], ""),
    (&["-N0", "echo", "x"], "1\n2\n3\n"),
    (&["-n0", "echo x{#}{}{1}"], "1\n2\n"),
    (&["-L0", "echo", "x"], "1\n2\n"),
    (&["-N0", "--dry-run", "echo", "x", "{}"], "1\n2\n"),
    (&["-n", "1k", "echo"], "1\n2\n"),
    (&["-N", "1K", "echo", "{2}"], "1\n2\n"),
    (&["-L", "1k", "echo"], "1\n2\n"),
    (&["-j1", "-X", "-s", "1k", "echo"], "1\n2\n"),
    (&["--max-lines", "2", "echo"], "1\n2\n3\n4\n"),
    (&["--maxlines", "2", "echo"], "1\n2\n3\n4\n"),
    (&["-i%", "echo", "%", "{}", ":::", "a"], ""),
    (&["-i", "%", "echo", "%", ":::", "a"], ""),
    (&["-ki%", "echo", "%", ":::", "a"], ""),
    (&["-i", "-j1", "echo", "x{}", ":::", "a"], ""),
    (&["--replace", "%", "echo", "%", ":::", "a"], ""),
    (&["--replace=%", "echo", "%", ":::", "a"], ""),
    (&["--replace", "-j1", "echo", "x{}", ":::", "a"], ""),
    (&["--tagstring", "a\\tb\\x", "echo", ":::", "a"], ""),
    (&["--tag", "--dry-run", "echo", ":::", "a"], ""),
    (&["--tagstring", "x{}", "--dry-run", "echo {}\necho", ":::", "a"], ""),
    (&["--tag", "--tagstring", "x{}", "echo", ":::", "a"], ""),
    (&["echo", "x{1}-{2}y", ":::", "a", "b", ":::"], ""),
    (&["echo", "x{1}-{2}y", ":::", "a", "b", ":::+"], ""),
    (&["echo", "x{1}-{2}y", ":::", ":::", "a", "b"], ""),
    (&["echo", "x{1}-{2}y", ":::", ":::+", "a", "b"], ""),
    (&["echo", "x{1}-{2}y", "::::", "/dev/null", ":::", "a", "b"], ""),
    (&["echo", "x{1}-{2}y", ":::", "a", "b", "::::", "/dev/null"], ""),
    (&["echo", "x", ":::", ":::"], ""),
    (&["echo", "x", ":::"], ""),
    (&["echo", ":::", "-"], ""),
    (&["--halt", "20%", "-j1", "echo {}; exit {}", ":::", "0", "7", "0", "0", "0"], ""),
    (&["--halt", "20%", "-j1", "echo {}; exit {}", ":::", "0", "7", "0", "3", "0", "9"], ""),
    (&["--halt", "now,done=50%", "-j1", "echo {}; exit {}", ":::", "0", "7", "0", "3"], ""),
    (&["echo", "--plain", ":::", "a"], ""),
    (&["echo", "x{-3}y{-4}z{-5}", ":::", "a", ":::", "b"], ""),
    (&["echo", "x{-2}y{-3}z", ":::", "a"], ""),
    (&["-E", "", "echo"], "a\n\nb\n"),
    (&["--eof=", "echo"], "a\n\nb\n"),
    (&["-I@", "echo", "{1}", ":::", "a"], ""),
    (&["-I@", "echo", "@", "{}", "{1}", "{.}", "{1.}", "{#}", ":::", "a.b"], ""),
    (&["-I@", "--colsep", ",", "echo", "{1}", ":::", "a,b"], ""),
    (&["-I@", "--colsep", ",", "echo", "@", "{2}", ":::", "a,b"], ""),
    (&["-I@", "-N2", "echo", "{2}"], "a\nb\nc\n"),
    (&["-I{x}", "echo", "{1x}", "{01x}", "{0x}", "{1}", ":::", "a"], ""),
    (&["echo", "{0}", ":::", "a", "b", ":::", "c"], ""),
    (&["echo", "{01}", "{02.}", "{-01}", ":::", "a", "b", ":::", "c.d"], ""),
    (&["echo", "x{00}x{-0}x", ":::", "a"], ""),
    (&["--timeout", "0", "sleep 0.1; echo", ":::", "a"], ""),
    (&["--arg-sep", "--", "echo", "--", "a", "b"], ""),
    (&["--quote", "printf", "%s,", "{}", ":::", "a  b"], ""),
    (&["--trim", "r", "echo x{}x"], " a\u{b}\u{c} \n"),
    (&["--trim", "lr", "echo x{}x"], "\u{b}\u{c}a\u{b}\u{c}\n"),
    (&["--colsep", "(,)|(;)", "echo {1}+{2}+{3}+{4}"], "a,b;c\n"),
    (&["--colsep", "(?:,)", "echo {1}+{2}"], "a,b\n"),
    (&["--colsep", "[a&&b]", "echo {1}+{2}+{3}"], "1a2&3\n"),
    (&["--colsep", "[+--]", "echo {1}/{2}/{3}"], "1+2-3\n"),
    (&["--colsep", r"\<", "echo {1}+{2}"], "a b<c d\n"),
    (&["--colsep", r"\s", "echo {1}+{2}"], "a\u{a0}b c\n"),
    (&["--colsep", r"\d", "echo {1}+{2}"], "a\u{663}b3c\n"),
    (&["--colsep", r"\h", "echo {1}+{2}"], "a\tb\n"),
    (&["--colsep", r"\v", "echo {1}+{2}"], "a\u{b}b\n"),
    (&["--colsep", "(?i)x", "echo {1}+{2}"], "aXb\n"),
    (&["--colsep", "\u{e4}+", "echo {1}+{2}"], "a\u{e4}\u{e4}b\n"),
    (&["--rpl", r"{x} s/[a&&b]/_/g", "echo {x}", ":::", "a&b|"], ""),
    (&["--rpl", r"{x} s/\</_/g", "echo {x}", ":::", "a<b"], ""),
    (&["--plus", "echo {//[&&x]/_}", ":::", "a&x"], ""),
];

/// Scripts in which `$p` is one of the two programs. Both do the same.
const SCRIPTS: [&str; 9] = [
    "export PARALLEL=--tag; $p echo --plain ::: a; $p echo ::: --plain; $p --plain echo ::: a",
    "$p --timeout 1 --joblog log sleep ::: 5; cut -f1,5- log",
    // What kills a command of its own is a failure like any other.
    "$p 'echo x >> cnt; kill -9 $$' ::: 1; echo $?; wc -l < cnt",
    "$p --retries 1 'echo x >> cnt; kill -9 $$' ::: 1; echo $?; wc -l < cnt",
    "$p 'echo x >> cnt; kill -SEGV $$' ::: 1; echo $?; wc -l < cnt",
    "$p --retries 2 'echo x >> cnt; kill -SEGV $$' ::: 1; echo $?; wc -l < cnt",
    "$p --retries 3 'echo x >> cnt; kill -9 $$' ::: 1; echo $?; wc -l < cnt",
    "$p --joblog log 'kill -9 $$; true' ::: 1; cut -f1,5- log",
    "$p --halt now,fail=1 -j1 'kill -9 $$; true' ::: 1 2; echo $?",
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
fn scripts_do_the_same() {
    let real = Command::new("parallel").arg("--version").output();
    if !real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let mut different = Vec::new();
    for script in SCRIPTS {
        let [real, own] = [false, true].map(|is_own| {
            let sandbox = sandbox();
            let program = if is_own { link(&sandbox) } else { "parallel".into() };
            let mut bash = sandbox.command("bash");
            bash.env("HOME", sandbox.path()).env_remove("PARALLEL").env("p", program);
            let Output { status, stdout, .. } =
                run_with_input(bash.args(["-c", &format!("{script}; exit $?")]), b"");
            (status.code(), String::from_utf8_lossy(&stdout).into_owned())
        });
        if real != own {
            different.push(format!("{script}: {real:?} and {own:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What msup does not do as GNU parallel does is refused in a line that says what to do.
#[test]
fn what_would_differ_is_refused() {
    let sandbox = sandbox();
    let own = link(&sandbox);
    for (words, says) in [
        (&["--colsep", "|", "echo"][..], "--colsep: |: it matches an empty text"),
        (&["--colsep", "^", "echo"], "--colsep: ^: it matches an empty text"),
        (&["--colsep", r"\R", "echo"], r"--colsep: \R: msup has no \R in regular expressions"),
        (&["--colsep", r"\b{wb}", "echo"], r"msup has no \b{ in regular expressions"),
        (&["--colsep", "a++", "echo"], "msup has no possessive repetition"),
        (&["--rpl", "{x} s/(?=a)//", "echo {x}"], "msup has no (?= in regular expressions"),
        (&["--pipe", "--regexp", "--recend", "(?=a)", "cat"], "msup has no (?= in"),
        (&["--pipe", "-r", "cat"], "it would remove blank lines"),
        (&["--results", "out", "-u", "echo", ":::", "a"], "-u and --tty let commands write past"),
        (&["--header", ":", "echo {x}", ":::", "x", "1", ":::", "x", "2"], "two columns have"),
    ] {
        let Output { status, stdout, stderr } = ran(&sandbox, &own, words, "a\n");
        let said = String::from_utf8_lossy(&stderr);
        assert!(said.contains(says) && said.trim_end().lines().count() == 1, "{words:?}: {said}");
        assert!(!status.success() && stdout.is_empty(), "{words:?}");
    }
}

/// What GNU parallel does not have asks for what msup does otherwise.
#[test]
fn crashes_are_repeated_if_that_is_asked_for() {
    for (flag, signal) in [("--crash-limit", "SEGV"), ("--outside-limit", "KILL")] {
        let sandbox = sandbox();
        let script = format!("echo x >> cnt; kill -{signal} $$; true");
        let words = [flag, "2", &script, ":::", "1"];
        assert_eq!(ran(&sandbox, &link(&sandbox), &words, "").status.code(), Some(1));
        let runs = std::fs::read_to_string(sandbox.path().join("cnt")).expect("it ran");
        assert_eq!(runs, "x\nx\n", "{flag}");
    }
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

/// As a script that starts it by `timeout` or `env`, without a variable that names a shell.
#[test]
fn the_nearest_shell_that_has_started_it_runs_commands() {
    let sandbox = sandbox();
    let script = "f() { echo \"f $1\"; }; export -f f; timeout 50 \"$0\" parallel f ::: a; true";
    let mut bash = sandbox.command("bash");
    bash.args(["-c", script]).arg(program("msup"));
    let output = run(bash.env_remove("SHELL").env_remove("PARALLEL_SHELL"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "f a\n", "{output:?}");
}
