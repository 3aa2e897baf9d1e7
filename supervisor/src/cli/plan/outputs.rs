//! The part of a plan about outputs, and about those of an earlier run.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Outputs;
use crate::cli::args::Args;
use crate::cli::filing::FilingPlan;
use crate::cli::resuming::{ResumingPlan, named};
use crate::cli::shared::Runners;
use crate::cli::showing::Announced;
use crate::cli::usage::UsageError;
use crate::journal::Durability;
use crate::os::files;
use crate::template::{Job, OutFiles, OutTemplate, Strings, refuse_foreign};

/// What becomes of outputs. After the second number of arguments of a value they are counted anew.
///
/// # Errors
/// A flag asks for what cannot be done.
pub(super) fn outputs(
    args: &mut Args,
    job: &Job,
    (strings, counted_to): (&Strings, usize),
) -> Result<Outputs, UsageError> {
    let tmpdir = args.output.filing.tmpdir.take();
    let (flags, showing, gnu) = (&args.output, &args.output.showing, args.reading.gnu);
    flags.refuse_to_file_nothing(gnu)?;
    let filing = flags.filing.plan(strings, counted_to, &args.reading)?;
    refuse_same_file(args, filing.as_ref())?;
    Ok(Outputs {
        keep_order: flags.keep_order,
        files: out(flags.out.as_deref(), job, &args.running, strings)?,
        looks: flags.looks(strings, gnu)?,
        route: flags.route(gnu),
        announced: Announced {
            // The question shows it.
            at_once: showing.verbose && !args.starting.interactive,
            ..showing.announced()
        },
        terminal: if args.dry_run { None } else { showing.terminal(gnu)? },
        durable: args.durability != Durability::Process,
        frames: false,
        filing,
        tmpdir,
    })
}

/// Which tasks are not run because another run has done them.
///
/// # Errors
/// Nothing tells what has run.
pub(super) fn resuming(
    args: &Args,
    outputs: &Outputs,
    job: &Job,
) -> Result<Option<ResumingPlan>, UsageError> {
    let (joblog, filing) = (args.joblog.as_deref(), outputs.filing.as_ref());
    args.resuming.plan(joblog, filing, args.reading.gnu, job)
}

/// Makes sure that no file has two purposes.
///
/// # Errors
/// One has.
fn refuse_same_file(args: &Args, filing: Option<&FilingPlan>) -> Result<(), UsageError> {
    let table = filing.and_then(FilingPlan::table);
    let files = [
        ("--joblog", args.joblog.as_deref().map(named)),
        ("--summary", args.reporting.summary.clone()),
        ("--results", table.map(Path::to_owned)),
    ];
    let files: Vec<(&'static str, PathBuf)> =
        files.into_iter().filter_map(|(flag, path)| Some((flag, path?))).collect();
    for (at, (one, path)) in files.iter().enumerate() {
        let shared = |other: &&(&'static str, PathBuf)| files::is_same(path, &other.1);
        // What is written to a device is not lost.
        if let Some((other, _)) = files[at + 1..].iter().find(shared)
            && !files::is_device_or_stream(path)
        {
            return Err(UsageError::SameFile { one, other, path: path.clone() });
        }
    }
    Ok(())
}

/// The files that tasks make.
///
/// # Errors
/// `typed` is no template, or COMMAND names files where none are made.
pub(super) fn out(
    typed: Option<&OsStr>,
    job: &Job,
    running: &Runners,
    strings: &Strings,
) -> Result<Option<OutFiles>, UsageError> {
    if let Some(typed) = typed {
        let template = || typed.to_owned();
        if !running.literal {
            refuse_foreign(&[typed.as_bytes().to_vec()], strings)
                .map_err(|why| UsageError::ForeignOut { template: template(), why })?;
        }
        let parsed = OutTemplate::parse(typed.as_bytes(), strings);
        let parsed = parsed.map_err(|why| UsageError::Out { template: template(), why })?;
        return Ok(Some(OutFiles::Each(parsed)));
    }
    match job {
        Job::Commands(template) if template.names_out() => Err(UsageError::NoOut),
        _ => Ok(None),
    }
}

/// Whether what a run shows on standard output is all that was asked for.
pub(super) fn shows_only(args: &Args, outputs: &Outputs) -> bool {
    let asked = [&args.journal, &args.joblog, &args.reporting.summary];
    let makes_files = args.output.out.is_some() || outputs.filing.is_some();
    !makes_files && asked.iter().all(|file| file.is_none())
}
