//! Places that values cannot have, and places that only look like them.

use super::*;

/// Why a line is refused.
fn refusal(shell: &str, line: &str) -> String {
    let refused = parsed(&[line], &reading(shell)).expect_err(line).to_string();
    assert!(!refused.contains('\n'), "{refused}");
    refused
}

#[test]
fn places_that_shells_read_differently_are_refused_with_the_position() {
    for (shell, line, says) in [
        ("sh", "cat <<'E'\n{}\nE", "line 2, character 1 ('{}\\nE'): a here-document with a quoted"),
        ("sh", "cat <<\\E\nx {}\nE", "line 2, character 3"),
        ("sh", "cat <<\"E\"\n{.}\nE", "quoted delimiter"),
        ("sh", "cat <<{}\n{}", "delimiter of a here-document"),
        ("sh", "cat <<E\n{}", "not closed"),
        ("sh", "cat <<E {}", "not closed"),
        ("sh", "cat <<E\n`echo {}`\nE", "backticks"),
        ("sh", "cat <<E \"a\n{}\"\nE", "begins"),
        ("sh", "echo '{}", "character 7 ('{}'): a quote"),
        ("sh", "echo \"`{} $(( {}", "not closed"),
        ("sh", "x=$(case x in x) echo {};;)", "not closed"),
        ("sh", "case x {} in x) ;; esac", "case"),
        ("sh", "echo a) {}", "parentheses"),
        ("sh", "echo `a) {}`", "parentheses"),
        ("sh", r"printf %s $'it\'s {}'", "differently"),
        ("bash", r"printf %s $'a {}' ", "$'..' takes no values"),
        ("bash", r"printf %s $'it\'s' {}", "behind $'..\\'..'"),
        ("dash", "(( {} > 1 )) && echo", "((..))"),
        ("bash", "let 'x={}'", "put it outside"),
        ("bash", "echo $[ {} + 1 ]", "$[..]"),
        ("bash", "echo \"${x/{}/b}\"", "${..}"),
        ("bash", "echo \"${x:-it's {}}\"", "${..}"),
        ("zsh", "echo ${(f){}}", "${..}"),
        ("ksh", "echo ${x:-{}}", "${..}"),
        ("ksh", "echo ${ echo {}; }", "${..}"),
        ("bash", "cat <\\\n<E\n{}\nE", "write it on one line"),
        ("bash", "echo >\\\n\\\n&{}", "write it on one line"),
        ("zsh", "echo one({})", "parentheses of a pattern"),
        ("zsh", "ls *(e:{}:)", "parentheses of a pattern"),
        ("zsh", "ls ({}|b)", "parentheses of a pattern"),
        ("zsh", "for f in one(.{}); do :; done", "parentheses of a pattern"),
    ] {
        let said = refusal(shell, line);
        assert!(said.contains(says), "{shell}: {line:?}: {said}");
    }
}

#[test]
fn values_that_a_shell_would_run_as_code_are_refused() {
    for line in [
        "bash -c \"echo {}\"",
        "bash -c 'echo {}'",
        "bash -c {}; true",
        "true | xargs sh -c \"echo {.}\"",
        "if true; then /bin/sh -euc 'cat {/}'; fi",
        "\"$SHELL\" -c \"echo {}\"",
        "x=$(bash -c \"echo {}\")",
        "echo `bash -c \"echo {}\"`",
        "bash -c \"$(cat {})\"",
        "bash -c \"`cat {}`\"",
        "case x in x) zsh -c '{}';; esac",
        "su user -c 'cat {}'",
        "eval echo {}",
        "A=b command eval \"echo {}\"",
        "trap 'rm {}' EXIT",
        "bash <<E\necho {}\nE",
        "sh -s <<-E; true\n\techo '{}'\n\tE",
        "bash <<<'echo {}'",
        "cat <<E\n$(bash -c 'echo {}')\nE",
    ] {
        let said = refusal("bash", line);
        assert!(
            said.contains("run as code") && said.contains("--unsafe-replace"),
            "{line:?}: {said}"
        );
        let insists = Reading { unsafe_replace: true, ..reading("bash") };
        assert!(parsed(&[line], &insists).is_ok(), "{line:?}");
    }
    for words in [
        &["bash", "-c", "echo {}", "_"][..],
        &["bash", "-c", "it's {}"],
        &["bash", "-c", "echo {.}"],
        &["bash", "-c"],
        &["env", "A=b", "sh", "-ec", "x{.}y"],
        &["find", ".", "-exec", "sh", "-c", "cat {}", ";"],
        &["sh", "-c", "cp $1 {out}", "_", "{}"],
    ] {
        let said = parsed(words, &reading("sh")).expect_err("refused").to_string();
        assert!(said.contains("-c 'echo \"$1\"' _ {}"), "{words:?}: {said}");
    }
    let said = parsed(&["bash", "-c", "echo {}"], &reading("sh")).expect_err("refused").to_string();
    assert!(said.contains("leave bash -c out: msup runs 'echo {}' as a script"), "{said}");
}

/// The word behind `>&` is expanded once more when it is no number.
#[test]
fn values_that_bash_expands_twice_are_refused() {
    for shell in ["sh", "bash", "zsh"] {
        for line in [
            "echo >&{}",
            "echo >&x{}",
            "echo 1>& '{}' x",
            "echo >&1{.}",
            "exec >&\"{}\"; true",
            "(echo) >&\\\n{}",
            "x=$(echo >&d/{/})",
            "echo >&$(cat {})",
        ] {
            let said = refusal(shell, line);
            assert!(said.contains("write > {} 2>&1 (or insist"), "{shell}: {line:?}: {said}");
            let insists = Reading { unsafe_replace: true, ..reading(shell) };
            assert!(parsed(&[line], &insists).is_ok(), "{shell}: {line:?}");
        }
    }
}

#[test]
fn values_beside_scripts_and_numbers_within_are_accepted() {
    for line in [
        "bash -c 'echo \"$1\"' _ {}",
        "bash -c \"echo {#} {%} {threads}\" _ {}",
        "bash script.sh {} | cat",
        "bash {} | cat",
        "cat {} | sh",
        "echo 'eval' {}; echo x",
        "grep -c {} | cat",
        "bash <<E; echo {}\necho x\nE",
        "cat <<E | bash\n{}\nE",
        "echo case {} in x; echo esac {}",
        "ls *.(c|h) {} 2>/dev/null | cat",
        "a=(x {} y); echo \"${a[@]}\"",
        "function f { case x in x) echo {};; esac; }; f",
        "select x in {}; do break; done",
        "for ((i = 0; i < {}; i++)); do echo {}; done",
        "[[ {} =~ ^(a|b)$ && ! {} < x ]] && echo {}",
        "cat <(sort {}) >(wc) 2>&1 >{}.log <&-",
        "echo {} >&2 {}; echo {} >&- {} >& x {} > {} 2>&1",
        "cat {} |\\\n wc {} >\\\n {}; (\\\necho {})",
        "x=$((1 << 2)); echo $x {}",
        "f() { echo {}; } 2>/dev/null; f; (( 1 < 2 )) && echo {}",
    ] {
        let accepted = parsed(&[line], &reading("bash"));
        assert!(accepted.is_ok(), "{line:?}: {}", accepted.expect_err("refused"));
    }
}

/// What bash, zsh and ksh compute is a number, or the script fails.
#[test]
fn values_are_numbers_where_shells_evaluate_expressions() {
    for (shell, line, script) in [
        ("bash", "(( {} > 1 ))", "(( ${MSUP_V_NUM:?the value is not a number} > 1 ))"),
        ("bash", "[[ {} -gt 1 ]]", "[[ ${MSUP_V_NUM:?the value is not a number} -gt 1 ]]"),
        ("bash", "[[ 1 -gt \"{}\" ]]", "[[ 1 -gt \"${MSUP_V_NUM:?the value is not a number}\" ]]"),
        ("bash", "[ {} -gt 1 ]", "[ \"${MSUP_V}\" -gt 1 ]"),
        ("zsh", "[ {} -gt 1 ]", "[ ${MSUP_V_NUM:?the value is not a number} -gt 1 ]"),
        (
            "ksh",
            "test 1 -lt {}; p {}",
            "test 1 -lt ${MSUP_V_NUM:?the value is not a number}; p \"${MSUP_V}\"",
        ),
        (
            "bash",
            "let x={}; p {}",
            "let x=${MSUP_V_NUM:?the value is not a number}; p \"${MSUP_V}\"",
        ),
        ("bash", "declare -i x={}", "declare -i x=${MSUP_V_NUM:?the value is not a number}"),
        ("bash", "a[{}]={}", "a[${MSUP_V_NUM:?the value is not a number}]=\"${MSUP_V}\""),
        ("bash", "p ${a[{}]}", "p ${a[${MSUP_V_NUM:?the value is not a number}]}"),
        ("bash", "a=([{}]=2)", "a=([${MSUP_V_NUM:?the value is not a number}]=2)"),
        ("zsh", "p $a[{}]", "p $a[${MSUP_V_NUM:?the value is not a number}]"),
        ("zsh", "exit {}", "exit ${MSUP_V_NUM:?the value is not a number}"),
        ("zsh", "printf %d {};", "printf %d ${MSUP_V_NUM:?the value is not a number};"),
        ("ksh", "shift {}", "shift ${MSUP_V_NUM:?the value is not a number}"),
        ("bash", "RANDOM={}", "RANDOM=${MSUP_V_NUM:?the value is not a number}"),
        (
            "bash",
            "typeset -i x y=1; x={}",
            "typeset -i x y=1; x=${MSUP_V_NUM:?the value is not a number}",
        ),
    ] {
        let template = parsed(&[line], &reading(shell)).expect("a template");
        let rendered = template.render(b"v", at(1));
        assert_eq!(
            show(rendered.argv.last().expect("a script")),
            show(script.as_bytes()),
            "{line}"
        );
    }
}

#[test]
fn values_are_refused_where_builtins_take_names_or_compute() {
    for (shell, line) in [
        ("sh", "unset {}"),
        ("bash", "x=1 command -p unset -v \"x{}\""),
        ("bash", "if true; then read -r x {} <f; fi"),
        ("bash", "for x do mapfile -t {} <f; done"),
        ("zsh", "if [[ a == a ]] { unset {} }"),
        ("zsh", "for x (a b) unset {}"),
        ("zsh", "repeat 3 unset {}; :"),
        ("bash", "unset &>/dev/null {}"),
        ("bash", "declare {}=1"),
        ("bash", "local -n x={}"),
        ("bash", "declare -a x={}"),
        ("bash", "x=(1); declare x={}"),
        ("bash", "[[ -v {} ]]"),
        ("sh", "test -v a[{}]"),
        ("sh", "[ {1} {2} ]"),
        ("sh", "printf {1} {2} x; :"),
        ("bash", "printf -v {} %s x; :"),
        ("zsh", "print -rv {} x; :"),
        ("zsh", "export {}"),
        ("ksh", "readonly {}"),
        ("zsh", "printf '%s %d' x {}"),
        ("bash", "wait -p {}"),
        ("ksh", "set -A {} x"),
        ("bash", "PS4={}; set -x"),
        ("bash", "echo `unset {}`"),
    ] {
        let said = refusal(shell, line);
        assert!(said.contains("run as code") && said.contains("--unsafe"), "{line:?}: {said}");
        let insists = Reading { unsafe_replace: true, ..reading(shell) };
        assert!(parsed(&[line], &insists).is_ok(), "{line:?}");
    }
    for (shell, line) in [
        ("bash", "read x <<< {}; mapfile -t a <{}; read x <<<\"a {}\" y"),
        ("bash", "printf '%s' {}; printf -- %s {}; printf '%d' {}; printf -v x %s {}"),
        ("sh", "export {}; export A={}; readonly A={}; exit {}; shift {}; return {}"),
        ("bash", "declare A={}; local -r \"A={}\" B='x{}'; set -- {}; wait {}"),
        ("sh", "test {} = x; [ -n {} ] && [ {} = {} ]; [ -e {} ]"),
        ("zsh", "print -r -- {}; export A={}; printf '%5s %%' {} {}; exit {}"),
        ("bash", "echo unset {}; unset x; echo {}"),
        ("bash", "for ((;;)) do echo {1}>x {2}; done"),
    ] {
        let accepted = parsed(&[line], &reading(shell));
        assert!(accepted.is_ok(), "{line:?}: {}", accepted.expect_err("refused"));
    }
}

#[test]
fn functions_that_bash_exports_run_through_bash() {
    let with_function = |shell: &str, fixed_shell| {
        let shell = reading(shell).shell.with_functions([
            std::ffi::OsStr::new("BASH_FUNC_doit%%"),
            std::ffi::OsStr::new("PATH"),
        ]);
        Reading {
            shell,
            fixed_shell,
            unsafe_replace: false,
            strings: Strings::USUAL,
            feeding: Feeding::Values,
        }
    };
    let argv = |words: &[&str], reading: &Reading| {
        let argv = parsed(words, reading).expect("a template").render(b"v", at(1)).argv;
        argv.iter()
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect::<Vec<_>>()
            .join("|")
    };
    let dash = with_function("dash", false);
    assert_eq!(argv(&["doit", "{}", "x"], &dash), r#"bash|-c|"$0" "$@"|doit|v|x"#);
    assert_eq!(argv(&["doit x"], &dash), r#"bash|-c|"$0" "$@"|doit|x|v"#);
    assert_eq!(argv(&["doit x | cat"], &dash), r#"bash|-c|doit x | cat "${MSUP_V}""#);
    assert_eq!(
        argv(&["doit x | cat"], &with_function("bash", false)).split('|').next(),
        Some("bash")
    );
    assert_eq!(
        argv(&["doit x | cat"], &with_function("dash", true)).split('|').next(),
        Some("dash")
    );
    assert_eq!(argv(&["other x | cat"], &dash).split('|').next(), Some("dash"));
    let lines = Template::each_input(dash);
    let rendered = |line: &[u8]| lines.render(line, at(1)).argv.remove(0);
    assert_eq!(rendered(b"doit 1"), b"bash");
    assert_eq!(rendered(b"doit 1 | cat"), b"bash");
    assert_eq!(rendered(b"other | cat"), b"dash");
    assert_eq!(lines.fixed_program(), None);
}

#[test]
fn shells_are_known_by_name() {
    let argv = |name: &str| {
        let argv = Shell::named(name.as_ref())?.argv;
        Some(argv.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect::<Vec<_>>())
    };
    assert_eq!(argv("/bin/bash"), Some(vec!["/bin/bash".into()]));
    assert_eq!(argv("/bin/busybox"), Some(vec!["/bin/busybox".into(), "sh".into()]));
    for other in ["/usr/bin/fish", "csh", "/bin/", "", "bashful"] {
        assert_eq!(argv(other), None, "{other}");
    }
}
