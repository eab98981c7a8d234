//! Answers as text. Every function is pure: an answer and a width in, styled text out; colour is taken away later where
//! it does not belong. Nothing here may print, ask, or read a clock.

mod acts;
mod build;
mod cards;
mod containers;
mod detailed;
mod devcontainer;
mod doctor;
mod drawing;
mod exempt;
mod greeting;
mod images;
mod journal;
mod limits;
mod machine;
mod people;
mod projects;
mod setup;
mod sharing;
mod stats;
mod table;
mod template;
mod waiting;
pub(crate) mod words;

pub(crate) use acts::{exit, paused, started, unpaused};
pub(crate) use build::{StepEnd, present_step, step};
pub(crate) use cards::{drawn as machine_drawn, unit_bar};
pub(crate) use containers::{
    created, deployed, gpus, list, removed, retired, state_word, status_text, stopped, unit,
};
pub(crate) use detailed::detailed;
pub(crate) use devcontainer::{devcontainer_checked, devcontainer_written};
pub(crate) use doctor::doctor;
pub(crate) use drawing::{ascii, bar, curve_step};
pub(crate) use exempt::{exempt_for, exempted, exemptions};
pub(crate) use greeting::greeting;
pub(crate) use images::{
    difference, image_deleted, image_drafted, image_made, image_rewritten, image_state, images,
};
pub(crate) use journal::{event, history};
pub(crate) use limits::{limits, limits_drawn};
pub(crate) use machine::{gpu_release, machine};
pub(crate) use people::{kept, queue, whoami, why};
pub(crate) use projects::{begun, counting, project_status, projects};
pub(crate) use setup::jupyter;
pub(crate) use sharing::{repaired, shared, shares, unshared};
pub(crate) use stats::{ContainerStats, Stats, stats};
pub(crate) use table::cut;
pub(crate) use template::{Filter, Template, fits_all, id};
pub(crate) use waiting::{fetching, waiting_line, waiting_report};

use anstyle::{AnsiColor, Style};

/// Titles.
pub(crate) const TITLE: Style = Style::new().bold();
/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What waits, or will end.
pub(crate) const CARE: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What can be passed over.
pub(crate) const QUIET: Style = Style::new().dimmed();
/// Something that can be typed.
pub(crate) const TYPED: Style = AnsiColor::Cyan.on_default();

/// `text` in `style`.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Label and value in two columns, indented.
fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let facts: Vec<_> = facts.into_iter().collect();
    let widest = facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    facts.iter().map(|(label, text)| format!("  {QUIET}{label:widest$}{QUIET:#}  {text}\n")).collect()
}

/// Commands to type next, with what each does.
fn next_steps(steps: &[(String, &str)]) -> String {
    let widest = steps.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    steps.iter().map(|(command, what)| format!("  {TYPED}{command:widest$}{TYPED:#}   {what}\n")).collect()
}

#[cfg(test)]
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
