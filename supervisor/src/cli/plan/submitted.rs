//! What `msup submit` needs to know of a plan.

use std::ffi::OsString;

use super::described::digest;
use super::{Plan, shape};
use crate::cli::args::Args;
use crate::cli::usage::UsageError;
use crate::cli::values::{self, split};

/// What is known of the tasks before their lists are opened: the words of COMMAND, and the number
/// of arguments of each value.
///
/// # Errors
/// A flag has a wrong value.
pub(in crate::cli) fn work_of(args: &Args) -> Result<(Vec<OsString>, usize), UsageError> {
    let separators = args.lists.separators()?;
    let (words, lists) = split(args.words.clone(), args.running.literal, &separators);
    let many_lists = values::count(&args.input.arg_file, &lists);
    let arguments = shape(args, &words)?.arguments(many_lists);
    Ok((words, arguments))
}

/// A digest of what is done with each value.
pub(in crate::cli) fn digest_of(plan: &Plan) -> String {
    digest(&plan.work, plan.outputs.files.as_ref())
}
