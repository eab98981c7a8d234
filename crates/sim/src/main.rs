//! `ds01-sim --seeds N [--first SEED]`: plays so many stories; a failing one is told whole.

use std::process::ExitCode;

use ds01_sim::{STORY, Summary, play};

const USAGE: &str = "usage: ds01-sim [--seeds N] [--first SEED]";

fn main() -> ExitCode {
    let Some((first, seeds)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
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
fn arguments() -> Option<(u64, u64)> {
    let (mut first, mut seeds) = (0, 100);
    let mut words = std::env::args().skip(1);
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
