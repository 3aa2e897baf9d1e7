//! The text of the progress bar, and the line of `--progress`.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::paint::{Paint, TextStyle};
use super::rate::Rate;

/// The number of tasks named below the bar.
pub(crate) const NAMED: usize = 5;

/// Tasks that have run for less than this get no line: it would flicker.
pub(crate) const NAMED_AFTER: Duration = Duration::from_secs(1);

/// Between two fields.
const SEPARATOR: &str = " · ";

/// How a run shows its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Silent,
    /// A bar on the terminal.
    Bar,
    /// A line now and then.
    Lines(Duration),
}

/// What the bar shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// The number of known tasks, and whether they are all.
    pub(crate) total: u64,
    pub(crate) all_read: bool,
    /// The number of finished tasks, earlier generations included.
    pub(crate) ended: u64,
    pub(crate) running: u32,
    pub(crate) failed: u64,
    pub(crate) retried: u64,
    /// Nothing new is started any more.
    pub(crate) stops: bool,
    /// Nothing new is started until the user wants it.
    pub(crate) is_paused: bool,
    /// The rate of this generation.
    pub(crate) rate: Option<Rate>,
    /// The longest-running tasks.
    pub(crate) longest: Vec<LongTask>,
}

/// A task that has run for long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LongTask {
    pub(crate) elapsed: Duration,
    /// What it does: computing, waiting or writing.
    pub(crate) activity: &'static str,
    /// Its value.
    pub(crate) what: String,
}

impl Progress {
    /// The lines of the bar; none is longer than the terminal has columns.
    pub(crate) fn lines(&self, columns: usize, paint: Paint) -> Vec<String> {
        let mut first = Line::new(columns);
        for (index, (text, style)) in self.fields().iter().enumerate() {
            if index > 0 && first.left <= SEPARATOR.width() {
                // Nothing of the field would be seen.
                first.cut_off();
                break;
            }
            if index > 0 {
                first.add(SEPARATOR, TextStyle::Plain, paint);
            }
            first.add(text, *style, paint);
        }
        let mut lines = vec![first.text];
        for task in self.longest.iter().take(NAMED) {
            let mut line = Line::new(columns);
            let head = format!("{:>10}  {:<9}  ", lasting(task.elapsed), task.activity);
            line.add(&head, TextStyle::Dim, paint);
            line.add(&task.what, TextStyle::Plain, paint);
            lines.push(line.text);
        }
        lines
    }

    /// The line of `--progress`.
    pub(crate) fn line(&self) -> String {
        let fields: Vec<String> = self.fields().into_iter().map(|(text, _)| text).collect();
        fields.join(SEPARATOR)
    }

    fn fields(&self) -> Vec<(String, TextStyle)> {
        let open = if self.all_read { "" } else { "+" };
        let mut fields = vec![(format!("{}/{}{open}", self.ended, self.total), TextStyle::Bold)];
        let mut add = |text: String| fields.push((text, TextStyle::Plain));
        if self.stops {
            add("stopping".into());
        } else if self.is_paused {
            add("paused".into());
        } else if let Some(rate) = self.rate {
            add(rate.to_string());
            let left = self.total.saturating_sub(self.ended);
            if self.all_read && left > 0 {
                add(format!("{} left", roughly(rate.time_for(left))));
            }
        }
        add(format!("{} running", self.running));
        if self.failed > 0 {
            fields.push((format!("{} failed", self.failed), TextStyle::Bad));
        }
        if self.retried > 0 {
            fields.push((format!("{} retried", self.retried), TextStyle::Plain));
        }
        fields
    }
}

/// A line that leaves the last column free: a terminal may wrap after that column.
struct Line {
    text: String,
    left: usize,
}

impl Line {
    fn new(columns: usize) -> Line {
        Line { text: String::new(), left: columns.saturating_sub(1) }
    }

    fn add(&mut self, text: &str, style: TextStyle, paint: Paint) {
        let width = text.width();
        if width <= self.left {
            self.left -= width;
            self.text += &paint.text(style, text);
            return;
        }
        let mut cut = String::new();
        // One column is for the mark.
        let mut left = self.left.saturating_sub(1);
        for c in text.chars() {
            let width = c.width().unwrap_or(0);
            if width > left {
                break;
            }
            left -= width;
            cut.push(c);
        }
        self.text += &paint.text(style, &cut);
        self.cut_off();
    }

    /// Marks that something is missing.
    fn cut_off(&mut self) {
        if self.left > 0 {
            self.text.push('…');
        }
        self.left = 0;
    }
}

/// Elapsed time, to the second.
fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// An estimated time to come.
fn roughly(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", seconds.div_ceil(60)),
        6000..172_800 => format!("{} h", seconds.div_ceil(3600)),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { colours: false };

    fn progress() -> Progress {
        Progress {
            total: 200,
            all_read: true,
            ended: 61,
            running: 3,
            failed: 1,
            retried: 2,
            rate: Rate::of(33, Duration::from_secs(1)),
            ..Progress::default()
        }
    }

    #[test]
    fn it_reads_as_documented() {
        let all = "61/200 · 33/s · 5 s left · 3 running · 1 failed · 2 retried";
        assert_eq!(progress().line(), all);
        assert_eq!(progress().lines(80, PLAIN), [all]);
        let quiet = Progress { failed: 0, retried: 0, rate: None, ..progress() };
        assert_eq!(quiet.line(), "61/200 · 3 running");
        let reading = Progress { all_read: false, ..progress() };
        assert_eq!(reading.line(), "61/200+ · 33/s · 3 running · 1 failed · 2 retried");
        let stopping = Progress { stops: true, ..progress() };
        assert_eq!(stopping.line(), "61/200 · stopping · 3 running · 1 failed · 2 retried");
        let paused = Progress { is_paused: true, ..progress() };
        assert_eq!(paused.line(), "61/200 · paused · 3 running · 1 failed · 2 retried");
    }

    #[test]
    fn no_line_reaches_the_last_column() {
        let longest =
            [(75, "computing", "x".repeat(300)), (7, "waiting", "\u{65e5}\u{672c}".repeat(100))];
        let longest = longest.map(|(seconds, activity, what)| LongTask {
            elapsed: Duration::from_secs(seconds),
            activity,
            what,
        });
        let longest = longest.to_vec();
        let progress = Progress { longest, ..progress() };
        for columns in 0..200 {
            for line in progress.lines(columns, PLAIN) {
                assert!(line.width() <= columns.saturating_sub(1), "{columns}: {line}");
            }
        }
        let lines = progress.lines(40, PLAIN);
        assert_eq!(lines[0], "61/200 · 33/s · 5 s left · 3 running…");
        assert_eq!(lines[1], "1 min 15 s  computing  xxxxxxxxxxxxxxx…");
        assert!(lines[2].starts_with("       7 s  waiting    \u{65e5}\u{672c}"));
    }

    #[test]
    fn colours_take_no_room() {
        let paint = Paint { colours: true };
        let line = &progress().lines(80, paint)[0];
        assert!(line.contains("\x1b[31m1 failed\x1b[m"), "{line:?}");
        let plain = line.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[m", "");
        assert_eq!(plain, progress().line());
    }

    #[test]
    fn times_are_as_exact_as_they_can_be() {
        let times = [0, 5, 99, 100, 5999, 6000, 172_799, 172_800];
        let shown = times.map(|seconds| roughly(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "5 s", "99 s", "2 min", "100 min", "2 h", "48 h", "2 d"]);
        let shown = [0, 59, 61, 3661].map(|seconds| lasting(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "59 s", "1 min 01 s", "1 h 01 min"]);
    }
}
