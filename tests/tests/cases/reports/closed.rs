//! Standard output is closed while commands run (`| head -1`).

use std::io::{BufRead, BufReader};

use msup_tests::{Sandbox, overheard, program, run, spawn_piped, wait_until};

/// Runs this in bash, `$MSUP` being msup. What it shows.
fn bash(sandbox: &Sandbox, script: &str) -> [String; 2] {
    let mut bash = sandbox.command("bash");
    let output = run(bash.args(["-c", script]).env("MSUP", program("msup")));
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"))
}

/// One shows something at once, the others never finish of themselves.
const FOREVER: &str = "'[ {} = 1 ] && echo {} || sleep 1000' ::: 1 2 3 4";

#[test]
fn a_closed_output_stops_commands_that_only_print() {
    let sandbox = Sandbox::new();
    let script = format!("$MSUP -j4 {FOREVER} | head -n 1; echo ${{PIPESTATUS[0]}}");
    let [shown, said] = bash(&sandbox, &script);
    assert_eq!(shown, "1\n141\n");
    assert!(said.contains("msup: standard output was closed: stopping\n"), "{said}");
    let script = format!("$MSUP -q -j4 {FOREVER} | head -n 1; echo ${{PIPESTATUS[0]}}");
    assert_eq!(bash(&sandbox, &script), ["1\n141\n", ""], "-q says nothing of it");
}

#[test]
fn a_write_without_a_reader_stops_them_too() {
    let sandbox = Sandbox::new();
    let task = "'case {} in 1) echo 1;; 2) sleep 0.1; echo 2;; *) sleep 1000;; esac' ::: 1 2 3 4";
    let script = format!("$MSUP -q -j4 {task} | head -n 1; echo ${{PIPESTATUS[0]}}");
    assert_eq!(bash(&sandbox, &script), ["1\n141\n", ""]);
}

#[test]
fn a_command_that_makes_files_finishes_without_a_reader() {
    for asked in [["--summary", "s"], ["--joblog", "s"], ["--journal", "j"], ["--out", "made.{}"]] {
        let sandbox = Sandbox::new();
        let make = if asked[0] == "--out" { ">$MSUP_OUT" } else { ">made.{}" };
        let until_go = "until [ -e go ]; do sleep 0.01; done";
        let task = format!("[ {{}} = 1 ] || {until_go}; echo {{}}; echo made {make}");
        let mut msup = sandbox.msup(asked);
        let mut child = spawn_piped(msup.args(["-j2", &task, ":::", "1", "2"]));
        let mut shown = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        shown.read_line(&mut line).expect("text");
        drop(shown);
        let said = overheard(&mut child);
        wait_until(|| said.lock().expect("no panic").contains("standard output was closed"));
        sandbox.file("go", b"");
        child.wait().expect("ours");
        assert_eq!(line, "1\n");
        let made = std::fs::read(sandbox.path().join("made.2"));
        assert_eq!(made.expect("it was not stopped"), b"made\n", "{asked:?}");
    }
}

#[test]
fn commands_that_write_nothing_need_no_reader() {
    let sandbox = Sandbox::new();
    let script = "$MSUP -q -j2 'sleep 0.2; : >made.{}' ::: 1 2 3 | true; echo ${PIPESTATUS[0]}";
    assert_eq!(bash(&sandbox, script), ["0\n", ""]);
    assert!((1..=3).all(|number| sandbox.path().join(format!("made.{number}")).exists()));
}

#[test]
fn what_was_asked_for_and_cannot_be_printed_is_no_success() {
    let sandbox = Sandbox::new();
    assert!(run(&mut sandbox.msup(["-q", "true", ":::", "a"])).status.success());
    for arguments in
        [&["--help"][..], &["--version"], &["doctor"], &["log"], &["log", "last"], &["clean", "-n"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("there");
        let output = sandbox.msup(arguments).stdout(full).output().expect("built");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{arguments:?}: {said}");
        assert!(said.starts_with("msup: standard output: ") && said.lines().count() == 1, "{said}");
    }
    // A reader that wants no more is another thing.
    for arguments in ["--help", "log last", "doctor"] {
        let script = format!("$MSUP {arguments} | true; echo ${{PIPESTATUS[0]}}");
        assert_eq!(bash(&sandbox, &script), ["0\n", ""], "{arguments}");
    }
}

/// The runtime of Rust opens `/dev/null` in the place of a stream that is closed.
#[test]
fn a_standard_output_that_was_never_open_is_no_success() {
    let sandbox = Sandbox::new();
    for words in ["-k echo", "--lb echo", "--dry-run echo", "--no-journal echo"] {
        let [status, said] = bash(&sandbox, &format!("$MSUP {words} ::: a >&-; echo $?"));
        assert!(status == "255\n" && said.contains("standard output is closed"), "{words}: {said}");
    }
    for words in ["--help", "--version", "log", "doctor", "man"] {
        let [status, said] = bash(&sandbox, &format!("$MSUP {words} >&-; echo $?"));
        assert_eq!((status.as_str(), said.lines().count()), ("255\n", 1), "{words}: {said}");
    }
    // The command misses it itself.
    let [status, _] = bash(&sandbox, "$MSUP -q -u echo ::: a >&-; echo $?");
    assert_eq!(status, "1\n");
    let [status, _] = bash(&sandbox, "echo a b | $MSUP xargs -n1 echo >&-; echo $?");
    assert_eq!(status, "123\n", "as xargs");
    for words in ["true ::: a >&-", "--results made echo ::: a >&-", "echo ::: a >/dev/null"] {
        let [status, said] = bash(&sandbox, &format!("$MSUP -q {words}; echo $?"));
        assert_eq!([status.as_str(), &said], ["0\n", ""], "{words}: nothing is missing");
    }
    let [status, _] = bash(&sandbox, "$MSUP -q echo ::: a 1<>/dev/null; echo $?");
    assert_eq!(status, "0\n", "a user has opened it");
}

#[test]
fn a_standard_input_that_was_never_open_is_no_empty_list() {
    let sandbox = Sandbox::new();
    for (words, expected) in [
        ("echo", "255\n"),
        ("-a - echo", "255\n"),
        ("--pipe cat", "255\n"),
        ("xargs echo", "1\n"),
        ("-q echo ::: a", "a\n0\n"),
    ] {
        let [status, said] = bash(&sandbox, &format!("$MSUP {words} <&-; echo $?"));
        assert_eq!(status, expected, "{words}: {said}");
    }
}
