//! `msup`: runs batches of file-processing work so that nobody has to choose `-j`.
//!
//! Reading order: `cli` (what was asked for), `engine` (what to do about everything that can happen),
//! `run` (where events meet effects), `sysmon`, then the adapters (`os`).

// These panic when nobody reads what they print.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, Write};
use std::process::ExitCode;

use msup_protocol::crash::{self, Role};
use msup_protocol::exit;

mod cli;
mod measure;
mod run;
mod tasks;
pub(crate) mod template;
mod workers;

mod engine;

mod sysmon;

mod input;

mod journal;

mod last_resort;

mod output;

#[cfg(test)]
mod simulation;

mod report;

mod os;

use os::signals;
use run::Exit;

fn main() -> ExitCode {
    last_resort::install();
    crash::arm(Role::Supervisor);
    if let Err(why) = os::signals::outlive_file_limit() {
        return complain(&format!("signals: {why}"));
    }
    let plan = match cli::parse() {
        Ok(plan) => plan,
        Err(cli::Refusal::Doctor) => {
            let _ = write!(io::stdout(), "{}", cli::commands::doctor::report());
            return ExitCode::SUCCESS;
        }
        Err(cli::Refusal::Shown(text)) => {
            let _ = write!(io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(cli::Refusal::Finished(what, status)) => {
            let _ = writeln!(io::stderr(), "msup: {}", report::escape::message(&what));
            return ExitCode::from(status);
        }
        Err(cli::Refusal::Done) => return ExitCode::SUCCESS,
        Err(cli::Refusal::Wrong(why)) => {
            return complain(&why);
        }
    };
    match run::run(plan) {
        Ok(Exit::Status(status)) => ExitCode::from(status),
        Ok(Exit::Signal(signal)) => {
            signals::die_of(signal);
            ExitCode::from(exit::SIGNAL_BASE.saturating_add(signal))
        }
        Err(why) => complain(&why),
    }
}

fn complain(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "msup: {}", report::escape::message(why));
    ExitCode::from(exit::ERROR)
}
