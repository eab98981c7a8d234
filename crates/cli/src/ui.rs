//! Everything that is written: answers to standard output, the rest to standard error, JSON or text, coloured or not.
//!
//! A reader that has gone away (`| head`) is no error. This module must never read, but for the answer to a question.

use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};

use serde::Serialize;

use crate::failure::Failure;
use crate::render::{self, BAD, CARE, QUIET, styled};
use crate::terminal;

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    /// Every line on either stream is JSON.
    pub(crate) json: bool,
}

impl Ui {
    /// The columns to lay out for; `None` for a pipe.
    pub(crate) fn columns(self) -> Option<u16> {
        terminal::output_columns()
    }

    /// A picture for the terminal behind standard output, in the characters that it has; the plain text for a pipe, and for
    /// terminals that cannot draw.
    pub(crate) fn picture(
        self,
        drawn: impl FnOnce(u16) -> String,
        plain: impl FnOnce(Option<u16>) -> String,
    ) -> String {
        match self.columns() {
            Some(columns) if terminal::can_draw() => self.in_its_characters(drawn(columns)),
            columns => plain(columns),
        }
    }

    /// A picture in the characters that the terminal has.
    pub(crate) fn in_its_characters(self, drawn: String) -> String {
        if terminal::speaks_utf8() { drawn } else { render::ascii(&drawn) }
    }

    /// Writes text to standard output; anstream takes the colours away for pipes, `NO_COLOR` and `TERM=dumb`.
    pub(crate) fn say(self, text: &str) {
        let _ = anstream::stdout().write_all(text.as_bytes());
    }

    /// Writes a piece of something longer to standard output; whether anybody still reads it.
    pub(crate) fn tell(self, text: &str) -> bool {
        let mut out = anstream::stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
    }

    /// Writes `value` as JSON, or `text` of it, to standard output.
    pub(crate) fn answer<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) {
        if !self.json {
            return self.say(&text(value));
        }
        let mut json =
            serde_json::to_string_pretty(value).expect("API types have string keys and no failing parts");
        json.push('\n');
        self.say(&json);
    }

    /// Writes a line of explanation to standard error; nothing where every line is JSON.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Tells that something was not done as asked for.
    pub(crate) fn warn(self, text: &str) {
        self.note(&format!("{} {text}", styled(CARE, "warning:")));
    }

    /// Writes one JSON value as one line to standard error.
    pub(crate) fn note_json(self, value: &impl Serialize) {
        let json = serde_json::to_string(value).expect("API types have string keys and no failing parts");
        let _ = writeln!(stderr(), "{json}");
    }

    /// Tells why a command failed, and the next step.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            return self.note_json(failure);
        }
        self.note(&format!("{} {}", styled(BAD, "error:"), failure.error.message));
        if let Some(hint) = &failure.error.hint {
            self.note(&format!("{} {hint}", styled(QUIET, "hint:")));
        }
    }

    /// A line on standard error that the next one replaces; empty takes it away.
    pub(crate) fn passing(self, line: &str) {
        let _ = write!(stderr(), "\r\x1b[2K{line}");
        let _ = stderr().flush();
    }

    /// Takes the line of [`Ui::passing`] away, where there can be one.
    pub(crate) fn end_passing(self) {
        if !self.json && stderr().is_terminal() {
            self.passing("");
        }
    }

    /// Draws on the screen of standard output: `text` without its colours where those are refused, every other control
    /// sequence as it is.
    pub(crate) fn draw(self, before: &str, text: &str, lay_out: impl FnOnce(&str) -> String) {
        let text = if terminal::has_colour() {
            text.to_owned()
        } else {
            anstream::adapter::strip_str(text).to_string()
        };
        let mut screen = stdout();
        let _ = screen.write_all(format!("{before}{}", lay_out(&text)).as_bytes());
        let _ = screen.flush();
    }

    /// Whether somebody sits there who can be asked.
    pub(crate) fn can_ask(self) -> bool {
        !self.json && stdin().is_terminal() && stderr().is_terminal()
    }

    /// Asks a question whose answer is yes by default; `None` where nobody can be asked.
    pub(crate) fn ask(self, question: &str) -> Option<bool> {
        if !self.can_ask() {
            return None;
        }
        let _ = write!(anstream::stderr(), "{question} [Y/n] ");
        let _ = stderr().flush();
        let mut answer = String::new();
        let read = stdin().read_line(&mut answer).unwrap_or(0);
        Some(read > 0 && matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
    }
}
