//! `--csv`: fields in quotes may hold separators, quotes and newlines (RFC 4180).

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::combining::Arguments;

/// The byte that quotes a field. Two of them within quotes stand for one.
const QUOTE: u8 = b'"';

/// Whether a record that begins with this text goes on behind the separator: a quote is open.
pub(super) fn is_open(record: &[u8]) -> bool {
    record.iter().filter(|byte| **byte == QUOTE).count() % 2 == 1
}

/// The fields of one record.
pub(super) fn split(record: &[u8], separator: u8) -> Arguments {
    // A value holds no NUL byte, so nothing in it ends the record.
    let mut reader: Reader =
        ReaderBuilder::new().delimiter(separator).terminator(Terminator::Any(0)).build();
    let mut bytes = vec![0; record.len() + 1];
    let mut ends = vec![0; record.iter().filter(|byte| **byte == separator).count() + 1];
    let (mut input, mut written, mut count) = (record, 0, 0);
    loop {
        let (result, read, wrote, fields) =
            reader.read_record(input, &mut bytes[written..], &mut ends[count..]);
        (input, written, count) = (&input[read..], written + wrote, count + fields);
        // Without input it is told that the record ends here. There is room for all fields.
        if result != ReadRecordResult::InputEmpty {
            break;
        }
    }
    if count == 0 {
        return vec![Vec::new()];
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let fields = starts.zip(ends[..count].iter().copied());
    fields.map(|(start, end)| bytes[start..end].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_and_their_quotes_removed() {
        let fields = |record: &str| {
            let fields = split(record.as_bytes(), b',').into_iter();
            fields.map(|field| String::from_utf8(field).expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(fields("a,b,c"), ["a", "b", "c"]);
        assert_eq!(
            fields(r#""1 big, 2 small","2""x4"" plank",12.34"#),
            ["1 big, 2 small", r#"2"x4" plank"#, "12.34"]
        );
        assert_eq!(fields("\"a\nb\",c"), ["a\nb", "c"]);
        assert_eq!(fields("a\nb,c"), ["a\nb", "c"]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields(","), ["", ""]);
        assert_eq!(fields("a,,"), ["a", "", ""]);
        assert_eq!(fields(r#""""#), [""]);
        assert_eq!(split(b"a\tb,c", b'\t'), [&b"a"[..], b"b,c"]);
        assert!(is_open(b"a,\"b") && !is_open(b"a,\"b\"") && !is_open(b"a"));
    }
}
