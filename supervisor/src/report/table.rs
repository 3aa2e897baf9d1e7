//! `--results FILE.csv`, `.tsv` and `.json`: a row for each finished task, as GNU parallel writes
//! them.

use std::io::{self, BufRead, Write};

/// The columns before those of the arguments, and those after them.
const COLUMNS: [&str; 9] =
    ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"];
const STREAMS: [&str; 2] = ["Stdout", "Stderr"];

/// What a row of JSON begins with.
const JSON_BEGINS: &[u8] = b"{ \"Seq\": ";

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableFormat {
    /// With this byte between two fields.
    Separated(u8),
    Json,
}

/// A finished task, without its output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    /// The start in seconds since 1970, and the duration in seconds.
    pub(crate) start: f64,
    pub(crate) wall: f64,
    /// The number of bytes on standard input, if it was a block; and on standard output.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) exit: i16,
    pub(crate) signal: u8,
    pub(crate) command: Vec<u8>,
    pub(crate) arguments: Vec<Vec<u8>>,
}

impl TableFormat {
    /// The format that the name of a file asks for, if it asks for one.
    pub(crate) fn of(name: &[u8]) -> Option<TableFormat> {
        let name = name.to_ascii_lowercase();
        let formats = [
            (&b".csv"[..], TableFormat::Separated(b',')),
            (b".tsv", TableFormat::Separated(b'\t')),
            (b".json", TableFormat::Json),
        ];
        formats.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| format)
    }

    /// The line before the first row, for rows with this number of arguments.
    pub(crate) fn header(self, arguments: usize) -> Vec<u8> {
        let TableFormat::Separated(between) = self else { return Vec::new() };
        let numbered = (1..=arguments).map(|n| format!("V{n}"));
        let names = COLUMNS.map(str::to_owned).into_iter().chain(numbered);
        let names: Vec<String> = names.chain(STREAMS.map(str::to_owned)).collect();
        let mut line = names.join(&char::from(between).to_string()).into_bytes();
        line.push(b'\n');
        line
    }

    /// All of a row before the output.
    pub(crate) fn begin(self, row: &Row) -> Vec<u8> {
        let Row { seq, start, wall, sent, received, exit, signal, command, arguments } = row;
        let mut out = Vec::new();
        // Writing into memory cannot fail.
        match self {
            TableFormat::Separated(between) => {
                let b = char::from(between);
                let _ = write!(
                    out,
                    "{seq}{b}:{b}{start:.3}{b}{wall:.3}{b}{sent}{b}{received}{b}{exit}{b}{signal}"
                );
                for field in std::iter::once(command).chain(arguments) {
                    out.push(between);
                    let _ =
                        self.field(self.needs_quotes(field), &mut out, |out| out.write_all(field));
                }
            }
            TableFormat::Json => {
                out.extend_from_slice(JSON_BEGINS);
                let _ = write!(
                    out,
                    "{seq}, \"Host\": \":\", \"Starttime\": {start:.3}, \"JobRuntime\": {wall:.3}, \
                     \"Send\": {sent}, \"Receive\": {received}, \"Exitval\": {exit}, \"Signal\": \
                     {signal}, \"Command\": "
                );
                let text = |text: &[u8], out: &mut Vec<u8>| {
                    let _ = self.field(true, out, |out| out.write_all(text));
                };
                text(command, &mut out);
                out.extend_from_slice(b", \"V\": [ ");
                for (nth, argument) in arguments.iter().enumerate() {
                    out.extend_from_slice(if nth > 0 { b"," } else { b"" });
                    text(argument, &mut out);
                }
                out.extend_from_slice(b" ]");
            }
        }
        out
    }

    /// What stands before the output on the stream with this number, 0 or 1.
    pub(crate) fn before(self, stream: usize) -> Vec<u8> {
        match self {
            TableFormat::Separated(between) => vec![between],
            TableFormat::Json => format!(", \"{}\": ", STREAMS[stream]).into_bytes(),
        }
    }

    /// What ends a row.
    pub(crate) fn end(self) -> &'static [u8] {
        match self {
            TableFormat::Separated(_) => b"\n",
            TableFormat::Json => b" }\n",
        }
    }

    /// Whether a field with these bytes stands in quotes.
    pub(crate) fn needs_quotes(self, bytes: &[u8]) -> bool {
        // What Perl calls a blank, NUL and the separator.
        let is_special = |byte: &u8| match self {
            TableFormat::Separated(between) => {
                *byte == between || b"\" \t\n\r\x0b\x0c\0".contains(byte)
            }
            TableFormat::Json => true,
        };
        self == TableFormat::Json || bytes.iter().any(is_special)
    }

    /// Writes one field.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn field<W: Write, E: From<io::Error>>(
        self,
        has_quotes: bool,
        out: &mut W,
        write: impl FnOnce(&mut Field<'_, W>) -> Result<(), E>,
    ) -> Result<(), E> {
        if has_quotes {
            out.write_all(b"\"")?;
        }
        write(&mut Field { format: self, has_quotes, out })?;
        if has_quotes {
            out.write_all(b"\"")?;
        }
        Ok(())
    }

    /// The number of the task whose row begins so.
    pub(crate) fn seq_of(self, row: &[u8]) -> Option<u64> {
        let row = match self {
            TableFormat::Separated(_) => row,
            TableFormat::Json => row.strip_prefix(JSON_BEGINS)?,
        };
        let digits = row.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&row[..digits]).ok()?.parse().ok()
    }

    /// Reads the rows of a table, each with what ends it; a torn one at the end is left out.
    /// Returns the number of bytes that they have together.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn each_row(
        self,
        mut table: impl BufRead,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let (mut row, mut whole, mut is_quoted) = (Vec::new(), 0, false);
        loop {
            let began = row.len();
            table.read_until(b'\n', &mut row)?;
            if row.last() != Some(&b'\n') || row.len() == began {
                return Ok(whole);
            }
            let quotes = row[began..].iter().filter(|byte| **byte == b'"').count();
            is_quoted ^= self != TableFormat::Json && quotes % 2 == 1;
            if !is_quoted {
                take(&row)?;
                whole += row.len() as u64;
                row.clear();
            }
        }
    }
}

/// Writes the bytes of a field so that they stay in it.
pub(crate) struct Field<'a, W> {
    format: TableFormat,
    has_quotes: bool,
    out: &'a mut W,
}

impl<W: Write> Write for Field<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_quotes {
            self.out.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let is_special = |byte: &u8| match self.format {
            TableFormat::Separated(_) => *byte == b'"',
            TableFormat::Json => *byte < b' ' || b"\"\\".contains(byte),
        };
        for part in bytes.split_inclusive(is_special) {
            let Some((last, plain)) = part.split_last().filter(|(last, _)| is_special(last)) else {
                self.out.write_all(part)?;
                continue;
            };
            self.out.write_all(plain)?;
            match (self.format, last) {
                (TableFormat::Separated(_), _) => self.out.write_all(b"\"\"")?,
                (TableFormat::Json, b'"' | b'\\') => self.out.write_all(&[b'\\', *last])?,
                (TableFormat::Json, control) => write!(self.out, "\\u{control:04x}")?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: TableFormat = TableFormat::Separated(b',');

    fn whole(format: TableFormat, row: &Row, streams: [&[u8]; 2]) -> Vec<u8> {
        let mut out = format.begin(row);
        for (nth, stream) in streams.into_iter().enumerate() {
            out.extend(format.before(nth));
            let quoted = format.needs_quotes(stream);
            let written: io::Result<()> =
                format.field(quoted, &mut out, |out| out.write_all(stream));
            written.expect("memory");
        }
        out.extend(format.end());
        out
    }

    fn row(seq: u64, argument: &[u8]) -> Row {
        let (command, arguments) = (b"echo a,b".to_vec(), vec![argument.to_vec(), b"2".to_vec()]);
        Row {
            seq,
            start: 1.5,
            wall: 0.25,
            sent: 0,
            received: 4,
            exit: 0,
            signal: 9,
            command,
            arguments,
        }
    }

    /// As version 20221122 writes them.
    #[test]
    fn rows_are_those_of_gnu_parallel() {
        let text = |format, stdout: &[u8]| {
            String::from_utf8(whole(format, &row(3, b"x \"y"), [stdout, b""])).expect("text")
        };
        assert_eq!(
            text(CSV, b"a,1\n"),
            "3,:,1.500,0.250,0,4,0,9,\"echo a,b\",\"x \"\"y\",2,\"a,1\n\",\n"
        );
        assert_eq!(
            text(TableFormat::Separated(b'\t'), b"a,1"),
            "3\t:\t1.500\t0.250\t0\t4\t0\t9\t\"echo a,b\"\t\"x \"\"y\"\t2\ta,1\t\n"
        );
        assert_eq!(
            text(TableFormat::Json, b"a\\\t\n"),
            "{ \"Seq\": 3, \"Host\": \":\", \"Starttime\": 1.500, \"JobRuntime\": 0.250, \"Send\": \
             0, \"Receive\": 4, \"Exitval\": 0, \"Signal\": 9, \"Command\": \"echo a,b\", \"V\": [ \
             \"x \\\"y\",\"2\" ], \"Stdout\": \"a\\\\\\u0009\\u000a\", \"Stderr\": \"\" }\n"
        );
        let header = String::from_utf8(CSV.header(2)).expect("text");
        let expected = "Seq,Host,Starttime,JobRuntime,Send,Receive,Exitval,Signal,Command,V1,V2,\
                        Stdout,Stderr\n";
        assert_eq!(header, expected);
        assert_eq!(TableFormat::Json.header(2), b"");
    }

    #[test]
    fn the_name_says_the_format() {
        assert_eq!(TableFormat::of(b"a.csv"), Some(CSV));
        assert_eq!(TableFormat::of(b"-.TSV"), Some(TableFormat::Separated(b'\t')));
        assert_eq!(TableFormat::of(b"x.json"), Some(TableFormat::Json));
        assert_eq!([&b"csv"[..], b"x.csv/", b"x"].map(TableFormat::of), [None; 3]);
    }

    proptest! {
        /// Whatever a task writes, its row can be told from the next one, and a torn one is no row.
        #[test]
        fn rows_are_found_again(
            outputs in proptest::collection::vec("[a\",\t\n\r\\\\ ]{0,8}", 1..5),
            cut in any::<prop::sample::Index>(),
        ) {
            for format in [CSV, TableFormat::Separated(b'\t'), TableFormat::Json] {
                let rows: Vec<Vec<u8>> = (1..).zip(&outputs).map(|(seq, text)| {
                    whole(format, &row(seq, text.as_bytes()), [text.as_bytes(), b"x\n"])
                }).collect();
                let table = rows.concat();
                let cut = cut.index(table.len() + 1);
                let (mut found, mut end) = (Vec::new(), 0);
                let whole = format.each_row(&table[..cut], |row| {
                    found.push(row.to_vec());
                    Ok(())
                });
                let ends = rows.iter().map(|row| { end += row.len(); end });
                let expected = ends.take_while(|end| *end <= cut).count();
                prop_assert_eq!(&found[..], &rows[..expected]);
                prop_assert_eq!(whole.ok(), Some(rows[..expected].concat().len() as u64));
                for (seq, row) in (1..).zip(&rows) {
                    prop_assert_eq!(format.seq_of(row), Some(seq));
                }
            }
        }
    }
}
