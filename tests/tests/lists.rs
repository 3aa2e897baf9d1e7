//! Several lists of values: all combinations, values that belong together, and what runs with them
//! leave for a resume.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use msup_tests::{Sandbox, kill, records, run, run_with_input, wait_until};
use nix::sys::signal::Signal;

/// Words of a command line, the standard input, and what is shown.
type Case = (&'static [&'static str], &'static str, &'static str);

/// GNU parallel shows the same.
const SAME: [Case; 27] = [
    (&["echo", ":::", "a", "b", ":::", "c", "d"], "", "a c\na d\nb c\nb d\n"),
    (&["echo", "{2}-{1}", ":::", "a", "b", ":::", "c"], "", "c-a\nc-b\n"),
    (&["echo", "{1} {2} {3}", ":::", "a", ":::", "b", "c", ":::", "d"], "", "a b d\na c d\n"),
    (&["echo", ":::", "a", "b", ":::+", "c", "d"], "", "a c\nb d\n"),
    (
        &["echo", ":::", "a", "b", ":::+", "c", "d", ":::", "e", "f"],
        "",
        "a c e\na c f\nb d e\nb d f\n",
    ),
    (&["echo", ":::", "a", "b", ":::+", "c"], "", "a c\n"),
    (&["--link", "echo", ":::", "a", "b", "c", ":::", "d", "e"], "", "a d\nb e\nc d\n"),
    (&["--xapply", "echo", "{2}", ":::", "a", "b", ":::", "d"], "", "d\nd\n"),
    (&["echo", "::::", "one", "two"], "", "1 3\n1 4\n2 3\n2 4\n"),
    (&["echo", "::::", "one", "::::+", "two"], "", "1 3\n2 4\n"),
    (&["-a", "one", "-a", "two", "echo"], "", "1 3\n1 4\n2 3\n2 4\n"),
    (&["-a", "one", "echo", ":::", "x"], "", "1 x\n2 x\n"),
    (&["echo", "::::", "-", ":::", "x", "y"], "1\n2\n", "1 x\n1 y\n2 x\n2 y\n"),
    (&["-a", "-", "echo"], "1\n2\n", "1\n2\n"),
    (&["-d", ",", "echo"], "a b,c,d", "a b\nc\nd\n"),
    (&["--delimiter", r"\t", "echo", "{1/.} {-1//}"], "a/b.c\td", "b a\nd .\n"),
    (&["-n", "2", "echo"], "1\n2\n3\n", "1 2\n3\n"),
    (&["-N2", "echo", "{2}-{1}"], "1\n2\n3\n", "2-1\n-3\n"),
    (&["--max-args", "3", "echo", "x", "{}"], "1\n2\n3\n", "x 1 2 3\n"),
    (&["-n2", "echo", ":::", "a", "b", ":::", "c"], "", "a c b c\n"),
    (&["--colsep", ",", "echo", "{2}-{1}"], "a,b\nc , d,e\n", "b-a\nd-c\n"),
    (&["-C", "[ ;]+", "echo", "{3}{2}{1}", "::::", "-"], "a;b c\n", "cba\n"),
    (&["--colsep", ",", "--trim", "n", "echo", "{1}."], "a ,b\n", "a .\n"),
    (&["--trim", "lr", "echo", ".{}."], " a \n", ".a.\n"),
    (&["-I", "%", "echo", "x%y", "{}"], "a\n", "xay {}\n"),
    (&["-I,", "echo", ",", "{/}"], "d/a\n", "d/a a\n"),
    (&["-I", "REPL", "echo REPL | cat"], "a b\n", "a b\n"),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("one", b"1\n2\n");
    sandbox.file("two", b"3\n4\n");
    sandbox
}

#[test]
fn lists_are_combined() {
    let sandbox = sandbox();
    for (words, input, expected) in SAME {
        let mut msup = sandbox.msup([&["-q", "-k"], words].concat());
        let output = run_with_input(&mut msup, input.as_bytes());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{words:?}");
    }
}

/// The table above is right.
#[test]
fn gnu_parallel_combines_them_in_the_same_way() {
    let is_there = Command::new("parallel").arg("--version").output();
    if is_there.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        let sandbox = sandbox();
        for (words, input, expected) in SAME {
            let mut parallel = Command::new("parallel");
            parallel.current_dir(sandbox.path()).env("HOME", sandbox.path());
            parallel.args(["--will-cite", "-k"]).args(words);
            let output = run_with_input(&mut parallel, input.as_bytes());
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{words:?}");
        }
    } else {
        println!("skipped: GNU parallel is not installed");
    }
}

/// Otherwise a list that went wrong would look like a run without tasks.
#[test]
fn an_empty_list_beside_others_is_an_error() {
    let sandbox = sandbox();
    sandbox.file("empty", b"");
    for (words, said) in [
        (&[":::", "a", "b", ":::+"][..], "list 2 is empty"),
        (&[":::", "a", ":::"], "list 2 is empty"),
        (&[":::", ":::", "a"], "list 1 is empty"),
        (&[":::", ":::+", "a"], "list 1 is empty"),
        (&["::::", "empty", ":::", "a"], "list 1 is empty"),
        (&[":::", "a", "::::", "empty"], "list 2 is empty"),
    ] {
        let output = run(&mut sandbox.msup([&["echo"], words].concat()));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(said), "{words:?}: {stderr}");
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(255), &b""[..]), "{words:?}");
    }
    let output = run(&mut sandbox.msup(["echo", ":::"]));
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b""[..]));
}

#[test]
fn a_quote_that_is_open_is_an_error_on_the_command_line_too() {
    let output = run(&mut Sandbox::new().msup(["--csv", "echo", ":::", "\"a"]));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(255) && stderr.contains("is open"), "{stderr}");
}

/// Those that were kept, too.
#[test]
fn outputs_that_are_shown_again_have_their_tags() {
    let sandbox = Sandbox::new();
    let words = ["-q", "-k", "--tagstring", "<{}>", "--journal", "run", "echo", ":::", "a", "b"];
    let shown = "<a>\ta\n<b>\tb\n";
    assert_eq!(run(&mut sandbox.msup(words)).stdout, shown.as_bytes());
    let again = run(&mut sandbox.msup(["resume", "-q", "--replay", "./run"]));
    assert_eq!(String::from_utf8_lossy(&again.stdout), shown);
}

#[test]
fn a_dry_run_shows_commands_that_can_be_pasted_and_leaves_nothing() {
    let sandbox = sandbox();
    let dry = |words: &[&str], input: &str| {
        let mut msup = sandbox.msup([&["--dry-run"], words].concat());
        let output = run_with_input(&mut msup, input.as_bytes());
        assert_eq!(output.stderr, b"", "{words:?}");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let words = ["touch", "made", "{}", ":::", "a b", "it's"];
    let shown = (Some(0), "touch made 'a b'\ntouch made 'it'\\''s'\n".to_owned());
    assert_eq!(dry(&words, ""), shown);
    let words = ["--out", "{.}.o", "cat {} | wc -l >{out}"];
    assert_eq!(dry(&words, "x.c\n"), (Some(0), "cat 'x.c' | wc -l >'x.o'\n".to_owned()));
    assert_eq!(dry(&[], "echo {}; true\n"), (Some(0), "echo {}; true\n".to_owned()));
    let state = sandbox.path().join("state");
    assert!(!state.exists() || fs::read_dir(state).expect("readable").count() == 0, "a journal");
    assert!(!sandbox.path().join("made").exists());
}

/// Values with bytes that mean something where they are kept.
#[test]
fn a_run_with_several_lists_is_resumed() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"p\x01\x02q\n\x01\nr\n");
    let list = fs::File::open(sandbox.path().join("list")).expect("there");
    let script = "test -e go || sleep 100; printf '%s|%s\\n' \"$1\" \"$2\" >>all";
    let mut msup = sandbox.msup(["-q", "-j1", "--journal", "run", "--", "sh", "-c", script, "sh"]);
    msup.args(["{1}", "{2}", "::::", "-", ":::", "x", ""]).stdin(list).stdout(Stdio::null());
    let mut child = msup.spawn().expect("built");
    let journal = sandbox.path().join("run/journal.jsonl");
    wait_until(|| journal.exists() && records(&journal, "inputs-end") == 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<Vec<u8>> = fs::read(sandbox.path().join("all"))
        .expect("written")
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.sort();
    let expected = ["\x01|\n", "\x01|x\n", "p\x01\x02q|\n", "p\x01\x02q|x\n", "r|\n", "r|x\n"];
    assert_eq!(lines, expected.map(|line| line.as_bytes().to_vec()));
}

#[test]
fn a_failure_is_reported_with_all_its_arguments() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["sh", "-c", "exit 3", "sh", ":::", "a", ":::", "b c"]);
    let output = run(&mut msup);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("a b c"), "{said}");
}

/// The first list is read as its values are wanted, and tasks start meanwhile.
#[test]
fn a_slow_list_is_combined_as_it_comes() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "-k", "sh", "-c", "echo $1 $2 >>all", "sh", "::::", "-"]);
    let mut child = msup.args([":::", "x", "y"]).stdin(Stdio::piped()).spawn().expect("built");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"1\n").expect("it reads");
    let all = sandbox.path().join("all");
    let lines = || fs::read_to_string(&all).map_or(0, |text| text.lines().count());
    wait_until(|| lines() == 2);
    input.write_all(b"2\n").expect("it reads");
    wait_until(|| lines() == 4);
    drop(input);
    assert!(child.wait().expect("ours").success());
}
