//! Words that a shell would have acted on, given as arguments.

use msup_tests::Sandbox;

use super::{ran, stderr_of, stdout_of};

fn warned(arguments: &[&str]) -> (String, String) {
    let output = ran(&Sandbox::new(), arguments, b"");
    let stderr = stderr_of(&output);
    let warnings = stderr.lines().filter(|line| line.contains("warning"));
    (warnings.collect::<Vec<_>>().join("\n"), stdout_of(&output))
}

#[test]
fn a_redirection_as_a_word_of_its_own_is_warned_of() {
    for word in [
        ">",
        ">>",
        "<",
        "|",
        "||",
        "&&",
        "&",
        "2>",
        "2>&1",
        ">&2",
        "&>",
        "|&",
        "<<<",
        "2>/dev/null",
    ] {
        let (warning, stdout) = warned(&["echo", "{}", word, "out{}.txt", ":::", "a"]);
        assert_eq!(stdout, format!("a {word} outa.txt\n"));
        assert!(
            warning.lines().count() == 1 && warning.contains(&format!("'{word}'")),
            "{warning}"
        );
        // The form that is right, ready to paste.
        assert!(warning.contains(&format!("msup 'echo {{}} {word} out{{}}.txt'")), "{warning}");
    }
}

#[test]
fn words_that_programs_need_are_not_warned_of() {
    let quiet: [&[&str]; 8] = [
        &["find", "/dev/null", "-exec", "true", ";"],
        &["expr", "{}", "|", "3"],
        &["test", "{}", "<", "b"],
        &["[", "{}", ">", "b", "]"],
        &["echo", ">=2", "<b>"],
        &["echo", "a > b"],
        &["echo {} > out"],
        &["echo", "-"],
    ];
    for command in quiet {
        let (warning, _) = warned(&[command, &[":::", "a"]].concat());
        assert_eq!(warning, "", "{command:?}");
    }
    assert_eq!(warned(&["-q", "echo", ">", ":::", "a"]).0, "");
    assert_eq!(warned(&["echo", ":::", ">", "|"]).0, "");
}
