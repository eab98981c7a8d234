//! Containers, people, the line, what happened. It must never change what it shows.

use ds01_api::{Container, ContainerState, EventLine, Waiter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::columns::{self, Cell, Column};
use super::{BAD, CARE, GOOD, Name, QUIET, rule, short};
use crate::render;
use crate::render::words::{bytes, milli};
use crate::tui::model::{Model, Pane, Person, Row};

/// A stop that is nearer than this is pointed out: as long before, owners are warned.
const NEAR_SECONDS: u64 = 15 * 60;
const MIB: u64 = 1024 * 1024;
/// A sentence is not cut below this before other columns are missed.
const SENTENCE_MIN: u16 = 36;

/// Draws the containers; returns the ids of those that are seen.
pub(super) fn containers(buffer: &mut Buffer, area: Rect, model: &Model) -> Vec<String> {
    let rows = model.rows(Pane::Containers);
    let list: Vec<&Container> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Container(container) => Some(*container),
            _ => None,
        })
        .collect();
    let has_keys = model.pane == Pane::Containers;
    let name = if has_keys { Name::HasKeys } else { Name::Seen };
    rule(buffer, area, &[(format!("Containers {}, by {}", list.len(), model.sort.word()), name)]);
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if list.is_empty() {
        nothing(buffer, area, model, "You have no container that runs: container deploy my-project --open");
        return Vec::new();
    }
    let mut heads = vec![Column::text("NAME", 0)];
    let others = list.iter().any(|container| !container.mine);
    heads.extend(others.then_some(Column::text("USER", 0)));
    heads.extend(
        [("GPU", 0), ("BUSY", 1), ("GPU MEM", 3), ("CPU", 2), ("MEMORY", 4), ("STATUS", 0)]
            .map(|(title, drop)| Column::text(title, drop)),
    );
    heads.extend([("AGE", 6), ("LEFT", 0), ("IMAGE", 7)].map(|(title, drop)| Column::text(title, drop)));
    let cells: Vec<Vec<Cell>> =
        list.iter().map(|container| container_row(model, container, others)).collect();
    let shown = columns::draw(buffer, area, &heads, &cells, model.cursor(Pane::Containers), has_keys);
    list[shown].iter().map(|container| container.id.clone()).collect()
}

fn container_row(model: &Model, container: &Container, others: bool) -> Vec<Cell> {
    let usage = model.usage.get(&container.id);
    let units = model.units_of(container);
    let busy = units.iter().filter_map(|unit| unit.figures.utilization_percent).max();
    let full: Option<u64> = units.iter().map(|unit| unit.own_memory_mib).sum();
    let full = full.filter(|_| !units.is_empty());
    let or_dash = |text: Option<String>| text.map_or_else(|| Cell::styled(QUIET, "-"), Cell::text);
    let own = if container.mine { GOOD } else { Style::new() };
    let mut row = vec![Cell::styled(if others { own } else { Style::new() }, container.short_name())];
    row.extend(others.then(|| Cell::text(&*container.owner)));
    row.push(Cell::text(render::gpus(container)));
    row.push(or_dash(busy.map(|busy| format!("{busy}%"))));
    row.push(or_dash(full.map(|full| bytes(full * MIB))));
    row.push(or_dash(usage.and_then(|usage| usage.cpu_percent).map(|percent| format!("{percent:.0}%"))));
    row.push(or_dash(usage.and_then(|usage| usage.memory_bytes).map(bytes)));
    let style = match container.state {
        ContainerState::Running => GOOD,
        ContainerState::Created | ContainerState::Stopped => QUIET,
        _ => CARE,
    };
    let state = match &container.waiting {
        Some(place) => format!("waits {}/{}", place.position, place.of),
        None => render::state_word(container.state).to_owned(),
    };
    row.push(Cell::styled(style, state));
    row.push(Cell::text(short(container.age_seconds)));
    row.push(left(container));
    row.push(Cell::styled(QUIET, &*container.image));
    row
}

fn left(container: &Container) -> Cell {
    let Some(stop) = &container.stop else { return Cell::styled(QUIET, "-") };
    let time = short(stop.in_seconds);
    let idle = if stop.cause == ds01_api::StopCause::Idle { ", idle" } else { "" };
    let text = if stop.enforced { format!("{time}{idle}") } else { format!("({time}{idle})") };
    Cell::styled(if stop.in_seconds <= NEAR_SECONDS { CARE } else { Style::new() }, text)
}

/// Draws one of the lists below the containers; `alone` stands in the others' place and names them.
pub(super) fn below(buffer: &mut Buffer, area: Rect, model: &Model, pane: Pane, alone: bool) {
    let rows = model.rows(pane);
    let name = |pane: Pane, count: usize| match pane {
        Pane::People => format!("People {count}"),
        Pane::Line => format!("Line {count}"),
        _ => "What happened".to_owned(),
    };
    let seen = if pane == model.pane { Name::HasKeys } else { Name::Seen };
    let names: Vec<(String, Name)> = if alone {
        Pane::BELOW
            .map(|other| {
                let count = if other == pane { rows.len() } else { model.rows(other).len() };
                (name(other, count), if other == pane { seen } else { Name::Hidden })
            })
            .into()
    } else {
        vec![(name(pane, rows.len()), seen)]
    };
    rule(buffer, area, &names);
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if rows.is_empty() {
        let words = match pane {
            Pane::People => "Nobody holds or waits for a GPU.",
            Pane::Line => "Nobody waits.",
            _ => "Nothing in the last hour.",
        };
        return nothing(buffer, area, model, words);
    }
    let zone = model.seen.as_ref().map_or(TimeZone::UTC, |seen| seen.at.time_zone().clone());
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| match row {
            Row::Person(person) => person_row(person),
            Row::Waiter(waiter) => waiter_row(waiter),
            Row::Event(line) => event_row(line, &zone),
            Row::Gpu(..) | Row::Container(_) => Vec::new(),
        })
        .collect();
    columns::draw(buffer, area, &heads(pane), &cells, model.cursor(pane), pane == model.pane);
}

fn heads(pane: Pane) -> Vec<Column> {
    let (texts, sentence): (&[(&str, u8)], Option<&str>) = match pane {
        Pane::People => (&[("USER", 0), ("GPUS", 0), ("UNITS", 0), ("IN LINE", 1), ("RUNNING", 2)], None),
        Pane::Line => (
            &[("", 0), ("USER", 0), ("CONTAINER", 1), ("WANTS", 3), ("WAITED", 4), ("LEFT", 2)],
            Some("EXPECTED"),
        ),
        _ => (&[("TIME", 0), ("EVENT", 0), ("OF", 0), ("GPU", 2)], Some("")),
    };
    let heads = texts.iter().map(|(title, drop)| Column::text(title, *drop));
    heads.chain(sentence.map(|title| Column::sentence(title, SENTENCE_MIN))).collect()
}

fn person_row(person: &Person<'_>) -> Vec<Cell> {
    let number = |n: usize| if n == 0 { Cell::styled(QUIET, "-") } else { Cell::text(n.to_string()) };
    vec![
        Cell::styled(if person.mine { GOOD } else { Style::new() }, person.name),
        Cell::text(milli(person.weight_milli)),
        Cell::text(person.units.join(" ")),
        number(person.waiting),
        number(person.running),
    ]
}

fn waiter_row(waiter: &Waiter) -> Vec<Cell> {
    let expected = waiter.outlook.as_ref().map_or(&waiter.reason, |outlook| &outlook.text);
    vec![
        Cell::text(format!("{}.", waiter.position)),
        Cell::styled(if waiter.mine { GOOD } else { Style::new() }, &*waiter.owner),
        Cell::text(waiter.container.as_deref().unwrap_or("-")),
        Cell::text(&*waiter.want),
        Cell::text(short(waiter.waited_seconds)),
        Cell::text(super::words::countdown(waiter.left_seconds)),
        Cell::text(expected.as_str()),
    ]
}

fn event_row(line: &EventLine, zone: &TimeZone) -> Vec<Cell> {
    let at = Timestamp::from_second(line.at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    let style = match line.event.as_str() {
        "granted" | "spared" => GOOD,
        "warned" | "would-stop" | "queued" => CARE,
        "stopped" | "unit" | "ungranted" => BAD,
        _ => Style::new(),
    };
    let whose = match (&line.owner, &line.container) {
        (Some(owner), Some(container)) => format!("{owner}/{container}"),
        (Some(owner), None) => owner.clone(),
        _ => String::new(),
    };
    vec![
        Cell::styled(QUIET, at.strftime("%H:%M:%S").to_string()),
        Cell::styled(style, &*line.event),
        Cell::text(whose),
        Cell::text(line.units.join(" ")),
        Cell::text(&*line.text),
    ]
}

/// What is said in place of rows.
fn nothing(buffer: &mut Buffer, area: Rect, model: &Model, words: &str) {
    let words = match (&model.seen, model.filter.is_empty()) {
        (None, _) => "",
        (_, false) => "Nothing here has the filter in it: Esc shows all.",
        _ => words,
    };
    if area.height > 0 {
        buffer.set_stringn(area.x, area.y, words, area.width.into(), QUIET);
    }
}
