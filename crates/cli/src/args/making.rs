//! What a container is made of, as flags: `container deploy` and `container create` have the same, and `ds01 run` asks for GPUs
//! in their words. It must never read the world or act.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{duration, size};

use crate::texts::Levels;

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) making: MakingArgs,
    /// Open a shell in it
    #[arg(long, short, conflicts_with_all = ["background", "json", "dry_run"])]
    pub(crate) open: bool,
    /// Start it and return (the default)
    #[arg(long, short)]
    pub(crate) background: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) levels: Levels,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) making: MakingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MakingArgs {
    /// The project: small letters, digits and -
    pub(crate) name: String,
    /// The project whose workspace and image it has, where that is another than NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// The image [default: the project's own, ds01-<you>/<project>:latest]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// What to take if the project has no image of its own: pytorch, tensorflow, pytorch-2.7.1, …
    #[arg(long, value_name = "NAME", conflicts_with = "image")]
    pub(crate) framework: Option<String>,
    #[command(flatten)]
    pub(crate) gpu: GpuArgs,
    /// No GPU
    #[arg(long, conflicts_with_all = ["gpus", "gpu_memory", "full_gpu", "gpu_model"])]
    pub(crate) cpu_only: bool,
    /// The directory to see as /workspace [default: ~/workspace/<project>, made if missing]
    #[arg(long, value_name = "PATH")]
    pub(crate) workspace: Option<PathBuf>,
    /// A directory to see, read-only, as /data (several: as /data/<name>)
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<PathBuf>,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove the container that the project has, running or not, and make a new one
    #[arg(long)]
    pub(crate) force: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which GPUs, and how many.
#[derive(Debug, Args)]
pub(crate) struct GpuArgs {
    /// How many GPUs [default: 1]
    #[arg(long, value_name = "N", value_parser = gpus)]
    pub(crate) gpus: Option<u32>,
    /// At least so much memory on each GPU: 30g, 512m
    #[arg(long, value_name = "SIZE", value_parser = size::mebibytes)]
    pub(crate) gpu_memory: Option<u64>,
    /// A whole card, not a slice of one
    #[arg(long)]
    pub(crate) full_gpu: bool,
    /// Which GPUs will do: a part of the model's name (h100), or a slice's profile (2g, 2g.20gb)
    #[arg(long = "gpu", value_name = "MODEL")]
    pub(crate) gpu_model: Option<String>,
}

/// Reads a number of GPUs.
fn gpus(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "write a number; without --gpus it is one".to_owned())
}

/// How long to wait for a GPU.
#[derive(Debug, Clone, Args)]
pub(crate) struct Patience {
    /// How long to wait for a GPU, at most a day: 90s, 3m, 1h30m [default: your group's, usually 3m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, conflicts_with = "no_wait")]
    wait: Option<Duration>,
    /// Give up at once if no GPU is free
    #[arg(long)]
    no_wait: bool,
}

impl Patience {
    /// The wait to ask for; `None` leaves it to the policy.
    pub(crate) fn duration(&self) -> Option<Duration> {
        if self.no_wait { Some(Duration::ZERO) } else { self.wait }
    }
}
