//! Reads input values in a thread of its own: a stuck pipe stops nothing else.

mod client;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use msup_protocol::codec::VALUE_AT_MOST;

use crate::journal::Part;
use crate::os::threads::{self, ThreadError};

/// Values are handed over in groups of about this number, or this number of bytes.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 256 << 10;

/// The number of groups that wait to be taken: reading ahead is bounded.
const GROUPS_AHEAD: usize = 4;

/// Where values come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From the command line, after `:::`.
    Arguments(Vec<Vec<u8>>),
    /// From standard input.
    Stdin,
    /// From the client of `msup serve`, as frames on standard input.
    Client,
    /// From a file that was already opened.
    File(File, PathBuf),
    /// From a file in which an earlier generation has kept them, in these parts.
    Kept(File, PathBuf, Vec<Part>),
}

impl Source {
    /// Whether these values cannot be read a second time.
    pub(crate) fn is_read_once(&self) -> bool {
        match self {
            Source::Arguments(_) | Source::Kept(..) => false,
            Source::Stdin | Source::Client => true,
            Source::File(file, _) => !is_file(file),
        }
    }

    /// Whether they can be read to their end without waiting for another process.
    pub(crate) fn is_all_there(&self) -> bool {
        match self {
            Source::Arguments(_) | Source::Kept(..) => true,
            Source::Client => false,
            Source::Stdin => {
                io::stdin().as_fd().try_clone_to_owned().is_ok_and(|fd| is_file(&File::from(fd)))
            }
            Source::File(file, _) => is_file(file),
        }
    }
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file())
}

/// How values are separated and which are skipped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// The byte that ends a value.
    pub(crate) separator: u8,
    /// Values are commands: empty ones are skipped.
    pub(crate) commands: bool,
    /// A CR at the end of a line is not part of the value, nor is a byte order mark at the
    /// beginning.
    pub(crate) crlf: bool,
    /// Report such characters where they are kept.
    pub(crate) hints: bool,
}

/// The byte order marks of UTF-8 and UTF-16.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// What the reader hands over.
#[derive(Debug)]
pub(crate) enum Group {
    /// The next values, in order.
    Values(Vec<Vec<u8>>),
    /// Something about the list that is probably unintended: one line.
    Hint(String),
    /// This number of values was kept and is damaged.
    Missing(u64),
    /// There are no more, as was found at this time.
    End(Instant),
    /// Reading failed: one line that says why and where.
    Failed(String),
}

/// Starts reading. The eventfd is written whenever a group can be taken.
///
/// # Errors
/// No thread can be started.
pub(crate) fn start(
    source: Source,
    format: Format,
    doorbell: OwnedFd,
) -> Result<Receiver<Group>, ThreadError> {
    let (sender, receiver) = sync_channel(GROUPS_AHEAD);
    let out = Out { sender, doorbell };
    threads::start("input", move || match source {
        Source::Arguments(values) => {
            for group in values.chunks(GROUP) {
                if !out.send(Group::Values(group.to_vec())) {
                    return;
                }
            }
            out.send(Group::End(Instant::now()));
        }
        Source::Stdin => {
            if read(io::stdin().lock(), "standard input", format, &out) {
                out.send(Group::End(Instant::now()));
            }
        }
        Source::Client => {
            if client::read(io::stdin().lock(), &out) {
                out.send(Group::End(Instant::now()));
            }
        }
        Source::File(file, path) => {
            if read(file, &path.display().to_string(), format, &out) {
                out.send(Group::End(Instant::now()));
            }
        }
        Source::Kept(file, path, parts) => {
            let name = path.display().to_string();
            if parts.into_iter().all(|part| read_part(&file, &name, part, format, &out)) {
                out.send(Group::End(Instant::now()));
            }
        }
    })?;
    Ok(receiver)
}

struct Out {
    sender: SyncSender<Group>,
    doorbell: OwnedFd,
}

impl Out {
    /// Returns false when groups are not taken any more.
    fn send(&self, group: Group) -> bool {
        let taken = self.sender.send(group).is_ok();
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
        taken
    }
}

/// Returns whether to go on.
fn read_part(mut file: &File, name: &str, part: Part, format: Format, out: &Out) -> bool {
    match part {
        Part::Missing(values) => out.send(Group::Missing(values)),
        Part::Values { at, bytes } => match file.seek(SeekFrom::Start(at)) {
            // What `--crlf` removed when they were first read is already removed.
            Ok(_) => {
                let format = Format { crlf: false, hints: false, ..format };
                read(file.take(bytes), name, format, out)
            }
            Err(why) => {
                out.send(Group::Failed(format!("{name}: {why}")));
                false
            }
        },
    }
}

/// Hands over all values. Returns whether that went well, and they are wanted.
fn read(input: impl Read, name: &str, format: Format, out: &Out) -> bool {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let mut values = Vec::new();
    let mut bytes = 0;
    let mut hints = format.hints && format.separator == b'\n';
    for number in 1u64.. {
        let mut value = match next(&mut input, format.separator) {
            Ok(Some(value)) => value,
            Ok(None) => break,
            Err(why) => {
                out.send(Group::Values(values));
                out.send(Group::Failed(format!("{name}: {why}")));
                return false;
            }
        };
        if format.crlf {
            strip(&mut value, number);
        } else if hints && let Some(hint) = hint(&value, number) {
            hints = false;
            if !out.send(Group::Hint(format!("{name}: {hint}"))) {
                return false;
            }
        }
        if let Some(why) = refuse(&value, number, format) {
            out.send(Group::Values(values));
            out.send(Group::Failed(format!("{name}, value {number}: {why}")));
            return false;
        }
        if format.commands && value.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        bytes += value.len();
        values.push(value);
        // Values of a slow producer are handed over as soon as they arrive.
        let more_at_hand = input.buffer().contains(&format.separator);
        if values.len() >= GROUP || bytes >= GROUP_BYTES || !more_at_hand {
            bytes = 0;
            if !out.send(Group::Values(std::mem::take(&mut values))) {
                return false;
            }
        }
    }
    values.is_empty() || out.send(Group::Values(values))
}

/// Removes what other systems add to a line.
fn strip(value: &mut Vec<u8>, number: u64) {
    if value.last() == Some(&b'\r') {
        value.pop();
    }
    if number == 1 && value.starts_with(BYTE_ORDER_MARK) {
        value.drain(..BYTE_ORDER_MARK.len());
    }
}

/// A hint about what other systems have added to this line.
fn hint(value: &[u8], number: u64) -> Option<String> {
    let crlf = value.ends_with(b"\r").then_some("the list has CRLF line ends: values end with \\r");
    let mark = number == 1 && value.starts_with(BYTE_ORDER_MARK);
    let mark =
        mark.then_some("the list begins with a byte order mark, which is part of the first value");
    let found = mark.into_iter().chain(crlf).collect::<Vec<_>>().join("; ");
    (!found.is_empty()).then(|| format!("{found} (--crlf removes that)"))
}

fn refuse(value: &[u8], number: u64, format: Format) -> Option<String> {
    if value.len() > VALUE_AT_MOST {
        return Some(format!("longer than {} MiB (is the separator right?)", VALUE_AT_MOST >> 20));
    }
    if format.separator == 0 || !value.contains(&0) {
        return None;
    }
    let utf_16 = number == 1 && UTF_16.iter().any(|mark| value.starts_with(mark));
    Some(match utf_16 {
        true => "the list is UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)".into(),
        false => "it holds a NUL byte (use -0 for NUL-separated values)".into(),
    })
}

/// The next value without its separator; `None` at the end. Reads hardly more than the longest
/// value allowed.
fn next(input: &mut impl BufRead, separator: u8) -> io::Result<Option<Vec<u8>>> {
    let mut value = Vec::new();
    let limit = VALUE_AT_MOST as u64 + 2;
    if input.by_ref().take(limit).read_until(separator, &mut value)? == 0 {
        return Ok(None);
    }
    if value.last() == Some(&separator) {
        value.pop();
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8], format: Format) -> (Vec<Vec<u8>>, Option<String>) {
        let (sender, receiver) = sync_channel(1000);
        let doorbell = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty());
        let out = Out { sender, doorbell: doorbell.expect("an eventfd") };
        read(bytes, "test", format, &out);
        drop(out);
        let (mut values, mut failed) = (Vec::new(), None);
        for group in receiver {
            match group {
                Group::Values(more) => values.extend(more),
                Group::Failed(why) => failed = Some(why),
                Group::Hint(text) => failed = Some(text),
                Group::End(_) | Group::Missing(_) => {}
            }
        }
        (values, failed)
    }

    const LINES: Format = Format { separator: b'\n', commands: false, crlf: false, hints: true };

    #[test]
    fn values_are_split_and_kept_byte_for_byte() {
        let (values, failed) = read_all(b"a b\n\n-x\xff\nlast", LINES);
        assert_eq!(values, [&b"a b"[..], b"", b"-x\xff", b"last"]);
        assert_eq!(failed, None);
        let nul = Format { separator: 0, ..LINES };
        assert_eq!(read_all(b"a\nb\0c\0", nul).0, [&b"a\nb"[..], b"c"]);
        assert_eq!(read_all(b"", LINES).0, Vec::<Vec<u8>>::new());
    }

    #[test]
    fn blank_command_lines_are_passed_over() {
        let commands = Format { commands: true, ..LINES };
        assert_eq!(read_all(b"a\n  \n\nb\n", commands).0, [b"a", b"b"]);
    }

    #[test]
    fn what_other_systems_add_is_told_or_stripped() {
        let list = b"\xef\xbb\xbfa\r\nb\r\n\r\nc\rd";
        let (values, said) = read_all(list, LINES);
        assert_eq!(values, [&b"\xef\xbb\xbfa\r"[..], b"b\r", b"\r", b"c\rd"]);
        let said = said.expect("a hint");
        assert!(said.contains("CRLF") && said.contains("byte order mark"), "{said}");
        let (values, said) = read_all(list, Format { crlf: true, ..LINES });
        assert_eq!(
            (values, said),
            (vec![b"a".to_vec(), b"b".to_vec(), vec![], b"c\rd".to_vec()], None)
        );
        for quiet in [Format { hints: false, ..LINES }, Format { separator: 0, ..LINES }] {
            assert_eq!(read_all(b"a\r", quiet), (vec![b"a\r".to_vec()], None));
        }
        let (values, said) = read_all(b"\xff\xfea\0\n\0", LINES);
        assert!(values.is_empty() && said.is_some_and(|said| said.contains("iconv")));
    }

    #[test]
    fn a_nul_in_a_line_names_the_line() {
        let (values, failed) = read_all(b"a\nb\0c\nd\n", LINES);
        assert_eq!(values, [b"a"]);
        assert!(failed.expect("refused").starts_with("test, value 2: it holds a NUL byte"));
    }
}
