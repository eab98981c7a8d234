//! `ds01 jupyter`, and the commands with which one sets oneself up, with their flags. It must never read the world or act.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct JupyterArgs {
    /// The project [default: the one in whose directory you are]
    #[arg(id = "project", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The port on your own computer, and in the container
    #[arg(long, value_name = "PORT", default_value_t = 8888, value_parser = clap::value_parser!(u16).range(1024..))]
    pub(crate) port: u16,
    /// Stop it
    #[arg(long)]
    pub(crate) stop: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SshSetupArgs {
    /// Let this public key in: what stands in ~/.ssh/id_ed25519.pub on your own computer
    #[arg(long, value_name = "KEY")]
    pub(crate) authorize: Option<String>,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserSetupArgs {
    /// What your first project is called
    #[arg(long, value_name = "NAME", default_value = "first-project")]
    pub(crate) project: String,
    /// The image that it begins with, where that is not PyTorch's
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// Do every step and ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Say what would be done and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}
