//! Lists of values in JSON: strings where they are UTF-8.

use serde::{Deserialize, Deserializer, Serializer};

use crate::journal::Bytes;

pub(super) fn serialize<S: Serializer>(all: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(all.iter().map(|one| Bytes(one.clone())))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Box<[Vec<u8>]>, D::Error> {
    let all = Vec::<Bytes>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|Bytes(one)| one).collect())
}
