//! A simulated machine: units made up from the configuration, each with a real device node of its own number.
//!
//! The same seed and the same cards give the same UUIDs, because the ledger remembers them. Devices outlive the daemon
//! and are found again by the name of the file behind them; only [`release`] takes them away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_domain::{CardId, Slice, Unit, UnitId, Weight};
use serde::{Deserialize, Serialize};

use super::loops::{self, Backing, Driver};
use super::{Access, DeviceKind, DeviceNode, InventoryError, Released, Unbound, protocol};
use crate::config::Card;

/// The record of what was made, in the run directory.
const RECORD: &str = "devices.json";
const RECORD_VERSION: u32 = 1;
/// Majors that the kernel keeps for experiments. Drivers are given the high ones first, so we begin with the low.
const EXPERIMENTAL_MAJORS: std::ops::RangeInclusive<u32> = 240..=254;
/// Minors have twenty bits.
const MINORS: u32 = 1 << 20;
/// How often a device that is still open is looked at before it is left behind.
const REMOVE_TRIES: u32 = 40;
const REMOVE_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    v: u32,
    /// Device numbers mean nothing in another boot.
    boot_id: String,
    devices: Vec<Recorded>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    unit: String,
    /// The loop device; `None` for a number without a driver.
    index: Option<u32>,
    major: u32,
    minor: u32,
}

/// Units that were made up, each with its device nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Simulated {
    /// By card and slice.
    pub(super) units: Vec<Unit>,
    pub(super) devices: BTreeMap<UnitId, Vec<DeviceNode>>,
    /// What an administrator should know about the devices, a sentence each.
    pub(super) warnings: Vec<String>,
}

impl Simulated {
    /// Makes the devices of these cards, or finds them again.
    pub(super) fn open(
        cards: &[Card],
        seed: &str,
        run_dir: &Path,
        boot_id: &str,
    ) -> Result<Self, InventoryError> {
        devices(units(cards, seed), run_dir, boot_id)
    }

    /// The nodes by which a container gets these units.
    pub(super) fn nodes_of(&self, units: &[UnitId]) -> Result<Vec<protocol::DeviceNode>, Unbound> {
        let mut nodes = Vec::new();
        for unit in units {
            let found = self.devices.get(unit).ok_or(Unbound::Gone)?;
            nodes.extend(found.iter().map(protocol::DeviceNode::from));
        }
        Ok(nodes)
    }

    /// The device numbers of each of these units.
    pub(super) fn device_numbers(&self, units: &[UnitId]) -> BTreeMap<UnitId, BTreeSet<u64>> {
        let number =
            |node: &DeviceNode| nix::sys::stat::makedev(u64::from(node.major), u64::from(node.minor));
        let numbers = |unit: &UnitId| self.devices.get(unit).into_iter().flatten().map(number).collect();
        units.iter().map(|unit| (unit.clone(), numbers(unit))).collect()
    }

    /// The units to which the nodes in a directory give access.
    pub(super) fn units_in(&self, dev: &Path) -> Option<BTreeSet<UnitId>> {
        let found = super::nodes_in(dev)?;
        let is_there = |node: &DeviceNode| found.contains(&(node.kind, node.major, node.minor));
        let units = self.devices.iter().filter(|(_, nodes)| nodes.iter().any(is_there));
        Some(units.map(|(unit, _)| unit.clone()).collect())
    }
}

/// The units of these cards.
fn units(cards: &[Card], seed: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    for (index, card) in (0_u32..).zip(cards) {
        let of_card = format!("{seed}\n{index}\n{}\n{}", card.model, card.memory_mib);
        let gpu = uuid("GPU", &of_card);
        let (Some(id), Some(card_id)) = (UnitId::new(&gpu), CardId::new(&gpu)) else { continue };
        let whole = Unit {
            id,
            card: card_id,
            index,
            slice: None,
            model: card.model.clone(),
            memory_mib: card.memory_mib,
            weight: Weight::CARD,
        };
        if card.mig.is_empty() {
            units.push(whole);
            continue;
        }
        for (ordinal, profile) in (0_u32..).zip(&card.mig) {
            let Some(id) = UnitId::new(&uuid("MIG", &format!("{of_card}\n{ordinal}\n{}", profile.name)))
            else {
                continue;
            };
            let slice = Slice {
                ordinal,
                profile: profile.name.clone(),
                compute: profile.compute,
                memory: profile.memory,
            };
            units.push(Unit {
                id,
                slice: Some(slice),
                memory_mib: profile.memory_mib,
                weight: profile.weight,
                ..whole.clone()
            });
        }
    }
    units
}

/// A UUID that the text decides. FNV-1a over 128 bits: it needs to be stable and spread, not secret.
fn uuid(kind: &str, text: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    // Twice: the last bytes of a short text hardly reach the high digits the first time.
    let once = text.bytes().fold(OFFSET, hash);
    let bits = once.to_be_bytes().into_iter().fold(once, hash);
    let hex = format!("{bits:032x}");
    format!("{kind}-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Finds the devices of the units again, or makes them.
fn devices(units: Vec<Unit>, run_dir: &Path, boot_id: &str) -> Result<Simulated, InventoryError> {
    let path = run_dir.join(RECORD);
    if units.is_empty() && !path.exists() {
        return Ok(Simulated::default());
    }
    fs::create_dir_all(run_dir).map_err(|source| InventoryError::Record { path: run_dir.into(), source })?;
    let mut warnings = Vec::new();
    let known = match read(&path) {
        Ok(record) => record.filter(|record| record.boot_id == boot_id).map_or_else(Vec::new, |r| r.devices),
        Err(error) => {
            warnings.push(format!("{error}; the devices are looked for on the machine"));
            Vec::new()
        }
    };
    let mut book = Book { path, boot_id, known, kept: Vec::new() };
    let made =
        if units.is_empty() { Ok(()) } else { Driver::open().and_then(|driver| book.loops(&driver, &units)) };
    if let Err(error) = made {
        warnings.push(format!(
            "no loop devices can be made ({error}); simulated GPUs are numbers without a driver: a granted one answers \
             ENXIO when opened, any other EPERM"
        ));
        book.numbers_only(&units)?;
    }
    // Units that the configuration no longer has: their devices go when nobody has them open.
    let gone: Vec<Recorded> =
        book.known.iter().filter(|old| !book.kept.iter().any(|new| new.unit == old.unit)).cloned().collect();
    let left = remove(&gone, 1);
    book.kept.extend(left);
    book.write()?;
    let nodes = units.iter().enumerate().filter_map(|(ordinal, unit)| {
        let device = book.kept.iter().find(|device| device.unit == unit.id.as_str())?;
        Some((unit.id.clone(), vec![node(ordinal, device)]))
    });
    let devices = nodes.collect();
    Ok(Simulated { units, devices, warnings })
}

fn node(ordinal: usize, device: &Recorded) -> DeviceNode {
    DeviceNode {
        path_in_container: format!("/dev/nvidia{ordinal}"),
        kind: if device.index.is_some() { DeviceKind::Block } else { DeviceKind::Char },
        major: device.major,
        minor: device.minor,
        // Whoever may write to a loop device may bind it to another file.
        mode: Access::Read,
    }
}

/// The record while it is made.
struct Book<'a> {
    path: PathBuf,
    boot_id: &'a str,
    known: Vec<Recorded>,
    kept: Vec<Recorded>,
}

impl Book<'_> {
    fn loops(&mut self, driver: &Driver, units: &[Unit]) -> io::Result<()> {
        let mut there: BTreeMap<String, u32> = BTreeMap::new();
        for (index, backing) in loops::all()? {
            if let Backing::Memory(name) = backing {
                there.insert(name, index);
            }
        }
        let mut from = 0;
        for unit in units {
            let name = unit.id.as_str();
            let known = self.known.iter().find(|old| old.unit == name).and_then(|old| old.index);
            // The driver lets whoever has a device open let go of its file; ours is put back.
            let bare = known.filter(|index| loops::backing(*index) == Backing::Nothing);
            let device = match (there.get(name), bare) {
                (Some(index), _) => loops::numbers(*index)?,
                (None, Some(index)) => loops::bind(index, name)?,
                (None, None) => driver.add(from, name)?,
            };
            from = device.index + 1;
            self.kept.push(Recorded {
                unit: name.to_owned(),
                index: Some(device.index),
                major: device.major,
                minor: device.minor,
            });
            // At once: a daemon that dies here must not leave devices that nobody knows of.
            self.write().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Numbers that no driver answers for.
    fn numbers_only(&mut self, units: &[Unit]) -> Result<(), InventoryError> {
        let made = std::mem::take(&mut self.kept);
        let left = remove(&made, 1);
        let major = free_major().ok_or(InventoryError::NoNumbers)?;
        let mut taken: Vec<u32> = Vec::new();
        for unit in units {
            let known = self.known.iter().find(|old| old.unit == unit.id.as_str() && old.index.is_none());
            let mut minor =
                known.filter(|old| old.major == major).map_or_else(|| spread(&unit.id), |old| old.minor);
            while taken.contains(&minor) {
                minor = (minor + 1) % MINORS;
            }
            taken.push(minor);
            self.kept.push(Recorded { unit: unit.id.as_str().to_owned(), index: None, major, minor });
        }
        self.known.extend(left);
        Ok(())
    }

    fn write(&self) -> Result<(), InventoryError> {
        // What is known from before stays written until it is gone from the machine.
        let old = self.known.iter().filter(|old| !self.kept.iter().any(|new| new.unit == old.unit));
        let devices = self.kept.iter().chain(old).filter(|device| still_there(device)).cloned().collect();
        write(&self.path, &Record { v: RECORD_VERSION, boot_id: self.boot_id.to_owned(), devices })
    }
}

fn still_there(device: &Recorded) -> bool {
    device.index.is_none_or(|index| loops::backing(index) != Backing::NoDevice)
}

/// A minor that this unit has whatever else is on the machine, so that two labs hardly ever share one.
fn spread(unit: &UnitId) -> u32 {
    let digits: String = unit.as_str().chars().filter(char::is_ascii_hexdigit).collect();
    let last = digits.len().saturating_sub(5);
    u32::from_str_radix(&digits[last..], 16).unwrap_or(0) % MINORS
}

/// An experimental major that no driver on this machine has.
fn free_major() -> Option<u32> {
    let used = fs::read_to_string("/proc/devices").unwrap_or_default();
    let used: Vec<u32> =
        used.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    EXPERIMENTAL_MAJORS.clone().find(|major| !used.contains(major))
}

/// Takes away what the record names; gives what is still in use.
fn remove(devices: &[Recorded], tries: u32) -> Vec<Recorded> {
    let mut left: Vec<Recorded> = devices.iter().filter(|device| device.index.is_some()).cloned().collect();
    let Ok(driver) = Driver::open() else { return left };
    for attempt in 0..tries {
        if attempt > 0 {
            // A holder that is just ending, or the machine's own probing of a new device.
            std::thread::sleep(REMOVE_PAUSE);
        }
        left.retain(|device| {
            let Some(index) = device.index else { return false };
            match loops::backing(index) {
                Backing::NoDevice => false,
                // Somebody took it for himself, and may be using it: named to the administrator, never touched.
                Backing::Foreign => true,
                Backing::Memory(name) if name != device.unit => false,
                Backing::Memory(_) | Backing::Nothing => driver.remove(index).is_err() && still_there(device),
            }
        });
        if left.is_empty() {
            break;
        }
    }
    left
}

/// Takes away every device that the record in this run directory names.
pub(super) fn release(run_dir: &Path, boot_id: &str) -> Result<Released, InventoryError> {
    let path = run_dir.join(RECORD);
    let Some(record) = read(&path)? else { return Ok(Released { removed: 0, in_use: Vec::new() }) };
    let devices = if record.boot_id == boot_id { record.devices } else { Vec::new() };
    let left = remove(&devices, REMOVE_TRIES);
    let loops = devices.iter().filter(|device| device.index.is_some()).count();
    let in_use = left.iter().filter_map(|device| Some(format!("/dev/loop{}", device.index?))).collect();
    let released = Released { removed: loops - left.len(), in_use };
    if left.is_empty() {
        fs::remove_file(&path).map_err(|source| InventoryError::Record { path, source })?;
    } else {
        write(&path, &Record { v: RECORD_VERSION, boot_id: boot_id.to_owned(), devices: left })?;
    }
    Ok(released)
}

fn read(path: &Path) -> Result<Option<Record>, InventoryError> {
    let failed = |source| InventoryError::Record { path: path.into(), source };
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(failed)?,
    };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
    match record.v {
        RECORD_VERSION => Ok(Some(record)),
        other => Err(failed(io::Error::other(format!("version {other} is not {RECORD_VERSION}")))),
    }
}

fn write(path: &Path, record: &Record) -> Result<(), InventoryError> {
    let failed = |source| InventoryError::Record { path: path.into(), source };
    let bytes = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
    let draft = path.with_extension("json.new");
    fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_settled_for_ever() {
        // The ledger holds them: a change of this line is a change of format.
        expect_test::expect!["GPU-4a011520-0e43-a209-58d5-d8c26ae5132f"].assert_eq(&uuid("GPU", "lab\n0"));
        assert_ne!(uuid("GPU", "lab\n0"), uuid("GPU", "lab\n1"));
    }

    #[test]
    fn numbers_without_a_driver_are_one_each() {
        let card = Card { model: "NVIDIA A100".into(), memory_mib: 81_920, mig: Vec::new() };
        let units = units(&vec![card; 40], "seed");
        let run = std::env::temp_dir().join(format!("ds01-numbers-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        let mut book = Book { path: run.join(RECORD), boot_id: "b", known: Vec::new(), kept: Vec::new() };
        book.numbers_only(&units).unwrap();
        let first = book.kept.clone();
        let numbers: std::collections::BTreeSet<(u32, u32)> =
            first.iter().map(|d| (d.major, d.minor)).collect();
        assert_eq!(numbers.len(), 40);
        assert!(first.iter().all(|d| EXPERIMENTAL_MAJORS.contains(&d.major) && d.minor < MINORS));
        book.write().unwrap();
        let mut again = Book { known: read(&book.path).unwrap().unwrap().devices, kept: Vec::new(), ..book };
        again.numbers_only(&units).unwrap();
        assert_eq!(again.kept, first);
        fs::remove_dir_all(&run).unwrap();
    }
}
