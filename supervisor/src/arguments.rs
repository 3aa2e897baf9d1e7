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

/// A value of these arguments.
pub(crate) fn join(arguments: &[Vec<u8>]) -> Vec<u8> {
    arguments.join(&BETWEEN)
}

/// The arguments of a value.
pub(crate) fn split(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == BETWEEN)
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
            let value = join(&arguments);
            prop_assert_eq!(split(&value).collect::<Vec<_>>(), arguments.clone());
            let escaped = escape(&value);
            prop_assert!(!escaped.contains(&0));
            prop_assert_eq!(unescape(&escaped), value);
        }
    }
}
