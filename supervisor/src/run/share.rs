//! Which values of the list are tasks of this run.

use crate::pipeline::Digester;
use crate::shard::Shard;

/// The share of this run in the list.
#[derive(Default)]
pub(super) struct Share {
    /// If it has not all tasks.
    pub(super) shard: Option<Shard>,
    /// How many values that are none of its tasks come before the next one.
    others: u64,
    /// Of all values so far, whether they are its tasks or not.
    digester: Digester,
}

impl Share {
    pub(super) fn of(shard: Option<Shard>) -> Share {
        Share { shard, ..Share::default() }
    }

    /// Whether the value with this number is no task of this run. If so, it is counted.
    pub(super) fn leaves_out(&mut self, number: u64, value: &[u8]) -> bool {
        let Some(shard) = self.shard else { return false };
        self.digester.add(value);
        let is_other = !shard.has(number);
        self.others += u64::from(is_other);
        is_other
    }

    /// How many values that are none of its tasks come before the next one.
    pub(super) fn others(&self) -> u64 {
        self.others
    }

    /// The same, which are counted now.
    pub(super) fn take_others(&mut self) -> u64 {
        std::mem::take(&mut self.others)
    }

    /// The digest of all values so far, if this is a shard.
    pub(super) fn digest(&self) -> Option<String> {
        self.shard.map(|_| self.digester.key().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shards_of_a_list_have_the_same_digest() {
        let digest = |nth, values: &[&str]| {
            let mut share = Share::of(Some(Shard { nth, of: 3 }));
            let left_out = (1..)
                .zip(values)
                .filter(|(number, value)| share.leaves_out(*number, value.as_bytes()));
            let left_out = left_out.count() as u64;
            assert_eq!((share.take_others(), share.others()), (left_out, 0));
            share.digest()
        };
        let all = digest(0, &["a", "b", "c", "d"]);
        assert_eq!(all, digest(2, &["a", "b", "c", "d"]));
        assert_ne!(all, digest(0, &["a", "b", "c", "e"]));
        assert_ne!(all, digest(0, &["ab", "c", "d"]));
        assert_eq!(Share::of(None).digest(), None);
    }
}
