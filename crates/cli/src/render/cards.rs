//! The machine drawn for a terminal: a frame for each card, a line for each slice in it, its bar as long as the slice is
//! large. What a script reads is elsewhere.

use ds01_api::{Card, Health, Machine, Unit};

use super::drawing::{bar, frame};
use super::machine::{headline, state_cell, tail, used_by};
use super::stats::busy;
use super::table::{Cell, Column, cut, untitled};
use super::words::{duration, fullness, mib};
use super::{BAD, CARE, GOOD, QUIET};

/// Terminals narrower than this get the table.
const COLUMNS_MIN: u16 = 60;
/// Frames are not drawn wider than this: what belongs together would stand apart.
const COLUMNS_MAX: u16 = 110;
/// A frame's sides, with a blank each.
const SIDES: u16 = 4;
/// What stands before what is said of a unit below its line.
const NOTE: &str = "  ";
/// Blanks between columns.
const GAP: usize = 2;
/// The bar of a whole card: where there is little room, and where there is more.
const BARS: [u64; 2] = [12, 24];
/// From here on there is more.
const ROOMY_COLUMNS: u16 = 100;
/// Taken, by an amount that nobody tells.
const TAKEN: &str = "▒";

/// `gpu-status` on a terminal.
pub(crate) fn drawn(machine: &Machine, columns: u16) -> String {
    if columns < COLUMNS_MIN || machine.total_units == 0 {
        return super::machine(machine, Some(columns));
    }
    let columns = columns.min(COLUMNS_MAX);
    let card_bar = BARS[usize::from(columns >= ROOMY_COLUMNS)];
    // Which unit, which slice, the bar, memory, how busy, who, for how long, how much longer.
    let heads = [0, 6, 4, 1, 3, 0, 7, 5].map(|drop| Column { title: "", drop });
    // One table for all, so that columns stand below each other from card to card.
    let rows: Vec<Vec<Cell>> = machine.cards.iter().flat_map(|card| rows(card, card_bar)).collect();
    let lines = untitled(&heads, &rows, columns - SIDES, GAP);
    let mut lines = lines.lines().map(str::to_owned);
    let mut text = headline(machine);
    for card in &machine.cards {
        let mut of_card: Vec<String> = lines.by_ref().take(1).collect();
        for (at, unit) in card.units.iter().enumerate() {
            if at > 0 {
                of_card.extend(lines.next());
            }
            let inner = usize::from(columns - SIDES) - NOTE.len();
            let note = |process| format!("{NOTE}{BAD}{}{BAD:#}", cut(&used_by(process), inner));
            of_card.extend(unit.ungranted.iter().map(note));
        }
        text += &frame(&title(card), &of_card, columns.into());
    }
    text + &tail(machine)
}

fn title(card: &Card) -> String {
    let model = card.model.strip_prefix("NVIDIA ").unwrap_or(&card.model);
    let slices = match (card.mig, card.units.len()) {
        (true, 1) => ", 1 slice".to_owned(),
        (true, n) if n > 0 => format!(", {n} slices"),
        _ => String::new(),
    };
    format!("{} · {model} · {}{slices}", card.index, mib(card.memory_mib))
}

fn rows(card: &Card, card_bar: u64) -> Vec<Vec<Cell>> {
    if card.units.is_empty() {
        let mut row = vec![Cell::from(card.index.to_string())];
        row.extend([""; 4].map(Cell::from));
        row.extend([Cell::styled(QUIET, "no slices"), "".into(), "".into()]);
        return vec![row];
    }
    card.units.iter().map(|unit| row(card, unit, card_bar)).collect()
}

fn row(card: &Card, unit: &Unit, card_bar: u64) -> Vec<Cell> {
    let name = &unit.unit;
    let mut row: Vec<Cell> = vec![
        name.address.as_str().into(),
        name.profile.as_deref().unwrap_or("whole").into(),
        picture(card, unit, card_bar),
        fullness(unit.figures.memory_used_mib, name.memory_mib).into(),
        unit.figures.utilization_percent.map_or_else(String::new, |percent| busy(Some(percent))).into(),
    ];
    let Some(holder) = unit.holder.as_ref().filter(|_| unit.health != Health::Lost) else {
        row.extend([state_cell(unit), "".into(), "".into()]);
        return row;
    };
    let who = match &holder.container {
        Some(container) => format!("{}/{container}", holder.owner),
        None => holder.owner.clone(),
    };
    row.push(Cell::styled(if holder.mine { GOOD } else { anstyle::Style::new() }, who));
    row.push(format!("for {}", duration(holder.held_seconds)).into());
    row.push(holder.left_seconds.map_or_else(String::new, |left| format!("{} left", duration(left))).into());
    row
}

/// How full it is, as long as its part of the card's memory.
fn picture(card: &Card, unit: &Unit, card_bar: u64) -> Cell {
    let style = match (&unit.holder, unit.health) {
        (Some(holder), _) if holder.mine => GOOD,
        (None, Health::Available) => QUIET,
        _ => CARE,
    };
    Cell::styled(style, unit_bar(card, unit, card_bar))
}

/// A unit as a bar: as long as its part of the card's memory, of which all has `card_bar` characters, and as full as it is.
/// Where nobody tells that, it says whether it is taken.
pub(crate) fn unit_bar(card: &Card, unit: &Unit, card_bar: u64) -> String {
    let part = unit.unit.memory_mib.min(card.memory_mib) * card_bar / card.memory_mib.max(1);
    let width = usize::try_from(part.max(1)).unwrap_or(1);
    let taken = unit.holder.is_some() || unit.health != Health::Available;
    match unit.figures.memory_used_mib {
        Some(used) => {
            let (filled, rest) = bar(used, unit.unit.memory_mib, width);
            filled + &rest
        }
        None if taken => TAKEN.repeat(width),
        None => bar(0, 1, width).1,
    }
}

#[cfg(test)]
mod tests {
    use ds01_api::Process;
    use expect_test::expect;

    use super::super::machine::tests::{told, two_cards};
    use super::super::plain;
    use super::*;

    #[test]
    fn cards_and_slices() {
        expect![[r#"
            dgx1: 1 of 5 GPU units free (simulated)
            ┌─ 0 · A100-SXM4-80GB · 80 GiB ────────────────────────────────────────────────┐
            │ 0    whole    ▒▒▒▒▒▒▒▒▒▒▒▒  80 GiB     bob                                   │
            └──────────────────────────────────────────────────────────────────────────────┘
            ┌─ 1 · A100-SXM4-80GB · 80 GiB, 4 slices ──────────────────────────────────────┐
            │ 1:0  3g.40gb  ▒▒▒▒▒▒        40 GiB     alice/my-project   22 h left          │
            │ 1:1  2g.20gb  ░░░           20 GiB     free, carol first                     │
            │ 1:2  1g.10gb  ▒             9.5 GiB    in use still                          │
            │ 1:3  1g.10gb  ▒             9.5 GiB    lost                                  │
            └──────────────────────────────────────────────────────────────────────────────┘
            ┌─ 2 · A100-SXM4-80GB · 80 GiB ────────────────────────────────────────────────┐
            │ 2                                      no slices                             │
            └──────────────────────────────────────────────────────────────────────────────┘
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&drawn(&two_cards(), 80)));
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            ┌─ 0 · A100-SXM4-80GB · 80 GiB ────────────────────────────────────────────────┐
            │ 0    whole    ████▋░░░░░░░  31.2/80 GiB  97%  bob                            │
            └──────────────────────────────────────────────────────────────────────────────┘
            ┌─ 1 · A100-SXM4-80GB · 80 GiB, 4 slices ──────────────────────────────────────┐
            │ 1:0  3g.40gb  ▏░░░░░        0.6/40 GiB        alice/my-project   22 h left   │
            │ 1:1  2g.20gb  ░░░           20 GiB            free, carol first              │
            │ 1:2  1g.10gb  ▒             9.5 GiB           in use still                   │
            │ 1:3  1g.10gb  ▒             9.5 GiB           lost                           │
            └──────────────────────────────────────────────────────────────────────────────┘
            ┌─ 2 · A100-SXM4-80GB · 80 GiB ────────────────────────────────────────────────┐
            │ 2                                             no slices                      │
            └──────────────────────────────────────────────────────────────────────────────┘
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&drawn(&told(), 80)));
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            ┌─ 0 · A100-SXM4-80GB · 80 GiB ──────────────────────────────┐
            │ 0    ████▋░░░░░░░  31.2/80 GiB  97%  bob                   │
            └────────────────────────────────────────────────────────────┘
            ┌─ 1 · A100-SXM4-80GB · 80 GiB, 4 slices ────────────────────┐
            │ 1:0  ▏░░░░░        0.6/40 GiB        alice/my-project      │
            │ 1:1  ░░░           20 GiB            free, carol first     │
            │ 1:2  ▒             9.5 GiB           in use still          │
            │ 1:3  ▒             9.5 GiB           lost                  │
            └────────────────────────────────────────────────────────────┘
            ┌─ 2 · A100-SXM4-80GB · 80 GiB ──────────────────────────────┐
            │ 2                                    no slices             │
            └────────────────────────────────────────────────────────────┘
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&drawn(&told(), 62)));
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            ┌─ 0 · A100-SXM4-80GB · 80 GiB ──────────────────────────────────────────────────────────────────────────────┐
            │ 0    whole    █████████▎░░░░░░░░░░░░░░  31.2/80 GiB  97%  bob                for 2 h 10 min                │
            └────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
            ┌─ 1 · A100-SXM4-80GB · 80 GiB, 4 slices ────────────────────────────────────────────────────────────────────┐
            │ 1:0  3g.40gb  ▏░░░░░░░░░░░              0.6/40 GiB        alice/my-project   for 2 h 10 min  22 h left     │
            │ 1:1  2g.20gb  ░░░░░░                    20 GiB            free, carol first                                │
            │ 1:2  1g.10gb  ▒▒                        9.5 GiB           in use still                                     │
            │ 1:3  1g.10gb  ▒▒                        9.5 GiB           lost                                             │
            └────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
            ┌─ 2 · A100-SXM4-80GB · 80 GiB ──────────────────────────────────────────────────────────────────────────────┐
            │ 2                                                         no slices                                        │
            └────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]].assert_eq(&plain(&drawn(&told(), 200)));
        assert_eq!(drawn(&told(), 59), super::super::machine(&told(), Some(59)));
        let mut used = told();
        let (name, user) = ("a-program-with-a-name-that-is-long".to_owned(), "bob".to_owned());
        used.cards[0].units[0].ungranted = vec![Process { pid: 4711, name, user, container: None }];
        used.cards.truncate(1);
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            ┌─ 0 · A100-SXM4-80GB · 80 GiB ──────────────────────────────┐
            │ 0  whole  ████▋░░░░░░░  31.2/80 GiB  97%  bob              │
            │   used by 4711 a-program-with-a-name-that-is-long of bob,… │
            └────────────────────────────────────────────────────────────┘
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&drawn(&used, 62)));
    }
}
