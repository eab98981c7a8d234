//! The inventory: what GPU units this machine has, and the device nodes by which a container gets them.
//!
//! Found once at start and never changed. It answers what a binding consists of; it must never decide who gets one.

mod loops;
mod simulated;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ds01_domain::{Epoch, Unit, UnitId};
use ds01_runtime::protocol::{self, Access, DeviceKind};

use crate::clock;
use crate::config::Machine;

/// The runtime that starts containers on a simulated machine: there is nothing for NVIDIA's to attach.
const PLAIN_RUNTIME: &str = "runc";

/// Why the units of a machine cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The record of the devices cannot be kept.
    #[error("device record {} cannot be read or written", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Neither loop devices nor numbers are left.
    #[error("no device numbers from 240 to 254 are free for simulated GPUs")]
    NoNumbers,
    /// The kernel does not tell which boot this is.
    #[error("boot id cannot be read")]
    BootId(#[source] io::Error),
}

/// A device node in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNode {
    /// Where it stands in the container: `/dev/nvidia0`.
    pub path_in_container: String,
    /// Block or character.
    pub kind: DeviceKind,
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// What a container may do with it.
    pub mode: Access,
}

impl From<&DeviceNode> for protocol::DeviceNode {
    fn from(node: &DeviceNode) -> Self {
        Self {
            path: node.path_in_container.clone(),
            kind: node.kind,
            major: node.major,
            minor: node.minor,
            mode: node.mode,
        }
    }
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    units: Vec<Unit>,
    devices: BTreeMap<UnitId, Vec<DeviceNode>>,
    warnings: Vec<String>,
}

/// What became of the made-up devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// So many are gone.
    pub removed: usize,
    /// These are open somewhere and still there.
    pub in_use: Vec<String>,
}

impl Inventory {
    /// Finds the units of this machine, and makes their devices where they are simulated.
    ///
    /// The seed sets one lab's simulated units apart from another's; the same seed gives the same UUIDs. Devices that
    /// an earlier daemon made are used again.
    ///
    /// # Errors
    ///
    /// If the record in `run_dir` cannot be kept, or no device numbers are free.
    pub fn open(machine: &Machine, seed: &str, run_dir: &Path) -> Result<Self, InventoryError> {
        let cards = match machine {
            Machine::None => &[],
            Machine::Simulated(cards) => cards.as_slice(),
        };
        let units = simulated::units(cards, seed);
        let boot_id = clock::read_boot_id().map_err(InventoryError::BootId)?;
        let made = simulated::devices(&units, run_dir, &boot_id)?;
        Ok(Self { units, devices: made.nodes, warnings: made.warnings })
    }

    /// Takes away every device that [`Inventory::open`] made for this run directory: the lab goes down for good.
    ///
    /// Devices that somebody has open are left, named and tried again the next time.
    ///
    /// # Errors
    ///
    /// If the record cannot be read or written; a missing one means there is nothing to do.
    pub fn release(run_dir: &Path) -> Result<Released, InventoryError> {
        let boot_id = clock::read_boot_id().map_err(InventoryError::BootId)?;
        simulated::release(run_dir, &boot_id)
    }

    /// The units, by card and slice.
    #[must_use]
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The device nodes of a unit; none for one that is not here.
    #[must_use]
    pub fn devices(&self, unit: &UnitId) -> &[DeviceNode] {
        self.devices.get(unit).map_or(&[], Vec::as_slice)
    }

    /// What an administrator should know about the devices, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What a container gets that holds these units. `None` if one of them is not here.
    #[must_use]
    pub fn bound(&self, epoch: Epoch, units: &[UnitId]) -> Option<protocol::Bound> {
        let mut devices = Vec::new();
        for unit in units {
            let nodes = self.devices.get(unit)?;
            devices.extend(nodes.iter().map(protocol::DeviceNode::from));
        }
        let names: Vec<String> = units.iter().map(|unit| unit.as_str().to_owned()).collect();
        // The word by which a container is given nothing, also where its image asks for everything.
        let visible = if names.is_empty() { "void".to_owned() } else { names.join(",") };
        Some(protocol::Bound {
            epoch: epoch.0,
            units: names,
            env: vec![format!("{}={visible}", protocol::VISIBLE_DEVICES)],
            devices,
            runtime: PLAIN_RUNTIME.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
