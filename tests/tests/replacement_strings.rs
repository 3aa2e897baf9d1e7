//! Replacement strings, headers and separators, beside the real GNU parallel where it is installed.

use std::path::Path;
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run, run_with_input};

/// Words of a command line, the standard input, and what is shown.
type Case = (&'static [&'static str], &'static str, &'static str);

/// GNU parallel 20221122 shows the same.
const SAME: [Case; 62] = [
    (&["--header", ":", "echo", "{name}", "{size}"], "name\tsize\na b\t1\nc\t2\n", "a b 1\nc 2\n"),
    (&["--header", ":", "echo", "{n/.}", "{m//}"], "n\tm\nd/a.b\te/f\n", "a e\n"),
    (&["--header", ":", "echo {a} {b}", ":::", "a", "1", "2", ":::", "b", "3"], "", "1 3\n2 3\n"),
    (&["--header", ":", "--colsep", ",", "echo", "{y}-{x}"], "x,y\n1,2\n", "2-1\n"),
    (&["--header", ":", "echo", "{h1}", "{h2}", "::::", "one", "two"], "", "1 3\n2 3\n"),
    (&["--header", ":", "--link", "echo", "{h1}{h2}", "::::", "one", "two"], "", "13\n23\n"),
    (
        &["--header", ":", "--tagstring", "{h1}", "echo", "{1}", "{}", "::::", "one"],
        "",
        "1\t1 1\n2\t2 2\n",
    ),
    (&["--header", ":", "echo"], "h\na\nb\n", "a\nb\n"),
    (&["--header", ":", "echo", "{n}."], "n\r\n1\n", "1.\n"),
    (&["--header", ".*\\n", "echo", "{h1}", "::::", "one"], "", "1\n2\n"),
    (
        &["--header", "0", "echo", "{one}", "{two}", "::::", "one", "two"],
        "",
        "h1 h2\nh1 3\n1 h2\n1 3\n2 h2\n2 3\n",
    ),
    (&["--skip-first-line", "echo"], "h\na\nb\n", "a\nb\n"),
    (&["--skip-first-line", "-a", "one", "-a", "two", "echo"], "", "1 h2\n1 3\n2 h2\n2 3\n"),
    (&["--arg-sep", ",,", "echo", ",,", "a", "b"], "", "a\nb\n"),
    (
        &["--arg-sep", ",,", "echo", ":::", "{}", ",,", "a", "b", ",,+", "1", "2"],
        "",
        "::: a 1\n::: b 2\n",
    ),
    (&["--arg-file-sep", "//", "echo", "//", "two"], "", "h2\n3\n"),
    (&["--argsep", "::", "echo", "::", "a", ":::", "b"], "", "a\n:::\nb\n"),
    (&["--shuf", "echo", ":::", "a"], "", "a\n"),
    (
        &["--plus", "echo", "{..} {+..} {+/} {/...} {...}", ":::", "d/a.b.c.d", "x"],
        "",
        "d/a.b c.d d a d/a\nx   x x\n",
    ),
    (
        &["echo", "{..}", "{##}", "{threads}", "{slot}", ":::", "a.b"],
        "",
        "{..} {##} {threads} {slot} a.b\n",
    ),
    (&["echo", "{0#}", "{7#}", ":::", "a", "b"], "", "1\n2\n"),
    (&["--plus", "echo", "{##}", "{#}", "{0#}", ":::", "a", "b"], "", "2 1 1\n2 2 2\n"),
    (
        &["--plus", "echo {0#}/{##}", ":::", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
        "",
        "01/10\n02/10\n03/10\n04/10\n05/10\n06/10\n07/10\n08/10\n09/10\n10/10\n",
    ),
    (
        &["--plus", "-j12", "--dry-run", "echo {0%} {slot} {host} {sshlogin} {hgrp}", ":::", "a"],
        "",
        "echo 01 ${PARALLEL_JOBSLOT} ${PARALLEL_SSHHOST} ${PARALLEL_SSHLOGIN} \
         ${PARALLEL_HOSTGROUPS}\n",
    ),
    (&["--plus", "-j1", "echo", "<{host}{slot}{sshlogin}>", ":::", "a"], "", ""),
    (&["--plus", "echo", "{:-no}", "{:2}", "{:1:2}", ":::", "abcd", ""], "", "abcd cd bc\nno  \n"),
    (&["--plus", "echo", "{:-no}", ":::", "0"], "", "no\n"),
    (
        &["--plus", "echo", "{#a*b} {##a*b} {%.gz} {%%b.*}", ":::", "aabab.gz"],
        "",
        "ab.gz ab.gz aabab aa\n",
    ),
    (
        &[
            "--plus",
            "echo",
            "{#z.*z.} {##z.*z.} {%.z.*z} {%%.z.*z}",
            ":::",
            "z.z.z.foo",
            "foo.z.z.z",
        ],
        "",
        "z.foo foo z.z.z.foo z.z.z.foo\nfoo.z.z.z foo.z.z.z foo.z foo\n",
    ),
    (
        &["--plus", "echo", "{/a/x} {//a/x} {/#a/x} {/%a/x} {/a/}", ":::", "abaca"],
        "",
        "xbaca xbxcx xbaca abacx baca\n",
    ),
    (
        &["--plus", "echo", "{^a} {^^a} {,A} {,,A} {^[a-z]} {^^[a-c]}", ":::", "abcabc"],
        "",
        "Abcabc AbcAbc abcabc abcabc Abcabc ABCABC\n",
    ),
    (&["--plus", "echo", "{,A}", "{,,A}", ":::", "ABA"], "", "aBA aBa\n"),
    (&["--plus", "echo", "{2:-x} {1%.gz} {-1^^b}", ":::", "a.gz", ":::", "b"], "", "b a B\n"),
    (&["--plus", "echo", "{${#x}}{%%}", ":::", "a"], "", ""),
    (&["--colsep", ",", "--plus", "echo", "{2:-none}"], "a,b\nc,\n", "b\nnone\n"),
    (&["--tagstring", "{%.gz}", "--plus", "echo", ":::", "a.gz"], "", "a\ta.gz\n"),
    (&["--tagstring", "{##}-{0#}", "--plus", "echo", ":::", "a", "b"], "", "2-1\ta\n2-2\tb\n"),
    (&["-I,,", "--plus", "echo", ",,", "{:1}", ":::", "abc"], "", "abc bc\n"),
    (
        &["--rpl", r"{:} s:(\.[^/]+)*$::", "echo", "{:}", "{2:}", ":::", "a.b/c.d.e", ":::", "x.y"],
        "",
        "a.b/c x x\n",
    ),
    (&["--rpl", "{%(.*?)} s/$$1//", "echo", "{%.tar.gz}", ":::", "my.tar.gz"], "", "my\n"),
    (
        &["--rpl", r"{:%(.+?)} s:$$1(\.[^/]+)*$::", "echo", "{:%_file}", ":::", "my_file.tar.gz"],
        "",
        "my\n",
    ),
    (
        &[
            "-n3",
            "--rpl",
            r"{/:%(.*?)} s:.*/(.*)$$1(\.[^/]+)*$:$1:",
            "echo",
            "job {#}: {2} {2.} {3/:%_1}",
            ":::",
            "a/b.c",
            "c/d.e",
            "f/g_1.h.i",
        ],
        "",
        "job 1: c/d.e c/d g\n",
    ),
    (
        &["--rpl", "{/(.+?)/(.*?)} s/$$1/$$2/;", "echo", "{/def_/help}", ":::", "abc_def_123.txt"],
        "",
        "abc_help123.txt\n",
    ),
    (&["--rpl", "%% s/a/b/", "--rpl", "% s/a/c/", "echo", "%%", "%", ":::", "a"], "", "b c\n"),
    (
        &["--rpl", "{up} $_=uc($_)", "--rpl", "{t} tr/a-c/x-z/", "echo {up} {t}", ":::", "abcd"],
        "",
        "ABCD xyzd\n",
    ),
    (
        &[
            "--rpl",
            r"{u} s/(.*)/\U$1/",
            "--rpl",
            "{f} s/^(.)/uc($1)/e",
            "echo {u} {f}",
            ":::",
            "abcd",
        ],
        "",
        "ABCD Abcd\n",
    ),
    (
        &[
            "--rpl",
            "{n} 1 $_=$job->seq()",
            "--rpl",
            "{t} 1 $_=total_jobs()",
            "echo {n}/{t}",
            ":::",
            "a",
            "b",
        ],
        "",
        "1/2\n2/2\n",
    ),
    (
        &[
            "--rpl",
            "{s} $_=substr($_,1,2)",
            "--rpl",
            "{d} $_ ||= \"x\"",
            "echo {s} {d}",
            ":::",
            "abcd",
        ],
        "",
        "bc abcd\n",
    ),
    (&["--rpl", "{.} s/a/b/", "echo", "{.}", "{1.}", ":::", "a.c"], "", "b.c b.c\n"),
    (&["--rpl", "{e} s/x/1/ || s/a/2/ || s/b/3/", "echo", "{e}", ":::", "ab"], "", "2b\n"),
    (&["--rpl", "{g} s/a/b/g; s/b/c/", "echo", "{g}", ":::", "aaa"], "", "cbb\n"),
    (&["--rpl", "{x(.)} s/$$1/./", "echo", "{xa}", ":::", "cab"], "", "c.b\n"),
    (&["--er", "EXT", "echo", "EXT", "{.}", ":::", "a.b"], "", "a {.}\n"),
    (
        &[
            "--bnr",
            "BASE",
            "--dnr",
            "DIR",
            "--bner",
            "BE",
            "--seqreplace",
            "SEQ",
            "--slotreplace",
            "SLOT",
            "-j1",
            "echo",
            "BASE",
            "DIR",
            "BE",
            "SEQ",
            "SLOT",
            ":::",
            "d/a.b",
        ],
        "",
        "a.b d a 1 1\n",
    ),
    (
        &["--basenamereplace", "{b}", "echo", "{b}", "{/}", "{1b}", ":::", "d/a.b"],
        "",
        "a.b {/} a.b\n",
    ),
    (&["--parens", ",,,,", "echo", "{= x =}", ":::", "a"], "", "{= x =} a\n"),
    (&["echo", "[a]{1}", "{3}x", "a{2}", ":::", "a", "b"], "", "[a]a x a\n[a]b x a\n"),
    (&["echo", "{2}.", ":::", "a"], "", ".\n"),
    (&["{}", ":::", "echo a b"], "", "a b\n"),
    (&["{1}", "x", ":::", "echo a"], "", "a x\n"),
    (&["ec{}", "b", ":::", "ho a"], "", "a b\n"),
    (&["--shellquote"], "a b\nit's\n", "'a b'\n'it'\"'\"'s'\n"),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("one", b"h1\n1\n2\n");
    sandbox.file("two", b"h2\n3\n");
    sandbox
}

fn ran(sandbox: &Sandbox, program: &Path, words: &[&str], input: &str) -> Output {
    let mut bash = sandbox.command("bash");
    bash.env("HOME", sandbox.path()).env_remove("PARALLEL");
    bash.args(["-c", "\"$@\"; exit $?", "bash"]).arg(program).args(words);
    run_with_input(&mut bash, input.as_bytes())
}

fn shown(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Those that are empty in the table are compared with the real program only.
#[test]
fn strings_stand_for_what_they_do_in_gnu_parallel() {
    let sandbox = sandbox();
    let real = Command::new("parallel").arg("--version").output();
    let is_there = real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel"));
    let mut different = Vec::new();
    for (words, input, expected) in SAME {
        let words = [&["-k"], words].concat();
        let own = [&["parallel"], &words[..]].concat();
        let own = shown(&ran(&sandbox, &program("msup"), &own, input));
        if !expected.is_empty() && own != (Some(0), expected.into(), String::new()) {
            different.push(format!("{words:?}: {own:?}, not {expected:?}"));
        }
        let real = || shown(&ran(&sandbox, Path::new("parallel"), &words, input));
        if is_there && own != real() {
            different.push(format!("{words:?}: {own:?} and {:?}", real()));
        }
    }
    if !is_there {
        println!("compared with a table alone: GNU parallel is not installed");
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn own(sandbox: &Sandbox, words: &[&str], input: &str) -> (Option<i32>, String, String) {
    shown(&run_with_input(&mut sandbox.msup([&["-q", "-k"], words].concat()), input.as_bytes()))
}

#[test]
fn records_of_csv_have_quotes_and_newlines() {
    let sandbox = Sandbox::new();
    let csv = |words: &[&str], input: &str| {
        let (status, text, said) = own(&sandbox, &[&["--csv"], words].concat(), input);
        assert_eq!((status, said.as_str()), (Some(0), ""), "{words:?}");
        text
    };
    let line = "\"1 big, 2 small\",\"2\"\"x4\"\" plank\",12.34\n";
    assert_eq!(
        csv(&["echo", "{1} of {2} at {3}"], line),
        "1 big, 2 small of 2\"x4\" plank at 12.34\n"
    );
    let two = "\"Start\nLine 2\";value 2\n";
    assert_eq!(
        csv(&["--colsep", ";", "printf", "<%s>", "{1}", "{2}"], two),
        "<Start\nLine 2><value 2>"
    );
    assert_eq!(csv(&["printf", "<%s>"], "a,,\n\nb\n"), "<a><><><><b>");
    assert_eq!(csv(&["--header", ":", "echo", "{b c}"], "a,\"b c\"\n1,2\n"), "2\n");
    let (status, _, said) = own(&sandbox, &["--csv", "echo"], "a,\"b\n");
    assert!(status == Some(255) && said.contains("a quote (\") is open at the end"), "{said}");
}

#[test]
fn combinations_are_left_out() {
    let sandbox = Sandbox::new();
    let lists = [":::", "A", "B", "C", ":::", "A", "B", "C"];
    let of =
        |string: &str| own(&sandbox, &[&["--plus", "echo", string], &lists[..]].concat(), "").1;
    assert_eq!(of("{choose_k}"), "A B\nA C\nB C\n");
    assert_eq!(of("{uniq}"), "A B\nA C\nB A\nB C\nC A\nC B\n");
}

#[test]
fn own_strings_need_no_flag() {
    let sandbox = Sandbox::new();
    let echo = |words: &[&str]| own(&sandbox, words, "").1;
    assert_eq!(echo(&["echo", "{0#}/{##}", "{..}", ":::", "a.b.c", "d"]), "1/2 a\n2/2 d\n");
    assert_eq!(echo(&["-j16", "echo {0%} | wc -c", ":::", "a"]), "3\n");
    assert_eq!(echo(&["--plus", "echo ${#x} {%.gz}", ":::", "a.gz"]), "0 a\n", "a shell's own");
    assert_eq!(echo(&["--dry-run", "echo", "{0#}/{##}", ":::", "a", "b"]), "echo 1/2\necho 2/2\n");
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    for (words, said) in [
        (
            &["--rpl", "{x} system('ls')", "echo", "{x}", ":::", "a"][..],
            "not one of the expressions",
        ),
        (&["--plus", "echo", "{#(}", ":::", "a"], "{#(}: not a regular expression"),
        (&["echo", "{= $_++ =}", ":::", "a"], "--rpl"),
        (&["--parens", "<>", "echo", "< x >", ":::", "a"], "is not supported"),
        (&["--header", "x", "echo", ":::", "a"], "--header x: must be"),
        (&["--csv", "--colsep", "ab", "echo", ":::", "a"], "one byte"),
        (&["--arg-sep", "", "echo"], "--arg-sep"),
        (&["--out", "{##}", "echo", "{}", "{out}", ":::", "a"], "cannot stand here"),
        (&["--tagstring", "{0%}", "echo", ":::", "a"], "cannot stand here"),
        (&["--profile", "x", "echo", ":::", "a"], "--profile is not supported"),
    ] {
        let output = run(&mut sandbox.msup(words));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(255) && text.contains(said), "{words:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// The header is no value, also when the list is gone.
#[test]
fn a_run_with_a_header_is_resumed() {
    let sandbox = Sandbox::new();
    let script = "test {name} != b || test -e go || exit 3; echo {size} >>all";
    let mut msup = sandbox.msup(["-q", "-j1", "--journal", "run"]);
    msup.args(["--header", ":", script]);
    let output = run_with_input(&mut msup, b"name\tsize\na\t1\nb\t2\nc\t3\n");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    sandbox.file("go", b"");
    let again = run(&mut sandbox.msup(["retry", "-q", "./run"]));
    assert!(again.status.success(), "{again:?}");
    let all = std::fs::read_to_string(sandbox.path().join("all")).expect("written");
    assert_eq!(all, "1\n3\n2\n");
}

/// Every value once, in an order that a retry keeps.
#[test]
fn a_shuffled_run_has_every_value_once() {
    let sandbox = Sandbox::new();
    let values: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let words = [&["--shuf", "--journal", "run", "echo", ":::"], &values[..]].concat();
    let (status, text, _) = own(&sandbox, &words, "");
    let mut lines: Vec<&str> = text.lines().collect();
    assert!(status == Some(0) && lines != values, "one in 200! orders");
    lines.sort_by_key(|line| line.parse::<u32>().ok());
    assert_eq!(lines, values);
    let replayed = run(&mut sandbox.msup(["resume", "-q", "--replay", "./run"]));
    assert_eq!(String::from_utf8_lossy(&replayed.stdout), text);
}
