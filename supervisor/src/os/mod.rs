//! The adapters: one family of system calls per file, no decisions.

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod cpu_quota;
pub(crate) mod cpu_time;
pub(crate) mod files;
pub(crate) mod freeze;
pub(crate) mod leftovers;
pub(crate) mod limits;
pub(crate) mod load;
pub(crate) mod local_socket;
pub(crate) mod machine;
mod membership;
pub(crate) mod memory;
pub(crate) mod orphans;
pub(crate) mod patient;
pub(crate) mod poller;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod random;
pub(crate) mod routes;
pub(crate) mod run_folder;
pub(crate) mod settings_file;
pub(crate) mod signals;
pub(crate) mod streams;
pub(crate) mod terminal;
pub(crate) mod threads;
pub(crate) mod tree;
