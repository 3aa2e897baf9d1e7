//! What commands do on the simulated machine.

use super::recorded;

/// Milliseconds on a CPU, then milliseconds of waiting.
pub(super) type Spell = (f64, f64);

/// What a command does.
#[derive(Clone, Copy)]
enum Plan {
    /// About this, this number of times.
    Drawn { spell: Spell, rounds: usize },
    /// What one of these commands did.
    Recorded(&'static [Vec<Spell>]),
}

/// One thing that all waiting is for: a disk, a lock, a server.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    /// It serves this number of commands at once, each for as long as it waits.
    pub(super) at_once: usize,
    /// A command that comes when all places are taken is told to come back after this time, in
    /// milliseconds; without, it queues.
    pub(super) refused_for: Option<f64>,
}

/// The commands of a run, and what they share.
#[derive(Clone, Copy)]
pub(super) struct Load {
    plan: Plan,
    pub(super) shared: Option<Shared>,
    /// The part by which computing takes more CPU time for each in flight beyond eight.
    pub(super) dearer: f64,
    /// The part of the CPU time that no account shows.
    pub(super) unseen: f64,
}

impl Load {
    /// What a new command is going to do, the first spell last. `draw` gives numbers from 0 to 1.
    pub(super) fn spells(&self, mut draw: impl FnMut() -> f64) -> Vec<Spell> {
        match self.plan {
            Plan::Drawn { spell: (cpu, wait), rounds } => {
                let mut about = |time: f64| time * (0.5 + draw());
                (0..rounds).map(|_| (about(cpu), about(wait))).collect()
            }
            Plan::Recorded(runs) => {
                let drawn = (draw() * runs.len() as f64) as usize;
                runs[drawn].iter().rev().copied().collect()
            }
        }
    }
}

/// Commands that compute and wait, milliseconds each, this number of times, and share nothing.
pub(super) fn load(cpu: f64, wait: f64, rounds: usize) -> Load {
    of(Plan::Drawn { spell: (cpu, wait), rounds })
}

fn of(plan: Plan) -> Load {
    Load { plan, shared: None, dearer: 0.0, unseen: 0.0 }
}

/// A disk or a lock.
pub(super) fn disk(at_once: usize, load: Load) -> Load {
    Load { shared: Some(Shared { at_once, refused_for: None }), ..load }
}

/// A server that lets others wait; or, with `refused_for`, that tells them to come back.
pub(super) fn server(at_once: usize, refused_for: Option<f64>, load: Load) -> Load {
    Load { shared: Some(Shared { at_once, refused_for }), ..load }
}

/// Commands that only compute.
pub(super) fn computes() -> Load {
    load(20.0, 0.0, 1)
}

/// All loads that do not change, by name.
pub(super) fn steady() -> Vec<(String, Load)> {
    let mut all: Vec<(String, Load)> = vec![("computes".into(), computes())];
    let mut add = |name: String, load: Load| all.push((name, load));
    for (cpu, wait, rounds) in
        [(10.0, 50.0, 2), (1.0, 5.0, 20), (2.0, 200.0, 3), (0.5, 2.0, 100), (2.0, 20.0, 50)]
    {
        add(format!("waits {cpu}/{wait}"), load(cpu, wait, rounds));
    }
    for (cpu, wait, rounds) in [(4.0, 0.2, 2), (7.6, 0.7, 5), (30.0, 2.0, 1)] {
        add(format!("gaps {cpu}/{wait}"), load(cpu, wait, rounds));
    }
    add("unseen".into(), Load { unseen: 0.04, ..load(1.0, 5.0, 4) });
    for at_once in [1, 4] {
        add(format!("disk, {at_once} at once"), disk(at_once, load(0.5, 5.0, 4)));
    }
    for at_once in [1, 2, 4, 8] {
        add(format!("slow disk, {at_once} at once"), disk(at_once, load(1.0, 33.0, 1)));
    }
    add("server, 8 at once".into(), server(8, None, load(0.5, 5.0, 4)));
    for at_once in [4, 8, 20] {
        let refusing = server(at_once, Some(1000.0), load(1.0, 50.0, 1));
        add(format!("refuses beyond {at_once}"), refusing);
    }
    let dearer = Load { dearer: 0.02, ..load(0.5, 2.0, 10) };
    add("dearer".into(), Load { shared: disk(usize::MAX, dearer).shared, ..dearer });
    for (name, runs) in recorded::programs() {
        add(name.to_owned(), of(Plan::Recorded(runs)));
    }
    all
}
