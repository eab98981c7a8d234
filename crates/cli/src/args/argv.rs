//! The three spellings of every command: `container deploy`, `container-deploy` and `ds01 container deploy` become one.
//!
//! This module must never look at flags or values: it reads the program's own name and at most one word after it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The groups and the commands in each, as the documents spell them.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "container",
        &[
            "deploy", "create", "start", "run", "attach", "exit", "stop", "pause", "unpause", "retire",
            "remove", "rm", "list", "ls", "logs", "stats",
        ],
    ),
    ("image", &["create", "update", "list", "ls", "delete", "rm"]),
    ("project", &["init", "launch", "list", "ls", "status"]),
    ("devcontainer", &["init", "check", "prepare"]),
    ("gpu", &["status", "release"]),
    ("check", &["limits"]),
];

/// Groups whose name alone is another program's: the Dev Containers' own command line is `devcontainer`. Their commands
/// are called by the longer names, and by `ds01`.
const TAKEN: [&str; 1] = ["devcontainer"];
/// Commands of no group that have a name of their own, as the documents spell them.
const ALONE: [&str; 4] = ["dashboard", "user-setup", "ssh-setup", "vscode-setup"];

/// A command line in the spelling `ds01 GROUP COMMAND …`, and how the user began it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Argv {
    /// `ds01`, then everything that was typed.
    pub(crate) words: Vec<OsString>,
    /// Whether it was typed as `ds01 …`; usage texts then begin so too.
    pub(crate) by_program: bool,
}

/// Brings a process's arguments into the one spelling.
pub(crate) fn normalise(argv: impl IntoIterator<Item = OsString>) -> Argv {
    let mut typed = argv.into_iter();
    let program = typed.next().unwrap_or_default();
    let mut words: Vec<OsString> = vec!["ds01".into()];
    let name = Path::new(&program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let called = expand(name);
    let by_program = called.is_none();
    match called {
        Some(expansion) => words.extend(expansion.iter().map(OsString::from)),
        None => {
            if let Some(first) = typed.next() {
                match first.to_str().and_then(expand) {
                    Some(expansion) => words.extend(expansion.iter().map(OsString::from)),
                    None => words.push(first),
                }
            }
        }
    }
    words.extend(typed);
    Argv { words, by_program }
}

/// Every name under which the program may be called, apart from `ds01`.
pub(crate) fn link_names() -> Vec<String> {
    GROUPS
        .iter()
        .flat_map(|(group, commands)| {
            let joined = commands.iter().map(move |command| format!("{group}-{command}"));
            let alone = (!TAKEN.contains(group)).then(|| (*group).to_owned());
            alone.into_iter().chain(joined)
        })
        .chain(ALONE.map(str::to_owned))
        .collect()
}

/// `container` → `[container]`, `container-deploy` → `[container, deploy]`, anything else → nothing.
fn expand(word: &str) -> Option<Vec<&'static str>> {
    if let Some(alone) = ALONE.into_iter().find(|known| *known == word) {
        return Some(vec![alone]);
    }
    GROUPS.iter().find_map(|(group, commands)| {
        let rest = word.strip_prefix(group)?;
        if rest.is_empty() {
            return Some(vec![*group]);
        }
        let command = rest.strip_prefix('-')?;
        commands.iter().find(|known| **known == command).map(|known| vec![*group, *known])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(line: &str) -> String {
        let argv = normalise(line.split_whitespace().map(OsString::from));
        argv.words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_command_has_three_spellings() {
        for (group, commands) in GROUPS {
            for command in commands {
                let one = format!("ds01 {group} {command} x --flag");
                for spelling in [
                    format!("ds01 {group} {command} x --flag"),
                    format!("ds01 {group}-{command} x --flag"),
                    format!("{group} {command} x --flag"),
                    format!("{group}-{command} x --flag"),
                    format!("/usr/local/bin/{group}-{command} x --flag"),
                ] {
                    assert_eq!(normal(&spelling), one, "{spelling}");
                }
            }
        }
    }

    #[test]
    fn anything_else_stays_as_it_is() {
        for (typed, read) in [
            ("ds01", "ds01"),
            ("ds01 whoami", "ds01 whoami"),
            ("ds01 --help", "ds01 --help"),
            ("./target/debug/ds01-test whoami", "ds01 whoami"),
            ("container", "ds01 container"),
            ("container --help", "ds01 container --help"),
            ("container container-run", "ds01 container container-run"),
            ("ds01 why container-run", "ds01 why container-run"),
            ("ds01 container-frobnicate", "ds01 container-frobnicate"),
            ("containers", "ds01"),
            ("dashboard", "ds01 dashboard"),
            ("ds01 dashboard", "ds01 dashboard"),
            ("ds01 why dashboard", "ds01 why dashboard"),
        ] {
            assert_eq!(normal(typed), read, "{typed}");
        }
        assert_eq!(normalise([]).words, ["ds01"]);
    }

    #[test]
    fn links_are_groups_and_commands() {
        let names = link_names();
        for name in ["container", "container-ls", "dashboard"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert!(names.iter().all(|name| expand(name).is_some()));
    }
}
