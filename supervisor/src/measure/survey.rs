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

/// Whose turn it is to be asked.
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
