//! Events as they stand in the ledger: rows of their own, so that the rules may change their types without changing
//! what old files say.

mod carried;
mod course;
mod exempt;

use std::collections::BTreeSet;
use std::time::Duration;

use ds01_domain::{
    Ask, CardId, Carried, ContainerId, Epoch, Event, Exemption, Grant, Health, Issuer, Kind, Preference,
    RestartPolicy, Selector, Slice, Time, Token, Uid, Unit, UnitId, Want, Weight,
};
use serde::{Deserialize, Serialize};

use carried::{ContainerRow, HoldingRow, carried_row, container_of, holding_of};
use course::{StepRow, step_of, step_row};
use exempt::{ExemptRow, exempt_of, exempt_row, exempted_row};

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

#[derive(Debug, Serialize, Deserialize)]
struct UnitRow {
    id: String,
    card: String,
    index: u32,
    slice: Option<SliceRow>,
    model: String,
    memory_mib: u64,
    weight_milli: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct SliceRow {
    ordinal: u32,
    profile: String,
    compute: u8,
    memory: u8,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HealthRow {
    Available,
    Dirty,
    Draining,
    Lost,
}

#[derive(Debug, Serialize, Deserialize)]
struct SpecRow {
    owner: u32,
    owner_name: String,
    name: String,
    kind: KindRow,
    want: Option<WantRow>,
    restart: RestartRow,
    auto_remove: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindRow {
    Ds01,
    DevContainer,
    Compose,
    Docker,
    Infrastructure,
}

#[derive(Debug, Serialize, Deserialize)]
struct WantRow {
    ask: AskRow,
    min_memory_mib: Option<u64>,
    full: bool,
    model: Option<String>,
    /// Absent in rows of earlier versions: none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    capabilities: BTreeSet<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AskRow {
    Count(u32),
    Named(Vec<SelectorRow>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SelectorRow {
    Index(u32),
    Slice(u32, u32),
    Uuid(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RestartRow {
    No,
    Always,
    UnlessStopped,
    OnFailure(u32),
}

#[derive(Debug, Serialize, Deserialize)]
struct GrantRow {
    container: String,
    owner: u32,
    epoch: u64,
    units: Vec<String>,
    weight_milli: u32,
    /// Absent: granted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    hold_after_stop_ms: u64,
    at: u64,
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

fn issuer_row(issuer: &Issuer) -> Option<String> {
    match issuer {
        Issuer::Local => None,
        Issuer::External(name) => Some(name.clone()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn kind_row(kind: Kind) -> KindRow {
    match kind {
        Kind::Ds01 => KindRow::Ds01,
        Kind::DevContainer => KindRow::DevContainer,
        Kind::Compose => KindRow::Compose,
        Kind::Docker => KindRow::Docker,
        Kind::Infrastructure => KindRow::Infrastructure,
    }
}

fn kind_of(row: &KindRow) -> Kind {
    match row {
        KindRow::Ds01 => Kind::Ds01,
        KindRow::DevContainer => Kind::DevContainer,
        KindRow::Compose => Kind::Compose,
        KindRow::Docker => Kind::Docker,
        KindRow::Infrastructure => Kind::Infrastructure,
    }
}

fn id(text: &str) -> Result<ContainerId, String> {
    ContainerId::new(text).ok_or_else(|| format!("{text:?} is no container id"))
}

fn token_of(text: &str) -> Result<Token, String> {
    Token::new(text).ok_or_else(|| format!("{text:?} is no create token"))
}

fn unit_id(text: &str) -> Result<UnitId, String> {
    UnitId::new(text).ok_or_else(|| format!("{text:?} is no unit id"))
}

fn unit_ids(texts: &[String]) -> Result<Vec<UnitId>, String> {
    texts.iter().map(|t| unit_id(t)).collect()
}

fn unit_row(unit: &Unit) -> UnitRow {
    UnitRow {
        id: unit.id.to_string(),
        card: unit.card.to_string(),
        index: unit.index,
        slice: unit.slice.as_ref().map(|s| SliceRow {
            ordinal: s.ordinal,
            profile: s.profile.clone(),
            compute: s.compute,
            memory: s.memory,
        }),
        model: unit.model.clone(),
        memory_mib: unit.memory_mib,
        weight_milli: unit.weight.as_milli(),
    }
}

fn unit_of(row: UnitRow) -> Result<Unit, String> {
    Ok(Unit {
        id: unit_id(&row.id)?,
        card: CardId::new(&row.card).ok_or_else(|| format!("{:?} is no card id", row.card))?,
        index: row.index,
        slice: row.slice.map(|s| Slice {
            ordinal: s.ordinal,
            profile: s.profile,
            compute: s.compute,
            memory: s.memory,
        }),
        model: row.model,
        memory_mib: row.memory_mib,
        weight: Weight::from_milli(row.weight_milli),
    })
}

fn health_row(health: Health) -> HealthRow {
    match health {
        Health::Available => HealthRow::Available,
        Health::Dirty => HealthRow::Dirty,
        Health::Draining => HealthRow::Draining,
        Health::Lost => HealthRow::Lost,
    }
}

fn health_of(row: HealthRow) -> Health {
    match row {
        HealthRow::Available => Health::Available,
        HealthRow::Dirty => Health::Dirty,
        HealthRow::Draining => Health::Draining,
        HealthRow::Lost => Health::Lost,
    }
}

fn want_row(want: &Want) -> WantRow {
    WantRow {
        ask: match &want.ask {
            Ask::Count(n) => AskRow::Count(*n),
            Ask::Named(selectors) => AskRow::Named(
                selectors
                    .iter()
                    .map(|s| match s {
                        Selector::Index(i) => SelectorRow::Index(*i),
                        Selector::Slice(c, o) => SelectorRow::Slice(*c, *o),
                        Selector::Uuid(u) => SelectorRow::Uuid(u.clone()),
                    })
                    .collect(),
            ),
        },
        min_memory_mib: want.min_memory_mib,
        full: want.full,
        model: want.model.clone(),
        capabilities: want.capabilities.clone(),
    }
}

fn want_of(row: WantRow) -> Want {
    Want {
        ask: match row.ask {
            AskRow::Count(n) => Ask::Count(n),
            AskRow::Named(selectors) => Ask::Named(
                selectors
                    .into_iter()
                    .map(|s| match s {
                        SelectorRow::Index(i) => Selector::Index(i),
                        SelectorRow::Slice(c, o) => Selector::Slice(c, o),
                        SelectorRow::Uuid(u) => Selector::Uuid(u),
                    })
                    .collect(),
            ),
        },
        min_memory_mib: row.min_memory_mib,
        full: row.full,
        model: row.model,
        capabilities: row.capabilities,
    }
}

fn restart_row(restart: RestartPolicy) -> RestartRow {
    match restart {
        RestartPolicy::No => RestartRow::No,
        RestartPolicy::Always => RestartRow::Always,
        RestartPolicy::UnlessStopped => RestartRow::UnlessStopped,
        RestartPolicy::OnFailure { max } => RestartRow::OnFailure(max),
    }
}

fn restart_of(row: &RestartRow) -> RestartPolicy {
    match row {
        RestartRow::No => RestartPolicy::No,
        RestartRow::Always => RestartPolicy::Always,
        RestartRow::UnlessStopped => RestartPolicy::UnlessStopped,
        RestartRow::OnFailure(max) => RestartPolicy::OnFailure { max: *max },
    }
}

fn grant_row(grant: &Grant) -> GrantRow {
    GrantRow {
        container: grant.container().to_string(),
        owner: grant.owner().0,
        epoch: grant.epoch().0,
        units: grant.units().iter().map(ToString::to_string).collect(),
        weight_milli: grant.weight().as_milli(),
        issuer: issuer_row(grant.issuer()),
        hold_after_stop_ms: millis(grant.hold_after_stop()),
        at: grant.at().0,
    }
}

fn grant_of(row: GrantRow) -> Result<Grant, String> {
    Ok(Grant::from_ledger(
        id(&row.container)?,
        Uid(row.owner),
        Epoch(row.epoch),
        unit_ids(&row.units)?,
        Weight::from_milli(row.weight_milli),
        row.issuer.map_or(Issuer::Local, Issuer::External),
        Duration::from_millis(row.hold_after_stop_ms),
        Time(row.at),
    ))
}
