//! Every command and flag stands in `tests/documents/commands.tsv` beside a test that covers it, and nothing stands there
//! that is not so.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _};

use super::{Cli, argv, parse, path_of};

/// What users are told of, whoever tells them.
const TABLE: &str = include_str!("../../../../tests/documents/commands.tsv");
/// Every command line of the lab's documents.
const LINES: &str = include_str!("../../../../tests/documents/lines.tsv");
/// Commands that are promised and not built have this in place of a test.
const NOT_YET: &str = "not yet";
/// Where a row may say that the words come from: the lab's documents, Docker's habits, our own.
const SOURCES: [&str; 3] = ["documents", "habit", "own"];

struct Row<'t> {
    /// The command's words, as one of its names has them.
    command: &'t str,
    /// Its spellings; none for the command itself.
    flags: Vec<&'t str>,
    example: &'t str,
    source: &'t str,
    /// `FILE: TEXT`, which stands in it.
    test: &'t str,
}

fn rows() -> Vec<Row<'static>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| match line.split('\t').collect::<Vec<_>>().as_slice() {
            [command, flags, example, source, test] => Row {
                command,
                flags: flags.split(' ').filter(|flag| *flag != "-").collect(),
                example,
                source,
                test,
            },
            other => panic!("{} columns, not 5: {line}", other.len()),
        })
        .collect()
}

/// The words of an example, as a shell would part them: quotes hold what is between them together.
fn words(example: &str) -> Vec<OsString> {
    let parts = example.split('\'').enumerate();
    parts
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(OsString::from).collect::<Vec<_>>(),
            _ => vec![OsString::from(part)],
        })
        .collect()
}

/// The names of the command that an example leads to: `container list` for `container-ls --all`.
fn canonical(words: Vec<OsString>) -> String {
    path_of(&argv::normalise(words).words)
}

#[test]
fn every_row_is_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for Row { command, flags, example, source, test } in rows() {
        assert!(SOURCES.contains(&source), "{command}: where from is {source}?");
        let words = words(example);
        if test == NOT_YET {
            let error = parse(words).expect_err(example);
            assert_eq!(error.kind(), ErrorKind::InvalidSubcommand, "{example}: is it built by now?");
            continue;
        }
        if let Err(error) = parse(words.clone()) {
            // Some commands are nothing without another word: their help is shown.
            assert_eq!(
                error.kind(),
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                "{example}: {error}"
            );
        }
        assert_eq!(
            canonical(words.clone()),
            canonical(format!("ds01 {command}").split(' ').map(Into::into).collect()),
            "{example}"
        );
        let typed = |flag: &&str| {
            words.iter().filter_map(|word| word.to_str()).any(|word| {
                word == *flag || word.strip_prefix(*flag).is_some_and(|rest| rest.starts_with('='))
            })
        };
        assert!(flags.is_empty() || flags.iter().any(typed), "{example}: none of {flags:?}");
        let (file, text) = test.split_once(": ").unwrap_or_else(|| panic!("{example}: {test} names no test"));
        let content =
            std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{example}: {file}: {e}"));
        assert!(content.contains(text), "{example}: {file} has no {text:?}");
    }
}

#[test]
fn every_command_and_flag_has_a_row() {
    let mut known = BTreeSet::new();
    for row in rows().into_iter().filter(|row| row.test != NOT_YET) {
        match row.flags.as_slice() {
            [] => drop(known.insert(row.command.to_owned())),
            flags => known.extend(flags.iter().map(|flag| format!("{} {flag}", row.command))),
        }
    }
    let mut there = BTreeSet::new();
    for command in Cli::command().get_subcommands() {
        spellings(command, "", &mut there);
    }
    let missing: Vec<_> = there.difference(&known).collect();
    assert!(missing.is_empty(), "tests/documents/commands.tsv has no row for {missing:#?}");
    let twice = rows().len()
        - rows()
            .iter()
            .map(|row| (row.command, &row.flags))
            .map(|key| format!("{key:?}"))
            .collect::<BTreeSet<_>>()
            .len();
    assert_eq!(twice, 0, "rows for what has one already");
}

#[test]
fn every_line_of_the_documents_is_understood_and_typed() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e");
    let lines = LINES.lines().filter(|line| !line.starts_with('#'));
    let mut seen = BTreeSet::new();
    for line in lines {
        let (line, test) = line.split_once('\t').unwrap_or_else(|| panic!("{line}: no test"));
        assert!(seen.insert(line), "{line} stands there twice");
        let (file, text) = test.split_once(": ").unwrap_or_else(|| panic!("{line}: {test} names no test"));
        if file == "-" {
            assert!(parse(words(line)).is_err(), "{line}: is it a command by now?");
            continue;
        }
        let content =
            std::fs::read_to_string(tests.join(file)).unwrap_or_else(|e| panic!("{line}: {file}: {e}"));
        assert!(content.contains(text), "{line}: {file} has no {text:?}");
        // <name> stands for a name; Docker's lines are its own to read.
        let typed = line.trim_start_matches("time ").replace(['<', '>'], "");
        if typed.starts_with("docker ") {
            continue;
        }
        let Err(error) = parse(words(&typed)) else { continue };
        // In a sentence a command stands without its name.
        let bare = error.kind() == ErrorKind::MissingRequiredArgument && !line.contains("--");
        assert!(bare && !path_of(&argv::normalise(words(&typed)).words).is_empty(), "{line}: {error}");
    }
    assert!(seen.len() > 70, "{} lines", seen.len());
}

/// Every way of naming a command and its flags.
fn spellings(command: &Command, above: &str, there: &mut BTreeSet<String>) {
    let path = format!("{above} {}", command.get_name()).trim().to_owned();
    there.extend(command.get_visible_aliases().map(|alias| format!("{above} {alias}").trim().to_owned()));
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if matches!(argument.get_id().as_str(), "help" | "version") {
            continue;
        }
        there.extend(argument.get_long().map(|long| format!("{path} --{long}")));
        there.extend(argument.get_short().map(|short| format!("{path} -{short}")));
    }
    for below in command.get_subcommands() {
        spellings(below, &path, there);
    }
    there.insert(path);
}
