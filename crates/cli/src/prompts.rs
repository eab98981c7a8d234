//! Questions on a terminal. Every answer that can be given here can be given as a flag; where nobody can be asked, nobody is.
//!
//! It must never act: a question that is broken off has changed nothing, and says so.

use std::io::{IsTerminal as _, stderr, stdin};

use ds01_api::Exit;
use inquire::error::{CustomUserError, InquireError};
use inquire::list_option::ListOption;
use inquire::validator::Validation;
use inquire::{Confirm, MultiSelect, Select, Text};

use crate::failure::Failure;
use crate::terminal;

/// The code of a command that was broken off at a question.
const GIVEN_UP: &str = "given-up";
/// Entries of a list that are shown at a time: a question fits on a terminal of 24 lines.
const ENTRIES_SHOWN: usize = 10;

/// Whether somebody sits there who can be asked, before a screen that questions can be drawn on.
pub(crate) fn can_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal() && terminal::can_draw()
}

/// Asks for a line of text that `check` has no complaint about; an empty one is `default`, if there is one.
pub(crate) fn text(
    question: &str,
    help: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<(), String> + Clone + 'static,
) -> Result<String, Failure> {
    let validator = move |answer: &str| -> Result<Validation, CustomUserError> {
        Ok(match check(answer.trim()) {
            Ok(()) => Validation::Valid,
            Err(complaint) => Validation::Invalid(complaint.into()),
        })
    };
    let mut asked = Text::new(question).with_help_message(help).with_validator(validator);
    asked.default = default;
    asked.prompt().map(|answer| answer.trim().to_owned()).map_err(broken_off)
}

/// Has one of `entries` chosen; returns which.
pub(crate) fn choose(question: &str, entries: Vec<String>, first: usize) -> Result<usize, Failure> {
    let select = Select::new(question, entries)
        .with_page_size(ENTRIES_SHOWN)
        .with_starting_cursor(first)
        .with_help_message("↑↓ to move, letters to filter, Enter to choose");
    select.raw_prompt().map(|chosen| chosen.index).map_err(broken_off)
}

/// Has any number of `entries` marked, none included; returns which. What was marked is told by its first word.
pub(crate) fn mark(question: &str, entries: Vec<String>) -> Result<Vec<usize>, Failure> {
    let told = |marked: &[ListOption<&String>]| {
        let words = marked.iter().map(|entry| entry.value.split(' ').next().unwrap_or_default());
        words.collect::<Vec<_>>().join(", ")
    };
    let select = MultiSelect::new(question, entries)
        .with_page_size(ENTRIES_SHOWN)
        .with_formatter(&told)
        .with_help_message("space marks, letters filter, Enter goes on; none is fine");
    let marked = select.raw_prompt().map_err(broken_off)?;
    Ok(marked.into_iter().map(|entry| entry.index).collect())
}

/// Asks yes or no.
pub(crate) fn confirm(question: &str, default: bool) -> Result<bool, Failure> {
    Confirm::new(question).with_default(default).prompt().map_err(broken_off)
}

/// What a question that is answered with no, or not at all, comes to where all depends on it.
pub(crate) fn given_up() -> Failure {
    Failure::new(Exit::Interrupted, GIVEN_UP, "broken off; nothing was changed")
}

fn broken_off(error: InquireError) -> Failure {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => given_up(),
        other => Failure::usage(format!("the terminal cannot be asked: {other}"))
            .with_hint("say it with flags: --help lists them"),
    }
}
