//! `gpu …` and `check …`: the machine as a whole.

use clap::{Args, Subcommand};

use super::{Explained, GpuStatusArgs, duration};

#[derive(Debug, Subcommand)]
pub(crate) enum GpuCommand {
    /// Show every GPU, who holds it, and how busy and how full it is
    #[command(after_help = "\
How busy a slice is, the driver does not tell. Simulated GPUs are neither busy nor full.

Examples:
  gpu-status --watch
  gpu-status --json | jq '.free_units'")]
    Status(GpuStatusArgs),
    /// Let go of the GPU driver for a while, to cut cards anew (administrators)
    #[command(after_help = "\
The driver changes how a card is cut only while nobody has it open, and ds01d always has. Containers that hold a GPU
keep it; nobody gets one until the time is over.

Example:
  sudo ds01 gpu release --for 10m
  sudo nvidia-smi -i 0 -mig 1
  sudo ds01 gpu release --for 0s     take it back at once")]
    Release(GpuReleaseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GpuReleaseArgs {
    /// For how long: 90s, 10m, 1h
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    pub(crate) time: std::time::Duration,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// Show what you may use, what you use, and who set it
    Limits(Explained),
}
