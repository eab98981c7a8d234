//! A full screen in which the packages of an image are picked: `image update` on a terminal.
//!
//! Answers for the terminal: it is as it was before, however this ends. What keys do is in [`model`], what is seen in
//! `view`; neither reads or writes anything.

mod model;
mod view;

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::terminal;

pub(crate) use model::{Model, Opened, Outcome};

/// Whether there is a screen to draw on, and somebody before it.
pub(crate) fn can_open() -> bool {
    terminal::is_interactive() && terminal::can_draw()
}

/// Takes the screen until somebody has decided.
pub(crate) fn run(mut model: Model) -> std::io::Result<Outcome> {
    let mut terminal = ratatui::try_init()?;
    let _back = Back;
    loop {
        terminal.draw(|frame| view::draw(&model, frame))?;
        // Whatever else comes, a new size of the window say, is a reason to draw again.
        if let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && let Some(outcome) = model.press(key)
        {
            return Ok(outcome);
        }
    }
}

/// Gives the screen back.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

#[cfg(test)]
mod tests;
