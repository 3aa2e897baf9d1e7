//! A share of the tasks of a list: what one of several runs does, each on a machine of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The tasks whose number modulo `of` is `nth`. Tasks that others have added belong to the shard of
/// those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// From 0 to `of` - 1.
    pub(crate) nth: u64,
    /// How many shards there are; at least 1.
    pub(crate) of: u64,
}

impl Shard {
    /// Whether the value with this number, from 1, is one of its tasks.
    pub(crate) fn has(self, seq: u64) -> bool {
        seq % self.of == self.nth
    }

    /// How many of the first `values` values are its tasks.
    pub(crate) fn share_of(self, values: u64) -> u64 {
        // The number 0, which no value has, is one of the shard 0.
        (values + self.of - self.nth) / self.of - u64::from(self.nth == 0)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.nth, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_has_one_shard() {
        for of in 1..8 {
            let shards: Vec<Shard> = (0..of).map(|nth| Shard { nth, of }).collect();
            for seq in 1..100 {
                assert_eq!(shards.iter().filter(|shard| shard.has(seq)).count(), 1, "{seq}");
            }
            for shard in shards {
                for values in 0..40 {
                    let counted = (1..=values).filter(|seq| shard.has(*seq)).count() as u64;
                    assert_eq!(shard.share_of(values), counted, "{shard} of {values}");
                }
            }
        }
    }
}
