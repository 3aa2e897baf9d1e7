//! The environment variables between supervisor, workers and commands: all names, in one list.

/// For workers: the segment's descriptor.
pub const SEGMENT_FD: &str = "MSUP_SEGMENT_FD";
/// For workers: the doorbell's descriptor.
pub const DOORBELL_FD: &str = "MSUP_DOORBELL_FD";
/// For workers: their slot's number.
pub const WORKER_SLOT: &str = "MSUP_WORKER_SLOT";
/// For workers: the supervisor's process id, to notice that it died before they could ask to be told.
pub const SUPERVISOR_PID: &str = "MSUP_SUPERVISOR_PID";
/// For workers: the run's folder, where payloads too large for a task slot go.
pub const RUN_FOLDER: &str = "MSUP_RUN_FOLDER";

/// For workers, if a journal is kept: the file where they note what they take up.
pub const IN_FLIGHT: &str = "MSUP_IN_FLIGHT";

/// The variables that are for workers alone and that commands must not inherit.
pub const FOR_WORKERS: [&str; 6] =
    [SEGMENT_FD, DOORBELL_FD, WORKER_SLOT, SUPERVISOR_PID, RUN_FOLDER, IN_FLIGHT];

/// For workers and commands: the run's id.
pub const RUN: &str = "MSUP_RUN";
/// For commands: the task's number in the input, from 1.
pub const SEQ: &str = "MSUP_SEQ";
/// For commands: the worker's slot, from 1; no two commands alive at once have the same.
pub const SLOT: &str = "MSUP_SLOT";
/// For commands: which attempt of the task this is, from 1.
pub const ATTEMPT: &str = "MSUP_ATTEMPT";
/// For commands: how many threads it is advised to use.
pub const THREADS: &str = "MSUP_THREADS";
/// For commands with `--out`: the file to write, which is put in its place when the command has succeeded.
pub const OUT: &str = "MSUP_OUT";
/// [`THREADS`] as OpenMP calls it; set unless somebody else has set it.
pub const OMP_THREADS: &str = "OMP_NUM_THREADS";
/// [`SEQ`] as GNU parallel calls it.
pub const PARALLEL_SEQ: &str = "PARALLEL_SEQ";
/// [`SLOT`] as GNU parallel calls it.
pub const PARALLEL_JOBSLOT: &str = "PARALLEL_JOBSLOT";

/// For users: another `msup-worker` than the one beside `msup`.
pub const WORKER_PROGRAM: &str = "MSUP_WORKER";
/// For users: set to anything, no control groups are made.
pub const NO_GROUPS: &str = "MSUP_NO_GROUPS";
