//! What several shards of one list have done together: one report, and what is left.

use std::collections::BTreeMap;

use super::escape;
use crate::journal::{Name, State};
use crate::shard::Shard;

/// The number of failures that are named.
const NAMED: usize = 10;

/// A task that has finished in one of the starts of its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) state: State,
    pub(crate) cause: Option<String>,
}

/// One shard, as far as its journals tell.
#[derive(Debug)]
pub(crate) struct ShardReport {
    pub(crate) shard: Shard,
    pub(crate) starts: usize,
    /// How many tasks it has, if it has read its list to the end.
    pub(crate) tasks: Option<u64>,
    pub(crate) finished: BTreeMap<Name, Finished>,
}

impl ShardReport {
    /// A shard that has not begun.
    pub(crate) fn missing(shard: Shard) -> ShardReport {
        ShardReport { shard, starts: 0, tasks: None, finished: BTreeMap::new() }
    }

    /// Takes in that a task has finished in a start, the starts in order. A success is not
    /// undone by a start that did not know of it.
    pub(crate) fn add(&mut self, name: Name, finished: Finished) {
        let known = self.finished.get(&name);
        if known.is_none_or(|known| known.state != State::Succeeded) {
            self.finished.insert(name, finished);
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.tasks == Some(self.finished.len() as u64)
    }

    /// What is said of it if it is not complete.
    fn left(&self) -> Option<String> {
        let Shard { nth, of } = self.shard;
        let done = self.finished.len();
        match (self.starts, self.tasks) {
            _ if self.is_complete() => None,
            (0, _) => Some(format!("shard {nth}/{of} has not begun")),
            (_, None) => Some(format!("shard {nth}/{of}: {done} tasks have finished so far")),
            (_, Some(tasks)) => Some(format!("shard {nth}/{of}: {done} of {tasks} tasks")),
        }
    }
}

/// All shards of a list.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) shards: Vec<ShardReport>,
}

impl Collected {
    pub(crate) fn is_complete(&self) -> bool {
        self.shards.iter().all(ShardReport::is_complete)
    }

    /// How many tasks have finished in this state.
    pub(crate) fn count(&self, state: State) -> u64 {
        let all = self.shards.iter().flat_map(|shard| shard.finished.values());
        all.filter(|finished| finished.state == state).count() as u64
    }

    /// The number of tasks that have failed for good.
    pub(crate) fn failures(&self) -> u64 {
        self.count(State::Failed) + self.count(State::Quarantined)
    }

    /// The report. `command`: the command line that runs the rest of a shard.
    pub(crate) fn text(&self, command: impl Fn(Shard) -> String) -> String {
        let (succeeded, failed) = (self.count(State::Succeeded), self.failures());
        let of = self.shards.len();
        let complete = self.shards.iter().filter(|shard| shard.is_complete()).count();
        let mut text = format!("msup: {succeeded} of {} tasks succeeded", succeeded + failed);
        if failed > 0 {
            text += &format!(", {failed} failed");
        }
        text += &match complete == of {
            true => format!(", in {of} shards\n"),
            false => format!(" so far; {complete} of {of} shards are complete\n"),
        };
        let all = self.shards.iter().flat_map(|shard| &shard.finished);
        let mut failures: Vec<_> =
            all.filter(|(_, finished)| finished.state != State::Succeeded).collect();
        failures.sort_unstable_by_key(|(name, _)| name.0);
        for ((seq, value), Finished { state, cause }) in failures.iter().take(NAMED) {
            let how = if *state == State::Quarantined { "was quarantined" } else { "failed" };
            let cause = escape::cause(cause.as_deref().unwrap_or_default());
            text += &format!("msup: task {seq} {how}: {cause}: {}\n", escape::value(value));
        }
        if failures.len() > NAMED {
            text += &format!("msup: and {} more\n", failures.len() - NAMED);
        }
        let left: Vec<&ShardReport> =
            self.shards.iter().filter(|shard| !shard.is_complete()).collect();
        for shard in &left {
            text += &format!("msup: {}\n", shard.left().unwrap_or_default());
        }
        let failed = |shard: &&ShardReport| {
            shard.finished.values().any(|finished| finished.state != State::Succeeded)
        };
        let again: Vec<&ShardReport> = match left.is_empty() {
            false => left,
            true => self.shards.iter().filter(failed).collect(),
        };
        if !again.is_empty() {
            let what = if self.is_complete() { "try them again" } else { "run the rest" };
            text += &format!("msup: {what}:\n");
        }
        for shard in again {
            text += &format!("  {}\n", command(shard.shard));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(nth: u64, tasks: Option<u64>, states: &[State]) -> ShardReport {
        let mut report = ShardReport::missing(Shard { nth, of: 3 });
        (report.starts, report.tasks) = (1, tasks);
        for (seq, state) in (1..).zip(states) {
            let cause = (*state != State::Succeeded).then(|| "exit 3".to_owned());
            report.add((seq * 3 + nth, b"v".to_vec()), Finished { state: *state, cause });
        }
        report
    }

    fn text(collected: &Collected) -> String {
        collected.text(|shard| format!("msup --shard {shard} ..."))
    }

    #[test]
    fn all_shards_are_complete() {
        let ok = [State::Succeeded; 2];
        let all = |last| Collected {
            shards: vec![shard(0, Some(2), &ok), shard(1, Some(2), &ok), shard(2, Some(2), last)],
        };
        assert!(all(&ok).is_complete());
        assert_eq!(text(&all(&ok)), "msup: 6 of 6 tasks succeeded, in 3 shards\n");
        let failed = all(&[State::Succeeded, State::Failed]);
        assert_eq!((failed.failures(), failed.is_complete()), (1, true));
        assert_eq!(
            text(&failed),
            "msup: 5 of 6 tasks succeeded, 1 failed, in 3 shards\n\
             msup: task 8 failed: exit 3: v\n\
             msup: try them again:\n  msup --shard 2/3 ...\n"
        );
    }

    #[test]
    fn what_is_left_is_named_with_its_command() {
        let ok = [State::Succeeded; 2];
        let shards = vec![
            shard(0, Some(2), &ok),
            shard(1, Some(5), &ok),
            ShardReport::missing(Shard { nth: 2, of: 3 }),
        ];
        let collected = Collected { shards };
        assert!(!collected.is_complete());
        assert_eq!(
            text(&collected),
            "msup: 4 of 4 tasks succeeded so far; 1 of 3 shards are complete\n\
             msup: shard 1/3: 2 of 5 tasks\n\
             msup: shard 2/3 has not begun\n\
             msup: run the rest:\n  msup --shard 1/3 ...\n  msup --shard 2/3 ...\n"
        );
    }

    #[test]
    fn a_success_stays_one() {
        let mut report = shard(0, Some(1), &[State::Succeeded]);
        let name = (3, b"v".to_vec());
        report.add(name.clone(), Finished { state: State::Failed, cause: None });
        assert_eq!(report.finished[&name].state, State::Succeeded);
        let mut report = shard(0, Some(1), &[State::Failed]);
        report.add(name.clone(), Finished { state: State::Succeeded, cause: None });
        assert_eq!(report.finished[&name].state, State::Succeeded);
    }
}
