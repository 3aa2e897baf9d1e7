//! What flags about values and lists mean where commands get blocks of the input. Most of them mean
//! nothing there, and are refused with what to do instead.

use super::args::Args;
use super::pipe_flags::{BlockRecords, OpenedBlocks};
use super::usage::UsageError;

/// Opens the input, if it is to be cut into blocks. What is said about it is taken out of the
/// flags: it is not about values.
///
/// # Errors
/// It cannot be opened, a flag has a wrong value, or means nothing there.
pub(super) fn open(
    args: &mut Args,
    has_values: bool,
    procs: u32,
    begins: bool,
) -> Result<Option<OpenedBlocks>, UsageError> {
    check(args)?;
    let is_cut = args.blocks.is_on() && !args.blocks.is_whole();
    let records = match is_cut {
        true => BlockRecords {
            number: args.batches.records()?,
            parts: args.batches.lines_of_records()?,
            skips_line: args.lists.take_skipped_line(),
            header: args.lists.take_block_header()?,
        },
        false => BlockRecords { number: None, parts: 1, skips_line: false, header: None },
    };
    let (files, tmpdir) = (&args.input.arg_file, args.output.filing.tmpdir.as_deref());
    let blocks = args.blocks.open(files, records, (procs, tmpdir), (has_values, !begins))?;
    if blocks.is_some() {
        args.input.arg_file.clear();
        // As in GNU parallel, it is not about the values behind ':::', either.
        args.lists.take_block_header()?;
    }
    Ok(blocks)
}

/// # Errors
/// The first flag that means nothing.
fn check(args: &Args) -> Result<(), UsageError> {
    let Some(pipe) = args.blocks.name() else { return Ok(()) };
    let programs = [
        ("--worker", args.running.worker.is_some()),
        ("--worker-stdio", args.worker_stdio),
        ("--order", args.order.is_some()),
        // There it removes blank lines from the input.
        ("-r", args.reading.gnu && !args.blocks.is_whole() && args.input.no_run_if_empty > 0),
    ];
    let flags = match args.blocks.is_whole() {
        true => args.blocks.of_cuts(),
        false => [&args.input.of_values()[..], &args.lists.of_values(), &args.batches.of_values()]
            .concat(),
    };
    let given = programs.into_iter().chain(flags).find_map(|(flag, given)| given.then_some(flag));
    match given {
        Some(flag) => Err(UsageError::NotOfBlocks { flag, pipe, instead: instead_of(flag) }),
        None => Ok(()),
    }
}

/// What to do instead.
fn instead_of(flag: &str) -> &'static str {
    match flag {
        "-0" => "records that end with NUL bytes: --recend '\\0'",
        "-d" => "what a record ends with: --recend STRING",
        "-r" => "it would remove blank lines: let sed '/^[[:space:]]*$/d' do that",
        "-E" => "let another program end the input, such as sed '/^EOF$/Q'",
        "--crlf" => "commands get each byte: remove the CR there, or before, with tr -d '\\r'",
        "--csv" | "--colsep" | "--trim" => "commands get each byte, and split lines themselves",
        "--link" => "there is one input: leave it out",
        "--header 0" => "give ':', a number of lines, or a regular expression",
        "--shuf" => "shuffle the lines before, with shuf",
        "--worker" | "--worker-stdio" => "blocks are for a COMMAND: leave one of them out",
        "--order" => "blocks are handed out in their order: leave it out",
        "-X" | "-m" | "--xargs" | "-s" | "-x" => {
            "a block has the size of --block, or N records with -N"
        }
        _ => "each command gets the whole input: leave it out",
    }
}
