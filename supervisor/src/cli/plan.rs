//! The validated plan of a run. Nothing after this looks at a flag again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Args;
use super::earlier_times::JobLog;
use super::{command, failures, other_tools, progress, stopping};
use crate::engine::{AtCap, Leave, Policy, Step};
use crate::input::{Format, Source};
use crate::journal::{Durability, Folder, KeptInput, Locks, Past, runs};
use crate::os::cpu_quota;
use crate::os::limits::{self, Most};
use crate::report::bar::Manner;
use crate::report::escape;
use crate::template::{Job, OutTemplate, refuse_foreign, typed_words};

/// Everything a run needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) procs: u32,
    pub(crate) max_workers: u16,
    /// The number of commands in flight follows what they use.
    pub(crate) admits: bool,
    /// Bytes of memory that commands may use together, and each by itself.
    pub(crate) memory: Option<u64>,
    pub(crate) memory_per_task: Option<u64>,
    pub(crate) idle_timeout: Duration,
    pub(crate) at_cap: AtCap,
    pub(crate) job: Job,
    /// COMMAND as typed, for the report.
    pub(crate) command: Option<Vec<u8>>,
    pub(crate) worker_program: PathBuf,
    pub(crate) worker_arguments: Vec<OsString>,
    pub(crate) source: Source,
    pub(crate) format: Format,
    pub(crate) keep_order: bool,
    /// Outputs of any size are kept with the journal.
    pub(crate) keeps_all_output: bool,
    /// The files that tasks make; and whether a power cut must not undo what was told.
    pub(crate) out: Option<OutTemplate>,
    pub(crate) durable: bool,
    /// Start the longest first, as told by this.
    pub(crate) longest_first: Option<JobLog>,
    pub(crate) policy: Policy,
    /// By what steps tasks are stopped.
    pub(crate) stop_steps: Vec<Step>,
    /// What becomes of processes that tasks leave running.
    pub(crate) leave: Leave,
    pub(crate) run_id: String,
    pub(crate) keeping: Keeping,
    pub(crate) joblog: Option<PathBuf>,
    pub(crate) summary: Option<PathBuf>,
    pub(crate) schedtrace: Option<Duration>,
    pub(crate) progress: Manner,
    pub(crate) quiet: bool,
    /// What the run shows on standard output is all that was asked for.
    pub(crate) shows_only: bool,
    /// The folder in which msup was started, for hints.
    pub(crate) here: PathBuf,
    /// The closing report tells of tokens and workers.
    pub(crate) stats: bool,
    /// The soft limit on open files that commands get.
    pub(crate) nofile: u64,
    /// Which limit allows fewer workers than there would be, in a line.
    pub(crate) lowered: Option<String>,
}

/// Where the run's journal is kept.
#[derive(Debug)]
pub(crate) enum Keeping {
    Nowhere,
    /// In a folder of its own, here or among all others.
    New {
        place: Option<PathBuf>,
        /// When it begins, among all runs.
        order: u64,
        /// The command line, without the program.
        arguments: Vec<Vec<u8>>,
        /// Values must be kept: they cannot be read again.
        spools: bool,
        durability: Durability,
    },
    /// Where it was begun.
    Continued {
        continued: Box<Continued>,
        durability: Durability,
    },
}

/// A run that is taken up again.
#[derive(Debug)]
pub(crate) struct Continued {
    pub(crate) folder: Folder,
    pub(crate) locks: Locks,
    pub(crate) past: Past,
    /// Only tasks that have ended are run, those of these kinds.
    pub(crate) retried: Option<Retried>,
    /// What finished tasks have shown is shown again.
    pub(crate) replays: bool,
    /// How many processes of it were still alive.
    pub(crate) ended: usize,
    /// Where to read all values again.
    pub(crate) arg_file: Option<PathBuf>,
    /// Not all values are known; so many were, and are damaged.
    pub(crate) cut_off: bool,
    pub(crate) missing: u64,
    /// The folder in which this was asked for.
    pub(crate) here: PathBuf,
}

/// Which tasks are run again after their end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retried {
    pub(crate) failed: bool,
    pub(crate) quarantined: bool,
}

impl Retried {
    /// The subcommand that runs them again.
    pub(crate) fn command(self) -> &'static str {
        match (self.failed, self.quarantined) {
            (true, false) => "retry --failed",
            (false, true) => "retry --quarantined",
            _ => "retry",
        }
    }
}

/// Less than this holds no program.
const LEAST_MEMORY: u64 = 1 << 20;

/// Workers per token, and the least cap, when none is given.
const WORKERS_PER_TOKEN: u64 = 25;
const LEAST_CAP: u64 = 200;

/// As many as possible (`-j 0`): their slots must fit into the shared memory of a small container.
const ALL_AT_ONCE: u64 = 4096;

/// Checks what was typed and makes a plan of it. Opens the input.
///
/// # Errors
/// One line that says what is wrong, where, and what to do.
pub(super) fn make(mut args: Args, continued: Option<Continued>) -> Result<Plan, String> {
    let nofile = limits::raise_open_files();
    let (procs, max_workers, lowered) = concurrency(&args)?;
    let idle_timeout = Duration::try_from_secs_f64(args.idle_timeout)
        .map_err(|_| format!("--idle-timeout {}: not a time in seconds", args.idle_timeout))?;
    let memory = size("--memory", args.memory.as_deref())?;
    let memory_per_task = size("--mem-per-task", args.mem_per_task.as_deref())?;
    if args.schedtrace == Some(0) {
        return Err("--schedtrace 0: must be at least 1 millisecond".into());
    }
    let (policy, grace) = failures::of(&args)?;
    let (stop_steps, leave) = (stopping::steps(&args, grace)?, stopping::leave(&args)?);
    let progress = progress::manner(args.bar, args.progress.as_deref(), args.quiet)?;
    let (words, values) = split(std::mem::take(&mut args.words), args.literal)?;
    if continued.is_none()
        && !args.quiet
        && let Some(warning) = other_tools::warn_of_operators(&words)
    {
        let _ = writeln!(stderr(), "msup: {}", escape::message(&warning));
    }
    let commands = args.worker.is_none() && words.is_empty();
    let command = typed(&words).filter(|_| args.worker.is_none());
    let command::Command { job, worker_program, worker_arguments, shell } =
        command::read(&args, words)?;
    let asked = [&args.journal, &args.joblog, &args.summary];
    let shows_only = args.out.is_none() && asked.iter().all(|file| file.is_none());
    let longest_first = match (args.from.as_deref(), &job) {
        (Some(path), Job::Commands(template)) => Some(JobLog::read(path, template.outline())?),
        _ => None,
    };
    let out = out(args.out.as_deref(), &job, args.literal)?;
    let durability = args.durability;
    let mut separator = if args.null { 0 } else { b'\n' };
    let (source, keeping) = match continued {
        None => {
            let source = source(args.arg_file, values)?;
            let keeping = if args.no_journal {
                Keeping::Nowhere
            } else {
                let place = args.journal.map(std::path::absolute).transpose();
                let place = place.map_err(|why| format!("--journal: {why}"))?;
                // Whoever resumes it may have another one.
                let shell = shell.into_iter().flat_map(|shell| [b"--shell".to_vec(), shell]);
                let words = shell.chain(std::env::args_os().skip(1).map(OsString::into_vec));
                let (order, spools) = (runs::next_order(), source.is_read_once());
                Keeping::New { place, order, arguments: words.collect(), spools, durability }
            };
            (source, keeping)
        }
        Some(mut continued) => {
            let source = if continued.retried.is_some() {
                Source::Arguments(Vec::new())
            } else if let Some(path) = continued.arg_file.take() {
                source(Some(path), None)?
            } else if let Some(spool) = continued.folder.open_inputs()? {
                separator = 0;
                let path = continued.folder.inputs();
                let past = &continued.past;
                let kept = KeptInput::check(&spool, &past.kept, past.inputs, &past.seed);
                let kept = kept.map_err(|why| format!("{}: {why}", path.display()))?;
                // A power cut may have left the record that all were read, and not all of them.
                continued.cut_off = past.inputs.is_none_or(|total| kept.values < total);
                continued.missing = kept.missing;
                Source::Kept(spool, path, kept.parts)
            } else if !continued.past.kept.is_empty() {
                let path = continued.folder.inputs();
                let why =
                    "the values of this run were kept here and are gone: give them with -a FILE";
                return Err(format!("{}: {why}", path.display()));
            } else {
                source(args.arg_file, values)?
            };
            (source, Keeping::Continued { continued: Box::new(continued), durability })
        }
    };
    let here = match &keeping {
        Keeping::Continued { continued, .. } => continued.here.clone(),
        _ => std::env::current_dir().unwrap_or_default(),
    };
    let run_id = match &keeping {
        Keeping::Continued { continued, .. } => continued.past.run.run.clone(),
        Keeping::New { order, .. } => runs::new_id(*order),
        Keeping::Nowhere => runs::new_id(runs::now()),
    };
    Ok(Plan {
        policy,
        stop_steps,
        leave,
        run_id,
        keeping,
        joblog: args.joblog,
        procs,
        max_workers,
        admits: args.worker.is_none() && (u32::from(max_workers) > procs || memory.is_some()),
        memory,
        memory_per_task,
        idle_timeout,
        at_cap: args.at_cap,
        job,
        command,
        worker_program,
        worker_arguments,
        source,
        format: Format {
            separator,
            commands,
            crlf: args.crlf && separator == b'\n',
            hints: !args.quiet,
        },
        keep_order: args.keep_order,
        keeps_all_output: args.keep_output,
        out,
        durable: durability != Durability::Process,
        longest_first,
        summary: args.summary,
        schedtrace: args.schedtrace.map(Duration::from_millis),
        progress,
        quiet: args.quiet,
        shows_only,
        here,
        stats: args.stats,
        nofile,
        lowered,
    })
}

fn out(
    typed: Option<&std::ffi::OsStr>,
    job: &Job,
    literal: bool,
) -> Result<Option<OutTemplate>, String> {
    if let Some(typed) = typed {
        if !literal {
            let words = [typed.as_bytes().to_vec()];
            refuse_foreign(&words).map_err(|why| format!("--out {}: {why}", typed.display()))?;
        }
        let parsed = OutTemplate::parse(typed.as_bytes());
        return parsed.map(Some).map_err(|why| format!("--out {}: {why}", typed.display()));
    }
    match job {
        Job::Commands(template) if template.names_out() => {
            Err("{out} in the command: give the name of the file with --out".into())
        }
        _ => Ok(None),
    }
}

/// Tokens, the cap on workers, and which limit has lowered them, if one has.
fn concurrency(args: &Args) -> Result<(u32, u16, Option<String>), String> {
    let most = limits::most_workers()?;
    let cpus = u64::from(cpu_quota::cpus());
    let mut is_lowered = false;
    let mut lowered = |wanted: u64| {
        is_lowered |= wanted > most.workers;
        wanted.min(most.workers)
    };
    if let Some(text) = &args.jobs {
        let jobs = match text.as_str() {
            "0" => Some(lowered(ALL_AT_ONCE)),
            text => parse_procs(text, cpus),
        };
        let jobs = jobs.ok_or_else(|| {
            format!("--jobs {text}: must be a number, N%, +N or -N of the CPUs, or 0 for as many as possible")
        })?;
        let jobs = in_range("--jobs", jobs, most)?;
        let why = is_lowered.then(|| format!("at most {jobs} jobs: {most}"));
        return Ok((u32::from(jobs), jobs, why));
    }
    let procs = match &args.procs {
        Some(text) => parse_procs(text, cpus).ok_or_else(|| {
            format!("--procs {text}: must be a number of at least 1, N%, +N or -N")
        })?,
        None => lowered(cpus),
    };
    let procs = in_range("--procs", procs, most)?;
    let max_workers = match args.max_workers {
        Some(cap) if cap < u32::from(procs) => {
            return Err(format!("--max-workers {cap}: must be at least --procs, which is {procs}"));
        }
        Some(cap) => in_range("--max-workers", u64::from(cap), most)?,
        None => {
            let wanted = (u64::from(procs) * WORKERS_PER_TOKEN).max(LEAST_CAP);
            (lowered(wanted) as u16).max(procs)
        }
    };
    let why = is_lowered.then(|| format!("at most {max_workers} workers: {most}"));
    Ok((u32::from(procs), max_workers, why))
}

fn in_range(flag: &str, number: u64, most: Most) -> Result<u16, String> {
    match u16::try_from(number) {
        Ok(0) => Err(format!("{flag} 0: must be at least 1")),
        Ok(number) if u64::from(number) <= most.workers => Ok(number),
        _ => Err(format!("{flag} {number}: must be at most {}: {most}", most.workers)),
    }
}

fn size(flag: &str, text: Option<&str>) -> Result<Option<u64>, String> {
    let Some(text) = text else { return Ok(None) };
    let bytes = parse_size(text).filter(|bytes| *bytes >= LEAST_MEMORY);
    let wrong = || format!("{flag} {text}: must be a size of at least 1M, such as 512M or 1.5G");
    bytes.map(Some).ok_or_else(wrong)
}

/// Bytes: a number, and perhaps a unit as GNU parallel has them, K, M, G or T for powers of 1024
/// and k, m, g or t for powers of 1000.
fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().next_back()? {
        (at, unit) if unit.is_ascii_alphabetic() => (&text[..at], Some(unit)),
        _ => (text, None),
    };
    let power = |base: f64| {
        unit.and_then(|unit| "kmgt".find(unit.to_ascii_lowercase()))
            .map(|at| base.powi(at as i32 + 1))
    };
    let factor = match unit {
        None => 1.0,
        Some(unit) if unit.is_ascii_uppercase() => power(1024.0)?,
        Some(_) => power(1000.0)?,
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bytes = number.parse::<f64>().ok().filter(|_| plain)? * factor;
    // No machine has more than this, and it still fits.
    (bytes < 1e18).then_some(bytes as u64)
}

/// `N`, `N%` of the CPUs, `+N` more or `-N` fewer than there are, as GNU parallel reckons; at least
/// 1 but for a plain 0.
fn parse_procs(text: &str, cpus: u64) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    if let Some(percent) = text.strip_suffix('%') {
        let plain = percent.starts_with(|c: char| c.is_ascii_digit())
            && percent.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent = percent.parse::<f64>().ok().filter(|percent| plain && *percent < 1e9)?;
        return Some(((percent * cpus as f64 / 100.0).ceil() as u64).max(1));
    }
    match text.as_bytes().first()? {
        b'+' => cpus.checked_add(number(&text[1..])?),
        b'-' => Some(cpus.saturating_sub(number(&text[1..])?).max(1)),
        _ => number(text).filter(|number| *number > 0),
    }
}

/// The words before `:::`, and the values after it if there is one.
fn split(
    words: Vec<OsString>,
    literal: bool,
) -> Result<(Vec<OsString>, Option<Vec<OsString>>), String> {
    if !literal {
        other_tools::refuse_separators(&words)?;
    }
    let Some(at) = words.iter().position(|word| word == ":::") else { return Ok((words, None)) };
    let mut command = words;
    let values = command.split_off(at).split_off(1);
    if !literal && values.iter().any(|value| value == ":::") {
        return Err("a second ':::': msup takes one list of values: write the combinations out, one a line, and \
                    read them with -a FILE (--literal takes ':::' as a value)"
            .into());
    }
    Ok((command, Some(values)))
}

/// COMMAND as a person could type it, without the values.
pub(super) fn typed_command(words: &[OsString]) -> Option<Vec<u8>> {
    let at = words.iter().position(|word| word == ":::").unwrap_or(words.len());
    typed(&words[..at])
}

/// COMMAND as a person could type it: a single word is a command line as it is.
fn typed(words: &[OsString]) -> Option<Vec<u8>> {
    match words {
        [] => None,
        [line] => Some(line.as_bytes().to_vec()),
        several => {
            let words: Vec<Vec<u8>> = several.iter().map(|word| word.as_bytes().to_vec()).collect();
            Some(typed_words(&words))
        }
    }
}

fn source(file: Option<PathBuf>, values: Option<Vec<OsString>>) -> Result<Source, String> {
    match (file, values) {
        (Some(_), Some(_)) => Err("-a and ':::' both give values: use one of them".into()),
        (Some(path), None) if path == Path::new("-") => source(None, None),
        (Some(path), None) => match File::open(&path) {
            Ok(file) if file.metadata().is_ok_and(|meta| meta.is_dir()) => {
                Err(format!("-a {}: is a directory", path.display()))
            }
            Ok(file) => Ok(Source::File(file, path)),
            Err(why) => Err(format!("-a {}: {why}", path.display())),
        },
        (None, Some(values)) => {
            Ok(Source::Arguments(values.into_iter().map(OsString::into_vec).collect()))
        }
        (None, None) => {
            if std::io::stdin().is_terminal() {
                let hint = "reading values from the terminal, one a line, until Ctrl-D";
                let _ = writeln!(stderr(), "msup: {hint}");
            }
            Ok(Source::Stdin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tokens() {
        let parse = |text| parse_procs(text, 8);
        assert_eq!(parse("3"), Some(3));
        assert_eq!(parse("50%"), Some(4));
        assert_eq!(parse("1%"), Some(1));
        assert_eq!(parse("12.5%"), Some(1));
        assert_eq!(parse("13%"), Some(2));
        assert_eq!(parse("+2"), Some(10));
        assert_eq!(parse("-2"), Some(6));
        assert_eq!(parse("-20"), Some(1));
        for bad in ["0", "", "x", "--2", "+", "1.5", "3 ", "%", ".5%", "1e2%", "1.2.3%"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("512M", 512 << 20),
            ("1.5G", 3 << 29),
            ("2T", 2 << 40),
            ("3k", 3000),
            ("2g", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "G", "1X", "-1M", "1e9", "1.2.3M", "1MB", "9999999T", "1 M", "\u{e9}"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn values_after_the_separator() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let split = |words| split(words, false);
        assert_eq!(split(words("a b")), Ok((words("a b"), None)));
        assert_eq!(split(words("a ::: b c")), Ok((words("a"), Some(words("b c")))));
        assert_eq!(split(words(":::")), Ok((vec![], Some(vec![]))));
        assert!(split(words("a ::: b ::: c")).is_err());
    }
}
