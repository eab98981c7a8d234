//! Labelled traces: what containers did with their units, from when on a stop of each is right, and when which rule stops it.
//!
//! They measure the rules, they are none: a row that turns out badly says that a rule is wrong, or a label.

mod readings;
mod rules;
mod text;

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use ds01_domain::{Thresholds, Time};

pub use text::{BadTrace, Trace};

/// The rules, ours first.
pub const RULES: [&str; 4] = ["ds01", "hourly", "cpu+net", "any idle"];

/// One trace under all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The trace.
    pub name: String,
    /// From when on a stop is right; `None` for never.
    pub right: Option<Duration>,
    /// What each rule made of it.
    pub outcomes: [Outcome; RULES.len()],
}

/// What one rule made of one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When it stopped the container, if it did.
    pub stop: Option<Duration>,
    /// Whether that was too early.
    pub wrong: bool,
    /// Minutes of GPUs from when a stop was right until there was one, or the trace ended.
    pub wasted: u64,
}

/// All traces under all rules. Its `Display` is what people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(Vec<Row>);

/// Reads all traces of a folder, by name.
///
/// # Errors
/// A folder without traces, or a trace that cannot be read.
pub fn read_folder(folder: &Path) -> Result<Vec<Trace>, BadTrace> {
    let bad = |path: &Path, what: String| BadTrace { path: path.to_owned(), line: 0, what };
    let entries = fs::read_dir(folder).map_err(|error| bad(folder, error.to_string()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "trace"));
    paths.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    if paths.is_empty() {
        return Err(bad(folder, "no file in it ends in .trace".into()));
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| bad(path, error.to_string()));
    paths.iter().map(|path| Trace::parse(path, &read(path)?)).collect()
}

impl Table {
    /// Plays every trace; ours with these thresholds.
    #[must_use]
    pub fn of(traces: &[Trace], limits: &Thresholds) -> Self {
        Self(traces.iter().map(|trace| Row::of(trace, limits)).collect())
    }

    /// Its rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.0
    }

    /// The traces that ours stops too early.
    pub fn wrong(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|row| row.outcomes[0].wrong).map(|row| row.name.as_str())
    }

    /// One number of each rule, over all traces.
    fn total(&self, of: impl Fn(&Outcome) -> u64) -> [u64; RULES.len()] {
        std::array::from_fn(|rule| self.0.iter().map(|row| of(&row.outcomes[rule])).sum())
    }
}

impl Row {
    fn of(trace: &Trace, limits: &Thresholds) -> Self {
        let readings = readings::of(trace);
        let stops = [
            rules::ours(readings::unit_ids(trace), &readings, limits),
            rules::hourly(&readings),
            rules::cpu_and_network(&readings),
            rules::any_unit_idle(&readings),
        ];
        let outcomes = stops.map(|stop| Outcome::of(trace, stop));
        Self { name: trace.name.clone(), right: trace.right, outcomes }
    }
}

impl Outcome {
    fn of(trace: &Trace, stop: Option<Time>) -> Self {
        let stop = stop.map(|stop| stop.since(Time::default()));
        let wrong = stop.is_some_and(|stop| trace.right.is_none_or(|right| stop < right));
        let end = stop.unwrap_or_else(|| trace.length());
        let wasted = trace.right.map_or(Duration::ZERO, |right| end.saturating_sub(right));
        Self { stop, wrong, wasted: wasted.as_secs() * trace.units.len() as u64 / 60 }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |time: Option<Duration>, without: &'static str| match time.map(|time| time.as_secs() / 60)
        {
            Some(minutes) => format!("{}:{:02}", minutes / 60, minutes % 60),
            None => without.to_owned(),
        };
        write!(f, "{:<24} {:>6}", "trace", "right")?;
        RULES.iter().try_for_each(|rule| write!(f, " | {rule:>8}  wasted"))?;
        writeln!(f)?;
        for row in &self.0 {
            write!(f, "{:<24} {:>6}", row.name, clock(row.right, "never"))?;
            for outcome in &row.outcomes {
                let mark = if outcome.wrong { "!" } else { "" };
                let stop = format!("{mark}{}", clock(outcome.stop, "-"));
                write!(f, " | {stop:>8} {:>7}", outcome.wasted)?;
            }
            writeln!(f)?;
        }
        let wrong = self.total(|outcome| outcome.wrong.into());
        let wasted = self.total(|outcome| outcome.wasted);
        write!(f, "{:<24} {:>6}", "wrong stops (!), wasted", "")?;
        wrong.iter().zip(wasted).try_for_each(|(wrong, wasted)| write!(f, " | {wrong:>8} {wasted:>7}"))?;
        writeln!(f)
    }
}
