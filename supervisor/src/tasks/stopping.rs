//! Stops attempts: those over their time limit, those that left processes running, and all when the
//! run is stopped.

use std::time::Duration;

use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree::{self, Kin};
use nix::sys::signal::Signal;

use super::attempts::Sight;
use crate::engine::{Act, Event, Killed, Ladder, Step, is_answer};
use crate::os::tree;

/// The number of processes that a message names; the others are counted.
const NAMED: usize = 3;

/// The attempts that are being stopped, and how.
pub(crate) struct Stopping {
    steps: Vec<Step>,
    /// Workers run commands: the workers are not part of the process tree that is stopped, and
    /// report the outcome.
    spares_workers: bool,
    climbs: Vec<Climb>,
    /// Nothing gets more time.
    hurried: bool,
}

/// One attempt that is being stopped.
struct Climb {
    worker: WorkerId,
    attempt: Sight,
    why: Killed,
    ladder: Ladder,
    /// Processes that have got a signal.
    signalled: Vec<Kin>,
    /// Its worker has reported its outcome, and may run another one.
    reported: bool,
}

/// Where an attempt runs: its worker's process, and the number of its command, a hint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) worker: i32,
    pub(crate) command: i32,
}

impl Stopping {
    pub(crate) fn new(steps: Vec<Step>, spares_workers: bool) -> Stopping {
        Stopping { steps, spares_workers, climbs: Vec::new(), hurried: false }
    }

    /// When to go on.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.climbs.iter().map(|climb| climb.ladder.due()).min()
    }

    /// The ladder for processes that belong to no attempt.
    pub(crate) fn ladder(&self, now: Duration) -> Ladder {
        let mut ladder = Ladder::new(&self.steps, now);
        if self.hurried {
            ladder.hurry(now);
        }
        ladder
    }

    /// Stops an attempt, unless it is being stopped already.
    pub(crate) fn stop(&mut self, worker: WorkerId, attempt: Sight, why: Killed, now: Duration) {
        let is_it = |climb: &Climb| climb.worker == worker && climb.attempt == attempt;
        if !self.climbs.iter().any(is_it) {
            let ladder = self.ladder(now);
            let (signalled, reported) = (Vec::new(), false);
            self.climbs.push(Climb { worker, attempt, why, ladder, signalled, reported });
        }
    }

    /// From now on nothing that is being stopped gets more time.
    pub(crate) fn hurry(&mut self, now: Duration) {
        self.hurried = true;
        self.climbs.iter_mut().for_each(|climb| climb.ladder.hurry(now));
    }

    /// Takes the steps that are due. `is_current`: whether a worker still has this attempt. Returns
    /// the workers that are to be killed.
    pub(crate) fn go_on(
        &mut self,
        now: Duration,
        place_of: impl Fn(WorkerId) -> Option<Place>,
        is_current: impl Fn(Sight) -> bool,
    ) -> Vec<WorkerId> {
        let mut killed = Vec::new();
        let spares_workers = self.spares_workers;
        self.climbs.retain_mut(|climb| {
            if now < climb.ladder.due() && !climb.reported {
                return true;
            }
            let place = place_of(climb.worker);
            let targets = climb.targets(place, spares_workers);
            // To find them takes a while. If the attempt has finished meanwhile, they may be those
            // of the next one, in the same process. The outcome comes in a moment.
            if !climb.reported && !is_current(climb.attempt) {
                return true;
            }
            if !spares_workers && !climb.reported && targets.is_empty() {
                // The attempt is the worker.
                killed.push(climb.worker);
                return true;
            }
            match climb.ladder.decide(now, !targets.is_empty(), climb.reported) {
                Act::Nothing => {}
                Act::Send(signal) => climb.send(targets, place, signal),
                Act::KillWorker => killed.push(climb.worker),
                Act::Done => return false,
            }
            true
        });
        killed
    }

    /// Notes in the events of stopped attempts why they were stopped.
    pub(crate) fn mark(&mut self, events: &mut [Event]) {
        for event in events {
            let Event::Collected { slot, outcome, killed, .. } = event else { continue };
            let Some(at) = self.climbs.iter().position(|climb| climb.is_of(*slot)) else {
                continue;
            };
            let climb = &mut self.climbs[at];
            climb.reported = true;
            *killed = climb.ladder.has_begun().then(|| climb.why.clone());
            if self.spares_workers && is_answer(&outcome.verdict) {
                // A program that keeps running has given the task up, and goes on with another one.
                self.climbs.swap_remove(at);
            }
        }
    }

    /// A worker is dead. Returns the slot of its attempt that was being stopped, and why.
    pub(crate) fn lost(&mut self, dead: WorkerId) -> Option<(u16, Killed)> {
        let is_its = |climb: &Climb| climb.worker == dead && !climb.reported;
        let at = self.climbs.iter().position(is_its)?;
        let climb = self.climbs.swap_remove(at);
        Some((climb.attempt.slot, climb.why))
    }

    /// All workers are gone, and everything below them.
    pub(crate) fn forget(&mut self) {
        self.climbs.clear();
    }
}

impl Climb {
    fn is_of(&self, slot: u16) -> bool {
        self.attempt.slot == slot && !self.reported
    }

    /// The living processes of the attempt.
    fn targets(&self, place: Option<Place>, spares_workers: bool) -> Vec<Kin> {
        // The worker may have gone on to another attempt: from now on only processes that have got
        // a signal count.
        let Some(place) = place.filter(|_| !self.reported) else { return self.survivors() };
        let below = process_tree::descendants_of(place.worker);
        let mut targets = match self.why {
            Killed::LeftRunning(_) | Killed::Leftovers => {
                below.into_iter().filter(|kin| kin.session == place.command).collect()
            }
            _ if spares_workers => of_command(below, place),
            _ => below,
        };
        targets.retain(|kin| !kin.exited);
        targets
    }

    fn survivors(&self) -> Vec<Kin> {
        let same = |old: &Kin| process_tree::look_up(old.pid).filter(|now| now.start == old.start);
        self.signalled.iter().filter_map(same).filter(|now| !now.exited).collect()
    }

    fn send(&mut self, targets: Vec<Kin>, place: Option<Place>, signal: i32) {
        if let Killed::LeftRunning(names) = &mut self.why
            && names.is_empty()
        {
            *names = named(&targets);
        }
        send(&targets, place.map(|place| place.worker), signal);
        self.signalled = targets;
    }
}

/// Sends a signal, then SIGCONT, so that stopped processes can act on it. `worker` leads a group
/// that is spared.
pub(crate) fn send(targets: &[Kin], worker: Option<i32>, signal: i32) {
    let own = nix::unistd::getpgrp().as_raw();
    let spared = [own, worker.unwrap_or(own)];
    // Validated when the command line was read.
    let Ok(signal) = Signal::try_from(signal) else { return };
    tree::signal(targets, &spared, signal);
    tree::signal(targets, &spared, Signal::SIGCONT);
}

/// The processes of a worker's command: all below the worker, except those that were there before
/// the command: daemons of earlier commands. When the command has exited: what it left in its
/// session.
fn of_command(below: Vec<Kin>, place: Place) -> Vec<Kin> {
    // The number comes from shared memory: it counts only for a child of that worker.
    let is_command = |kin: &&Kin| (kin.pid, kin.parent) == (place.command, place.worker);
    let Some(command) = below.iter().find(is_command).copied() else {
        return below.into_iter().filter(|kin| kin.session == place.command).collect();
    };
    let is_older = |kin: &Kin| kin.start < command.start && kin.parent == place.worker;
    // Daemons that were there before: the processes below them, and orphans in one of their
    // sessions.
    let (mut pids, mut sessions) = (Vec::new(), Vec::new());
    // Parents come before their children.
    for kin in &below {
        if is_older(kin) || pids.contains(&kin.parent) {
            pids.push(kin.pid);
            sessions.push(kin.session);
        }
    }
    let is_spared = |kin: &Kin| pids.contains(&kin.pid) || sessions.contains(&kin.session);
    below.into_iter().filter(|kin| !is_spared(kin)).collect()
}

/// The names and numbers of a few processes, and how many more there are.
pub(crate) fn named(processes: &[Kin]) -> String {
    let name = |kin: &Kin| format!("{} ({})", process_tree::name_of(kin.pid), kin.pid);
    let mut names: Vec<String> = processes.iter().take(NAMED).map(name).collect();
    if processes.len() > NAMED {
        names.push(format!("{} more", processes.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_of_earlier_commands_are_spared() {
        let init = process_tree::look_up(1).expect("init");
        let kin = |pid, parent, start, session| Kin { pid, parent, start, session, ..init };
        let mut below = vec![kin(5, 2, 10, 5), kin(6, 2, 20, 6), kin(7, 5, 30, 5)];
        // The last has lost its parent in the session of the daemon.
        below.extend([kin(8, 6, 30, 6), kin(9, 2, 40, 4), kin(10, 2, 40, 5)]);
        let spared = |command| {
            let place = Place { worker: 2, command };
            of_command(below.clone(), place).iter().map(|kin| kin.pid).collect::<Vec<_>>()
        };
        assert_eq!(spared(6), [6, 8, 9]);
        assert_eq!(spared(7), [0; 0], "no child of the worker");
        assert_eq!(spared(4), [9], "the command has exited");
    }
}
