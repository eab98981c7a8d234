//! The machine: `gpu-status`.

use ds01_api::{GpuRelease, Health, Machine, Process, Unit};

use super::stats::{AGE_TOLD_FROM, busy, memory};
use super::table::{Cell, Column, table};
use super::words::{count, duration, mib};
use super::{BAD, CARE, GOOD, QUIET, TITLE, styled};

/// `gpu-status`.
pub(crate) fn machine(machine: &Machine, columns: Option<u16>) -> String {
    let mut text = headline(machine);
    if machine.total_units == 0 {
        return text + "This machine has no GPU that can be given out.\n";
    }
    // Where nothing is told of what units do, there is nothing to see.
    let told = machine.figures_age_seconds.is_some();
    let mut heads = vec![("UNIT", 0), ("MODEL", 4), ("SLICE", 2), ("MEMORY", 0)];
    heads.extend(told.then_some(("BUSY", 0)));
    heads.extend([("STATE", 0), ("USER", 0), ("CONTAINER", 0), ("HELD", u8::from(told)), ("LEFT", 3)]);
    let heads: Vec<Column> = heads.into_iter().map(|(title, drop)| Column { title, drop }).collect();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut below: Vec<&[Process]> = Vec::new();
    for card in &machine.cards {
        if card.units.is_empty() {
            let model = card.model.strip_prefix("NVIDIA ").unwrap_or(&card.model);
            let mut row: Vec<Cell> = vec![card.index.to_string().into(), model.into(), "-".into()];
            row.push(mib(card.memory_mib).into());
            row.extend(told.then(|| Cell::from("-")));
            row.push(Cell::styled(QUIET, "no slices"));
            row.extend(["-"; 4].map(Cell::from));
            rows.push(row);
            below.push(&[]);
        }
        rows.extend(card.units.iter().map(|unit| row(unit, told)));
        below.extend(card.units.iter().map(|unit| unit.ungranted.as_slice()));
    }
    let table = table(&heads, &rows, columns);
    // A line for each row, after that of the titles.
    for (line, processes) in table.lines().zip(std::iter::once(&[][..]).chain(below)) {
        text += &format!("{line}\n");
        text.extend(processes.iter().map(|process| format!("  {BAD}{}{BAD:#}\n", used_by(process))));
    }
    text + &tail(machine)
}

/// What stands above: how many are free, and what is wrong.
pub(super) fn headline(machine: &Machine) -> String {
    let simulated = if machine.simulated { " (simulated)" } else { "" };
    let headline = format!(
        "{}: {} of {} free{simulated}",
        machine.host,
        machine.free_units,
        count(machine.total_units.into(), "GPU unit")
    );
    let mut text = format!("{}\n", styled(TITLE, &headline));
    for problem in &machine.problems {
        text += &format!("{BAD}{problem}{BAD:#}\n");
    }
    text
}

/// What stands below: how old the figures are, and who waits.
pub(super) fn tail(machine: &Machine) -> String {
    let mut text = String::new();
    if let Some(age) = machine.figures_age_seconds.filter(|age| *age >= AGE_TOLD_FROM) {
        text += &format!("{QUIET}how busy and how full they are was told {age} s ago{QUIET:#}\n");
    }
    if machine.waiting > 0 {
        let who = if machine.waiting == 1 {
            "1 start waits".to_owned()
        } else {
            format!("{} starts wait", machine.waiting)
        };
        text += &format!("{CARE}{who} in line: ds01 queue{CARE:#}\n");
    }
    text
}

/// `ds01 gpu release`.
pub(crate) fn gpu_release(released: &GpuRelease) -> String {
    match released.seconds {
        0 => "ds01d asks the GPU driver again.\n".to_owned(),
        seconds => format!(
            "ds01d has let go of the GPU driver for {}; nobody gets a GPU meanwhile. `ds01 gpu release --for 0s` ends it.\n",
            duration(seconds.into())
        ),
    }
}

fn row(unit: &Unit, told: bool) -> Vec<Cell> {
    let name = &unit.unit;
    let mut row: Vec<Cell> = vec![
        name.address.as_str().into(),
        name.model.strip_prefix("NVIDIA ").unwrap_or(&name.model).into(),
        name.profile.as_deref().unwrap_or("whole").into(),
        memory(unit.figures.memory_used_mib, name.memory_mib).into(),
    ];
    row.extend(told.then(|| busy(unit.figures.utilization_percent).into()));
    row.push(state_cell(unit));
    match &unit.holder {
        Some(holder) => row.extend([
            Cell::styled(if holder.mine { GOOD } else { anstyle::Style::new() }, holder.owner.as_str()),
            holder.container.as_deref().unwrap_or("-").into(),
            duration(holder.held_seconds).into(),
            holder.left_seconds.map_or_else(|| "-".to_owned(), duration).into(),
        ]),
        None => row.extend(["-"; 4].map(Cell::from)),
    }
    row
}

/// Who else is on a unit.
pub(super) fn used_by(process: &Process) -> String {
    let Process { pid, name, user, container } = process;
    match container {
        Some(container) => format!("used by {pid} {name} of {container}, which was not granted it"),
        None => format!("used by {pid} {name} of {user}, outside of DS01"),
    }
}

/// How a unit stands, in a word.
pub(super) fn state_cell(unit: &Unit) -> Cell {
    match (unit.health, &unit.holder, &unit.preferred_for) {
        (Health::Lost, ..) => Cell::styled(BAD, "lost"),
        (Health::Dirty, None, _) => Cell::styled(CARE, "in use still"),
        (Health::Draining, None, _) => Cell::styled(CARE, "draining"),
        (_, Some(_), _) => Cell::styled(CARE, "held"),
        (Health::Available, None, Some(user)) => Cell::styled(GOOD, format!("free, {user} first")),
        (Health::Available, None, None) => Cell::styled(GOOD, "free"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use ds01_api::{Card, Figures, Holder, UnitRef};
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    fn unit(address: &str, profile: Option<&str>, memory_mib: u64) -> Unit {
        let unit = UnitRef {
            id: format!("GPU-{address}"),
            address: address.to_owned(),
            model: "NVIDIA A100-SXM4-80GB".to_owned(),
            profile: profile.map(str::to_owned),
            memory_mib,
            weight_milli: 1000,
        };
        Unit {
            unit,
            health: Health::Available,
            holder: None,
            preferred_for: None,
            figures: Figures::default(),
            ungranted: vec![],
        }
    }

    pub(in super::super) fn two_cards() -> Machine {
        let holder = |owner: &str, mine: bool, container: Option<&str>| Holder {
            owner: owner.to_owned(),
            mine,
            container: container.map(str::to_owned),
            units: vec![],
            held_seconds: 7800,
            left_seconds: mine.then_some(79_200),
        };
        let whole = Unit { holder: Some(holder("bob", false, None)), ..unit("0", None, 81_920) };
        let mine = Unit {
            holder: Some(holder("alice", true, Some("my-project"))),
            ..unit("1:0", Some("3g.40gb"), 40_960)
        };
        let kept = Unit { preferred_for: Some("carol".to_owned()), ..unit("1:1", Some("2g.20gb"), 20_480) };
        let dirty = Unit { health: Health::Dirty, ..unit("1:2", Some("1g.10gb"), 9_728) };
        let lost = Unit { health: Health::Lost, ..unit("1:3", Some("1g.10gb"), 9_728) };
        let card = |index, mig, units| Card {
            index,
            uuid: format!("GPU-{index}"),
            model: "NVIDIA A100-SXM4-80GB".to_owned(),
            memory_mib: 81_920,
            mig,
            units,
        };
        Machine {
            host: "dgx1".to_owned(),
            simulated: true,
            cards: vec![
                card(0, false, vec![whole]),
                card(1, true, vec![mine, kept, dirty, lost]),
                card(2, true, vec![]),
            ],
            free_units: 1,
            total_units: 5,
            waiting: 2,
            figures_age_seconds: None,
            driver: None,
            problems: vec![],
        }
    }

    /// The same over a driver that tells what units do.
    pub(in super::super) fn told() -> Machine {
        let mut told = Machine { simulated: false, figures_age_seconds: Some(6), ..two_cards() };
        told.cards[0].units[0].figures =
            Figures { utilization_percent: Some(97), memory_used_mib: Some(31_949) };
        told.cards[1].units[0].figures = Figures { utilization_percent: None, memory_used_mib: Some(700) };
        told
    }

    #[test]
    fn the_machine() {
        expect![[r#"
            dgx1: 1 of 5 GPU units free (simulated)
            UNIT   MODEL            SLICE     MEMORY    STATE               USER    CONTAINER    HELD         LEFT
            0      A100-SXM4-80GB   whole     80 GiB    held                bob     -            2 h 10 min   -
            1:0    A100-SXM4-80GB   3g.40gb   40 GiB    held                alice   my-project   2 h 10 min   22 h
            1:1    A100-SXM4-80GB   2g.20gb   20 GiB    free, carol first   -       -            -            -
            1:2    A100-SXM4-80GB   1g.10gb   9.5 GiB   in use still        -       -            -            -
            1:3    A100-SXM4-80GB   1g.10gb   9.5 GiB   lost                -       -            -            -
            2      A100-SXM4-80GB   -         80 GiB    no slices           -       -            -            -
            2 starts wait in line: ds01 queue
        "#]].assert_eq(&plain(&machine(&two_cards(), None)));
        expect![[r#"
            dgx1: 1 of 5 GPU units free (simulated)
            UNIT   MEMORY    STATE               USER    CONTAINER    HELD
            0      80 GiB    held                bob     -            2 h 10 min
            1:0    40 GiB    held                alice   my-project   2 h 10 min
            1:1    20 GiB    free, carol first   -       -            -
            1:2    9.5 GiB   in use still        -       -            -
            1:3    9.5 GiB   lost                -       -            -
            2      80 GiB    no slices           -       -            -
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&machine(&two_cards(), Some(70))));
        let mut told = told();
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            UNIT   MEMORY              BUSY   STATE               USER    CONTAINER
            0      31.2 of 80 GiB      97%    held                bob     -
            1:0    700 MiB of 40 GiB   -      held                alice   my-project
            1:1    20 GiB              -      free, carol first   -       -
            1:2    9.5 GiB             -      in use still        -       -
            1:3    9.5 GiB             -      lost                -       -
            2      80 GiB              -      no slices           -       -
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&machine(&told, Some(80))));
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            UNIT   MODEL            SLICE     MEMORY              BUSY   STATE               USER    CONTAINER    HELD         LEFT
            0      A100-SXM4-80GB   whole     31.2 of 80 GiB      97%    held                bob     -            2 h 10 min   -
            1:0    A100-SXM4-80GB   3g.40gb   700 MiB of 40 GiB   -      held                alice   my-project   2 h 10 min   22 h
            1:1    A100-SXM4-80GB   2g.20gb   20 GiB              -      free, carol first   -       -            -            -
            1:2    A100-SXM4-80GB   1g.10gb   9.5 GiB             -      in use still        -       -            -            -
            1:3    A100-SXM4-80GB   1g.10gb   9.5 GiB             -      lost                -       -            -            -
            2      A100-SXM4-80GB   -         80 GiB              -      no slices           -       -            -            -
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&machine(&told, None)));
        let process = |container: Option<&str>| Process {
            pid: 4711,
            name: "python".to_owned(),
            user: "bob".to_owned(),
            container: container.map(str::to_owned),
        };
        told.cards[0].units[0].ungranted = vec![process(None), process(Some("carol/train"))];
        expect![[r#"
            dgx1: 1 of 5 GPU units free
            UNIT   MEMORY              BUSY   STATE               USER    CONTAINER
            0      31.2 of 80 GiB      97%    held                bob     -
              used by 4711 python of bob, outside of DS01
              used by 4711 python of carol/train, which was not granted it
            1:0    700 MiB of 40 GiB   -      held                alice   my-project
            1:1    20 GiB              -      free, carol first   -       -
            1:2    9.5 GiB             -      in use still        -       -
            1:3    9.5 GiB             -      lost                -       -
            2      80 GiB              -      no slices           -       -
            how busy and how full they are was told 6 s ago
            2 starts wait in line: ds01 queue
        "#]]
        .assert_eq(&plain(&machine(&told, Some(80))));
        let empty = Machine { cards: vec![], total_units: 0, free_units: 0, waiting: 0, ..two_cards() };
        expect![[r#"
            dgx1: 0 of 0 GPU units free (simulated)
            This machine has no GPU that can be given out.
        "#]]
        .assert_eq(&plain(&machine(&empty, None)));
        let problems = vec!["the GPUs cannot be seen: the NVIDIA driver is away".to_owned()];
        let broken = Machine { problems, simulated: false, ..empty };
        expect![[r#"
            dgx1: 0 of 0 GPU units free
            the GPUs cannot be seen: the NVIDIA driver is away
            This machine has no GPU that can be given out.
        "#]]
        .assert_eq(&plain(&machine(&broken, None)));
    }
}
