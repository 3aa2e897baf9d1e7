//! What is said over the control socket of a run: one JSON object on each line, both ways.

use serde::de::IntoDeserializer;
use serde::de::value::Error as NoWord;
use serde::{Deserialize, Serialize};

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlRequest {
    /// How the run is doing, once.
    Snapshot,
    /// The same, again and again. A client that does not keep up misses some.
    Stream,
    /// Nothing new starts; running tasks go on.
    Pause,
    /// Tasks start again.
    Continue,
    /// As one SIGTERM: running tasks finish, and the run stops.
    Drain,
    /// There are this many tokens from now on.
    Procs(u32),
    /// No more tasks than this run at once from now on.
    MaxWorkers(u32),
    /// The running task with this number is stopped, and has failed.
    Kill(u64),
    /// The failed task with this number runs again.
    Retry(u64),
    /// What the running task with this number has written so far.
    Output(u64),
}

/// The name of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verb {
    Snapshot,
    Stream,
    Pause,
    Continue,
    Drain,
    Procs,
    MaxWorkers,
    Kill,
    Retry,
    Output,
}

/// Why something is no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("no request: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{verb} needs {field:?}, a number")]
    Lacks { verb: &'static str, field: &'static str },
    #[error("{verb} takes no {field:?}")]
    Takes { verb: &'static str, field: &'static str },
}

/// A request as it is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    request: Verb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

impl Verb {
    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Verb> {
        let name: serde::de::value::StrDeserializer<'_, NoWord> = name.into_deserializer();
        Verb::deserialize(name).ok()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Snapshot => "snapshot",
            Verb::Stream => "stream",
            Verb::Pause => "pause",
            Verb::Continue => "continue",
            Verb::Drain => "drain",
            Verb::Procs => "procs",
            Verb::MaxWorkers => "max-workers",
            Verb::Kill => "kill",
            Verb::Retry => "retry",
            Verb::Output => "output",
        }
    }

    /// The field that goes with it, if one does.
    pub(crate) fn field(self) -> Option<&'static str> {
        match self {
            Verb::Procs | Verb::MaxWorkers => Some("n"),
            Verb::Kill | Verb::Retry | Verb::Output => Some("seq"),
            _ => None,
        }
    }
}

impl ControlRequest {
    /// # Errors
    /// These bytes are no request.
    pub(crate) fn read(line: &[u8]) -> Result<ControlRequest, RequestError> {
        ControlRequest::of(&serde_json::from_slice(line)?)
    }

    fn of(asked: &Asked) -> Result<ControlRequest, RequestError> {
        let Asked { request, n, seq } = *asked;
        let (verb, wanted) = (request.name(), request.field());
        for (field, is_there) in [("n", n.is_some()), ("seq", seq.is_some())] {
            if is_there && wanted != Some(field) {
                return Err(RequestError::Takes { verb, field });
            }
        }
        let count = || n.ok_or(RequestError::Lacks { verb, field: "n" });
        let task = || seq.ok_or(RequestError::Lacks { verb, field: "seq" });
        Ok(match request {
            Verb::Snapshot => ControlRequest::Snapshot,
            Verb::Stream => ControlRequest::Stream,
            Verb::Pause => ControlRequest::Pause,
            Verb::Continue => ControlRequest::Continue,
            Verb::Drain => ControlRequest::Drain,
            Verb::Procs => ControlRequest::Procs(count()?),
            Verb::MaxWorkers => ControlRequest::MaxWorkers(count()?),
            Verb::Kill => ControlRequest::Kill(task()?),
            Verb::Retry => ControlRequest::Retry(task()?),
            Verb::Output => ControlRequest::Output(task()?),
        })
    }

    /// The request with this name, with the number that goes with it, if one does.
    ///
    /// # Errors
    /// The number is missing, or there must be none, or it is too large.
    pub(crate) fn with(verb: Verb, number: Option<u64>) -> Result<ControlRequest, RequestError> {
        let asked = match verb.field() {
            Some("n") => {
                let n = number.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
                Asked { request: verb, n, seq: None }
            }
            _ => Asked { request: verb, n: None, seq: number },
        };
        ControlRequest::of(&asked)
    }

    /// Its line.
    pub(crate) fn line(self) -> String {
        let plain = |request| Asked { request, n: None, seq: None };
        let with_count = |request, n| Asked { n: Some(n), ..plain(request) };
        let with_task = |request, seq| Asked { seq: Some(seq), ..plain(request) };
        line_of(&match self {
            ControlRequest::Snapshot => plain(Verb::Snapshot),
            ControlRequest::Stream => plain(Verb::Stream),
            ControlRequest::Pause => plain(Verb::Pause),
            ControlRequest::Continue => plain(Verb::Continue),
            ControlRequest::Drain => plain(Verb::Drain),
            ControlRequest::Procs(n) => with_count(Verb::Procs, n),
            ControlRequest::MaxWorkers(n) => with_count(Verb::MaxWorkers, n),
            ControlRequest::Kill(seq) => with_task(Verb::Kill, seq),
            ControlRequest::Retry(seq) => with_task(Verb::Retry, seq),
            ControlRequest::Output(seq) => with_task(Verb::Output, seq),
        })
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ControlAnswer {
    Ok(Option<Said>),
    Error(String),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Said {
    Snapshot(Box<Snapshot>),
    Output(TaskOutput),
}

/// What a task has written so far: the last of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskOutput {
    pub(crate) seq: u64,
    /// As text: what is no UTF-8 is replaced.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The bytes of each that are not shown, because they are not the last ones.
    pub(crate) stdout_before: u64,
    pub(crate) stderr_before: u64,
}

impl ControlAnswer {
    pub(crate) fn snapshot(snapshot: Snapshot) -> ControlAnswer {
        ControlAnswer::Ok(Some(Said::Snapshot(Box::new(snapshot))))
    }

    /// Its line.
    pub(crate) fn line(&self) -> String {
        line_of(self)
    }
}

/// Requests and answers can be serialized.
fn line_of<T: Serialize>(said: &T) -> String {
    serde_json::to_string(said).unwrap_or_default() + "\n"
}

/// A run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) run: String,
    /// `running`, `paused`, `stopping`, or `over`: the last one of a stream.
    pub(crate) state: String,
    /// Since this generation began.
    pub(crate) seconds: f64,
    #[serde(flatten)]
    pub(crate) counts: CountsNow,
    pub(crate) tokens: u32,
    /// How many may run, and what limits that, where msup decides it.
    pub(crate) limit: Option<u32>,
    pub(crate) reason: Option<String>,
    /// CPUs that commands used lately, where that is measured.
    pub(crate) cpu: Option<f64>,
    /// Bytes of memory that are available to commands.
    pub(crate) available: Option<u64>,
    /// What each token does, where it is not idle.
    pub(crate) lanes: Vec<Lane>,
    /// Some of the running tasks: the longest-running ones, and those that use most. The
    /// longest-running one first.
    pub(crate) tasks: Vec<RunningTask>,
    /// The tasks that failed last, the last one first.
    pub(crate) failures: Vec<FailedTask>,
    /// The stages of a pipeline.
    pub(crate) stages: Vec<StageNow>,
}

/// The tasks of a run at one moment, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountsNow {
    /// The number of known tasks, and whether they are all.
    pub(crate) total: u64,
    pub(crate) all_read: bool,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) retried: u64,
    pub(crate) running: u32,
}

/// A token that is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    /// From 1.
    pub(crate) token: u32,
    /// `running`, `blocked` (in a blocking call), `charged` (to a command that computes) or
    /// `granted` (on its way to a worker).
    pub(crate) state: String,
    /// The task of its holder, if that has one.
    pub(crate) seq: Option<u64>,
}

/// A task that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunningTask {
    pub(crate) seq: u64,
    /// As text: 200 characters at most.
    pub(crate) value: String,
    /// From 1.
    pub(crate) attempt: u32,
    /// Since this attempt began; pauses of the whole run are left out.
    pub(crate) seconds: f64,
    /// In a pipeline.
    pub(crate) stage: Option<String>,
    /// `computing`, `waiting` or `writing` (its output), where that is known.
    pub(crate) activity: Option<String>,
    /// CPUs that it used lately, and bytes of memory when last looked at, where they are known.
    pub(crate) cpu: Option<f64>,
    pub(crate) memory: Option<u64>,
}

/// A task that has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedTask {
    pub(crate) seq: u64,
    /// As text: 100 characters at most, as is the cause.
    pub(crate) value: String,
    pub(crate) cause: String,
    pub(crate) attempts: u32,
}

/// How far a stage of a pipeline is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageNow {
    pub(crate) name: String,
    pub(crate) tasks: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Not run, because something before it failed.
    pub(crate) skipped: u64,
    pub(crate) running: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_read_as_documented() {
        let read = |line: &str| ControlRequest::read(line.as_bytes());
        assert!(matches!(read(r#"{"request":"pause"}"#), Ok(ControlRequest::Pause)));
        assert_eq!(ControlRequest::Drain.line(), "{\"request\":\"drain\"}\n");
        assert_eq!(ControlRequest::Procs(4).line(), "{\"request\":\"procs\",\"n\":4}\n");
        assert_eq!(ControlRequest::Kill(7).line(), "{\"request\":\"kill\",\"seq\":7}\n");
        let error = |line: &str| read(line).expect_err(line).to_string();
        assert_eq!(error(r#"{"request":"pause","n":1}"#), "pause takes no \"n\"");
        assert_eq!(error(r#"{"request":"kill","n":1}"#), "kill takes no \"n\"");
        assert_eq!(error(r#"{"request":"procs"}"#), "procs needs \"n\", a number");
        for wrong in [r#"{"request":"paus"}"#, r#"{"request":"pause","x":1}"#, "[]", ""] {
            assert!(error(wrong).starts_with("no request: "), "{wrong}");
        }
        assert_eq!(ControlAnswer::Ok(None).line(), "{\"ok\":null}\n");
        assert_eq!(ControlAnswer::Error("no".into()).line(), "{\"error\":\"no\"}\n");
    }

    #[test]
    fn each_request_reads_back_from_its_line_and_its_name() {
        for verb in ["snapshot", "stream", "pause", "continue", "drain"] {
            let request = ControlRequest::with(Verb::named(verb).expect(verb), None).expect(verb);
            assert_eq!(ControlRequest::read(request.line().as_bytes()).expect(verb), request);
            assert!(ControlRequest::with(Verb::named(verb).expect(verb), Some(1)).is_err());
        }
        for verb in ["procs", "max-workers", "kill", "retry", "output"] {
            let request = ControlRequest::with(Verb::named(verb).expect(verb), Some(3));
            let request = request.expect(verb);
            assert_eq!(ControlRequest::read(request.line().as_bytes()).expect(verb), request);
            assert!(ControlRequest::with(Verb::named(verb).expect(verb), None).is_err());
            assert_eq!(Verb::named(verb).map(Verb::name), Some(verb));
        }
        assert_eq!(Verb::named("Pause"), None);
    }

    #[test]
    fn answers_with_content_read_back() {
        let output = TaskOutput { seq: 3, stdout: "x\n".into(), ..TaskOutput::default() };
        let answers = [
            ControlAnswer::snapshot(Snapshot { run: "r".into(), ..Snapshot::default() }),
            ControlAnswer::Ok(Some(Said::Output(output))),
        ];
        for answer in answers {
            let read: ControlAnswer = serde_json::from_str(&answer.line()).expect("JSON");
            assert_eq!(read, answer);
        }
    }
}
