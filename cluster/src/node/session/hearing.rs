//! What a session hears: the server, the state of the connection, signals, the time.

use std::time::Duration;

use async_nats::Subject;
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::MissedTickBehavior;

use super::super::Changes;
use super::super::signals::Signals;
use super::News;
use crate::error::ClusterError;
use crate::server::Server;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(100);

/// Hears the server: tasks, and that the job is cancelled or done.
pub(super) async fn listen(
    server: &Server,
    inbox: &str,
    sender: &UnboundedSender<News>,
) -> Result<(), ClusterError> {
    let subjects = [format!("{inbox}.*"), server.names.cancel(), server.names.done()];
    for subject in subjects {
        let heard = server.client.subscribe(Subject::from(subject.clone())).await;
        let mut heard = heard.map_err(|why| server.trouble(&subject, why.to_string()))?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(message) = heard.next().await {
                if sender.send(News::Message(message)).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// Hears of the connection, of signals, and of the time.
pub(super) fn heed(changes: &Changes, signals: &Signals, sender: &UnboundedSender<News>) {
    let (mut changes, to) = (changes.clone(), sender.clone());
    changes.mark_unchanged();
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            let (is_there, _) = *changes.borrow_and_update();
            if to.send(News::Connection(is_there)).is_err() {
                return;
            }
        }
    });
    let (mut arrived, to) = (signals.arrived.clone(), sender.clone());
    tokio::spawn(async move {
        loop {
            let count = *arrived.borrow_and_update();
            if to.send(News::Signals(count)).is_err() || arrived.changed().await.is_err() {
                return;
            }
        }
    });
    let to = sender.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while to.send(News::Tick).is_ok() {
            ticks.tick().await;
        }
    });
}

/// The name of this machine.
pub(super) fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
