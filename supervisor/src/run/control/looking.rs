//! `msup ctl output`: what a running task has written so far. Its worker holds that; it is asked to
//! show it in files, which are read here.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use msup_protocol::codec;
use msup_protocol::packed::WorkerId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::Run;
use super::answer_to;
use super::orders::does_not_run;
use super::server::ClientId;
use crate::report::control::{ControlAnswer, Said, TaskOutput};
use crate::tasks::attempts::Sight;

/// How often it is looked whether a worker has shown its output, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SHOWS_WITHIN: Duration = Duration::from_secs(2);

/// The last bytes of each stream that are told. Both fit into a line of the socket, whatever they
/// are as JSON: at most six bytes for each.
const TOLD: u64 = 5 << 10;

/// The clients that wait for an output.
#[derive(Debug, Default)]
pub(super) struct OpenLooks {
    open: Vec<Look>,
    due: Duration,
}

#[derive(Debug)]
struct Look {
    client: ClientId,
    seq: u64,
    worker: WorkerId,
    attempt: Sight,
    until: Duration,
}

impl OpenLooks {
    /// When to look again.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.open.is_empty()).then_some(self.due)
    }
}

impl Run {
    /// Asks for the output of a running task. The client hears of it later.
    ///
    /// # Errors
    /// There is none to be seen: why.
    pub(super) fn begin_look(&mut self, client: ClientId, seq: u64) -> Result<(), String> {
        if !self.crew.runs_commands {
            return Err("a task loop's output is seen when its task has finished".into());
        }
        if self.shown.is_direct || self.shown.output.is_live() {
            return Err("outputs are shown as they come (-u, --lb)".into());
        }
        let Some((worker, attempt)) = self.running(seq) else {
            return Err(does_not_run(seq));
        };
        let shared = self.segments.shared();
        let (Some(slot), Some(pid)) = (shared.line.slot(worker), self.crew.pid(worker)) else {
            return Err(does_not_run(seq));
        };
        slot.look_at_output();
        // It waits for its command: this is what ends that wait. A worker that has exited shows
        // nothing.
        let _ = kill(Pid::from_raw(pid), Signal::SIGCHLD);
        let now = self.clock.now();
        let looks = &mut self.reports.controlled.looks;
        looks.open.push(Look { client, seq, worker, attempt, until: now + SHOWS_WITHIN });
        looks.due = now + LOOK_EVERY;
        Ok(())
    }

    /// Answers those whose output is there.
    pub(super) fn finish_looks(&mut self, now: Duration) {
        let open = std::mem::take(&mut self.reports.controlled.looks.open);
        let mut seen = Vec::new();
        for look in open {
            match self.answer_to_look(&look, now) {
                Some(answer) => {
                    self.reports.controlled.answer(look.client, &answer);
                    seen.push(look.attempt.slot);
                }
                None => self.reports.controlled.looks.open.push(look),
            }
        }
        // Several clients may have asked for the same output.
        for slot in seen {
            let (folder, names) = self.queue.files_of(slot);
            for name in names {
                // Mostly there is none.
                let _ = fs::remove_file(folder.join(codec::look_file(&name)));
            }
        }
        self.reports.controlled.looks.due = now + LOOK_EVERY;
    }

    /// The answer, if it is there.
    fn answer_to_look(&self, look: &Look, now: Duration) -> Option<ControlAnswer> {
        let Look { seq, worker, attempt, until, .. } = *look;
        let shared = self.segments.shared();
        let is_current = shared.tasks.sighted(attempt.slot) == Some(attempt.seen);
        let error = |why: String| Some(answer_to(Err(why)));
        if !is_current {
            return error(format!("task {seq} has just finished: see msup log RUN {seq}"));
        }
        let is_shown = shared.line.slot(worker).is_some_and(|slot| !slot.is_looked_at());
        match is_shown {
            true => {
                let (folder, [stdout, stderr, ..]) = self.queue.files_of(attempt.slot);
                let output = output_in(folder, seq, [&stdout, &stderr]);
                Some(ControlAnswer::Ok(Some(Said::Output(output))))
            }
            false if now >= until => {
                error(format!("the worker of task {seq} does not answer: it may be stopped"))
            }
            false => None,
        }
    }
}

/// What a running attempt has written to the files of these names in this folder.
fn output_in(folder: &Path, seq: u64, names: [&str; 2]) -> TaskOutput {
    let [(stdout, stdout_before), (stderr, stderr_before)] =
        names.map(|name| tail(folder, name).unwrap_or_default());
    TaskOutput { seq, stdout, stderr, stdout_before, stderr_before }
}

/// The last bytes of a stream as text, and how many bytes there are before.
fn tail(folder: &Path, name: &str) -> io::Result<(String, u64)> {
    // What is large is in the stream's own file.
    let file = File::open(folder.join(name));
    let file = file.or_else(|_| File::open(folder.join(codec::look_file(name))))?;
    let len = file.metadata()?.len();
    let before = len.saturating_sub(TOLD);
    let mut bytes = vec![0; (len - before) as usize];
    file.read_exact_at(&mut bytes, before)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_stream_is_told_wherever_it_is() {
        let place = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| fs::write(place.path().join(name), bytes);
        write("out.look", b"few\n").expect("written");
        write("err", &[b'x'; 6000]).expect("written");
        let output = output_in(place.path(), 7, ["out", "err"]);
        assert_eq!((output.stdout.as_str(), output.stdout_before), ("few\n", 0));
        assert_eq!((output.stderr.len() as u64, output.stderr_before), (TOLD, 6000 - TOLD));
        assert_eq!(
            output_in(place.path(), 7, ["gone", "none"]),
            TaskOutput { seq: 7, ..TaskOutput::default() }
        );
    }

    #[test]
    fn an_answer_fits_a_line() {
        let place = tempfile::tempdir().expect("a folder");
        for name in ["out", "err"] {
            fs::write(place.path().join(name), [1; 100_000]).expect("written");
        }
        let output = output_in(place.path(), u64::MAX, ["out", "err"]);
        let line = ControlAnswer::Ok(Some(Said::Output(output))).line();
        assert!(line.len() > 60 << 10 && line.len() < 64 << 10, "{}", line.len());
    }
}
