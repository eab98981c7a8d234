//! Trying a target: its seeds, then inputs made of them, in an order that one number decides.
//!
//! It must never lose an input that broke a property: it is a file before anybody is told.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::targets::{Outcome, Target};
use crate::{mutate, seeds};

/// The most inputs that are kept to make others of, and the most of them that were refused.
const POOL_MAX: usize = 4096;
const POOL_REFUSED_MAX: usize = 512;

/// How long a run is, and where it begins.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Inputs that are made.
    pub rounds: u64,
    /// Ends it earlier.
    pub time_max: Option<Duration>,
    /// Makes it another run.
    pub seed: u64,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Inputs, the seeds among them.
    pub inputs: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Ways that an input can go.
    pub ways: usize,
}

/// An input that broke a property.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where it lies.
    pub file: PathBuf,
    /// What was said.
    pub message: String,
    /// How it is tried again.
    pub command: String,
}

/// Tries one input.
///
/// # Errors
/// The property that it breaks.
pub fn try_one(target: &Target, input: &[u8]) -> Result<Outcome, Failure> {
    panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|thrown| {
        let message = thrown
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| thrown.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        keep(target.name, input, message)
    })
}

/// Writes an input down, and says how it is tried again.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn keep(name: &str, input: &[u8], message: String) -> Failure {
    let folder = seeds::root().join("target/fuzz-failures");
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder.join(format!("{name}-{:016x}", hasher.finish()));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, input))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let command = format!("cargo run -p ds01-fuzz --bin ds01-fuzz -- {name} {}", file.display());
    Failure { file, message, command }
}

/// Tries the seeds, and what becomes of them. An input that goes a way that none before it went is kept to make others
/// of.
///
/// # Errors
/// The first input that breaks a property.
pub fn run(target: &Target, run: Run) -> Result<Report, Failure> {
    let mut rng = Rng::with_seed(run.seed);
    let mut pool = seeds::kept(target);
    let (mut report, mut ways) = (Report::default(), HashSet::new());
    let mut take = |outcome: Outcome| {
        report.inputs += 1;
        report.accepted += u64::from(outcome.accepted);
        let is_new = ways.insert((outcome.accepted, outcome.way));
        report.ways = ways.len();
        let most = if outcome.accepted { POOL_MAX } else { POOL_REFUSED_MAX };
        (is_new.then_some(most), report)
    };
    let mut seen = Report::default();
    for seed in &pool {
        (_, seen) = take(try_one(target, seed)?);
    }
    let began = Instant::now();
    for _ in 0..run.rounds {
        if run.time_max.is_some_and(|most| began.elapsed() > most) {
            break;
        }
        let input = mutate::mutate(target.shape, &mut rng, &pool);
        let most;
        (most, seen) = take(try_one(target, &input)?);
        if most.is_some_and(|most| pool.len() < most) {
            pool.push(input);
        }
    }
    Ok(seen)
}
