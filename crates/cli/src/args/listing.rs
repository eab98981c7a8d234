//! The flags of `container list`. It must never read the world or act.

use clap::Args;

use crate::render::{Filter, Template};

/// The longest pause between two looks, in seconds.
const WATCH_SECONDS_MAX: u64 = 60 * 60;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Stopped ones too
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Everything that is known of each
    #[arg(long, conflicts_with_all = ["format", "quiet", "json"])]
    pub(crate) detailed: bool,
    /// Ids only, one a line
    #[arg(long, short, conflicts_with_all = ["format", "json"])]
    pub(crate) quiet: bool,
    /// Only those of which this is so: name=, project=, status=, kind=, image=, user=
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = Filter::parse)]
    pub(crate) filter: Vec<Filter>,
    /// As this template says: '{{.Name}}', 'table {{.Name}}\t{{.Status}}', json
    #[arg(long, value_name = "TEMPLATE", value_parser = Template::parse, conflicts_with = "json")]
    pub(crate) format: Option<Template>,
    /// Cut nothing off, and whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Look again every so many seconds [default: 2], in place, until Ctrl-C
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = pause,
        conflicts_with = "json"
    )]
    pub(crate) watch: Option<u64>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads the seconds between two looks.
fn pause(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=WATCH_SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| format!("write a number of seconds, 1 to {WATCH_SECONDS_MAX}"))
}
