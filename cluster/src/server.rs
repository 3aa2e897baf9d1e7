//! A connection to a server, and how it is asked: each question is repeated until it is answered or
//! 30 s have passed. A question that stores something has the same message id each time, so that it
//! is carried out once.

use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::header::HeaderMap;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Request, Subject};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::address::{Address, Secret};
use crate::error::ClusterError;
use crate::names::Names;

/// A server that is not reached for this time is given up.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30);

/// An answer that takes longer is lost: the question is repeated.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The wait before a question is repeated that was not answered at all.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How often a quiet connection is tried: one that was cut is noticed after two of these.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Questions that may wait to be sent.
const QUESTIONS: usize = 64 << 10;

/// The numbers of errors of the server (`err_code`).
pub(crate) const NO_STREAM: u64 = 10_059;
pub(crate) const NO_CONSUMER: u64 = 10_014;
pub(crate) const NO_MESSAGE: u64 = 10_037;
/// A message of this subject is there already, or the last one is another one.
pub(crate) const NOT_THE_LAST: u64 = 10_071;

/// HTTP's number for a service that is not ready.
const NOT_READY: u64 = 503;

/// Where a job is, and how its server knows the user.
#[derive(Clone, Debug)]
pub struct Login {
    /// The address of the job.
    pub address: Address,
    /// A file with credentials of NATS (`--nats-creds`).
    pub credentials: Option<PathBuf>,
}

/// What a server says no with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Denial {
    #[serde(default)]
    pub(crate) code: u64,
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// What a server says when it has stored a message.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
}

/// How a message is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storing {
    /// A message with the same id is stored once.
    pub(crate) id: Option<String>,
    /// The last message of the same subject has this number; 0: there is none.
    pub(crate) after: Option<u64>,
}

/// What is called with each change of the connection.
pub(crate) type OnChange = Arc<dyn Fn(bool) + Send + Sync>;

/// A connection, and the names of the job.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) names: Names,
    pub(crate) login: Login,
}

impl Server {
    /// `on_change` is told whether the server is reached, whenever that changes.
    ///
    /// # Errors
    /// The server cannot be reached within 30 s, or refuses the user; it has no JetStream.
    pub(crate) async fn connect(
        login: &Login,
        on_change: Option<OnChange>,
    ) -> Result<Server, ClusterError> {
        let server = login.address.server();
        let began = Instant::now();
        let client = loop {
            let why = match options(login, on_change.clone())?.connect(server.clone()).await {
                Ok(client) => break client,
                Err(why) => why,
            };
            let text = with_source(&why);
            match why.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    return Err(ClusterError::Refused { server, why: text });
                }
                ConnectErrorKind::Tls => return Err(ClusterError::Tls { server, why: text }),
                _ if is_tls_failure(&text) => return Err(ClusterError::Tls { server, why: text }),
                _ if began.elapsed() >= GIVE_UP => {
                    return Err(ClusterError::Unreachable { server, why: text });
                }
                _ => tokio::time::sleep(AGAIN_AFTER).await,
            }
        };
        if !client.server_info().jetstream {
            return Err(ClusterError::NoJetStream(server));
        }
        let names = Names::of(login.address.job());
        Ok(Server { client, names, login: login.clone() })
    }

    /// A name that nothing else has: letters and digits.
    pub(crate) fn unique(&self) -> String {
        let inbox = self.client.new_inbox();
        inbox.rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// The most bytes of a message.
    pub(crate) fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Sends a question until it is answered.
    ///
    /// # Errors
    /// It is not answered within 30 s, or not understood.
    async fn answer(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Vec<u8>,
    ) -> Result<Result<Value, Denial>, ClusterError> {
        let began = Instant::now();
        loop {
            let mut request = Request::new().payload(payload.clone().into());
            request = request.timeout(Some(ANSWER_WITHIN));
            if let Some(headers) = &headers {
                request = request.headers(headers.clone());
            }
            let why = match self.client.send_request(subject.clone(), request).await {
                Ok(message) => match self.understood(&subject, &message.payload)? {
                    Err(denial) if denial.code == NOT_READY && denial.err_code != NOT_THE_LAST => {
                        denial.description
                    }
                    answer => return Ok(answer),
                },
                Err(why) if why.kind() == RequestErrorKind::MaxPayloadExceeded => {
                    return Err(self.trouble(&subject, with_source(&why)));
                }
                Err(why) => with_source(&why),
            };
            if began.elapsed() >= GIVE_UP {
                let server = self.login.address.server();
                return Err(ClusterError::Unreachable { server, why });
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    fn understood(
        &self,
        subject: &str,
        answer: &[u8],
    ) -> Result<Result<Value, Denial>, ClusterError> {
        let answer: Value = serde_json::from_slice(answer)
            .map_err(|why| self.trouble(subject, format!("an answer that is no JSON: {why}")))?;
        match answer.get("error") {
            None => Ok(Ok(answer)),
            Some(error) => serde_json::from_value(error.clone())
                .map(Err)
                .map_err(|why| self.trouble(subject, why.to_string())),
        }
    }

    /// Asks JetStream: `what` is the end of the subject.
    ///
    /// # Errors
    /// As for [`Server::answer`]; the inner one is what the server says.
    pub(crate) async fn api(
        &self,
        what: &str,
        question: &Value,
    ) -> Result<Result<Value, Denial>, ClusterError> {
        let payload =
            if question.is_null() { Vec::new() } else { question.to_string().into_bytes() };
        self.answer(format!("$JS.API.{what}"), None, payload).await
    }

    /// The same where the server must not say no.
    ///
    /// # Errors
    /// It does.
    pub(crate) async fn demand<T: DeserializeOwned>(
        &self,
        what: &str,
        question: &Value,
    ) -> Result<T, ClusterError> {
        let answer = self.api(what, question).await?;
        let answer = answer.map_err(|denial| self.trouble(what, denial.description))?;
        serde_json::from_value(answer).map_err(|why| self.trouble(what, why.to_string()))
    }

    /// Stores a message. Returns its number, or that this is not the moment for it.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(crate) async fn store(
        &self,
        subject: String,
        payload: Vec<u8>,
        storing: Storing,
    ) -> Result<Result<u64, Denial>, ClusterError> {
        let mut headers = HeaderMap::new();
        if let Some(id) = &storing.id {
            headers.insert("Nats-Msg-Id", id.as_str());
        }
        if let Some(after) = storing.after {
            headers.insert("Nats-Expected-Last-Subject-Sequence", after.to_string().as_str());
        }
        match self.answer(subject.clone(), Some(headers), payload).await? {
            Ok(answer) => {
                let stored: Stored = serde_json::from_value(answer)
                    .map_err(|why| self.trouble(&subject, why.to_string()))?;
                Ok(Ok(stored.seq))
            }
            Err(denial) if denial.err_code == NOT_THE_LAST => Ok(Err(denial)),
            Err(denial) => Err(self.trouble(&subject, denial.description)),
        }
    }

    /// The last message of a subject in the stream of results, with its number.
    ///
    /// # Errors
    /// The server says something else than that there is none.
    pub(crate) async fn last(&self, subject: &str) -> Result<Option<Kept>, ClusterError> {
        let what = format!("STREAM.MSG.GET.{}", self.names.results());
        let question = serde_json::json!({ "last_by_subj": subject });
        match self.api(&what, &question).await? {
            Ok(answer) => {
                let found: Found = serde_json::from_value(answer)
                    .map_err(|why| self.trouble(&what, why.to_string()))?;
                Ok(Some(found.message))
            }
            Err(denial) if [NO_MESSAGE, NO_STREAM].contains(&denial.err_code) => Ok(None),
            Err(denial) => Err(self.trouble(&what, denial.description)),
        }
    }

    pub(crate) fn trouble(&self, what: &str, why: impl Into<String>) -> ClusterError {
        let server = self.login.address.server();
        ClusterError::Server { server, what: what.to_owned(), why: why.into() }
    }

    /// Sends a message that is not answered, if that is possible now.
    pub(crate) async fn tell(&self, subject: Subject, text: impl Into<Vec<u8>>) {
        let text: Vec<u8> = text.into();
        // What is lost here is said again: the lease of a task, and its end, are repeated.
        let _ =
            tokio::time::timeout(ANSWER_WITHIN, self.client.publish(subject, text.into())).await;
    }

    /// Returns when all that was sent is on its way.
    pub(crate) async fn flush(&self) {
        let _ = tokio::time::timeout(ANSWER_WITHIN, self.client.flush()).await;
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    message: Kept,
}

/// A message of the stream of results.
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    pub(crate) seq: u64,
    /// In base64; left out if it is empty.
    #[serde(default)]
    data: String,
}

impl Kept {
    pub(crate) fn data(&self) -> Vec<u8> {
        // What is no base64 is no message of ours, either: it is refused as an empty one.
        BASE64_STANDARD.decode(&self.data).unwrap_or_default()
    }
}

/// How to connect.
///
/// # Errors
/// The file with credentials cannot be used.
fn options(login: &Login, on_change: Option<OnChange>) -> Result<ConnectOptions, ClusterError> {
    let mut options = ConnectOptions::new()
        .name("msup")
        .require_tls(login.address.is_tls())
        .ping_interval(PING_EVERY)
        .client_capacity(QUESTIONS);
    options = match login.address.secret() {
        Secret::None => options,
        Secret::Token(token) => options.token(token.clone()),
        Secret::Password { user, password } => {
            options.user_and_password(user.clone(), password.clone())
        }
    };
    if let Some(path) = &login.credentials {
        let unreadable = |why| ClusterError::Credentials { path: path.clone(), why };
        let meta = fs::metadata(path).map_err(unreadable)?;
        if meta.mode() & 0o077 != 0 {
            return Err(ClusterError::OpenCredentials(path.clone()));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        options = options.credentials(&text).map_err(unreadable)?;
    }
    if let Some(on_change) = on_change {
        options = options.event_callback(move |event| told(&on_change, &event));
    }
    Ok(options)
}

/// Tells of a change, before the future that the library wants.
fn told(on_change: &OnChange, event: &Event) -> impl Future<Output = ()> + Send + Sync + use<> {
    match event {
        Event::Connected => on_change(true),
        Event::Disconnected | Event::Closed => on_change(false),
        _ => {}
    }
    std::future::ready(())
}

/// An error with the one behind it.
fn with_source(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut source = why.source();
    while let Some(why) = source {
        let more = why.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = why.source();
    }
    text
}

/// Whether the library has wrapped a failure of TLS in an error of another kind: no other try ends
/// otherwise.
fn is_tls_failure(text: &str) -> bool {
    let text = text.to_lowercase();
    ["certificate", "tls", "handshake"].iter().any(|word| text.contains(word))
}
