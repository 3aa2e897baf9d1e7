//! `--round-robin`: a number of commands get all blocks between them, each a block whenever it has
//! taken in the one before.
//!
//! Each command has a FIFO in the run's folder and a thread that writes to it. A block that a
//! command has begun to read cannot be given to another one: such tasks have one attempt.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use msup_protocol::codec::Extent;
use msup_protocol::extent;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::ioctl_fionread;

use super::stop::DealEnd;
use super::{Blocks, Room, whole};
use crate::input::{Group, Out};
use crate::os::run_folder;

/// How often a command is looked at that has not read all that it has got.
const LOOK_AFTER: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// To whom blocks are dealt.
#[derive(Debug)]
pub(crate) struct Deal {
    /// The number of commands, at least 1.
    pub(crate) commands: u32,
    /// Where their FIFOs are made.
    pub(crate) folder: PathBuf,
    /// The memory that blocks take.
    pub(crate) room: Option<Arc<Room>>,
    /// Whether the run stops.
    pub(crate) stop: Arc<DealEnd>,
}

/// What is dealt, and to whom.
#[derive(Debug)]
struct Table {
    left: Mutex<Left>,
    hands: Mutex<Hands>,
    stop: Arc<DealEnd>,
}

/// What is left of the input. What waits for more of it holds the lock: nothing else may need
/// that.
#[derive(Debug)]
struct Left {
    blocks: Blocks,
    /// Why it cannot be read on.
    failed: Option<io::Error>,
}

/// What is known of all commands.
#[derive(Debug, Default)]
struct Hands {
    /// Blocks of which their commands have read nothing.
    given_back: VecDeque<Vec<u8>>,
    /// The number of commands that have been started and have not read all that they have got.
    reading: usize,
}

/// A block, and what is written for it.
struct Dealt {
    value: Vec<u8>,
    bytes: Vec<u8>,
}

/// A command that gets blocks, and what it has got.
struct Hand {
    fifo: File,
    /// The number of bytes that were written.
    written: u64,
    /// Blocks that it has perhaps not read to their end, and where these begin and end among all
    /// bytes that were written.
    unread: VecDeque<(Vec<u8>, u64, u64)>,
    room: Option<Arc<Room>>,
    /// It has read all that it has got.
    rests: bool,
}

impl Deal {
    /// Hands over a task for each command, and deals. Returns whether all blocks were taken.
    pub(super) fn hand_over(self, blocks: Blocks, out: &Out) -> bool {
        let name = blocks.name.clone();
        let left = Mutex::new(Left { blocks, failed: None });
        let (hands, stop) = (Mutex::default(), Arc::clone(&self.stop));
        let table = Arc::new(Table { left, hands, stop });
        let (mut number, mut why) = (0, None);
        // Blocks that come back when all commands have exited are for those that were not started.
        while why.is_none() && number < u64::from(self.commands) {
            let mut threads = Vec::new();
            // No command is started that would get nothing.
            while number < u64::from(self.commands)
                && let Some(first) = table.take(true, &mut false)
            {
                number += 1;
                match self.start(number, first, &table) {
                    Ok(thread) => threads.push(thread),
                    Err(failed) => {
                        why = Some(failed);
                        break;
                    }
                }
                // If it is not wanted any more, no task follows.
                out.send(Group::Values(vec![number.to_string().into_bytes()]));
            }
            if threads.is_empty() {
                break;
            }
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
        let is_over = table.take(true, &mut false).is_none();
        let failed = table.left().failed.take();
        match why.or(failed) {
            _ if self.stop.is_set() => {}
            Some(why) => drop(out.send(Group::Failed(format!("{name}: {why}")))),
            None if is_over => return true,
            None => drop(out.send(Group::Failed(format!(
                "{name}: all commands have exited before they had read it to its end"
            )))),
        }
        false
    }

    /// Starts the thread of a command, which gets this block first.
    fn start(
        &self,
        number: u64,
        first: Dealt,
        table: &Arc<Table>,
    ) -> io::Result<thread::JoinHandle<()>> {
        let fifo = run_folder::fifo(&self.folder, number);
        mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR)?;
        let (table, room) = (Arc::clone(table), self.room.clone());
        let builder = thread::Builder::new().name("deal".into());
        builder.spawn(move || deal(&fifo, first, &table, room))
    }
}

/// Writes blocks to a FIFO until there are none, or its command wants no more. What that has not
/// begun to read is given back.
fn deal(fifo: &Path, first: Dealt, table: &Table, room: Option<Arc<Room>>) {
    // Waits until the command is about to be started.
    let Ok(fifo) = OpenOptions::new().write(true).open(fifo) else {
        table.hands().given_back.push_back(first.value);
        return;
    };
    table.hands().reading += 1;
    let mut hand = Hand { fifo, written: 0, unread: VecDeque::new(), room, rests: false };
    let (mut block, mut look_after) = (Some(first), LOOK_AFTER[0]);
    loop {
        while let Some(dealt) = block {
            if hand.write(dealt).is_err() {
                return hand.leave(table);
            }
            hand.release();
            (block, look_after) = (table.take(false, &mut hand.rests), LOOK_AFTER[0]);
        }
        // The end of the input is not told before all commands have read what they have got: if
        // one exits, another gets the rest.
        let has_read = hand.release();
        if table.stop.is_set() || has_read && table.hands().is_end_for(&mut hand.rests) {
            return;
        }
        if hand.is_closed_within(look_after) {
            return hand.leave(table);
        }
        look_after = (look_after * 2).min(LOOK_AFTER[1]);
        block = table.take(false, &mut hand.rests);
    }
}

impl Hand {
    /// # Errors
    /// The command has closed its standard input, or has exited.
    fn write(&mut self, Dealt { value, bytes }: Dealt) -> io::Result<()> {
        let begin = self.written;
        self.unread.push_back((value, begin, begin + bytes.len() as u64));
        let mut left = &bytes[..];
        while !left.is_empty() {
            match self.fifo.write(left) {
                Ok(written) => {
                    self.written += written as u64;
                    left = &left[written..];
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// The number of bytes that were read.
    fn read(&self) -> u64 {
        self.written.saturating_sub(ioctl_fionread(&self.fifo).unwrap_or(0))
    }

    /// Releases the blocks that were read. Returns whether those are all.
    fn release(&mut self) -> bool {
        let read = self.read();
        while let Some((value, ..)) = self.unread.pop_front_if(|(.., end)| *end <= read) {
            self.is_done(&value);
        }
        self.unread.is_empty()
    }

    /// No command needs this block any more.
    fn is_done(&self, value: &[u8]) {
        if let Some(room) = &self.room {
            room.release(value);
        }
    }

    /// Whether no process has it open for reading any more, within this time.
    fn is_closed_within(&self, time: Duration) -> bool {
        let timeout = Timespec::try_from(time).ok();
        let mut fds = [PollFd::new(&self.fifo, PollFlags::empty())];
        poll(&mut fds, timeout.as_ref()).is_ok_and(|closed| closed > 0)
    }

    /// The command reads no more. It wanted no more of a block that it has begun to read; those
    /// behind it are given back.
    fn leave(mut self, table: &Table) {
        let read = self.read();
        self.release();
        let (untouched, begun): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unread).into_iter().partition(|(_, begin, _)| *begin >= read);
        begun.iter().for_each(|(value, ..)| self.is_done(value));
        let mut hands = table.hands();
        hands.given_back.extend(untouched.into_iter().map(|(value, ..)| value));
        hands.reading -= usize::from(!self.rests);
    }
}

impl Hands {
    /// A command has read all that it has got. Returns whether there will be no more for it.
    fn is_end_for(&mut self, rests: &mut bool) -> bool {
        self.reading -= usize::from(!std::mem::replace(rests, true));
        self.reading == 0 && self.given_back.is_empty()
    }

    /// A block that was given back, for a command that counts as reading then.
    fn again(&mut self, rests: &mut bool) -> Option<Vec<u8>> {
        let value = self.given_back.pop_front()?;
        self.reading += usize::from(std::mem::take(rests));
        Some(value)
    }
}

impl Table {
    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next block, if there is one; with the header if it is the first one of a command.
    fn take(&self, with_header: bool, rests: &mut bool) -> Option<Dealt> {
        if self.stop.is_set() {
            return None;
        }
        let again = self.hands().again(rests);
        let mut left = self.left();
        let taken = match again {
            Some(value) => left.dealt(value, with_header).map(Some),
            None => left.next(with_header),
        };
        match taken {
            // What was read until the run was stopped is not all of a block.
            Ok(dealt) => dealt.filter(|_| !self.stop.is_set()),
            Err(why) => {
                left.failed.get_or_insert(why);
                None
            }
        }
    }
}

impl Left {
    /// The next block of the input.
    fn next(&mut self, with_header: bool) -> io::Result<Option<Dealt>> {
        let value = self.blocks.next()?;
        value.map(|value| self.dealt(value, with_header)).transpose()
    }

    /// A block with its bytes.
    fn dealt(&self, value: Vec<u8>, with_header: bool) -> io::Result<Dealt> {
        let parts = extent::of_value(&value).unwrap_or_default();
        let skipped = if with_header { 0 } else { parts.len().saturating_sub(1) };
        let mut bytes = Vec::new();
        for part in &parts[skipped..] {
            bytes.extend(self.blocks.bytes_of(*part)?);
        }
        Ok(Dealt { value, bytes })
    }
}

impl Blocks {
    /// The bytes of a part of the file of blocks.
    fn bytes_of(&self, part: Extent) -> io::Result<Vec<u8>> {
        match &self.remover {
            None => whole(self.cutter.bytes(), part),
            Some(remover) => remover.bytes_of(part),
        }
    }
}
