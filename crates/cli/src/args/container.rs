//! The `container` commands and their flags. It must never read the world or act.

use clap::{Args, Subcommand};
use ds01_api::GRACE_SECONDS_MAX;

use super::listing::ListArgs;
use super::making::{CreateArgs, DeployArgs, Patience};
use super::{LogsArgs, StatsArgs};

use crate::texts::Levels;

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
  container deploy my-project --framework pytorch
  container deploy eval --project my-project --data ~/datasets/imagenet
  container deploy notes --cpu-only")]
    Deploy(DeployArgs),
    /// Create a container and do not start it; it holds no GPU until it starts
    #[command(after_help = "\
A project has one container: if it is there already, nothing is done; --force replaces it.

Examples:
  container create my-project && container start my-project
  container create my-container --workspace ~/other/path")]
    Create(CreateArgs),
    /// Start containers in the background, through the line for a GPU
    #[command(after_help = "\
A container that runs already is left as it is. --all: all of your own that do not run.

Examples:
  container start my-project
  container start training --wait 2h")]
    Start(StartArgs),
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
    /// Tell how to leave a container, and what becomes of it
    #[command(after_help = "\
A shell in a container is left by typing exit in it, or with Ctrl-D; the container keeps running.
This changes nothing.

Example:
  container exit my-project")]
    Exit(ExitArgs),
    /// Stop containers; their GPUs are free at once
    #[command(after_help = "\
A stopped container can be started again (container start, container run) and may get another GPU
then. --all: all of your own that run or wait.

Examples:
  container stop my-project
  container stop training --timeout 120")]
    Stop(StopArgs),
    /// Freeze what runs in containers; they keep their memory and their GPUs
    #[command(after_help = "\
A paused container computes nothing, but its GPU is still nobody else's: container stop frees it.
--all: all of your own that run.

Example:
  container pause my-project")]
    Pause(PauseArgs),
    /// Let paused containers go on
    #[command(after_help = "\
--all: all of your own that are paused.

Example:
  container unpause my-project")]
    Unpause(PauseArgs),
    /// Stop and remove containers and free their GPUs; /workspace and the image are kept
    #[command(after_help = "\
--all: all of your own, running or not.

Examples:
  container retire my-project
  container retire my-project --save-packages && image update my-project --rebuild
  container retire my-project --images")]
    Retire(RetireArgs),
    /// Remove containers that do not run; /workspace and the image are kept
    #[command(
        visible_alias = "rm",
        after_help = "\
--all: all of your own that do not run.

Examples:
  container remove my-project
  container rm --all"
    )]
    Remove(RemoveArgs),
    /// List your containers
    #[command(
        visible_alias = "ls",
        after_help = "\
Fields of a template: .ID .Name .Project .User .Status .State .GPU .Want .Image .Kind .Workspace
.RunningFor. `table` puts titles above; `{{json .}}` is all of them.

Examples:
  container list --all
  container list --watch
  container list --filter status=stopped --quiet
  container list --format 'table {{.Project}}\\t{{.Status}}\\t{{.GPU}}'
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

/// The containers that a command is for.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Projects, or names or ids of containers
    #[arg(required_unless_present = "all", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// All of your own, instead of naming them
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) targets: Targets,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// `container pause` and `container unpause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// How long programs have to end by themselves before they are killed [default: 10]
    #[arg(long, short, value_name = "SECONDS", value_parser = grace)]
    pub(crate) timeout: Option<u32>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// How long programs have to end by themselves before they are killed [default: 3]
    #[arg(long, short, value_name = "SECONDS", value_parser = grace, conflicts_with = "force")]
    pub(crate) timeout: Option<u32>,
    /// Kill at once instead of letting programs finish
    #[arg(long, short)]
    pub(crate) force: bool,
    /// The project's image, too: ds01-<you>/<project>
    #[arg(long)]
    pub(crate) images: bool,
    /// Write packages that were installed by hand (pip, conda, apt) into the project's Dockerfile
    #[arg(long)]
    pub(crate) save_packages: bool,
    /// Copy files that lie outside /workspace into it, as rescued/
    #[arg(long)]
    pub(crate) save_files: bool,
    /// Volumes without a name, too (the default)
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) levels: Levels,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Kill those that run; those that do not exist are no error
    #[arg(long, short)]
    pub(crate) force: bool,
    /// The project's image, too: ds01-<you>/<project>
    #[arg(long)]
    pub(crate) images: bool,
    /// Volumes without a name, too
    #[arg(long, short)]
    pub(crate) volumes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExitArgs {
    /// The project, or a container's name or id
    pub(crate) name: Option<String>,
}

/// Reads the seconds that a container has to end by itself.
fn grace(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= GRACE_SECONDS_MAX);
    seconds.ok_or_else(|| format!("write a number of seconds, at most {GRACE_SECONDS_MAX}"))
}
