//! Where `--metrics` goes: a file, or an address that is listened to.

use std::ffi::OsStr;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// A file, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MetricsPlace {
    File(PathBuf),
    Address(SocketAddr),
}

impl fmt::Display for MetricsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricsPlace::File(path) => path.display().fmt(f),
            MetricsPlace::Address(address) => address.fmt(f),
        }
    }
}

/// Reads it.
#[derive(Clone, Debug)]
pub(super) struct MetricsPlaceParser;

impl TypedValueParser for MetricsPlaceParser {
    type Value = MetricsPlace;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<MetricsPlace, Error> {
        place_of(value).ok_or_else(|| {
            let value = value.display();
            let why = format!(
                "--metrics {value}: must be a file, an address with a port (127.0.0.1:9100, \
                 [::1]:9100), or a port of this machine (:9100)"
            );
            command.clone().error(ErrorKind::ValueValidation, why)
        })
    }
}

/// `None` for what looks like an address and is none.
fn place_of(typed: &OsStr) -> Option<MetricsPlace> {
    let file = || Some(MetricsPlace::File(typed.into()));
    let Some(text) = typed.to_str() else { return file() };
    if let Ok(address) = text.parse::<SocketAddr>() {
        // Nobody would know which port it is.
        if address.port() == 0 {
            return None;
        }
        return Some(MetricsPlace::Address(address));
    }
    match text.rsplit_once(':') {
        Some(("", port)) if is_number(port) => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
            Some(MetricsPlace::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
        }
        Some((host, port)) if is_number(port) && !host.contains('/') => None,
        Some(("", _)) => None,
        _ if text.is_empty() || is_number(text) => None,
        _ => file(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_files() {
        let of = |text: &str| place_of(OsStr::new(text)).map(|place| place.to_string());
        for (typed, address) in [
            ("127.0.0.1:9100", "127.0.0.1:9100"),
            (":9100", "127.0.0.1:9100"),
            ("[::1]:1", "[::1]:1"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            let place = place_of(OsStr::new(typed)).expect(typed);
            assert!(matches!(place, MetricsPlace::Address(_)), "{typed}");
            assert_eq!(place.to_string(), address);
        }
        for file in ["m.prom", "/a/b:1", "./9100", "a:b"] {
            let place = place_of(OsStr::new(file)).expect(file);
            assert_eq!(place, MetricsPlace::File(file.into()));
        }
        for bad in ["localhost:9100", ":99999", "1.2.3:80", "", ":", ":0", "9100", "1.2.3.4:0"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
