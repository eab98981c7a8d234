//! The inventory: what GPU units this machine has, and the device nodes by which a container gets them.
//!
//! It answers what a binding consists of and who is on a unit; it must never decide who gets one.

mod figures;
mod loops;
mod nvidia;
mod simulated;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_domain::{Epoch, Processes, Unit, UnitId, UnitSeen};
use ds01_runtime::protocol::{self, Access, DeviceKind};
use nix::sys::stat::{major, minor};

use crate::clock;
use crate::config::Machine;
pub use figures::{Draw, Figures, FiguresSeen, OnUnit};
use simulated::Simulated;

/// The runtime that starts containers on a simulated machine: there is nothing for NVIDIA's to attach.
const PLAIN_RUNTIME: &str = "runc";
/// The runtime that attaches real GPUs, as the hinge's settings name it.
const NVIDIA_RUNTIME: &str = "nvidia";

/// What cards take when nobody computes on them, below the run directory.
const POWERS: &str = "card-powers.json";

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
    /// Somebody else than root could put another file in the place of the driver's library.
    #[error("the NVIDIA library {} is not used, because others than root can write {}", path.display(), step.display())]
    Unsafe {
        /// The library.
        path: PathBuf,
        /// Where.
        step: PathBuf,
    },
    /// The NVIDIA library that is configured is not there.
    #[error("the NVIDIA library {} cannot be used", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No thread can be made.
    #[error("no thread can be made to watch the GPUs")]
    Thread(#[source] io::Error),
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
#[derive(Debug)]
pub struct Inventory {
    source: Source,
    /// Where containers' own device nodes of slices are numbered by the driver.
    slice_numbers: PathBuf,
}

#[derive(Debug)]
enum Source {
    Simulated(Simulated),
    Nvidia(nvidia::Watcher),
}

/// What a look at the units brought.
#[derive(Clone, Debug, Default)]
pub struct UnitsSeen {
    /// The units, with who is on them.
    pub units: BTreeMap<UnitId, UnitSeen>,
    /// Whether a unit that is not among them is gone.
    pub complete: bool,
}

/// Why a container cannot be bound to its units.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    /// A unit is not there.
    #[error("a GPU that was reserved for this container has disappeared; start it again")]
    Gone,
    /// Nobody knows, and why.
    #[error("{0}; no GPU can be attached now: try again in a minute, or tell an admin")]
    Unseen(String),
}

impl Default for Inventory {
    fn default() -> Self {
        Self { source: Source::Simulated(Simulated::default()), slice_numbers: PathBuf::new() }
    }
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
    /// an earlier daemon made are used again. Without the driver's library there is an inventory all the same: it asks
    /// again, and says what is wrong.
    ///
    /// # Errors
    ///
    /// If the record in `run_dir` cannot be kept, no device numbers are free, or a library is configured that cannot
    /// be trusted.
    pub fn open(machine: &Machine, seed: &str, run_dir: &Path) -> Result<Self, InventoryError> {
        let boot_id = clock::read_boot_id().map_err(InventoryError::BootId)?;
        let cards = match machine {
            Machine::None | Machine::Nvidia { .. } => &[],
            Machine::Simulated(cards) => cards.as_slice(),
        };
        // Also where there are none: devices of an earlier configuration go.
        let made = Simulated::open(cards, seed, run_dir, &boot_id)?;
        let source = match machine {
            Machine::Nvidia { library, expected, exporter } => {
                if let Some(path) = library {
                    trust(path)?;
                }
                let watcher =
                    nvidia::Watcher::begin(library.clone(), *expected, *exporter, run_dir.join(POWERS));
                Source::Nvidia(watcher.map_err(InventoryError::Thread)?)
            }
            Machine::None | Machine::Simulated(_) => Source::Simulated(made),
        };
        Ok(Self { source, slice_numbers: PathBuf::from(nvidia::SLICE_NUMBERS) })
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

    /// The units as they are now. Waits for the driver, but not for ever: what it does not say is unknown.
    pub async fn look(&self) -> UnitsSeen {
        let seen = |unit: &Unit, processes| (unit.id.clone(), UnitSeen { unit: unit.clone(), processes });
        match &self.source {
            // Of simulated units nobody can say who computes on them.
            Source::Simulated(made) => UnitsSeen {
                units: made.units.iter().map(|unit| seen(unit, Processes::Unknowable)).collect(),
                complete: true,
            },
            Source::Nvidia(watcher) => {
                let reading = watcher.look().await;
                UnitsSeen {
                    units: reading.units.iter().map(|found| seen(&found.unit, found.processes)).collect(),
                    complete: reading.complete,
                }
            }
        }
    }

    /// What the units do, as it was seen last: waits for nobody. Of simulated units nothing can be said.
    #[must_use]
    pub fn figures(&self) -> FiguresSeen {
        match &self.source {
            Source::Simulated(_) => FiguresSeen::default(),
            Source::Nvidia(watcher) => watcher.figures(),
        }
    }

    /// Resolves when the units have changed by themselves and nobody has looked yet.
    pub async fn changed(&self) {
        match &self.source {
            Source::Simulated(_) => std::future::pending().await,
            Source::Nvidia(watcher) => watcher.changed().await,
        }
    }

    /// Whether a container may ask for a GPU here at all.
    #[must_use]
    pub fn may_have_gpus(&self) -> bool {
        match &self.source {
            Source::Simulated(made) => !made.units.is_empty(),
            Source::Nvidia(watcher) => watcher.expects_some(),
        }
    }

    /// What an administrator should know about the GPUs, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match &self.source {
            Source::Simulated(made) => made.warnings.clone(),
            Source::Nvidia(watcher) => watcher.problems(),
        }
    }

    /// The driver's version, where there is one.
    #[must_use]
    pub fn driver(&self) -> Option<String> {
        match &self.source {
            Source::Simulated(_) => None,
            Source::Nvidia(watcher) => watcher.latest().driver.clone(),
        }
    }

    /// Lets go of the driver for a while, so that an administrator can cut cards anew. Whether it was let go of.
    pub async fn let_go(&self, time: Duration) -> bool {
        match &self.source {
            Source::Simulated(_) => true,
            Source::Nvidia(watcher) => watcher.let_go(time).await,
        }
    }

    /// The units to which the device nodes in a directory give access: a container's own `/dev`. `None` if it cannot
    /// be read.
    #[must_use]
    pub fn units_in(&self, dev: &Path) -> Option<BTreeSet<UnitId>> {
        match &self.source {
            Source::Simulated(made) => made.units_in(dev),
            Source::Nvidia(watcher) => nvidia::units_in(&watcher.latest(), dev, &self.slice_numbers),
        }
    }

    /// The device numbers of made-up units, for which the kernel tells who has them open; `None` where a driver tells.
    #[must_use]
    pub fn device_numbers(&self, units: &[UnitId]) -> Option<BTreeMap<UnitId, BTreeSet<u64>>> {
        match &self.source {
            Source::Simulated(made) => Some(made.device_numbers(units)),
            Source::Nvidia(_) => None,
        }
    }

    /// What a container gets that holds these units and asked for these parts of the driver.
    ///
    /// # Errors
    ///
    /// If one of them is not here, or nobody can say.
    pub fn bound(
        &self,
        epoch: Epoch,
        units: &[UnitId],
        capabilities: &BTreeSet<String>,
    ) -> Result<protocol::Bound, Unbound> {
        let (devices, runtime) = match &self.source {
            Source::Simulated(made) => (made.nodes_of(units)?, PLAIN_RUNTIME),
            Source::Nvidia(watcher) => {
                let reading = watcher.latest();
                if !reading.is_fresh() {
                    let why = reading.problems.first().map_or("the GPUs cannot be seen", String::as_str);
                    return Err(Unbound::Unseen(why.to_owned()));
                }
                if !units.iter().all(|unit| reading.units.iter().any(|seen| seen.unit.id == *unit)) {
                    return Err(Unbound::Gone);
                }
                (Vec::new(), NVIDIA_RUNTIME)
            }
        };
        let names: Vec<String> = units.iter().map(|unit| unit.as_str().to_owned()).collect();
        // The word by which a container is given nothing, also where its image asks for everything.
        let visible = if names.is_empty() { "void".to_owned() } else { names.join(",") };
        let mut env = vec![format!("{}={visible}", protocol::VISIBLE_DEVICES)];
        // Where nothing was asked, the image's word or NVIDIA's own default holds: compute and utility.
        if !capabilities.is_empty() {
            let asked: Vec<&str> = capabilities.iter().map(String::as_str).collect();
            env.push(format!("{}={}", protocol::DRIVER_CAPABILITIES, asked.join(",")));
        }
        Ok(protocol::Bound { epoch: epoch.0, units: names, env, devices, runtime: runtime.to_owned() })
    }
}

/// The devices of which nodes called `nvidia…` stand in a directory.
fn nodes_in(dev: &Path) -> Option<Vec<(DeviceKind, u32, u32)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dev).ok()?.flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(b"nvidia") {
            continue;
        }
        // Not followed: a link could lead anywhere.
        let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
        let kind = match metadata.file_type() {
            kind if kind.is_block_device() => DeviceKind::Block,
            kind if kind.is_char_device() => DeviceKind::Char,
            _ => continue,
        };
        let number = |part: u64| u32::try_from(part).ok();
        if let (Some(major), Some(minor)) = (number(major(metadata.rdev())), number(minor(metadata.rdev()))) {
            found.push((kind, major, minor));
        }
    }
    Some(found)
}

/// Refuses a library that somebody else than root could exchange: it runs with all of ds01d's rights.
fn trust(path: &Path) -> Result<(), InventoryError> {
    let failed = |source| InventoryError::Library { path: path.into(), source };
    let file = std::fs::canonicalize(path).map_err(failed)?;
    for step in file.ancestors() {
        let found = std::fs::symlink_metadata(step).map_err(failed)?;
        let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        if found.uid() != 0 || (found.mode() & 0o022 != 0 && !sticky) {
            return Err(InventoryError::Unsafe { path: path.into(), step: step.into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
