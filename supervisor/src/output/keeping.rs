//! Keeps outputs with the run, for as long as they can be written.

use std::collections::HashSet;
use std::io;

use super::Delivery;
use crate::journal::Keeper;

/// The keeper, and which outputs it has not written.
#[derive(Debug)]
pub(super) struct OutputKeeping {
    keeper: Option<Keeper>,
    /// A write has failed.
    has_stopped: bool,
    /// Tasks whose outputs are gathered for the next write.
    gathered: Vec<u64>,
    /// Tasks whose outputs are not kept because of that, since the last time.
    unkept: Vec<u64>,
}

/// A write has failed.
#[derive(Debug)]
pub(super) struct KeepingFailed {
    pub(super) why: io::Error,
    /// The tasks whose outputs were gathered: these are not kept.
    pub(super) withdrawn: HashSet<u64>,
}

impl OutputKeeping {
    /// Without a keeper nothing is kept.
    pub(super) fn with(keeper: Option<Keeper>) -> OutputKeeping {
        OutputKeeping { keeper, has_stopped: false, gathered: Vec::new(), unkept: Vec::new() }
    }

    /// Keeps an output, or notes in it that it is not kept.
    ///
    /// # Errors
    /// It cannot be written; nothing more is kept.
    pub(super) fn keep(&mut self, delivery: &mut Delivery) -> Result<(), KeepingFailed> {
        let Some(keeper) = &mut self.keeper else {
            if delivery.writer.take().is_some() && self.has_stopped && !delivery.is_empty() {
                self.unkept.push(delivery.seq);
            }
            return Ok(());
        };
        match delivery.keep(keeper) {
            Ok(true) => {
                self.gathered.push(delivery.seq);
                Ok(())
            }
            Ok(false) => {
                delivery.writer = None;
                Ok(())
            }
            Err(why) => {
                delivery.writer = None;
                self.gathered.push(delivery.seq);
                Err(self.stop(why))
            }
        }
    }

    /// Writes what is gathered.
    ///
    /// # Errors
    /// It cannot be written; nothing more is kept.
    pub(super) fn flush(&mut self) -> Result<(), KeepingFailed> {
        match self.keeper.as_mut().map_or(Ok(()), Keeper::flush) {
            Ok(()) => {
                self.gathered.clear();
                Ok(())
            }
            Err(why) => Err(self.stop(why)),
        }
    }

    fn stop(&mut self, why: io::Error) -> KeepingFailed {
        if let Some(keeper) = self.keeper.take() {
            keeper.give_up();
        }
        self.has_stopped = true;
        self.unkept.extend(&self.gathered);
        KeepingFailed { why, withdrawn: self.gathered.drain(..).collect() }
    }

    /// The tasks whose outputs are not kept, although others were.
    pub(super) fn unkept(&mut self) -> &mut Vec<u64> {
        &mut self.unkept
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::journal::KeptFor;
    use crate::output::Piece;

    fn delivery(seq: u64, text: &[u8]) -> Delivery {
        let writer = Some(KeptFor::new(seq, b"v", 1));
        Delivery { stdout: Piece::Bytes(text.to_vec()), writer, ..Delivery::nothing(seq, seq) }
    }

    #[test]
    fn what_was_only_gathered_when_a_write_fails_is_not_kept() {
        let full = File::options().append(true).open("/dev/full").expect("there");
        let mut keeping = OutputKeeping::with(Some(Keeper::new(full, 0, "run", false)));
        for seq in 1..=2 {
            let mut output = delivery(seq, b"text");
            keeping.keep(&mut output).expect("gathered");
            assert!(output.writer.is_some());
        }
        let failed = keeping.flush().expect_err("there is no space");
        assert_eq!(failed.withdrawn, HashSet::from([1, 2]));
        for (seq, text) in [(3, &b"text"[..]), (4, b"")] {
            let mut output = delivery(seq, text);
            keeping.keep(&mut output).expect("passed over");
            assert!(output.writer.is_none());
        }
        assert_eq!(*keeping.unkept(), [1, 2, 3], "the last one has nothing to keep");
        keeping.flush().expect("nothing is left to write");
    }
}
