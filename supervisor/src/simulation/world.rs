//! A run in virtual time: workers, slots, a disk, and what happens to them.

mod faults;
mod perform;
mod stopping;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use msup_protocol::codec::{OutcomeFrame, Stream, Usage, Verdict};
use msup_protocol::exit::{self, WorkerEnd};
use msup_protocol::in_flight::Entry;
use msup_protocol::packed::WorkerId;

use super::disk::FakeFile;
use super::history::History;
use super::planted::Planted;
use super::random::Random;
use crate::engine::{AtCap, Engine, Event, Input, Killed, Limits, Policy, View};
use crate::journal::entries::KnownTasks;
use crate::journal::record::{Again, Kind};
use crate::journal::{Bytes, Journal, Past, Record, Run, SCHEMA, Seed, Sync, Trouble, read};

use stopping::Climb;

/// A run that has not finished after this number of steps never will.
const STEPS_AT_MOST: u32 = 30_000;

/// A supervisor looks at everything at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The run's id.
const RUN: &str = "simulated";

const SIGKILL: u8 = 9;
const SIGSEGV: u8 = 11;
const SIGTERM: u8 = 15;

/// What a task does when it runs.
#[derive(Clone, Copy, Debug)]
enum Nature {
    Good,
    /// Fails or crashes now and then.
    Flaky,
    /// Always exits with a status.
    Bad,
    /// Always crashes its process.
    Poison,
    /// Never exits: it is stopped.
    Hangs,
    /// Leaves processes running that never exit.
    Leaves,
    /// Kills the supervisor, too.
    Killer,
}

#[derive(Clone, Debug, PartialEq)]
enum Worker {
    Vacant,
    Starting,
    Idle,
    /// In this slot, with this value.
    Busy(u16, String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Slot {
    Free,
    Ready,
    Claimed,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Look,
    Reads,
    Fault,
    /// A process is up; these are about one life of a worker.
    Up(WorkerId, u32),
    Ends(WorkerId, u32),
    /// These are about one attempt that is being stopped.
    Climbs(WorkerId, u64),
    Yields(WorkerId, u64),
    Dies(WorkerId, u32, u8),
    Shown(u64, String),
    Space,
    PressureEnds,
}

pub(super) struct World {
    planted: Planted,
    aloud: bool,
    /// Keep the story.
    pub(super) keeps: bool,
    random: Random,
    now: Duration,
    happenings: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    happened: u64,
    /// Everything but the engine and the journal outlives a supervisor.
    generation: u32,
    engine: Engine,
    journal: Journal<FakeFile>,
    known: Option<KnownTasks>,
    records: FakeFile,
    spool: Option<FakeFile>,
    /// The number of journal bytes already looked at.
    read: usize,
    /// What workers have noted of what they take up, by task slot; and whether they could.
    noted: Vec<Option<Entry>>,
    notes: bool,
    trouble: Trouble,
    /// Something was noted that must be written before anything is published.
    is_urgent: bool,
    /// The number of supervisors that have begun.
    begun: u64,
    /// The supervisor is killed in the middle of its next write.
    dies_writing: bool,
    cut_off: bool,
    workers: Vec<(Worker, u32, bool)>,
    slots: Vec<Slot>,
    climbs: BTreeMap<WorkerId, Climb>,
    procs: usize,
    limits: Limits,
    natures: BTreeMap<String, Nature>,
    /// The values of this generation, and how many were read.
    values: Vec<String>,
    next_value: usize,
    outputs: BTreeSet<String>,
    delivered: bool,
    faults: u64,
    /// There has been no fault since this generation began.
    is_calm: bool,
    history: History,
    finished: Option<u8>,
    story: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, planted: Planted, aloud: bool) -> World {
        let mut random = Random::new(seed);
        let procs = 1 + random.below(3) as usize;
        let max_workers = procs as u16 + random.below(3) as u16;
        let task_slots = 2 + random.below(6) as usize;
        let ms = Duration::from_millis;
        let limits = Limits {
            worker_program: "worker".into(),
            procs: procs as u32,
            max_workers,
            task_slots,
            most_published: 1 + random.below(task_slots as u64) as usize,
            idle_timeout: ms(50 + random.below(1000)),
            at_cap: AtCap::Wait,
            admits: false,
            longest_first: random.once_in(5),
            memory: None,
            policy: Policy {
                tries: 1 + random.below(3) as u32,
                backoff: [ms(1), ms(1 + random.below(200))],
                ..Policy::default()
            },
            seed,
        };
        let natures: BTreeMap<String, Nature> = (0..random.below(20))
            .map(|n| {
                let nature = match random.below(13) {
                    0..6 => Nature::Good,
                    6 | 7 => Nature::Flaky,
                    8 => Nature::Bad,
                    9 => Nature::Poison,
                    10 => Nature::Hangs,
                    11 => Nature::Leaves,
                    _ => Nature::Killer,
                };
                (format!("v{n:02}"), nature)
            })
            .collect();
        let notes = !random.once_in(10);
        let (records, spool) = (FakeFile::default(), random.once_in(2).then(FakeFile::default));
        let mut world = World {
            planted,
            aloud,
            keeps: false,
            now: Duration::ZERO,
            happenings: BinaryHeap::new(),
            happened: 0,
            generation: 0,
            engine: Engine::new(limits.clone()),
            journal: Journal::over(records.clone(), spool.clone(), 1, RUN, Sync::none()),
            known: None,
            records,
            spool,
            read: 0,
            noted: vec![None; task_slots],
            notes,
            trouble: Trouble::None,
            is_urgent: false,
            begun: 0,
            dies_writing: false,
            cut_off: false,
            workers: vec![(Worker::Vacant, 0, false); usize::from(max_workers)],
            slots: vec![Slot::Free; task_slots],
            climbs: BTreeMap::new(),
            procs,
            limits,
            values: natures.keys().cloned().collect(),
            natures,
            next_value: 0,
            outputs: BTreeSet::new(),
            delivered: false,
            faults: random.below(12),
            is_calm: false,
            history: History::new(notes),
            finished: None,
            story: Vec::new(),
            random,
        };
        world.begin(1, Vec::new());
        world
    }

    /// What happened, if it was recorded.
    pub(super) fn story(self) -> Vec<String> {
        self.story
    }

    /// Plays until the run is over. Returns what was wrong, if anything.
    pub(super) fn play(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_AT_MOST {
            let Some(Reverse((at, _, happening))) = self.happenings.pop() else {
                return Err("nothing happens any more".into());
            };
            self.now = self.now.max(at);
            self.tell(|| format!("{happening:?}"));
            self.happen(happening);
            if let Some(status) = self.finished.take()
                && let Some(judged) = self.end(status)
            {
                return judged;
            }
            if let Some(wrong) = self.history.wrongs.first().cloned() {
                self.tell_journal();
                return Err(wrong);
            }
        }
        Err("it does not come to its end".into())
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if !self.aloud && !self.keeps {
            return;
        }
        let line = format!("{:>8.3} {}", self.now.as_secs_f64(), what());
        if self.aloud {
            println!("{line}");
        }
        self.story.push(line);
    }

    fn tell_journal(&mut self) {
        let journal = text(&self.records.bytes());
        self.tell(|| format!("the journal:\n{journal}"));
    }

    fn later(&mut self, within_ms: u64, happening: Happening) {
        let wait = Duration::from_micros(1 + self.random.below(within_ms * 1000));
        self.happened += 1;
        self.happenings.push(Reverse((self.now + wait, self.happened, happening)));
    }

    /// A supervisor takes up the run, after recording what the one before has left behind.
    fn begin(&mut self, generation: u32, cut_off: Vec<Record>) {
        self.generation = generation;
        self.begun += 1;
        let begun = self.begun;
        self.is_calm = self.faults == 0;
        self.limits.policy.halt = self.halt();
        self.engine = Engine::new(self.limits.clone());
        self.now += Duration::from_secs(100);
        let run = Run {
            schema: SCHEMA,
            run: RUN.into(),
            version: "0".into(),
            generation,
            arguments: Vec::new(),
            folder: Bytes(Vec::new()),
            pid: 1,
            within: None,
        };
        cut_off.iter().for_each(|record| self.journal.note(record));
        self.journal.note(&Record::Run(run));
        self.flush();
        if self.begun != begun {
            // It was killed while it wrote that.
            return;
        }
        self.noted.fill(None);
        self.next_value = 0;
        self.later(1, Happening::Reads);
        self.later(1, Happening::Look);
        self.later(100, Happening::Fault);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Look => {
                let again = self.engine.looks_again_at().filter(|at| *at > self.now);
                let wait = again.map_or(LOOK_EVERY, |at| (at - self.now).min(LOOK_EVERY));
                self.happened += 1;
                self.happenings.push(Reverse((self.now + wait, self.happened, Happening::Look)));
            }
            Happening::Reads => self.reads(),
            Happening::Fault => self.fault(),
            Happening::Up(worker, life) => {
                let at = &mut self.workers[usize::from(worker)];
                if at.1 == life && at.0 == Worker::Starting {
                    at.0 = Worker::Idle;
                    self.step(Event::WorkerSettled(worker));
                }
            }
            Happening::Ends(worker, life) => self.ends(worker, life),
            Happening::Climbs(worker, number) => self.climbs(worker, number),
            Happening::Yields(worker, number) => self.yields(worker, number),
            Happening::Dies(worker, life, signal) => {
                let end = match signal {
                    0 => WorkerEnd::Exited(0),
                    signal => WorkerEnd::Signaled(signal),
                };
                self.dies(worker, life, end, None);
            }
            Happening::Shown(seq, value) => {
                self.history.shows(&value);
                self.journal.shown([seq]);
            }
            Happening::Space => self.set_full(false),
            Happening::PressureEnds => self.step(Event::OutputPressure(false)),
        }
        self.settle();
    }

    /// What the loop does in every turn.
    fn settle(&mut self) {
        if self.finished.is_some() {
            return;
        }
        self.flush();
        self.claim();
        let view = self.view();
        self.step(Event::Looked(view));
        self.claim();
        self.flush();
    }

    fn step(&mut self, event: Event) {
        let begun = self.begun;
        let mut effects = Vec::new();
        self.engine.step(event, self.now, &mut effects);
        let mut events = Vec::new();
        for effect in effects {
            self.perform(effect, &mut events);
            if self.begun != begun {
                // The remaining effects of the killed supervisor do not count.
                return;
            }
        }
        for event in events {
            self.step(event);
            if self.begun != begun {
                return;
            }
        }
    }

    fn value_of(&self, seq: u64) -> String {
        self.values[seq as usize - 1].clone()
    }

    fn view(&self) -> View {
        let count = |slot| self.slots.iter().filter(|one| **one == slot).count() as u32;
        let busy = self.workers.iter().filter(|one| matches!(one.0, Worker::Busy(..))).count();
        let parked = self.workers.iter().enumerate().filter(|(_, one)| one.0 == Worker::Idle);
        View {
            idle: (self.procs - busy) as u32,
            running: busy as u32,
            in_flight: count(Slot::Claimed),
            ready: count(Slot::Ready),
            parked: parked.map(|(worker, _)| (worker as WorkerId, 0)).collect(),
            ..View::default()
        }
    }

    /// Idle workers claim ready tasks, as long as there are tokens.
    fn claim(&mut self) {
        loop {
            let busy = self.workers.iter().filter(|one| matches!(one.0, Worker::Busy(..))).count();
            let ready: Vec<usize> =
                (0..self.slots.len()).filter(|at| self.slots[*at] == Slot::Ready).collect();
            let idle = self.workers.iter().position(|one| one.0 == Worker::Idle && !one.2);
            let (Some(worker), true, true) = (idle, busy < self.procs, !ready.is_empty()) else {
                return;
            };
            let slot = ready[self.random.below(ready.len() as u64) as usize];
            let task = self.engine.task(slot as u16).expect("it was published").clone();
            let value = text(&task.value);
            self.slots[slot] = Slot::Claimed;
            let attempt = self.planted.attempt(task.attempt);
            let entry = Entry { seq: task.seq, attempt, finished: false };
            self.noted[slot] = Some(entry);
            self.history.begins(&value, self.generation, attempt);
            self.workers[worker].0 = Worker::Busy(slot as u16, value);
            let life = self.workers[worker].1;
            self.later(40, Happening::Ends(worker as WorkerId, life));
        }
    }

    fn ends(&mut self, worker: WorkerId, life: u32) {
        let (state, lives, _) = self.workers[usize::from(worker)].clone();
        let Worker::Busy(slot, value) = state else { return };
        if lives != life {
            return;
        }
        let verdict = match self.natures[&value] {
            Nature::Hangs => {
                self.stop(worker, Killed::TimedOut);
                return;
            }
            Nature::Killer => {
                self.crash(false);
                return;
            }
            Nature::Bad => Verdict::Exited(3),
            Nature::Poison => Verdict::Signaled(SIGSEGV),
            Nature::Flaky if self.random.once_in(4) => Verdict::Exited(1),
            Nature::Flaky if self.random.once_in(6) => Verdict::Signaled(SIGSEGV),
            Nature::Good | Nature::Flaky if self.faults > 0 && self.random.once_in(25) => {
                // The command alone was killed from outside.
                Verdict::Signaled(SIGKILL)
            }
            Nature::Good | Nature::Flaky | Nature::Leaves => Verdict::Exited(0),
        };
        let left = matches!(self.natures[&value], Nature::Leaves);
        let killed = left.then(|| Killed::LeftRunning("sleep (1)".into()));
        self.reports(worker, slot, value, verdict, killed);
    }

    /// A worker reports the outcome of its attempt.
    fn reports(
        &mut self,
        worker: WorkerId,
        slot: u16,
        value: String,
        verdict: Verdict,
        killed: Option<Killed>,
    ) {
        let stopped = self.was_stopped(worker);
        if stopped.is_some() || killed.is_some() {
            self.history.is_stopped(&value);
        }
        let killed = self.planted.killed(stopped.or(killed));
        let (_, life, leaves) = self.workers[usize::from(worker)].clone();
        self.history.stops(&value);
        self.slots[usize::from(slot)] = Slot::Free;
        if let Some(entry) = &mut self.noted[usize::from(slot)] {
            entry.finished = true;
        }
        self.workers[usize::from(worker)].0 = Worker::Idle;
        if leaves {
            self.later(3, Happening::Dies(worker, life, 0));
        }
        let writes = !self.random.once_in(3);
        let stdout =
            if writes { Stream::Here(value.into_bytes().into()) } else { Stream::nothing() };
        let outcome = OutcomeFrame {
            verdict,
            wall_ns: 1_000_000,
            usage: Usage::default(),
            leaked: false,
            stdout,
            stderr: Stream::nothing(),
        };
        self.step(Event::Collected { slot, outcome, starved: false, killed });
    }

    fn dies(&mut self, worker: WorkerId, life: u32, end: WorkerEnd, killed: Option<Killed>) {
        let (state, lives, _) = self.workers[usize::from(worker)].clone();
        if lives != life || state == Worker::Vacant {
            return;
        }
        let mut claimed = Vec::new();
        if let Worker::Busy(slot, value) = state {
            self.history.stops(&value);
            self.history.is_killed(&value);
            self.slots[usize::from(slot)] = Slot::Free;
            claimed.push(slot);
            self.planted.worker_is_gone(&mut self.engine, slot, end);
        }
        self.workers[usize::from(worker)].0 = Worker::Vacant;
        let killed = killed.or(self.was_stopped(worker));
        self.climbs.remove(&worker);
        let killed = claimed.first().copied().zip(killed);
        self.step(Event::WorkerEnded { worker, end, claimed, starved: false, killed });
    }

    fn reads(&mut self) {
        if !self.engine.wants_input() {
            self.later(10, Happening::Reads);
            return;
        }
        let left = self.values.len() - self.next_value;
        if left == 0 {
            self.step(Event::InputsEnded);
            return;
        }
        let many = 1 + self.random.below(left.min(4) as u64) as usize;
        let group = self.values[self.next_value..self.next_value + many].to_vec();
        self.next_value += many;
        let values: Vec<Vec<u8>> = group.into_iter().map(String::into_bytes).collect();
        self.journal.spool(&values);
        let begun = self.begun;
        self.flush();
        if self.begun != begun {
            return;
        }
        let inputs = values.into_iter().map(|value| {
            let earlier = self.known.as_mut().map(|known| known.earlier(&value));
            let earlier = self.planted.earlier(earlier.unwrap_or_default());
            Input { value, earlier, ..Input::default() }
        });
        let inputs = inputs.collect();
        self.step(Event::Inputs(inputs));
        self.later(20, Happening::Reads);
    }

    /// A supervisor has finished. Returns the judgement, unless the run goes on.
    fn end(&mut self, status: u8) -> Option<Result<(), String>> {
        // Outputs on their way to the terminal arrive.
        self.set_full(false);
        let left: Vec<_> = std::mem::take(&mut self.happenings).into_sorted_vec();
        for Reverse((_, _, happening)) in left {
            if let Happening::Shown(seq, value) = happening {
                self.history.shows(&value);
                self.journal.shown([seq]);
            }
        }
        let complete = self.engine.is_complete() && !self.cut_off;
        self.journal.flush();
        assert!(self.journal.is_whole(), "ends are held back");
        self.journal.finish(status, complete, false);
        self.flush();
        if self.workers.iter().any(|one| one.0 != Worker::Vacant) {
            return Some(Err("a worker is left".into()));
        }
        let stopped = !self.engine.is_complete();
        if stopped {
            if self.is_calm {
                return Some(Err(format!("it gives up with {status}")));
            }
            self.tell(|| format!("stopped with {status}, and resumed"));
            self.resume();
            return None;
        }
        let values = self.values.clone();
        let failures = self.history.settles(&values);
        // A run stopped by --halt exits with that status, even if nothing was left.
        if !self.engine.is_halted() && status != exit::for_failures(failures) {
            let told = &self.engine.tally().failures;
            let told: Vec<String> = told.iter().map(|one| text(&one.value)).collect();
            return Some(Err(format!("status {status}, and {failures} did not succeed: {told:?}")));
        }
        let past = self.past().expect("it was just written");
        if past.finished != Some((status, complete)) {
            return Some(Err(format!("the journal says {:?}", past.finished)));
        }
        self.judge_crashes();
        Some(self.history.wrongs.first().map_or(Ok(()), |wrong| Err(wrong.clone())))
    }
}

/// The content of the journal.
impl World {
    fn past(&self) -> Result<Past, String> {
        Past::of(std::io::Cursor::new(&*self.records.bytes()), RUN)
    }

    /// No task crashes its process more often than allowed, over all generations.
    fn judge_crashes(&mut self) {
        let mut crashes: BTreeMap<String, u32> = BTreeMap::new();
        let all = read(&*self.records.bytes(), &Seed::new(RUN), |_, record| {
            if let Record::Again(Again { value, kind: Some(Kind::Crashed), .. }) = record {
                *crashes.entry(text(&value.0)).or_default() += 1;
            }
        });
        assert!(all.is_ok(), "memory can be read");
        for (value, crashes) in crashes {
            if crashes >= self.limits.policy.crash_limit {
                self.history.wrongs.push(format!("{value} is run again after {crashes} crashes"));
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
