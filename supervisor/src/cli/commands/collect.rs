//! `msup collect`: what the shards of a list have done together, and what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{Write, stderr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Parser;
use msup_protocol::exit;

use crate::cli::Refusal;
use crate::cli::args::{Args, Typed};
use crate::cli::plan::Described;
use crate::journal::claims;
use crate::journal::{
    End, Folder, JournalError, Name, Past, Run, ShardFolder, ShardStarts, StartHead, State,
    without_shard,
};
use crate::os::leftovers;
use crate::report::escape;
use crate::report::joblog::{Joblog, Sends};
use crate::report::shards::{Collected, Finished, ShardReport};
use crate::shard::Shard;
use crate::template::{Totals, quoted_words, temporaries_of};

/// Show what the shards of a list have done together: one report, one exit status. Shards that are
/// missing or not complete are named with the commands that run the rest; the exit status is then
/// never 0.
#[derive(Debug, Parser)]
#[command(name = "msup collect", override_usage = "msup collect [--joblog FILE] FOLDER")]
pub(crate) struct Collect {
    /// The folder of --journal, which all shards share
    folder: PathBuf,

    /// Write a line per finished task of all shards to FILE, in the format of GNU parallel
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,
}

/// The journals of all shards.
struct Journals {
    collected: Collected,
    /// All starts of all shards.
    starts: Vec<(Folder, StartHead)>,
    places: Vec<ShardFolder>,
    /// The number of values in the list, if a shard has read it to the end.
    values: Option<u64>,
    damaged: u64,
}

impl Collect {
    /// Prints the report. Returns the exit status: as of a run on one machine, if all is complete,
    /// else 1.
    ///
    /// # Errors
    /// There are no shards, they do not belong together, or a journal cannot be read.
    pub(crate) fn run(&self) -> Result<u8, Refusal> {
        let journals = Journals::read(&self.folder)?;
        let Journals { collected, starts, damaged, .. } = &journals;
        let run = &starts[0].1.run;
        let line = CommandLine::of(run)?;
        let mut text = collected.text(|shard| line.of_shard(run, shard));
        if *damaged > 0 {
            text += &format!("msup: {damaged} lines of the journals are damaged\n");
        }
        // The exit status says it all where this cannot be printed.
        let _ = stderr().write_all(text.as_bytes());
        let is_logged = self.joblog.as_deref().map(|path| journals.write_joblog(path));
        if collected.is_complete() {
            journals.remove_temporaries();
        }
        Ok(match (is_logged.transpose()?, collected.is_complete()) {
            (Some(false), _) => exit::ERROR,
            (_, true) => exit::for_failures(collected.failures()),
            (_, false) => exit::for_failures(1),
        })
    }
}

impl Journals {
    /// # Errors
    /// There are none, they do not belong together, or one cannot be read.
    fn read(shared: &Path) -> Result<Journals, JournalError> {
        let places = ShardFolder::all_in(shared)?;
        let (mut shards, mut starts, mut values) = (Vec::new(), Vec::new(), None);
        let (mut digest, mut damaged) = (None::<(String, PathBuf)>, 0);
        for place in &places {
            let folders = place.starts()?;
            let Some(ShardStarts { past, heads }) = Past::of_starts(&folders)? else { continue };
            let Some(shard) = past.run.shard else { continue };
            let first = starts.first().map(|(_, head): &(_, StartHead)| &head.run);
            let of_all = first.unwrap_or(&past.run);
            if let Some(at) = heads.iter().position(|head| !head.run.shares_work_with(of_all)) {
                return Err(JournalError::MixedShards(folders[at].path().to_owned()));
            }
            if let Some(read) = past.digest.clone() {
                let here = place.path().to_owned();
                let (first, other) = digest.get_or_insert_with(|| (read.clone(), here.clone()));
                if *first != read {
                    return Err(JournalError::OtherList { folder: here, other: other.clone() });
                }
            }
            values = values.max(past.inputs);
            damaged += past.condition.damaged;
            take_in(report_of(&mut shards, shard), past, folders.len());
            starts.extend(folders.into_iter().zip(heads));
        }
        let Some((_, first)) = starts.first() else {
            return Err(JournalError::NoShards(shared.to_owned()));
        };
        let of = first.run.shard.map_or(1, |shard| shard.of);
        for nth in 0..of {
            report_of(&mut shards, Shard { nth, of });
        }
        shards.sort_unstable_by_key(|report| report.shard.nth);
        Ok(Journals { collected: Collected { shards }, starts, places, values, damaged })
    }

    /// Writes a line per finished task, in the order in which they have finished. Returns whether
    /// all were written; if not, that is said.
    ///
    /// # Errors
    /// A journal cannot be read, or FILE not be opened.
    fn write_joblog(&self, path: &Path) -> Result<bool, Refusal> {
        /// How many lines are written at once.
        const LINES: usize = 1000;
        let described = Described::of(args_of(&self.starts[0].1.run)?)?;
        let totals = Totals { tasks: self.values.unwrap_or(0), slots: 1 };
        let mut ends: BTreeMap<Name, (f64, End)> = BTreeMap::new();
        for (folder, _) in &self.starts {
            folder.each_end(|at, end, is_shown| {
                let name = (end.seq, end.value.0.clone());
                let known = ends.get(&name).map(|(_, known)| known.state);
                // As in the report.
                if is_shown && known != Some(State::Succeeded) {
                    ends.insert(name, (at, end));
                }
            })?;
        }
        let mut ends: Vec<(f64, End)> = ends.into_values().collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut joblog = Joblog::open(path, false, Sends::Unknown)?;
        for some in ends.chunks(LINES) {
            for (at, end) in some {
                joblog.add_ended(*at, end, &described.task(&end.value.0, end.seq, totals));
            }
            let _ = joblog.flush();
        }
        let trouble = joblog.finish();
        if let Some(text) = &trouble {
            let _ = writeln!(stderr(), "msup: {}", escape::message(text));
        }
        Ok(trouble.is_none())
    }

    /// Removes what dead starts have left beside the files that are complete. Where that is not
    /// allowed, it stays.
    fn remove_temporaries(&self) {
        let dead: Vec<String> = self.places.iter().flat_map(|place| self.dead_of(place)).collect();
        let folders: BTreeSet<PathBuf> =
            self.places.iter().flat_map(|place| claims::target_folders(&place.claims())).collect();
        for folder in folders {
            let _ = leftovers::sweep(&folder, &dead);
        }
    }

    /// What the names of temporary files begin with that belong to starts of this shard which do
    /// nothing any more that counts: they have finished, or a later one has.
    fn dead_of(&self, place: &ShardFolder) -> Vec<String> {
        let is_of = |folder: &Folder| folder.path().parent() == Some(place.path());
        let of_shard: Vec<_> =
            self.starts.iter().filter(|(folder, _)| is_of(folder)).map(|(_, head)| head).collect();
        let last = of_shard.iter().rposition(|head| head.finished.is_some());
        let dead = of_shard.into_iter().take(last.map_or(0, |last| last + 1));
        dead.map(|head| temporaries_of(&head.run.run)).collect()
    }
}

/// The report of this shard, which is added if there is none.
fn report_of(shards: &mut Vec<ShardReport>, shard: Shard) -> &mut ShardReport {
    let at = shards.iter().position(|known| known.shard == shard).unwrap_or_else(|| {
        shards.push(ShardReport::missing(shard));
        shards.len() - 1
    });
    &mut shards[at]
}

fn take_in(report: &mut ShardReport, past: Past, starts: usize) {
    report.starts = starts;
    let added = past.added().len() as u64;
    report.tasks = report.tasks.max(past.tasks_of_list().map(|tasks| tasks + added));
    for (seq, value, known, _) in past.ended() {
        report.add((seq, value), Finished { state: known.state, cause: known.cause });
    }
}

/// The flags of this run.
///
/// # Errors
/// Its command line cannot be read.
fn args_of(run: &Run) -> Result<Args, Refusal> {
    let words = run.arguments.iter().map(|word| OsString::from_vec(word.0.clone()));
    let unreadable = || Refusal::from(JournalError::OtherRelease(run.version.clone()));
    Args::read(words).ok().and_then(Typed::flags).ok_or_else(unreadable)
}

/// The command line of a shard, without what differs between shards.
struct CommandLine {
    /// Flags that must come first.
    first: Vec<Vec<u8>>,
    flags: Vec<Vec<u8>>,
    command: Vec<Vec<u8>>,
}

impl CommandLine {
    /// # Errors
    /// It cannot be read.
    fn of(run: &Run) -> Result<CommandLine, Refusal> {
        let (flags, command) =
            run.arguments.split_at(run.arguments.len().saturating_sub(args_of(run)?.words.len()));
        let words = |words: Vec<&[u8]>| words.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (first, flags) =
            words(without_shard(flags)).into_iter().partition(|word| word == b"--gnu");
        let command = words(command.iter().map(|word| word.0.as_slice()).collect());
        Ok(CommandLine { first, flags, command })
    }

    /// That runs what is left of this shard.
    fn of_shard(&self, run: &Run, shard: Shard) -> String {
        let program = vec![b"msup".to_vec()];
        let share = vec![b"--shard".to_vec(), shard.to_string().into_bytes()];
        let all = [&program, &self.first, &share, &self.flags, &self.command];
        let line = pasted(all.into_iter().flatten());
        let folder = OsStr::from_bytes(&run.folder.0);
        if std::env::current_dir().is_ok_and(|here| here.as_os_str() == folder) {
            return line;
        }
        format!("{} && {line}", pasted(&[b"cd".to_vec(), run.folder.0.clone()]))
    }
}

/// Words for a shell, on one line however long it is.
fn pasted<'a>(words: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let word = |word: &Vec<u8>| {
        let is_plain = !word.iter().any(u8::is_ascii_control) && std::str::from_utf8(word).is_ok();
        match is_plain {
            true => String::from_utf8_lossy(&quoted_words(std::slice::from_ref(word))).into_owned(),
            // As bash, zsh and ksh read it.
            false => format!("$'{}'", word.escape_ascii()),
        }
    };
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_pasted() {
        let line = |words: &[&str]| {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            pasted(&words)
        };
        assert_eq!(line(&["msup", "-k", "echo it's"]), r#"msup -k 'echo it'\''s'"#);
        assert_eq!(line(&["a\nb'c"]), r"$'a\nb\'c'");
        let long = "x".repeat(10_000);
        assert_eq!(line(&[&long]), long);
    }
}
