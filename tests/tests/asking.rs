//! `-p`: a question on the terminal before each start, beside the real programs where they are
//! installed.

use std::fs;
use std::process::Command;

use msup_tests::screen::Screen;
use msup_tests::{Sandbox, program, run, wait_until};

/// Command lines, and what is typed. `$P` is GNU parallel or msup, `$X` xargs or msup.
const SAME: [(&str, &str); 8] = [
    ("$P -k -p echo ::: a b c d", "y\nn\n Yes\n\n"),
    ("$P -k -p -j1 'echo {}; exit {}' ::: 0 3 0 5", "Y\ny\nno\nn\n"),
    ("$P -k --interactive -t -j1 echo ::: a b", "y\nyes\n"),
    ("$P -k -p -j1 --joblog log echo ::: a b; cut -f1,7- log", "n\ny\n"),
    ("printf '%s\\n' a b c d | $X -n1 -p echo", "y\nno\nYes\n y\n"),
    ("echo a b | $X -p -t false", "y\n"),
    ("echo a b | $X --interactive false", "n\n"),
    ("printf '%s\\n' a b | $X -P2 -n1 -p sh -c 'exit 255'", "n\ny\n"),
];

/// What a script shows, says and exits with, if this is typed on its terminal.
fn answered(
    sandbox: &Sandbox,
    [parallel, xargs]: [&str; 2],
    script: &str,
    typed: &str,
) -> [String; 3] {
    let screen = Screen::new(24, 80);
    let set = format!("export HOME=$PWD P='{parallel}' X='{xargs}'; unset PARALLEL");
    let script = format!("{set}; {{ {script}; }} >out 2>err; echo $? >status");
    screen.type_keys(typed.as_bytes());
    let mut shell = screen.shell(sandbox, &script);
    assert!(shell.wait().expect("it was started").success());
    ["out", "err", "status"]
        .map(|name| fs::read_to_string(sandbox.path().join(name)).expect("the script writes it"))
}

fn is_installed(name: &str, as_it_says: &[u8]) -> bool {
    let output = Command::new(name).arg("--version").output();
    output.is_ok_and(|output| output.stdout.starts_with(as_it_says))
}

#[test]
fn questions_are_those_of_the_real_programs() {
    if !is_installed("parallel", b"GNU parallel") || !is_installed("xargs", b"xargs (GNU") {
        println!("skipped: GNU parallel or xargs is not installed");
        return;
    }
    let msup = program("msup").display().to_string();
    let own = [format!("{msup} parallel"), format!("{msup} xargs")];
    let sandbox = Sandbox::new();
    let mut different = Vec::new();
    for (script, typed) in SAME {
        let real = answered(&sandbox, ["parallel", "xargs"], script, typed);
        let own = answered(&sandbox, own.each_ref().map(String::as_str), script, typed);
        if real != own {
            different.push(format!("{script}: {real:?} and {own:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_task_that_was_declined_can_be_retried() {
    let sandbox = Sandbox::new();
    let script = "$MSUP -q -k -p --journal run echo ::: a b; $MSUP retry -q ./run";
    let [out, err, status] = answered(&sandbox, ["", ""], script, "n\ny\ny\n");
    assert_eq!((out.as_str(), status.as_str()), ("b\na\n", "0\n"));
    assert_eq!(err, "echo a ?...echo b ?...echo a ?...");
}

/// Outputs are shown while a question is open, and a signal ends it.
#[test]
fn a_question_holds_nothing_up() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 200);
    let script = "until test -e go; do sleep 0.01; done; echo {} >>ran; echo shown";
    let mut shell = screen.shell(&sandbox, &format!("$MSUP -q -p -j2 '{script}' ::: a b"));
    let ends_with = |end: &str| screen.all_rows().iter().any(|row| row.ends_with(end));
    wait_until(|| screen.count("?...") == 1);
    screen.type_keys(b"y\n");
    wait_until(|| screen.count("?...") == 2);
    sandbox.file("go", b"");
    wait_until(|| ends_with("?...shown"));
    screen.type_keys(b"\x03");
    assert!(!shell.wait().expect("it was started").success());
    assert_eq!(fs::read(sandbox.path().join("ran")).expect("written"), b"a\n");
}

#[test]
fn without_a_terminal_nothing_can_be_asked() {
    let sandbox = Sandbox::new();
    for words in [&["-p", "echo", ":::", "a"][..], &["xargs", "-p", "echo"]] {
        let mut setsid = sandbox.command("setsid");
        let output = run(setsid.arg("--wait").arg(program("msup")).args(words));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
        assert!(said.contains("/dev/tty") && said.lines().count() == 1, "{said}");
    }
}
