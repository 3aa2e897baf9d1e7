//! The flags about outputs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::filing::FilingFlags;
use super::showing::{OutputRoute, Showing};
use super::usage::UsageError;
use crate::template::{LooksTemplate, Strings, TagTemplate};

#[derive(Debug, clap::Args)]
pub(super) struct OutputFlags {
    /// Show outputs in the order of the input
    #[arg(short = 'k', long, alias = "keeporder")]
    pub(super) keep_order: bool,

    /// Do not, although -k was given before it
    #[arg(
        long,
        aliases = ["nokeeporder", "nok", "no-k"],
        overrides_with = "keep_order",
        hide = true
    )]
    no_keep_order: bool,

    /// The output file of each task ('{.}.png'). The command writes to {out} or $MSUP_OUT, a
    /// temporary file; msup renames it when the command has succeeded
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) out: Option<OsString>,

    /// Begin each line of an output with the value and a tab
    #[arg(long)]
    tag: bool,

    /// Begin each line of an output with STRING and a tab; STRING may have replacement strings
    #[arg(long, alias = "tag-string", value_name = "STRING")]
    tagstring: Option<OsString>,

    #[command(flatten)]
    pub(super) filing: FilingFlags,

    #[command(flatten)]
    pub(super) showing: Showing,

    /// --color and --tag
    #[arg(long, hide = true, conflicts_with_all = ["tagstring", "ctagstring"])]
    ctag: bool,

    /// --color and --tagstring
    #[arg(long, hide = true, alias = "ctag-string", conflicts_with = "tagstring")]
    ctagstring: Option<OsString>,
}

impl OutputFlags {
    /// How the lines of outputs look; `gnu`: as in GNU parallel.
    ///
    /// # Errors
    /// The tag depends on what is not known.
    pub(super) fn looks(&self, strings: &Strings, gnu: bool) -> Result<LooksTemplate, UsageError> {
        let route = self.route(gnu);
        if route == OutputRoute::Direct {
            return Ok(LooksTemplate::default());
        }
        Ok(LooksTemplate {
            tag: self.tag(strings, gnu)?,
            colors: self.showing.color || self.ctag || self.ctagstring.is_some(),
            // Else lines are shown before it is known whether the task fails.
            failed_is_red: self.showing.color_failed && route == OutputRoute::Whole,
            returns: gnu,
        })
    }

    /// By which route outputs travel; `gnu`: as in GNU parallel. An output that is filed is filed
    /// whole.
    pub(super) fn route(&self, gnu: bool) -> OutputRoute {
        match self.showing.route(self.keep_order, gnu) {
            OutputRoute::Lines { .. } if self.filing.is_asked() => OutputRoute::Whole,
            route => route,
        }
    }

    /// Whether outputs are shown while tasks run.
    pub(super) fn is_shown_live(&self) -> bool {
        self.route(false) != OutputRoute::Whole
    }

    /// # Errors
    /// Outputs cannot be filed that msup does not see.
    pub(super) fn refuse_to_file_nothing(&self, gnu: bool) -> Result<(), UsageError> {
        match self.route(gnu) == OutputRoute::Direct && self.filing.is_asked() {
            true => Err(UsageError::NothingToFile),
            false => Ok(()),
        }
    }

    fn tag(&self, strings: &Strings, gnu: bool) -> Result<Option<TagTemplate>, UsageError> {
        let typed = match self.tagstring.as_ref().or(self.ctagstring.as_ref()) {
            Some(typed) if gnu => with_escapes(typed.as_bytes()),
            Some(typed) => typed.as_bytes().to_vec(),
            None if self.tag || self.ctag => strings.whole.to_vec(),
            None => return Ok(None),
        };
        TagTemplate::parse(&typed, strings).map(Some).map_err(UsageError::Tag)
    }
}

/// What GNU parallel makes of a tag: `\t`, `\n`, `\r` and octal numbers stand for characters.
fn with_escapes(typed: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(typed.len());
    let mut rest = typed;
    while let [first, behind @ ..] = rest {
        let octal = |digits: &[u8]| {
            let digits = str::from_utf8(digits).ok()?;
            u32::from_str_radix(digits, 8).ok().map(|number| number as u8)
        };
        let (byte, behind) = match behind {
            _ if *first != b'\\' => (Some(*first), behind),
            [b't', behind @ ..] => (Some(b'\t'), behind),
            [b'n', behind @ ..] => (Some(b'\n'), behind),
            [b'r', behind @ ..] => (Some(b'\r'), behind),
            [a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] => {
                (octal(&[*a, *b, *c]), behind)
            }
            [a @ b'0'..=b'7', behind @ ..] => (octal(&[*a]), behind),
            _ => (Some(*first), behind),
        };
        text.extend(byte);
        rest = behind;
    }
    text
}
