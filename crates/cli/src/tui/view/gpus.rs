//! Cards and slices: who has them, how busy and how full they are, and were. It must never change what it shows.

use ds01_api::{Card, Health, Holder, Unit};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::columns::{self, BUSY, Cell, Column, FULL};
use super::{BAD, CARE, CURSOR, GOOD, Name, QUIET, rule, short};
use crate::render;
use crate::render::words::{fullness, mib};
use crate::tui::model::{Model, Pane, Row};

/// From so many rows on each unit has two of them: how busy and how full.
const TALL_ROWS: u16 = 40;
/// The bar of a whole card, where nobody tells what units do.
const CARD_BAR: u64 = 16;

/// How many rows each unit has on a screen of so many.
pub(super) fn rows_each(model: &Model, screen_rows: u16) -> u16 {
    if screen_rows >= TALL_ROWS && is_told(model) { 2 } else { 1 }
}

/// Whether anything is told of what units do. Where it is not, there is nothing to see.
fn is_told(model: &Model) -> bool {
    model.seen.as_ref().is_some_and(|seen| seen.machine.figures_age_seconds.is_some())
}

/// Draws the units, with one row or two for each.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, rows_each: u16) {
    let has_keys = model.pane == Pane::Gpus;
    rule(buffer, area, &[("GPUs".to_owned(), if has_keys { Name::HasKeys } else { Name::Seen })]);
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if model.seen.is_none() {
        return;
    }
    let rows = model.rows(Pane::Gpus);
    if rows.is_empty() {
        buffer.set_stringn(
            area.x,
            area.y,
            "This machine has no GPU that can be given out.",
            area.width.into(),
            QUIET,
        );
        return;
    }
    let (told, tall) = (is_told(model), rows_each > 1);
    let heads = heads(told, tall);
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| match row {
            Row::Gpu(card, unit) => cells(model, card, *unit, told),
            _ => Vec::new(),
        })
        .collect();
    if tall {
        return two_rows(buffer, area, &heads, &cells, model.cursor(Pane::Gpus), has_keys);
    }
    columns::draw(buffer, area, &heads, &cells, model.cursor(Pane::Gpus), has_keys);
}

/// The columns; a tall screen has the one of how full below the one of how busy.
fn heads(told: bool, tall: bool) -> Vec<Column> {
    let mut heads = vec![Column::text("GPU", 0), Column::text("WHAT", 4)];
    if told {
        heads.push(Column::text("BUSY", 0));
        heads.push(Column::graph("", 6, 6, 24));
        heads.push(Column::graph("", 3, 8, 120));
        if !tall {
            heads.push(Column::graph("FULL", 5, 6, 24));
        }
    } else {
        heads.push(Column::text("", 3));
    }
    heads.push(Column::text("MEMORY", if told { 2 } else { 5 }));
    heads.extend([Column::text("WHO", 0), Column::text("HELD", 7), Column::text("LEFT", 1)]);
    heads
}

fn cells(model: &Model, card: &Card, unit: Option<&Unit>, told: bool) -> Vec<Cell> {
    let Some(unit) = unit else {
        let mut cells = vec![Cell::text(card.index.to_string()), Cell::text(short_model(&card.model))];
        cells.resize_with(if told { 6 } else { 3 }, || Cell::Nothing);
        cells.push(Cell::text(mib(card.memory_mib)));
        cells.extend([Cell::styled(QUIET, "no slices"), Cell::Nothing, Cell::Nothing]);
        return cells;
    };
    let name = &unit.unit;
    let what = name.profile.clone().unwrap_or_else(|| short_model(&name.model).to_owned());
    let mut cells = vec![Cell::text(&*name.address), Cell::text(what)];
    let used = unit.figures.memory_used_mib;
    if told {
        let busy = unit.figures.utilization_percent;
        cells.push(busy.map_or(Cell::Nothing, |busy| Cell::text(format!("{busy:>3}%"))));
        cells.push(busy.map_or(Cell::Nothing, |busy| Cell::Bar(busy.into(), 100, BUSY)));
        let curve = model.curves.get(&name.id);
        cells.push(curve.map_or(Cell::Nothing, |curve| {
            Cell::Curve(curve.newest().collect(), if curve.tells_busy() { BUSY } else { FULL })
        }));
        cells.push(used.map_or(Cell::Nothing, |used| Cell::Bar(used, name.memory_mib, FULL)));
    } else {
        let style = if unit.holder.is_some() { FULL } else { QUIET };
        cells.push(Cell::styled(style, render::unit_bar(card, unit, CARD_BAR)));
    }
    cells.push(Cell::text(fullness(used, name.memory_mib)));
    let (who, held, left) = holder(unit);
    cells.extend([who, held, left]);
    cells
}

/// Each unit in two rows: the second has how full it is below how busy.
fn two_rows(
    buffer: &mut Buffer,
    area: Rect,
    heads: &[Column],
    rows: &[Vec<Cell>],
    cursor: usize,
    has_keys: bool,
) {
    // The bar of memory has no column of its own here.
    let (full, first): (Vec<Cell>, Vec<Vec<Cell>>) = rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            let full = row.remove(5);
            (full, row)
        })
        .unzip();
    let places = columns::lay_out(heads, &first, area.width);
    for (head, place) in heads.iter().zip(&places) {
        let Some((x, width)) = place else { continue };
        buffer.set_stringn(area.x + x, area.y, head.title, (*width).into(), QUIET);
    }
    let shown = columns::window(rows.len(), cursor, usize::from(area.height.saturating_sub(1) / 2));
    for (y, at) in (area.y + 1..).step_by(2).zip(shown) {
        let place = |column: usize, height| {
            let (x, width) = places.get(column).copied().flatten()?;
            Some(Rect { x: area.x + x, y, width, height })
        };
        if has_keys && at == cursor {
            buffer.set_style(Rect { y, height: 1, ..area }, CURSOR);
        }
        for (column, cell) in first[at].iter().enumerate() {
            let height = if matches!(cell, Cell::Curve(..)) { 2 } else { 1 };
            if let Some(place) = place(column, height) {
                columns::put(buffer, place, cell);
            }
        }
        if let Some(place) = place(3, 1) {
            columns::put(buffer, Rect { y: y + 1, ..place }, &full[at]);
        }
    }
}

/// Who has it, for how long already, and how much longer at most.
fn holder(unit: &Unit) -> (Cell, Cell, Cell) {
    let free = |style: Style, text: &str| (Cell::styled(style, text), Cell::Nothing, Cell::Nothing);
    match (unit.health, &unit.holder, &unit.preferred_for) {
        (Health::Lost, ..) => free(BAD, "lost"),
        (Health::Dirty, None, _) => free(CARE, "in use still"),
        (Health::Draining, None, _) => free(CARE, "draining"),
        (_, Some(holder), _) => {
            let left = holder.left_seconds.map_or(Cell::Nothing, |left| Cell::text(short(left)));
            (who(holder), Cell::text(short(holder.held_seconds)), left)
        }
        (Health::Available, None, Some(user)) => free(GOOD, &format!("free, {user} first")),
        (Health::Available, None, None) => free(GOOD, "free"),
    }
}

fn who(holder: &Holder) -> Cell {
    let text = match &holder.container {
        Some(container) => format!("{}/{container}", holder.owner),
        None => holder.owner.clone(),
    };
    Cell::styled(if holder.mine { GOOD } else { Style::new() }, text)
}

/// The model without what it is made of: its memory has a column of its own.
fn short_model(model: &str) -> &str {
    let model = model.strip_prefix("NVIDIA ").unwrap_or(model);
    let is_make =
        |part: &str| part.ends_with("GB") || ["SXM", "PCI", "HBM"].iter().any(|make| part.starts_with(make));
    let mut end = 0;
    for part in model.split_inclusive([' ', '-']) {
        if is_make(part.trim_end_matches([' ', '-'])) {
            break;
        }
        end += part.len();
    }
    let name = model[..end].trim_end_matches([' ', '-']);
    if name.is_empty() { model } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cards() {
        for (model, short) in [
            ("NVIDIA A100-SXM4-80GB", "A100"),
            ("NVIDIA H100 80GB HBM3", "H100"),
            ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
            ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada Generation"),
            ("NVIDIA A100-PCIE-40GB", "A100"),
            ("SXM", "SXM"),
        ] {
            assert_eq!(short_model(model), short);
        }
    }
}
