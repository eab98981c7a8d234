//! Rows of a shortened ledger: whole containers and holdings instead of the events that made them.

use std::time::Duration;

use ds01_domain::{Carried, Container, Epoch, Holding, Issuer, Phase, Restarts, Standing, Time, Uid};
use serde::{Deserialize, Serialize};

use super::course::CourseRow;
use super::{
    Row, SpecRow, id, issuer_row, kind_of, kind_row, millis, restart_of, restart_row, token_of, unit_ids,
    want_of, want_row,
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ContainerRow {
    id: String,
    token: Option<String>,
    #[serde(flatten)]
    spec: SpecRow,
    created: u64,
    standing: StandingRow,
    running_total_ms: u64,
    last_units: Vec<String>,
    stop_asked: bool,
    tries: u32,
    delay_ms: u64,
    due: Option<u64>,
    ours: bool,
    #[serde(default)]
    course: CourseRow,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StandingRow {
    Created,
    Starting,
    Running { since: u64 },
    Stopped { at: u64, exit: Option<i32>, by_user: bool },
    Removed,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HoldingRow {
    container: String,
    owner: u32,
    epoch: u64,
    units: Vec<String>,
    phase: PhaseRow,
    since: u64,
    changed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    hold_after_stop_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PhaseRow {
    Reserved,
    Bound,
    Running,
    Ending,
}

pub(super) fn carried_row(carried: &Carried) -> Row {
    match carried {
        Carried::Counters { last_epoch, latest } => {
            Row::Counters { last_epoch: last_epoch.0, latest: latest.0 }
        }
        Carried::Container(container) => Row::Container(Box::new(container_row(container))),
        Carried::Holding(holding) => Row::Holding(holding_row(holding)),
        Carried::Preference { unit, preference } => Row::Preference {
            unit: unit.to_string(),
            owner: preference.owner.0,
            container: preference.container.to_string(),
            until: preference.until.0,
        },
        Carried::Keep { owner, container, from, until } => {
            Row::Keep { owner: owner.0, container: container.to_string(), from: from.0, until: until.0 }
        }
        Carried::Usage { owner, hour, amount } => Row::Usage { owner: owner.0, hour: *hour, amount: *amount },
    }
}

fn container_row(c: &Container) -> ContainerRow {
    ContainerRow {
        id: c.id.to_string(),
        token: c.token.as_ref().map(ToString::to_string),
        spec: SpecRow {
            owner: c.owner.0,
            owner_name: c.owner_name.clone(),
            name: c.name.clone(),
            kind: kind_row(c.kind),
            want: c.want.as_ref().map(want_row),
            restart: restart_row(c.restart),
            auto_remove: c.auto_remove,
        },
        created: c.created.0,
        standing: match c.standing {
            Standing::Created => StandingRow::Created,
            Standing::Starting => StandingRow::Starting,
            Standing::Running { since } => StandingRow::Running { since: since.0 },
            Standing::Stopped { at, exit, by_user } => StandingRow::Stopped { at: at.0, exit, by_user },
            Standing::Removed => StandingRow::Removed,
        },
        running_total_ms: millis(c.running_total),
        last_units: c.last_units.iter().map(ToString::to_string).collect(),
        stop_asked: c.stop_asked,
        tries: c.restarts.tries,
        delay_ms: millis(c.restarts.delay),
        due: c.restarts.due.map(|t| t.0),
        ours: c.restarts.ours,
        course: CourseRow::of(c),
    }
}

pub(super) fn container_of(row: ContainerRow) -> Result<Container, String> {
    let mut container = Container {
        id: id(&row.id)?,
        token: row.token.as_deref().map(token_of).transpose()?,
        owner: Uid(row.spec.owner),
        owner_name: row.spec.owner_name,
        name: row.spec.name,
        kind: kind_of(&row.spec.kind),
        want: row.spec.want.map(want_of),
        restart: restart_of(&row.spec.restart),
        auto_remove: row.spec.auto_remove,
        created: Time(row.created),
        standing: match row.standing {
            StandingRow::Created => Standing::Created,
            StandingRow::Starting => Standing::Starting,
            StandingRow::Running { since } => Standing::Running { since: Time(since) },
            StandingRow::Stopped { at, exit, by_user } => Standing::Stopped { at: Time(at), exit, by_user },
            StandingRow::Removed => Standing::Removed,
        },
        running_total: Duration::from_millis(row.running_total_ms),
        last_units: unit_ids(&row.last_units)?,
        stop_asked: row.stop_asked,
        restarts: Restarts {
            tries: row.tries,
            delay: Duration::from_millis(row.delay_ms),
            due: row.due.map(Time),
            ours: row.ours,
        },
        course: None,
        runtime_course: None,
        stopping: None,
        stopped_for: None,
        would_stop: None,
        kept_until: None,
        exempt_until: None,
    };
    row.course.put_into(&mut container);
    Ok(container)
}

fn holding_row(h: &Holding) -> HoldingRow {
    HoldingRow {
        container: h.container.to_string(),
        owner: h.owner.0,
        epoch: h.epoch.0,
        units: h.units.iter().map(ToString::to_string).collect(),
        phase: match h.phase {
            Phase::Reserved => PhaseRow::Reserved,
            Phase::Bound => PhaseRow::Bound,
            Phase::Running => PhaseRow::Running,
            Phase::Ending => PhaseRow::Ending,
        },
        since: h.since.0,
        changed: h.changed.0,
        issuer: issuer_row(&h.issuer),
        hold_after_stop_ms: millis(h.hold_after_stop),
    }
}

pub(super) fn holding_of(row: HoldingRow) -> Result<Holding, String> {
    Ok(Holding {
        container: id(&row.container)?,
        owner: Uid(row.owner),
        epoch: Epoch(row.epoch),
        units: unit_ids(&row.units)?,
        phase: match row.phase {
            PhaseRow::Reserved => Phase::Reserved,
            PhaseRow::Bound => Phase::Bound,
            PhaseRow::Running => Phase::Running,
            PhaseRow::Ending => Phase::Ending,
        },
        since: Time(row.since),
        changed: Time(row.changed),
        issuer: row.issuer.map_or(Issuer::Local, Issuer::External),
        hold_after_stop: Duration::from_millis(row.hold_after_stop_ms),
    })
}
