//! The flags of commands that look at what containers do, or have done. It must never read the world or act.

use clap::Args;

use super::moment::{self, Moment};

use crate::texts::Levels;

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The project, or a container's name or id
    pub(crate) name: String,
    /// Stay, and show what is written from now on
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only so many lines from the end, or `all`
    #[arg(long, short = 'n', value_name = "LINES", default_value = "all", value_parser = lines)]
    pub(crate) tail: String,
    /// Only what was written since: 10m (ago), 2026-01-31T14:00:00
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(crate) since: Option<Moment>,
    /// Only what was written before: 10m (ago), 2026-01-31T14:00:00
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(crate) until: Option<Moment>,
    /// Begin each line with the time at which it was written
    #[arg(long, short)]
    pub(crate) timestamps: bool,
}

/// Reads a number of lines.
fn lines(text: &str) -> Result<String, String> {
    let number = text.parse::<u32>().map(|number| number.to_string());
    match text {
        "all" => Ok(text.to_owned()),
        _ => number.map_err(|_| "write a number of lines, or all".to_owned()),
    }
}

/// The longest pause between two looks, in seconds.
const WATCH_SECONDS_MAX: u64 = 60 * 60;

/// How to stay and look again.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Watching {
    /// Look again every so many seconds [default: 2], in place, until Ctrl-C
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=WATCH_SECONDS_MAX),
        conflicts_with = "json"
    )]
    pub(crate) watch: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Projects, or names or ids of containers [default: all that run]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Their GPUs too: how busy each is, and how much of its memory they use
    #[arg(long)]
    pub(crate) gpu: bool,
    #[command(flatten)]
    pub(crate) watching: Watching,
    /// Look once (the default)
    #[arg(long, conflicts_with = "watch")]
    pub(crate) no_stream: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GpuStatusArgs {
    #[command(flatten)]
    pub(crate) watching: Watching,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) levels: Levels,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Stay, and show what happens from now on
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// From then on: 10m (ago), 2026-01-31T14:00:00 [default: a day ago; with --follow from now on]
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(crate) since: Option<Moment>,
    /// Up to then
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(crate) until: Option<Moment>,
    /// Print JSON, for scripts: one value a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only of this container: the project, or its name or id
    pub(crate) name: Option<String>,
    /// Only of this person
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Of everybody
    #[arg(long, conflicts_with_all = ["user", "name"])]
    pub(crate) all: bool,
    /// From then on: 12h (ago), 2026-01-31
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment::parse)]
    pub(crate) since: Moment,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}
