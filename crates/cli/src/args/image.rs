//! The `image` commands and their flags. It must never read the world or act.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::dockerfile;

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Write a project's Dockerfile and build its image
    #[command(
        disable_version_flag = true,
        after_help = "\
On a terminal it asks for what no flag says; --yes takes the usual answers. The Dockerfile is yours
to change: ~/dockerfiles/<project>.Dockerfile.

Examples:
  image create my-project
  image create my-project --framework pytorch --use-case cv,ml -p wandb einops
  image create my-project --framework pytorch --version 2.7.1 -r requirements.txt --no-build
  image create tools --python 3.12 -s ffmpeg git --dry-run"
    )]
    Create(ImageCreateArgs),
    /// Change a project's Dockerfile and build its image anew
    #[command(after_help = "\
The Dockerfile is ~/workspace/<project>/Dockerfile, or ~/dockerfiles/<project>.Dockerfile; your own
lines in it stay as they are. It is written once the build has succeeded. What a COPY takes is taken
from ~/workspace/<project>. Without a flag, and without a terminal, it builds if the image is not
what its Dockerfile says. All that a build prints is kept in ~/.cache/ds01/builds.

Examples:
  image update my-project      on a terminal: pick its packages on a full screen, and build
  image update my-project --add einops 'torchmetrics>=1.4' --remove wandb
  image update my-project --add-system ffmpeg --dry-run
  image update my-project --edit
  image update my-project --rebuild")]
    Update(ImageUpdateArgs),
    /// List the images of your projects
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  image list
  image list --all     with those that everybody may use
  image list --json | jq -r '.images[].image'"
    )]
    List(ImageListArgs),
    /// Delete images; Dockerfiles and workspaces are kept
    #[command(
        visible_alias = "rm",
        after_help = "\
An image that containers were made of stays, unless --force: then its name goes at once, and what it
holds goes with the last of them.

Examples:
  image delete my-project
  image delete old-one old-two --yes"
    )]
    Delete(ImageDeleteArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ImageCreateArgs {
    /// The project: small letters, digits and -
    pub(crate) name: Option<String>,
    /// What to begin with: pytorch, tensorflow, python, …
    #[arg(long, value_name = "NAME", conflicts_with = "base")]
    pub(crate) framework: Option<String>,
    /// The framework's version [default: the machine's, or one that is here]
    #[arg(long, value_name = "VERSION", requires = "framework")]
    pub(crate) version: Option<String>,
    /// Another image to begin with
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// A plain image of this version of Python
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["framework", "base"])]
    pub(crate) python: Option<String>,
    /// What it is for, which brings the usual packages: ml, cv, nlp, rl, audio, ts, llm, or your lab's own
    #[arg(long, value_name = "PURPOSE", value_delimiter = ',', num_args = 1..)]
    pub(crate) use_case: Vec<String>,
    /// Python packages: einops 'torchmetrics>=1.4'
    #[arg(long, short, value_name = "PACKAGE", value_delimiter = ' ', num_args = 1.., value_parser = package)]
    pub(crate) packages: Vec<String>,
    /// Packages of the distribution: ffmpeg git
    #[arg(long, short, value_name = "PACKAGE", value_delimiter = ' ', num_args = 1.., value_parser = package)]
    pub(crate) system: Vec<String>,
    /// A requirements.txt, which is copied to the workspace if it is elsewhere
    #[arg(long, short, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// Write the Dockerfile and do not build
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Write the Dockerfile anew where there is one; the old one is kept beside it
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the Dockerfile and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImageUpdateArgs {
    /// The project; on a terminal it may be picked
    #[arg(required_if_eq_any = [("rebuild", "true"), ("no_cache", "true"), ("edit", "true"), ("json", "true"), ("dry_run", "true"), ("no_build", "true")])]
    pub(crate) name: Option<String>,
    /// Python packages to put in, or to have in another version
    #[arg(long, short, value_name = "PACKAGE", value_delimiter = ' ', num_args = 1.., value_parser = package)]
    pub(crate) add: Vec<String>,
    /// Python packages to take out
    #[arg(long, value_name = "PACKAGE", value_delimiter = ' ', num_args = 1.., value_parser = package)]
    pub(crate) remove: Vec<String>,
    /// Packages of the distribution to put in
    #[arg(long, value_name = "PACKAGE", value_delimiter = ' ', num_args = 1.., value_parser = package)]
    pub(crate) add_system: Vec<String>,
    /// Packages of the distribution to take out
    #[arg(long, value_name = "PACKAGE", value_delimiter = ' ', num_args = 1.., value_parser = package)]
    pub(crate) remove_system: Vec<String>,
    /// A requirements.txt to install, which is copied to the workspace if it is elsewhere
    #[arg(long, short, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// Open the Dockerfile in your editor ($VISUAL, $EDITOR) first
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    pub(crate) edit: bool,
    /// Build even if the image is what its Dockerfile says
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Do every step anew, and take nothing from earlier builds
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Change the Dockerfile and do not build
    #[arg(long, conflicts_with_all = ["rebuild", "no_cache"])]
    pub(crate) no_build: bool,
    /// Show what would be changed and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImageListArgs {
    /// With images that are nobody's: those that others begin with
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImageDeleteArgs {
    /// The projects, or names of images
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Delete even what containers were made of
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

impl ImageCreateArgs {
    /// Whether anything is said of what the image is to hold.
    pub(crate) fn describes(&self) -> bool {
        let lists = [&self.use_case, &self.packages, &self.system];
        [&self.framework, &self.base, &self.python].into_iter().any(Option::is_some)
            || self.requirements.is_some()
            || lists.iter().any(|list| !list.is_empty())
    }
}

/// Reads a package's name, with or without a version.
fn package(text: &str) -> Result<String, String> {
    match dockerfile::checked(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(wrong) => Err(format!("{wrong}; write numpy, or 'numpy>=2'")),
    }
}
