//! Tasks from the client of `msup serve`: frames (docs/guide/serve.md). If that is `msup node`,
//! orders of it.

use std::io::{self, BufRead, BufReader, Read};

use msup_protocol::codec::{self, MAX_FRAME, NodeOrder, ORDER, VALUE_AT_MOST};

use super::{GROUP, GROUP_BYTES, Group, Out};

/// The kind of a frame with a task.
const TASK: u8 = 1;

/// The bytes of a frame's length.
const LENGTH: usize = size_of::<u32>();

/// Why no more tasks can be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it ends in the middle of a frame")]
    CutOff,
    #[error("an empty frame: it has no kind")]
    Empty,
    #[error("frames of kind {0} are not known (docs/guide/serve.md)")]
    Kind(u8),
    #[error("{0} bytes: a value has at most {VALUE_AT_MOST}")]
    TooLong(usize),
    #[error("no order of a node: {0}")]
    NoOrder(#[from] codec::CodecError),
}

/// Hands over all tasks. Returns whether that went well, and they are wanted.
pub(super) fn read(input: impl Read, out: &Out) -> bool {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let (mut values, mut bytes) = (Vec::new(), 0);
    for number in 1u64.. {
        let value = match next(&mut input) {
            Ok(Some(value)) => value,
            Ok(None) => break,
            Err(why) => {
                out.send(Group::Values(values));
                out.send(Group::Failed(format!("standard input, frame {number}: {why}")));
                return false;
            }
        };
        bytes += value.len();
        values.push(value);
        if values.len() >= GROUP || bytes >= GROUP_BYTES || !has_whole_frame(input.buffer()) {
            bytes = 0;
            if !out.send(Group::Values(std::mem::take(&mut values))) {
                return false;
            }
        }
    }
    values.is_empty() || out.send(Group::Values(values))
}

/// Hands over all orders of a node, each as soon as it arrives. Returns whether that went well.
pub(super) fn read_orders(input: impl Read, out: &Out) -> bool {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let mut orders = Vec::new();
    loop {
        match next_order(&mut input) {
            Ok(Some(order)) => orders.push(order),
            Ok(None) => return orders.is_empty() || out.send(Group::Orders(orders)),
            Err(why) => {
                out.send(Group::Failed(format!("the node: {why}")));
                return false;
            }
        }
        let is_enough = orders.len() >= GROUP || !has_whole_frame(input.buffer());
        if is_enough && !out.send(Group::Orders(std::mem::take(&mut orders))) {
            return false;
        }
    }
}

/// The next order; `None` when the node has no more.
fn next_order(input: &mut impl BufRead) -> Result<Option<NodeOrder>, Unreadable> {
    match frame(input, ORDER, MAX_FRAME)? {
        Some(content) => Ok(Some(codec::decode(&content)?)),
        None => Ok(None),
    }
}

/// Whether the next frame can be read without waiting for the client.
fn has_whole_frame(buffer: &[u8]) -> bool {
    let frame = buffer.split_first_chunk::<LENGTH>();
    frame.is_some_and(|(len, rest)| rest.len() >= u32::from_le_bytes(*len) as usize)
}

/// The value of the next task; `None` when the client has no more.
fn next(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, Unreadable> {
    frame(input, TASK, VALUE_AT_MOST)
}

/// The content of the next frame, which is of this kind; `None` when there are no more.
fn frame(
    input: &mut impl BufRead,
    wanted: u8,
    at_most: usize,
) -> Result<Option<Vec<u8>>, Unreadable> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut header = [0; LENGTH];
    input.read_exact(&mut header).map_err(cut_off)?;
    let len = u32::from_le_bytes(header) as usize;
    let len = len.checked_sub(1).ok_or(Unreadable::Empty)?;
    let mut kind = [0];
    input.read_exact(&mut kind).map_err(cut_off)?;
    match kind {
        [kind] if kind != wanted => Err(Unreadable::Kind(kind)),
        _ if len > at_most => Err(Unreadable::TooLong(len)),
        _ => {
            let mut content = vec![0; len];
            input.read_exact(&mut content).map_err(cut_off)?;
            Ok(Some(content))
        }
    }
}

fn cut_off(why: io::Error) -> Unreadable {
    match why.kind() {
        io::ErrorKind::UnexpectedEof => Unreadable::CutOff,
        _ => Unreadable::Io(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, content: &[u8]) -> Vec<u8> {
        let len = (content.len() as u32 + 1).to_le_bytes();
        [&len[..], &[kind], content].concat()
    }

    /// All values, and the error if there is one.
    fn read_all(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
        let mut values = Vec::new();
        loop {
            match next(&mut bytes) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return (values, None),
                Err(why) => return (values, Some(why.to_string())),
            }
        }
    }

    #[test]
    fn any_bytes_are_a_value() {
        let content = [frame(TASK, b"a\0\n\xff"), frame(TASK, b""), frame(TASK, b"c")].concat();
        assert_eq!(read_all(&content), (vec![b"a\0\n\xff".to_vec(), vec![], b"c".to_vec()], None));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let whole = frame(TASK, b"abc");
        for len in 1..whole.len() {
            let (values, why) = read_all(&whole[..len]);
            assert!(values.is_empty(), "{len} bytes");
            assert_eq!(why.as_deref(), Some("it ends in the middle of a frame"), "{len} bytes");
        }
        let why = |bytes: &[u8]| read_all(bytes).1.expect("refused");
        assert!(why(&[0; 4]).contains("no kind"));
        assert!(why(&frame(9, b"")).contains("kind 9"));
        assert!(why(&[0xff, 0xff, 0xff, 0xff, TASK]).contains("at most"));
    }

    #[test]
    fn a_frame_is_waited_for_only_if_it_is_not_there() {
        let two = [frame(TASK, b"abc"), frame(TASK, b"d")].concat();
        assert!(has_whole_frame(&two) && has_whole_frame(&two[..8]));
        for len in 0..8 {
            assert!(!has_whole_frame(&two[..len]), "{len} bytes");
        }
    }
}
