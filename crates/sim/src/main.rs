//! `ds01-sim --seeds N [--first SEED]`: plays so many stories; a failing one is told whole.
//!
//! `ds01-sim traces DIR`: plays the labelled traces of a folder; fails if a container is stopped that is at work.

use std::path::Path;
use std::process::ExitCode;

use ds01_domain::Thresholds;
use ds01_sim::traces::{self, Table};
use ds01_sim::{STORY, Summary, play};

const USAGE: &str = "usage: ds01-sim [--seeds N] [--first SEED]\n       ds01-sim traces DIR";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [command, folder] if command == "traces" => play_traces(Path::new(folder)),
        words => match arguments(words) {
            Some((first, seeds)) => play_stories(first, seeds),
            None => {
                eprintln!("{USAGE}");
                ExitCode::from(2)
            }
        },
    }
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

fn play_stories(first: u64, seeds: u64) -> ExitCode {
    let mut all = Summary::default();
    let mut failed = 0_u64;
    for seed in first..first.saturating_add(seeds) {
        match play(seed) {
            Ok(one) => {
                all.grants += one.grants;
                all.waits += one.waits;
                all.denials += one.denials;
                all.crashes += one.crashes;
                all.lost += one.lost;
            }
            Err(failure) => {
                println!("{failure}\n");
                failed += 1;
            }
        }
    }
    let minutes = STORY.as_secs() / 60;
    println!(
        "{seeds} stories of {minutes} min: {} grants, {} waits, {} denials, {} crashes, {} answers lost; {failed} failed",
        all.grants, all.waits, all.denials, all.crashes, all.lost
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed and the number of seeds.
fn arguments(words: &[String]) -> Option<(u64, u64)> {
    let (mut first, mut seeds) = (0, 100);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match word.as_str() {
            "--seeds" => seeds = number,
            "--first" => first = number,
            _ => return None,
        }
    }
    Some((first, seeds))
}
