//! The inside of an msup worker: a task loop that holds a CPU token only while it computes.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use msup_worker::{Ctx, Outcome, Task};
//!
//! fn main() -> ExitCode {
//!     msup_worker::run(|task: &Task, ctx: &mut Ctx| {
//!         let bytes = ctx.blocking(|| std::fs::read(task.path()))?; // another task runs meanwhile
//!         let lines = bytes.split(|byte| *byte == b'\n').count(); // computed with a token
//!         writeln!(ctx.stdout(), "{lines} {}", task.path().display())?;
//!         Ok(Outcome::done())
//!     })
//! }
//! # use std::io::Write;
//! ```
//!
//! Run it with `msup --worker ./my-worker ::: logs/*`. Without a supervisor, the same program takes
//! its values from the lines of standard input.
//!
//! Reading order: [`Ctx`], `task_loop`, `steps`, `attach`, `guardian`, [`by_hand`] (the same loop
//! for other languages), [`commands`] (the loop of `msup-worker`).

// These panic when standard output or error is closed.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod by_hand;

mod ctx;

mod task;

mod task_loop;

mod attach;

mod guardian;

mod sink;

mod steps;

pub mod commands;

pub use ctx::Ctx;
pub use task::{Outcome, StateTooLarge, Task, TaskError};
pub use task_loop::run;
