//! Asks some of the running commands what they do just now, and how much memory they have.

use msup_protocol::process_tree::Kin;

use super::finished_use::FinishedUse;

/// At most this number of commands is asked in one window; the second value holds where memory is
/// limited.
const ASKED: usize = 8;
const ASKED_OF_MEMORY: usize = 64;

/// What the processes of a command do just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    /// One of them runs or waits for a CPU.
    pub(super) is_runnable: bool,
    /// None of them does, and one waits in a queue that commands share: for a disk, for a lock.
    pub(super) is_queued: bool,
    /// Bytes of memory that they have.
    pub(super) resident: u64,
}

impl Activity {
    /// Sums up the living processes of a command; `None` if there are none.
    pub(super) fn of(processes: &[Kin], waits_for_lock: impl Fn(i32) -> bool) -> Option<Activity> {
        let is_runnable = processes.iter().any(|kin| kin.state == 'R');
        let is_queued =
            !is_runnable && processes.iter().any(|kin| kin.state == 'D' || waits_for_lock(kin.pid));
        let resident = processes.iter().map(|kin| kin.resident).sum();
        (!processes.is_empty()).then_some(Activity { is_runnable, is_queued, resident })
    }
}

/// The answers of the commands asked in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    known: u32,
    runnable: u32,
    queued: u32,
}

impl Answers {
    pub(super) fn add(&mut self, activity: Activity) {
        self.known += 1;
        self.runnable += u32::from(activity.is_runnable);
        self.queued += u32::from(activity.is_queued);
    }

    /// The share of commands that could run (`None` without commands), and the share that waits in
    /// a common queue. `running`: seconds for which the running commands ran in this window, all
    /// together.
    pub(super) fn shares(self, running: f64, finished: &FinishedUse) -> (Option<f64>, f64) {
        let all = running + finished.unsampled();
        if all <= 0.0 {
            return (None, 0.0);
        }
        let share =
            |n: u32| if self.known == 0 { 1.0 } else { f64::from(n) / f64::from(self.known) };
        let runnable = share(self.runnable) * running + finished.runnable();
        (Some(runnable / all), share(self.queued) * running / all)
    }
}

/// Which commands are asked next.
#[derive(Debug)]
pub(super) struct Survey {
    next: usize,
    at_most: usize,
}

impl Survey {
    pub(super) fn new(watches_memory: bool) -> Survey {
        Survey { next: 0, at_most: if watches_memory { ASKED_OF_MEMORY } else { ASKED } }
    }

    /// Which of this number of commands to ask now: all in turn, window by window.
    pub(super) fn turn(&mut self, commands: usize) -> impl Iterator<Item = usize> + use<> {
        let asked = commands.min(self.at_most);
        let first = self.next;
        self.next = first.wrapping_add(asked);
        (0..asked).map(move |nth| first.wrapping_add(nth) % commands)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use msup_protocol::codec::Usage;

    use super::*;

    fn process(pid: i32, state: char, resident: u64) -> Kin {
        let (stuck, exited) = (state == 'D', false);
        let (parent, group, session) = (7370, 7370, 25_599);
        let (reaped_ticks, start) = (0, 2_254_238);
        Kin { pid, parent, group, session, exited, stuck, state, reaped_ticks, start, resident }
    }

    fn activity(is_runnable: bool, is_queued: bool) -> Activity {
        Activity { is_runnable, is_queued, resident: 0 }
    }

    #[test]
    fn a_command_can_run_if_one_of_its_processes_can() {
        let of = |states: &[char]| {
            let processes: Vec<Kin> =
                (1..).zip(states).map(|(pid, state)| process(pid, *state, 407 << 12)).collect();
            Activity::of(&processes, |pid| pid == 3)
        };
        let seen = |is_runnable, is_queued, processes: u64| {
            Some(Activity { is_runnable, is_queued, resident: processes * (407 << 12) })
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&['S', 'R']), seen(true, false, 2));
        assert_eq!(of(&['S', 'S']), seen(false, false, 2));
        assert_eq!(of(&['S', 'D']), seen(false, true, 2), "for a disk");
        assert_eq!(of(&['S', 'S', 'S']), seen(false, true, 3), "the third for a lock");
        assert_eq!(of(&['D', 'R', 'S']), seen(true, false, 3), "another one runs");
    }

    #[test]
    fn all_commands_are_asked_in_turn() {
        let mut survey = Survey::new(false);
        let mut asked: Vec<usize> = (0..5).flat_map(|_| survey.turn(20)).collect();
        assert_eq!(asked.len(), 40);
        asked.sort_unstable();
        assert_eq!(asked, (0..20).flat_map(|at| [at, at]).collect::<Vec<_>>());
        assert_eq!(survey.turn(0).count(), 0);
        assert_eq!(survey.turn(3).count(), 3, "none twice");
        assert_eq!(Survey::new(true).turn(100).count(), 64, "where memory is limited");
    }

    #[test]
    fn commands_count_by_the_time_they_ran() {
        let mut answers = Answers::default();
        for is in [(true, false), (false, true), (false, false), (false, false)] {
            answers.add(activity(is.0, is.1));
        }
        let mut finished = FinishedUse::default();
        assert_eq!(answers.shares(0.16, &finished), (Some(0.25), 0.25));
        // Recorded: `true`, which took 3.93 ms of the window and never slept.
        let usage = Usage { wall_ns: 3_930_000, cpu_ns: 701_000, sleeps: 1, ..Usage::default() };
        finished.add(&usage, None);
        let (runnable, queued) = answers.shares(0.16, &finished);
        let (all, runnable) = (0.16 + 0.003_93, runnable.expect("commands"));
        assert!((runnable - (0.04 + 0.003_93) / all).abs() < 1e-9, "{runnable}");
        assert!((queued - 0.04 / all).abs() < 1e-9, "{queued}");
        assert_eq!(Answers::default().shares(0.0, &finished), (Some(1.0), 0.0));
        finished.add(&usage, Some(Duration::ZERO));
        assert_eq!(Answers::default().shares(0.0, &finished), (Some(1.0), 0.0), "it was sampled");
        assert_eq!(Answers::default().shares(0.0, &FinishedUse::default()), (None, 0.0));
    }
}
