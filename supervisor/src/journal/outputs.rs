//! Outputs kept with a run, so that `msup resume --replay` can show them again: one file, to which
//! a frame is appended for each task that wrote something.
//!
//! A frame is written before its task's output is shown, and so before its end is journaled. A torn
//! frame at the end is cut off when the run is resumed; a damaged one is skipped, and its output
//! counts as missing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// The first bytes of a frame.
const MAGIC: [u8; 4] = *b"msO1";

/// Larger outputs of a task are kept only on request.
const KEPT_AT_MOST: u64 = 64 << 10;

/// Frames are gathered up to this size before they are written.
const GATHERED: usize = 256 << 10;

/// The sizes of the head, and of the checksum after the payload.
const HEAD: usize = MAGIC.len() + 8 + 4 + 4 + 8 + 8 + 1;
const CHECKSUM: usize = 4;

/// The attempt that wrote an output: the task's number, the checksum of its value, and the attempt.
/// The same number may belong to another value after the input was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeptFor {
    pub(crate) seq: u64,
    pub(crate) value: u32,
    pub(crate) attempt: u32,
}

impl KeptFor {
    pub(crate) fn new(seq: u64, value: &[u8], attempt: u32) -> KeptFor {
        KeptFor { seq, value: crc32fast::hash(value), attempt }
    }
}

/// The part of a frame before the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    writer: KeptFor,
    /// Bytes of standard output and of standard error.
    lens: [u64; 2],
    /// Whether the bytes follow; else there were too many.
    is_kept: bool,
}

impl Head {
    fn encode(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        let KeptFor { seq, value, attempt } = self.writer;
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &seq.to_le_bytes(),
            &value.to_le_bytes(),
            &attempt.to_le_bytes(),
            &self.lens[0].to_le_bytes(),
            &self.lens[1].to_le_bytes(),
            &[u8::from(self.is_kept)],
        ];
        let mut at = 0;
        for field in fields {
            head[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        head
    }

    fn decode(head: &[u8; HEAD]) -> Option<Head> {
        let mut rest = head.strip_prefix(&MAGIC)?;
        let mut take = |len: usize| {
            let mut number = [0; 8];
            number[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            u64::from_le_bytes(number)
        };
        let (seq, value, attempt) = (take(8), take(4) as u32, take(4) as u32);
        let (lens, is_kept) = ([take(8), take(8)], take(1));
        (is_kept <= 1).then_some(Head {
            writer: KeptFor { seq, value, attempt },
            lens,
            is_kept: is_kept == 1,
        })
    }

    /// The number of bytes between head and checksum; `None` where it overflows.
    fn payload(&self) -> Option<u64> {
        let sum = self.lens[0].checked_add(self.lens[1])?;
        Some(if self.is_kept { sum } else { 0 })
    }
}

/// Appends frames.
#[derive(Debug)]
pub(crate) struct Keeper {
    file: File,
    /// The run's id, with which each checksum begins: frames of other runs are ignored.
    run: String,
    at_most: u64,
    pending: Vec<u8>,
    /// The number of bytes written.
    written: u64,
    /// Where the last whole frame ends: of those that are written, and of all.
    whole: u64,
    gathered: u64,
}

impl Keeper {
    /// For the file of this run, which is open for appending and has `whole` bytes; `all`: outputs
    /// of any size are kept.
    pub(crate) fn new(file: File, whole: u64, run: &str, all: bool) -> Keeper {
        let at_most = if all { u64::MAX } else { KEPT_AT_MOST };
        let (run, pending) = (run.to_owned(), Vec::new());
        Keeper { file, run, at_most, pending, written: whole, whole, gathered: whole }
    }

    /// Keeps an output of `lens` bytes, which are read from `streams`, or notes that it was too
    /// large. Returns whether it is kept once it is flushed. An output that cannot be read is lost,
    /// here as where it is shown.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep<'a>(
        &mut self,
        writer: KeptFor,
        lens: [u64; 2],
        streams: impl Iterator<Item = io::Result<Box<dyn Read + 'a>>>,
    ) -> io::Result<bool> {
        let is_kept = lens[0].saturating_add(lens[1]) <= self.at_most;
        let head = Head { writer, lens, is_kept }.encode();
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(self.run.as_bytes());
        checksum.update(&head);
        let mut begun = Some(self.pending.len());
        self.pending.extend_from_slice(&head);
        for (stream, len) in streams.zip(lens).filter(|_| is_kept) {
            let Ok(mut stream) = stream else { return self.forget(begun) };
            let mut left = len;
            while left > 0 {
                let before = self.pending.len();
                let part =
                    (&mut stream).take(left.min(KEPT_AT_MOST)).read_to_end(&mut self.pending);
                let Ok(len @ 1..) = part else { return self.forget(begun) };
                left -= len as u64;
                checksum.update(&self.pending[before..]);
                if self.flush_if(GATHERED)? {
                    begun = None;
                }
            }
        }
        self.pending.extend_from_slice(&checksum.finalize().to_le_bytes());
        self.gathered = self.written + self.pending.len() as u64;
        self.flush_if(GATHERED)?;
        Ok(is_kept)
    }

    /// Takes back the frame that begins there. A partly written one stays as a damaged frame.
    fn forget(&mut self, begun: Option<usize>) -> io::Result<bool> {
        self.pending.truncate(begun.unwrap_or(0));
        Ok(false)
    }

    /// Writes the gathered frames.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.flush_if(1).map(drop)
    }

    /// Returns whether something was written.
    fn flush_if(&mut self, gathered: usize) -> io::Result<bool> {
        if self.pending.len() < gathered {
            return Ok(false);
        }
        self.file.write_all(&self.pending)?;
        self.written += self.pending.len() as u64;
        self.whole = self.gathered;
        self.pending.clear();
        Ok(true)
    }

    /// Stops keeping outputs. Those that are written stay; the torn end of the last write is cut
    /// off.
    pub(crate) fn give_up(self) {
        // Where this fails, the next generation cuts it off.
        let _ = self.file.set_len(self.whole);
    }
}

/// Where an output is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeptPlace {
    /// From `at` on, these numbers of bytes of standard output and then of standard error.
    Kept { at: u64, lens: [u64; 2] },
    /// It was too large.
    TooLarge,
    /// It could not be written.
    NotKept,
}

/// All kept outputs.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) places: HashMap<KeptFor, KeptPlace>,
    /// The end of the last whole frame.
    pub(crate) whole: u64,
}

impl Kept {
    /// The journal says of these that they could not be written.
    pub(crate) fn lack(&mut self, unkept: &[KeptFor]) {
        for writer in unkept {
            self.places.entry(*writer).or_insert(KeptPlace::NotKept);
        }
    }

    /// Whether the output of this attempt can be shown again.
    pub(crate) fn has(&self, seq: u64, value: &[u8], attempt: u32) -> bool {
        let place = self.places.get(&KeptFor::new(seq, value, attempt));
        matches!(place, Some(KeptPlace::Kept { .. }))
    }

    /// The output of this attempt on both streams, if it is kept in this file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn streams(&self, file: &File, writer: KeptFor) -> io::Result<Option<[Vec<u8>; 2]>> {
        let Some(KeptPlace::Kept { at, lens }) = self.places.get(&writer) else { return Ok(None) };
        let mut stdout = vec![0; (lens[0] + lens[1]) as usize];
        file.read_exact_at(&mut stdout, *at)?;
        let stderr = stdout.split_off(lens[0] as usize);
        Ok(Some([stdout, stderr]))
    }

    /// Shows it.
    ///
    /// # Errors
    /// It cannot be read, or not be shown.
    pub(crate) fn show(&self, file: &File, writer: KeptFor) -> io::Result<()> {
        let [stdout, stderr] = self.streams(file, writer)?.unwrap_or_default();
        io::stdout().write_all(&stdout)?;
        io::stdout().flush()?;
        io::stderr().write_all(&stderr)
    }

    /// Reads the file of this run.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(file: &File, run: &str) -> io::Result<Kept> {
        let size = file.metadata()?.len();
        let mut input = BufReader::with_capacity(1 << 20, file);
        let mut kept = Kept::default();
        let mut at = 0;
        while at + (HEAD + CHECKSUM) as u64 <= size {
            let here = input.stream_position()?;
            input.seek_relative(at.cast_signed() - here.cast_signed())?;
            match frame(&mut input, run, size - at)? {
                Some((head, len)) => {
                    let place = match head.is_kept {
                        true => KeptPlace::Kept { at: at + HEAD as u64, lens: head.lens },
                        false => KeptPlace::TooLarge,
                    };
                    kept.places.insert(head.writer, place);
                    at += len;
                    kept.whole = at;
                }
                // The next one may be whole.
                None => at = next_magic(&mut input, at + 1)?.unwrap_or(size),
            }
        }
        Ok(kept)
    }
}

/// The frame that begins here and its length, in a file of which `left` bytes are left; `None` if
/// there is none.
fn frame(input: &mut BufReader<&File>, run: &str, left: u64) -> io::Result<Option<(Head, u64)>> {
    let mut bytes = [0; HEAD];
    input.read_exact(&mut bytes)?;
    let Some(head) = Head::decode(&bytes) else { return Ok(None) };
    let fixed = (HEAD + CHECKSUM) as u64;
    let Some(payload) = head.payload().filter(|payload| *payload <= left - fixed) else {
        return Ok(None);
    };
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(run.as_bytes());
    checksum.update(&bytes);
    let mut buffer = vec![0; KEPT_AT_MOST.min(payload) as usize];
    let mut rest = payload;
    while rest > 0 {
        let part = buffer.len().min(rest as usize);
        input.read_exact(&mut buffer[..part])?;
        checksum.update(&buffer[..part]);
        rest -= part as u64;
    }
    let mut expected = [0; CHECKSUM];
    input.read_exact(&mut expected)?;
    let is_whole = checksum.finalize() == u32::from_le_bytes(expected);
    Ok(is_whole.then_some((head, payload + fixed)))
}

/// Finds the next possible beginning of a frame.
fn next_magic(input: &mut BufReader<&File>, from: u64) -> io::Result<Option<u64>> {
    input.seek(SeekFrom::Start(from))?;
    let (mut at, mut seen) = (from, 0);
    for byte in input.by_ref().bytes() {
        let byte = byte?;
        at += 1;
        seen = if byte == MAGIC[seen] { seen + 1 } else { usize::from(byte == MAGIC[0]) };
        if seen == MAGIC.len() {
            return Ok(Some(at - seen as u64));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn keep(file: &File, seq: u64, output: [&[u8]; 2]) {
        let mut keeper =
            Keeper::new(file.try_clone().expect("a descriptor"), len(file), "run", false);
        let streams = output.map(|bytes| {
            let bytes: Box<dyn Read> = Box::new(io::Cursor::new(bytes.to_vec()));
            Ok(bytes)
        });
        let lens = output.map(|bytes| bytes.len() as u64);
        keeper.keep(KeptFor::new(seq, b"v", 1), lens, streams.into_iter()).expect("memory");
        keeper.flush().expect("writable");
    }

    fn len(file: &File) -> u64 {
        file.metadata().expect("there").len()
    }

    fn numbers(kept: &Kept) -> Vec<u64> {
        let mut numbers: Vec<u64> = kept.places.keys().map(|writer| writer.seq).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn what_was_kept_is_found() {
        let file = tempfile::tempfile().expect("a file");
        keep(&file, 1, [b"out", b"err"]);
        keep(&file, 2, [b"", b"x"]);
        keep(&file, 3, [&vec![b'y'; 65_537], b""]);
        let kept = Kept::read(&file, "run").expect("readable");
        let place = |seq| kept.places[&KeptFor::new(seq, b"v", 1)];
        assert_eq!(place(1), KeptPlace::Kept { at: HEAD as u64, lens: [3, 3] });
        assert_eq!(place(3), KeptPlace::TooLarge);
        let KeptPlace::Kept { at, lens } = place(2) else { panic!("it was kept") };
        let mut bytes = [0; 1];
        file.read_exact_at(&mut bytes, at + lens[0]).expect("there");
        assert_eq!((&bytes, lens), (b"x", [0, 1]));
        assert_eq!(kept.whole, file.metadata().expect("there").len());
        assert!(Kept::read(&file, "another run").expect("readable").places.is_empty());
    }

    #[test]
    fn an_output_that_cannot_be_read_costs_itself_alone() {
        let file = tempfile::tempfile().expect("a file");
        for (size, seq) in [(3, 1), (1 << 20, 2)] {
            let clone = file.try_clone().expect("a descriptor");
            let mut keeper = Keeper::new(clone, len(&file), "run", true);
            // There is less than was announced.
            let short: Box<dyn Read> = Box::new(io::repeat(b'x').take(size));
            let nothing: Box<dyn Read> = Box::new(io::empty());
            let streams = [Ok(short), Ok(nothing)].into_iter();
            keeper.keep(KeptFor::new(9, b"v", 1), [size + 1, 0], streams).expect("passed over");
            keeper.flush().expect("writable");
            keep(&file, seq, [b"whole", b""]);
            let kept = Kept::read(&file, "run").expect("readable");
            assert_eq!(numbers(&kept).last(), Some(&seq));
        }
        assert_eq!(numbers(&Kept::read(&file, "run").expect("readable")), [1, 2]);
    }

    #[test]
    fn a_torn_frame_ends_before_it_wherever_it_is_torn() {
        let file = tempfile::tempfile().expect("a file");
        keep(&file, 1, [b"msO1 out", b"err"]);
        let whole = file.metadata().expect("there").len();
        keep(&file, 2, [b"msO1", b"msO"]);
        let size = file.metadata().expect("there").len();
        for len in (whole..size).rev() {
            file.set_len(len).expect("writable");
            let kept = Kept::read(&file, "run").expect("readable");
            assert_eq!((numbers(&kept), kept.whole), (vec![1], whole), "{len}");
        }
    }

    #[test]
    fn a_damaged_frame_costs_itself_alone() {
        let file = tempfile::tempfile().expect("a file");
        keep(&file, 1, [b"one", b""]);
        let first = file.metadata().expect("there").len();
        keep(&file, 2, [b"two", b""]);
        for at in 0..first {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("there");
            file.write_all_at(&[byte[0] ^ 0x40], at).expect("writable");
            let kept = Kept::read(&file, "run").expect("readable");
            assert_eq!(numbers(&kept), [2], "{at}");
            file.write_all_at(&byte, at).expect("writable");
        }
        assert_eq!(numbers(&Kept::read(&file, "run").expect("readable")), [1, 2]);
    }
}
