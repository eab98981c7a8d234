//! The `project` commands and their flags. It must never read the world or act.

use clap::{Args, Subcommand, ValueEnum};

use super::Plain;
use super::making::DeployArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Begin a project: a directory in ~/workspace with what a project needs
    #[command(after_help = "\
Makes ~/workspace/NAME with README.md, requirements.txt, Dockerfile, .gitignore, a program that trains and resumes, its test,
the directories data, notebooks, src, models and results, and a git repository with a first commit. Nothing that is there
already is touched. On a terminal it asks for what is not said; --quick asks nothing.

Examples:
  project init my-thesis
  project init my-thesis --type nlp --quick
  project init notes --blank --no-git")]
    Init(InitArgs),
    /// Build a project's image, if need be, and start a container of it with a GPU
    #[command(after_help = "\
The image is built where it is missing, or not what its Dockerfile and requirements.txt say any more. Then it is container
deploy, with all its flags: without --open the container starts in the background.

Examples:
  project launch my-thesis --open
  project launch my-thesis --background --wait 2h
  project launch my-thesis --open --force      a new container, of the image as it is now")]
    Launch(LaunchArgs),
    /// List your projects: their containers, images, and when they were last used
    #[command(visible_alias = "ls")]
    List(Plain),
    /// Show how a project stands: disk, image, container, last used
    #[command(after_help = "\
Without NAME: the project in whose directory you are, else all of them. Counting stops after ten seconds a project, and says
so.

Examples:
  project status my-thesis
  project status --json")]
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The project: small letters, digits and -
    pub(crate) name: Option<String>,
    /// What it is about; chooses the packages to begin with [default: ml]
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "blank")]
    pub(crate) kind: Option<ProjectType>,
    /// Directories, README.md and Dockerfile only: no packages, no program
    #[arg(long)]
    pub(crate) blank: bool,
    /// What the image begins with: pytorch, tensorflow, pytorch-2.7.1, … [default: pytorch]
    #[arg(long, value_name = "NAME", conflicts_with = "base")]
    pub(crate) framework: Option<String>,
    /// The image to begin with, where that is none of the frameworks
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// No git repository
    #[arg(long)]
    pub(crate) no_git: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) quick: bool,
    /// Print JSON, for scripts; asks nothing
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    #[command(flatten)]
    pub(crate) deploy: DeployArgs,
    /// Build the image in any case
    #[arg(long)]
    pub(crate) rebuild: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The project
    #[arg(id = "project", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a project is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProjectType {
    /// Tables and numbers
    Ml,
    /// Images and video
    Cv,
    /// Text
    Nlp,
    /// Agents that learn by doing
    Rl,
    /// Speech and sound
    Audio,
    /// Time series
    Ts,
    /// Large language models: fine-tuning and inference
    Llm,
}
