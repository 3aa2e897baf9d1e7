//! `msup ctl`: tells a run what to do, or asks it how it is doing.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, IsTerminal, Write, stderr, stdout};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::{live, printed};
use crate::cli::{Refusal, UsageError};
use crate::report::control::{ControlAnswer, ControlRequest, Said, TaskOutput, Verb};
use crate::report::escape;

/// A run answers between two turns of its loop. One that is stopped (Ctrl-Z) does not.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Tell a run that goes on what to do, or ask it how it is doing.
#[derive(Debug, Parser)]
#[command(
    name = "msup ctl",
    override_usage = "msup ctl [RUN] snapshot|stream|pause|continue|drain\n       \
                      msup ctl [RUN] procs|max-workers N\n       \
                      msup ctl [RUN] kill|retry|output TASK"
)]
pub(crate) struct Ctl {
    /// The run: its id, the folder of its journal with a '/', or the file of a pipeline; without
    /// it, the newest run that was started in this folder, or else the only one. Then what
    /// it is to do.
    ///
    /// snapshot: print how it is doing, as JSON. stream: the same, four times a second. pause:
    /// start nothing new; running tasks go on. continue: start tasks again. drain: let running
    /// tasks finish, then stop, as after one SIGTERM (exit status 143). procs N: use N tokens from
    /// now on. max-workers N: run at most N tasks at once from now on. kill TASK: stop the running
    /// task with this number; it has failed. retry TASK: run a failed task again, when its turn
    /// comes. output TASK: print the last 5 KiB that a running task has written to standard output,
    /// and to standard error
    #[arg(
        value_name = "RUN|VERB",
        required = true,
        num_args = 1..=3,
        allow_negative_numbers = true
    )]
    words: Vec<String>,
}

/// A command line that was understood.
struct Order {
    run: Option<PathBuf>,
    request: ControlRequest,
}

impl Ctl {
    /// Asks, and prints the answers.
    ///
    /// # Errors
    /// There is no such run, it does not answer, or it refuses.
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        let Order { run, request } = order(&self.words)?;
        let (run, stream) = live::connect(run.as_deref())?;
        let failed = |why| UsageError::Ctl { run, why };
        ask(stream, request).map_err(|why| failed(why).into())
    }
}

/// # Errors
/// The words say nothing that is known.
fn order(words: &[String]) -> Result<Order, UsageError> {
    let verb_at = |at: usize| words.get(at).and_then(|word| Verb::named(word));
    // A word that is a verb is no run, unless another verb follows.
    let at = match (verb_at(0), verb_at(1)) {
        (Some(_), None) => 0,
        _ if words.len() == 1 => 0,
        _ => 1,
    };
    let verb = verb_at(at).ok_or_else(|| no_verb(&words[at]))?;
    let request = ControlRequest::with(verb, number(verb, &words[at + 1..])?);
    let request = request.expect("it has its number, or needs none");
    Ok(Order { run: (at == 1).then(|| PathBuf::from(&words[0])), request })
}

/// What other programs call the verbs.
const CALLED: [(&str, &str); 8] = [
    ("status", "snapshot"),
    ("stop", "drain"),
    ("quit", "drain"),
    ("resume", "continue"),
    ("jobs", "procs"),
    ("workers", "max-workers"),
    ("cancel", "kill"),
    ("tail", "output"),
];

fn no_verb(word: &str) -> UsageError {
    let meant = CALLED.iter().find(|(called, _)| *called == word);
    let meant = meant.map_or(String::new(), |(_, verb)| format!(" (did you mean {verb}?)"));
    UsageError::CtlVerb { word: word.to_owned(), meant }
}

/// The number behind a verb, if one belongs there.
///
/// # Errors
/// It is missing or is none, or there is too much.
fn number(verb: Verb, words: &[String]) -> Result<Option<u64>, UsageError> {
    let (wanted, most) = match verb.field() {
        Some("seq") => ("the number of a task", 1),
        Some(_) => ("a number", 1),
        None => ("nothing behind it; RUN stands before it", 0),
    };
    let verb = verb.name();
    let refused = || UsageError::CtlNumber { verb, words: words.join(" "), wanted };
    if words.len() > most {
        return Err(refused());
    }
    if words.len() < most {
        return Err(UsageError::CtlLacksNumber { verb, wanted });
    }
    let read = |word: &String| {
        // No sign: +1 is one more in other flags.
        let digits = Some(word).filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(refused)
    };
    words.first().map(read).transpose()
}

/// # Errors
/// What is wrong, for people.
fn ask(mut stream: UnixStream, request: ControlRequest) -> Result<(), String> {
    let text = |why: io::Error| match why.kind() {
        io::ErrorKind::WouldBlock => {
            format!("it has not answered within {} s", ANSWERS_WITHIN.as_secs())
        }
        _ => why.to_string(),
    };
    stream.set_read_timeout(Some(ANSWERS_WITHIN)).map_err(text)?;
    stream.write_all(request.line().as_bytes()).map_err(text)?;
    let mut has_answered = false;
    for line in BufReader::new(stream).lines() {
        has_answered = true;
        match serde_json::from_str(&line.map_err(text)?) {
            Ok(ControlAnswer::Error(why)) => return Err(why),
            Ok(ControlAnswer::Ok(Some(said))) => {
                let mut out = stdout().lock();
                if let Err(why) = printed(print(&mut out, &said)) {
                    return Err(why.to_string());
                }
                // The reader has gone.
                if out.flush().is_err() {
                    return Ok(());
                }
            }
            Ok(ControlAnswer::Ok(None)) => {}
            Err(why) => return Err(format!("its answer cannot be read: {why}")),
        }
        if request != ControlRequest::Stream {
            return Ok(());
        }
    }
    // The end of a stream is that of its run.
    if has_answered { Ok(()) } else { Err("it was over before it answered".into()) }
}

fn print(out: &mut impl Write, said: &Said) -> io::Result<()> {
    match said {
        Said::Snapshot(snapshot) => escape::json(out, snapshot).and_then(|()| writeln!(out)),
        Said::Output(TaskOutput {
            stdout, stderr: error, stdout_before, stderr_before, ..
        }) => {
            let mut err = stderr().lock();
            for (name, before) in
                [("standard output", stdout_before), ("standard error", stderr_before)]
            {
                if *before > 0 {
                    writeln!(err, "msup: {name}: {before} bytes before are not shown")?;
                }
            }
            err.write_all(harmless(error, err.is_terminal()).as_bytes())?;
            out.write_all(harmless(stdout, io::stdout().is_terminal()).as_bytes())
        }
    }
}

/// Text as it is, or so that a terminal obeys nothing in it.
fn harmless(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if is_terminal { escape::lines(text.as_bytes()).into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(words: &[&str]) -> Result<(Option<PathBuf>, ControlRequest), String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let order = order(&words).map_err(|why| why.to_string())?;
        Ok((order.run, order.request))
    }

    #[test]
    fn a_run_may_stand_before_what_it_is_to_do() {
        let run = |name: &str| Some(PathBuf::from(name));
        assert_eq!(understood(&["pause"]), Ok((None, ControlRequest::Pause)));
        assert_eq!(understood(&["./j", "pause"]), Ok((run("./j"), ControlRequest::Pause)));
        assert_eq!(understood(&["procs", "4"]), Ok((None, ControlRequest::Procs(4))));
        assert_eq!(understood(&["./j", "kill", "7"]), Ok((run("./j"), ControlRequest::Kill(7))));
        assert_eq!(understood(&["pause", "pause"]), Ok((run("pause"), ControlRequest::Pause)));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for words in [&["fly"][..], &["./j"], &["./j", "fly"], &["procs", "x"], &["procs"]] {
            assert!(understood(words).is_err(), "{words:?}");
        }
        for words in [&["pause", "1"][..], &["kill", "-1"], &["./j", "kill"], &["kill", "1", "2"]] {
            assert!(understood(words).is_err(), "{words:?}");
        }
    }
}
