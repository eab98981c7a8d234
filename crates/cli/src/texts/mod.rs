//! What the main commands tell about themselves beyond `--help`: everything (`--info`), what it is and why it is so
//! (`--concepts`), and step by step (`--guided`). All of it stands in the files of this folder, and every command in them is
//! one that is understood. This module must never do anything but answer with a text.

pub(crate) mod help;

use std::ffi::OsString;

use clap::Args;

use crate::args;
use crate::render::{TITLE, TYPED, styled};

/// The flags, so that help, completion and manual know them. They are answered before anything else is read.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "More help")]
pub(crate) struct Levels {
    /// Everything there is to know about it
    #[arg(long)]
    info: bool,
    /// What it is, and why it is so
    #[arg(long)]
    concepts: bool,
    /// Step by step
    #[arg(long)]
    guided: bool,
}

/// The flags and the titles of the parts that they mean.
const LEVELS: [(&str, &str); 3] = [("--info", "info"), ("--concepts", "concepts"), ("--guided", "guided")];

/// The commands that have texts, and these.
const TEXTS: [(&str, &str); 7] = [
    ("container deploy", include_str!("deploy.txt")),
    ("container list", include_str!("list.txt")),
    ("container retire", include_str!("retire.txt")),
    ("gpu status", include_str!("gpu-status.txt")),
    ("check limits", include_str!("check-limits.txt")),
    ("project launch", include_str!("launch.txt")),
    ("queue", include_str!("queue.txt")),
];

/// The text that a command line asks for; `None` if it asks for none, or for one that there is not.
pub(crate) fn answer(argv: impl IntoIterator<Item = OsString>) -> Option<String> {
    let words = args::argv::normalise(argv).words;
    let level = words
        .iter()
        .take_while(|word| *word != "--")
        .find_map(|word| LEVELS.iter().find(|(flag, _)| word == flag).map(|(_, level)| *level))?;
    let path = args::path_of(&words);
    let (path, texts) = TEXTS.iter().find(|(known, _)| *known == path)?;
    let mut text = String::new();
    if level == "info" {
        text = args::help(path) + "\n";
    }
    Some(text + &lay_out(part(texts, level)?))
}

/// What stands below `## LEVEL`.
fn part(texts: &'static str, level: &str) -> Option<&'static str> {
    texts.split("## ").find_map(|part| part.strip_prefix(level)?.strip_prefix('\n')).map(str::trim_end)
}

/// With commands and the heads of steps told apart.
fn lay_out(text: &str) -> String {
    let line = |line: &str| match (line.split_once("$ "), line.split_once(". ")) {
        (Some((blanks, command)), _) if blanks.trim().is_empty() => {
            format!("{blanks}$ {}\n", styled(TYPED, command))
        }
        (_, Some((number, rest))) if number.parse::<u8>().is_ok() => {
            format!("{} {rest}\n", styled(TITLE, &format!("{number}.")))
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// The commands in a text: behind `$ `, without what is said about them.
    fn commands(text: &str) -> impl Iterator<Item = &str> {
        let typed = text.lines().filter_map(|line| line.trim_start().strip_prefix("$ "));
        typed.map(|line| line.split("   ").next().unwrap_or(line).trim())
    }

    #[test]
    fn every_command_in_a_text_is_understood() {
        let mut seen = 0;
        for (path, texts) in TEXTS {
            for (flag, level) in LEVELS {
                let text = part(texts, level).unwrap_or_else(|| panic!("{path} {flag}"));
                assert!(text.lines().count() >= 4, "{path} {flag}");
                for command in commands(text) {
                    seen += 1;
                    if command.starts_with("ls ") {
                        continue;
                    }
                    // What stands between quotes is one word.
                    let parts = command.split('\'').enumerate();
                    let argv = parts
                        .flat_map(|(at, part)| if at % 2 == 0 { words(part) } else { vec![part.into()] });
                    if let Err(error) = args::parse(argv) {
                        panic!("{path} {flag}: {command}: {error}");
                    }
                }
            }
            assert!(commands(part(texts, "guided").unwrap()).count() >= 3, "{path}: no steps");
        }
        assert!(seen > 30, "{seen} commands");
    }

    #[test]
    fn every_flag_is_answered_in_every_spelling() {
        for (path, _) in TEXTS {
            for (flag, _) in LEVELS {
                let joined = path.replace(' ', "-");
                for line in [format!("ds01 {path} {flag}"), format!("ds01 {joined} x {flag} --json")] {
                    assert!(answer(words(&line)).is_some_and(|text| text.len() > 200), "{line}");
                }
                // Help, completion and manual know it.
                assert!(args::help(path).contains(flag), "{path} {flag}");
            }
        }
        assert_eq!(answer(words("container ls --info")), answer(words("container list --info")));
        for line in [
            "ds01 container deploy p",
            "ds01 whoami --info",
            "ds01 --info",
            "ds01 container run p -- --info",
            "--info",
        ] {
            assert_eq!(answer(words(line)), None, "{line}");
        }
    }

    #[test]
    fn lines_fit() {
        for (path, texts) in TEXTS {
            let widest = texts.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(79), "{path}: a line of {widest:?} columns");
        }
    }

    #[test]
    fn info_is_help_and_more() {
        let text =
            anstream::adapter::strip_str(&answer(words("container-deploy --info")).unwrap()).to_string();
        assert!(text.contains("Usage: ds01 container deploy"), "{text}");
        assert!(text.contains("Exit code 3 says"), "{text}");
        let guided = answer(words("gpu-status --guided")).unwrap();
        assert!(guided.contains(&styled(TYPED, "ds01 queue")), "{guided}");
        assert!(guided.starts_with(&styled(TITLE, "1.")), "{guided}");
    }
}
