//! `--worker-stdio`: programs that keep running, read values and answer with lines of JSON.

mod answers;
mod examples;
mod exits;
mod flags;
mod kills;
mod measured;
mod stops;

use std::fs;
use std::process::{Command, Output};

use msup_tests::{Sandbox, run};

/// What all programs of these tests begin with: each notes its process id when it is started. `ok`
/// answers that the task has succeeded and has written this line.
const PRELUDE: &str = r#"
echo $$ >>starts
ok() { printf '{"ok":true,"stdout":"%s\\n"}\n' "$1"; }
fails() { printf '{"error":"%s"}\n' "$1"; }
"#;

/// Writes a shell script, `program`, that answers each value with the value, except those for which
/// `cases` has something else: cases of the shell's `case`.
fn write_program(sandbox: &Sandbox, before: &str, cases: &str, after: &str) {
    let text = format!(
        "{PRELUDE}{before}\nwhile IFS= read -r value; do\ncase $value in\n{cases}\n\
         *) ok \"$value\";;\nesac\ndone\n{after}\n"
    );
    sandbox.file("program", text.as_bytes());
}

/// `msup` with these flags and that program.
fn msup(sandbox: &Sandbox, flags: &[&str]) -> Command {
    let program = ["--worker-stdio", "sh", "program"];
    sandbox.msup(flags.iter().chain(&program))
}

/// The output of a run of that program over these values.
fn ran(sandbox: &Sandbox, flags: &[&str], values: &[&str]) -> Output {
    run(msup(sandbox, flags).arg(":::").args(values))
}

/// The process ids of the programs, in the order of their starts.
fn starts(sandbox: &Sandbox) -> Vec<i32> {
    let text = fs::read_to_string(sandbox.path().join("starts")).unwrap_or_default();
    text.lines().map(|pid| pid.parse().expect("a number")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of a file; none if there is no such file.
fn lines(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let text = fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
