//! The arguments that make up one value: several where lists are combined or taken in batches.
//!
//! A NUL byte stands between two of them, since no argument of a command can hold one. A value with
//! one argument is that argument.

/// What stands for the byte between two arguments, and for this byte itself, where a NUL byte ends
/// a value.
const ESCAPE: u8 = 1;
const ESCAPED_ESCAPE: u8 = 1;
const ESCAPED_BETWEEN: u8 = 2;

/// The byte between two arguments of a value.
pub(crate) const BETWEEN: u8 = 0;

/// How much of a command line something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Length {
    /// Bytes of arguments, with the byte that ends each.
    pub(crate) chars: usize,
    /// What the system counts: arguments and variables, and a pointer to each.
    pub(crate) total: usize,
    /// Bytes of the argument or variable that grows with the number of values.
    pub(crate) grows: usize,
    /// Bytes of the longest other one.
    pub(crate) longest: usize,
}

impl Length {
    /// What the system counts for an argument besides its bytes: the one that ends it, a pointer.
    pub(crate) const BESIDES: usize = 1 + size_of::<usize>();

    /// Of an argument or a variable of its own.
    pub(crate) fn of(bytes: usize) -> Length {
        Length { chars: bytes + 1, total: bytes + Length::BESIDES, grows: 0, longest: bytes }
    }

    /// Of both.
    pub(crate) fn and(self, other: Length) -> Length {
        Length {
            chars: self.chars.saturating_add(other.chars),
            total: self.total.saturating_add(other.total),
            grows: self.grows.saturating_add(other.grows),
            longest: self.longest.max(other.longest),
        }
    }

    /// Whether there is room for it in this.
    pub(crate) fn fits(self, room: Length) -> bool {
        self.chars <= room.chars
            && self.total <= room.total
            && self.grows.max(self.longest) <= room.longest
    }
}

/// A value of these arguments.
pub(crate) fn join(mut arguments: Vec<Vec<u8>>) -> Vec<u8> {
    match arguments.len() {
        1 => arguments.remove(0),
        _ => arguments.join(&BETWEEN),
    }
}

/// The arguments of a value.
pub(crate) fn split(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == BETWEEN)
}

/// The arguments of a value in which a NUL byte ends each of them: there may be none.
pub(crate) fn split_ended(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = value.strip_suffix(&[BETWEEN]);
    whole.into_iter().flat_map(|rest| rest.split(|byte| *byte == BETWEEN))
}

/// A value as a person is to see it: blanks between the arguments.
pub(crate) fn shown(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if *byte == BETWEEN { b' ' } else { *byte }).collect()
}

/// A value without a NUL byte that stands for this one where values may have several arguments.
pub(crate) fn escape(value: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for byte in value {
        match *byte {
            BETWEEN => escaped.extend([ESCAPE, ESCAPED_BETWEEN]),
            ESCAPE => escaped.extend([ESCAPE, ESCAPED_ESCAPE]),
            byte => escaped.push(byte),
        }
    }
    escaped
}

/// The value that this stands for. What [`escape`] never writes is taken as it is.
pub(crate) fn unescape(kept: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(kept.len());
    let mut rest = kept;
    while let [first, behind @ ..] = rest {
        let byte;
        (byte, rest) = match rest {
            [ESCAPE, ESCAPED_BETWEEN, behind @ ..] => (BETWEEN, behind),
            [ESCAPE, ESCAPED_ESCAPE, behind @ ..] => (ESCAPE, behind),
            _ => (*first, behind),
        };
        value.push(byte);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arguments_survive_in_a_value_and_a_value_in_a_file(
            arguments in proptest::collection::vec("[\u{1}-\u{4}a]{0,5}", 1..5),
        ) {
            let arguments: Vec<Vec<u8>> = arguments.into_iter().map(String::into_bytes).collect();
            let value = join(arguments.clone());
            prop_assert_eq!(split(&value).collect::<Vec<_>>(), arguments.clone());
            let escaped = escape(&value);
            prop_assert!(!escaped.contains(&0));
            prop_assert_eq!(unescape(&escaped), value);
        }
    }
}
