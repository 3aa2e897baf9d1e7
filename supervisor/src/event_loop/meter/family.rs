//! The processes below a command: a shell's pipeline, what a build starts, what became a daemon.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use msup_protocol::kin;
use msup_protocol::packed::WorkerId;

use crate::os::cpu_time;

/// All processes are looked through at most this often, and for at most one part in so many of a CPU.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const BUDGET: u32 = 200;

/// Clock ticks of `/proc`, in nanoseconds: 100 a second on every architecture that Linux has in use.
const TICK: Duration = Duration::from_millis(10);

/// The processes below a worker's command.
#[derive(Clone, Debug, Default)]
struct Family {
    command: i32,
    /// Each with its CPU time when last seen.
    members: HashMap<i32, Duration>,
    /// CPU time of members that are gone.
    gone: Duration,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Families {
    families: HashMap<WorkerId, Family>,
    due: Option<Instant>,
}

impl Families {
    /// Finds out who belongs where, if it is time.
    pub(super) fn look(
        &mut self,
        commands: &[(WorkerId, i32)],
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
        now: Instant,
    ) {
        if self.due.is_some_and(|due| now < due) {
            return;
        }
        let busy = cpu_time::own_thread();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for kin in kin::everybody().filter(|kin| !kin.ended) {
            children.entry(kin.parent).or_default().push(kin.pid);
        }
        let mut families = HashMap::new();
        for (worker, command) in commands {
            // What lost its parent becomes the worker's child, a subreaper's.
            let Some(root) = pid_of(*worker) else { continue };
            let mut found = below(root, &children);
            // The worker may be one command further by now.
            if !found.contains(command) {
                continue;
            }
            found.retain(|pid| pid != command);
            let known = self.families.remove(worker).filter(|family| family.command == *command);
            if found.is_empty() && known.is_none() {
                continue;
            }
            let mut family = known.unwrap_or_default();
            family.command = *command;
            for pid in found {
                family.members.entry(pid).or_default();
            }
            families.insert(*worker, family);
        }
        self.families = families;
        self.due = Some(now + LOOK_EVERY.max((cpu_time::own_thread() - busy) * BUDGET));
    }

    /// CPU time of a worker's command beyond the command's own process.
    pub(super) fn cpu_time(&mut self, worker: WorkerId, command: i32) -> Duration {
        let family = self.families.get_mut(&worker).filter(|family| family.command == command);
        let Some(family) = family else { return Duration::ZERO };
        let gone = &mut family.gone;
        family.members.retain(|pid, time| match cpu_time::of(*pid) {
            Some(now) => {
                *time = now;
                true
            }
            None => {
                *gone += *time;
                false
            }
        });
        let living: Duration = family.members.values().sum();
        // The command's own account of children it has waited for knows those too that nobody saw.
        let reaped = kin::look_up(family.command).map_or(0, |kin| kin.reaped_ticks);
        living + family.gone.max(TICK * u32::try_from(reaped).unwrap_or(u32::MAX))
    }

    /// Whether any command has started others.
    pub(super) fn any(&self) -> bool {
        !self.families.is_empty()
    }

    /// The processes below a worker's command, as last seen.
    pub(super) fn members(&self, worker: WorkerId) -> impl Iterator<Item = i32> {
        self.families.get(&worker).into_iter().flat_map(|family| family.members.keys().copied())
    }
}

fn below(root: i32, children: &HashMap<i32, Vec<i32>>) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            found.push(*child);
            next.push(*child);
        }
    }
    found
}
