//! Why the queue cannot be used.

use std::io;
use std::path::PathBuf;

use crate::address::JobName;

/// Why the queue cannot be used: one line that says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The system has nothing left for it.
    #[error("the connection to the queue: {0}")]
    Runtime(#[source] io::Error),
    /// The server was asked for as long as is sensible.
    #[error("{server}: {why}; gave up after 30 s")]
    Unreachable {
        /// Its address, without secrets.
        server: String,
        /// What happened last.
        why: String,
    },
    /// It knows neither the user nor the password.
    #[error("{server}: the server refuses the user or the password ({why})")]
    Refused {
        /// Its address, without secrets.
        server: String,
        /// In its words.
        why: String,
    },
    /// No secure connection can be made, and no other one is tried.
    #[error("{server}: TLS: {why}")]
    Tls {
        /// Its address, without secrets.
        server: String,
        /// In the words of the library.
        why: String,
    },
    /// It answers, but not as it should.
    #[error("{server}: {what}: {why}")]
    Server {
        /// Its address, without secrets.
        server: String,
        /// What it was asked for.
        what: String,
        /// In its words.
        why: String,
    },
    /// It stores nothing.
    #[error("{0}: the server has no JetStream: start it with nats-server -js")]
    NoJetStream(String),
    /// A file with credentials that others may read.
    #[error("--nats-creds {}: others may read it: chmod 600", .0.display())]
    OpenCredentials(PathBuf),
    /// A file with credentials that cannot be read.
    #[error("--nats-creds {}: {why}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        why: io::Error,
    },
    /// Something else made a stream of this name.
    #[error(
        "the stream {stream} was not made by msup ({field} differs): it is left as it is; choose \
         another name for the job"
    )]
    ForeignStream {
        /// Its name.
        stream: String,
        /// What is not as it should be.
        field: String,
    },
    /// There is none of this name.
    #[error("there is no job {0} on this server: msup submit makes it")]
    NoJob(JobName),
    /// There is one of this name that does other things.
    #[error(
        "job {0} is another one: its command, folder or values differ. Choose another name, or \
         remove it: msup cancel --delete"
    )]
    OtherJob(JobName),
    /// It was cancelled.
    #[error("job {0} was cancelled: msup cancel --delete removes it")]
    Cancelled(JobName),
    /// A later release has made it.
    #[error("job {job} was made by msup {version}, which this release does not know: update msup")]
    Newer {
        /// Its name.
        job: JobName,
        /// The release that made it.
        version: String,
    },
    /// A message is larger than the server takes.
    #[error(
        "task {seq}: its value has {len} bytes, and the server takes at most {at_most}: put the \
         path of a file there (or raise max_payload of the server)"
    )]
    TooLong {
        /// The number of its task.
        seq: u64,
        /// In bytes.
        len: usize,
        /// In bytes.
        at_most: usize,
    },
    /// The list holds no value.
    #[error("the list is empty: there is nothing to submit")]
    NoTasks,
    /// The job's folder is not on this machine.
    #[error("{}: {why}: the job runs in this folder, which each node must have", folder.display())]
    Folder {
        /// Its path.
        folder: PathBuf,
        /// Why it cannot be used.
        #[source]
        why: io::Error,
    },
    /// The msup that runs the tasks.
    #[error("the msup that runs the tasks: {0}")]
    Runner(String),
    /// Results that could not be delivered are kept in this folder.
    #[error("{}: {why}", folder.display())]
    Kept {
        /// Its path.
        folder: PathBuf,
        /// Why it cannot be used.
        #[source]
        why: io::Error,
    },
    /// Results cannot be shown.
    #[error("{0}")]
    Shown(#[source] io::Error),
}
