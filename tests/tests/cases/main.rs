//! Small jobs that once went wrong: each test re-enacts one with real processes and says in its
//! name what is right.

mod command_line;
mod folders;
mod journals;
mod process_trees;
mod reports;
mod workers;
