//! Questions on a terminal. Every answer that can be given here can be given as a flag; where nobody can be asked, nobody is.
//!
//! It must never act: a question that is broken off has changed nothing, and says so.

use std::io::{IsTerminal as _, stderr, stdin};

use ds01_api::Exit;
use inquire::error::{CustomUserError, InquireError};
use inquire::validator::Validation;
use inquire::{Confirm, Select, Text};

use crate::failure::Failure;

/// The code of a command that was broken off at a question.
const GIVEN_UP: &str = "given-up";
/// Entries of a list that are shown at a time: a question fits on a terminal of 24 lines.
const ENTRIES_SHOWN: usize = 10;

/// Whether somebody sits there who can be asked.
pub(crate) fn can_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks for a line of text that `check` has no complaint about.
pub(crate) fn text(
    question: &str,
    help: &str,
    check: impl Fn(&str) -> Result<(), String> + Clone + 'static,
) -> Result<String, Failure> {
    let validator = move |answer: &str| -> Result<Validation, CustomUserError> {
        Ok(match check(answer.trim()) {
            Ok(()) => Validation::Valid,
            Err(complaint) => Validation::Invalid(complaint.into()),
        })
    };
    let asked = Text::new(question).with_help_message(help).with_validator(validator).prompt();
    asked.map(|answer| answer.trim().to_owned()).map_err(broken_off)
}

/// Has one of `entries` chosen; returns which.
pub(crate) fn choose(question: &str, entries: Vec<String>, first: usize) -> Result<usize, Failure> {
    let select = Select::new(question, entries)
        .with_page_size(ENTRIES_SHOWN)
        .with_starting_cursor(first)
        .with_help_message("↑↓ to move, letters to filter, Enter to choose");
    select.raw_prompt().map(|chosen| chosen.index).map_err(broken_off)
}

/// Asks yes or no.
pub(crate) fn confirm(question: &str, default: bool) -> Result<bool, Failure> {
    Confirm::new(question).with_default(default).prompt().map_err(broken_off)
}

fn broken_off(error: InquireError) -> Failure {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            Failure::new(Exit::Interrupted, GIVEN_UP, "broken off; nothing was changed")
        }
        other => Failure::usage(format!("the terminal cannot be asked: {other}"))
            .with_hint("say it with flags: --help lists them"),
    }
}
