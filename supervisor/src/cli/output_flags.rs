//! The flags about outputs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::usage::UsageError;
use crate::template::{Strings, TagTemplate};

#[derive(Debug, clap::Args)]
pub(super) struct OutputFlags {
    /// Show outputs in the order of the input
    #[arg(short = 'k', long, alias = "keeporder")]
    pub(super) keep_order: bool,

    /// The output file of each task ('{.}.png'). The command writes to {out} or $MSUP_OUT, a
    /// temporary file; msup renames it when the command has succeeded
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) out: Option<OsString>,

    /// Begin each line of an output with the value and a tab
    #[arg(long, conflicts_with = "tagstring")]
    tag: bool,

    /// Begin each line of an output with STRING and a tab; STRING may have replacement strings
    #[arg(long, alias = "tag-string", value_name = "STRING")]
    tagstring: Option<OsString>,
}

impl OutputFlags {
    /// What each line of an output begins with.
    ///
    /// # Errors
    /// The tag depends on what is not known.
    pub(super) fn tag(&self, strings: &Strings) -> Result<Option<TagTemplate>, UsageError> {
        let typed = match &self.tagstring {
            Some(typed) => typed.as_bytes(),
            None if self.tag => &*strings.whole,
            None => return Ok(None),
        };
        TagTemplate::parse(typed, strings).map(Some).map_err(UsageError::Tag)
    }
}
