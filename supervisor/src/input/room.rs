//! How much room there is for the values of one command.

use std::fmt::Debug;

use crate::arguments::Length;

/// Tells how much of a command line something takes.
pub(crate) trait Measure: Debug + Send {
    /// What the command takes without values.
    fn base(&self) -> Length;

    /// What an argument adds.
    fn of(&self, argument: &[u8]) -> Length;
}

/// The command, and how long it may become.
#[derive(Debug)]
pub(crate) struct CommandRoom {
    pub(crate) command: Box<dyn Measure>,
    pub(crate) at_most: Length,
    /// A command that cannot have as many values as asked for is an error.
    pub(crate) must_fit: bool,
}
