//! Measures what commands really use: their CPU clocks while they run, the kernel's account when
//! they exit.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use msup_protocol::codec::Usage;
use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree::{self, Kin};
use msup_protocol::segment::Segment;

use crate::engine::concurrency::wake_times::Naps;
use crate::engine::{Ended, Window};
use crate::measure::machine::Machine;
use crate::measure::process_tree::Families;
use crate::os::cgroup::Groups;
use crate::os::{cpu_quota, cpu_time};

/// A window: long enough for the kernel's ticks to be seen, short enough to follow changes. The
/// first `FIRST_WINDOWS` make up the ramp and are short, whatever measuring costs then; until
/// `RAMP_COST` of CPU time is used, they are not stretched.
const WINDOW: Duration = Duration::from_millis(40);
const FIRST_WINDOW: Duration = Duration::from_millis(12);
const FIRST_WINDOWS: u32 = 12;
const RAMP_COST: Duration = Duration::from_millis(20);

/// Sampling commands may use one part in `BUDGET` of one CPU; searching for their children comes on
/// top, and both together take at most one in a hundred.
const BUDGET: u32 = 150;

/// At most this number of commands is asked for its state and its memory; the second value holds
/// where memory is limited.
const ASKED: usize = 8;
const ASKED_OF_MEMORY: usize = 64;

/// The weight of the last window in a command's own use, and of the last cycle in the mean.
const NEWEST: f64 = 0.3;
const NEWEST_CYCLE: f64 = 0.05;
/// The weight of the last answer to whether it could run.
const NEWEST_WANTS: f64 = 0.2;

/// When this part of what commands used is seen only after their exit, the machine's CPUs are
/// measured instead: their children come and go too fast to be sampled.
const HIDDEN: f64 = 0.3;
/// The mean covers this number of commands; until there are any, commands that start others are
/// presumed to hide their use.
const KNOWN: u32 = 20;

/// A command that went to sleep only once, when it was started, only computed, however long other
/// processes had the CPU.
const NEVER_SLEEPS: u64 = 1;

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
    /// When its CPU clock was last read, and when it last moved.
    looked: Instant,
    moved: Instant,
    /// Bytes of memory when last asked, 0 before.
    resident: u64,
    /// The share of the time in which it could run, had it a CPU, smoothed over the samples.
    pub(super) wants: f64,
    /// Where the control group of its worker is measured: what that had used before this command.
    before: Option<Duration>,
}

/// Samples the commands of all workers, window by window.
#[derive(Debug)]
pub(crate) struct Meter {
    gauges: Vec<Option<Gauge>>,
    /// The control groups of all workers and commands, and the CPU time used in them up to the last
    /// window.
    groups: Option<Rc<Groups>>,
    counted: Duration,
    /// Commands start others, and are measured group by group, where there are groups.
    starts_others: bool,
    families: Families,
    /// What was counted of commands that have exited, until their outcome comes in.
    past: HashMap<i32, Duration>,
    began: Instant,
    due: Instant,
    pub(super) windows: u32,
    /// What finished in this window: CPU time not counted before, and how it ran.
    ended_used: Duration,
    workers_used: Duration,
    ended_runnable: f64,
    ended_wall: f64,
    ended: Ended,
    /// The part of what commands use that is not seen while they run.
    hidden: f64,
    known: u32,
    own: Duration,
    cycle: f64,
    naps: Naps,
    next_asked: usize,
    asked_at_most: usize,
    machine: Machine,
    /// Tokens that commands use beyond those they have.
    pub(crate) owed: u32,
    /// CPUs in use by commands in the last window.
    pub(crate) cpus: f64,
    /// Time spent above `procs`, in CPU seconds.
    pub(crate) debt: f64,
    /// CPU time that measuring has taken.
    pub(crate) cost: Duration,
    procs: f64,
    /// The part of `procs` CPUs that the CPU quota of a control group allows.
    share: f64,
}

impl Meter {
    /// `watches_memory`: memory is limited.
    pub(crate) fn new(
        procs: u32,
        max_workers: u16,
        watches_memory: bool,
        groups: Option<Rc<Groups>>,
    ) -> Meter {
        let now = Instant::now();
        Meter {
            gauges: vec![None; usize::from(max_workers)],
            groups,
            counted: Duration::ZERO,
            starts_others: false,
            families: Families::default(),
            past: HashMap::new(),
            began: now,
            due: now + FIRST_WINDOW,
            windows: 0,
            ended_used: Duration::ZERO,
            workers_used: Duration::ZERO,
            ended_runnable: 0.0,
            ended_wall: 0.0,
            ended: Ended::default(),
            hidden: 0.0,
            known: 0,
            own: cpu_time::own(),
            naps: Naps::default(),
            cycle: WINDOW.as_secs_f64(),
            next_asked: 0,
            asked_at_most: if watches_memory { ASKED_OF_MEMORY } else { ASKED },
            machine: Machine::new(now),
            owed: 0,
            cpus: 0.0,
            debt: 0.0,
            cost: Duration::ZERO,
            procs: f64::from(procs),
            share: cpu_quota::quota().map_or(1.0, |quota| (quota / f64::from(procs)).min(1.0)),
        }
    }

    /// When the next window closes.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// A command has exited: the part of its use that was not seen yet belongs to this window.
    pub(crate) fn ended(&mut self, usage: &Usage) {
        let pid = usage.pid.cast_signed();
        let running =
            self.gauges.iter_mut().find(|gauge| matches!(gauge, Some(gauge) if gauge.pid == pid));
        let cpu = Duration::from_nanos(usage.cpu_ns);
        let counted = match running {
            Some(gauge) => gauge.take().map(|gauge| {
                let wall = Duration::from_nanos(usage.wall_ns).as_secs_f64();
                // What it used since the last look cannot have been seen.
                let since = (gauge.looked.elapsed().as_secs_f64() / wall.max(1e-9)).min(1.0);
                let hidden =
                    1.0 - since - gauge.counted.as_secs_f64() / cpu.as_secs_f64().max(1e-9);
                self.known = (self.known + 1).min(KNOWN);
                self.hidden += (hidden.clamp(-1.0, 1.0) - self.hidden) / f64::from(self.known);
                gauge.counted
            }),
            None => self.past.remove(&pid),
        };
        self.ended_used += cpu.saturating_sub(counted.unwrap_or_default());
        self.workers_used += Duration::from_nanos(usage.worker_ns);
        let wall = Duration::from_nanos(usage.wall_ns).as_secs_f64();
        self.note_cycle(wall / (usage.sleeps + 1) as f64);
        self.ended.add(Duration::from_nanos(usage.cpu_ns + usage.worker_ns).as_secs_f64(), wall);
        if counted.is_none() {
            // Too short to have been sampled.
            let share = (cpu.as_secs_f64() / wall.max(1e-9)).min(1.0);
            let share = if usage.sleeps <= NEVER_SLEEPS { 1.0 } else { share };
            self.ended_runnable += share * wall;
            self.ended_wall += wall;
        }
    }

    /// The run stood still for `pause`: that says nothing about commands.
    pub(crate) fn paused(&mut self, pause: Duration) {
        (self.began, self.due) = (self.began + pause, self.due + pause);
        self.machine = Machine::new(Instant::now());
    }

    /// A worker is gone, and its command with it.
    pub(crate) fn lost(&mut self, worker: WorkerId) {
        if let Some(gauge) = self.gauges.get_mut(usize::from(worker)) {
            *gauge = None;
        }
    }

    /// All workers are gone.
    pub(crate) fn lost_all(&mut self) {
        self.gauges.fill(None);
        self.past.clear();
    }

    /// Closes the window, if it is time. `pid_of` gives the process of a worker; `had_more`:
    /// whether there were tasks that could have been started; `is_ramping`: whether each window
    /// still decides the number of commands.
    pub(crate) fn look(
        &mut self,
        segment: &Segment,
        pid_of: impl Fn(WorkerId) -> Option<i32>,
        had_more: bool,
        is_ramping: bool,
    ) -> Option<Window> {
        let now = Instant::now();
        if now < self.due {
            return None;
        }
        // Processes outside the groups must be measured one by one; so, then, are all.
        self.groups.take_if(|groups| groups.is_partial());
        let shared = segment.shared();
        let before = cpu_time::own_thread();
        let mut used = Duration::ZERO;
        let workers = 0..self.gauges.len() as WorkerId;
        let commands = workers.filter_map(|worker| {
            let command = shared.line.slot(worker)?.command().cast_signed();
            (command != 0).then_some((worker, command))
        });
        let commands: Vec<(WorkerId, i32)> = commands.collect();
        self.families.look(&commands, &pid_of, self.groups.as_deref(), now);
        self.starts_others |= self.families.any() || self.hides();
        // That may have taken long, where commands leave us little of the CPUs.
        let (now, busy) = (Instant::now(), cpu_time::own_thread());
        let span = now - self.began;
        for (worker, command) in &commands {
            used += self.sample(*worker, *command, &pid_of, span, now);
        }
        let waiting = self.ask(&commands, span);
        let by_process = used + self.ended_used + self.workers_used;
        let commands_used = self.used_in_groups().unwrap_or(by_process);
        let own = cpu_time::own();
        let (runnable, queued) = waiting;
        let mut used = commands_used + own.saturating_sub(self.own);
        if self.groups.is_none()
            && self.hides()
            && let Some(busy) = self.machine.busy(now)
        {
            used = busy;
        }
        let still = self.still(now);
        self.cpus = used.min(commands_used).as_secs_f64() / span.as_secs_f64();
        self.debt += (self.cpus - self.procs).max(0.0) * span.as_secs_f64();
        let window = Window {
            span,
            // Tokens are in full use when the quota is.
            used: used.div_f64(self.share),
            in_flight: shared.tasks.load().1,
            runnable,
            queued,
            cycle: Duration::from_secs_f64(self.cycle.max(stillness(&still))),
            waking: self.naps.about_to_wake(&still, span.as_secs_f64()),
            // CPUs that idle beyond a quota are not ours.
            idle: self.machine.idle(now, self.procs).filter(|_| self.share >= 1.0),
            had_more,
            ended: std::mem::take(&mut self.ended),
            residents: self.residents(&commands),
            available: self.machine.available(now),
            stalled: self.machine.stalled(span),
        };
        self.owed = crate::measure::token_charges::settle(&shared, &self.gauges, self.procs as u32);
        self.own = own;
        self.began = now;
        (self.ended_used, self.workers_used) = Default::default();
        (self.ended_runnable, self.ended_wall) = (0.0, 0.0);
        self.windows += 1;
        let after = cpu_time::own_thread();
        self.cost += after - before;
        let stretched = (after - busy) * BUDGET;
        let length = match self.windows {
            ..FIRST_WINDOWS => FIRST_WINDOW,
            _ if is_ramping && self.cost < RAMP_COST => WINDOW,
            _ => WINDOW.max(stretched),
        };
        self.due = now + length;
        Some(window)
    }

    /// What a command has used since the last window.
    fn sample(
        &mut self,
        worker: WorkerId,
        command: i32,
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
        span: Duration,
        now: Instant,
    ) -> Duration {
        let gauge = &mut self.gauges[usize::from(worker)];
        if gauge.as_ref().is_none_or(|gauge| gauge.pid != command) {
            if let Some(old) = gauge.take() {
                self.past.insert(old.pid, old.counted);
            }
            // The number comes from shared memory: it counts only if the kernel says that it is the
            // worker's child.
            let parent = process_tree::look_up(command).map(|kin| kin.parent);
            if parent.is_none() || parent != pid_of(worker) {
                return Duration::ZERO;
            }
            let counted = Duration::ZERO;
            *gauge = Some(Gauge {
                pid: command,
                counted,
                own: Duration::ZERO,
                cpus: 1.0,
                windows: 0,
                looked: now,
                moved: now,
                resident: 0,
                wants: 0.0,
                before: None,
            });
        }
        let Some(gauge) = gauge else { return Duration::ZERO };
        // A command that has exited is charged for what it left running, as long as its worker
        // waits for that.
        gauge.own = cpu_time::of(command).unwrap_or(gauge.own);
        let own = gauge.own;
        let total = match &self.groups {
            Some(groups) if self.starts_others => {
                let group = groups.cpu_time_of(worker).unwrap_or_default();
                let before = group.saturating_sub(gauge.counted.max(own));
                group.saturating_sub(*gauge.before.get_or_insert(before))
            }
            Some(_) => own,
            None => own + self.families.cpu_time(worker, command),
        };
        let used = total.saturating_sub(gauge.counted);
        gauge.counted = gauge.counted.max(total);
        gauge.windows += 1;
        gauge.looked = now;
        gauge.cpus += NEWEST * (used.as_secs_f64() / span.as_secs_f64().max(1e-9) - gauge.cpus);
        if !used.is_zero() {
            let cycle = (now - gauge.moved).as_secs_f64();
            gauge.moved = now;
            self.note_cycle(cycle);
            self.naps.note(cycle, span.as_secs_f64());
        }
        used
    }

    /// CPU time used in all groups since the last window.
    fn used_in_groups(&mut self) -> Option<Duration> {
        let total = self.groups.as_ref()?.cpu_time()?;
        Some(total.saturating_sub(std::mem::replace(&mut self.counted, total)))
    }

    /// Whether much of what commands use is not seen by sampling processes.
    fn hides(&self) -> bool {
        if self.known < KNOWN / 2 { self.families.any() } else { self.hidden >= HIDDEN }
    }

    fn note_cycle(&mut self, seconds: f64) {
        self.cycle += NEWEST_CYCLE * (seconds - self.cycle);
    }

    /// The share of commands that can run, and the share that waits in a common queue. Not all are
    /// asked.
    fn ask(&mut self, commands: &[(WorkerId, i32)], span: Duration) -> (Option<f64>, f64) {
        let asked = commands.len().min(self.asked_at_most);
        let (mut runnable, mut queued, mut known) = (0, 0, 0);
        for nth in 0..asked {
            let (worker, command) = commands[(self.next_asked + nth) % commands.len()];
            let members = self.families.members(worker).chain([command]);
            let kin: Vec<Kin> =
                members.filter_map(process_tree::look_up).filter(|kin| !kin.ended).collect();
            if kin.is_empty() {
                continue;
            }
            known += 1;
            let is_runnable = kin.iter().any(|kin| kin.state == 'R');
            if let Some(Some(gauge)) = self.gauges.get_mut(usize::from(worker)) {
                gauge.resident = kin.iter().map(|kin| kin.resident).sum();
                gauge.wants += NEWEST_WANTS * (f64::from(u8::from(is_runnable)) - gauge.wants);
            }
            if is_runnable {
                runnable += 1;
            } else if kin.iter().any(|kin| kin.state == 'D' || waits_for_lock(kin.pid)) {
                queued += 1;
            }
        }
        self.next_asked = self.next_asked.wrapping_add(asked);
        let alive = span.as_secs_f64() * commands.len() as f64;
        let all = alive + self.ended_wall;
        if all <= 0.0 {
            return (None, 0.0);
        }
        let share = |n: i32| if known == 0 { 1.0 } else { f64::from(n) / f64::from(known) };
        ((Some((share(runnable) * alive + self.ended_runnable) / all)), share(queued) * alive / all)
    }
}

impl Meter {
    /// For how long each command has not computed, in seconds.
    fn still(&self, now: Instant) -> Vec<f64> {
        let gauges = self.gauges.iter().flatten().filter(|gauge| gauge.looked == now);
        gauges.map(|gauge| (now - gauge.moved).as_secs_f64()).collect()
    }

    /// The memory of the commands, as far as they were asked.
    fn residents(&self, commands: &[(WorkerId, i32)]) -> Vec<u64> {
        let gauges = commands.iter().filter_map(|(worker, command)| {
            let gauge = self.gauges.get(usize::from(*worker))?.as_ref()?;
            Some(gauge.resident).filter(|bytes| *bytes > 0 && gauge.pid == *command)
        });
        gauges.collect()
    }
}

/// At least one command in five has not computed for this long, in seconds: cycles are no shorter
/// than that, unfinished ones included.
fn stillness(still: &[f64]) -> f64 {
    let mut still = still.to_vec();
    let at = still.len() * 4 / 5;
    if at >= still.len() {
        return 0.0;
    }
    *still.select_nth_unstable_by(at, f64::total_cmp).1
}

/// Whether a process waits for a file lock, as far as this kernel reveals it.
fn waits_for_lock(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/wchan"))
        .is_ok_and(|place| place.windows(15).any(|part| part == b"lock_inode_wait"))
}
