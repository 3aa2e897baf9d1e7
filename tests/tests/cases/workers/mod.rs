//! Workers, the limits they run into, and what hostile tasks do to them.

mod limits;
mod memory;
mod outcomes;
mod panics;
mod segment;
mod signals;
mod starting;
