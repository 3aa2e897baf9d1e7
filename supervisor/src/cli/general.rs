//! The flags that are not about the run itself.

use clap::ArgAction;

#[derive(Debug, clap::Args)]
pub(super) struct GeneralFlags {
    /// Print the flags that are used most, with examples
    #[arg(short = 'h', help_heading = "Help and settings", display_order = 0)]
    pub(super) brief: bool,

    /// Print all flags
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// Read neither ./msup.toml nor the user's config.toml: see msup help settings
    #[arg(long)]
    pub(super) no_config: bool,
}
