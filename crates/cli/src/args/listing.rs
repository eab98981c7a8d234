//! The flags of `container list`. It must never read the world or act.

use clap::Args;

use super::looking::Watching;
use crate::render::{Filter, Template};
use crate::texts::Levels;

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
    #[command(flatten)]
    pub(crate) watching: Watching,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) levels: Levels,
}
