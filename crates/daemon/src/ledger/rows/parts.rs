//! What rows are made of: units, wants, restart policies, grants.

use std::collections::BTreeSet;
use std::time::Duration;

use ds01_domain::{
    Ask, CardId, ContainerId, Epoch, Grant, Health, Issuer, Kind, RestartPolicy, Selector, Slice, Time,
    Token, Uid, Unit, UnitId, Want, Weight,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UnitRow {
    pub(super) id: String,
    pub(super) card: String,
    pub(super) index: u32,
    pub(super) slice: Option<SliceRow>,
    pub(super) model: String,
    pub(super) memory_mib: u64,
    pub(super) weight_milli: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SliceRow {
    pub(super) ordinal: u32,
    pub(super) profile: String,
    pub(super) compute: u8,
    pub(super) memory: u8,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HealthRow {
    Available,
    Dirty,
    Draining,
    Lost,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SpecRow {
    pub(super) owner: u32,
    pub(super) owner_name: String,
    pub(super) name: String,
    pub(super) kind: KindRow,
    pub(super) want: Option<WantRow>,
    pub(super) restart: RestartRow,
    pub(super) auto_remove: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KindRow {
    Ds01,
    DevContainer,
    Compose,
    Docker,
    Infrastructure,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WantRow {
    pub(super) ask: AskRow,
    pub(super) min_memory_mib: Option<u64>,
    pub(super) full: bool,
    pub(super) model: Option<String>,
    /// Absent in rows of earlier versions: none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) capabilities: BTreeSet<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AskRow {
    Count(u32),
    Named(Vec<SelectorRow>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SelectorRow {
    Index(u32),
    Slice(u32, u32),
    Uuid(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RestartRow {
    No,
    Always,
    UnlessStopped,
    OnFailure(u32),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GrantRow {
    pub(super) container: String,
    pub(super) owner: u32,
    pub(super) epoch: u64,
    pub(super) units: Vec<String>,
    pub(super) weight_milli: u32,
    /// Absent: granted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    pub(super) hold_after_stop_ms: u64,
    pub(super) at: u64,
}

pub(super) fn issuer_row(issuer: &Issuer) -> Option<String> {
    match issuer {
        Issuer::Local => None,
        Issuer::External(name) => Some(name.clone()),
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn kind_row(kind: Kind) -> KindRow {
    match kind {
        Kind::Ds01 => KindRow::Ds01,
        Kind::DevContainer => KindRow::DevContainer,
        Kind::Compose => KindRow::Compose,
        Kind::Docker => KindRow::Docker,
        Kind::Infrastructure => KindRow::Infrastructure,
    }
}

pub(super) fn kind_of(row: &KindRow) -> Kind {
    match row {
        KindRow::Ds01 => Kind::Ds01,
        KindRow::DevContainer => Kind::DevContainer,
        KindRow::Compose => Kind::Compose,
        KindRow::Docker => Kind::Docker,
        KindRow::Infrastructure => Kind::Infrastructure,
    }
}

pub(super) fn id(text: &str) -> Result<ContainerId, String> {
    ContainerId::new(text).ok_or_else(|| format!("{text:?} is no container id"))
}

pub(super) fn token_of(text: &str) -> Result<Token, String> {
    Token::new(text).ok_or_else(|| format!("{text:?} is no create token"))
}

pub(super) fn unit_id(text: &str) -> Result<UnitId, String> {
    UnitId::new(text).ok_or_else(|| format!("{text:?} is no unit id"))
}

pub(super) fn unit_ids(texts: &[String]) -> Result<Vec<UnitId>, String> {
    texts.iter().map(|t| unit_id(t)).collect()
}

pub(super) fn unit_row(unit: &Unit) -> UnitRow {
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

pub(super) fn unit_of(row: UnitRow) -> Result<Unit, String> {
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

pub(super) fn health_row(health: Health) -> HealthRow {
    match health {
        Health::Available => HealthRow::Available,
        Health::Dirty => HealthRow::Dirty,
        Health::Draining => HealthRow::Draining,
        Health::Lost => HealthRow::Lost,
    }
}

pub(super) fn health_of(row: HealthRow) -> Health {
    match row {
        HealthRow::Available => Health::Available,
        HealthRow::Dirty => Health::Dirty,
        HealthRow::Draining => Health::Draining,
        HealthRow::Lost => Health::Lost,
    }
}

pub(super) fn want_row(want: &Want) -> WantRow {
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

pub(super) fn want_of(row: WantRow) -> Want {
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

pub(super) fn restart_row(restart: RestartPolicy) -> RestartRow {
    match restart {
        RestartPolicy::No => RestartRow::No,
        RestartPolicy::Always => RestartRow::Always,
        RestartPolicy::UnlessStopped => RestartRow::UnlessStopped,
        RestartPolicy::OnFailure { max } => RestartRow::OnFailure(max),
    }
}

pub(super) fn restart_of(row: &RestartRow) -> RestartPolicy {
    match row {
        RestartRow::No => RestartPolicy::No,
        RestartRow::Always => RestartPolicy::Always,
        RestartRow::UnlessStopped => RestartPolicy::UnlessStopped,
        RestartRow::OnFailure(max) => RestartPolicy::OnFailure { max: *max },
    }
}

pub(super) fn grant_row(grant: &Grant) -> GrantRow {
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

pub(super) fn grant_of(row: GrantRow) -> Result<Grant, String> {
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
