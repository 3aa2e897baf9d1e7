//! Flags of GNU parallel and xargs that are accepted with the one argument that says what msup does
//! anyway (`-L 1`). Others are refused.

use super::flags;
use crate::cli::usage::UsageError;

/// They are accepted with that value and refused with any other.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Harmless {
    #[arg(short = 'L', hide = true)]
    lines: Option<String>,

    #[arg(short = 'i', action = clap::ArgAction::Count, hide = true)]
    braces: u8,
}

impl Harmless {
    /// # Errors
    /// A value asks for something else.
    pub(in crate::cli) fn check(&self) -> Result<(), UsageError> {
        let asked = [("-L", &self.lines, "1")];
        for (flag, value, harmless) in asked {
            if let Some(value) = value.as_ref().filter(|value| *value != harmless) {
                return Err(flags::refused_value(flag, value));
            }
        }
        Ok(())
    }
}
