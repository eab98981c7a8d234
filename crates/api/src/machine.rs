//! The machine: cards, units, and who holds them.

use serde::{Deserialize, Serialize};

/// The answer to `GET machine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The host's name.
    pub host: String,
    /// Whether the GPUs are simulated ones from the configuration.
    pub simulated: bool,
    /// The cards, by index.
    pub cards: Vec<Card>,
    /// Units that a start could have now.
    pub free_units: u32,
    /// All units, whatever their state.
    pub total_units: u32,
    /// Containers that wait in line.
    pub waiting: u32,
    /// How long ago the driver told what the units do; absent where it told nothing of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures_age_seconds: Option<u64>,
    /// The driver's version; absent where nothing was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// What is wrong with the GPUs, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// The body of `POST gpu/release`: ds01d lets go of the GPU driver, so that cards can be cut anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuRelease {
    /// For how long; zero takes the driver back at once.
    pub seconds: u32,
}

/// A physical card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The card's number, as `nvidia-smi` counts.
    pub index: u32,
    /// The card's UUID.
    pub uuid: String,
    /// The model, as the driver names it.
    pub model: String,
    /// The card's memory.
    pub memory_mib: u64,
    /// Whether the card is cut into MIG slices.
    pub mig: bool,
    /// What can be granted of it: the card itself, or its slices by ordinal.
    pub units: Vec<Unit>,
}

/// Something that can be granted: a whole card or a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Which unit it is.
    #[serde(flatten)]
    pub unit: UnitRef,
    /// Whether it can be granted, were nobody holding it.
    pub health: Health,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// For whom a free unit is kept back while others are free: the user who held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_for: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub figures: Figures,
    /// Programs on it that were not granted it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ungranted: Vec<Process>,
}

/// A program on a unit that it was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on the host.
    pub pid: u32,
    /// What it calls itself.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// The container that it is in, with its owner: `alice/train`; absent outside of DS01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// What a unit does, as the driver last told. Absent is what it does not tell: all of it for simulated units, how busy
/// they are for slices of cards before Hopper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Busy, in percent of the driver's last sample period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilization_percent: Option<u32>,
    /// Memory in use, whoever uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_mib: Option<u64>,
}

/// A unit's name card, wherever one is mentioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRef {
    /// `GPU-…` or `MIG-…`.
    pub id: String,
    /// How people call it: `0` for card 0, `0:1` for slice 1 of card 0.
    pub address: String,
    /// The card's model.
    pub model: String,
    /// The slice's profile (`2g.20gb`); absent for a whole card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The unit's memory.
    pub memory_mib: u64,
    /// What the unit counts against a quota, in thousandths of a card.
    pub weight_milli: u32,
}

/// Whether a unit can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing stands against it.
    Available,
    /// Its container ended, and something still uses it.
    Dirty,
    /// It is being emptied; nobody gets it until that is done.
    Draining,
    /// The machine does not show it any more.
    Lost,
}

/// Who holds a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The holder's user name.
    pub owner: String,
    /// Whether that is the caller.
    pub mine: bool,
    /// The container (project name where there is one); absent where the caller may not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The units he holds with that container, by address; empty where the context says which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// For how long.
    pub held_seconds: u64,
    /// After which time at the latest his container is stopped; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_seconds: Option<u64>,
}
