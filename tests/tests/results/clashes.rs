//! Results that have no place: their flag does not go with another one, their file is no file or
//! has another purpose, or the output of another task is there.

use std::fs;

use msup_tests::{Sandbox, run};

use super::text;

/// The only line of a command line that is refused.
fn refused(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = run(&mut sandbox.msup(words));
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(255), 1), "{words:?}: {said}");
    said
}

/// GNU parallel fills the same files, and shows more.
#[test]
fn what_is_filed_is_whole_though_lines_are_asked_for() {
    let sandbox = Sandbox::new();
    let script = "echo out; echo err >&2; printf half; : {}";
    for flags in [&["--lb"][..], &["--lb", "-k"], &["parallel", "--lb"]] {
        let shown = |words: &[&str]| {
            let words = [flags, words, &[script, ":::", "a"]].concat();
            let output = run(&mut sandbox.msup(&words));
            assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
            assert!(!text(&output.stderr).contains("err"), "{words:?}");
            text(&output.stdout)
        };
        assert_eq!(shown(&["--results", "made"]), "");
        let file = |name: &str| fs::read_to_string(sandbox.path().join(name)).expect("made");
        assert_eq!(file("made/1/a/stdout"), "out\nhalf", "{flags:?}");
        assert_eq!(file("made/1/a/stderr"), "err\n");
        assert_eq!(shown(&["--results", "made.csv"]), "");
        assert!(file("made.csv").contains("\"out\nhalf\",\"err\n\"\n"), "{}", file("made.csv"));
        let name = shown(&["--results", "made", "--files"]);
        assert_eq!(name, "made/1/a/stdout\n");
        fs::remove_dir_all(sandbox.path().join("made")).expect("made");
    }
    let name = run(&mut sandbox.msup(["parallel", "--files", "--lb", script, ":::", "a"])).stdout;
    let name = text(&name).trim_end().to_owned();
    assert_eq!(fs::read_to_string(&name).expect(&name), "out\nhalf");
    fs::remove_file(name).expect("made");
}

#[test]
fn what_commands_show_themselves_is_not_filed() {
    let sandbox = Sandbox::new();
    for flag in ["--results=made", "--files"] {
        let said = refused(&sandbox, &["-u", flag, "echo", ":::", "a"]);
        assert!(said.contains("-u and --tty let commands write past msup"), "{said}");
    }
    // GNU parallel files what is then not shown.
    let said = refused(&sandbox, &["parallel", "-u", "--results", "made", "echo", ":::", "a"]);
    assert!(said.contains("-u"), "{said}");
    assert!(!sandbox.path().join("made").exists());
}

/// A pipe that no process reads holds up no run.
#[test]
fn results_are_neither_in_pipes_nor_below_files() {
    let sandbox = Sandbox::new();
    for name in ["pipe", "pipe.csv"] {
        let path = sandbox.path().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("writable");
    }
    sandbox.file("file", b"");
    for name in ["pipe.csv", "pipe/x", "pipe", "pipe/{}", "file", "file/x", "file/{}"] {
        let said = refused(&sandbox, &["--results", name, "echo", ":::", "a"]);
        assert!(said.starts_with(&format!("msup: --results {}", &name[..4])), "{said}");
    }
    for flag in ["--resume", "--resume-failed", "--retry-failed"] {
        let command: &[&str] = if flag == "--retry-failed" { &[] } else { &["echo", ":::", "a"] };
        let said = refused(&sandbox, &[&[flag, "--joblog", "pipe"][..], command].concat());
        assert!(said.contains("--joblog pipe: it is neither a file"), "{said}");
    }
}

#[test]
fn no_file_has_two_purposes() {
    let sandbox = Sandbox::new();
    sandbox.file("there.csv", b"");
    std::os::unix::fs::symlink("there.csv", sandbox.path().join("link")).expect("writable");
    std::os::unix::fs::symlink("later", sandbox.path().join("dangling")).expect("writable");
    for words in [
        ["--results", "s.csv", "--joblog", "./s.csv"],
        ["--results", "there.csv", "--summary", "link"],
        ["--joblog", "same", "--summary", "same"],
        ["--joblog", "+same", "--summary", "./same"],
        ["--joblog", "later", "--summary", "dangling"],
    ] {
        let said = refused(&sandbox, &[&words[..], &["echo", ":::", "a"]].concat());
        assert!(said.contains("name the same file") && said.contains(words[0]), "{said}");
    }
    for words in [
        ["--joblog", "/dev/null", "--summary", "/dev/null"],
        ["--joblog", "one", "--summary", "two"],
    ] {
        let output = run(sandbox.msup(words).args(["echo", ":::", "a"]));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// In GNU parallel, one output is lost.
#[test]
fn two_values_do_not_have_one_file() {
    for (place, values, file) in [
        ("made/{1}", &["a", ":::", "b", "c"][..], "made/a"),
        ("made/{/}", &["x/a", "y/a"], "made/a"),
        ("made/{1}/", &["a", ":::", "b", "c"], "made/a/stdout"),
        ("made/{}", &["a", "a.err"], "made/a"),
    ] {
        let sandbox = Sandbox::new();
        let ran = |words: &[&str]| run(sandbox.msup(words).args(["echo", ":::"]).args(values));
        let output = ran(&["-j1", "--results", place]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{place}: {said}");
        assert!(said.contains("not run: task 1 with another value has this file"), "{said}");
        let content = fs::read_to_string(sandbox.path().join(file)).expect("made");
        assert!(content == "a b\n" || content == "x/a\n" || content == "a\n", "{content}");
        let again = run(&mut sandbox.msup(["retry", "--failed"]));
        assert_eq!(again.status.code(), Some(1), "{}", text(&again.stderr));
        assert!(ran(&["parallel", "--results", place]).status.success());
    }
    let sandbox = Sandbox::new();
    let words = ["--results", "made/{1}", "echo", ":::", "a", "a"];
    assert!(run(&mut sandbox.msup(words)).status.success(), "the same value has the same file");
}
