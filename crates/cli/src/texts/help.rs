//! `ds01 help`, by level: five commands for whoever comes for the first time, the others when they are asked for; `container
//! help` and the like show one group. It all stands in `help.txt`; this module must never do anything but answer with a text.

use std::ffi::OsString;

use anstyle::Style;

use crate::args;
use crate::render::{QUIET, TITLE, TYPED, styled};

const TEXT: &str = include_str!("help.txt");

/// The word for all levels together.
const ALL: &str = "all";
/// The levels, and their titles.
const LEVELS: [(&str, &str); 4] = [
    ("beginner", "To begin with"),
    ("intermediate", "Every week"),
    ("advanced", "Now and then"),
    ("admin", "For administrators"),
];
/// What parts a command from what it does.
const GAP: &str = "  ";

/// The text that a command line asks for; `None` if it asks for none, or for a command's own help.
pub(crate) fn answer(argv: impl IntoIterator<Item = OsString>) -> Option<String> {
    let words = args::argv::normalise(argv).words;
    let words: Vec<&str> = words.iter().skip(1).map(|word| word.to_str()).collect::<Option<_>>()?;
    match words.as_slice() {
        [] | ["help" | "-h" | "--help"] => Some(first()),
        ["help", level] if is_level(level) => Some(levels(level)),
        ["help", named @ ..] => of_command(named),
        [group, "help"] if args::is_group(group) => of_group(group, ALL),
        [group, "help", level] if args::is_group(group) && is_level(level) => of_group(group, level),
        _ => None,
    }
}

fn is_level(word: &str) -> bool {
    word == ALL || LEVELS.iter().any(|(level, _)| *level == word)
}

/// The first screen.
fn first() -> String {
    ["head", "beginner", "foot"].map(|name| lay_out(Style::new(), part(name))).join("\n")
}

/// One level, or all of them.
fn levels(wanted: &str) -> String {
    let mut text: String = titled(wanted, |_| true);
    if wanted == ALL {
        text += &(lay_out(Style::new(), part("exits")) + "\n");
    }
    text + &lay_out(QUIET, part("more"))
}

/// The commands of a group, below their levels.
fn of_group(group: &str, wanted: &str) -> Option<String> {
    let is_of_it = |typed: &str| path(typed).split(' ').next() == Some(group);
    let text = titled(wanted, |line| command_of(line).is_some_and(is_of_it));
    let more = format!("{group} --help names them all in a line each; with a command, its flags");
    (!text.is_empty()).then(|| text + &lay_out(QUIET, &more))
}

/// The levels that are wanted, each with its title and those of its lines that fit.
fn titled(wanted: &str, fits: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for (level, title) in LEVELS.into_iter().filter(|(level, _)| wanted == ALL || wanted == *level) {
        let lines: Vec<&str> = part(level).lines().filter(|line| fits(line)).collect();
        if !lines.is_empty() {
            text +=
                &format!("{}\n{}\n", styled(TITLE, &format!("{title}:")), lay_out(TITLE, &lines.join("\n")));
        }
    }
    text
}

/// A command's own help, or its group's, in whatever spelling it is asked for.
fn of_command(named: &[&str]) -> Option<String> {
    let words = std::iter::once("ds01").chain(named.iter().copied()).map(OsString::from);
    let words = args::argv::normalise(words).words;
    let path = args::path_of(&words);
    if path.is_empty() || path.split(' ').count() + 1 != words.len() {
        return None;
    }
    if args::is_group(&path) { of_group(&path, ALL) } else { Some(args::help(&path) + "\n") }
}

/// What stands below `## NAME`.
fn part(name: &str) -> &'static str {
    let found = TEXT.split("## ").find_map(|part| part.strip_prefix(name)?.strip_prefix('\n'));
    found.unwrap_or_default().trim_end()
}

/// The command of a line, if it shows one.
fn command_of(line: &str) -> Option<&str> {
    let typed = line.strip_prefix(GAP)?;
    Some(typed.split_once(GAP).map_or(typed, |(typed, _)| typed))
}

/// The names of the command that somebody types so.
fn path(typed: &str) -> String {
    args::path_of(&args::argv::normalise(typed.split(' ').map(OsString::from)).words)
}

/// With commands told apart, and all else in `other`.
fn lay_out(other: Style, text: &str) -> String {
    let line = |line: &str| match command_of(line) {
        Some(typed) => {
            let what = &line[GAP.len() + typed.len()..];
            format!("{GAP}{}{what}\n", styled(TYPED, typed))
        }
        None if line.is_empty() => "\n".to_owned(),
        None => format!("{}\n", styled(other, line)),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn asked(line: &str) -> Option<String> {
        answer(words(line)).map(|text| anstream::adapter::strip_str(&text).to_string())
    }

    #[test]
    fn every_command_in_it_is_understood() {
        let shown: Vec<&str> = TEXT.lines().filter_map(command_of).collect();
        assert!(shown.len() > 50, "{}", shown.len());
        for typed in shown {
            let answered = answer(words(typed)).is_some() || super::super::answer(words(typed)).is_some();
            let parsed = args::parse(words(typed))
                .map_or_else(|error| error.kind() == ErrorKind::DisplayHelp, |_| true);
            assert!(answered || parsed, "{typed}");
        }
    }

    #[test]
    fn every_command_is_in_it() {
        let shown: BTreeSet<String> = TEXT.lines().filter_map(command_of).map(path).collect();
        for command in args::Cli::command().get_subcommands() {
            let below: Vec<String> = command
                .get_subcommands()
                .map(|sub| format!("{} {}", command.get_name(), sub.get_name()))
                .collect();
            let paths = if below.is_empty() { vec![command.get_name().to_owned()] } else { below };
            for path in paths {
                assert!(shown.contains(&path), "help.txt does not show {path}");
            }
        }
    }

    #[test]
    fn the_first_screen_is_short_and_leads_on() {
        let first = asked("ds01 help").unwrap();
        assert_eq!(part("beginner").lines().count(), 5, "a newcomer's commands");
        assert!(first.lines().count() <= 30, "{first}");
        for more in [
            "--help",
            "-h",
            "--info",
            "--concepts",
            "--guided",
            "user-setup",
            "ds01 help all",
            "container help",
        ] {
            assert!(first.contains(more), "{more}");
        }
        for same in ["ds01", "ds01 --help", "ds01 -h"] {
            assert_eq!(asked(same).as_ref(), Some(&first), "{same}");
        }
    }

    #[test]
    fn levels_groups_and_commands() {
        let all = asked("ds01 help all").unwrap();
        for (level, title) in LEVELS {
            let text = asked(&format!("ds01 help {level}")).unwrap();
            assert!(text.starts_with(&format!("{title}:\n")) && all.contains(part(level)), "{text}");
        }
        let group = asked("container help").unwrap();
        assert!(group.contains("  container retire my-project") && !group.contains("  image "), "{group}");
        assert!(group.find("container list").unwrap() < group.find("container pause").unwrap());
        assert_eq!(asked("ds01 container help"), Some(group.clone()));
        assert_eq!(asked("ds01 help container"), Some(group));
        for (line, holds) in [
            ("image help", "image update"),
            ("project help", "project launch my-project --open"),
            ("gpu help", "gpu-status"),
            ("check help", "check-limits"),
            ("image help intermediate", "image create"),
            ("ds01 help container deploy", "Usage: ds01 container deploy"),
            ("ds01 help container-deploy", "Usage: ds01 container deploy"),
            ("ds01 help dashboard", "Arrows and Tab move"),
        ] {
            let text = asked(line).unwrap_or_else(|| panic!("{line}"));
            assert!(text.contains(holds), "{line}: {text}");
        }
        for none in [
            "container help retire",
            "ds01 help nothing",
            "container",
            "ds01 why help",
            "ds01 container list --help",
            "image help admin",
        ] {
            assert_eq!(asked(none), None, "{none}");
        }
    }

    #[test]
    fn lines_fit() {
        for line in TEXT.lines() {
            assert!(line.chars().count() <= 79, "{line}");
        }
    }
}
