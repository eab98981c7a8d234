//! The `image` commands and their flags. It must never read the world or act.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Build a project's image anew
    #[command(after_help = "\
The Dockerfile is ~/workspace/<project>/Dockerfile, or ~/dockerfiles/<project>.Dockerfile. What a
COPY takes is taken from ~/workspace/<project>. All that a build prints is kept in ~/.cache/ds01/builds.

Examples:
  image update my-project --rebuild")]
    Update(ImageUpdateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImageUpdateArgs {
    /// The project
    pub(crate) name: String,
    /// Build even if the image is what its Dockerfile says
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Do every step anew, and take nothing from earlier builds
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}
