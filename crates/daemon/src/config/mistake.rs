//! Mistakes and notes: what is wrong or without effect in a configuration file, and where.
//!
//! Findings are gathered, never thrown: an administrator is told everything in one go.

use std::fmt;
use std::path::PathBuf;

/// Mistakes that one file is told of; more than that and it is not the file that was meant.
const MISTAKES_MAX: usize = 200;
/// Characters of a value that are repeated in a message.
const SHOWN_MAX: usize = 60;

/// A line and a column, both counted from one. Line zero is the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, or zero for the whole file.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl Place {
    /// The file as a whole.
    pub(super) const FILE: Self = Self { line: 0, column: 0 };

    pub(super) fn new(line: usize, column: usize) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: number(line), column: number(column) }
    }
}

/// One thing that is wrong: `ds01.yaml:3:5: unknown key ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file as it was named.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place == Place::FILE {
            return write!(f, "{}: {}", self.file, self.message);
        }
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.message)
    }
}

/// Everything that is wrong with a file, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

/// One mistake a line.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{mistake}")?;
        }
        Ok(())
    }
}

/// A key that such files may hold and that has no effect here, with the lines on which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The lines, in order.
    pub lines: Vec<u32>,
    /// What has no effect, and why.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(u32::to_string).collect();
        let s = if lines.len() == 1 { "" } else { "s" };
        write!(f, "line{s} {}: {}", lines.join(", "), self.message)
    }
}

/// What a reading has found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    mistakes: Vec<(Place, String)>,
    notes: Vec<Note>,
    /// Programs that the file names.
    programs: Vec<(Place, PathBuf)>,
}

impl Findings {
    /// The file names a program that is to run as root.
    pub(super) fn program(&mut self, place: Place, program: PathBuf) {
        self.programs.push((place, program));
    }

    /// Looks whether the programs are there, and nobody's but root's.
    pub(super) fn look_at_programs(&mut self) {
        for (place, program) in std::mem::take(&mut self.programs) {
            if let Err(problem) = crate::hook::check(&program) {
                self.mistake(place, format!("lifecycle_hook: {problem}"));
            }
        }
    }

    pub(super) fn mistake(&mut self, place: Place, message: impl Into<String>) {
        let found = (place, message.into());
        // What an alias repeats is one mistake, at its definition.
        if !self.mistakes.contains(&found) && self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(found);
        }
    }

    pub(super) fn note(&mut self, place: Place, message: impl Into<String>) {
        let message = message.into();
        match self.notes.iter_mut().find(|note| note.message == message) {
            Some(note) if note.lines.contains(&place.line) => {}
            Some(note) => note.lines.push(place.line),
            None => self.notes.push(Note { lines: vec![place.line], message }),
        }
    }

    /// The mistakes in the order of the file, and the notes.
    pub(super) fn finish(mut self, file: &str) -> (Vec<Mistake>, Vec<Note>) {
        self.mistakes.sort();
        let mistake = |(place, message)| Mistake { file: file.to_owned(), place, message };
        (self.mistakes.into_iter().map(mistake).collect(), self.notes)
    }
}

/// The beginning of a long value, on one line.
pub(super) fn shorten(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}
