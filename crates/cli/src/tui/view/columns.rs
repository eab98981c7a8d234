//! A list in columns: texts as wide as they are, graphs as wide as there is room. Where there is none, columns that can be
//! missed go first. It must never draw outside its area.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use unicode_width::UnicodeWidthStr as _;

use super::{CURSOR, QUIET};
use crate::render;

/// Blanks between columns.
const GAP: u16 = 2;
/// A column of texts is not cut below this.
const CUT_MIN: u16 = 6;

/// How busy.
pub(super) const BUSY: Style = Style::new().fg(Color::Cyan);
/// How full.
pub(super) const FULL: Style = Style::new().fg(Color::Blue);

/// How wide a column is.
#[derive(Debug, Clone, Copy)]
enum Width {
    /// As its widest text.
    Widest,
    /// As its widest text, or less, down to this.
    Cut(u16),
    /// As there is room, between these.
    Room(u16, u16),
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// 0: never dropped; else the highest goes first.
    pub(super) drop: u8,
    width: Width,
}

impl Column {
    /// A column of texts.
    pub(super) const fn text(title: &'static str, drop: u8) -> Self {
        Self { title, drop, width: Width::Widest }
    }

    /// A column of bars or curves.
    pub(super) const fn graph(title: &'static str, drop: u8, least: u16, most: u16) -> Self {
        Self { title, drop, width: Width::Room(least, most) }
    }

    /// A column of texts that may be cut to so many characters before others are missed.
    pub(super) const fn sentence(title: &'static str, least: u16) -> Self {
        Self { title, drop: 0, width: Width::Cut(least) }
    }
}

/// What stands in a column.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String, Style),
    /// How much of a whole.
    Bar(u64, u64, Style),
    /// Samples in percent, the newest first.
    Curve(Vec<Option<u8>>, Style),
    Nothing,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into(), Style::new())
    }

    pub(super) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self::Text(text.into(), style)
    }

    fn width(&self) -> u16 {
        match self {
            Self::Text(text, _) => u16::try_from(text.width()).unwrap_or(u16::MAX),
            _ => 0,
        }
    }
}

/// Draws titles and rows, as many as there is room for around the cursor; returns which rows those are.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    columns: &[Column],
    rows: &[Vec<Cell>],
    cursor: usize,
    has_keys: bool,
) -> std::ops::Range<usize> {
    if area.height < 2 {
        return 0..0;
    }
    let shown = window(rows.len(), cursor, usize::from(area.height) - 1);
    let places = lay_out(columns, rows, area.width);
    for (column, place) in columns.iter().zip(&places) {
        let Some((x, width)) = place else { continue };
        buffer.set_stringn(area.x + x, area.y, column.title, (*width).into(), QUIET);
    }
    for (line, at) in (area.y + 1..).zip(shown.clone()) {
        for (cell, place) in rows[at].iter().zip(&places) {
            let Some((x, width)) = place else { continue };
            put(buffer, Rect { x: area.x + x, y: line, width: *width, height: 1 }, cell);
        }
        if has_keys && at == cursor {
            buffer.set_style(Rect { y: line, height: 1, ..area }, CURSOR);
        }
    }
    shown
}

/// Which rows are seen: those around the cursor.
pub(super) fn window(rows: usize, cursor: usize, room: usize) -> std::ops::Range<usize> {
    let first = (cursor + 1).saturating_sub(room).min(rows.saturating_sub(room));
    first..rows.min(first + room)
}

/// Where each column stands and how wide it is; `None` for those that there is no room for.
pub(super) fn lay_out(columns: &[Column], rows: &[Vec<Cell>], room: u16) -> Vec<Option<(u16, u16)>> {
    let mut widths: Vec<Option<u16>> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let title = u16::try_from(column.title.width()).unwrap_or(0);
            Some(match column.width {
                Width::Widest => widest(rows, at).max(title),
                Width::Cut(least) => widest(rows, at).min(least).max(title),
                Width::Room(least, _) => least.max(title),
            })
        })
        .collect();
    while total(&widths) > room {
        let there = || widths.iter().enumerate().filter_map(|(at, width)| Some((at, (*width)?)));
        let missed = there().filter(|(at, _)| columns[*at].drop > 0).max_by_key(|(at, _)| columns[*at].drop);
        if let Some((at, _)) = missed {
            widths[at] = None;
            continue;
        }
        let is_text = |at: usize| !matches!(columns[at].width, Width::Room(..));
        let widest = there().filter(|(at, width)| is_text(*at) && *width > CUT_MIN);
        let Some((at, width)) = widest.max_by_key(|(_, width)| *width) else { break };
        widths[at] = Some(width.saturating_sub(total(&widths) - room).max(CUT_MIN));
    }
    grow(columns, rows, &mut widths, room);
    let mut x = 0;
    let places = widths.into_iter().map(|width| {
        let width = width?;
        let place = (x, width.min(room.saturating_sub(x)));
        x += width + GAP;
        (place.1 > 0).then_some(place)
    });
    places.collect()
}

fn widest(rows: &[Vec<Cell>], column: usize) -> u16 {
    rows.iter().map(|row| row[column].width()).max().unwrap_or(0)
}

/// Gives what is left over to those that can use it.
fn grow(columns: &[Column], rows: &[Vec<Cell>], widths: &mut [Option<u16>], room: u16) {
    let most = |(at, column): (usize, &Column)| match column.width {
        Width::Widest => None,
        Width::Cut(_) => Some((at, widest(rows, at))),
        Width::Room(_, most) => Some((at, most)),
    };
    let mut graphs: Vec<(usize, u16)> =
        columns.iter().enumerate().filter(|(at, _)| widths[*at].is_some()).filter_map(most).collect();
    // The one that wants least first: what it leaves is the others'.
    graphs.sort_by_key(|(_, most)| *most);
    let mut left = room.saturating_sub(total(widths));
    let mut sharers = u16::try_from(graphs.len()).unwrap_or(u16::MAX);
    for (at, most) in graphs {
        let width = widths[at].unwrap_or(0);
        let more = (left / sharers).min(most.saturating_sub(width));
        widths[at] = Some(width + more);
        left -= more;
        sharers -= 1;
    }
}

fn total(widths: &[Option<u16>]) -> u16 {
    let there = widths.iter().flatten();
    let sum = there.clone().fold(0_u16, |sum, width| sum.saturating_add(*width).saturating_add(GAP));
    sum.saturating_sub(GAP)
}

/// Draws one cell; a curve fills all rows of its area.
pub(super) fn put(buffer: &mut Buffer, area: Rect, cell: &Cell) {
    match cell {
        Cell::Text(text, style) => {
            let text = render::cut(text, area.width.into());
            buffer.set_stringn(area.x, area.y, text, area.width.into(), *style);
        }
        Cell::Bar(part, whole, style) => {
            let (filled, rest) = render::bar(*part, *whole, area.width.into());
            let (x, y) = buffer.set_stringn(area.x, area.y, filled, area.width.into(), *style);
            buffer.set_stringn(x, y, rest, area.right().saturating_sub(x).into(), QUIET);
        }
        Cell::Curve(samples, style) => {
            for (back, sample) in (0..area.width).zip(samples) {
                let Some(percent) = sample else { continue };
                let x = area.right() - 1 - back;
                for row in 0..area.height {
                    let step = render::curve_step(*percent, row, area.height);
                    buffer.set_stringn(x, area.bottom() - 1 - row, step.to_string(), 1, *style);
                }
            }
        }
        Cell::Nothing => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_missed_goes_first() {
        let columns = [
            Column::text("NAME", 0),
            Column::text("IMAGE", 2),
            Column::text("AGE", 1),
            Column::graph("", 0, 4, 20),
        ];
        let rows = [vec![
            Cell::text("my-project"),
            Cell::text("ds01-alice/my-project"),
            Cell::text("2 h"),
            Cell::Nothing,
        ]];
        let at = |room| lay_out(&columns, &rows, room);
        assert_eq!(at(80), [Some((0, 10)), Some((12, 21)), Some((35, 3)), Some((40, 20))]);
        assert_eq!(at(46), [Some((0, 10)), Some((12, 21)), Some((35, 3)), Some((40, 6))]);
        assert_eq!(at(40), [Some((0, 10)), None, Some((12, 3)), Some((17, 20))]);
        assert_eq!(at(14), [Some((0, 8)), None, None, Some((10, 4))]);
        assert_eq!(at(3), [Some((0, 3)), None, None, None], "nothing stands outside");
        let columns = [Column::text("NAME", 0), Column::text("WAITED", 1), Column::sentence("", 10)];
        let rows =
            [vec![Cell::text("train"), Cell::text("2 min"), Cell::text("expected 14:20, if bob stays idle")]];
        assert_eq!(
            lay_out(&columns, &rows, 40),
            [Some((0, 5)), Some((7, 6)), Some((15, 25))],
            "cut, not missed"
        );
    }

    #[test]
    fn the_cursor_is_seen() {
        assert_eq!(
            [window(3, 2, 5), window(9, 0, 4), window(9, 3, 4), window(9, 4, 4), window(9, 8, 4)],
            [0..3, 0..4, 0..4, 1..5, 5..9]
        );
        assert_eq!(window(0, 0, 4), 0..0);
    }
}
