//! Random scripts: an accepted script does the same as with the value in its place, and no value
//! is executed.

use std::env::var;
use std::process::Output;

use proptest::prelude::*;

use super::shells::{HOSTILE, Scene, pasted, shells};
use super::*;

/// Pieces of scripts that no program, loop or function can be made of.
const FRAGMENTS: [&str; 45] = [
    "{}",
    "{}",
    "{}",
    "'{}'",
    "\"{}\"",
    "x{}",
    "'",
    "\"",
    "`",
    "\\",
    "$",
    "$(",
    "$((",
    "( ",
    ")",
    ") ",
    "))",
    "((",
    "{",
    "}",
    " ",
    "\n",
    "\n",
    "#",
    ";",
    "; ",
    ": x ",
    "printf '<%s>' ",
    "printf '<%s>' ",
    "cat ",
    "${x:-",
    "${x%",
    "${x",
    "<<E\n",
    "<<'E'",
    "\nE\n",
    "<<-E",
    "$'",
    "case ",
    "case x in x) ",
    " in ",
    ";; ",
    " esac",
    "[[ ",
    " ]] ",
];

/// More pieces that shells read differently. None ends in a dollar sign, which means something else
/// before a value than in a text.
const STRUCTURES: [&str; 40] = [
    "{}",
    "{}",
    "{}",
    "'{}'",
    "\"{}\"",
    "x{}",
    " {} ",
    "'",
    "\"",
    "`",
    "$(",
    "$( ",
    "( ",
    ")",
    ") ",
    ")",
    "{ ",
    "; }",
    " ",
    "\n",
    "\n",
    "#",
    "; ",
    ": x ",
    "printf '<%s>' ",
    "printf '<%s>' ",
    "printf '<%s>' x",
    "cat <<E\n",
    "cat <<-E; ",
    "\nE\n",
    "\nE\n",
    "cat <<'E'\n",
    "case x in x) ",
    "case {} in (a|b) : ;; ",
    "*) ",
    ";; ",
    " esac",
    " in ",
    "${x:-",
    "}",
];

/// The number of random scripts, unless a variable gives another one.
fn cases() -> u32 {
    var("MSUP_RANDOM_SCRIPTS").ok().and_then(|text| text.parse().ok()).unwrap_or(128)
}

/// ksh93 is left out: it computes for ever over some here-documents that are not closed.
fn random_shells() -> Vec<&'static str> {
    shells().iter().copied().filter(|shell| !shell.starts_with("ksh")).collect()
}

/// A value that means the same with and without quotes.
const PLAIN: &str = "71";

/// Values that do not; none is a command, an option or a file, either.
const MARKED: [&[u8]; 14] = [
    b"7 1",
    b"7*1 ?",
    b"7$(touch pwned)1",
    b"7`touch pwned`1",
    b"7'1",
    b"7\"1",
    b"7'\"1",
    b"7\\1",
    b"7\n1",
    b"7;touch pwned;1",
    b"7$x${x}1",
    b"7)}1",
    b"7\nE\n1",
    b"7\xff\x81\x881",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_script_executes_a_value(
        fragments in prop::collection::vec(0..FRAGMENTS.len(), 1..24),
        value in 0..HOSTILE.len() + 1,
        second in prop::option::of(0..HOSTILE.len()),
        shell in prop::sample::select(random_shells()),
    ) {
        let line: String = fragments.into_iter().map(|at| FRAGMENTS[at]).collect();
        let first = HOSTILE.get(value).copied().unwrap_or(b"a[$(touch pwned)]");
        let second = second.map(|second| [b"\0", HOSTILE[second]].concat());
        let value = &[first, &second.unwrap_or_default()].concat();
        if let Ok(template) = parsed(&[&line], &reading(shell))
            && matches!(template.kind, Kind::Script(_))
        {
            let scene = Scene::new();
            scene.run(shell, &template.render(value, at(1)));
            scene.run(shell, &pasted(shell, &template, value));
        }
    }

    #[test]
    fn a_value_is_what_its_text_would_be(
        fragments in prop::collection::vec(0..STRUCTURES.len(), 1..16),
        value in 0..MARKED.len(),
        shell in prop::sample::select(random_shells()),
    ) {
        let mut line: String = fragments.into_iter().map(|at| STRUCTURES[at]).collect();
        line.insert_str(0, "x=x; ");
        // As blanks at the end of a command are.
        line.truncate(line.trim_end().len());
        let reading = reading(shell);
        if line.contains("{}") && let Ok(template) = parsed(&[&line], &reading) {
            let scene = Scene::new();
            let text = line.replace("{}", PLAIN).into_bytes();
            let text = script::literal_argv(&reading.shell, &text);
            let Output { stdout: expected, stderr: said, .. } =
                scene.run(shell, &Rendered::without_replacements(text));
            // A shell that reads a script in backquotes when it comes to it runs what is before a
            // mistake in that script. Ours are in parentheses, which are read before anything runs.
            let said = String::from_utf8_lossy(&said).to_lowercase();
            prop_assume!(!(line.contains('`') && said.contains("syntax error")));
            let shown = scene.run(shell, &template.render(PLAIN.as_bytes(), at(1))).stdout;
            prop_assert_eq!(show(&shown), show(&expected), "{}: {:?}", shell, line);
            let value = MARKED[value];
            let expected = replaced(&expected, value);
            let shown = scene.run(shell, &template.render(value, at(1))).stdout;
            prop_assert_eq!(show(&shown), show(&expected), "{}: {:?}", shell, line);
        }
    }
}

/// What was printed, with another value.
fn replaced(printed: &[u8], value: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = printed;
    while let Some(at) = rest.windows(PLAIN.len()).position(|part| part == PLAIN.as_bytes()) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(value);
        rest = &rest[at + PLAIN.len()..];
    }
    result.extend_from_slice(rest);
    result
}
