//! What stands over the lists: why a container is as it is, and what the keys do. It must never change what it shows.

use ds01_api::Why;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Widget as _};
use unicode_width::UnicodeWidthStr as _;

use super::{BAD, QUIET, STRONG, TYPED};
use crate::tui::model::{Mode, Model};

/// Text is not wider than this.
const WIDTH_MAX: u16 = 90;

const HELP: [(&str, &str); 13] = [
    ("arrows, j k", "up and down; Page Up, Page Down, g, G go further"),
    ("Tab, h l", "to the next list, or the one before"),
    ("s", "sort containers: age, name, user, use, memory, time left"),
    ("/", "show only what has a word in it; Esc shows all again"),
    ("w, Enter", "why a container is as it is"),
    ("K", "keep a container of yours whose GPU is idle"),
    ("x", "stop a container of yours; you are asked first"),
    ("r", "look at everything anew, now"),
    ("Ctrl-Z", "put this into the background; fg brings it back"),
    ("q, Ctrl-C", "leave"),
    (
        "BUSY, curve",
        "the card's computing in the last minutes; a slice's curve is its memory, for the driver tells no more",
    ),
    ("FULL", "memory in use, whoever uses it"),
    ("LEFT", "until DS01 stops it; in brackets where it only observes"),
];

/// Draws what the mode asks for.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model) {
    let width = WIDTH_MAX.min(area.width - 4);
    // Without the frame and a blank on each side.
    let inner = usize::from(width - 4);
    let (title, lines, scroll) = match &model.mode {
        Mode::Help { scroll } => ("help".to_owned(), facts(HELP, inner, TYPED), *scroll),
        Mode::Why { target, answer, scroll } => {
            let lines = match answer {
                None => vec![Line::styled("asking the door…", QUIET)],
                Some(Err(why)) => {
                    wrapped(why, inner).into_iter().map(|line| Line::styled(line, BAD)).collect()
                }
                Some(Ok(why)) => why_lines(why, inner),
            };
            (format!("why {}", target.name), lines, *scroll)
        }
        Mode::Look | Mode::Filter | Mode::Keep { .. } | Mode::Stop { .. } => return,
    };
    window(buffer, area, width, &title, &lines, scroll);
}

fn why_lines(why: &Why, width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'_>> =
        wrapped(&why.verdict, width).into_iter().map(|line| Line::styled(line, STRONG)).collect();
    lines.push(Line::default());
    lines.extend(facts(why.facts.iter().map(|fact| (&*fact.label, &*fact.text)), width, QUIET));
    if !why.next.is_empty() {
        lines.push(Line::default());
    }
    lines.extend(why.next.iter().map(|command| Line::styled(command.clone(), TYPED)));
    lines
}

/// Label and text in two columns; what does not fit goes on below.
fn facts<'a>(
    facts: impl IntoIterator<Item = (&'a str, &'a str)>,
    width: usize,
    style: Style,
) -> Vec<Line<'static>> {
    let facts: Vec<_> = facts.into_iter().collect();
    let widest = facts.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (label, text) in facts {
        for (at, part) in wrapped(text, width.saturating_sub(widest + 2)).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            lines.push(Line::from(vec![Span::styled(format!("{label:widest$}  "), style), Span::raw(part)]));
        }
    }
    lines
}

/// A text in lines of so many columns, parted between words; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            *line = word.to_owned();
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn window(buffer: &mut Buffer, area: Rect, width: u16, title: &str, lines: &[Line<'_>], scroll: u16) {
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let height = rows.saturating_add(2).min(area.height - 2);
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    let place = Rect { x, y, width, height };
    Clear.render(place, buffer);
    let below = rows.saturating_sub(height - 2);
    let keys = if below > 0 { " arrows scroll, any other key closes " } else { " any other key closes " };
    let block = Block::bordered()
        .title(Line::styled(format!(" {title} "), STRONG))
        .title_bottom(Line::styled(keys, QUIET).right_aligned())
        .padding(Padding::horizontal(1));
    let inner = block.inner(place);
    block.render(place, buffer);
    for (y, line) in (inner.y..inner.bottom()).zip(&lines[usize::from(scroll.min(below))..]) {
        buffer.set_line(inner.x, y, line, inner.width);
    }
}
