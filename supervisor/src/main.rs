//! `msup`: runs batches of file-processing work so that nobody has to choose `-j`.
//!
//! Reading order: `cli` (what the user asked for), `engine` (what to do about every event), `run`
//! (where events meet effects), `sysmon`, then the adapters (`os`).

// These panic when no process reads what they print.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, Write};
use std::process::ExitCode;

use msup_protocol::crash::{self, Role};
use msup_protocol::exit;

mod arguments;
mod cli;
mod measure;
mod pipeline;
mod regexp;
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

mod shard;

mod os;

use cli::{Command, Plan, Refusal, commands};
use os::{signals, streams};
use run::Exit;

fn main() -> ExitCode {
    last_resort::install();
    crash::arm(Role::Supervisor);
    if let Err(why) = os::signals::outlive_file_limit() {
        return complain(&format!("signals: {why}"));
    }
    if let Err(why) = streams::break_closed() {
        return complain(&format!("/dev/null: {why}"));
    }
    match cli::parse() {
        Ok(command) => carry_out(command),
        Err(refusal) => {
            let status = complain(&refusal.to_string());
            for line in refusal.excerpt().iter().flat_map(|excerpt| excerpt.lines()) {
                let _ = writeln!(io::stderr(), "{}", report::escape::message(line));
            }
            status
        }
    }
}

fn carry_out(command: Command) -> ExitCode {
    if command.prints() && streams::stdout_was_closed() {
        return complain("standard output is closed: redirect it (>/dev/null: nothing is shown)");
    }
    let done = match command {
        Command::Run(plan) => return run_tasks(*plan),
        Command::DryRun(plan, quotes) => commands::dry_run::run(*plan, quotes),
        Command::NothingLeft(line, status) => {
            say(&line);
            return ExitCode::from(status);
        }
        Command::Log(log) => log.run(),
        Command::Report(report) => report.run(),
        Command::Trace(trace) => trace.run(),
        Command::Ctl(ctl) => ctl.run(),
        Command::Top(top) => top.run(),
        Command::Clean(clean) => clean.run(),
        Command::Collect(collect) => match collect.run() {
            Ok(status) => return ExitCode::from(status),
            Err(why) => Err(why),
        },
        #[cfg(feature = "nats")]
        Command::Queue(queue) => match queue.run() {
            Ok(status) => return ExitCode::from(status),
            Err(why) => Err(why),
        },
        Command::Doctor => print(&commands::doctor::report()),
        Command::Print(text) => print(&text),
        Command::Complain(text, status) => {
            let _ = io::stderr().write_all(text.as_bytes());
            return ExitCode::from(status);
        }
        Command::Answer(text, status) => match print(&text) {
            Ok(()) => return ExitCode::from(status),
            failed => failed,
        },
    };
    done.map_or_else(|why| complain(&why.to_string()), |()| ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), Refusal> {
    let mut out = io::stdout();
    commands::printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn run_tasks(plan: Plan) -> ExitCode {
    match run::run(plan) {
        Ok(Exit::Status(status)) => ExitCode::from(status),
        Ok(Exit::Signal(signal)) => {
            signals::die_of(signal);
            ExitCode::from(exit::SIGNAL_BASE.saturating_add(signal))
        }
        Err(why) => complain(&why.to_string()),
    }
}

fn complain(why: &str) -> ExitCode {
    say(why);
    ExitCode::from(exit::ERROR)
}

fn say(line: &str) {
    // Where standard error cannot be written the exit status says it all.
    let _ = writeln!(io::stderr(), "msup: {}", report::escape::message(line));
}
