//! A whole screen of the terminal, beside the one on which commands are typed. It must never stay when it is dropped.

use std::io::{Write as _, stdout};
use std::os::fd::AsFd as _;

use crate::terminal;

/// To the other screen, and without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// And back.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left, and what is left of a line behind what is written.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K\r\n";
const REST_OF_SCREEN: &str = "\x1b[J";

/// The other screen, until this is dropped.
#[derive(Debug)]
pub(crate) struct Screen(());

impl Screen {
    pub(crate) fn enter() -> Self {
        write(ENTER);
        Self(())
    }

    /// Shows a text from the upper left on; lines that have no room are counted.
    pub(crate) fn show(&self, text: &str) {
        let rows = terminal::size_of(stdout().as_fd()).map_or(24, |(_, rows)| usize::from(rows));
        let mut screen = HOME.to_owned();
        // Colours go where they do not belong, as everywhere; what moves the cursor stays.
        let plain = anstream::AutoStream::choice(&stdout()) == anstream::ColorChoice::Never;
        let text = if plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
        for line in fitting(&text, rows) {
            screen += &line;
            screen += REST_OF_LINE;
        }
        write(&(screen + REST_OF_SCREEN));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(LEAVE);
    }
}

/// The lines that fit on a screen, whose last row is for the cursor.
fn fitting(text: &str, rows: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let room = rows.saturating_sub(1);
    if lines.len() <= room {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let shown = room.saturating_sub(1);
    let more = lines.len() - shown;
    lines.into_iter().take(shown).map(str::to_owned).chain([format!("… and {more} more lines")]).collect()
}

fn write(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
    let _ = stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(fitting("a\nb\n", 3), ["a", "b"]);
        assert_eq!(fitting("a\nb\nc\nd\n", 4), ["a", "b", "… and 2 more lines"]);
        assert_eq!(fitting("a\nb\n", 1), ["… and 2 more lines"]);
    }
}
