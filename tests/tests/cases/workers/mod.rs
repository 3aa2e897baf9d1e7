//! Workers, the limits they run into, and what hostile tasks do to them.

mod limits;
mod panics;
mod signals;
