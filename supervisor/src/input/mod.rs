//! Reads input values in a thread of its own: a stuck pipe stops nothing else.
//!
//! `lists.rs` knows where values come from, `records.rs` splits files and pipes, `combining.rs`
//! makes one value of several lists. `blocks/` cuts an input into the standard inputs of commands.

mod batches;
mod blocks;
mod client;
mod combining;
mod csv;
mod lists;
mod records;
mod room;
mod shaping;
mod words;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use msup_protocol::codec::NodeOrder;

use crate::arguments;
use crate::journal::Part;
use crate::os::threads::{self, ThreadError};
pub(crate) use batches::BatchSize;
pub(crate) use blocks::{BlockHeader, Blocks, Boundary, Cutting, Deal, DealEnd, Preamble, Room};
pub(crate) use lists::{List, Lists};
use records::Records;
pub(crate) use room::{CommandRoom, Measure};
use shaping::Shaped;
pub(crate) use shaping::{Columns, Shape};
use words::Words;
pub(crate) use words::{Separated, WordList};

/// Values are handed over in groups of about this number, or this number of bytes.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 256 << 10;

/// The number of groups that wait to be taken: reading ahead is bounded.
const GROUPS_AHEAD: usize = 4;

/// Where values come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From lists.
    Lists(Lists),
    /// Where the blocks of this input stand.
    Blocks(Box<Blocks>),
    /// From a list that xargs splits.
    Words(Box<WordList>),
    /// From the client of `msup serve`, as frames on standard input.
    Client,
    /// The same from `msup node`, whose queue has this number of tasks.
    Node { total: u64 },
    /// These, with the numbers of their tasks, which ascend.
    Numbered(Vec<(u64, Vec<u8>)>),
    /// From a file in which an earlier generation has kept them, in these parts.
    Kept(File, PathBuf, Vec<Part>),
}

impl Source {
    /// Whether these values cannot be read a second time.
    pub(crate) fn is_read_once(&self) -> bool {
        match self {
            Source::Lists(lists) => lists.are_read_once(),
            // A file of blocks is cut in the same places again.
            Source::Blocks(blocks) => blocks.is_stream(),
            Source::Client | Source::Node { .. } | Source::Words(_) => true,
            Source::Numbered(_) | Source::Kept(..) => false,
        }
    }

    /// Whether they can be read to their end without waiting for another process.
    pub(crate) fn is_all_there(&self) -> bool {
        match self {
            Source::Lists(lists) => lists.are_all_there(),
            Source::Blocks(blocks) => !blocks.is_stream(),
            Source::Client | Source::Node { .. } | Source::Words(_) => false,
            Source::Numbered(_) | Source::Kept(..) => true,
        }
    }
}

/// How values are separated and which are skipped.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    /// The bytes that end a value; at least one.
    pub(crate) separator: Vec<u8>,
    /// Values may have several arguments.
    pub(crate) several: bool,
    /// Values are commands: empty ones are skipped.
    pub(crate) commands: bool,
    /// A CR at the end of a line is not part of the value, nor is a byte order mark at the
    /// beginning.
    pub(crate) crlf: bool,
    /// Report such characters where they are kept.
    pub(crate) hints: bool,
    /// The value that ends a list; it is not part of it.
    pub(crate) end: Option<Vec<u8>>,
    /// A value that ends with a blank goes on with the next one.
    pub(crate) continues: bool,
    /// Values are records of CSV: between quotes, the separator is part of one.
    pub(crate) csv: bool,
    /// Empty values and those of blanks are skipped.
    pub(crate) skips_blank: bool,
}

impl Format {
    /// Nothing but what ends a value.
    pub(crate) fn separated_by(separator: Vec<u8>) -> Format {
        Format {
            separator,
            several: false,
            commands: false,
            crlf: false,
            hints: false,
            end: None,
            continues: false,
            csv: false,
            skips_blank: false,
        }
    }
}

/// What the reader hands over.
#[derive(Debug)]
pub(crate) enum Group {
    /// The next values, in order.
    Values(Vec<Vec<u8>>),
    /// Something about the list that is probably unintended: one line.
    Hint(String),
    /// What a node wants.
    Orders(Vec<NodeOrder>),
    /// This number of values was kept and is damaged, or has no tasks.
    Missing(u64),
    /// There are no more, as was found at this time.
    End(Instant),
    /// Reading failed: one line that says why and where.
    Failed(String),
}

/// Starts reading. The eventfd is written whenever a group can be taken.
///
/// # Errors
/// No thread can be started.
pub(crate) fn start(
    source: Source,
    format: Format,
    doorbell: OwnedFd,
) -> Result<Receiver<Group>, ThreadError> {
    let (sender, receiver) = sync_channel(GROUPS_AHEAD);
    let out = Out { sender, doorbell };
    threads::start("input", move || {
        let (out, format) = (Rc::new(out), Rc::new(format));
        let is_whole = match source {
            Source::Lists(lists) => match Shaped::of(lists, &format, &out) {
                Ok(mut values) => hand_over(&mut values, Shaped::next, Shaped::is_at_hand, &out),
                Err(why) => {
                    out.send(Group::Failed(why));
                    false
                }
            },
            Source::Blocks(blocks) => blocks.hand_over(&out),
            Source::Words(list) => {
                let mut words = Words::of(*list, &out);
                hand_over(&mut words, Words::next, Words::is_at_hand, &out)
            }
            Source::Numbered(values) => hand_over_numbered(values, &out),
            Source::Client => client::read(io::stdin().lock(), &out),
            Source::Node { .. } => client::read_orders(io::stdin().lock(), &out),
            Source::Kept(file, path, parts) => {
                let name = path.display().to_string();
                parts.into_iter().all(|part| read_part(&file, &name, part, &format, &out))
            }
        };
        if is_whole {
            out.send(Group::End(Instant::now()));
        }
    })?;
    Ok(receiver)
}

struct Out {
    sender: SyncSender<Group>,
    doorbell: OwnedFd,
}

impl Out {
    /// Returns false when groups are not taken any more.
    fn send(&self, group: Group) -> bool {
        let taken = self.sender.send(group).is_ok();
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
        taken
    }
}

/// Returns whether to go on.
fn read_part(file: &File, name: &str, part: Part, format: &Format, out: &Rc<Out>) -> bool {
    let (at, bytes) = match part {
        Part::Missing(values) => return out.send(Group::Missing(values)),
        Part::Values { at, bytes } => (at, bytes),
    };
    let opened = file.try_clone().and_then(|mut file| {
        file.seek(SeekFrom::Start(at))?;
        Ok(file.take(bytes))
    });
    let input = match opened {
        Ok(input) => Box::new(input),
        Err(why) => {
            out.send(Group::Failed(format!("{name}: {why}")));
            return false;
        }
    };
    // What `--crlf` removed when they were first read is already removed.
    let kept = Format {
        several: format.several,
        commands: format.commands,
        ..Format::separated_by(vec![0])
    };
    let mut records = Records::new(input, name.to_owned(), &Rc::new(kept), out);
    let next = |records: &mut Records| {
        let value = records.next()?;
        Ok(value.map(|value| if format.several { arguments::unescape(&value) } else { value }))
    };
    hand_over(&mut records, next, Records::is_at_hand, out)
}

/// Hands over values with numbers. Returns whether they are wanted.
fn hand_over_numbered(values: Vec<(u64, Vec<u8>)>, out: &Out) -> bool {
    let mut next = 1;
    values.into_iter().all(|(seq, value)| {
        let missing = seq.saturating_sub(std::mem::replace(&mut next, seq + 1));
        (missing == 0 || out.send(Group::Missing(missing))) && out.send(Group::Values(vec![value]))
    })
}

/// Hands over all values. Returns whether that went well, and they are wanted.
fn hand_over<V>(
    from: &mut V,
    mut next: impl FnMut(&mut V) -> Result<Option<Vec<u8>>, String>,
    is_at_hand: impl Fn(&V) -> bool,
    out: &Out,
) -> bool {
    let (mut values, mut bytes) = (Vec::new(), 0);
    loop {
        match next(from) {
            Ok(Some(value)) => {
                bytes += value.len();
                values.push(value);
            }
            Ok(None) => return values.is_empty() || out.send(Group::Values(values)),
            Err(why) => {
                out.send(Group::Values(values));
                out.send(Group::Failed(why));
                return false;
            }
        }
        // Values of a slow producer are handed over as soon as they arrive.
        if values.len() >= GROUP || bytes >= GROUP_BYTES || !is_at_hand(from) {
            bytes = 0;
            if !out.send(Group::Values(std::mem::take(&mut values))) {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are lines.
    pub(super) fn lines() -> Format {
        Format { hints: true, ..Format::separated_by(b"\n".to_vec()) }
    }

    /// Where values go, and what arrives there.
    pub(super) fn out() -> (Rc<Out>, Receiver<Group>) {
        let (sender, receiver) = sync_channel(1000);
        let doorbell = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty());
        (Rc::new(Out { sender, doorbell: doorbell.expect("an eventfd") }), receiver)
    }
}
