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
    /// Bytes of memory that they have.
    pub(super) resident: u64,
}

impl Activity {
    /// Sums up the living processes of a command; `None` if there are none. Reads the states of
    /// their threads.
    pub(super) fn of(processes: &[Kin]) -> Option<Activity> {
        let is_runnable = processes.iter().any(Kin::is_runnable);
        let resident = processes.iter().map(|kin| kin.resident).sum();
        (!processes.is_empty()).then_some(Activity { is_runnable, resident })
    }
}

/// The answers of the commands asked in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    known: u32,
    runnable: u32,
}

impl Answers {
    pub(super) fn add(&mut self, activity: Activity) {
        self.known += 1;
        self.runnable += u32::from(activity.is_runnable);
    }

    /// The share of commands that could run; `None` if nothing is known of any. `running`: seconds
    /// for which the running commands ran in this window, all together.
    pub(super) fn runnable(self, running: f64, finished: &FinishedUse) -> Option<f64> {
        let running = if self.known == 0 { 0.0 } else { running };
        let all = running + finished.unsampled();
        let share = f64::from(self.runnable) / f64::from(self.known.max(1));
        (all > 0.0).then(|| (share * running + finished.runnable()) / all)
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
    use msup_protocol::codec::Usage;

    use super::*;

    fn process(pid: i32, state: char, resident: u64) -> Kin {
        let (stuck, exited) = (state == 'D', false);
        let (parent, group, session) = (7370, 7370, 25_599);
        let (reaped_ticks, start) = (0, 2_254_238);
        let threads = 1;
        Kin {
            pid,
            parent,
            group,
            session,
            exited,
            stuck,
            state,
            threads,
            reaped_ticks,
            start,
            resident,
        }
    }

    fn activity(is_runnable: bool) -> Activity {
        Activity { is_runnable, resident: 0 }
    }

    #[test]
    fn a_command_can_run_if_one_of_its_processes_can() {
        let of = |states: &[char]| {
            let processes: Vec<Kin> =
                (1..).zip(states).map(|(pid, state)| process(pid, *state, 407 << 12)).collect();
            Activity::of(&processes)
        };
        let seen = |is_runnable, processes: u64| {
            Some(Activity { is_runnable, resident: processes * (407 << 12) })
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&['S', 'R']), seen(true, 2));
        assert_eq!(of(&['S', 'D']), seen(false, 2));
        assert_eq!(of(&['D', 'R', 'S']), seen(true, 3), "another one runs");
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
        for is_runnable in [true, false, false, false] {
            answers.add(activity(is_runnable));
        }
        let mut finished = FinishedUse::default();
        assert_eq!(answers.runnable(0.16, &finished), Some(0.25));
        // Recorded: `true`, which took 3.93 ms of the window and never slept.
        let usage = Usage { wall_ns: 3_930_000, cpu_ns: 701_000, sleeps: 1, ..Usage::default() };
        finished.add(&usage, None);
        let (all, runnable) = (0.16 + 0.003_93, answers.runnable(0.16, &finished));
        let runnable = runnable.expect("commands");
        assert!((runnable - (0.04 + 0.003_93) / all).abs() < 1e-9, "{runnable}");
        assert_eq!(Answers::default().runnable(0.16, &finished), Some(1.0), "none was asked");
        let nothing = FinishedUse::default();
        assert_eq!(Answers::default().runnable(0.16, &nothing), None);
    }
}
