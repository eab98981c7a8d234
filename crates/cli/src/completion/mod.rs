//! What could be typed next, for the shells: `ds01 completion SHELL` prints a script, which asks `ds01 __complete` at each Tab.
//!
//! Whatever goes wrong here, nothing is offered and nothing is said: somebody is typing. It must never take longer than
//! a moment, and never act.

mod names;

use std::ffi::{OsStr, OsString};

use clap::CommandFactory as _;
use clap_complete::engine::{CompletionCandidate, complete};

use crate::args::argv::{link_names, normalise};
use crate::args::{Cli, Shell};

/// The word by which the scripts call; it is no command, and no help shows it.
const ASKED_BY: &str = "__complete";

/// The script for a shell.
pub(crate) fn script(shell: Shell) -> String {
    let template = match shell {
        Shell::Bash => include_str!("ds01.bash"),
        Shell::Zsh => include_str!("ds01.zsh"),
        Shell::Fish => include_str!("ds01.fish"),
    };
    let names: Vec<String> = std::iter::once("ds01".to_owned()).chain(link_names()).collect();
    template.replace("@NAMES@", &names.join(" "))
}

/// The answer to a script: `ds01 __complete SHELL POSITION -- WORD…`, one line for each word that fits. `None` if the
/// command line is none of a script's.
pub(crate) fn answer(argv: impl IntoIterator<Item = OsString>) -> Option<String> {
    let mut argv = argv.into_iter().skip(1);
    if argv.next()? != ASKED_BY {
        return None;
    }
    let shell = argv.next().and_then(|shell| shell.to_str().and_then(Shell::named));
    let at = argv.next().and_then(|at| at.to_str().and_then(|at| at.parse().ok()));
    let (Some(shell), Some(at)) = (shell, at) else { return Some(String::new()) };
    let words: Vec<OsString> = argv.skip_while(|word| word != "--").skip(1).collect();
    Some(lines(shell, words, at))
}

fn lines(shell: Shell, words: Vec<OsString>, at: usize) -> String {
    let Typed { words, at, prefix } = match shell {
        Shell::Bash => joined(words, at),
        Shell::Zsh | Shell::Fish => Typed { words, at, prefix: String::new() },
    };
    // A shell that is not at the end of the line tells all of it: what follows does not count.
    let words: Vec<OsString> = words.into_iter().take(at + 1).collect();
    let line = |candidate: &CompletionCandidate| line(shell, candidate, &prefix);
    candidates(words, at).iter().filter_map(line).collect()
}

/// What could stand in place of the word `at`.
fn candidates(words: Vec<OsString>, at: usize) -> Vec<CompletionCandidate> {
    let before = words.len();
    let current = words.get(at).cloned().unwrap_or_default();
    let typed: Vec<OsString> = words.iter().skip(1).take(at.saturating_sub(1)).cloned().collect();
    let spelled = normalise(words).words;
    // `container-stop x` is one word shorter than `ds01 container stop x`.
    let Some(at) = (at + spelled.len()).checked_sub(before) else { return Vec::new() };
    let mut command = names::offered(Cli::command(), &typed);
    let here = std::env::current_dir().ok();
    let found = complete(&mut command, spelled, at, here.as_deref()).unwrap_or_default();
    let begins_flag = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    // Flags are for who begins one: there are many of them, and few are meant.
    let fits = |candidate: &CompletionCandidate| {
        !candidate.is_hide_set() && (begins_flag(&current) || !begins_flag(candidate.get_value()))
    };
    found.into_iter().filter(fits).collect()
}

/// One candidate as a shell reads it: bash the word alone, zsh and fish with what it means.
fn line(shell: Shell, candidate: &CompletionCandidate, prefix: &str) -> Option<String> {
    let value = candidate.get_value().to_str()?;
    let value = value.strip_prefix(prefix).unwrap_or(value);
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.lines().next().unwrap_or_default();
    // A name with a line's end in it cannot be told; nobody has one.
    if value.contains(char::is_control) || value.is_empty() {
        return None;
    }
    Some(match shell {
        Shell::Bash => format!("{value}\n"),
        _ if help.is_empty() && shell == Shell::Zsh => format!("{}\n", value.replace(':', "\\:")),
        Shell::Zsh => format!("{}:{help}\n", value.replace(':', "\\:")),
        Shell::Fish => format!("{value}\t{help}\n"),
    })
}

/// A line as bash has it, put together again.
#[derive(Debug, PartialEq, Eq)]
struct Typed {
    words: Vec<OsString>,
    at: usize,
    /// The part of the current word that bash takes for words of their own and will not replace.
    prefix: String,
}

/// Bash cuts words at `=` and `:`, and offers to replace the last piece only.
fn joined(pieces: Vec<OsString>, at: usize) -> Typed {
    let cuts = |piece: &OsStr| {
        !piece.is_empty() && piece.as_encoded_bytes().iter().all(|b| matches!(b, b'=' | b':'))
    };
    let mut typed = Typed { words: Vec::new(), at: 0, prefix: String::new() };
    let mut goes_on = false;
    for (position, piece) in pieces.into_iter().enumerate() {
        let cut = cuts(&piece);
        let joins = (cut || goes_on) && typed.words.len() > 1;
        if position == at {
            let so_far = typed.words.last().filter(|_| joins).map(|word| word.to_string_lossy().into_owned());
            // The cursor stands behind the cut itself, or in the piece after it.
            let own = if cut { piece.to_string_lossy() } else { "".into() };
            typed.prefix = so_far.map(|word| word + &own).unwrap_or_default();
        }
        match typed.words.last_mut().filter(|_| joins) {
            Some(word) => word.push(piece),
            None => typed.words.push(piece),
        }
        if position == at {
            typed.at = typed.words.len() - 1;
        }
        goes_on = cut;
    }
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(shell: Shell, line: &str, at: usize) -> Vec<String> {
        let words = line.split(' ').map(OsString::from).collect();
        lines(shell, words, at).lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_spelling_is_offered_the_same() {
        let flags = offered(Shell::Bash, "ds01 container logs x --t", 4);
        assert_eq!(flags, ["--tail", "--timestamps"]);
        assert_eq!(offered(Shell::Bash, "container logs x --t", 3), flags);
        assert_eq!(offered(Shell::Bash, "container-logs x --t", 2), flags);
        assert_eq!(offered(Shell::Bash, "/usr/bin/container-logs x --t", 2), flags);
        assert_eq!(offered(Shell::Bash, "ds01 container-logs x --t", 3), flags);
        assert_eq!(
            offered(Shell::Bash, "container-logs x --t --follow", 2),
            flags,
            "what follows does not count"
        );
    }

    #[test]
    fn commands_and_what_they_are_for() {
        assert_eq!(offered(Shell::Bash, "container sto", 1), ["stop"]);
        assert_eq!(offered(Shell::Bash, "ds01 completion ", 2), ["bash", "zsh", "fish"]);
        let whoami = ["whoami:Show who you are here, and in which group"];
        assert_eq!(offered(Shell::Zsh, "ds01 who", 1), whoami);
        assert_eq!(offered(Shell::Fish, "ds01 who", 1), whoami.map(|line| line.replacen(':', "\t", 1)));
        assert!(
            offered(Shell::Bash, "ds01 ", 1)
                .iter()
                .all(|word| !word.starts_with('-') && word != "__complete")
        );
        assert_eq!(offered(Shell::Bash, "container list ", 2), [""; 0], "flags are for who begins one");
    }

    #[test]
    fn what_makes_no_sense_is_offered_nothing() {
        for (line, at) in [("", 0), ("", 7), ("container", 0), ("ds01 nothing ", 99)] {
            let _ = offered(Shell::Bash, line, at);
        }
        let ask = |line: &str| answer(line.split(' ').map(OsString::from));
        assert_eq!(ask("ds01 whoami"), None);
        for line in ["ds01 __complete", "ds01 __complete tcsh 1 -- ds01", "ds01 __complete bash x -- ds01"] {
            assert_eq!(ask(line), Some(String::new()), "{line}");
        }
    }

    #[test]
    fn bash_cuts_words_that_are_one() {
        let join = |pieces: &[&str], at| {
            let typed = joined(pieces.iter().map(OsString::from).collect(), at);
            let words: Vec<String> =
                typed.words.iter().map(|word| word.to_str().unwrap().to_owned()).collect();
            (words.join(" "), typed.at, typed.prefix)
        };
        let told = |line: &str, at, prefix: &str| (line.to_owned(), at, prefix.to_owned());
        assert_eq!(join(&["c", "a", "b"], 2), told("c a b", 2, ""));
        assert_eq!(join(&["c", "--wait", "=", "3m"], 3), told("c --wait=3m", 1, "--wait="));
        assert_eq!(join(&["c", "--wait", "=", ""], 3), told("c --wait=", 1, "--wait="));
        assert_eq!(join(&["c", "--wait", "="], 2), told("c --wait=", 1, "--wait="));
        assert_eq!(join(&["c", "--image", "a", ":", "b", "n"], 5), told("c --image a:b n", 3, ""));
        assert_eq!(join(&["c", "--image", "a", ":", "b"], 4), told("c --image a:b", 2, "a:"));
    }

    #[test]
    fn the_scripts_name_every_link() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(!script.contains("@NAMES@") && script.contains(" container-deploy "), "{script}");
        }
    }
}
