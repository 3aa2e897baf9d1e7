//! Values in scripts are data wherever they stand, or the place is refused.

use msup_tests::Sandbox;

use super::{assert_refused, ran, shown, stderr_of, stdout_of};

#[test]
fn a_value_in_the_script_of_a_shell_is_refused_with_the_safe_form() {
    let words: [&[&str]; 7] = [
        &["bash", "-c", "echo {}", "_"],
        &["sh", "-c", "cat {.}.txt"],
        &["env", "zsh", "-ec", "{}"],
        &["env", "/bin/dash", "-c", "cat \"{}\""],
        &["ksh", "-c", "echo '{/}'"],
        &["bash -c \"echo {}\""],
        &["true && bash -c 'echo {}'"],
    ];
    for words in words {
        let command = [words, &[":::", "$(touch pwned)"]].concat();
        assert_refused(&command, &["-c 'echo \"$1\"' _ {}", "--unsafe-replace"]);
    }
    // The shortest form, where the script is all that runs.
    let words = ["bash", "-c", "echo {}", ":::", "$(touch pwned)"];
    assert_refused(&words, &["leave bash -c out: msup runs 'echo {}' as", "--unsafe-replace"]);
    assert_eq!(shown(&["echo {}", ":::", "$(touch pwned)"]), "$(touch pwned)\n");
    // Appended, the value would be the script.
    assert_refused(&["bash", "-c", ":::", "touch pwned"], &["--unsafe-replace"]);
}

#[test]
fn the_safe_form_takes_any_value() {
    let value = "$(touch pwned) `touch pwned` '\"; touch pwned";
    assert_eq!(
        shown(&["bash", "-c", "echo \"$1\"", "_", "{}", ":::", value]),
        format!("{value}\n")
    );
    assert_eq!(shown(&["bash -c 'echo \"$1\"' _ {} | cat", ":::", value]), format!("{value}\n"));
    assert_eq!(shown(&["sh", "-c", "echo {#}", ":::", value]), "1\n", "numbers are no values");
}

#[test]
fn values_that_are_run_as_code_can_be_allowed() {
    assert_eq!(shown(&["--unsafe-replace", "sh", "-c", "echo {}", ":::", "$((1 + 1))"]), "2\n");
    assert_eq!(shown(&["--unsafe-replace", "sh -c \"echo {}\"", ":::", "$((1 + 1))"]), "2\n");
}

#[test]
fn words_that_are_evaluated_take_no_values() {
    for script in ["eval \"echo {}\"", "trap 'echo {}' EXIT", "sh <<E\necho {}\nE"] {
        assert_refused(&[script, ":::", "$(touch pwned)"], &["run as code", "--unsafe-replace"]);
    }
}

#[test]
fn case_and_here_documents_are_understood() {
    let case = "x=\"$(case {} in *.gz) echo z {};; *) printf '<%s>' {};; esac)\"; echo \"$x\"";
    assert_eq!(shown(&[case, ":::", "* a", "b c.gz"]), "<* a>\nz b c.gz\n");
    let here = "cat <<EOF\nit's \"{}\" $(echo '{}')\nEOF\necho '{}' {} \"{}\"";
    let value = "* $(touch pwned) `x` \\ \"'";
    let expected = format!("it's \"{value}\" {value}\n{value} {value} {value}\n");
    assert_eq!(shown(&["--shell", "sh", "-0", here, ":::", value]), expected);
}

#[test]
fn uncertain_places_are_refused_with_their_position() {
    let sandbox = Sandbox::new();
    let output = ran(&sandbox, &["cat <<'EOF'\n{}\nEOF", ":::", "a"], b"");
    assert_eq!(output.status.code(), Some(255));
    let stderr = stderr_of(&output);
    assert!(stderr.contains("line 2, character 1") && stderr.lines().count() == 1, "{stderr}");
    assert_refused(&["echo 'it''s {}", ":::", "a"], &["character 13", "not closed"]);
}

/// An expression in bash may hold commands; a value is a number there, or the script fails.
#[test]
fn expressions_take_numbers_only() {
    for script in ["(( {} > 3 )) && echo yes", "[[ {} -gt 3 ]] && echo yes", "let x={} && echo yes"]
    {
        let sandbox = Sandbox::new();
        let output = ran(
            &sandbox,
            &["-q", "-k", "--shell", "bash", script, ":::", "4", "a[$(touch pwned)]"],
            b"",
        );
        assert_eq!(
            (stdout_of(&output), output.status.code()),
            ("yes\n".into(), Some(1)),
            "{script}"
        );
        assert!(!sandbox.path().join("pwned").exists());
    }
}
