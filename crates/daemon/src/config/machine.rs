//! The machine section: the NVIDIA driver's GPUs, none, or a simulated machine that needs none.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::mig::{Geometry, Profile};
use super::mistake::{Findings, shorten};
use super::read;
use super::units;
use super::yaml::{Entry, Node, Value};

/// Cards of one simulated machine.
const CARDS_MAX: usize = 64;
/// Characters of a model's name.
const MODEL_MAX: usize = 96;
/// The smallest card, in MiB.
const CARD_MIB_MIN: u64 = 1024;

/// Where the GPUs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Machine {
    /// There are none: every container runs, none gets a GPU.
    None,
    /// Those of the NVIDIA driver.
    Nvidia {
        /// The driver's library, where it is not the system's own.
        library: Option<PathBuf>,
        /// Whether an administrator has said that there are some; else a machine without the driver just has none.
        expected: bool,
        /// Where NVIDIA's dcgm-exporter answers on this machine.
        exporter: Option<SocketAddr>,
    },
    /// Made up, so that everything but the computing is real.
    Simulated(Vec<Card>),
}

/// A card of a simulated machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The name as the driver would give it.
    pub model: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// What it is cut into; empty for a whole card.
    pub mig: Vec<Profile>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::Nvidia { library: None, expected: false, exporter: None }
    }
}

impl Machine {
    /// How many units can be granted, and how many cards they are on, as far as the configuration says.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        match self {
            Self::None | Self::Nvidia { .. } => (0, 0),
            Self::Simulated(cards) => (cards.iter().map(|card| card.mig.len().max(1)).sum(), cards.len()),
        }
    }
}

const KINDS: &[&str] = &["simulated", "nvidia", "none"];
const CARD_KEYS: &[&str] = &["model", "memory", "mig"];

/// Reads the section.
pub(super) fn machine(node: &Node, findings: &mut Findings) -> Machine {
    match &node.value {
        Value::Null => Machine::default(),
        Value::Scalar { text, .. } => {
            let problem = match text.as_str() {
                "none" => return Machine::None,
                "nvidia" => return Machine::Nvidia { library: None, expected: true, exporter: None },
                "simulated" => {
                    "machine: simulated needs its cards; write\n    machine:\n      simulated:\n        \
                                cards: [{model: NVIDIA A100-SXM4-80GB, memory: 80g}]"
                        .to_owned()
                }
                _ => not_a_kind(text),
            };
            findings.mistake(node.place, problem);
            Machine::None
        }
        Value::List(_) => {
            findings.mistake(node.place, "machine: a list where `simulated:` belongs");
            Machine::None
        }
        Value::Map(entries) => {
            if let [first, second, ..] = entries.as_slice() {
                findings.mistake(second.place, format!("machine: has `{}` already; keep one", first.key));
            }
            entries.first().map_or(Machine::None, |entry| kind(entry, findings))
        }
    }
}

fn not_a_kind(text: &str) -> String {
    let instead = match read::nearest(text, KINDS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write `nvidia`, `none`, or `simulated:` with its cards".to_owned(),
    };
    format!("machine: `{}` is no kind of machine; {instead}", shorten(text))
}

fn kind(entry: &Entry, findings: &mut Findings) -> Machine {
    match entry.key.as_str() {
        "simulated" => simulated(&entry.value, findings),
        "nvidia" => nvidia(&entry.value, findings),
        _ => {
            read::unknown(entry, "in `machine`", KINDS, findings);
            Machine::None
        }
    }
}

fn nvidia(node: &Node, findings: &mut Findings) -> Machine {
    let (mut library, mut exporter) = (None, None);
    if !matches!(node.value, Value::Null) {
        for entry in read::map(node, "machine.nvidia", findings).unwrap_or(&[]) {
            match entry.key.as_str() {
                "library" => library = read::one(entry, findings, absolute),
                "dcgm_exporter" => exporter = read::one(entry, findings, local_address),
                _ => read::unknown(entry, "in `machine.nvidia`", &["library", "dcgm_exporter"], findings),
            }
        }
    }
    Machine::Nvidia { library, expected: true, exporter }
}

/// Whoever answers at an address of another machine could keep everybody's containers alive.
fn local_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err(format!("{text} is not on this machine; write e.g. 127.0.0.1:9400")),
        Err(_) => Err(format!("{} is no address with a port; write e.g. 127.0.0.1:9400", shorten(text))),
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    match text.starts_with('/') {
        true => Ok(PathBuf::from(text)),
        false => Err(format!("{text} is no absolute path; write e.g. /usr/lib64/libnvidia-ml.so.1")),
    }
}

fn simulated(node: &Node, findings: &mut Findings) -> Machine {
    let entries = read::map(node, "machine.simulated", findings).unwrap_or(&[]);
    let mut cards = None;
    for entry in entries {
        match entry.key.as_str() {
            "cards" => cards = read::list(&entry.value, "cards", findings),
            _ => read::unknown(entry, "in `machine.simulated`", &["cards"], findings),
        }
    }
    let nodes = cards.unwrap_or(&[]);
    if nodes.is_empty() && matches!(node.value, Value::Null | Value::Map(_)) {
        findings.mistake(
            node.place,
            "machine.simulated: `cards` is missing or empty; write `machine: none` for no GPU",
        );
    }
    if nodes.len() > CARDS_MAX {
        findings
            .mistake(node.place, format!("machine.simulated: {} cards; at most {CARDS_MAX}", nodes.len()));
    }
    Machine::Simulated(nodes.iter().take(CARDS_MAX).filter_map(|node| card(node, findings)).collect())
}

fn card(node: &Node, findings: &mut Findings) -> Option<Card> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        _ => {
            let kind = node.kind();
            let problem = format!("cards: {kind} where {{model: …, memory: …}} belongs");
            findings.mistake(node.place, problem);
            return None;
        }
    };
    let (mut model, mut memory, mut mig) = (None, None, None);
    for entry in entries {
        match entry.key.as_str() {
            "model" => model = Some(read::one(entry, findings, model_name)),
            "memory" => memory = Some(read::one(entry, findings, card_memory)),
            "mig" => mig = Some(entry),
            _ => read::unknown(entry, "in a card", CARD_KEYS, findings),
        }
    }
    for (key, missing) in [("model", model.is_none()), ("memory", memory.is_none())] {
        if missing {
            findings.mistake(node.place, format!("cards: `{key}` is missing; write e.g. {}", example(key)));
        }
    }
    let (model, memory_mib) = (model??, memory??);
    let geometry = Geometry::of(&model, memory_mib);
    let mig = mig.map_or_else(Vec::new, |entry| slices(entry, geometry, findings));
    Some(Card { model, memory_mib, mig })
}

fn example(key: &str) -> &'static str {
    match key {
        "model" => "model: NVIDIA A100-SXM4-80GB",
        _ => "memory: 80g",
    }
}

fn slices(entry: &Entry, geometry: Geometry, findings: &mut Findings) -> Vec<Profile> {
    let mut profiles = Vec::new();
    let nodes = read::list(&entry.value, "mig", findings).unwrap_or(&[]);
    for node in nodes {
        let found = match &node.value {
            Value::Scalar { text, .. } => geometry.profile(text),
            _ => Err(format!("{} is not a MIG profile; write e.g. 1g.10gb", node.kind())),
        };
        match found {
            Ok(profile) => profiles.push(profile),
            Err(problem) => findings.mistake(node.place, format!("mig: {problem}")),
        }
    }
    if profiles.len() == nodes.len()
        && let Err(problem) = geometry.fit(&profiles)
    {
        findings.mistake(entry.value.place, format!("mig: {problem}"));
    }
    profiles
}

fn model_name(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=MODEL_MAX if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => Ok(text.to_owned()),
        _ => Err(format!("a model is 1 to {MODEL_MAX} characters of ASCII, e.g. NVIDIA A100-SXM4-80GB")),
    }
}

fn card_memory(text: &str) -> Result<u64, String> {
    match units::size(text)? >> 20 {
        mib if mib < CARD_MIB_MIN => Err(format!("{text} is less than any card has; write e.g. 80g")),
        mib => Ok(mib),
    }
}
