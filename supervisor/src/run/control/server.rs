//! The thread that serves the control socket. It never waits for a client, and the run never waits
//! for it: what a client does not read is dropped.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use crate::os::{local_socket, threads};
use crate::report::control::{ControlAnswer, ControlRequest};

/// More clients are turned away.
const CLIENTS: usize = 128;

/// No request is longer.
const REQUEST_AT_MOST: usize = 64 << 10;

/// A client that leaves this much unread is dropped: a single answer is shorter.
const UNREAD_AT_MOST: usize = 64 << 10;

/// A client, by its number.
pub(super) type ClientId = u64;

/// Answers for all clients that follow the run.
const FOLLOWERS: ClientId = 0;

/// The run's side of the thread.
#[derive(Debug)]
pub(in crate::run) struct ControlServer {
    requests: Receiver<(ClientId, ControlRequest)>,
    answers: Option<Sender<(ClientId, String)>>,
    /// Wakes the thread.
    bell: OwnedFd,
    followers: Arc<AtomicUsize>,
    place: PathBuf,
}

impl ControlServer {
    /// Listens in this folder. `doorbell` wakes the run's loop.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::run) fn start(folder: &Path, doorbell: OwnedFd) -> io::Result<ControlServer> {
        let place = folder.join(local_socket::CONTROL);
        let listener = local_socket::listen(&place)?;
        listener.set_nonblocking(true)?;
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let (asks, requests) = channel();
        let (answers, answered) = channel();
        let followers = Arc::new(AtomicUsize::new(0));
        let thread = Serving {
            listener,
            bell: bell.try_clone()?,
            doorbell,
            clients: BTreeMap::new(),
            next: FOLLOWERS + 1,
            asks,
            answered,
            followers: Arc::clone(&followers),
        };
        threads::start("control", move || thread.serve()).map_err(io::Error::other)?;
        Ok(ControlServer { requests, answers: Some(answers), bell, followers, place })
    }

    /// What was asked since the last time.
    pub(in crate::run) fn requests(&self) -> Vec<(ClientId, ControlRequest)> {
        self.requests.try_iter().collect()
    }

    pub(in crate::run) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Relaxed) > 0
    }

    pub(in crate::run) fn answer(&self, client: ClientId, line: String) {
        if let Some(answers) = &self.answers {
            // The thread may be gone, and its clients with it.
            let _ = answers.send((client, line));
            ring(&self.bell);
        }
    }

    pub(in crate::run) fn tell_followers(&self, line: String) {
        self.answer(FOLLOWERS, line);
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.answers = None;
        ring(&self.bell);
        let _ = std::fs::remove_file(&self.place);
    }
}

fn ring(bell: &OwnedFd) {
    // A full counter rings as well.
    let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The newest snapshot, while an older one is being written.
    newest: Option<String>,
    follows: bool,
    /// It sends nothing more.
    is_done: bool,
    /// The number of its requests that are not answered.
    asked: usize,
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        let (newest, follows, is_done, asked) = (None, false, false, 0);
        Client { stream, incoming, outgoing, newest, follows, is_done, asked }
    }

    /// Whether nothing is left to do for it.
    fn is_over(&self) -> bool {
        self.is_done && !self.follows && self.asked == 0 && self.outgoing.is_empty()
    }
}

/// The thread.
struct Serving {
    listener: UnixListener,
    bell: OwnedFd,
    doorbell: OwnedFd,
    clients: BTreeMap<ClientId, Client>,
    next: ClientId,
    asks: Sender<(ClientId, ControlRequest)>,
    answered: Receiver<(ClientId, String)>,
    followers: Arc<AtomicUsize>,
}

impl Serving {
    /// Until the run is over.
    fn serve(mut self) {
        while self.wait().is_ok() && self.take_answers() {
            self.accept();
            self.hear();
            self.write();
        }
    }

    /// Waits until something can be done.
    fn wait(&self) -> io::Result<()> {
        let mut watched = vec![PollFd::new(&self.bell, PollFlags::IN)];
        if self.clients.len() < CLIENTS {
            watched.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        for client in self.clients.values() {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, !client.is_done);
            wanted.set(PollFlags::OUT, !client.outgoing.is_empty());
            // One that only waits for answers has nothing to tell.
            if !wanted.is_empty() {
                watched.push(PollFd::from_borrowed_fd(client.stream.as_fd(), wanted));
            }
        }
        match poll(&mut watched, None) {
            Err(why) if why != rustix::io::Errno::INTR => Err(why.into()),
            _ => Ok(()),
        }
    }

    /// Takes what the run has answered. Returns whether the run goes on.
    fn take_answers(&mut self) -> bool {
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
        loop {
            match self.answered.try_recv() {
                Ok((FOLLOWERS, line)) => {
                    for client in self.clients.values_mut().filter(|client| client.follows) {
                        // One that has not read the last one misses all but the newest one.
                        if client.outgoing.is_empty() {
                            client.outgoing.extend_from_slice(line.as_bytes());
                        } else {
                            client.newest = Some(line.clone());
                        }
                    }
                }
                Ok((client, line)) => {
                    if let Some(client) = self.clients.get_mut(&client) {
                        client.asked = client.asked.saturating_sub(1);
                        client.outgoing.extend_from_slice(line.as_bytes());
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => {
                    // What was begun, and then the newest snapshot.
                    self.write();
                    self.write();
                    return false;
                }
            }
        }
    }

    fn accept(&mut self) {
        while self.clients.len() < CLIENTS
            && let Ok((stream, _)) = self.listener.accept()
        {
            let is_ours = local_socket::is_of_this_user(&stream);
            if is_ours && stream.set_nonblocking(true).is_ok() {
                self.clients.insert(self.next, Client::new(stream));
                self.next += 1;
            }
        }
    }

    /// Reads what clients have sent.
    fn hear(&mut self) {
        let (mut gone, mut has_asked) = (Vec::new(), false);
        for (id, client) in &mut self.clients {
            client.is_done = client.is_done || !client.read();
            if client.outgoing.len() > UNREAD_AT_MOST {
                gone.push(*id);
                continue;
            }
            while let Some(line) = client.next_line() {
                match ControlRequest::read(&line) {
                    Ok(request) => {
                        if request == ControlRequest::Stream && !client.follows {
                            client.follows = true;
                            self.followers.fetch_add(1, Ordering::Relaxed);
                        }
                        client.asked += 1;
                        has_asked |= self.asks.send((*id, request)).is_ok();
                    }
                    Err(why) => {
                        let answer = ControlAnswer::Error(why.to_string());
                        client.outgoing.extend_from_slice(answer.line().as_bytes());
                    }
                }
            }
            if client.incoming.len() > REQUEST_AT_MOST || client.is_over() {
                gone.push(*id);
            }
        }
        for id in gone {
            self.forget(id);
        }
        if has_asked {
            ring(&self.doorbell);
        }
    }

    fn write(&mut self) {
        let mut gone = Vec::new();
        for (id, client) in &mut self.clients {
            match client.stream.write(&client.outgoing) {
                Ok(written) => {
                    client.outgoing.drain(..written);
                    if client.outgoing.is_empty()
                        && let Some(newest) = client.newest.take()
                    {
                        client.outgoing.extend_from_slice(newest.as_bytes());
                    }
                    if client.is_over() {
                        gone.push(*id);
                    }
                }
                Err(why) if would_block(&why) => {}
                Err(_) => gone.push(*id),
            }
        }
        for id in gone {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ClientId) {
        if self.clients.remove(&id).is_some_and(|client| client.follows) {
            self.followers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Client {
    /// Reads what is there, up to the longest request. Returns whether the client is still there.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        while self.incoming.len() <= REQUEST_AT_MOST {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(len) => self.incoming.extend_from_slice(&chunk[..len]),
                Err(why) if would_block(&why) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let at = self.incoming.iter().position(|byte| *byte == b'\n')?;
        let line = self.incoming.drain(..=at).collect();
        Some(line)
    }
}

fn would_block(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
