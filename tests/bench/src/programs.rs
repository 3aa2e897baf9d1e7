//! Running a program to its end.

use std::process::Command;

/// Runs a command that must succeed. Returns what it printed.
///
/// # Errors
/// The last line of its standard error, or why it cannot be started.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|why| why.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(why.lines().last().unwrap_or("it failed").to_owned())
}
