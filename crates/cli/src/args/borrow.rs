//! `ds01 run` and its flags. It must never read the world or act.

use std::path::PathBuf;

use clap::Args;

use super::making::{GpuArgs, Patience};

#[derive(Debug, Args)]
pub(crate) struct BorrowArgs {
    /// The project whose image and workspace it has [default: the one in whose directory you are]
    #[arg(long, value_name = "NAME", conflicts_with = "image")]
    pub(crate) project: Option<String>,
    /// The image [default: the project's own; in a dev container, the dev container's]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) gpu: GpuArgs,
    /// A directory of the server to see, read-only, as /data (several: as /data/<name>)
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<PathBuf>,
    /// A variable for the command: NAME=VALUE, or NAME as it is here
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// The command and its words
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
