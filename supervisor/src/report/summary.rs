//! The figures of a run, and `--summary FILE`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::stages::StageFigures;
use crate::journal::State;
use crate::os::files;

/// Increased whenever a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// A finished run in figures. Field names are the JSON's.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) schema: u32,
    pub(crate) run_id: String,
    pub(crate) procs: u32,
    pub(crate) max_workers: u32,
    pub(crate) exit_status: u8,
    pub(crate) tasks: Tasks,
    pub(crate) wall_seconds: f64,
    /// CPU time of all workers and commands.
    pub(crate) cpu_seconds: f64,
    /// Time in which tasks were under way without using a CPU.
    pub(crate) blocked_seconds: f64,
    pub(crate) workers: Workers,
    pub(crate) in_flight: InFlight,
    pub(crate) debt_seconds: f64,
    pub(crate) sampling_seconds: f64,
    pub(crate) tokens: Tokens,
    /// Those of a pipeline.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stages: Vec<StageFigures>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tasks {
    pub(crate) total: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) quarantined: u64,
    pub(crate) cancelled: u64,
    pub(crate) skipped: u64,
    pub(crate) attempts: u64,
}

impl Tasks {
    /// Counts a task in this state as left after all.
    pub(crate) fn leave(&mut self, state: State) {
        let count = match state {
            State::Succeeded => &mut self.succeeded,
            State::Failed => &mut self.failed,
            State::Quarantined => &mut self.quarantined,
        };
        *count = count.saturating_sub(1);
        self.cancelled += 1;
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Workers {
    pub(crate) peak: u32,
    pub(crate) spawned: u64,
    /// Exited or killed without being told to exit.
    pub(crate) lost: u64,
    pub(crate) reaped_idle: u64,
    /// How often all workers were in blocking calls, no more were allowed, and a CPU was free.
    pub(crate) stalls: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct InFlight {
    pub(crate) peak: u32,
    pub(crate) mean: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tokens {
    pub(crate) held_peak: u32,
    pub(crate) idle_at_end: u32,
    pub(crate) fast_exits: u64,
    pub(crate) slow_exits: u64,
    pub(crate) handoffs: u64,
    pub(crate) retakes: u64,
    pub(crate) steals: u64,
    pub(crate) reclaims: u64,
    pub(crate) lent: u64,
    /// How often a task has kept its token through blocking calls.
    pub(crate) pins: u64,
    pub(crate) rescues: u64,
    /// How often the segment had to be replaced because it was overwritten.
    pub(crate) epochs: u64,
    pub(crate) wait_seconds: f64,
}

impl Summary {
    /// A summary with these names; the figures are zero.
    pub(crate) fn new(run_id: String, procs: u32, max_workers: u32) -> Summary {
        Summary {
            schema: SCHEMA,
            run_id,
            procs,
            max_workers,
            exit_status: 0,
            tasks: Tasks::default(),
            wall_seconds: 0.0,
            cpu_seconds: 0.0,
            blocked_seconds: 0.0,
            workers: Workers::default(),
            in_flight: InFlight::default(),
            debt_seconds: 0.0,
            sampling_seconds: 0.0,
            tokens: Tokens::default(),
            stages: Vec::new(),
        }
    }

    /// Writes it as JSON. The file has either its old content or the complete new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        files::replace(path, |file| self.write_to(file))
    }

    fn write_to(&self, file: &File) -> io::Result<()> {
        let mut out = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut out, self)?;
        writeln!(out)?;
        out.flush()
    }
}
