//! What runs at the moment, for a user who asks with SIGUSR1: since when, and what it waits for.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use msup_protocol::process_tree::{self, Kin};
use msup_protocol::task::State;

use super::Run;
use crate::os::clock;
use crate::report::escape;
use crate::tasks::attempts::Sight;

/// No more tasks are listed than this.
const TOLD: usize = 50;

impl Run {
    /// Prints a line for each running task, the longest-running one first.
    pub(super) fn tell_running(&self) {
        let shared = self.segments.shared();
        let mut running = Vec::new();
        for slot in 0..shared.tasks.len() as u16 {
            let seen = shared.tasks.sighted(slot);
            let Some(seen) = seen.filter(|seen| seen.state() == Some(State::Claimed)) else {
                continue;
            };
            let (Some(worker), Some(task)) = (seen.owner(), self.engine.task(slot)) else {
                continue;
            };
            // For a command its own process, if the kernel says that it is that worker's child.
            let own = self.crew.pid(worker);
            let command = shared.line.slot(worker).map_or(0, |slot| slot.command().cast_signed());
            let command = process_tree::look_up(command).filter(|kin| Some(kin.parent) == own);
            let Some(kin) = command.or_else(|| own.and_then(process_tree::look_up)) else {
                continue;
            };
            let what = escape::value(&task.value);
            // The process may have had other tasks before.
            let attempt = Sight { slot, seen };
            let age = self.watch.age_of(worker, attempt, self.clock.active());
            let since = clock::since_start(&kin).map_or(age, |since| since.min(age));
            running.push((since, task.seq, kin, what));
        }
        running.sort_by_key(|one| std::cmp::Reverse(one.0));
        let tally = self.engine.tally();
        let mut text = format!(
            "msup: {} running, {} finished ({} succeeded)\n",
            plural(running.len()),
            tally.finished(),
            tally.succeeded
        );
        for (since, seq, kin, what) in running.iter().take(TOLD) {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "  task {seq}, process {}, {}: {}: {what}",
                kin.pid,
                seconds(*since),
                does(kin)
            );
        }
        if running.len() > TOLD {
            let _ = writeln!(text, "  and {} more", running.len() - TOLD);
        }
        self.shown.output.say(text);
    }
}

fn plural(tasks: usize) -> String {
    format!("{tasks} task{}", if tasks == 1 { "" } else { "s" })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What a process does, as far as the kernel reveals it.
fn does(kin: &Kin) -> String {
    let place = fs::read_to_string(format!("/proc/{}/wchan", kin.pid)).unwrap_or_default();
    let place = match place.trim() {
        "" | "0" => String::new(),
        place => format!(" ({place})"),
    };
    match kin.state {
        'R' => "computes".into(),
        'D' => format!("waits for a disk or the like{place}"),
        'T' | 't' => "is stopped".into(),
        'Z' | 'X' => "has exited".into(),
        _ => format!("waits{place}"),
    }
}
