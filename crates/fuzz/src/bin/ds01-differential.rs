//! Holds the door's reading of requests against the Engine's own: seeds, hostile cases, and inputs made of them.
//!
//! It must never end well when one input was read in two ways.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ds01_fuzz::engine::{self, Compared, Reader};
use ds01_fuzz::judged::{self, Kind};
use ds01_fuzz::targets::{self, Target};
use ds01_fuzz::{mutate, runner, seeds};
use fastrand::Rng;

const HELP: &str = "\
Usage: ds01-differential READER SOURCE [--seconds N] [--seed N] [--only TARGET] [--keep DIR]
  READER   the program that tests/differential/read.go makes
  SOURCE   the Engine's source, of which it reads the routes
  --keep   writes the archives that were let through into this directory, for other readers";

/// Differences that are shown before a target is given up.
const SHOWN_MAX: usize = 5;

struct Options {
    reader: PathBuf,
    source: PathBuf,
    seconds: u64,
    seed: u64,
    only: Option<String>,
    keep: Option<PathBuf>,
}

fn options() -> Option<Options> {
    let mut words = std::env::args().skip(1);
    let mut options = Options {
        reader: words.next()?.into(),
        source: words.next()?.into(),
        seconds: 30,
        seed: 1,
        only: None,
        keep: None,
    };
    while let Some(name) = words.next() {
        let value = words.next()?;
        match name.as_str() {
            "--seconds" => options.seconds = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--only" => options.only = Some(value),
            "--keep" => options.keep = Some(value.into()),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    match compare_all(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("{differences} differences");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("ds01-differential: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compared(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.name() == name)
        || matches!(name, "filters" | "route" | "reference" | "archive")
}

fn compare_all(options: &Options) -> io::Result<usize> {
    let mut reader = Reader::start(&options.reader, &options.source)?;
    let all: Vec<&Target> = targets::ALL
        .iter()
        .filter(|target| {
            compared(target.name) && options.only.as_ref().is_none_or(|only| only == target.name)
        })
        .collect();
    let shares: u32 = all.iter().map(|target| share(target)).sum();
    println!("{:<12}{:>10}{:>10}{:>10}", "", "inputs", "accepted", "alike");
    let mut differences = 0;
    for target in all {
        let time = Duration::from_secs(options.seconds) * share(target) / shares.max(1);
        differences += compare_one(&mut reader, target, options, time)?;
    }
    Ok(differences)
}

/// A create has more to differ in than all others together.
fn share(target: &Target) -> u32 {
    if target.name == "create" { 8 } else { 2 }
}

fn compare_one(reader: &mut Reader, target: &Target, options: &Options, time: Duration) -> io::Result<usize> {
    let mut rng = Rng::with_seed(options.seed);
    let mut pool = seeds::kept(target);
    let (mut inputs, mut accepted, mut differences) = (0_u64, 0_u64, 0);
    let began = Instant::now();
    let mut waiting = pool.clone();
    waiting.reverse();
    while differences < SHOWN_MAX {
        let is_seed = !waiting.is_empty();
        if !is_seed && began.elapsed() > time {
            break;
        }
        let input = waiting.pop().unwrap_or_else(|| mutate::mutate(target.shape, &mut rng, &pool));
        inputs += 1;
        let outcome = compare(reader, target, &input)?;
        if outcome == Compared::Refused {
            continue;
        }
        accepted += 1;
        if let Compared::Differs(difference) = outcome {
            differences += 1;
            let failure = runner::keep(target.name, &input, difference);
            eprintln!("{}: {}\n{}", target.name, failure.file.display(), failure.message);
        } else if let Some(folder) = options.keep.as_ref().filter(|_| target.name == "archive") {
            let filtered = ds01_daemon::gateway::copied(&input, (20001, 20001)).map_err(io::Error::other)?;
            std::fs::write(folder.join(format!("{accepted}.tar")), filtered)?;
        }
        // What is accepted leads to more that is.
        if !is_seed && pool.len() < 2048 {
            pool.push(input);
        }
    }
    println!("{:<12}{inputs:>10}{accepted:>10}{:>10}", target.name, accepted - differences as u64);
    Ok(differences)
}

fn compare(reader: &mut Reader, target: &Target, input: &[u8]) -> io::Result<Compared> {
    match target.name {
        "filters" => engine::compare_filters(reader, input),
        "route" => engine::compare_route(reader, input),
        "reference" => engine::compare_reference(reader, input),
        "archive" => engine::compare_archive(reader, input),
        name => {
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
                return Ok(Compared::Refused);
            };
            let mut outcome = Compared::Refused;
            for rules in [judged::student(), judged::unlimited(), judged::admin()] {
                match engine::compare_body(reader, kind, input, &rules)? {
                    Compared::Refused => {}
                    Compared::Alike => outcome = Compared::Alike,
                    differs => return Ok(differs),
                }
            }
            Ok(outcome)
        }
    }
}
