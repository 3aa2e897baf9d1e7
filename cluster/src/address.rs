//! Where a job is: `nats://USER:PASSWORD@HOST:PORT/JOB`. What may be secret in it is never shown.

use std::fmt;

/// The port of NATS servers.
const PORT: u16 = 4222;

/// A name has at most this many characters: they become part of names of streams.
const NAME_AT_MOST: usize = 64;

/// The name of a job: letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobName(String);

impl JobName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<JobName, AddressError> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match text {
            "" => Err(AddressError::NoJob),
            text if text.len() <= NAME_AT_MOST && text.chars().all(is_part) => {
                Ok(JobName(text.to_owned()))
            }
            text => Err(AddressError::Job(text.to_owned())),
        }
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a word is no address of a job. No variant shows a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins otherwise.
    #[error("the address of a queue begins with nats:// or tls://: nats://host:4222/job")]
    Scheme,
    /// There is no `/JOB`.
    #[error("the address of a queue ends with the name of the job: nats://host:4222/job")]
    NoJob,
    /// This is no name.
    #[error("{0}: the name of a job has at most {NAME_AT_MOST} letters, digits, '_' and '-'")]
    Job(String),
    /// There is no server, and `$NATS_URL` has none.
    #[error("the address names no server, and NATS_URL is not set: nats://host:4222/job")]
    NoServer,
    /// `$NATS_URL` is no address of a server.
    #[error("NATS_URL is no address of a server: nats://host:4222")]
    Environment,
    /// What stands after the colon.
    #[error("the port of a server is a number from 1 to 65535: nats://host:4222/job")]
    Port,
    /// A name or a password has a `%` that is not followed by two hexadecimal digits.
    #[error("a '%' in a name or a password is written as %25, a '/' as %2F, an '@' as %40")]
    Escape,
}

/// How a user is known to a server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    None,
    Token(String),
    Password { user: String, password: String },
}

/// The address of a job. Its text leaves out what may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    is_tls: bool,
    host: String,
    port: u16,
    secret: Secret,
    job: JobName,
}

/// An address of a server.
struct ServerPart {
    is_tls: bool,
    host: String,
    port: u16,
    secret: Secret,
}

impl Address {
    /// Whether a word looks like one.
    #[must_use]
    pub fn is_meant(word: &str) -> bool {
        word.starts_with("nats://") || word.starts_with("tls://")
    }

    /// Takes the word as typed. `environment`: `$NATS_URL`. It names the server where the word has
    /// none, and has the password where the word has none for the same server.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(word: &str, environment: Option<&str>) -> Result<Address, AddressError> {
        let rest = word.strip_prefix("nats://").or_else(|| word.strip_prefix("tls://"));
        let (server, job) = rest.ok_or(AddressError::Scheme)?.rsplit_once('/').unwrap_or_default();
        let job = JobName::parse(job)?;
        let usual = environment.map(server_of).transpose();
        let usual = usual.map_err(|_| AddressError::Environment)?;
        let part = if server.is_empty() {
            usual.ok_or(AddressError::NoServer)?
        } else {
            let typed = parts_of(word.starts_with("tls://"), server)?;
            let is_same =
                |usual: &ServerPart| (&usual.host, usual.port) == (&typed.host, typed.port);
            match usual.filter(|usual| typed.secret == Secret::None && is_same(usual)) {
                Some(usual) => ServerPart { secret: usual.secret, ..typed },
                None => typed,
            }
        };
        let ServerPart { is_tls, host, port, secret } = part;
        Ok(Address { is_tls, host, port, secret, job })
    }

    /// The name of the job.
    #[must_use]
    pub fn job(&self) -> &JobName {
        &self.job
    }

    /// Whether a connection without TLS is refused.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The server, without the job and without secrets.
    pub(crate) fn server(&self) -> String {
        let Address { is_tls, host, port, .. } = self;
        format!("{}://{host}:{port}", if *is_tls { "tls" } else { "nats" })
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Names the job and its server in names of files.
    pub(crate) fn file_name(&self) -> String {
        let host = self.host.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
        format!("{host}-{}-{}", self.port, self.job)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server(), self.job)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// An address without a job: that of `$NATS_URL`.
fn server_of(text: &str) -> Result<ServerPart, AddressError> {
    let is_tls = text.starts_with("tls://");
    let rest = text.strip_prefix("nats://").or_else(|| text.strip_prefix("tls://")).unwrap_or(text);
    parts_of(is_tls, rest.trim_end_matches('/'))
}

/// `[USER:PASSWORD@|TOKEN@]HOST[:PORT]`
fn parts_of(is_tls: bool, text: &str) -> Result<ServerPart, AddressError> {
    let (secret, place) = match text.rsplit_once('@') {
        None => (Secret::None, text),
        Some((secret, place)) => {
            let secret = match secret.split_once(':') {
                None => Secret::Token(plain(secret)?),
                Some((user, password)) => {
                    Secret::Password { user: plain(user)?, password: plain(password)? }
                }
            };
            (secret, place)
        }
    };
    // The colons of an address of IPv6 stand between brackets.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().ok().filter(|port| *port > 0).ok_or(AddressError::Port)?)
        }
        _ => (place, PORT),
    };
    if host.is_empty() {
        return Err(AddressError::NoServer);
    }
    Ok(ServerPart { is_tls, host: host.to_owned(), port, secret })
}

/// Text in which some characters are written as `%XX`.
fn plain(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).ok_or(AddressError::Escape)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| AddressError::Escape)?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(word: &str) -> Address {
        Address::parse(word, None).expect(word)
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(parsed("nats://h/j").to_string(), "nats://h:4222/j");
        assert_eq!(parsed("tls://h:1/a-b_C9").to_string(), "tls://h:1/a-b_C9");
        assert_eq!(parsed("nats://[::1]/j").to_string(), "nats://[::1]:4222/j");
        assert_eq!(parsed("nats://[::1]:7/j").to_string(), "nats://[::1]:7/j");
    }

    #[test]
    fn what_may_be_secret_is_never_shown() {
        let address = parsed("nats://me:p%40ss%2Fw@h:1/j");
        let password = Secret::Password { user: "me".into(), password: "p@ss/w".into() };
        assert!(*address.secret() == password);
        assert!(*parsed("nats://tok@h/j").secret() == Secret::Token("tok".into()));
        for text in [address.to_string(), format!("{address:?}")] {
            assert!(!text.contains("ss/w") && !text.contains("me:"), "{text}");
        }
        let wrong = Address::parse("nats://me:pass@h:x/j", None).expect_err("no port");
        assert!(!wrong.to_string().contains("pass") && !format!("{wrong:?}").contains("pass"));
    }

    #[test]
    fn the_environment_has_what_the_word_leaves_out() {
        let usual = Some("nats://me:pw@host:99");
        let address = |word| Address::parse(word, usual).expect(word);
        assert_eq!(address("nats:///job").to_string(), "nats://host:99/job");
        assert!(*address("nats:///job").secret() != Secret::None);
        assert!(*address("nats://host:99/job").secret() != Secret::None);
        assert!(*address("nats://other:99/job").secret() == Secret::None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (word, why) in [
            ("http://h/j", AddressError::Scheme),
            ("nats://h", AddressError::NoJob),
            ("nats://h/", AddressError::NoJob),
            ("nats://h/a.b", AddressError::Job("a.b".into())),
            ("nats:///j", AddressError::NoServer),
            ("nats://h:0/j", AddressError::Port),
            ("nats://u:%zz@h/j", AddressError::Escape),
        ] {
            assert_eq!(Address::parse(word, None), Err(why), "{word}");
        }
        let long = format!("nats://h/{}", "x".repeat(65));
        assert!(matches!(Address::parse(&long, None), Err(AddressError::Job(_))));
    }
}
