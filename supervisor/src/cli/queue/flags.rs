//! Flags that several commands about queues have, and flags that travel with a job.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use msup_cluster::{Address, Login};

use super::QueueError;
use crate::cli::failures::time;
use crate::cli::usage::BadValue;

/// The variable that names a server, and has the user and the password for it.
pub(super) const NATS_URL: &str = "NATS_URL";

/// Where a job is.
#[derive(Debug, clap::Args)]
pub(super) struct JobAddress {
    /// The job: nats://HOST:PORT/JOB, or tls://... Where HOST is left out, $NATS_URL names it
    #[arg(value_name = "URL")]
    url: String,

    #[command(flatten)]
    pub(super) credentials: Credentials,
}

/// How the server knows the user.
#[derive(Debug, clap::Args)]
pub(super) struct Credentials {
    /// A file with credentials of NATS, which no other user may read. A user and a password may
    /// also stand in the address or in $NATS_URL
    #[arg(long, value_name = "FILE")]
    nats_creds: Option<PathBuf>,
}

impl JobAddress {
    /// # Errors
    /// It is no address.
    pub(super) fn login(&self) -> Result<Login, QueueError> {
        self.credentials.login(&self.url)
    }
}

impl Credentials {
    /// # Errors
    /// This is no address.
    pub(super) fn login(&self, url: &str) -> Result<Login, QueueError> {
        let usual = std::env::var(NATS_URL).ok();
        let address = Address::parse(url, usual.as_deref())?;
        Ok(Login { address, credentials: self.nats_creds.clone() })
    }
}

/// A time, at least this.
pub(super) fn at_least(
    flag: &'static str,
    text: &str,
    least: Duration,
    wanted: &'static str,
) -> Result<Duration, BadValue> {
    let found = time(text).filter(|time| *time >= least);
    found.ok_or_else(|| BadValue::new(flag, text, wanted))
}

/// Whether a flag was typed.
pub(super) fn is_given(found: &ArgMatches, arg: &Arg) -> bool {
    found.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// The flags that were typed and that are wanted, as words: one for each flag.
pub(super) fn given(
    found: &ArgMatches,
    command: &clap::Command,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<OsString> {
    let mut words = Vec::new();
    let flags = command.get_arguments().filter(|arg| !arg.is_positional());
    for arg in flags.filter(|arg| is_wanted(arg.get_id().as_str()) && is_given(found, arg)) {
        let Some(long) = arg.get_long() else { continue };
        if !arg.get_action().takes_values() {
            words.push(format!("--{long}").into());
            continue;
        }
        for value in found.get_raw(arg.get_id().as_str()).into_iter().flatten() {
            let mut word = OsString::from(format!("--{long}="));
            word.push(value);
            words.push(word);
        }
    }
    words
}

/// As the journal of a job has it.
pub(super) fn words_of(word: &OsString) -> msup_cluster::Words {
    msup_cluster::Words(word.as_bytes().to_vec())
}
