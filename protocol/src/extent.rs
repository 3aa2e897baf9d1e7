//! Parts of the file of blocks, from which commands get their standard input.

use crate::codec::Extent;

/// What the value of a task with a block begins with.
const BYTES: &str = "bytes ";

/// Writes these parts, at least one, as the value of a task: `bytes AT+LEN`, with commas between
/// several.
#[must_use]
pub fn to_value(extents: &[Extent]) -> Vec<u8> {
    let parts: Vec<String> =
        extents.iter().map(|Extent { at, len }| format!("{at}+{len}")).collect();
    format!("{BYTES}{}", parts.join(",")).into_bytes()
}

/// Reads what [`to_value`] has written; `None` if it is anything else.
#[must_use]
pub fn of_value(value: &[u8]) -> Option<Vec<Extent>> {
    let part = |part: &str| {
        let (at, len) = part.split_once('+')?;
        let (at, len) = (at.parse().ok()?, len.parse().ok()?);
        u64::checked_add(at, len).map(|_| Extent { at, len })
    };
    str::from_utf8(value).ok()?.strip_prefix(BYTES)?.split(',').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_were_written() {
        let parts = [Extent { at: 0, len: 7 }, Extent { at: 1 << 40, len: 1 }];
        assert_eq!(to_value(&parts), b"bytes 0+7,1099511627776+1");
        assert_eq!(of_value(&to_value(&parts)).as_deref(), Some(&parts[..]));
        assert_eq!(of_value(b"0+7"), None);
        for bad in ["", "1", "1+", "+1", "1+2,", "1-2", "1+2+3", "18446744073709551615+1", "\u{e9}"]
        {
            assert_eq!(of_value(format!("{BYTES}{bad}").as_bytes()), None, "{bad:?}");
        }
    }
}
