//! Keys: what a task does, with what it reads, in 16 bytes. A task with a key that has succeeded
//! before need not run again.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

pub(crate) use crate::journal::Made;

/// The bytes of a digest that are kept: two of 2^50 tasks have the same with probability 2^-29.
const KEPT: usize = 16;

/// Contents are read in chunks of this size, in bytes.
const CHUNK: usize = 1 << 18;

/// A digest.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskKey([u8; KEPT]);

/// Makes a key of parts. Each part has its length before it: no two lists of parts are the same
/// text.
#[derive(Clone, Default)]
pub(crate) struct Digester(Sha256);

impl Digester {
    pub(crate) fn add(&mut self, part: &[u8]) -> &mut Digester {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn add_made(&mut self, made: Option<Made>) -> &mut Digester {
        match made {
            None => self.add(b"-"),
            Some(Made { size, mtime }) => {
                self.add(&[size.to_le_bytes(), mtime.to_le_bytes()].concat())
            }
        }
    }

    pub(crate) fn key(&self) -> TaskKey {
        let mut kept = [0; KEPT];
        kept.copy_from_slice(&self.0.clone().finalize()[..KEPT]);
        TaskKey(kept)
    }
}

impl TaskKey {
    /// That of these parts.
    pub(crate) fn of(parts: &[&[u8]]) -> TaskKey {
        let mut digester = Digester::default();
        for part in parts {
            digester.add(part);
        }
        digester.key()
    }

    /// That of a whole content.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn of_content(content: &mut impl Read) -> io::Result<TaskKey> {
        let (mut digester, mut buffer) = (Digester::default(), vec![0; CHUNK]);
        loop {
            match content.read(&mut buffer) {
                Ok(0) => return Ok(digester.key()),
                Ok(len) => digester.0.update(&buffer[..len]),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TaskKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TaskKey, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wrong = || de::Error::custom("not a key");
        let digits = text.as_bytes();
        if digits.len() != 2 * KEPT {
            return Err(wrong());
        }
        let mut kept = [0; KEPT];
        for (byte, pair) in kept.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| (pair[at] as char).to_digit(16).map(|digit| digit as u8);
            *byte = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
        }
        Ok(TaskKey(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_as_text() {
        let key = TaskKey::of(&[b"a", b"b"]);
        let text = serde_json::to_string(&key).expect("no reason to fail");
        assert_eq!(text.len(), 2 * KEPT + 2);
        assert_eq!(serde_json::from_str::<TaskKey>(&text).expect("as written"), key);
        for wrong in ["\"\"", "\"zz\"", "3"] {
            assert!(serde_json::from_str::<TaskKey>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_not_pasted_together() {
        assert_ne!(TaskKey::of(&[b"ab", b"c"]), TaskKey::of(&[b"a", b"bc"]));
        assert_ne!(TaskKey::of(&[b"a"]), TaskKey::of(&[b"a", b""]));
    }
}
