//! The story of a simulated run.

use std::time::Duration;

/// What happened, line by line.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Lines are printed.
    is_aloud: bool,
    /// Lines are kept.
    keeps: bool,
    story: Vec<String>,
}

impl Telling {
    pub(super) fn nothing() -> Telling {
        Telling::default()
    }

    pub(super) fn aloud() -> Telling {
        Telling { is_aloud: true, ..Telling::default() }
    }

    pub(super) fn kept() -> Telling {
        Telling { keeps: true, ..Telling::default() }
    }

    pub(super) fn tell(&mut self, now: Duration, what: impl FnOnce() -> String) {
        if !self.is_aloud && !self.keeps {
            return;
        }
        let line = format!("{:>8.3} {}", now.as_secs_f64(), what());
        if self.is_aloud {
            println!("{line}");
        }
        if self.keeps {
            self.story.push(line);
        }
    }

    /// The kept lines.
    pub(super) fn into_story(self) -> Vec<String> {
        self.story
    }
}
