//! What `msup top` knows: the run, and what the user has chosen.

use std::collections::VecDeque;
use std::time::Duration;

use crate::report::control::{FailedTask, RunningTask, Said, Snapshot, TaskOutput};
use crate::report::escape;
use crate::report::rate::Rate;

/// The rate covers this time, in seconds.
const RATE_OVER: f64 = 60.0;

/// Snapshots that are kept: one for each column of a wide terminal.
const KEPT: usize = 400;

/// By what the running tasks are sorted; the largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SortKey {
    #[default]
    Elapsed,
    Cpu,
    Memory,
}

impl SortKey {
    pub(super) fn name(self) -> &'static str {
        match self {
            SortKey::Elapsed => "elapsed",
            SortKey::Cpu => "CPU",
            SortKey::Memory => "memory",
        }
    }

    pub(super) fn next(self) -> SortKey {
        match self {
            SortKey::Elapsed => SortKey::Cpu,
            SortKey::Cpu => SortKey::Memory,
            SortKey::Memory => SortKey::Elapsed,
        }
    }
}

/// The list in which the arrow keys move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    Tasks,
    Failures,
}

/// What the next keys are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Watching,
    /// The filter is being typed.
    Typing,
    /// Is this task to be killed?
    Asking(u64),
    /// An output is shown.
    Reading(TaskOutput),
}

/// The run as far as it is known, and what the user has chosen.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) last: Option<Snapshot>,
    /// When, in seconds of this generation, and how many tasks had finished.
    counts: VecDeque<(f64, u64)>,
    /// Tasks that ran, and hundredths of CPUs that were used.
    pub(super) flight: VecDeque<u64>,
    pub(super) cpu: VecDeque<u64>,
    pub(super) is_over: bool,
    /// What the run has refused, or what the last key was good for.
    pub(super) said: Option<String>,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) sort: SortKey,
    pub(super) focus: Focus,
    /// The numbers of the chosen task and of the chosen failure.
    chosen: [Option<u64>; 2],
    /// The task whose output is to be shown.
    pub(super) wants_output: Option<u64>,
}

impl Watched {
    pub(super) fn hear(&mut self, said: Said) {
        match said {
            Said::Snapshot(now) => self.note(*now),
            // An answer may come after the window was closed.
            Said::Output(output) if self.wants_output == Some(output.seq) => {
                self.mode = Mode::Reading(output);
            }
            Said::Output(_) => {}
        }
    }

    /// The run has refused something. If that was another look at an output, the task does not run
    /// any more: the last look stays.
    pub(super) fn is_refused(&mut self, why: String) {
        self.wants_output = None;
        self.said = Some(why);
    }

    /// The run is like this now.
    fn note(&mut self, now: Snapshot) {
        self.counts.push_back((now.seconds, now.counts.finished));
        while self.counts.front().is_some_and(|(at, _)| now.seconds - at > RATE_OVER) {
            self.counts.pop_front();
        }
        self.flight.push_back(now.counts.running.into());
        self.cpu.push_back((now.cpu.unwrap_or(0.0) * 100.0) as u64);
        for history in [&mut self.flight, &mut self.cpu] {
            while history.len() > KEPT {
                history.pop_front();
            }
        }
        if now.failures.is_empty() {
            self.focus = Focus::Tasks;
        }
        self.last = Some(now);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.last.as_ref().is_some_and(|now| now.state == "paused")
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        let ((since, before), (now, finished)) = (self.counts.front()?, self.counts.back()?);
        // A failed task that runs again has not finished any more.
        let done = finished.saturating_sub(*before);
        Rate::of(done, Duration::try_from_secs_f64(now - since).ok()?)
    }

    /// The running tasks that are shown, in their order.
    pub(super) fn tasks(&self) -> Vec<&RunningTask> {
        let all = self.last.iter().flat_map(|now| &now.tasks);
        let mut tasks: Vec<&RunningTask> = all.filter(|task| self.is_wanted(&task.value)).collect();
        match self.sort {
            // As they come.
            SortKey::Elapsed => {}
            SortKey::Cpu => tasks.sort_by(|one, other| {
                other.cpu.unwrap_or(-1.0).total_cmp(&one.cpu.unwrap_or(-1.0))
            }),
            SortKey::Memory => tasks.sort_by_key(|task| std::cmp::Reverse(task.memory)),
        }
        tasks
    }

    /// The failures that are shown.
    pub(super) fn failures(&self) -> Vec<&FailedTask> {
        let all = self.last.iter().flat_map(|now| &now.failures);
        all.filter(|failure| self.is_wanted(&failure.value)).collect()
    }

    /// Whether the filter lets this value through.
    fn is_wanted(&self, value: &str) -> bool {
        escape::value(value.as_bytes()).contains(&self.filter)
    }

    /// The numbers of what the list with the focus shows.
    fn numbers(&self) -> Vec<u64> {
        match self.focus {
            Focus::Tasks => self.tasks().iter().map(|task| task.seq).collect(),
            Focus::Failures => self.failures().iter().map(|failure| failure.seq).collect(),
        }
    }

    /// The place in its list of what is chosen: the first one, until the user chooses.
    pub(super) fn chosen_place(&self, focus: Focus) -> Option<usize> {
        if focus != self.focus {
            return None;
        }
        let (numbers, chosen) = (self.numbers(), self.chosen[focus as usize]);
        let at = numbers.iter().position(|number| Some(*number) == chosen);
        at.or((!numbers.is_empty()).then_some(0))
    }

    /// The number of the chosen task or failure.
    pub(super) fn chosen(&self) -> Option<u64> {
        self.numbers().get(self.chosen_place(self.focus)?).copied()
    }

    /// Chooses another one: the next one, or the one before.
    pub(super) fn choose(&mut self, is_next: bool) {
        let Some(at) = self.chosen_place(self.focus) else { return };
        let numbers = self.numbers();
        let at = if is_next { (at + 1).min(numbers.len() - 1) } else { at.saturating_sub(1) };
        self.chosen[self.focus as usize] = numbers.get(at).copied();
    }

    pub(super) fn turn_focus(&mut self) {
        self.focus = match self.focus {
            Focus::Tasks if !self.failures().is_empty() => Focus::Failures,
            _ => Focus::Tasks,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Watched {
        let task = |seq, cpu, memory| RunningTask {
            seq,
            value: format!("v{seq}"),
            cpu,
            memory,
            ..RunningTask::default()
        };
        let failure = |seq| FailedTask { seq, ..FailedTask::default() };
        let mut watched = Watched::default();
        watched.note(Snapshot {
            tasks: vec![
                task(1, None, Some(5)),
                task(2, Some(0.5), None),
                task(3, Some(1.0), Some(9)),
            ],
            failures: vec![failure(8), failure(7)],
            ..Snapshot::default()
        });
        watched
    }

    #[test]
    fn tasks_are_sorted_by_what_was_asked_for() {
        let mut watched = watched();
        let mut order = |key| {
            watched.sort = key;
            watched.tasks().iter().map(|task| task.seq).collect::<Vec<_>>()
        };
        assert_eq!(order(SortKey::Elapsed), [1, 2, 3]);
        assert_eq!(order(SortKey::Cpu), [3, 2, 1]);
        assert_eq!(order(SortKey::Memory), [3, 1, 2]);
    }

    #[test]
    fn what_is_chosen_stays_chosen_while_the_list_changes() {
        let mut watched = watched();
        assert_eq!(watched.chosen(), Some(1));
        watched.choose(true);
        watched.choose(true);
        watched.choose(true);
        assert_eq!((watched.chosen(), watched.chosen_place(Focus::Tasks)), (Some(3), Some(2)));
        watched.sort = SortKey::Cpu;
        assert_eq!((watched.chosen(), watched.chosen_place(Focus::Tasks)), (Some(3), Some(0)));
        watched.choose(false);
        assert_eq!(watched.chosen(), Some(3));
        watched.turn_focus();
        assert_eq!((watched.chosen(), watched.chosen_place(Focus::Tasks)), (Some(8), None));
        watched.choose(true);
        assert_eq!(watched.chosen(), Some(7));
        watched.note(Snapshot::default());
        assert_eq!((watched.focus, watched.chosen()), (Focus::Tasks, None));
    }
}
