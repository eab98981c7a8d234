//! `ds01 doctor`, `install-links`, `completion`, `man`: what sets a machine up, or looks whether it is.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The configuration of ds01d [default: /etc/ds01/ds01.yaml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show only what is wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
    /// Files of this directory in place of the machine's own, for tests
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InstallLinksArgs {
    /// Where to make them [default: the directory of ds01 itself]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// For which shell
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Where to write them [default: share/man/man1 beside the directory of ds01 itself]
    pub(crate) dir: Option<PathBuf>,
}

/// A shell that can be told what could be typed next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// The shell of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }
}
