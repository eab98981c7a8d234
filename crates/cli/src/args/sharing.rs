//! The flags of commands about what belongs to whom. It must never read the world or act.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What can be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShareKind {
    /// An image, by name
    Image,
    /// A volume, by name
    Volume,
}

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// What it is
    pub(crate) kind: ShareKind,
    /// Its name
    pub(crate) name: String,
    /// Login names, with commas between them
    #[arg(long, value_name = "USER", value_delimiter = ',', required_unless_present = "with_everybody")]
    pub(crate) with: Vec<String>,
    /// Share it with all users of this machine
    #[arg(long, conflicts_with = "with")]
    pub(crate) with_everybody: bool,
    /// Let them write to the volume
    #[arg(long)]
    pub(crate) write: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnshareArgs {
    /// What it is
    pub(crate) kind: ShareKind,
    /// Its name
    pub(crate) name: String,
    /// Only from these, with commas between them [default: from everybody who had it]
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub(crate) with: Vec<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// A directory or file of yours
    pub(crate) path: PathBuf,
    /// Only count what would be given back
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}
