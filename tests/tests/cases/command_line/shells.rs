//! Which shell runs a script, and functions that bash exports.

use std::process::{Command, Output};

use msup_tests::{Sandbox, run, run_with_input};

use super::{assert_refused, stderr_of, stdout_of};

/// What only bash prints.
const BASHISM: &str = "[[ x = x ]] && printf '%s ' {1..3} <(true) && echo {}";

fn there_is(shell: &str) -> bool {
    Command::new(shell).args(["-c", ":"]).status().is_ok()
}

fn ran_in(sandbox: &Sandbox, shell: Option<&str>, arguments: &[&str]) -> Output {
    let mut msup = sandbox.msup(arguments);
    match shell {
        Some(shell) => msup.env("SHELL", shell),
        None => msup.env_remove("SHELL"),
    };
    run(&mut msup)
}

#[test]
fn scripts_run_under_the_users_shell_if_it_is_one_of_its_family() {
    let sandbox = Sandbox::new();
    let name = "readlink /proc/$$/exe; : {}";
    let named =
        |shell: Option<&str>| stdout_of(&ran_in(&sandbox, shell, &["-q", name, ":::", "a"]));
    let program = |shell: &str| {
        let output =
            run(sandbox.command("sh").args(["-c", &format!("readlink -f $(command -v {shell})")]));
        stdout_of(&output)
    };
    for shell in ["sh", "bash", "dash", "zsh", "ksh93", "mksh"] {
        if there_is(shell) {
            assert_eq!(named(Some(shell)), program(shell), "{shell}");
        }
    }
    for other in [None, Some("/usr/bin/fish"), Some("/nowhere/zsh"), Some("tcsh"), Some("")] {
        assert_eq!(named(other), program("sh"), "{other:?}");
    }
}

#[test]
fn scripts_written_for_bash_run_where_bash_is_the_users_shell() {
    let sandbox = Sandbox::new();
    let output = ran_in(&sandbox, Some("/bin/bash"), &["-q", BASHISM, ":::", "a b"]);
    let stdout = stdout_of(&output);
    assert!(stdout.starts_with("1 2 3 /dev/fd/") && stdout.ends_with(" a b\n"), "{stdout}");
    let lines = run_with_input(
        sandbox.msup(["-q", "-k"]).env("SHELL", "/bin/bash"),
        b"echo {1..3}\n[[ a ]]\n",
    );
    assert_eq!((stdout_of(&lines), lines.status.code()), ("1 2 3\n".into(), Some(0)));
}

#[test]
fn another_shell_can_be_asked_for() {
    let sandbox = Sandbox::new();
    let output = ran_in(&sandbox, None, &["-q", "--shell", "bash", BASHISM, ":::", "a"]);
    assert!(stdout_of(&output).starts_with("1 2 3"), "{}", stderr_of(&output));
    let output = ran_in(
        &sandbox,
        Some("/bin/bash"),
        &["-q", "--shell", "/bin/sh", "echo {1..3} {};", ":::", "a"],
    );
    let plain = run(sandbox.command("sh").args(["-c", "echo {1..3} a"]));
    assert_eq!(stdout_of(&output), stdout_of(&plain));
    assert_refused(&["--shell", "/bin/cat", "echo {};", ":::", "a"], &["--shell /bin/cat", "bash"]);
    assert_refused(&["--shell", "/no/zsh", "echo {};", ":::", "a"], &["--shell", "/no/zsh"]);
    assert_refused(&["--shell", "sh", "--worker", "true", ":::", "a"], &["--shell", "--worker"]);
}

/// A resume may run under another shell, for example from cron.
#[test]
fn a_resumed_run_keeps_the_shell_it_was_started_with() {
    let sandbox = Sandbox::new();
    let script = "echo $SHELL >/dev/null; [[ {} = b && ! -e go ]] && exit 1; echo {1..3} {}";
    let flags =
        ["-q", "-k", "--journal", "j", "--halt", "now,fail=1", "-j1", script, ":::", "a", "b", "c"];
    let first = ran_in(&sandbox, Some("/bin/bash"), &flags);
    assert_eq!((stdout_of(&first), first.status.code()), ("1 2 3 a\n".into(), Some(1)));
    let second = ran_in(&sandbox, Some("/bin/sh"), &["resume", "-q", "./j"]);
    assert_eq!(stdout_of(&second), "1 2 3 c\n", "{}", stderr_of(&second));
}

#[test]
fn functions_that_bash_exports_are_commands() {
    let sandbox = Sandbox::new();
    let msup = msup_tests::program("msup");
    let bash = |shell: &str, arguments: &str| {
        let script = format!(
            "doit() {{ echo \"<$1> <$2>\"; }}; export -f doit; \
             SHELL={shell} \"$0\" -q -k {arguments}"
        );
        let mut command = sandbox.command("bash");
        command.args(["-c", &script]).arg(&msup);
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", stderr_of(&output));
        stdout_of(&output)
    };
    for shell in ["/bin/bash", "/bin/sh"] {
        assert_eq!(bash(shell, "doit ::: 1 '2  *'"), "<1> <>\n<2  *> <>\n");
        assert_eq!(bash(shell, "doit x{} y ::: 1"), "<x1> <y>\n");
        assert_eq!(bash(shell, "'doit {} y' ::: '1 2'"), "<1 2> <y>\n");
        assert_eq!(bash(shell, "'doit {} | cat' ::: '1 2'"), "<1 2> <>\n");
        assert_eq!(bash(shell, "< <(echo 'doit 1 2'; echo 'doit 3 | cat')"), "<1> <2>\n<3> <>\n");
    }
}
