//! `ds01 keep`, `exempt`, `why`: how long a container goes on, and why it is as it is.

use clap::Args;

use super::{duration, moment};

#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    /// The project, or a container's name or id
    pub(crate) name: String,
    /// For how long, at most a day and within your budget (check-limits): 30m, 2h
    #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = duration::parse)]
    pub(crate) time: std::time::Duration,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExemptArgs {
    /// The container's name or id
    #[arg(required_unless_present_any = ["user", "list"], conflicts_with = "user")]
    pub(crate) name: Option<String>,
    /// All containers of this person, those to come included
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Until then: 2026-12-01, 2026-12-01T18:00:00
    #[arg(long, value_name = "TIME", value_parser = moment::parse_to_come, required_unless_present_any = ["list", "remove"])]
    pub(crate) until: Option<moment::Moment>,
    /// Why, in a few words
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["list", "remove"])]
    pub(crate) reason: Option<String>,
    /// Show the exemptions that hold
    #[arg(long, conflicts_with_all = ["name", "user", "until", "reason", "remove"])]
    pub(crate) list: bool,
    /// Take an exemption back
    #[arg(long, conflicts_with_all = ["until", "reason"])]
    pub(crate) remove: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The project, or a container's name or id
    pub(crate) name: String,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}
