//! Points at which a test can kill a process: between two steps that a death could separate.
//!
//! Each point has a label, a row in the crash table of `token/README.md`, and a test of that name
//! in `tests/tests/crash_points.rs`. Only debug builds have them. `MSUP_CRASH_WORKER=LABEL:FILE`
//! (or `_SUPERVISOR`) kills the first process of that kind that reaches the point, and creates
//! FILE. With `panic@LABEL` the process panics instead.

/// The processes that a variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `MSUP_CRASH_WORKER`.
    Worker,
    /// `MSUP_CRASH_SUPERVISOR`.
    Supervisor,
}

/// From now on this process may die at the point that its role's variable names.
pub fn arm(role: Role) {
    #[cfg(all(debug_assertions, not(loom)))]
    armed::arm(role);
    let _ = role;
}

/// A point between two steps.
#[inline]
pub fn point(label: &str) {
    #[cfg(all(debug_assertions, not(loom)))]
    armed::point(label);
    let _ = label;
}

#[cfg(all(debug_assertions, not(loom)))]
mod armed {
    use std::env;
    use std::fs::File;
    use std::sync::OnceLock;

    use rustix::process::{Signal, getpid, kill_process};

    use super::Role;

    /// The label and the file for this process, if it shall die.
    static ORDER: OnceLock<Option<(String, String)>> = OnceLock::new();

    pub(super) fn arm(role: Role) {
        let name = match role {
            Role::Worker => "MSUP_CRASH_WORKER",
            Role::Supervisor => "MSUP_CRASH_SUPERVISOR",
        };
        ORDER.get_or_init(|| {
            let order = env::var(name).ok()?;
            order.split_once(':').map(|(label, file)| (label.to_owned(), file.to_owned()))
        });
    }

    pub(super) fn point(label: &str) {
        let Some(Some((wanted, file))) = ORDER.get() else { return };
        // The process that creates the file dies.
        let (panics, wanted) = match wanted.strip_prefix("panic@") {
            Some(wanted) => (true, wanted),
            None => (false, wanted.as_str()),
        };
        if wanted == label && File::create_new(file).is_ok() {
            assert!(!panics, "told to at {label}");
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
