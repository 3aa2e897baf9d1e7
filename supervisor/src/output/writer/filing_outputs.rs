//! Outputs that are filed instead of being shown (`--results`, `--files`).

use super::Writer;
use crate::output::capture::Broken;
use crate::output::filing::Unfiled;
use crate::output::{Delivery, Piece};
use crate::report::table::Row;

impl Writer {
    /// Files an output that is not shown. Returns what is to be shown.
    pub(super) fn file(&mut self, mut delivery: Delivery) -> Option<Delivery> {
        let Some(filing) = self.style.filing.as_mut().filter(|_| delivery.filed.is_some()) else {
            return Some(delivery);
        };
        let seq = delivery.seq;
        if self.state.failure.get().is_some() {
            delivery.drop_streams();
            self.missing.push(seq);
            return None;
        }
        match filing.file(delivery, &self.style.folder) {
            Ok(left) => Some(left),
            Err(Unfiled { place, why }) => {
                self.note(seq, &place, Err(why));
                self.missing.push(seq);
                None
            }
        }
    }

    /// Adds the row of a task to the table.
    pub(super) fn write_row(&mut self, row: &Row, delivery: Delivery) {
        let Delivery { seq, stdout, stderr, looks, .. } = delivery;
        let table = self.style.filing.as_mut().and_then(|filing| filing.table.as_mut());
        let Some(table) = table.filter(|_| self.state.failure.get().is_none()) else {
            [stdout, stderr].into_iter().for_each(Piece::discard);
            self.missing.push(seq);
            return;
        };
        let name = table.name();
        let added = table.add(row, [stdout, stderr], &looks, &mut self.stdout);
        match self.note(seq, &name, added) {
            true => self.unflushed.push((seq, false)),
            false => self.missing.push(seq),
        }
    }

    /// No row of the table will follow.
    pub(super) fn close_table(&mut self) {
        let table = self.style.filing.as_mut().and_then(|filing| filing.table.as_mut());
        let closed = table.map(|table| (table.name(), table.close()));
        if let Some((name, Err(why))) = closed {
            self.note(0, &name, Err(Broken::Target(why)));
        }
    }
}
