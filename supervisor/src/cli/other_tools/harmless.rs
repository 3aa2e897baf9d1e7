//! Flags of GNU parallel and xargs that are accepted, and have no effect.

/// What they ask for shows in no output: msup does it anyway, or does not need it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Harmless {
    #[arg(short = 'i', action = clap::ArgAction::Count, hide = true)]
    braces: u8,

    /// Outputs that wait in files are not compressed there.
    #[arg(long, action = clap::ArgAction::Count, hide = true)]
    compress: u8,

    #[arg(
        long,
        aliases = ["compressprogram", "use-compress-program", "usecompressprogram"],
        hide = true
    )]
    compress_program: Option<String>,

    #[arg(
        long,
        aliases = ["decompressprogram", "use-decompress-program", "usedecompressprogram"],
        hide = true
    )]
    decompress_program: Option<String>,

    /// msup counts the tasks while it reads them.
    #[arg(long, aliases = ["totaljobs", "total"], hide = true)]
    total_jobs: Option<String>,
}
