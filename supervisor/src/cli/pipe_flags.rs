//! `--pipe`: the input becomes the standard input of commands, block by block.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use msup_protocol::codec::Extent;

use super::block_file::{self, Cuts};
use super::concurrency::parse_size;
use super::delimiter;
use super::failures;
use super::usage::{BadValue, UsageError};
use crate::input::{BlockHeader, Blocks, Boundary, Cutting, Preamble, Room};
use crate::template::Feeding;

/// The size of a block of `--pipe`, as in GNU parallel.
const BLOCK: u64 = 1 << 20;

/// The number of blocks of a file for each token, with `--pipe-part`: the last ones to finish keep
/// all CPUs busy for most of the time.
const BLOCKS_PER_TOKEN: u64 = 10;

/// Blocks in memory take at most this number of bytes, or one block for each token and
/// [`BLOCKS_AHEAD`] more.
const IN_MEMORY: u64 = 256 << 20;
const BLOCKS_AHEAD: u64 = 2;

#[derive(Debug, clap::Args)]
pub(super) struct PipeFlags {
    /// Cut standard input, or the file of -a, into blocks of whole records, and give each command
    /// one as its standard input
    #[arg(long, alias = "spreadstdin")]
    pipe: bool,

    /// The same for a file, which is cut into parts of equal size: 10 for each token
    #[arg(long, alias = "pipepart")]
    pipe_part: bool,

    /// The size of a block of --pipe (512k, 10M), of --pipe-part also -N: N blocks for each token
    /// [default: 1M, -10]
    #[arg(
        long,
        aliases = ["block-size", "blocksize"],
        value_name = "SIZE",
        allow_hyphen_values = true
    )]
    block: Option<String>,

    /// Hand a block over that is not full after this time (2, 0.5s, 1m), behind its last whole
    /// record
    #[arg(long, aliases = ["blocktimeout", "bt"], value_name = "TIME")]
    block_timeout: Option<String>,

    /// What a record of --pipe begins with, with \n, \t, \xHH and the like
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    recstart: Option<OsString>,

    /// What a record of --pipe ends with; an empty string: blocks are cut anywhere [default: \n, or
    /// nothing with --recstart]
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    recend: Option<OsString>,

    /// --recstart and --recend are regular expressions
    #[arg(long)]
    regexp: bool,

    /// Remove what separates the records of --pipe
    #[arg(long, aliases = ["removerecsep", "rrs"])]
    remove_rec_sep: bool,

    /// Start a command for each token, and give each a block whenever it has read the one before.
    /// A block that a command has begun to read is not given to another one: nothing is retried
    #[arg(long, alias = "roundrobin", conflicts_with_all = ["tee", "cat", "fifo", "retries"])]
    round_robin: bool,

    /// Give all of the input to each command: COMMAND is run once per value behind ':::'
    #[arg(long, conflicts_with_all = ["cat", "fifo"])]
    tee: bool,

    /// Write each block to a file, whose name stands in the place of {}
    #[arg(long, conflicts_with = "fifo")]
    cat: bool,

    /// Write each block to a named pipe, whose name stands in the place of {}. A command can open
    /// it once
    #[arg(long)]
    fifo: bool,

    /// The file of the blocks, as it was when the run began.
    #[arg(long, hide = true, value_name = "FILE")]
    block_file: Option<OsString>,
}

/// What flags about batches and lists mean for blocks.
pub(super) struct BlockRecords {
    /// The number of records in each block, if that was given.
    pub(super) number: Option<u64>,
    /// The number of parts that make up a record.
    pub(super) parts: u64,
    /// The first line of the input is left out.
    pub(super) skips_line: bool,
    /// What stands before each block.
    pub(super) header: Option<BlockHeader>,
}

/// An input that was opened to be cut into blocks.
#[derive(Debug)]
pub(super) struct OpenedBlocks {
    /// `None` when a run goes on, whose blocks are known, or when all commands get the whole input.
    pub(super) blocks: Option<Blocks>,
    /// What commands read.
    pub(super) feeding: Feeding,
    /// The file of blocks, which workers inherit.
    pub(super) file: OwnedFd,
    pub(super) room: Option<Arc<Room>>,
    /// What is kept with the run to find the file again; `None` if that is impossible.
    pub(super) again: Option<OsString>,
}

impl PipeFlags {
    pub(super) fn is_on(&self) -> bool {
        self.name().is_some()
    }

    /// The flag that turns it on. As in GNU parallel, the last three imply `--pipe`.
    pub(super) fn name(&self) -> Option<&'static str> {
        let flags = [
            ("--pipe-part", self.pipe_part),
            ("--pipe", self.pipe),
            ("--round-robin", self.round_robin),
            ("--cat", self.cat),
            ("--fifo", self.fifo),
        ];
        let flag = flags.into_iter().find_map(|(flag, given)| given.then_some(flag));
        if self.tee { flag.and(Some("--tee")) } else { flag }
    }

    /// Whether each command gets the whole input.
    pub(super) fn is_whole(&self) -> bool {
        self.tee
    }

    /// The flags about where to cut, and whether they are given.
    pub(super) fn of_cuts(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("--block", self.block.is_some()),
            ("--block-timeout", self.block_timeout.is_some()),
            ("--recstart", self.recstart.is_some()),
            ("--recend", self.recend.is_some()),
            ("--regexp", self.regexp),
            ("--remove-rec-sep", self.remove_rec_sep),
        ]
    }

    /// Opens the input, if it is to be cut into blocks: the file of `-a`, else standard input.
    /// `has_values`: there are values for
    /// COMMAND, too. `goes_on`: the run does.
    ///
    /// # Errors
    /// It cannot be opened, or a flag has a wrong value.
    pub(super) fn open(
        &self,
        files: &[PathBuf],
        records: BlockRecords,
        (procs, tmpdir): (u32, Option<&Path>),
        (has_values, goes_on): (bool, bool),
    ) -> Result<Option<OpenedBlocks>, UsageError> {
        if !self.is_on() {
            return match self.lonely() {
                Some(flag) => Err(UsageError::WithoutPipe(flag)),
                None => Ok(None),
            };
        }
        if goes_on {
            return self.open_again(records).map(Some);
        }
        let (mut file, name) = self.opened(files)?;
        let meta = file.metadata().map_err(UsageError::Stdin)?;
        let is_file = block_file::is_whole(&file, &meta);
        if self.pipe_part && !is_file {
            return Err(UsageError::NoFileToPart);
        }
        if self.tee {
            if !has_values {
                return Err(UsageError::NothingToTee);
            }
            let cuts = Cuts::of(&mut file, 0).ok().filter(|_| is_file);
            let again = cuts.and_then(|cuts| cuts.kept(&file));
            let file = if is_file { file } else { block_file::copied(file, tmpdir)? };
            let begin = cuts.map_or(0, |cuts| cuts.begin);
            return whole(file, begin, again).map(Some).map_err(UsageError::Stdin);
        }
        let cutting = self.cutting(records, self.block(meta.len(), procs)?)?;
        let passes_on = is_file && !cutting.removes && !self.round_robin;
        let cuts = Cuts::of(&mut file, cutting.block).ok().filter(|_| passes_on);
        let again = cuts.and_then(|cuts| cuts.kept(&file));
        let at_most = self.in_memory(cutting.block, procs);
        let opened = match is_file {
            true => Blocks::of_file(file, name, cutting, at_most),
            false => Blocks::of_stream(file, name, cutting, at_most),
        };
        let (blocks, file, room) = opened.map_err(UsageError::Stdin)?;
        let feeding = self.feeding();
        Ok(Some(OpenedBlocks { blocks: Some(blocks), feeding, file, room, again }))
    }

    /// The file of `-a`, else standard input, and its name.
    fn opened(&self, files: &[PathBuf]) -> Result<(File, String), UsageError> {
        let path = match files {
            [] => None,
            [path] if path == Path::new("-") => None,
            [path] => Some(path),
            _ => return Err(UsageError::SeveralFiles(self.name().unwrap_or_default())),
        };
        let (file, name) = match path {
            Some(path) => {
                let why = |why| UsageError::File { flag: "-a", path: path.clone(), why };
                (File::open(path).map_err(why)?, path.display().to_string())
            }
            None => {
                let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(UsageError::Stdin)?;
                (File::from(stdin), "standard input".into())
            }
        };
        if file.metadata().map_err(UsageError::Stdin)?.is_dir() {
            return Err(match path {
                Some(path) => UsageError::ListIsFolder { flag: "-a", path: path.clone() },
                None => UsageError::Stdin(io::ErrorKind::IsADirectory.into()),
            });
        }
        Ok((file, name))
    }

    /// The number of bytes that blocks in memory take at most. With `--round-robin`, a command
    /// holds the block that it gets, and the one before until it has read the end of it.
    fn in_memory(&self, block: u64, procs: u32) -> u64 {
        let for_each = if self.round_robin { 2 } else { 1 };
        let ahead = u64::from(procs).saturating_mul(for_each).saturating_add(BLOCKS_AHEAD);
        ahead.saturating_mul(block).max(IN_MEMORY)
    }

    fn feeding(&self) -> Feeding {
        if self.cat {
            Feeding::BlockFiles
        } else if self.fifo {
            Feeding::BlockFifos
        } else if self.round_robin {
            Feeding::ManyBlocks
        } else {
            Feeding::Blocks
        }
    }

    /// The file of a run that goes on, which must not have changed. It is cut in the same places.
    fn open_again(&self, records: BlockRecords) -> Result<OpenedBlocks, UsageError> {
        let kept = self.block_file.as_ref().ok_or(UsageError::BlocksGone)?;
        let (file, cuts) = Cuts::open_again(kept)?;
        let again = Some(kept.clone());
        if self.tee {
            return whole(file, cuts.begin, again).map_err(UsageError::Stdin);
        }
        let (name, cutting) = (kept.display().to_string(), self.cutting(records, cuts.block)?);
        let opened = Blocks::of_file(file, name, cutting, IN_MEMORY);
        let (blocks, file, room) = opened.map_err(UsageError::Stdin)?;
        Ok(OpenedBlocks { blocks: Some(blocks), feeding: self.feeding(), file, room, again })
    }

    /// A flag that means nothing without `--pipe`.
    fn lonely(&self) -> Option<&'static str> {
        let flags = self.of_cuts().into_iter().chain([("--tee", self.tee)]);
        flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    fn cutting(&self, records: BlockRecords, block: u64) -> Result<Cutting, UsageError> {
        let (boundary, rounds_up) = (self.boundary()?, self.pipe_part);
        let BlockRecords { number: records, parts, skips_line, header } = records;
        let (removes, waits) = (self.remove_rec_sep, self.waits()?);
        let preamble = Preamble { skips_line, header };
        Ok(Cutting { boundary, block, rounds_up, records, parts, preamble, removes, waits })
    }

    fn waits(&self) -> Result<Option<Duration>, BadValue> {
        let Some(typed) = &self.block_timeout else { return Ok(None) };
        let waits = failures::time(typed).filter(|waits| !waits.is_zero());
        let wanted = "a time such as 2, 0.5s or 1m";
        waits.map(Some).ok_or_else(|| BadValue::new("--block-timeout", typed, wanted))
    }

    fn boundary(&self) -> Result<Boundary, UsageError> {
        let usual = if self.recstart.is_none() { "\\n" } else { "" };
        let typed = |typed: &Option<OsString>, usual: &'static str| {
            typed.clone().unwrap_or_else(|| usual.into())
        };
        let (end, start) = (typed(&self.recend, usual), typed(&self.recstart, ""));
        if self.regexp {
            let text = |typed: &OsStr| typed.to_string_lossy().into_owned();
            let boundary = Boundary::matching(&text(&end), &text(&start), self.pipe_part);
            return boundary.map_err(UsageError::Regexp);
        }
        let string = |flag, typed: &OsStr| {
            let wanted = "characters, with \\n, \\t, \\0, \\xHH (hexadecimal) and the like";
            let bad = || BadValue::new(flag, &typed.display().to_string(), wanted);
            delimiter::unescaped(typed.as_bytes()).ok_or_else(bad)
        };
        Ok(Boundary::of_strings(string("--recend", &end)?, string("--recstart", &start)?))
    }

    /// The size of a block. `len`: the length of the file, if it is one.
    fn block(&self, len: u64, procs: u32) -> Result<u64, BadValue> {
        let for_each = |blocks: u64| len.div_ceil(u64::from(procs).saturating_mul(blocks)).max(1);
        let Some(typed) = &self.block else {
            return Ok(if self.pipe_part { for_each(BLOCKS_PER_TOKEN) } else { BLOCK });
        };
        let number = typed.strip_prefix('-').filter(|_| self.pipe_part);
        let block = match number {
            Some(number) => number.parse().ok().filter(|number| *number > 0).map(for_each),
            None => parse_size(typed).filter(|bytes| *bytes > 0),
        };
        let wanted = match self.pipe_part {
            true => "a size such as 512k or 10M, or -N for N blocks per token",
            false => "a size such as 512k or 10M",
        };
        block.ok_or_else(|| BadValue::new("--block", typed, wanted))
    }
}

/// All of a file, from this place on.
fn whole(mut file: File, begin: u64, again: Option<OsString>) -> io::Result<OpenedBlocks> {
    let end = file.seek(SeekFrom::End(0))?.max(begin);
    let feeding = Feeding::Whole(Extent { at: begin, len: end - begin });
    Ok(OpenedBlocks { blocks: None, feeding, file: rustix::io::dup(&file)?, room: None, again })
}
