//! The `container` commands and their flags. It must never read the world or act.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{LogsArgs, StatsArgs, duration, size};

#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    /// Create a container with a GPU and start it
    #[command(after_help = "\
Without --open the container starts in the background. A project has one container: if it is
there already it is started again; --force replaces it. Files in /workspace are kept.

Examples:
  container deploy my-project --open
  container deploy training --background --wait 2h
  container deploy large --gpu-memory 30g
  container deploy eval --image ds01-alice/my-project:latest --data ~/datasets/imagenet
  container deploy notes --cpu-only")]
    Deploy(DeployArgs),
    /// Open a shell in a container, starting it if need be
    #[command(after_help = "\
Leaving the shell leaves the container running.

Example:
  container run my-project")]
    Run(RunArgs),
    /// Open a shell in a running container
    #[command(after_help = "\
Leaving the shell leaves the container running. Without a terminal the shell reads commands from
its standard input.

Examples:
  container attach training
  echo nvidia-smi | container attach training")]
    Attach(AttachArgs),
    /// Stop containers; their GPUs are free at once
    #[command(after_help = "\
A stopped container can be started again (container run) and may get another GPU then.

Example:
  container stop my-project")]
    Stop(StopArgs),
    /// Stop and remove containers and free their GPUs; /workspace and the image are kept
    #[command(after_help = "Example:\n  container retire my-project")]
    Retire(RetireArgs),
    /// List your containers
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  container list --all
  container list --json | jq -r '.containers[].name'"
    )]
    List(ListArgs),
    /// Show what a container's own command has written
    #[command(after_help = "\
What is typed into a shell (container attach) is written to that shell and not here. To keep what a
program writes, start it with the container (docker run IMAGE COMMAND), or send it to a file:

  python train.py >/workspace/train.log 2>&1

Examples:
  container logs training --tail 100
  container logs training --follow --since 10m --timestamps")]
    Logs(LogsArgs),
    /// Show what your running containers use: CPU, memory, network, disk, GPU
    #[command(after_help = "\
CPU is of one CPU: 150% is one and a half. Memory is without what the system can take back. An
administrator sees everybody's.

Examples:
  container stats
  container stats training --gpu --watch
  container stats --gpu --json | jq '.containers[] | {name, cpu_percent}'")]
    Stats(StatsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The project: small letters, digits and -
    pub(crate) name: String,
    /// Open a shell in it
    #[arg(long, short, conflicts_with_all = ["background", "json", "dry_run"])]
    pub(crate) open: bool,
    /// Start it and return (the default)
    #[arg(long, short)]
    pub(crate) background: bool,
    /// The image [default: the project's own, ds01-<you>/<project>:latest]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// How many GPUs [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "cpu_only", value_parser = gpus)]
    pub(crate) gpus: Option<u32>,
    /// At least so much memory on each GPU: 30g, 512m
    #[arg(long, value_name = "SIZE", value_parser = size::mebibytes, conflicts_with = "cpu_only")]
    pub(crate) gpu_memory: Option<u64>,
    /// A whole card, not a slice of one
    #[arg(long, conflicts_with = "cpu_only")]
    pub(crate) full_gpu: bool,
    /// Which GPUs will do: a part of the model's name (h100), or a slice's profile (2g, 2g.20gb)
    #[arg(long = "gpu", value_name = "MODEL", conflicts_with = "cpu_only")]
    pub(crate) gpu_model: Option<String>,
    /// No GPU
    #[arg(long)]
    pub(crate) cpu_only: bool,
    /// The directory to see as /workspace [default: ~/workspace/<project>, made if missing]
    #[arg(long, value_name = "PATH")]
    pub(crate) workspace: Option<PathBuf>,
    /// A directory to see, read-only, as /data (several: as /data/<name>)
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) patience: Patience,
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

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The project, or a container's name or id
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The project, or a container's name or id
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Projects, or names or ids of containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Projects, or names or ids of containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Kill at once instead of letting programs finish
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Stopped ones too
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}
