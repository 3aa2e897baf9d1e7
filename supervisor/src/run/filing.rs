//! `--results` and `--files`: where the output of each task is filed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::arguments;
use crate::cli::{FiledTo, FilingPlan};
use crate::engine::{Earlier, Entry, Input};
use crate::output::filing::Filed;
use crate::report::table::Row;
use crate::template::ResultsPlace;
use msup_protocol::extent;

/// Says where outputs are filed.
#[derive(Debug)]
pub(super) struct Filer {
    to: FiledTo,
    /// Tasks get blocks of the input: their values are no arguments.
    has_blocks: bool,
    /// Which task has which place, if no two with different values may have the same.
    owners: Option<Owners>,
}

/// The tasks whose places are taken, by a hash of the name of their standard output.
#[derive(Debug, Default)]
struct Owners {
    /// A hash of the task's value, and its number.
    known: HashMap<u64, (u64, u64)>,
    hasher: RandomState,
}

impl Filer {
    pub(super) fn new(plan: FilingPlan, has_blocks: bool) -> Filer {
        let owners = (!plan.may_share).then(Owners::default);
        Filer { to: plan.results, has_blocks, owners }
    }

    /// Refuses a task whose output has no place, or that of a task with another value. `seq` is its
    /// number.
    pub(super) fn claim(&mut self, input: &mut Input, seq: u64) {
        let FiledTo::Places(template) = &self.to else { return };
        let refused = match (template.place(&input.value, seq), &mut self.owners) {
            (Err(why), _) => Some(why.to_string()),
            (Ok(ResultsPlace::Folder { is_cut: true, .. }), _) | (Ok(_), None) => None,
            (Ok(place), Some(owners)) => owners.refuse(&place, &input.value, seq),
        };
        // A finished task was judged before.
        let is_open = matches!(input.earlier, Earlier::Nothing | Earlier::Tried(_));
        if let Some(why) = refused.filter(|_| is_open) {
            input.earlier = Earlier::Refused(why);
        }
    }

    /// Whether the task with this value and number has results, of whatever run.
    pub(super) fn has_results(&self, value: &[u8], seq: u64) -> bool {
        let FiledTo::Places(template) = &self.to else { return false };
        template.place(value, seq).is_ok_and(|place| {
            let [stdout, ..] = place.names();
            stdout.is_file()
        })
    }

    /// The number of bytes in the block of this value.
    fn sent(&self, value: &[u8]) -> u64 {
        let parts = self.has_blocks.then(|| extent::of_value(value)).flatten();
        parts.unwrap_or_default().iter().map(|part| part.len).sum()
    }

    /// Where the output of a task that has ended so is filed, with `received` bytes on standard
    /// output.
    pub(super) fn filed(
        &self,
        end: &Entry,
        received: u64,
        command: impl FnOnce(&[u8], u64) -> Vec<u8>,
    ) -> Option<Filed> {
        let Entry::End { seq, value, failure, wall, .. } = end else { return None };
        match &self.to {
            FiledTo::Temporary => Some(Filed::Temporary),
            FiledTo::Places(template) => template.place(value, *seq).ok().map(Filed::Place),
            FiledTo::Table { .. } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let start = now.saturating_sub(*wall).as_secs_f64();
                let (exit, signal) = failure.as_ref().map_or((0, 0), |(cause, _)| cause.status());
                Some(Filed::Row(Box::new(Row {
                    seq: *seq,
                    start,
                    wall: wall.as_secs_f64(),
                    sent: self.sent(value),
                    received,
                    exit,
                    signal,
                    command: command(value, *seq),
                    arguments: match self.has_blocks {
                        true => Vec::new(),
                        false => arguments::split(value).map(<[u8]>::to_vec).collect(),
                    },
                })))
            }
        }
    }
}

impl Owners {
    /// Why the task with this value and number must not have this place, if it must not. Else the
    /// place is its own.
    fn refuse(&mut self, place: &ResultsPlace, value: &[u8], seq: u64) -> Option<String> {
        let names = place.names();
        let value = self.hasher.hash_one(value);
        let shared = others(&names).into_iter().chain(names.iter().cloned()).find_map(|name| {
            let (other, first) = self.known.get(&self.key(&name))?;
            (*other != value).then_some((name, *first))
        });
        let [stdout, ..] = names;
        let Some((name, first)) = shared else {
            let key = self.key(&stdout);
            self.known.entry(key).or_insert((value, seq));
            return None;
        };
        Some(format!(
            "{}: not run: task {first} with another value has this file: {{#}} in the name tells \
             them apart (--results)",
            name.display()
        ))
    }

    fn key(&self, name: &Path) -> u64 {
        self.hasher.hash_one(name)
    }
}

/// The standard outputs beside which a file of these would stand: `a`, if a task has `a.err`.
fn others(names: &[PathBuf; 3]) -> Vec<PathBuf> {
    let [stdout, stderr, seq] = names.each_ref().map(|name| name.as_os_str().as_bytes());
    let endings = [stderr, seq].into_iter().filter_map(|name| name.strip_prefix(stdout));
    let owners = endings.filter_map(|ending| stdout.strip_suffix(ending));
    owners.map(|owner| PathBuf::from(OsString::from_vec(owner.to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_values_have_the_same_file() {
        let mut owners = Owners::default();
        let mut is_refused = |name: &str, value: &str, seq| {
            let place = match name.ends_with('/') {
                true => ResultsPlace::Folder { path: name.into(), is_cut: false },
                false => ResultsPlace::File(name.into()),
            };
            owners.refuse(&place, value.as_bytes(), seq).is_some()
        };
        assert!(!is_refused("d/a", "a", 1));
        assert!(!is_refused("d/a", "a", 2), "the same value has the same file");
        assert!(is_refused("d/a", "b", 3) && is_refused("d//a", "b", 3));
        assert!(is_refused("d/a.err", "a.err", 4) && is_refused("d/a.seq", "a.seq", 5));
        assert!(!is_refused("d/b.err", "b.err", 6) && is_refused("d/b", "b", 7));
        assert!(!is_refused("d/c/", "c", 8) && is_refused("d/c/", "d", 9));
    }
}
