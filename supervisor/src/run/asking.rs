//! `-p`: asks the user on the terminal before a task starts.

use rustix::io::{Errno, read};

use super::Run;
use crate::cli::Prompt;
use crate::engine::Event;

/// A terminal hands over one line at a time: longer ones come in parts.
const LINE: usize = 4096;

/// The terminal, and the question that was asked on it.
pub(super) struct Asking {
    prompt: Prompt,
    /// The number of the task that it is about.
    question: Option<u64>,
    /// What was typed so far.
    typed: Vec<u8>,
}

impl Asking {
    pub(super) fn new(prompt: Prompt) -> Asking {
        Asking { prompt, question: None, typed: Vec::new() }
    }

    /// Whether the task may start, if the user has said it. `None`: not yet.
    fn answer(&mut self) -> Option<bool> {
        let mut buffer = [0; LINE];
        loop {
            match read(&self.prompt.terminal, &mut buffer) {
                // An end of the input is no answer for GNU parallel, and a 'no' for xargs.
                Ok(0) if self.prompt.is_of_xargs => return Some(false),
                Ok(0) | Err(Errno::AGAIN | Errno::INTR) => return None,
                Ok(len) => self.typed.extend_from_slice(&buffer[..len]),
                // Nobody is there to answer.
                Err(_) => return Some(false),
            }
            if self.typed.contains(&b'\n') {
                let line = std::mem::take(&mut self.typed);
                return Some(says_yes(&line, self.prompt.is_of_xargs));
            }
        }
    }
}

/// Whether a line means yes: it begins with a 'y'. Before that, GNU parallel allows blanks.
fn says_yes(line: &[u8], is_of_xargs: bool) -> bool {
    let line = if is_of_xargs { line } else { line.trim_ascii_start() };
    matches!(line.first(), Some(b'y' | b'Y'))
}

impl Run {
    /// Asks whether this task may start. The answer is an event.
    pub(super) fn ask(&mut self, seq: u64, value: &[u8], events: &mut Vec<Event>) {
        let command = self.queue.describe(value, seq);
        let Some(asking) = &mut self.conditions.asking else { return };
        let between = if asking.prompt.is_of_xargs { "" } else { " " };
        self.shown.output.say(format!("{}{between}?...", String::from_utf8_lossy(&command)));
        match self.wakeups.watch_terminal(&asking.prompt.terminal) {
            Ok(()) => asking.question = Some(seq),
            Err(why) => {
                self.shown.say(&format!("the terminal: {why}: the task is not started"));
                events.push(Event::Answered { seq, starts: false });
            }
        }
    }

    /// Takes in what the user has answered.
    pub(super) fn hear_answer(&mut self, events: &mut Vec<Event>) {
        let Some(asking) = &mut self.conditions.asking else { return };
        let Some(seq) = asking.question else { return };
        let Some(starts) = asking.answer() else { return };
        asking.question = None;
        // What is typed ahead would wake the loop again and again.
        self.wakeups.forget_terminal(&asking.prompt.terminal);
        events.push(Event::Answered { seq, starts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_y_is_a_yes() {
        let says = |line: &str| [false, true].map(|of_xargs| says_yes(line.as_bytes(), of_xargs));
        assert_eq!(["y\n", "Yes\n", "yellow\n"].map(says), [[true; 2]; 3]);
        assert_eq!(says(" \ty\n"), [true, false]);
        assert_eq!(["\n", "n\n", "ny\n", "", " \n"].map(says), [[false; 2]; 5]);
    }
}
