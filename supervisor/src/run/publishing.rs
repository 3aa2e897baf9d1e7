//! `--metrics`: writes the counters of a run to a file, or serves them over HTTP. Both do so in a
//! thread of its own: a file system that hangs, or a reader that stalls, holds up nothing.

use std::fs::Permissions;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Run;
use crate::cli::MetricsPlace;
use crate::engine::Entry;
use crate::os::files;
use crate::os::threads;
use crate::report::metrics::{Metrics, MetricsFormat, MetricsNow, TaskLabels};

/// How often a file is written, and how often what is served is brought up to date.
const FILE_EVERY: Duration = Duration::from_secs(5);
const SERVED_EVERY: Duration = Duration::from_secs(1);

/// The last counters are given this long to reach the file.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// A request must have come, and its answer be read, within this time.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// Other users may read the file: collectors are users of their own.
const READABLE: u32 = 0o644;

/// Clients that are answered at the same time.
const CLIENTS: usize = 16;

/// No request is longer.
const REQUEST_AT_MOST: usize = 8 << 10;

/// The counters of a run, and where they go.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) metrics: Metrics,
    due: Duration,
    outlet: Outlet,
}

#[derive(Debug)]
enum Outlet {
    File {
        texts: SyncSender<String>,
        /// Of each text, how writing it went.
        written: Receiver<io::Result<()>>,
        /// While it is bound, no other run writes this file.
        _claim: UnixListener,
    },
    Server(Arc<Mutex<(Metrics, MetricsNow)>>),
}

impl Publisher {
    /// # Errors
    /// The file cannot be written, another run writes it, or the address is in use.
    pub(super) fn open(place: &MetricsPlace) -> io::Result<Publisher> {
        let outlet = match place {
            MetricsPlace::File(path) => to_file(path)?,
            MetricsPlace::Address(address) => to_server(*address)?,
        };
        Ok(Publisher { metrics: Metrics::default(), due: Duration::ZERO, outlet })
    }

    /// Publishes what is known, if it is time. `now`: since the run began.
    fn publish(&mut self, now: Duration, gauges: MetricsNow) {
        if now < self.due {
            return;
        }
        match &self.outlet {
            Outlet::File { texts, .. } => {
                self.due = now + FILE_EVERY;
                // If the last one is still being written, the next one comes in a moment.
                let _ = texts.try_send(self.metrics.text(gauges, MetricsFormat::Plain));
            }
            Outlet::Server(served) => {
                self.due = now + SERVED_EVERY;
                let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
                *served = (self.metrics.clone(), gauges);
            }
        }
    }

    /// Publishes the last counters.
    ///
    /// # Errors
    /// They could not be written.
    fn finish(self, gauges: MetricsNow) -> io::Result<()> {
        let Outlet::File { texts, written, _claim } = self.outlet else { return Ok(()) };
        while written.try_recv().is_ok() {}
        let late = || io::ErrorKind::TimedOut.into();
        texts.send(self.metrics.text(gauges, MetricsFormat::Plain)).map_err(io::Error::other)?;
        written.recv_timeout(LAST_WITHIN).map_err(|_| late()).flatten()
    }
}

/// # Errors
/// It cannot be written, or another run writes it.
fn to_file(path: &Path) -> io::Result<Outlet> {
    let path = std::path::absolute(path)?;
    let claim = claimed(&path)?;
    sweep(&path);
    // Once at the start, so that a wrong place is told at once.
    write(&path, &Metrics::default().text(MetricsNow::default(), MetricsFormat::Plain))?;
    let (texts, received) = sync_channel::<String>(1);
    let (tells, written) = sync_channel(1);
    threads::start("metrics", move || {
        for text in received {
            // The next one may succeed: a disk is full for a while.
            let _ = tells.try_send(write(&path, &text));
        }
    })
    .map_err(io::Error::other)?;
    Ok(Outlet::File { texts, written, _claim: claim })
}

/// Makes sure that this is the only run that writes this file: a socket without a file, by the name
/// of its folder and its own. It is gone with the process, however that exits.
fn claimed(path: &Path) -> io::Result<UnixListener> {
    let folder = std::fs::metadata(files::folder_of(path))?;
    let mut hasher = DefaultHasher::new();
    (folder.dev(), folder.ino(), path.file_name()).hash(&mut hasher);
    let name = format!("msup-metrics-{:016x}", hasher.finish());
    UnixListener::bind_addr(&UnixAddr::from_abstract_name(name)?).map_err(|why| match why.kind() {
        io::ErrorKind::AddrInUse => io::Error::other("another run writes this file"),
        _ => why,
    })
}

/// Removes what a run that was killed has left of a write: no other one writes this file now.
fn sweep(path: &Path) {
    let Some(name) = path.file_name() else { return };
    let begins = [b".", name.as_bytes(), b"."].concat();
    for entry in std::fs::read_dir(files::folder_of(path)).into_iter().flatten().flatten() {
        let other = entry.file_name();
        if other.as_bytes().starts_with(&begins) && other.as_bytes().ends_with(b".tmp") {
            // It stays where it cannot be removed.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Replaces the file as a whole. The temporary one does not end in `.prom`: it is not read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    files::replace(path, |mut file| {
        file.write_all(text.as_bytes())?;
        match file.metadata()?.is_file() {
            true => file.set_permissions(Permissions::from_mode(READABLE)),
            false => Ok(()),
        }
    })
}

/// # Errors
/// The address cannot be used.
fn to_server(address: SocketAddr) -> io::Result<Outlet> {
    let listener = TcpListener::bind(address)?;
    let served = Arc::new(Mutex::new((Metrics::default(), MetricsNow::default())));
    let shared = Arc::clone(&served);
    threads::start("metrics", move || {
        let clients = Arc::new(());
        for connection in listener.incoming().flatten() {
            // One for the listener itself. More than this are turned away.
            if Arc::strong_count(&clients) > CLIENTS {
                continue;
            }
            let (shared, client) = (Arc::clone(&shared), Arc::clone(&clients));
            // Without a thread there is no answer; the next scrape may get one.
            let _ = threads::start("metrics", move || {
                let _ = answer(connection, &shared);
                drop(client);
            });
        }
    })
    .map_err(io::Error::other)?;
    Ok(Outlet::Server(served))
}

/// Answers one request.
fn answer(mut client: TcpStream, served: &Mutex<(Metrics, MetricsNow)>) -> io::Result<()> {
    let until = Instant::now() + REQUEST_WITHIN;
    client.set_write_timeout(Some(REQUEST_WITHIN))?;
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.len() < REQUEST_AT_MOST {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        let mut chunk = [0; 1024];
        match client.read(&mut chunk)? {
            0 => break,
            len => request.extend_from_slice(&chunk[..len]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, kind, body) = match (method, target.split('?').next()) {
        ("GET", Some("/metrics")) => {
            let accepts = |line: &str| line.to_ascii_lowercase().starts_with("accept:");
            let wanted = request.lines().find(|line| accepts(line)).unwrap_or_default();
            let format = match wanted.contains("application/openmetrics-text") {
                true => MetricsFormat::OpenMetrics,
                false => MetricsFormat::Plain,
            };
            let (metrics, gauges) = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ("200 OK", format.content_type(), metrics.text(gauges, format))
        }
        ("GET", _) => ("404 Not Found", "text/plain", "only /metrics is here\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "only GET is answered\n".to_owned()),
    };
    let len = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n");
    client.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
}

impl Run {
    /// Counts a task that has finished.
    pub(super) fn count(&mut self, entry: &Entry) {
        let Entry::End { value, failure, wall, .. } = entry else { return };
        let Some(publisher) = &mut self.reports.publisher else { return };
        let (state, cause) = match failure {
            None => ("succeeded", ""),
            Some((cause, false)) => ("failed", cause.class()),
            Some((cause, true)) => ("quarantined", cause.class()),
        };
        let stage = match &self.inputs.pipeline {
            Some(_) => String::from_utf8_lossy(value).split(": ").next().map(str::to_owned),
            None => None,
        };
        let labels = TaskLabels { state, cause, stage: stage.unwrap_or_default() };
        publisher.metrics.note(labels, *wall);
    }

    /// Publishes the counters, if they are asked for and it is time.
    pub(super) fn publish_metrics(&mut self) {
        let (now, gauges) = (self.clock.now(), self.gauges());
        if let Some(publisher) = &mut self.reports.publisher {
            publisher.publish(now, gauges);
        }
    }

    /// Publishes the last ones.
    pub(super) fn publish_last_metrics(&mut self) {
        let gauges = MetricsNow { running: 0, ..self.gauges() };
        let finished = self.reports.publisher.take().map(|publisher| publisher.finish(gauges));
        if let (Some(Err(why)), Some(place)) = (finished, &self.reports.asked.metrics) {
            self.shown.say(&format!("--metrics {place}: the last counters are missing: {why}"));
        }
    }

    fn gauges(&self) -> MetricsNow {
        let (tally, running) = (self.engine.tally(), self.reports.figures.now.1);
        let over = tally.finished() + tally.cancelled + u64::from(running);
        MetricsNow {
            running,
            waiting: self.engine.accepted().saturating_sub(over),
            tokens: self.reports.figures.procs(),
            attempts: tally.attempts,
        }
    }
}
