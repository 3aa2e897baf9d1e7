//! The event loop: gathers events, lets the engine decide, carries out its effects. Only here the
//! pure core and the adapters meet.

mod apply;
mod collect;
pub(crate) mod commits;
mod daemons;
mod finish;
mod progress;
mod reading_on;
pub(crate) mod run_log;
mod segment_recovery;
mod stats;
mod status;
mod suspend;
mod watching;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use msup_protocol::audit::Audit;
use msup_protocol::bell::{Bell, Wants};
use msup_protocol::layout::Sizes;
use msup_protocol::segment::{self, Segment};
use rustix::event::{EventfdFlags, eventfd};

use crate::cli::{JobLog, Keeping, Plan};
use crate::engine::{Effect, Engine, Event, Input, Leave, Limits, View, is_kill};
use crate::input::{self, Group};
use crate::journal::State;
use crate::os::cgroup::Groups;
use crate::os::files;
use crate::os::orphans::Orphanage;
use crate::os::poller::Poller;
use crate::os::process::Recipe;
use crate::os::run_folder::RunFolder;
use crate::os::signals::Signals;
use crate::output::files::committer::Committer;
use crate::output::{Output, Style};
use crate::report::bar::Manner;
use crate::report::{escape, trace};
use crate::sysmon;
use crate::template::Job;

use crate::measure::meter::Meter;
use crate::run::commits::{Commits, Places};
use crate::run::run_log::{Books, OfRun, Opened};
use crate::tasks::attempts::Attempts;
use crate::tasks::leftovers::Leftovers;
use crate::tasks::slots::Queue;
use crate::tasks::stopped::Stopped;
use crate::tasks::stopping::Stopping;
use crate::workers::processes::Crew;
use crate::workers::token_lending::Lender;
use progress::Telling;
use reading_on::ReadingOn;
use segment_recovery::Epochs;
use stats::Figures;

/// The loop looks at everything at least this often.
const LOOK_AT_LEAST: Duration = Duration::from_millis(100);

/// A turn of the loop that takes this much longer than it may was no turn: the whole run was
/// stopped or frozen.
const STOOD_STILL: Duration = Duration::from_secs(1);

const SIGKILL: u8 = 9;

/// With this number of outcomes since it last slept the loop is woken for batches only, or after
/// `BATCH_WITHIN`.
const BATCH: usize = 32;
const BATCH_WITHIN: Duration = Duration::from_millis(1);

/// The size of a task slot in bytes, and the number of slots: enough to keep all workers busy while
/// the supervisor sleeps, within 8 MiB unless more workers are asked for.
const CELL_BYTES: u32 = 4096;
const TASK_SLOTS: std::ops::RangeInclusive<u32> = 256..=2000;

/// The number of commands that may lie ready beyond those that run. Each is journaled before, and
/// again after a crash of msup.
const COMMANDS_AHEAD: u32 = 64;

/// Token words beyond `--procs`, for lending.
const LENDABLE: u32 = 4;

/// Keys of the poller; a worker's key is the number of its slot.
const KEY_BELL: u64 = 1 << 32;
const KEY_SIGNAL: u64 = 2 << 32;

/// How msup exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(u8),
    /// By the signal that stopped the run.
    Signal(u8),
}

/// Runs a plan until it finishes.
///
/// # Errors
/// One line that says why the run could not start or go on.
pub(crate) fn run(plan: Plan) -> Result<Exit, String> {
    let mut run = Run::start(plan)?;
    run.turn_until_finished().map_err(|why| format!("the event loop: {why}"))?;
    Ok(run.finish())
}

/// What the closing report needs to know.
#[derive(Debug)]
struct Closing {
    quiet: bool,
    /// The output shown is the only result of the run.
    shows_only: bool,
    stats: bool,
    /// The folder in which msup was started.
    here: PathBuf,
    /// COMMAND as typed.
    command: Option<Vec<u8>>,
    /// The last lines on standard error of the tasks that are named, and of the task whose output
    /// was handed over last.
    last_lines: BTreeMap<u64, Vec<u8>>,
    last_line: Option<Vec<u8>>,
    /// Tasks that have finished, but whose output has not been shown yet.
    unshown: HashMap<u64, State>,
}

struct Run {
    engine: Engine,
    queue: Queue,
    books: Books,
    /// For tasks that make files.
    commits: Option<Commits>,
    /// Of the output that was handed over last: whether it is to be shown, and its number of bytes.
    delivered: (bool, u64),
    /// Tasks that are known before any input is read.
    first: Vec<Input>,
    /// The number of values missing before the next one that is read.
    missing: u64,
    crew: Crew,
    figures: Figures,
    lender: Lender,
    /// For commands whose number follows their resource use.
    meter: Option<Meter>,
    attempts: Attempts,
    stopping: Stopping,
    leftovers: Leftovers,
    stopped: Stopped,
    oom: crate::measure::oom_kills::Watch,
    audit: Audit,
    epochs: Epochs,
    segment: Arc<Segment>,
    doorbell: OwnedFd,
    poller: Poller,
    signals: Signals,
    input: Receiver<Group>,
    reading_on: ReadingOn,
    output: Output,
    sysmon: sysmon::Handle,
    progress: Telling,
    longest_first: Option<JobLog>,
    /// The time limit of tasks.
    timeout: Option<Duration>,
    /// When the loop last began a turn, and for how long the run has stood still in all.
    last_turn: Instant,
    stood_still: Duration,
    leave: Leave,
    schedtrace: Option<(Duration, Duration)>,
    summary_file: Option<PathBuf>,
    closing: Closing,
    began: Instant,
    under_pressure: bool,
    output_failed: bool,
    /// The number of outcomes since the loop last slept.
    outcomes: usize,
    finished: bool,
    /// Last, so that it is removed after everything that writes to it.
    _folder: RunFolder,
}

impl Run {
    fn start(plan: Plan) -> Result<Run, String> {
        let Plan { run_id, concurrency, work, values, outputs, failures, logs, reports } = plan;
        let line = |what: &'static str| move |why: io::Error| format!("{what}: {why}");
        segment::sweep();
        let began = Instant::now();
        if let Some(path) = &reports.summary {
            let checked = files::check_replaceable(path);
            checked.map_err(|why| format!("--summary {}: {why}", path.display()))?;
        }
        let folder = RunFolder::create().map_err(|why| why.to_string())?;
        let max_workers = u32::from(concurrency.max_workers);
        let sizes = Sizes {
            tokens: concurrency.procs + LENDABLE,
            workers: max_workers,
            tasks: (2 * max_workers)
                .clamp(*TASK_SLOTS.start(), *TASK_SLOTS.end().max(&max_workers)),
            cell_bytes: CELL_BYTES,
        };
        let own = folder.path().to_owned();
        let leaves = failures.leave == Leave::Alone;
        let mut epochs = Epochs::new(sizes, concurrency.procs, concurrency.nofile, own, leaves);
        let sizes = epochs.sizes();
        let epoch = epochs.begin()?;
        let segment = epoch.segment;
        let doorbell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
        let doorbell = doorbell.map_err(io::Error::from).map_err(line("eventfd"))?;
        let private = || doorbell.try_clone().map_err(line("eventfd"));
        let orphanage = Orphanage::open().map_err(|errno| format!("subreaper: {errno}"))?;
        let signals = Signals::install().map_err(line("signals"))?;
        let poller = Poller::new().map_err(line("epoll"))?;
        poller.watch(&doorbell, KEY_BELL).map_err(line("epoll"))?;
        for pipe in signals.pipes() {
            poller.watch(pipe, KEY_SIGNAL).map_err(line("epoll"))?;
        }
        let worker_program = work.worker_program.display().to_string();
        let mut recipe = Recipe {
            program: work.worker_program,
            arguments: work.worker_arguments,
            segment: epoch.fd,
            doorbell: doorbell.try_clone().map_err(line("eventfd"))?,
            folder: epoch.folder.clone(),
            run_id: run_id.clone(),
            in_flight: None,
        };
        // For workers to inherit, as the segment is.
        rustix::io::fcntl_setfd(&recipe.doorbell, rustix::io::FdFlags::empty())
            .map_err(|errno| format!("descriptors for workers: {errno}"))?;
        let is_task_loop = matches!(work.job, Job::Values);
        // Without control groups commands are measured and stopped process by process. With
        // `--leave alone` there are none: processes to be left alone would be killed with their
        // group.
        let has_groups = !is_task_loop && failures.leave != Leave::Alone;
        let groups = if has_groups { Groups::create().ok() } else { None };
        let groups = groups.map(Rc::new);
        let queue = Queue::new(
            Arc::clone(&segment),
            epoch.folder,
            work.job,
            outputs.files.clone(),
            work.memory_per_task.unwrap_or(0),
        );
        // Before anything is started: the descriptors that processes inherit show that something of
        // this run is alive.
        let describe = |value: &[u8], seq| queue.describe(value, seq);
        let continues = matches!(logs.keeping, Keeping::Continued { .. });
        let (joblog, keeps_all) = (logs.joblog.as_deref(), logs.keeps_all_output);
        let run = OfRun { id: &run_id, slots: sizes.tasks, keeps_all };
        let Opened { mut books, words, inputs, in_flight } =
            Books::open(logs.keeping, &run, joblog, describe, private()?)?;
        recipe.in_flight = in_flight;
        let journal = books.journal_file().map_err(line("the journal"))?;
        let committer = |out| -> Result<Commits, String> {
            let committer = Committer::start(outputs.durable, journal, private()?)?;
            Ok(Commits::new(
                out,
                Places::new(run_id.clone(), continues, outputs.durable),
                committer,
            ))
        };
        let commits = outputs.files.map(committer).transpose()?;
        let style = Style {
            keep_order: outputs.keep_order,
            folder: folder.path().to_owned(),
            bar: reports.progress == Manner::Bar,
            keeper: books.take_keeper(),
        };
        let limits = Limits {
            worker_program,
            procs: concurrency.procs,
            max_workers: concurrency.max_workers,
            // More slots than ready commands: then a slot left by a long task is not the next one
            // that workers look at, so commands start in the order of their input.
            task_slots: sizes.tasks as usize,
            most_published: match is_task_loop {
                true => sizes.tasks,
                false => max_workers + COMMANDS_AHEAD,
            } as usize,
            idle_timeout: concurrency.idle_timeout,
            at_cap: concurrency.at_cap,
            admits: concurrency.admits,
            longest_first: values.longest_first.is_some(),
            memory: concurrency.memory,
            policy: failures.policy,
            seed: msup_protocol::sync::now_ns(),
        };
        let mut run = Run {
            engine: Engine::new(limits),
            queue,
            books,
            commits,
            delivered: (false, 0),
            first: inputs,
            missing: 0,
            meter: concurrency.admits.then(|| {
                let watches_memory = concurrency.memory.is_some();
                Meter::new(
                    concurrency.procs,
                    concurrency.max_workers,
                    watches_memory,
                    groups.clone(),
                )
            }),
            crew: Crew::new(
                Arc::clone(&segment),
                recipe,
                orphanage,
                groups,
                !is_task_loop,
                concurrency.max_workers,
            ),
            lender: Lender::new(concurrency.procs, LENDABLE),
            figures: Figures::new(run_id, concurrency.procs, max_workers),
            reading_on: ReadingOn::new(values.source.is_all_there()),
            input: input::start(values.source, values.format, private()?)?,
            output: Output::start(style, private()?)?,
            sysmon: sysmon::start(&segment, private()?, Arc::default())?,
            attempts: Attempts::new(concurrency.max_workers),
            stopping: Stopping::new(failures.stop_steps, !is_task_loop),
            leftovers: Leftovers::new(failures.leave),
            stopped: Stopped::default(),
            oom: crate::measure::oom_kills::Watch::new(),
            audit: Audit::new(&segment.shared()),
            epochs,
            segment,
            doorbell,
            poller,
            signals,
            progress: Telling::new(reports.progress),
            longest_first: values.longest_first,
            timeout: None,
            last_turn: began,
            stood_still: Duration::ZERO,
            leave: failures.leave,
            schedtrace: reports.schedtrace.map(|every| (every, every)),
            summary_file: reports.summary,
            closing: Closing {
                quiet: reports.quiet,
                shows_only: reports.shows_only,
                stats: reports.stats,
                here: reports.here,
                command: reports.command,
                last_lines: BTreeMap::new(),
                last_line: None,
                unshown: HashMap::new(),
            },
            began,
            under_pressure: false,
            output_failed: false,
            outcomes: 0,
            finished: false,
            _folder: folder,
        };
        run.books.keep();
        words.iter().chain(&concurrency.lowered).for_each(|text| run.say(text));
        Ok(run)
    }

    fn turn_until_finished(&mut self) -> io::Result<()> {
        let (mut events, mut effects) = (Vec::new(), Vec::new());
        while !self.finished || self.reads_on() {
            // Between two events the words in the segment and the engine's table must agree.
            if events.is_empty()
                && let Err(violation) = self.audit()
            {
                self.begin_anew(&violation, &mut effects);
                self.perform(&mut effects, &mut events);
            }
            self.note_standstill();
            self.gather(&mut events);
            for event in events.drain(..) {
                self.engine.step(event, self.began.elapsed(), &mut effects);
            }
            self.take_input(&mut effects);
            self.perform(&mut effects, &mut events);
            self.measure(&mut effects);
            self.watch_attempts();
            let view = self.look();
            self.engine.step(Event::Looked(view), self.began.elapsed(), &mut effects);
            self.perform(&mut effects, &mut events);
            self.tell();
            self.books.flush();
            self.books.words().iter().for_each(|text| self.say(text));
            if let Some(commits) = self.commits.as_mut().filter(|_| self.books.is_sound()) {
                commits.carry_out();
            }
            let is_idle =
                events.is_empty() && !self.reading_on.has_more && self.queue.violation.is_none();
            if is_idle && (!self.finished || self.reads_on()) {
                self.sleep()?;
            }
        }
        Ok(())
    }

    fn look(&mut self) -> View {
        self.sysmon.findings.wants_worker.store(false, Ordering::SeqCst);
        self.lend();
        let shared = self.segment.shared();
        // In this order: a task claimed after the first read is seen as held in the second.
        let (ready, in_flight) = shared.tasks.load();
        let census = shared.tokens.census();
        self.figures.look(census, in_flight);
        let parked = shared.line.parked().map(|worker| {
            let slot = shared.line.slot(worker);
            (worker, slot.map_or(0, |slot| slot.counters.tasks.load(Ordering::Relaxed)))
        });
        View {
            idle: census.idle,
            owed: self.meter.as_ref().map_or(0, |meter| meter.owed),
            running: census.running,
            granted: census.granted,
            foreign: census.foreign,
            in_flight,
            blocked: census.blocked,
            ready,
            waiting: shared.line.waiting(),
            parked: parked.collect(),
        }
    }

    /// Reports finished commands to the meter, and finds out why killed ones were killed.
    fn account(&mut self, events: &mut [Event]) {
        for event in events {
            let Event::Collected { outcome, starved, .. } = event else { continue };
            // Under `Wait` these processes are reported when the run is over.
            outcome.leaked &= !matches!(self.leave, Leave::Wait(_));
            if let Some(meter) = &mut self.meter {
                meter.ended(&outcome.usage);
            }
            if is_kill(&outcome.verdict) {
                *starved = self.oom.explains_a_kill();
            }
        }
    }

    /// Closes the meter's window, if it is time.
    fn measure(&mut self, effects: &mut Vec<Effect>) {
        let Some(meter) = &mut self.meter else { return };
        let crew = &self.crew;
        let had_more = self.engine.has_more() || self.segment.shared().tasks.any_ready();
        let is_ramping = self.engine.is_ramping();
        let window = meter.look(&self.segment, |worker| crew.pid(worker), had_more, is_ramping);
        if let Some(window) = window {
            self.engine.step(Event::Measured(window), self.began.elapsed(), effects);
        }
    }

    /// Puts as many tokens into use as there are to be.
    fn lend(&mut self) {
        let tokens = self.segment.shared().tokens;
        let (crew, now) = (&self.crew, self.began.elapsed());
        let procs = self.lender.look(now, tokens.sight(), |worker| crew.is_stuck(worker));
        if procs != tokens.procs() {
            tokens.set_procs(procs);
        }
        if tokens.settle() {
            self.queue.announce();
        }
    }

    fn sleep(&mut self) -> io::Result<()> {
        let now = self.began.elapsed();
        let until = |at: Duration| at.saturating_sub(now);
        // A line that has just become due is printed at once. What the engine wanted to look at in
        // the past it has looked at.
        let trace = self.schedtrace.map(|(_, next)| until(next));
        let engine = self.engine.looks_again_at().map(until).filter(|nap| !nap.is_zero());
        let meter =
            self.meter.as_ref().map(|meter| meter.due().saturating_duration_since(Instant::now()));
        let stopping = self.stopping.due().map(|at| at.saturating_sub(self.active()));
        let nap = [trace, engine, meter, stopping]
            .into_iter()
            .flatten()
            .fold(LOOK_AT_LEAST, Duration::min);
        let shared = self.segment.shared();
        let bell = Bell::new(shared.header.armed(), self.doorbell.as_fd());
        let (wants, nap) = if self.outcomes >= BATCH {
            // Outcomes come in so fast that it is enough to be woken for batches, and to look now
            // and then.
            (Wants::Batches, nap.min(BATCH_WITHIN))
        } else {
            (Wants::Each, nap)
        };
        bell.arm(wants);
        // Look once more, now that workers can see that it is about to sleep.
        let news = shared.done.any() || self.sysmon.findings.wants_worker.load(Ordering::SeqCst);
        let timeout = if news { Duration::ZERO } else { nap };
        self.outcomes = if news { self.outcomes } else { 0 };
        let keys = self.poller.wait(timeout)?;
        bell.disarm();
        self.crew.note(keys.into_iter().filter(|key| *key < KEY_BELL).map(|key| key as u16));
        self.crew.escalate();
        Ok(())
    }

    /// Progress and the trace line.
    fn tell(&mut self) {
        self.tell_progress();
        let now = self.began.elapsed();
        if let Some(notice) = self.queue.notice.take() {
            self.say(&notice);
        }
        if let Some((every, next)) = self.schedtrace
            && now >= next
        {
            // While output is not read, no more lines are kept either.
            if !self.under_pressure {
                self.output.say(format!("{}\n", self.trace_line(now)));
            }
            self.schedtrace = Some((every, trace::next_due(next, every, now)));
        }
    }

    fn trace_line(&self, at: Duration) -> trace::Line {
        let shared = self.segment.shared();
        let (ready, in_flight) = shared.tasks.load();
        trace::Line {
            at,
            tokens: shared.tokens.census(),
            workers: self.engine.workers_alive(),
            parked: shared.line.parked_count(),
            waiting: shared.line.waiting(),
            ready,
            in_flight,
            retakes: self.sysmon.findings.retakes.load(Ordering::Relaxed),
            steals: self.crew.counted().steals,
            rescues: self.sysmon.findings.rescues.load(Ordering::Relaxed),
            lost: self.engine.tally().lost_workers,
            measured: self.meter.as_ref().zip(self.engine.target()).map(|(meter, target)| {
                let Meter { cpus, owed, debt, .. } = *meter;
                trace::Measured { used: cpus, owed, debt, target }
            }),
        }
    }

    fn say(&self, text: &str) {
        self.output.say(format!("msup: {}\n", escape::message(text)));
    }
}
