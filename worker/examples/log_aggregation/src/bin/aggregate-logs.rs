//! A worker that writes a report about each log: its values are paths of logs, its argument is the
//! folder for the reports.

use std::path::PathBuf;
use std::process::ExitCode;

use log_aggregation::{aggregate, report_path, write_atomically};
use msup_worker::Outcome;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("aggregate-logs: needs the folder for the reports as its argument");
        return ExitCode::FAILURE;
    };
    msup_worker::run(|task, ctx| {
        // Reading waits for the disk: another task computes meanwhile.
        let content = ctx.blocking(|| std::fs::read(task.path()))?;
        // Parsing computes, with a token. In a long log it lets other tasks go first at times.
        let report = aggregate(task.path(), &content, || ctx.checkpoint())?;
        // A temporary file, fsync, rename: waiting for the disk again.
        ctx.blocking(|| write_atomically(&report_path(&folder, task.path()), &report))?;
        Ok(Outcome::done())
    })
}
