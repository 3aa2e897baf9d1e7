//! What workers write while a command runs (`--lb`): parts of its output, through one pipe that all
//! workers share. Each part is one write of at most [`PART_AT_MOST`] bytes, which the kernel never
//! splits or mixes with others. So a worker that is killed leaves whole parts only, and needs no
//! lock.

/// No part has more bytes, with its head: `PIPE_BUF` on Linux. The kernel writes as many at once or
/// none.
pub const PART_AT_MOST: usize = 4096;

/// The bytes before the content: task, attempt, stream, length.
pub const HEAD: usize = 8 + 4 + 1 + 2;

/// The streams: standard output and standard error.
pub const LIVE_STREAMS: usize = 2;

/// In the place of a stream: the attempt has finished. The content is one byte, one of [`Finish`].
pub const FINISHED: usize = LIVE_STREAMS;

/// How an attempt has finished: whether its task may run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Finish {
    /// Its command has succeeded.
    Succeeded = 0,
    /// Its command has exited with another status than 0.
    Failed = 1,
    /// Anything else.
    Other = 2,
}

impl Finish {
    /// The one with this number.
    #[must_use]
    pub fn of(number: u8) -> Option<Finish> {
        [Finish::Succeeded, Finish::Failed, Finish::Other]
            .into_iter()
            .find(|one| *one as u8 == number)
    }
}

/// A part of the output of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The task's number in the input.
    pub seq: u64,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// 0: standard output, 1: standard error, or [`FINISHED`].
    pub stream: usize,
    /// At least one byte.
    pub content: &'a [u8],
}

/// What cannot be a part: another process has written into the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPart;

impl Part<'_> {
    /// Adds it to `bytes`, as several parts if it is long. Each of these is one write.
    pub fn push(&self, bytes: &mut Vec<u8>) {
        for content in self.content.chunks(PART_AT_MOST - HEAD) {
            bytes.extend(self.seq.to_le_bytes());
            bytes.extend(self.attempt.to_le_bytes());
            bytes.push(self.stream as u8);
            bytes.extend((content.len() as u16).to_le_bytes());
            bytes.extend(content);
        }
    }
}

/// The first part, and what follows it. `None` if it is not whole.
///
/// # Errors
/// The bytes are not those of a part.
pub fn first(bytes: &[u8]) -> Result<Option<(Part<'_>, &[u8])>, NoPart> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Ok(None) };
    let (seq, head) = head.split_first_chunk().ok_or(NoPart)?;
    let (attempt, head) = head.split_first_chunk().ok_or(NoPart)?;
    let (stream, len) = head.split_first().ok_or(NoPart)?;
    let len = usize::from(u16::from_le_bytes(len.try_into().map_err(|_| NoPart)?));
    let (seq, attempt) = (u64::from_le_bytes(*seq), u32::from_le_bytes(*attempt));
    let stream = usize::from(*stream);
    if stream > FINISHED || len == 0 || len > PART_AT_MOST - HEAD {
        return Err(NoPart);
    }
    let part = rest.split_at_checked(len);
    Ok(part.map(|(content, rest)| (Part { seq, attempt, stream, content }, rest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            seq: u64, attempt: u32, stream in 0..=FINISHED,
            content in proptest::collection::vec(any::<u8>(), 0..20_000),
        ) {
            let mut bytes = Vec::new();
            Part { seq, attempt, stream, content: &content }.push(&mut bytes);
            let (mut rest, mut read) = (bytes.as_slice(), Vec::<u8>::new());
            while let Some((part, left)) = first(rest).expect("parts") {
                prop_assert!(HEAD + part.content.len() <= PART_AT_MOST);
                prop_assert_eq!((part.seq, part.attempt, part.stream), (seq, attempt, stream));
                read.extend(part.content);
                rest = left;
            }
            prop_assert!(rest.is_empty() && read == content);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = first(&bytes);
        }
    }

    #[test]
    fn a_torn_part_is_waited_for_and_an_impossible_one_refused() {
        let mut bytes = Vec::new();
        Part { seq: 1, attempt: 1, stream: 1, content: b"text" }.push(&mut bytes);
        (0..bytes.len()).for_each(|len| assert_eq!(first(&bytes[..len]), Ok(None), "{len}"));
        for (at, byte) in [(12, 3), (13, 0), (14, 255)] {
            let mut wrong = bytes.clone();
            wrong[at] = byte;
            assert_eq!(first(&wrong), Err(NoPart), "{at}");
        }
    }
}
