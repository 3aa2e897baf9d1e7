//! A terminal for a test: its output is drawn on a small model of a screen.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use nix::pty::{Winsize, openpty};

use crate::Sandbox;

/// The number of lines that are kept after they have scrolled off the top.
const SCROLLBACK: usize = 50_000;

/// A pseudo-terminal, its screen, and all that was ever written to it.
pub struct Screen {
    master: OwnedFd,
    slave: OwnedFd,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

fn positive(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("positive")
}

impl Screen {
    /// An empty one.
    ///
    /// # Panics
    /// If there are no terminals left.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Screen {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a pseudo-terminal");
        let parser = vt100::Parser::new(positive(rows), positive(columns), SCROLLBACK);
        let seen = Arc::new(Mutex::new(Seen { parser, raw: Vec::new() }));
        let (drawn, master) = (Arc::clone(&seen), pair.master.try_clone().expect("a descriptor"));
        thread::spawn(move || {
            let (mut master, mut buffer) = (File::from(master), [0; 65536]);
            while let Ok(len @ 1..) = master.read(&mut buffer) {
                let mut seen = drawn.lock().expect("no panic");
                seen.raw.extend_from_slice(&buffer[..len]);
                seen.parser.process(&buffer[..len]);
            }
        });
        Screen { master: pair.master, slave: pair.slave, seen }
    }

    /// Starts bash with this script, with job control and this as its controlling terminal. `$MSUP`
    /// is msup.
    ///
    /// # Panics
    /// If there is no bash or setsid.
    pub fn shell(&self, sandbox: &Sandbox, script: &str) -> Child {
        let mut command = sandbox.command("setsid");
        command.args(["--ctty", "--wait", "bash", "-mc", script]);
        command.env("MSUP", crate::program("msup"));
        self.start(&mut command)
    }

    /// Starts a command on it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(&self, command: &mut Command) -> Child {
        let stream = || Stdio::from(self.slave.try_clone().expect("a descriptor"));
        command.stdin(stream()).stdout(stream()).stderr(stream()).env("TERM", "xterm-256color");
        command.spawn().expect("it is installed")
    }

    /// Types this text.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_keys(&self, keys: &[u8]) {
        let mut master = File::from(self.master.try_clone().expect("a descriptor"));
        master.write_all(keys).expect("it is there");
    }

    /// Changes its size.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let mut seen = self.seen();
        rustix::termios::tcsetwinsize(self.master.as_fd(), size).expect("it is there");
        seen.parser.set_size(positive(rows), positive(columns));
    }

    /// The visible rows, without trailing blanks.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        rows(self.seen().parser.screen())
    }

    /// The cursor's row and column.
    #[must_use]
    pub fn cursor(&self) -> (u16, u16) {
        self.seen().parser.screen().cursor_position()
    }

    /// Whether a program has hidden the cursor.
    #[must_use]
    pub fn hides_cursor(&self) -> bool {
        self.seen().parser.screen().hide_cursor()
    }

    /// All rows that ever existed and were not erased, without the empty ones at the end.
    #[must_use]
    pub fn all_rows(&self) -> Vec<String> {
        let mut seen = self.seen();
        let screen = seen.parser.screen_mut();
        let mut above = screen.scrollback_len();
        let mut all = Vec::new();
        while above > 0 {
            screen.set_scrollback(above);
            let visible = rows(screen);
            let new = visible.len().min(above);
            all.extend(visible.into_iter().take(new));
            above -= new;
        }
        screen.set_scrollback(0);
        all.extend(rows(screen));
        while all.last().is_some_and(String::is_empty) {
            all.pop();
        }
        all
    }

    /// Whether a row continues in the next one.
    #[must_use]
    pub fn has_wrapped(&self) -> bool {
        let seen = self.seen();
        let screen = seen.parser.screen();
        (0..screen.size().0.get()).any(|row| screen.row_wrapped(row))
    }

    /// How often this text was written to it.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.seen().raw).matches(text).count()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic")
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.rows().join("\n"))
    }
}

fn rows(screen: &vt100::Screen) -> Vec<String> {
    let rows = screen.rows(0, screen.size().1.get());
    rows.map(|row| row.trim_end().to_owned()).collect()
}
