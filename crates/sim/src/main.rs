//! `sim [--seeds N] [--first SEED]` plays so many stories; one that fails is told whole.
//!
//! `sim replay SEED` tells the story of one seed, however it ends. `sim traces DIR` plays the labelled traces of a
//! folder; it fails if a container is stopped that is at work.

use std::path::Path;
use std::process::ExitCode;

use ds01_domain::Thresholds;
use sim::traces::{self, Table};
use sim::{Summary, play, replay};

const USAGE: &str = "usage: ds01-sim [--seeds N] [--first SEED]
       ds01-sim replay SEED
       ds01-sim traces DIR";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["traces", folder] => play_traces(Path::new(folder)),
        ["replay", seed] => seed.parse().map_or_else(|_| usage(), replay_story),
        words => arguments(words).map_or_else(usage, |(first, seeds)| play_stories(first, seeds)),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn play_traces(folder: &Path) -> ExitCode {
    match traces::read_folder(folder) {
        Ok(traces) => {
            let table = Table::of(&traces, &Thresholds::default());
            print!("{table}");
            if table.wrong().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("ds01-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay_story(seed: u64) -> ExitCode {
    let (story, end) = replay(seed);
    story.iter().for_each(|line| println!("{line}"));
    match end {
        Ok(summary) => {
            println!("seed {seed}: {summary}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!("seed {seed}: {what}");
            ExitCode::FAILURE
        }
    }
}

fn play_stories(first: u64, seeds: u64) -> ExitCode {
    let mut all = Summary::default();
    let mut failed = 0_u64;
    for seed in first..first.saturating_add(seeds) {
        match play(seed) {
            Ok(one) => all.add(&one),
            Err(failure) => {
                println!("{failure}\nagain: cargo run --release -p sim -- replay {seed}\n");
                failed += 1;
            }
        }
    }
    println!("{seeds} stories, {all}; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed and the number of seeds.
fn arguments(words: &[&str]) -> Option<(u64, u64)> {
    let (mut first, mut seeds) = (0, 100);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match *word {
            "--seeds" => seeds = number,
            "--first" => first = number,
            _ => return None,
        }
    }
    Some((first, seeds))
}
