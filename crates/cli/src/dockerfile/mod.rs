//! A Dockerfile as a person wrote it: read, changed in as few places as can be, printed again byte for byte.
//!
//! Answers for: which instructions there are and where they stand, which packages they install, what a change of packages
//! does to the text. What a build may take from outside is the door's to judge ([`ds01_docker::dockerfile`]).
//! Must never: change a byte that it was not asked to change; read the world.

mod copies;
mod diff;
mod draft;
mod edit;
mod heredoc;
mod packages;
mod words;

use std::fmt;

pub(crate) use copies::Copied;
pub(crate) use diff::difference;
pub(crate) use draft::{Draft, Group};
pub(crate) use edit::{Added, checked};
use heredoc::Heredoc;
pub(crate) use packages::{Installer, Package};

/// A Dockerfile, in pieces that make up its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    pieces: Vec<Piece>,
    /// The character that joins lines: a directive at the top may change it.
    escape: char,
}

/// Some whole lines of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// As they stand, line ends included.
    text: String,
    /// In capitals; `None` for comments and empty lines.
    instruction: Option<String>,
}

impl Dockerfile {
    /// Reads any text; what is no Dockerfile comes out as it went in.
    pub(crate) fn parse(text: &str) -> Self {
        let escape = escape_of(text);
        let mut lines = text.split_inclusive('\n').peekable();
        let mut pieces = Vec::new();
        while let Some(first) = lines.next() {
            if is_aside(first) {
                pieces.push(Piece { text: first.to_owned(), instruction: None });
                continue;
            }
            let mut whole = first.to_owned();
            let mut goes_on = continues(first, escape);
            while goes_on {
                let Some(next) = lines.next() else { break };
                whole.push_str(next);
                // Comments and empty lines do not end what goes on.
                goes_on = is_aside(next) || continues(next, escape);
            }
            let name = first_word(&whole).to_uppercase();
            if matches!(name.as_str(), "RUN" | "COPY" | "ADD") {
                for heredoc in heredoc::all(&whole) {
                    take_body(&mut whole, &mut lines, &heredoc);
                }
            }
            pieces.push(Piece { text: whole, instruction: Some(name) });
        }
        Self { pieces, escape }
    }

    /// The places of all instructions of this name.
    fn all(&self, name: &str) -> impl Iterator<Item = usize> {
        let is = move |piece: &Piece| piece.instruction.as_deref() == Some(name);
        self.pieces.iter().enumerate().filter(move |(_, piece)| is(piece)).map(|(at, _)| at)
    }

    /// Where the last stage begins, which makes the image.
    fn last_from(&self) -> Option<usize> {
        self.all("FROM").last()
    }

    /// The image that the last stage begins with, as it is written.
    pub(crate) fn base(&self) -> Option<String> {
        let piece = &self.pieces[self.last_from()?];
        let words = words::plain(&piece.text, self.escape);
        words.into_iter().skip(1).map(|word| word.text).find(|word| !word.starts_with("--"))
    }
}

impl fmt::Display for Dockerfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}

/// Whether a line is a comment, or empty.
fn is_aside(line: &str) -> bool {
    let bare = line.trim_start_matches('\u{feff}').trim();
    bare.is_empty() || bare.starts_with('#')
}

/// Whether a line goes on in the next one. Two escape characters are one that means itself.
fn continues(line: &str, escape: char) -> bool {
    let line = line.trim_end_matches(['\n', '\r']).trim_end_matches([' ', '\t']);
    line.strip_suffix(escape).is_some_and(|before| !before.ends_with(escape))
}

fn first_word(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').split_whitespace().next().unwrap_or_default()
}

/// `# escape=` among the directives at the top.
fn escape_of(text: &str) -> char {
    let directives = text.trim_start_matches('\u{feff}').lines().map_while(|line| {
        let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
        let name = name.trim();
        name.bytes().all(|b| b.is_ascii_alphanumeric()).then_some((name, value.trim()))
    });
    let asks = |(name, value): (&str, &str)| name.eq_ignore_ascii_case("escape") && value == "`";
    if directives.into_iter().any(asks) { '`' } else { '\\' }
}

/// The lines of a here-document belong to the instruction that it stands in.
fn take_body<'t>(whole: &mut String, lines: &mut impl Iterator<Item = &'t str>, heredoc: &Heredoc) {
    for line in lines {
        whole.push_str(line);
        if heredoc.ends_at(line) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
