//! `ds01 run` and its flags. It must never read the world or act.

use clap::Args;

use super::making::Patience;

#[derive(Debug, Args)]
pub(crate) struct BorrowArgs {
    /// The project whose image and workspace it has [default: the one in whose directory you are]
    #[arg(long, value_name = "NAME", conflicts_with = "image")]
    pub(crate) project: Option<String>,
    /// The image [default: the project's own; in a dev container, the dev container's]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// How many GPUs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) gpus: u32,
    /// A variable for the command: NAME=VALUE, or NAME as it is here
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// The command and its words
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
