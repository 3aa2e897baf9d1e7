//! The bar on the terminal. The cursor stays where the bar begins: whatever any process writes, and
//! however the terminal rewraps lines when its size changes, erasing from there on removes the bar
//! and nothing else.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::os::patient::Patient;
use crate::os::terminal;
use crate::report::bar::Progress;
use crate::report::paint::Paint;

/// A run that is over before this shows no bar.
const NOT_BEFORE: Duration = Duration::from_millis(300);

/// It is redrawn this often even if nothing has changed: the terminal's size may have.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// The bar stays at least this long before it is removed for output: else it would flicker.
const STANDS: Duration = Duration::from_millis(30);

/// From the cursor's row to the end of the screen.
const ERASE: &str = "\r\x1b[J";

/// Lines that are too long are cut, not broken, while this is off.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

#[derive(Debug)]
pub(super) struct Screen {
    terminal: Patient,
    paint: Paint,
    began: Instant,
    progress: Progress,
    /// It must not be drawn.
    hidden: bool,
    /// Whether it is on the screen, and since when it has not changed.
    stands: bool,
    drawn: Instant,
    /// Its height, which does not shrink.
    height: usize,
}

impl Screen {
    pub(super) fn new() -> io::Result<Screen> {
        let now = Instant::now();
        Ok(Screen {
            terminal: Patient::on(io::stderr())?,
            paint: Paint::of(true),
            began: now,
            progress: Progress::default(),
            hidden: false,
            stands: false,
            drawn: now,
            height: 0,
        })
    }

    /// Draws the bar, if it is time; `progress`: new figures, if any.
    pub(super) fn show(&mut self, progress: Option<Progress>) {
        let is_new = progress.is_some();
        self.progress = progress.unwrap_or_else(|| std::mem::take(&mut self.progress));
        let is_due = !self.stands || is_new || self.drawn.elapsed() >= DRAW_EVERY;
        let is_known = self.progress.total > 0 || self.progress.all_read;
        if self.hidden || !is_due || !is_known || self.began.elapsed() < NOT_BEFORE {
            return;
        }
        if terminal::is_in_background() {
            self.stands = false;
            return;
        }
        let (rows, columns) = terminal::size();
        let mut lines = self.progress.lines(columns, self.paint);
        self.height = self.height.max(lines.len());
        // At least one row is for output.
        lines.resize(self.height.min(rows.saturating_sub(1)).max(1), String::new());
        let mut text = format!("{WRAP_OFF}{ERASE}\x1b[m{}", lines.join("\r\n"));
        if lines.len() > 1 {
            text += &format!("\x1b[{}A", lines.len() - 1);
        }
        text += "\r";
        text += WRAP_ON;
        self.stands = self.write(&text);
        self.drawn = Instant::now();
    }

    /// Removes the bar, so that something else can be written in its place.
    pub(super) fn lift(&mut self) {
        if !std::mem::take(&mut self.stands) || terminal::is_in_background() {
            return;
        }
        thread::sleep(STANDS.saturating_sub(self.drawn.elapsed()));
        self.write(ERASE);
    }

    /// Removes the bar until it may be drawn again.
    pub(super) fn hide(&mut self, hidden: bool) {
        self.lift();
        self.hidden = hidden;
    }

    /// Whether it has been away for so long that it should be shown between two outputs.
    pub(super) fn is_missed(&self) -> bool {
        self.drawn.elapsed() >= DRAW_EVERY
    }

    fn write(&mut self, text: &str) -> bool {
        // When the terminal is gone the bar cannot be shown.
        self.terminal.write_all(text.as_bytes()).is_ok()
    }
}
