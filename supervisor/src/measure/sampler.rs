//! Reads what the kernel knows of running commands: CPU clocks, control groups, process states.

use std::rc::Rc;
use std::time::{Duration, Instant};

use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree::{self, Kin};

use super::gauges::{Children, Reading};
use super::process_tree::Families;
use crate::os::cgroup::Groups;
use crate::os::cpu_time;

/// Reads about the commands of all workers.
#[derive(Debug)]
pub(super) struct Sampler {
    /// The control groups of all workers and commands, where there are groups.
    groups: Option<Rc<Groups>>,
    /// Commands start others: each command's group is read, where there are groups.
    reads_each_group: bool,
    families: Families,
    /// CPU time used in all groups, and by msup itself.
    in_groups: Total,
    own: Total,
}

impl Sampler {
    pub(super) fn new(groups: Option<Rc<Groups>>) -> Sampler {
        Sampler {
            groups,
            reads_each_group: false,
            families: Families::default(),
            in_groups: Total::default(),
            own: Total(cpu_time::own()),
        }
    }

    /// Finds the processes that each command has started, if it is time.
    pub(super) fn find_processes(
        &mut self,
        commands: &[(WorkerId, i32)],
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
        now: Instant,
    ) {
        // Processes outside the groups must be measured one by one. Then all are measured so.
        self.groups.take_if(|groups| groups.is_partial());
        self.families.look(commands, pid_of, self.groups.as_deref(), now);
        self.reads_each_group |= self.families.any();
    }

    /// From now on each command's group is read, where there are groups.
    pub(super) fn read_each_group(&mut self) {
        self.reads_each_group = true;
    }

    pub(super) fn has_groups(&self) -> bool {
        self.groups.is_some()
    }

    /// Whether commands were seen that have started other processes.
    pub(super) fn sees_children(&self) -> bool {
        self.families.any()
    }

    /// The CPU clocks of a command. `lasts`: its process had other tasks before.
    pub(super) fn read(&mut self, worker: WorkerId, command: i32, lasts: bool) -> Reading {
        let own = cpu_time::of(command);
        let children = match &self.groups {
            Some(groups) if self.reads_each_group => {
                Children::InGroup(groups.cpu_time_of(worker).unwrap_or_default())
            }
            Some(_) => Children::None,
            None => Children::Found(self.families.cpu_time(worker, command, lasts)),
        };
        Reading { own, children }
    }

    /// The living processes of a command just now: a shell or a launcher has others every moment,
    /// and it is one of those that computes. `root`: the worker's process.
    pub(super) fn processes(&self, worker: WorkerId, command: i32, root: Option<i32>) -> Vec<Kin> {
        let members = self.families.now(worker, command, root, self.groups.as_deref());
        let living = members.into_iter().filter_map(process_tree::look_up);
        living.filter(|kin| !kin.exited).collect()
    }

    /// CPU time used in all groups since the last window; `None` where there are no groups.
    pub(super) fn used_in_groups(&mut self) -> Option<Duration> {
        let total = self.groups.as_ref()?.cpu_time()?;
        Some(self.in_groups.advance(total))
    }

    /// CPU time that msup itself has used since the last window.
    pub(super) fn used_by_msup(&mut self) -> Duration {
        self.own.advance(cpu_time::own())
    }
}

/// Whether a process is the child of a worker. The number of a command comes from shared memory: it
/// counts only if the kernel says so.
pub(super) fn is_child(command: i32, worker: Option<i32>) -> bool {
    process_tree::look_up(command).is_some_and(|kin| Some(kin.parent) == worker)
}

/// A total of CPU time up to the last window.
#[derive(Debug, Default)]
struct Total(Duration);

impl Total {
    /// What has been added since the last window. A total that is lower than before adds nothing.
    fn advance(&mut self, total: Duration) -> Duration {
        total.saturating_sub(std::mem::replace(&mut self.0, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded: `usage_usec` of a control group, window by window.
    #[test]
    fn a_total_is_counted_once() {
        let mut total = Total::default();
        let windows = [311_132, 325_206, 325_206, 336_062].map(Duration::from_micros);
        let counted = windows.map(|now| total.advance(now));
        assert_eq!(counted, [311_132, 14_074, 0, 10_856].map(Duration::from_micros));
        // The group was made again.
        assert_eq!(total.advance(Duration::from_micros(500)), Duration::ZERO);
        assert_eq!(total.advance(Duration::from_micros(700)), Duration::from_micros(200));
    }
}
