//! The process tree below a command: a shell's pipeline, what a build starts, what became a daemon.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree;

use crate::os::cgroup::Groups;
use crate::os::cpu_time;

/// All processes are listed at most this often, and for at most one part in `BUDGET` of a CPU.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const BUDGET: u32 = 300;

/// Finding the processes of one command takes up to 100 µs. This number of commands is looked at in
/// turn, so that the event loop does not stand still for longer than a moment.
const AT_ONCE: usize = 512;

/// Clock ticks of `/proc`: 100 a second on every architecture in use with Linux.
const TICK: Duration = Duration::from_millis(10);

/// The processes below a worker's command.
#[derive(Clone, Debug, Default)]
struct Family {
    command: i32,
    /// Each with its CPU time when last seen.
    members: HashMap<i32, Duration>,
    /// CPU time of members that have exited.
    gone: Duration,
}

/// The processes below all commands.
#[derive(Debug)]
pub(crate) struct Families {
    families: HashMap<WorkerId, Family>,
    due: Option<Instant>,
    /// The command at which the next look begins, if that looks at some of them only.
    next: usize,
    /// Whether the kernel lists the children of a process. If not, all processes are searched.
    listed: bool,
}

impl Default for Families {
    fn default() -> Families {
        let (families, listed) = (HashMap::new(), process_tree::lists_children());
        Families { families, due: None, next: 0, listed }
    }
}

impl Families {
    /// Finds the processes of each command, if it is time; of some in turn, if there are many.
    /// `commands` ascend by worker.
    pub(crate) fn look(
        &mut self,
        commands: &[(WorkerId, i32)],
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
        groups: Option<&Groups>,
        now: Instant,
    ) {
        if self.due.is_some_and(|due| now < due) {
            return;
        }
        let busy = cpu_time::own_thread();
        let all = (groups.is_none() && !self.listed).then(children_of_all);
        self.families.retain(|worker, family| {
            let at = commands.binary_search_by_key(worker, |(worker, _)| *worker);
            at.is_ok_and(|at| commands[at].1 == family.command)
        });
        let at_once = if all.is_some() { commands.len() } else { AT_ONCE };
        for (worker, command) in self.turn(commands, at_once) {
            // A process that loses its parent becomes the worker's child: the worker is a
            // subreaper.
            let Some(root) = pid_of(*worker) else { continue };
            let mut found = match (groups, &all) {
                (Some(groups), _) => groups.members(*worker),
                (None, Some(children)) => {
                    below(root, |parent| children.get(&parent).cloned().unwrap_or_default())
                }
                (None, None) => below(root, listed_children),
            };
            // The worker may be one command further by now; but not if the command was seen before
            // and has exited: then the worker waits for what it left running.
            let is_known = self.families.contains_key(worker);
            if !found.contains(command) && !is_known {
                continue;
            }
            found.retain(|pid| pid != command && *pid != root);
            if found.is_empty() && !is_known {
                continue;
            }
            let family = self.families.entry(*worker).or_default();
            family.command = *command;
            for pid in found {
                family.members.entry(pid).or_default();
            }
        }
        self.due = Some(now + LOOK_EVERY.max((cpu_time::own_thread() - busy) * BUDGET));
    }

    /// The next commands to look at: at most this number, all in turn.
    fn turn<'a>(
        &mut self,
        commands: &'a [(WorkerId, i32)],
        at_most: usize,
    ) -> impl Iterator<Item = &'a (WorkerId, i32)> + use<'a> {
        let first = if self.next < commands.len() { self.next } else { 0 };
        let (before, after) = commands.split_at(first);
        self.next = first + at_most.min(commands.len());
        after.iter().chain(before).take(at_most)
    }

    /// CPU time of a worker's command beyond the command's own process. `lasts`: it may have had
    /// children before it was looked at.
    pub(crate) fn cpu_time(&mut self, worker: WorkerId, command: i32, lasts: bool) -> Duration {
        let family = self.families.get_mut(&worker).filter(|family| family.command == command);
        let Some(family) = family else {
            return if lasts { reaped_by(command) } else { Duration::ZERO };
        };
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
        // The kernel's account of children that the command has waited for includes those that were
        // never seen here.
        living + family.gone.max(reaped_by(command))
    }

    /// Whether any command has started other processes.
    pub(crate) fn any(&self) -> bool {
        !self.families.is_empty()
    }

    /// The processes of a worker's command just now, its own included. `root`: the worker's
    /// process. Where the kernel lists neither groups nor children, those that were last found.
    pub(crate) fn now(
        &self,
        worker: WorkerId,
        command: i32,
        root: Option<i32>,
        groups: Option<&Groups>,
    ) -> Vec<i32> {
        let mut found = match (groups, root) {
            (Some(groups), _) => groups.members(worker),
            (None, Some(root)) if self.listed => below(root, listed_children),
            (None, _) => {
                let family = self.families.get(&worker).into_iter();
                family.flat_map(|family| family.members.keys().copied()).collect()
            }
        };
        found.retain(|pid| *pid != command && Some(*pid) != root);
        found.push(command);
        found
    }
}

/// CPU time of the children that a process has waited for, by the kernel's account.
fn reaped_by(pid: i32) -> Duration {
    let ticks = process_tree::look_up(pid).map_or(0, |kin| kin.reaped_ticks);
    TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

fn below(root: i32, children_of: impl Fn(i32) -> Vec<i32>) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        let children = children_of(parent);
        found.extend(&children);
        next.extend(children);
    }
    found
}

fn listed_children(parent: i32) -> Vec<i32> {
    let children = process_tree::children_of(parent).into_iter();
    children.filter(|kin| !kin.exited).map(|kin| kin.pid).collect()
}

fn children_of_all() -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for kin in process_tree::all_processes().filter(|kin| !kin.exited) {
        children.entry(kin.parent).or_default().push(kin.pid);
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_commands_are_looked_at_in_turn() {
        let commands: Vec<(WorkerId, i32)> = (0..1200).map(|n| (n, i32::from(n))).collect();
        let mut families = Families::default();
        let mut turn = |commands: &[_]| {
            let turn: Vec<_> = families.turn(commands, 500).copied().collect();
            (turn[0].0, turn.len())
        };
        assert_eq!(
            [(); 4].map(|()| turn(&commands)),
            [(0, 500), (500, 500), (1000, 500), (0, 500)]
        );
        assert_eq!(turn(&commands[..300]), (0, 300), "the others have exited");
        assert_eq!(turn(&commands[..300]), (0, 300));
        assert_eq!(families.turn(&[], 500).count(), 0);
    }

    #[test]
    fn both_ways_find_the_same_family() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & sleep 60 & wait"])
            .spawn()
            .expect("sh");
        let root = child.id() as i32;
        let among_all = || {
            let children = children_of_all();
            below(root, |parent| children.get(&parent).cloned().unwrap_or_default())
        };
        let began = Instant::now();
        while among_all().len() < 2 && began.elapsed() < Duration::from_secs(10) {}
        let (mut one, mut other) = (among_all(), below(root, listed_children));
        one.sort_unstable();
        other.sort_unstable();
        for pid in &one {
            let pid = nix::unistd::Pid::from_raw(*pid);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("ours");
        }
        child.wait().expect("ours");
        assert_eq!((one.len(), &one), (2, &other));
    }
}
