//! Gauges of running commands: the CPUs that each one uses, and whether it could run.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use msup_protocol::packed::WorkerId;

use super::survey::Activity;

/// The weight of the last window in a command's own use.
const NEWEST: f64 = 0.3;
/// The weight of the last answer to whether it could run.
const NEWEST_WANTS: f64 = 0.2;

/// CPU time of a command so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Of its own process; `None`: it has exited.
    pub(super) own: Option<Duration>,
    pub(super) children: Children,
}

/// CPU time of the processes that a command has started.
#[derive(Clone, Copy, Debug)]
pub(super) enum Children {
    /// Commands start no others.
    None,
    /// What those used that were found.
    Found(Duration),
    /// What the control group of its worker has used: the worker, this command and those before it.
    InGroup(Duration),
}

/// One running command.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    pub(super) pid: i32,
    /// CPU time counted so far, and that of its own process when last seen.
    counted: Duration,
    own: Duration,
    /// CPUs it uses, smoothed. A new command is presumed to compute.
    pub(super) cpus: f64,
    /// The number of windows in which it was sampled.
    pub(super) windows: u32,
    /// When its CPU clock was last read.
    looked: Instant,
    /// Bytes of memory when last asked, 0 before.
    resident: u64,
    /// The share of the time in which it could run, had it a CPU, smoothed over the samples.
    pub(super) wants: f64,
    /// Where the control group of its worker is read: what the group had used before this command.
    before: Option<Duration>,
    origin: Origin,
}

/// From when on a command's use is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// From its start.
    Start,
    /// Its process had other tasks before: from the next sample on.
    Unknown,
    /// From this sample on, with this CPU time.
    Sample(Instant, Duration),
}

impl Gauge {
    /// `lasts`: the process had other tasks before.
    pub(super) fn new(pid: i32, now: Instant, lasts: bool) -> Gauge {
        Gauge {
            pid,
            counted: Duration::ZERO,
            own: Duration::ZERO,
            cpus: 1.0,
            windows: 0,
            looked: now,
            resident: 0,
            wants: 0.0,
            before: None,
            origin: if lasts { Origin::Unknown } else { Origin::Start },
        }
    }

    /// The clocks were read at the end of a window of length `span`. Returns the CPU time that was
    /// not counted before.
    pub(super) fn sample(&mut self, reading: Reading, span: Duration, now: Instant) -> Duration {
        let total = self.total(reading);
        if self.origin == Origin::Unknown {
            // What it has used for this task until now is seen when the task has finished.
            self.origin = Origin::Sample(now, total);
            (self.counted, self.looked) = (total, now);
            return Duration::ZERO;
        }
        let used = total.saturating_sub(self.counted);
        self.counted = self.counted.max(total);
        self.windows += 1;
        self.looked = now;
        self.cpus += NEWEST * (used.as_secs_f64() / span.as_secs_f64().max(1e-9) - self.cpus);
        used
    }

    /// CPU time of the command and of what it has started.
    fn total(&mut self, reading: Reading) -> Duration {
        // A command that has exited is charged for what it left running, as long as its worker
        // waits for that.
        self.own = reading.own.unwrap_or(self.own);
        match reading.children {
            Children::None => self.own,
            Children::Found(time) => self.own + time,
            Children::InGroup(group) => {
                // Until now only its own process was counted.
                let before = group.saturating_sub(self.own);
                group.saturating_sub(*self.before.get_or_insert(before))
            }
        }
    }

    /// What was counted so far.
    fn counted(&self) -> Counted {
        let (base, seen) = match self.origin {
            Origin::Start => (Duration::ZERO, None),
            Origin::Unknown => (self.counted, Some(Duration::ZERO)),
            Origin::Sample(at, base) => (base, Some(self.looked.saturating_duration_since(at))),
        };
        Counted { cpu: self.counted.saturating_sub(base), read: Some(self.looked), seen }
    }

    fn note(&mut self, activity: Activity) {
        self.resident = activity.resident;
        self.wants += NEWEST_WANTS * (f64::from(u8::from(activity.is_runnable)) - self.wants);
    }
}

/// What was counted of a command until it finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) cpu: Duration,
    /// When its clock was last read; `None`: its worker has run another command since.
    pub(super) read: Option<Instant>,
    /// For how long it was counted; `None`: from its start on.
    pub(super) seen: Option<Duration>,
}

/// The gauges of all workers' commands.
#[derive(Debug)]
pub(super) struct Gauges {
    by_worker: Vec<Option<Gauge>>,
    /// The workers by their commands' pids. Checked when used: pids are reused.
    workers: HashMap<i32, WorkerId>,
    /// CPU time counted of commands that have exited, until their outcome comes in.
    past: HashMap<i32, Duration>,
    /// The processes that have finished a task and keep running. One that has exited since may be
    /// among them: then the use of another one with its number is seen a window later.
    lasting: HashSet<i32>,
}

impl Gauges {
    pub(super) fn new(workers: u16) -> Gauges {
        let by_worker = vec![None; usize::from(workers)];
        let (workers, past, lasting) = Default::default();
        Gauges { by_worker, workers, past, lasting }
    }

    /// All workers, with commands and without.
    pub(super) fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        0..self.by_worker.len() as WorkerId
    }

    /// All gauges.
    pub(super) fn each(&self) -> impl Iterator<Item = (WorkerId, &Gauge)> {
        (0..).zip(&self.by_worker).filter_map(|(worker, gauge)| Some((worker, gauge.as_ref()?)))
    }

    /// The gauge of a worker's command, a new one if it is another command than before. `None` if
    /// that is not the worker's child.
    pub(super) fn of(
        &mut self,
        worker: WorkerId,
        command: i32,
        now: Instant,
        is_child: impl FnOnce() -> bool,
    ) -> Option<&mut Gauge> {
        let gauge = &mut self.by_worker[usize::from(worker)];
        if gauge.as_ref().is_none_or(|gauge| gauge.pid != command) {
            if let Some(old) = gauge.take() {
                self.workers.remove(&old.pid);
                self.past.insert(old.pid, old.counted().cpu);
            }
            if is_child() {
                self.workers.insert(command, worker);
                *gauge = Some(Gauge::new(command, now, self.lasting.contains(&command)));
            }
        }
        gauge.as_mut()
    }

    /// The CPUs and the bytes of memory of a worker's command, if it was sampled.
    pub(super) fn use_of(&self, worker: WorkerId) -> Option<(f64, u64)> {
        let gauge = self.by_worker.get(usize::from(worker))?.as_ref()?;
        (gauge.windows > 0).then_some((gauge.cpus, gauge.resident))
    }

    /// A worker's command was asked for its activity.
    pub(super) fn note(&mut self, worker: WorkerId, activity: Activity) {
        if let Some(Some(gauge)) = self.by_worker.get_mut(usize::from(worker)) {
            gauge.note(activity);
        }
    }

    /// Whether this process had other tasks before.
    pub(super) fn lasts(&self, pid: i32) -> bool {
        self.lasting.contains(&pid)
    }

    /// A command has finished; `lasts`: its process keeps running. `None`: it was never sampled.
    pub(super) fn remove(&mut self, pid: i32, lasts: bool) -> Option<Counted> {
        if lasts {
            self.lasting.insert(pid);
        } else {
            self.lasting.remove(&pid);
        }
        let worker = self.workers.remove(&pid);
        let gauge = worker.and_then(|worker| self.by_worker.get_mut(usize::from(worker)));
        match gauge.and_then(|gauge| gauge.take_if(|gauge| gauge.pid == pid)) {
            Some(gauge) => Some(gauge.counted()),
            None => self.past.remove(&pid).map(|cpu| Counted { cpu, read: None, seen: None }),
        }
    }

    /// Everything stood still for `pause`.
    pub(super) fn postpone(&mut self, pause: Duration) {
        for gauge in self.by_worker.iter_mut().flatten() {
            gauge.looked += pause;
            if let Origin::Sample(at, _) = &mut gauge.origin {
                *at += pause;
            }
        }
    }

    /// A worker is gone.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        let gauge = self.by_worker.get_mut(usize::from(worker));
        if let Some(gauge) = gauge.and_then(Option::take) {
            self.workers.remove(&gauge.pid);
        }
    }

    /// All workers are gone.
    pub(super) fn forget_all(&mut self) {
        self.by_worker.fill(None);
        self.workers.clear();
        self.past.clear();
        self.lasting.clear();
    }

    /// The memory of the commands, as far as they were asked.
    pub(super) fn residents(&self, commands: &[(WorkerId, i32)]) -> Vec<u64> {
        let gauges = commands.iter().filter_map(|(worker, command)| {
            let gauge = self.by_worker.get(usize::from(*worker))?.as_ref()?;
            Some(gauge.resident).filter(|bytes| *bytes > 0 && gauge.pid == *command)
        });
        gauges.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: fn(u64) -> Duration = Duration::from_micros;

    /// Recorded: a program that computes for 10 ms and sleeps for 190 ms, four times. Microseconds
    /// since its start, and its CPU time.
    const NAPS: [(u64, u64); 22] = [
        (58_526, 18_521),
        (98_941, 18_521),
        (139_332, 18_521),
        (179_785, 18_521),
        (220_232, 18_521),
        (270_647, 26_923),
        (314_697, 28_563),
        (358_685, 28_563),
        (399_209, 28_563),
        (439_721, 28_563),
        (487_218, 36_967),
        (530_869, 38_645),
        (571_331, 38_645),
        (611_783, 38_645),
        (652_201, 38_645),
        (693_655, 41_448),
        (734_100, 48_704),
        (774_650, 48_704),
        (818_496, 48_704),
        (859_987, 48_704),
        (900_475, 48_704),
        (942_591, 51_041),
    ];

    /// Recorded: a shell that starts one short program after the other. Microseconds since its
    /// start, its own CPU time, and `usage_usec` of its control group.
    const SHELL: [(u64, u64, u64); 6] = [
        (71_794, 3_589, 325_206),
        (115_765, 4_619, 336_062),
        (156_184, 5_708, 348_796),
        (196_649, 6_605, 359_362),
        (247_909, 8_008, 374_157),
        (288_782, 8_933, 384_402),
    ];

    /// Reads the clocks at these times; what the gauge has seen.
    fn watched(
        gauge: &mut Gauge,
        began: Instant,
        readings: impl IntoIterator<Item = (u64, Reading)>,
    ) -> Vec<Duration> {
        let mut used = Vec::new();
        let mut before = 0;
        for (at, reading) in readings {
            used.push(gauge.sample(reading, US(at - before), began + US(at)));
            before = at;
        }
        used.retain(|used| !used.is_zero());
        used
    }

    fn own(us: u64) -> Reading {
        Reading { own: Some(US(us)), children: Children::None }
    }

    #[test]
    fn what_a_command_that_sleeps_uses_is_counted_once() {
        let began = Instant::now();
        let mut gauge = Gauge::new(7, began, false);
        let used = watched(&mut gauge, began, NAPS.map(|(at, us)| (at, own(us))));
        assert_eq!((used.len(), used.iter().sum::<Duration>()), (8, US(51_041)));
        assert!((0.01..0.1).contains(&gauge.cpus), "{}", gauge.cpus);
        assert_eq!(gauge.windows, 22);
    }

    #[test]
    fn a_group_is_charged_for_children_but_not_for_the_commands_before() {
        let began = Instant::now();
        let read = |children: fn(u64) -> Children| {
            let mut gauge = Gauge::new(7, began, false);
            let readings = SHELL.map(|(at, own, group)| {
                (at, Reading { own: Some(US(own)), children: children(group) })
            });
            watched(&mut gauge, began, readings).iter().sum::<Duration>()
        };
        // Of what the group has used until the first look, only the shell's own is known to be its.
        let in_group = read(|group| Children::InGroup(US(group)));
        assert_eq!(in_group, US(3_589 + (384_402 - 325_206)));
        assert_eq!(read(|_| Children::None), US(8_933));
    }

    /// The group is read from the moment on at which commands are seen to start others.
    #[test]
    fn what_was_counted_before_the_group_was_read_is_not_counted_twice() {
        let began = Instant::now();
        let mut gauge = Gauge::new(7, began, false);
        let readings = SHELL.map(|(at, own, group)| {
            let children = if at < 150_000 { Children::None } else { Children::InGroup(US(group)) };
            (at, Reading { own: Some(US(own)), children })
        });
        let used = watched(&mut gauge, began, readings);
        let own = [3_589, 1_030, 1_089].map(US);
        let group = [359_362 - 348_796, 374_157 - 359_362, 384_402 - 374_157].map(US);
        assert_eq!(used, [own, group].concat());
    }

    #[test]
    fn what_a_command_left_running_is_charged_to_it() {
        let began = Instant::now();
        let mut gauge = Gauge::new(7, began, false);
        let left = |us| Children::Found(US(us));
        let readings = [
            (40_000, Reading { own: Some(US(9_000)), children: left(1_000) }),
            (80_000, Reading { own: None, children: left(21_000) }),
            (120_000, Reading { own: None, children: left(21_000) }),
        ];
        let used = watched(&mut gauge, began, readings);
        assert_eq!(used, [US(10_000), US(20_000)]);
    }

    #[test]
    fn what_was_counted_of_a_command_is_kept_until_its_outcome_comes() {
        let now = Instant::now();
        let mut gauges = Gauges::new(2);
        let mut sample = |worker, command, us| {
            let gauge = gauges.of(worker, command, now, || true).expect("a child");
            gauge.sample(own(us), US(40_000), now);
        };
        sample(0, 10, 20_000);
        sample(1, 11, 30_000);
        // Its worker is one command further before the outcome comes.
        sample(0, 12, 5_000);
        let counted = |us, read| Some(Counted { cpu: US(us), read, seen: None });
        assert_eq!(gauges.remove(10, false), counted(20_000, None));
        assert_eq!(gauges.remove(10, false), None, "only once");
        assert_eq!(gauges.remove(11, false), counted(30_000, Some(now)));
        assert_eq!(gauges.each().map(|(_, gauge)| gauge.pid).collect::<Vec<_>>(), [12]);
        // The number in the slot is not that of a child.
        assert!(gauges.of(0, 1, now, || false).is_none());
        assert_eq!(gauges.each().count(), 0);
        assert_eq!(gauges.remove(12, false), counted(5_000, None));
        gauges.forget(9);
    }

    /// The same process computes for two tasks; for the second one, 9 ms before it is first seen.
    #[test]
    fn what_a_process_used_for_other_tasks_is_not_counted_again() {
        let began = Instant::now();
        let mut gauges = Gauges::new(1);
        let at = |ms: u64| began + US(ms * 1_000);
        let sample = |gauges: &mut Gauges, us, ms| {
            let gauge = gauges.of(0, 10, at(ms), || true).expect("a child");
            let used = gauge.sample(own(us), US(40_000), at(ms));
            (used, gauge.windows)
        };
        assert_eq!(sample(&mut gauges, 30_000, 40), (US(30_000), 1));
        let first = Counted { cpu: US(30_000), read: Some(at(40)), seen: None };
        assert_eq!(gauges.remove(10, true), Some(first));
        assert!(gauges.lasts(10));
        assert_eq!(sample(&mut gauges, 44_000, 60), (Duration::ZERO, 0), "not known from when on");
        let nothing = Counted { cpu: Duration::ZERO, read: Some(at(60)), seen: Some(US(0)) };
        assert_eq!(gauges.each().next().map(|(_, gauge)| gauge.counted()), Some(nothing));
        assert_eq!(sample(&mut gauges, 80_000, 100), (US(36_000), 1));
        assert_eq!(sample(&mut gauges, 110_000, 140), (US(30_000), 2));
        let second = Counted { cpu: US(66_000), read: Some(at(140)), seen: Some(US(80_000)) };
        assert_eq!(gauges.remove(10, false), Some(second));
        assert!(!gauges.lasts(10), "it has exited");
        assert_eq!(sample(&mut gauges, 5_000, 180), (US(5_000), 1), "another one of its number");
    }

    #[test]
    fn only_commands_that_were_asked_have_memory() {
        let began = Instant::now();
        let (first, second) = (began + US(40_000), began + US(80_000));
        let mut gauges = Gauges::new(3);
        for (worker, us, now) in [(0, 9_000, first), (1, 9_000, first), (1, 9_000, second)] {
            let gauge = gauges.of(worker, 10 + i32::from(worker), began, || true).expect("child");
            gauge.sample(own(us), US(40_000), now);
        }
        let resident = 2077 << 12;
        for worker in [0, 1, 2] {
            gauges.note(worker, Activity { is_runnable: true, resident });
        }
        assert_eq!(gauges.residents(&[(0, 99), (1, 11), (2, 12)]), [resident]);
    }
}
