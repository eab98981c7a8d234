//! The judgement: facts in, findings out. Pure: nothing here reads a file, asks a socket or knows the time.

mod engine;
mod host;
mod nvidia;
mod own;
mod parts;
mod reach;
#[cfg(test)]
mod tests;

use super::facts::Facts;
use super::finding::{Check, Report};

/// Every check, in the order in which they are told.
const AREAS: [&[Check<Facts>]; 5] =
    [engine::CHECKS, parts::CHECKS, nvidia::CHECKS, host::CHECKS, own::CHECKS];

/// Judges everything that was seen.
pub(crate) fn judge(facts: &Facts) -> Report {
    Report::of(AREAS.into_iter().flatten(), facts)
}

/// `1 thing`, `2 things`.
fn count(n: usize, thing: &str) -> String {
    crate::render::words::count(n as u64, thing)
}
