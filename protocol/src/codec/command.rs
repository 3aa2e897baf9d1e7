//! A command: what a worker needs to start it.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A command, complete except for the worker's slot number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<ByteBuf>,
    /// Variables to add to its environment.
    pub env: Vec<(ByteBuf, ByteBuf)>,
    /// Where to insert the slot number, ascending.
    pub slot_marks: Vec<SlotPlace>,
    /// If it fails as what stops xargs, its worker takes no more tasks and exits.
    pub stops: bool,
    /// The number of threads it is advised to use.
    pub threads: u32,
    /// The limit on its data in bytes, 0 for none.
    pub memory: u64,
    /// What it reads.
    pub input: CommandInput,
    /// What is written before it is run: at the beginning of its standard output, and at once to
    /// the standard error of msup.
    pub announced: [ByteBuf; 2],
    /// Where and how it runs.
    pub place: Place,
}

/// Where and how a command runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its folder.
    pub folder: Folder,
    /// Its nice level, if that is not the worker's.
    pub nice: Option<i8>,
    /// It has a variable of this name with the worker's slot, from 0; empty for none.
    pub slot_variable: ByteBuf,
}

/// The folder in which a command runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Folder {
    /// That of its worker.
    #[default]
    OfWorker,
    /// This one.
    Given(ByteBuf),
    /// This one, which is made if it is not there.
    Made(ByteBuf),
    /// This one, which is made before the command starts and removed when it has finished.
    Temporary(ByteBuf),
}

/// A place for the worker's slot number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotPlace {
    /// The argument.
    pub argument: u32,
    /// The byte offset in it.
    pub at: u32,
    /// Zeros are put before the number until it has this many digits.
    pub digits: u8,
}

/// A part of the file of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Where it begins, in bytes.
    pub at: u64,
    /// Its length in bytes.
    pub len: u64,
}

impl Extent {
    /// The first byte behind it.
    #[must_use]
    pub fn end(self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// What a command reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandInput {
    /// Its standard input is empty.
    #[default]
    Nothing,
    /// Its standard input are these parts of the file of blocks, one after the other.
    Parts(Vec<Extent>),
    /// They are in a file with this path, which the worker makes and removes.
    File(ByteBuf, Vec<Extent>),
    /// Its standard input is what is written to the FIFO with this path.
    Fifo(ByteBuf),
    /// They are written to a FIFO with this path, which the worker makes and removes.
    Filled(ByteBuf, Vec<Extent>),
}
