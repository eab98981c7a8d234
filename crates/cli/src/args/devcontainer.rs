//! The `devcontainer` commands and their flags. It must never read the world or act.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum DevContainerCommand {
    /// Write a devcontainer.json that works here, for VS Code and others
    #[command(after_help = "\
Without a GPU a dev container is permanent: nobody stops it. With --gpu it is stopped when its GPU is idle. With
--gpu-on-demand it holds none, and `ds01 run -- python train.py` inside borrows one for one command; for that it sees DS01's
door, where its programs may do whatever you may. A file that is there already is never replaced.

Examples:
  devcontainer-init my-thesis
  devcontainer-init --gpu-on-demand      in the project's directory")]
    Init(DevContainerInitArgs),
    /// Tell what would get a dev container stopped or refused here
    #[command(after_help = "\
The compose files that it names are looked at as well. --fix takes out what is refused and what makes it one that is stopped,
and touches nothing else: comments stay. Exit code 1 if it would be refused.

Examples:
  devcontainer-check
  devcontainer-check my-thesis --fix
  devcontainer-check --file ~/src/x/.devcontainer/devcontainer.json")]
    Check(DevContainerCheckArgs),
    /// Put the program where a dev container of --gpu-on-demand finds it; its file calls this before each start
    Prepare,
}

#[derive(Debug, Args)]
pub(crate) struct DevContainerInitArgs {
    /// The project [default: the directory where you are]
    pub(crate) project: Option<String>,
    /// The image [default: the project's own; where it has no Dockerfile, PyTorch's]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// A GPU for as long as it runs; it is stopped when that is idle
    #[arg(long)]
    pub(crate) gpu: bool,
    /// `ds01 run` inside, which borrows a GPU for one command
    #[arg(long, conflicts_with = "gpu")]
    pub(crate) gpu_on_demand: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DevContainerCheckArgs {
    /// The project [default: the directory where you are]
    pub(crate) project: Option<String>,
    /// The file itself
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    pub(crate) file: Option<PathBuf>,
    /// Change what can be changed
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}
