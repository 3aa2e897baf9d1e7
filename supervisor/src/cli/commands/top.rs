//! `msup top`: watches a run that goes on, on a terminal of its own.

mod keys;
mod view;
mod watched;

use std::io::{self, BufRead, BufReader, IsTerminal, Write, stdin, stdout};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::live;
use crate::cli::{Refusal, UsageError};
use crate::os::signals;
use crate::report::control::{ControlAnswer, ControlRequest};
use keys::Wish;
use watched::Watched;

const SIGHUP: u8 = 1;

/// An output that is shown is looked at again after this time.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// How long a key is waited for before the screen is drawn again.
const KEY_WITHIN: Duration = Duration::from_millis(100);

/// Watch a run that goes on: how far it is, its rate, CPU use and tokens, the tasks that run and
/// those that failed. Keys: p pauses the run and lets it go on, d lets running tasks finish and
/// stops it, + and - change the number of tokens, the arrow keys choose a task and Tab the list,
/// Enter shows what a task has written so far, k kills it (after a question), r retries a failed
/// one, / shows only tasks with a text in their values (Esc shows all), s sorts them by another
/// column, q or Ctrl-C leaves. Leaving changes nothing.
#[derive(Debug, Parser)]
#[command(name = "msup top", override_usage = "msup top [RUN]")]
pub(crate) struct Top {
    /// The run: its id, the folder of its journal with a '/', or the file of a pipeline; without
    /// it, the newest run that was started in this folder, or else the only one
    run: Option<PathBuf>,
}

impl Top {
    /// Watches until a key says that it is enough.
    ///
    /// # Errors
    /// There is no such run or no terminal, or the terminal fails.
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            return Err(UsageError::TopWithoutTerminal.into());
        }
        let (run, mut stream) = live::connect(self.run.as_deref())?;
        let failed = |why: io::Error| UsageError::Ctl { run: run.clone(), why: why.to_string() };
        let heard = hear(stream.try_clone().map_err(failed)?);
        ask(&mut stream, ControlRequest::Stream).map_err(failed)?;
        die_with_terminal();
        // A signal must not leave the terminal as the screen needs it.
        let stopped = signals::note_stops().map_err(failed)?;
        let mut terminal = ratatui::try_init().map_err(failed)?;
        let watched = watch(&mut terminal, &mut stream, &heard, &stopped);
        ratatui::restore();
        // The cursor is seen again.
        drop(terminal);
        match stopped.load(Ordering::SeqCst) as u8 {
            0 => {}
            signal => signals::die_of(signal),
        }
        watched.map_err(|why| failed(why).into())
    }
}

/// Dies of SIGHUP when the terminal is gone: reading keys from it would never end, whatever the
/// signal handlers note.
fn die_with_terminal() {
    thread::spawn(|| {
        let input = stdin();
        // Nothing is awaited but what is always told: that it is gone.
        let mut watched = [PollFd::new(&input, PollFlags::empty())];
        loop {
            match poll(&mut watched, None) {
                Ok(_) => signals::die_of(SIGHUP),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    });
}

/// What the run says, read by a thread: it may be silent for long.
fn hear(stream: UnixStream) -> Receiver<ControlAnswer> {
    let (says, heard) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Ok(answer) = serde_json::from_str(&line) else { return };
            if says.send(answer).is_err() {
                return;
            }
        }
    });
    heard
}

fn ask(stream: &mut UnixStream, request: ControlRequest) -> io::Result<()> {
    stream.write_all(request.line().as_bytes())
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    stream: &mut UnixStream,
    heard: &Receiver<ControlAnswer>,
    stopped: &AtomicUsize,
) -> io::Result<()> {
    let mut view = Watched::default();
    let mut looked = Instant::now();
    while stopped.load(Ordering::SeqCst) == 0 {
        loop {
            match heard.try_recv() {
                Ok(ControlAnswer::Ok(Some(said))) => view.hear(said),
                Ok(ControlAnswer::Ok(None)) => {}
                Ok(ControlAnswer::Error(why)) => view.is_refused(why),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    view.is_over = true;
                    break;
                }
            }
        }
        terminal.draw(|frame| view.draw(frame))?;
        if let Some(seq) = view.wants_output.filter(|_| looked.elapsed() >= LOOKS_EVERY) {
            looked = Instant::now();
            let _ = ask(stream, ControlRequest::Output(seq));
        }
        if !event::poll(KEY_WITHIN)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match keys::take(&mut view, key) {
            Wish::Nothing => {}
            Wish::Leave => return Ok(()),
            // If the run has just finished, the next look at what it said shows that.
            Wish::Ask(request) if !view.is_over => drop(ask(stream, request)),
            Wish::Ask(_) => {}
        }
    }
    Ok(())
}
