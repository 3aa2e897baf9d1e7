//! What is to be seen of the load generator from outside.

use std::fs;

use msup_protocol::process_tree::{self, Kin};

fn loads() -> impl Iterator<Item = Kin> {
    let is_load = |pid: i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "load")
    };
    process_tree::all_processes().filter(move |kin| !kin.exited && is_load(kin.pid))
}

/// Processes that run it.
pub(crate) fn in_flight() -> f64 {
    loads().count() as f64
}

/// Bytes of memory that they have together.
pub(crate) fn resident() -> u64 {
    loads().map(|kin| kin.resident).sum()
}
