//! Events as they stand in the ledger: rows of their own, so that the rules may change their types without changing
//! what old files say.

mod carried;
mod course;
mod exempt;
mod parts;

use ds01_domain::{Carried, Epoch, Event, Exemption, Preference, Time, Uid};
use serde::{Deserialize, Serialize};

use carried::{ContainerRow, HoldingRow, carried_row, container_of, holding_of};
use course::{StepRow, step_of, step_row};
use exempt::{ExemptRow, exempt_of, exempt_row, exempted_row};
use parts::{
    GrantRow, HealthRow, RestartRow, SpecRow, UnitRow, grant_of, grant_row, health_of, health_row, id,
    issuer_row, kind_of, kind_row, millis, restart_of, restart_row, token_of, unit_id, unit_ids, unit_of,
    unit_row, want_of, want_row,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Row {
    UnitSeen {
        unit: UnitRow,
    },
    UnitGone {
        unit: String,
        at: u64,
    },
    Health {
        unit: String,
        health: HealthRow,
        at: u64,
    },
    CreatePlanned {
        token: String,
        #[serde(flatten)]
        spec: SpecRow,
        at: u64,
    },
    Created {
        token: String,
        container: String,
        at: u64,
    },
    CreateAbandoned {
        token: String,
    },
    Renamed {
        container: String,
        name: String,
    },
    RestartChanged {
        container: String,
        restart: RestartRow,
    },
    Removed {
        container: String,
        at: u64,
    },
    Reserved(GrantRow),
    Bound {
        container: String,
        epoch: u64,
        at: u64,
    },
    Ran {
        container: String,
        epoch: u64,
        at: u64,
    },
    StopAsked {
        container: String,
        at: u64,
    },
    /// On the way to a stop by the rules.
    Course {
        container: String,
        epoch: u64,
        step: StepRow,
        at: u64,
    },
    Kept {
        container: String,
        until: u64,
        at: u64,
    },
    Exempted {
        #[serde(flatten)]
        of: ExemptRow,
        owner_name: String,
        name: String,
        until: u64,
        reason: String,
        by: String,
        at: u64,
    },
    ExemptionOver {
        #[serde(flatten)]
        of: ExemptRow,
        by: String,
        at: u64,
    },
    Keep {
        owner: u32,
        container: String,
        from: u64,
        until: u64,
    },
    Ended {
        container: String,
        epoch: u64,
        at: u64,
        exit: Option<i32>,
        by_user: bool,
    },
    Released {
        container: String,
        epoch: u64,
        at: u64,
    },
    Adopted {
        container: String,
        owner: u32,
        owner_name: String,
        name: String,
        epoch: u64,
        units: Vec<String>,
        at: u64,
    },
    RestartTried {
        container: String,
        attempt: u32,
        at: u64,
    },
    Counters {
        last_epoch: u64,
        latest: u64,
    },
    Container(Box<ContainerRow>),
    Holding(HoldingRow),
    Preference {
        unit: String,
        owner: u32,
        container: String,
        until: u64,
    },
    Usage {
        owner: u32,
        hour: u64,
        amount: u64,
    },
}

/// One durable event as a row's text. Volatile events have none.
pub(super) fn encode(event: &Event) -> Option<String> {
    row_of(event).and_then(|row| serde_json::to_string(&row).ok())
}

/// One row's text as an event, or what is wrong with it.
pub(super) fn decode(body: &str) -> Result<Event, String> {
    let row: Row = serde_json::from_str(body).map_err(|e| e.to_string())?;
    event_of(row)
}

fn row_of(event: &Event) -> Option<Row> {
    Some(match event {
        Event::UnitSeen(unit) => Row::UnitSeen { unit: unit_row(unit) },
        Event::UnitGone { unit, at } => Row::UnitGone { unit: unit.to_string(), at: at.0 },
        Event::Health { unit, health, at } => {
            Row::Health { unit: unit.to_string(), health: health_row(*health), at: at.0 }
        }
        Event::CreatePlanned { token, owner, owner_name, name, kind, want, restart, auto_remove, at } => {
            Row::CreatePlanned {
                token: token.to_string(),
                spec: SpecRow {
                    owner: owner.0,
                    owner_name: owner_name.clone(),
                    name: name.clone(),
                    kind: kind_row(*kind),
                    want: want.as_ref().map(want_row),
                    restart: restart_row(*restart),
                    auto_remove: *auto_remove,
                },
                at: at.0,
            }
        }
        Event::Created { token, container, at } => {
            Row::Created { token: token.to_string(), container: container.to_string(), at: at.0 }
        }
        Event::CreateAbandoned { token } => Row::CreateAbandoned { token: token.to_string() },
        Event::Renamed { container, name } => {
            Row::Renamed { container: container.to_string(), name: name.clone() }
        }
        Event::RestartChanged { container, restart } => {
            Row::RestartChanged { container: container.to_string(), restart: restart_row(*restart) }
        }
        Event::Removed { container, at } => Row::Removed { container: container.to_string(), at: at.0 },
        Event::Reserved(grant) => Row::Reserved(grant_row(grant)),
        Event::Bound { container, epoch, at } => {
            Row::Bound { container: container.to_string(), epoch: epoch.0, at: at.0 }
        }
        Event::Ran { container, epoch, at } => {
            Row::Ran { container: container.to_string(), epoch: epoch.0, at: at.0 }
        }
        Event::StopAsked { container, at } => Row::StopAsked { container: container.to_string(), at: at.0 },
        Event::Warned { container, epoch, at, .. }
        | Event::Spared { container, epoch, at }
        | Event::WouldStop { container, epoch, at, .. }
        | Event::StopDecided { container, epoch, at, .. } => {
            Row::Course { container: container.to_string(), epoch: epoch.0, step: step_row(event)?, at: at.0 }
        }
        Event::Kept { container, until, at } => {
            Row::Kept { container: container.to_string(), until: until.0, at: at.0 }
        }
        Event::Exempted(exemption) => exempted_row(exemption),
        Event::ExemptionOver { of, by, at } => {
            Row::ExemptionOver { of: exempt_row(of), by: by.clone(), at: at.0 }
        }
        Event::Ended { container, epoch, at, exit, by_user } => Row::Ended {
            container: container.to_string(),
            epoch: epoch.0,
            at: at.0,
            exit: *exit,
            by_user: *by_user,
        },
        Event::Released { container, epoch, at } => {
            Row::Released { container: container.to_string(), epoch: epoch.0, at: at.0 }
        }
        Event::Adopted { container, owner, owner_name, name, epoch, units, at } => Row::Adopted {
            container: container.to_string(),
            owner: owner.0,
            owner_name: owner_name.clone(),
            name: name.clone(),
            epoch: epoch.0,
            units: units.iter().map(ToString::to_string).collect(),
            at: at.0,
        },
        Event::RestartTried { container, attempt, at } => {
            Row::RestartTried { container: container.to_string(), attempt: *attempt, at: at.0 }
        }
        Event::Carried(carried) => carried_row(carried),
        Event::Queued(_) | Event::Left { .. } => return None,
    })
}

fn event_of(row: Row) -> Result<Event, String> {
    Ok(match row {
        Row::UnitSeen { unit } => Event::UnitSeen(unit_of(unit)?),
        Row::UnitGone { unit, at } => Event::UnitGone { unit: unit_id(&unit)?, at: Time(at) },
        Row::Health { unit, health, at } => {
            Event::Health { unit: unit_id(&unit)?, health: health_of(health), at: Time(at) }
        }
        Row::CreatePlanned { token, spec, at } => Event::CreatePlanned {
            token: token_of(&token)?,
            owner: Uid(spec.owner),
            owner_name: spec.owner_name,
            name: spec.name,
            kind: kind_of(&spec.kind),
            want: spec.want.map(want_of),
            restart: restart_of(&spec.restart),
            auto_remove: spec.auto_remove,
            at: Time(at),
        },
        Row::Created { token, container, at } => {
            Event::Created { token: token_of(&token)?, container: id(&container)?, at: Time(at) }
        }
        Row::CreateAbandoned { token } => Event::CreateAbandoned { token: token_of(&token)? },
        Row::Renamed { container, name } => Event::Renamed { container: id(&container)?, name },
        Row::RestartChanged { container, restart } => {
            Event::RestartChanged { container: id(&container)?, restart: restart_of(&restart) }
        }
        Row::Removed { container, at } => Event::Removed { container: id(&container)?, at: Time(at) },
        Row::Reserved(grant) => Event::Reserved(grant_of(grant)?),
        Row::Bound { container, epoch, at } => {
            Event::Bound { container: id(&container)?, epoch: Epoch(epoch), at: Time(at) }
        }
        Row::Ran { container, epoch, at } => {
            Event::Ran { container: id(&container)?, epoch: Epoch(epoch), at: Time(at) }
        }
        Row::StopAsked { container, at } => Event::StopAsked { container: id(&container)?, at: Time(at) },
        Row::Course { container, epoch, step, at } => step_of(step, id(&container)?, Epoch(epoch), Time(at)),
        Row::Kept { container, until, at } => {
            Event::Kept { container: id(&container)?, until: Time(until), at: Time(at) }
        }
        Row::Exempted { of, owner_name, name, until, reason, by, at } => {
            let (until, at) = (Time(until), Time(at));
            Event::Exempted(Exemption { of: exempt_of(of)?, owner_name, name, until, reason, by, at })
        }
        Row::ExemptionOver { of, by, at } => Event::ExemptionOver { of: exempt_of(of)?, by, at: Time(at) },
        Row::Keep { owner, container, from, until } => Event::Carried(Carried::Keep {
            owner: Uid(owner),
            container: id(&container)?,
            from: Time(from),
            until: Time(until),
        }),
        Row::Ended { container, epoch, at, exit, by_user } => {
            Event::Ended { container: id(&container)?, epoch: Epoch(epoch), at: Time(at), exit, by_user }
        }
        Row::Released { container, epoch, at } => {
            Event::Released { container: id(&container)?, epoch: Epoch(epoch), at: Time(at) }
        }
        Row::Adopted { container, owner, owner_name, name, epoch, units, at } => Event::Adopted {
            container: id(&container)?,
            owner: Uid(owner),
            owner_name,
            name,
            epoch: Epoch(epoch),
            units: unit_ids(&units)?,
            at: Time(at),
        },
        Row::RestartTried { container, attempt, at } => {
            Event::RestartTried { container: id(&container)?, attempt, at: Time(at) }
        }
        Row::Counters { last_epoch, latest } => {
            Event::Carried(Carried::Counters { last_epoch: Epoch(last_epoch), latest: Time(latest) })
        }
        Row::Container(row) => Event::Carried(Carried::Container(Box::new(container_of(*row)?))),
        Row::Holding(row) => Event::Carried(Carried::Holding(holding_of(row)?)),
        Row::Preference { unit, owner, container, until } => Event::Carried(Carried::Preference {
            unit: unit_id(&unit)?,
            preference: Preference { owner: Uid(owner), container: id(&container)?, until: Time(until) },
        }),
        Row::Usage { owner, hour, amount } => {
            Event::Carried(Carried::Usage { owner: Uid(owner), hour, amount })
        }
    })
}
