//! What msup's supervisor and its workers must agree on, and nothing else.
//!
//! The two sides share one segment of memory. It holds `procs` **token** words (the right to use
//! one CPU each), one **slot** per worker, and the **task** slots that are the queue. Every change
//! of ownership is one compare-and-swap of one word that names the new owner. So a process killed
//! between any two instructions leaves words that name their owners.
//!
//! Reading order: [`packed`], [`token`], [`waiters`], [`worker_side`], [`supervisor_side`],
//! [`task`], [`layout`], [`segment`], [`codec`].

pub mod bitmap;
pub mod process_tree;
pub mod supervisor_side;
pub mod sync;
pub mod sysmon_sleep;
pub mod waiters;
pub mod worker_side;

pub mod barrier;

pub mod crash;

pub mod packed;

pub mod token;

pub mod park;

pub mod slot;

pub mod bell;

pub mod task;

pub mod grants;

pub mod audit;

pub mod sysmon;

pub mod layout;

#[cfg(not(loom))]
pub mod segment;

pub mod codec;

pub mod extent;

pub mod env;

pub mod live;

pub mod in_flight;

pub mod exit;

pub mod launch;

pub mod timeslice;
