//! Where the values of a run come from, and its journal: of a new run, or of one that goes on.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Refusal;
use super::args::Args;
use super::list_flags::ListFlags;
use super::logged::NumberedCommands;
use super::logs::{Continued, Keeping};
use super::pipe_flags::OpenedBlocks;
use super::shard;
use super::usage::{BadValue, UsageError};
use super::values::{self, TypedList, Values, source, source_again};
use crate::input::{Columns, Format, Room, Shape, Source};
use crate::template::Feeding;

/// What was read of the command line about values.
pub(super) struct TypedValues {
    /// The lists behind COMMAND.
    pub(super) lists: Vec<TypedList>,
    /// The commands of a joblog, if these are run.
    pub(super) logged: Option<NumberedCommands>,
    pub(super) columns: Option<Columns>,
    pub(super) format: Format,
    /// The input, if commands get blocks of it.
    pub(super) blocks: Option<OpenedBlocks>,
}

/// The values, and what is known of them before they are read.
pub(super) struct OpenedValues {
    source: Source,
    format: Format,
    /// The names of columns, each with its number.
    pub(super) names: Vec<(Vec<u8>, i32)>,
    block_file: Option<OwnedFd>,
    room: Option<Arc<Room>>,
    /// How the file of blocks is found again.
    again: Option<OsString>,
    /// A run goes on with a list that was given anew: it may be in the order of the first start.
    is_given_anew: bool,
}

/// How values are read. `several`: they may have several arguments, `commands`: they are commands.
///
/// # Errors
/// A value that a flag does not take.
pub(super) fn format(args: &Args, several: bool, commands: bool) -> Result<Format, BadValue> {
    Ok(Format {
        continues: args.batches.continues_lines(),
        csv: args.lists.is_csv(),
        skips_blank: args.reading.gnu && args.input.no_run_if_empty > 0,
        ..args.input.format(several, commands, !args.reporting.quiet)?
    })
}

/// Opens the values.
///
/// # Errors
/// They cannot be read, or were kept and are gone.
pub(super) fn open(
    args: &mut Args,
    typed: TypedValues,
    continued: Option<&mut Continued>,
) -> Result<OpenedValues, Refusal> {
    let TypedValues { lists, logged, columns, mut format, blocks } = typed;
    let many_lists = values::count(&args.input.arg_file, &lists);
    let (files, link) = (std::mem::take(&mut args.input.arg_file), args.input.link);
    if continued.is_none() && !args.reading.gnu {
        values::refuse_empty(files.len(), &lists)?;
    }
    let is_given_anew = continued.as_ref().is_some_and(|run| run.arg_file.is_some());
    if is_given_anew && many_lists > 1 {
        return Err(UsageError::SeveralLists("resume -a").into());
    }
    let (mut block_file, mut room, mut again, mut cut) = (None, None, None, None);
    let mut is_cut = false;
    if let Some(opened) = blocks {
        is_cut = !matches!(opened.feeding, Feeding::Whole(_));
        if is_cut && is_given_anew {
            return Err(UsageError::BlocksKnown.into());
        }
        if is_cut && !lists.is_empty() {
            return Err(UsageError::ListsWithPipe.into());
        }
        (block_file, room) = (Some(opened.file), opened.room);
        (again, cut) = (opened.again, opened.blocks);
    }
    let source = |list: Option<PathBuf>| match (list, cut) {
        (Some(file), _) => source(vec![file], Vec::new(), false, Shape::default()),
        (None, Some(blocks)) => Ok(Source::Blocks(Box::new(blocks))),
        (None, None) if is_cut => Err(UsageError::BlocksGone),
        (None, None) => match logged {
            Some(commands) => Ok(Source::Numbered(commands)),
            None => source(files, lists, link, Shape::default()),
        },
    };
    let mut source = match continued {
        None => source(None)?,
        Some(continued) => source_again(continued, source)?,
    };
    let names = args.lists.take_header(&mut source, &format, columns.as_ref())?;
    if let Source::Kept(..) = source {
        (format.separator, format.crlf) = (vec![0], false);
    }
    Ok(OpenedValues { source, format, names, block_file, room, again, is_given_anew })
}

impl OpenedValues {
    /// The values in this shape, and where the run is kept. `shell`: the one that was chosen for
    /// scripts.
    ///
    /// # Errors
    /// No journal can be kept as it was asked for.
    pub(super) fn begin(
        self,
        args: &Args,
        shape: Shape,
        shell: Option<Vec<u8>>,
        continued: Option<Continued>,
    ) -> Result<(Values, Keeping), Refusal> {
        let OpenedValues { mut source, format, names, block_file, room, again, .. } = self;
        let shard = args.shard.choice().map_err(UsageError::from)?.map(|choice| choice.shard);
        if shard.is_some() && args.journal.is_some() && args.joblog.is_some() {
            // Each start of a shard would empty it.
            return Err(UsageError::JoblogOfShard.into());
        }
        if let Source::Lists(lists) = &mut source {
            let shuffles = shape.shuffles && !self.is_given_anew;
            lists.shape = Shape { shuffles, ..shape };
            lists.fills = args.reading.gnu;
        }
        let keeping = match continued {
            // Blocks that cannot be found again cannot be resumed.
            None if block_file.is_some() && again.is_none() => {
                match args.journal.is_some() || args.keep_output {
                    true => return Err(UsageError::JournalOfStream.into()),
                    false => Keeping::Nowhere,
                }
            }
            None => {
                let file = again.into_iter().map(OsString::into_vec);
                let file = file.flat_map(|file| [b"--block-file".to_vec(), file]);
                let kept = ListFlags::kept(&names).chain(shard::kept(shard));
                let flags = kept.chain(file).collect();
                Keeping::new(args, shell, flags, (shard, source.is_read_once()))?
            }
            Some(continued) => {
                let (continued, durability) = (Box::new(continued), args.durability);
                Keeping::Continued { continued, durability }
            }
        };
        let values = Values {
            source,
            format,
            block_file,
            room,
            longest_first: None,
            needs_total: false,
            shard,
            work: String::new(),
        };
        Ok((values, keeping))
    }
}
