//! The control socket of a run: what clients ask for, carried out between two turns of the loop.

mod adjusting;
mod looking;
mod orders;
mod server;
mod snapshot;

use std::time::Duration;

use super::Run;
use super::activity::Activities;
use crate::cli::{Concurrency, Outputs, Values, Voice};
use crate::engine::{Event, Steering};
use crate::journal::{registry, unkept};
use crate::report::control::{ControlAnswer, ControlRequest, Snapshot};

use adjusting::Adjustable;
use looking::OpenLooks;
use orders::LastFailures;
use server::{ClientId, ControlServer};

/// How often clients that follow the run get a snapshot.
const STREAM_EVERY: Duration = Duration::from_millis(250);

/// SIGTERM.
const DRAINS: u8 = 15;

/// How far a run can be steered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steered {
    adjustable: Adjustable,
    /// Failed tasks run again by `msup retry` only: why.
    retries_afterwards: Option<&'static str>,
}

impl Steered {
    pub(super) fn of(
        concurrency: &Concurrency,
        is_pipeline: bool,
        outputs: &Outputs,
        values: &Values,
    ) -> Steered {
        Steered {
            adjustable: Adjustable::of(concurrency),
            retries_afterwards: orders::retries_afterwards(is_pipeline, outputs, values),
        }
    }
}

/// The socket, and what was asked over it.
#[derive(Debug, Default)]
pub(super) struct Controlled {
    server: Option<ControlServer>,
    is_paused: bool,
    steered: Steered,
    failures: LastFailures,
    looks: OpenLooks,
    /// What the tasks do that are in the snapshots of a stream.
    activities: Activities,
    /// When the next snapshot of a stream is due.
    due: Duration,
}

impl Controlled {
    fn by(server: ControlServer, steered: Steered) -> Controlled {
        Controlled { server: Some(server), steered, ..Controlled::default() }
    }

    /// When clients want to hear of the run.
    pub(super) fn due(&self) -> Option<Duration> {
        let is_followed = self.server.as_ref().is_some_and(ControlServer::is_followed);
        let followed = is_followed.then_some(self.due);
        followed.into_iter().chain(self.looks.due()).min()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    fn answer(&self, client: ClientId, answer: &ControlAnswer) {
        if let Some(server) = &self.server {
            server.answer(client, answer.line());
        }
    }
}

impl Run {
    /// Listens to `msup ctl`, in the folder of the journal if there is one. A run that it cannot
    /// reach goes on all the same.
    pub(super) fn listen(&mut self, steered: Steered) {
        let place = match self.log.folder() {
            Some(folder) => {
                registry::register(folder, self.reports.figures.run_id());
                folder.path().to_owned()
            }
            // As xargs, it is one of many runs of a script.
            None if matches!(self.reports.asked.voice, Voice::Xargs { .. }) => return,
            None => {
                // A run that cannot be made known goes on all the same.
                let _ = unkept::announce(self.segments.folder(), self.reports.figures.run_id());
                self.segments.folder().to_owned()
            }
        };
        let doorbell = self.wakeups.doorbell().map_err(std::io::Error::other);
        match doorbell.and_then(|doorbell| ControlServer::start(&place, doorbell)) {
            Ok(server) => self.reports.controlled = Controlled::by(server, steered),
            Err(why) => self.shown.say(&format!("msup ctl cannot reach this run: {why}")),
        }
    }
}

/// What an order has come to, for people if it was not carried out.
fn answer_to(order: Result<(), String>) -> ControlAnswer {
    order.map_or_else(ControlAnswer::Error, |()| ControlAnswer::Ok(None))
}

impl Run {
    /// Carries out what clients have asked for.
    pub(super) fn hear_clients(&mut self, events: &mut Vec<Event>) {
        let requests =
            self.reports.controlled.server.as_ref().map_or(Vec::new(), ControlServer::requests);
        for (client, request) in requests {
            if let Some(answer) = self.carry_out(client, request, events) {
                self.reports.controlled.answer(client, &answer);
            }
        }
    }

    /// Returns the answer, unless that comes later.
    fn carry_out(
        &mut self,
        client: ClientId,
        request: ControlRequest,
        events: &mut Vec<Event>,
    ) -> Option<ControlAnswer> {
        let order = match request {
            ControlRequest::Snapshot | ControlRequest::Stream => {
                return Some(ControlAnswer::snapshot(self.snapshot()));
            }
            ControlRequest::Pause | ControlRequest::Continue => {
                self.reports.controlled.is_paused = request == ControlRequest::Pause;
                let pause = Steering::Pause(self.reports.controlled.is_paused);
                events.push(Event::Steered(pause));
                Ok(())
            }
            ControlRequest::Drain => {
                self.drain(events);
                Ok(())
            }
            ControlRequest::Procs(procs) => self.adjust_procs(procs, events),
            ControlRequest::MaxWorkers(most) => {
                self.reports.controlled.steered.adjustable.max_workers(most).map(|adjusted| {
                    events.extend(adjusted.into_iter().map(Event::Steered));
                })
            }
            ControlRequest::Kill(seq) => self.kill_task(seq),
            ControlRequest::Retry(seq) => match self.ask_for_retry(client, seq, events) {
                Ok(()) => return None,
                Err(why) => Err(why),
            },
            ControlRequest::Output(seq) => match self.begin_look(client, seq) {
                Ok(()) => return None,
                Err(why) => Err(why),
            },
        };
        Some(answer_to(order))
    }

    /// Running tasks finish, and the run stops. A second signal would stop them, a second drain
    /// does not.
    fn drain(&self, events: &mut Vec<Event>) {
        let is_asked = |event: &Event| matches!(event, Event::StopSignal(_));
        if !self.engine.is_stopped() && !events.iter().any(is_asked) {
            events.push(Event::StopSignal(DRAINS));
        }
    }

    /// Tells clients that follow the run how it has ended.
    pub(super) fn tell_clients_last(&mut self) {
        if !self.reports.controlled.server.as_ref().is_some_and(ControlServer::is_followed) {
            return;
        }
        let snapshot = Snapshot { state: "over".into(), ..self.snapshot() };
        if let Some(server) = &self.reports.controlled.server {
            server.tell_followers(ControlAnswer::snapshot(snapshot).line());
        }
    }

    /// Tells clients that follow the run how it is doing, and others what they have asked for.
    pub(super) fn tell_clients(&mut self) {
        let now = self.clock.now();
        if self.reports.controlled.due().is_none_or(|due| now < due) {
            return;
        }
        self.finish_looks(now);
        let controlled = &mut self.reports.controlled;
        let is_followed = controlled.server.as_ref().is_some_and(ControlServer::is_followed);
        if !is_followed || now < controlled.due {
            return;
        }
        controlled.due = now + STREAM_EVERY;
        let line = ControlAnswer::snapshot(self.snapshot()).line();
        if let Some(server) = &self.reports.controlled.server {
            server.tell_followers(line);
        }
    }
}
