//! Programs that tests write themselves. Another process writes them: while this one has an
//! executable file open for writing, any of its threads may fork. The copy keeps the file open
//! until it executes something, and the kernel refuses to execute what is open for writing
//! (`ETXTBSY`).

use std::path::Path;
use std::process::Command;

use crate::run_with_input;

/// Writes a program that can be executed at once.
///
/// # Panics
/// If that fails.
pub fn write_program(path: &Path, content: &[u8]) {
    let mut install = Command::new("install");
    let output = run_with_input(install.args(["-m", "755", "/dev/stdin"]).arg(path), content);
    assert!(output.status.success(), "{output:?}");
}

/// Copies a program, so that the copy can be executed at once.
///
/// # Panics
/// If that fails.
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "{}", to.display());
}
