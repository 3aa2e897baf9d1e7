//! An idle node looks whether the job is done.

use std::time::Duration;

use super::super::delivering::{self, Checked};
use super::{News, Session};
use crate::error::ClusterError;
use crate::records::Meta;
use crate::server::Server;
use crate::state::Doneness;

/// How an idle node has found the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) enum Look {
    GoesOn,
    /// All tasks have results, and some are not acknowledged.
    Unacknowledged,
    Done,
    Cancelled,
}

/// Acknowledgements that are missing for this many leases do not come any more.
const LEASES: u32 = 2;

impl Session<'_> {
    pub(super) fn look(&mut self) {
        let (server, sender, meta) = (self.server.clone(), self.sender.clone(), self.meta.clone());
        self.errands.spawn(async move {
            let _ = sender.send(News::Looked(look(&server, &meta).await));
        });
    }

    pub(super) fn on_looked(
        &mut self,
        look: Result<Look, ClusterError>,
    ) -> Result<(), ClusterError> {
        match look {
            Ok(Look::GoesOn) => self.ending.looked(),
            Ok(Look::Unacknowledged) => {
                self.ending.looked();
                let lease = Duration::from_millis(self.meta.lease_ms);
                if self.ending.unacknowledged_for() > LEASES * lease {
                    self.settle_rest();
                }
            }
            Ok(Look::Done) => self.ending.finish(),
            Ok(Look::Cancelled) => self.on_cancelled(),
            // That the server is not reached is told by the connection.
            Err(ClusterError::Unreachable { .. }) => self.ending.looked(),
            Err(why) => return Err(why),
        }
        Ok(())
    }

    /// A server that was killed may have forgotten acknowledgements, and hand out these tasks never
    /// again. What they could stand for is done here.
    fn settle_rest(&mut self) {
        let (server, sender, meta) = (self.server.clone(), self.sender.clone(), self.meta.clone());
        self.errands.spawn(async move {
            let _ = sender.send(News::Looked(settle_rest(&server, &meta).await));
        });
    }
}

async fn look(server: &Server, meta: &Meta) -> Result<Look, ClusterError> {
    if server.is_cancelled().await? {
        return Ok(Look::Cancelled);
    }
    // A job that was removed is over, too.
    match server.meta().await? {
        Some((_, now)) if now.id == meta.id => {}
        _ => return Ok(Look::Cancelled),
    }
    Ok(match server.doneness(meta).await? {
        Doneness::Open => Look::GoesOn,
        Doneness::Unacknowledged => Look::Unacknowledged,
        Doneness::Done => Look::Done,
    })
}

async fn settle_rest(server: &Server, meta: &Meta) -> Result<Look, ClusterError> {
    for seq in server.tasks_left().await? {
        let Checked::Finished(record) = server.check(seq).await? else {
            return Ok(Look::GoesOn);
        };
        if delivering::place(record.file).await.is_err() {
            // Another node may be able to.
            return Ok(Look::GoesOn);
        }
    }
    server.close(meta).await?;
    Ok(Look::Done)
}
