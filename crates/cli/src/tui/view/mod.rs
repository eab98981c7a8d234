//! The dashboard's picture. Pure: a model and an area in, characters in a buffer out. It must never change what it shows.

mod columns;
mod gpus;
mod lists;
mod overlay;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

use super::model::{Mode, Model, Pane};
use crate::render;
use crate::render::words::{self, count};

/// Titles, and the list that keys go to.
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// What can be passed over.
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
/// The caller's own; what is free.
const GOOD: Style = Style::new().fg(Color::Green);
/// What waits, or will end.
const CARE: Style = Style::new().fg(Color::Yellow);
/// What is wrong.
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
/// Something that can be typed.
const TYPED: Style = Style::new().fg(Color::Cyan);
/// The row that the cursor is on.
const CURSOR: Style = Style::new().add_modifier(Modifier::REVERSED);

/// The smallest screen that anything can be told on.
const COLUMNS_MIN: u16 = 40;
const ROWS_MIN: u16 = 12;
/// From here on the lists below the containers stand beside each other.
const BESIDE_COLUMNS: u16 = 132;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) colour: bool,
    pub(crate) unicode: bool,
}

/// What was drawn, as far as somebody else has to know.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// The ids of the containers that are on the screen.
    pub(crate) containers: Vec<String>,
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, look: Look) -> Shown {
    let area = frame.area();
    let mut shown = Shown::default();
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        let text = format!("too small: {COLUMNS_MIN}x{ROWS_MIN} needed");
        frame.buffer_mut().set_stringn(0, 0, text, area.width.into(), CARE);
    } else {
        shown = everything(frame.buffer_mut(), area, model);
        if let Some(cursor) = foot(frame.buffer_mut(), last_row(area), model) {
            frame.set_cursor_position(cursor);
        }
        overlay::draw(frame.buffer_mut(), area, model);
    }
    suit(frame.buffer_mut(), look);
    shown
}

fn everything(buffer: &mut Buffer, area: Rect, model: &Model) -> Shown {
    head(buffer, Rect { height: 1, ..area }, model);
    let [gpus, containers, below] = split(area, model);
    gpus::draw(buffer, gpus, model, gpus::rows_each(model, area.height));
    let shown = lists::containers(buffer, containers, model);
    if area.width < BESIDE_COLUMNS {
        lists::below(buffer, below, model, model.below, true);
        return Shown { containers: shown };
    }
    // People need the least.
    let parts = [area.width * 2 / 9, area.width * 3 / 8];
    let mut x = below.x;
    for (pane, width) in Pane::BELOW.into_iter().zip([parts[0], parts[1], area.width - parts[0] - parts[1]]) {
        // A column between two lists.
        lists::below(buffer, Rect { x, width: width - 1, ..below }, model, pane, false);
        x += width;
    }
    Shown { containers: shown }
}

/// The areas of the units, of the containers, and of what stands below.
fn split(area: Rect, model: &Model) -> [Rect; 3] {
    let room = area.height - 2;
    let each = gpus::rows_each(model, area.height);
    let units = u16::try_from(model.rows(Pane::Gpus).len()).unwrap_or(u16::MAX);
    // Its title and the columns' are two rows more.
    let gpus = units.max(1).saturating_mul(each).saturating_add(2).min(room * 2 / 5);
    // What the containers leave over is for what stands below, up to half of all.
    let containers =
        u16::try_from(model.rows(Pane::Containers).len()).unwrap_or(u16::MAX).max(2).saturating_add(2);
    let left = room.saturating_sub(gpus).saturating_sub(containers);
    let below = left.clamp((room / 4).clamp(3, 14), room / 2);
    let mut y = area.y + 1;
    [gpus, room - gpus - below, below].map(|height| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    })
}

fn last_row(area: Rect) -> Rect {
    Rect { y: area.bottom() - 1, height: 1, ..area }
}

fn head(buffer: &mut Buffer, area: Rect, model: &Model) {
    let mut x = area.x;
    let Some(seen) = &model.seen else {
        let text = model.trouble.as_deref().unwrap_or("asking the door…");
        put(buffer, &mut x, area, text, if model.trouble.is_some() { BAD } else { QUIET });
        return;
    };
    let machine = &seen.machine;
    let simulated = if machine.simulated { " (simulated)" } else { "" };
    put(buffer, &mut x, area, &machine.host, STRONG);
    let free = format!(
        "  {} of {} free{simulated}",
        machine.free_units,
        count(machine.total_units.into(), "GPU unit")
    );
    put(buffer, &mut x, area, &free, if machine.free_units > 0 { GOOD } else { CARE });
    if machine.waiting > 0 {
        put(buffer, &mut x, area, &format!(" · {} in line", machine.waiting), CARE);
    }
    if let Some(why) = &model.trouble {
        put(buffer, &mut x, area, &format!(" · {}", one_line(why)), BAD);
    } else if let Some(problem) = machine.problems.first() {
        put(buffer, &mut x, area, &format!(" · {}", one_line(problem)), BAD);
    }
    let clock = seen.at.strftime("%H:%M:%S").to_string();
    let at = area.right().saturating_sub(columns_of(&clock));
    // Where the sentence reaches that far it is worth more than the time.
    if at > x {
        buffer.set_string(at, area.y, clock, QUIET);
    }
}

/// The last row: a question and what is typed, a message, or the keys. Where the terminal's cursor is to stand.
fn foot(buffer: &mut Buffer, area: Rect, model: &Model) -> Option<(u16, u16)> {
    let mut x = area.x;
    if let Some(message) = &model.message {
        put(buffer, &mut x, area, &one_line(&message.text), if message.bad { BAD } else { GOOD });
        return None;
    }
    let (question, typed) = match &model.mode {
        Mode::Filter => ("show only what has in it: ".to_owned(), model.filter.as_str()),
        Mode::Keep { target, text } => (format!("keep {} for how long? ", target.name), text.as_str()),
        Mode::Stop { target } => (format!("stop {}? What runs in it ends. y/n ", target.name), ""),
        Mode::Look | Mode::Why { .. } | Mode::Help { .. } => {
            keys(buffer, area, model);
            return None;
        }
    };
    put(buffer, &mut x, area, &question, CARE);
    put(buffer, &mut x, area, typed, STRONG);
    Some((x.min(area.right() - 1), area.y))
}

fn keys(buffer: &mut Buffer, area: Rect, model: &Model) {
    const KEYS: [(&str, &str); 8] = [
        ("q", "quit"),
        ("Tab", "list"),
        ("s", "sort"),
        ("/", "filter"),
        ("w", "why"),
        ("K", "keep"),
        ("x", "stop"),
        ("?", "help"),
    ];
    let mut x = area.x;
    if !model.filter.is_empty() {
        put(buffer, &mut x, area, &format!("only {:?} (Esc: all)  ", model.filter), CARE);
    }
    for (key, what) in KEYS {
        put(buffer, &mut x, area, key, TYPED);
        put(buffer, &mut x, area, &format!(" {what}  "), QUIET);
    }
}

/// How a list stands behind its name.
#[derive(Debug, Clone, Copy)]
enum Name {
    /// Another one stands in its place.
    Hidden,
    Seen,
    /// Keys go to it.
    HasKeys,
}

/// The rule above lists, with their names.
fn rule(buffer: &mut Buffer, area: Rect, names: &[(String, Name)]) {
    buffer.set_string(area.x, area.y, "─".repeat(area.width.into()), QUIET);
    let mut x = area.x + 1;
    for (name, stands) in names {
        let style = match stands {
            Name::Hidden => QUIET,
            Name::Seen => STRONG,
            Name::HasKeys => STRONG.add_modifier(Modifier::REVERSED),
        };
        put(buffer, &mut x, area, &format!(" {name} "), style);
        x = (x + 1).min(area.right());
    }
}

/// Writes and goes on; what does not fit is cut.
fn put(buffer: &mut Buffer, x: &mut u16, area: Rect, text: &str, style: Style) {
    let room = area.right().saturating_sub(*x);
    let (after, _) = buffer.set_stringn(*x, area.y, render::cut(text, room.into()), room.into(), style);
    *x = after;
}

/// Messages have several lines; the foot has one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn columns_of(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// A duration where there is little room: its larger unit alone.
fn short(seconds: u64) -> String {
    let long = words::duration(seconds);
    let mut parts = long.split(' ');
    match (parts.next(), parts.next()) {
        (Some(number), Some(unit)) => format!("{number} {unit}"),
        _ => long,
    }
}

/// Takes away what the terminal cannot show.
fn suit(buffer: &mut Buffer, look: Look) {
    for cell in &mut buffer.content {
        if !look.colour {
            cell.fg = Color::Reset;
            cell.bg = Color::Reset;
        }
        if !look.unicode && !cell.symbol().is_ascii() {
            let ascii = render::ascii(cell.symbol());
            // One character for the cell, however many made its symbol.
            cell.set_symbol(ascii.get(..1).unwrap_or("?"));
        }
    }
}

#[cfg(test)]
mod tests;
