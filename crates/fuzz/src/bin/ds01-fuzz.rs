//! Tries a target by hand: files, or as many inputs as there is time for.
//!
//! It must never end well when a property was broken.

use std::process::ExitCode;
use std::time::Duration;

use ds01_fuzz::runner::{self, Failure, Run};
use ds01_fuzz::targets::{self, Target};

const HELP: &str = "\
Usage: ds01-fuzz TARGET FILE…                       tries these inputs
       ds01-fuzz TARGET [--seconds N] [--seed N]    tries the seeds of tests/fuzz/seeds/TARGET and what becomes of them
       ds01-fuzz --list                             names the targets";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("--list") => {
            targets::ALL.iter().for_each(|target| println!("{}", target.name));
            ExitCode::SUCCESS
        }
        Some(name) => match (targets::named(name), options(&words[1..])) {
            (Some(target), Some(Options::Files(files))) => replay(target, &files),
            (Some(target), Some(Options::Run(run))) => long(target, run),
            _ => usage(),
        },
        None => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{HELP}");
    ExitCode::from(2)
}

enum Options {
    Files(Vec<String>),
    Run(Run),
}

fn options(words: &[String]) -> Option<Options> {
    if !words.is_empty() && words.iter().all(|word| !word.starts_with("--")) {
        return Some(Options::Files(words.to_vec()));
    }
    let mut run = Run { rounds: u64::MAX, time_max: Some(Duration::from_mins(1)), seed: fastrand::u64(..) };
    for pair in words.chunks(2) {
        let [name, value] = pair else { return None };
        let number: u64 = value.parse().ok()?;
        match name.as_str() {
            "--seconds" => run.time_max = Some(Duration::from_secs(number)),
            "--seed" => run.seed = number,
            _ => return None,
        }
    }
    Some(Options::Run(run))
}

fn told(failure: &Failure) -> ExitCode {
    eprintln!("{}\nthe input: {}\nagain:     {}", failure.message, failure.file.display(), failure.command);
    ExitCode::FAILURE
}

fn replay(target: &Target, files: &[String]) -> ExitCode {
    for file in files {
        let input = match std::fs::read(file) {
            Ok(input) => input,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        match runner::try_one(target, &input) {
            Ok(outcome) => println!("{file}: {}", if outcome.accepted { "accepted" } else { "refused" }),
            Err(failure) => return told(&failure),
        }
    }
    ExitCode::SUCCESS
}

fn long(target: &Target, run: Run) -> ExitCode {
    println!("{}: seed {}", target.name, run.seed);
    match runner::run(target, run) {
        Ok(report) => {
            println!(
                "{} inputs, {} accepted, {} ways; every property holds",
                report.inputs, report.accepted, report.ways
            );
            ExitCode::SUCCESS
        }
        Err(failure) => told(&failure),
    }
}
