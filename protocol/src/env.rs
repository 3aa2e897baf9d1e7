//! The names of all environment variables between supervisor, workers and commands.

/// For workers: the segment's descriptor.
pub const SEGMENT_FD: &str = "MSUP_SEGMENT_FD";
/// For workers: the doorbell's descriptor.
pub const DOORBELL_FD: &str = "MSUP_DOORBELL_FD";
/// For workers: their slot's number.
pub const WORKER_SLOT: &str = "MSUP_WORKER_SLOT";
/// For workers: the supervisor's process id, to notice if it died before the death signal was set.
pub const SUPERVISOR_PID: &str = "MSUP_SUPERVISOR_PID";
/// For workers: the run's folder, where payloads too large for a task slot go.
pub const RUN_FOLDER: &str = "MSUP_RUN_FOLDER";

/// For workers, if a journal is kept: the file in which they note the attempts they take up.
pub const IN_FLIGHT: &str = "MSUP_IN_FLIGHT";

/// For workers whose commands get blocks: the descriptor of the file of blocks.
pub const BLOCKS_FD: &str = "MSUP_BLOCKS_FD";
/// For workers, with `--lb`: the pipe for parts of outputs ([`crate::live`]).
pub const LIVE_FD: &str = "MSUP_LIVE_FD";
/// For workers, with `--ungroup`: the standard output of commands.
pub const STDOUT_FD: &str = "MSUP_STDOUT_FD";
/// For workers, with `--tty`: the standard input of commands.
pub const TTY_FD: &str = "MSUP_TTY_FD";

/// The variables that are for workers alone and that commands must not inherit.
pub const FOR_WORKERS: [&str; 10] = [
    SEGMENT_FD,
    DOORBELL_FD,
    WORKER_SLOT,
    SUPERVISOR_PID,
    RUN_FOLDER,
    IN_FLIGHT,
    BLOCKS_FD,
    LIVE_FD,
    STDOUT_FD,
    TTY_FD,
];

/// For workers and commands: the run's id.
pub const RUN: &str = "MSUP_RUN";
/// For commands: the task's number in the input, from 1.
pub const SEQ: &str = "MSUP_SEQ";
/// For commands: the worker's slot, from 1; no two commands running at once have the same.
pub const SLOT: &str = "MSUP_SLOT";
/// For commands: which attempt of the task this is, from 1.
pub const ATTEMPT: &str = "MSUP_ATTEMPT";
/// For commands: the number of threads it is advised to use.
pub const THREADS: &str = "MSUP_THREADS";
/// For commands with `--out`: the file to write, which is moved into place when the command
/// succeeds.
pub const OUT: &str = "MSUP_OUT";
/// [`THREADS`] under OpenMP's name; set unless it is already set.
pub const OMP_THREADS: &str = "OMP_NUM_THREADS";
/// [`SEQ`] under GNU parallel's name.
pub const PARALLEL_SEQ: &str = "PARALLEL_SEQ";
/// [`SLOT`] under GNU parallel's name.
pub const PARALLEL_JOBSLOT: &str = "PARALLEL_JOBSLOT";

/// For workers: if set to anything, signals that were ignored when msup was started stay ignored in
/// commands, as in xargs.
pub const KEEPS_IGNORED: &str = "MSUP_KEEPS_IGNORED";

/// For users: a `msup-worker` other than the one beside `msup`.
pub const WORKER_PROGRAM: &str = "MSUP_WORKER";
/// For users: if set to anything, msup makes no control groups.
pub const NO_GROUPS: &str = "MSUP_NO_GROUPS";
