//! Outputs of tasks that have finished in an earlier generation: those that were not shown then,
//! and with `msup resume --replay` all of them.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use crate::journal::{End, Kept, KeptFor, KeptPlace, Name, State};
use crate::output::{Delivery, Piece};

/// An output that is shown by this generation.
#[derive(Debug)]
pub(crate) struct ShownAgain {
    pub(crate) delivery: Delivery,
    /// The end of its task, which is journaled once the output has been shown; `None` if it was
    /// shown before.
    pub(crate) end: Option<End>,
}

/// The kept output of a task, and its end if that was not journaled.
#[derive(Debug, Default)]
struct ToShow {
    place: Option<KeptPlace>,
    end: Option<End>,
}

/// The outputs to show.
#[derive(Debug)]
pub(crate) struct Replay {
    file: Arc<File>,
    /// By their earlier numbers and their contents. Different values may have the same content.
    earlier: HashMap<(u64, Vec<u8>), Vec<ToShow>>,
    /// By their present numbers.
    next: HashMap<u64, ToShow>,
    /// The numbers of outputs that were too large to be kept, and that could not be written.
    too_large: u64,
    not_kept: u64,
    /// The number of outputs that were not shown and are those of no task of the list.
    pub(crate) left: usize,
}

impl Replay {
    /// `file`: the outputs that were `kept`; `finished`: the finished tasks with their last
    /// attempts, in the order of their numbers; `unshown`: those whose outputs were not shown;
    /// `all`: whether the others are shown again; `describe` gives a task's content.
    pub(crate) fn new(
        file: File,
        kept: &Kept,
        finished: Vec<(Name, u32)>,
        mut unshown: HashMap<Name, End>,
        all: bool,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) -> Replay {
        let mut earlier: HashMap<_, Vec<_>> = HashMap::new();
        for (name, attempt) in finished {
            let end = unshown.remove(&name);
            let (seq, value) = name;
            let is_shown = all || end.is_some();
            let place = kept.places.get(&KeptFor::new(seq, &value, attempt)).copied();
            let place = place.filter(|_| is_shown);
            if place.is_some() {
                let content = describe(&value, seq);
                earlier.entry((seq, content)).or_default().push(ToShow { place, end });
            }
        }
        Replay {
            file: Arc::new(file),
            earlier,
            next: HashMap::new(),
            too_large: 0,
            not_kept: 0,
            left: 0,
        }
    }

    /// The task with this number has finished before, with another number and this content.
    pub(crate) fn found(&mut self, seq: u64, before: (u64, Vec<u8>)) {
        let earlier = self.earlier.get_mut(&before).and_then(Vec::pop);
        let Some(earlier) = earlier else { return };
        match earlier.place {
            Some(KeptPlace::TooLarge) => self.too_large += 1,
            Some(KeptPlace::NotKept) => self.not_kept += 1,
            Some(KeptPlace::Kept { .. }) => drop(self.next.insert(seq, earlier)),
            None => {}
        }
    }

    /// All tasks were looked up. Returns how many outputs that were not shown are left.
    pub(crate) fn all_found(&mut self) -> usize {
        self.left = self.earlier.values().flatten().filter(|left| left.end.is_some()).count();
        self.left
    }

    /// Which outputs are missing, if any are.
    pub(crate) fn missing(&self) -> Vec<String> {
        let outputs = |n| if n == 1 { "1 output was".into() } else { format!("{n} outputs were") };
        let too_large = (self.too_large > 0).then(|| {
            let outputs = outputs(self.too_large);
            format!(
                "{outputs} too large to be kept: missing here (--keep-output keeps all of them)"
            )
        });
        let not_kept = (self.not_kept > 0).then(|| {
            let outputs = outputs(self.not_kept);
            format!("{outputs} not kept, because a write had failed: missing here")
        });
        too_large.into_iter().chain(not_kept).collect()
    }

    /// Whether the output of the task with this number is shown.
    pub(crate) fn has(&self, seq: u64) -> bool {
        self.next.contains_key(&seq)
    }

    /// Whether that task has failed.
    pub(crate) fn is_failure(&self, seq: u64) -> bool {
        let end = self.next.get(&seq).and_then(|shown| shown.end.as_ref());
        end.is_some_and(|end| end.state != State::Succeeded)
    }

    /// The output of the task with this number, if it wrote something.
    pub(crate) fn take(&mut self, seq: u64) -> Option<ShownAgain> {
        let ToShow { place, end } = self.next.remove(&seq)?;
        let Some(KeptPlace::Kept { at, lens }) = place else { return None };
        let piece = |at, len| match len {
            0 => Piece::Bytes(Vec::new()),
            len => Piece::Spooled(Arc::clone(&self.file), at, len),
        };
        let (stdout, stderr) = (piece(at, lens[0]), piece(at + lens[0], lens[1]));
        let delivery =
            Delivery { stdout, stderr, is_replayed: true, ..Delivery::nothing(seq, seq) };
        Some(ShownAgain { delivery, end })
    }
}
