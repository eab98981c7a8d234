//! The machine that the library pretends to see: a file that may change while the program runs.
//!
//! ```json
//! {"driver": "580.65.06",
//!  "errors": {"nvmlDeviceGetCount_v2": 999}, "sleep_ms": {"nvmlDeviceGetName": 5000},
//!  "gpus": [{"uuid": "GPU-…", "name": "NVIDIA H100 80GB HBM3", "minor": 0, "memory_mib": 81559,
//!            "processes": [{"pid": 4711, "memory_mib": 500}]},
//!           {"uuid": "GPU-…", "name": "NVIDIA A100-SXM4-80GB", "minor": 1, "memory_mib": 81920,
//!            "mig": {"devices": [{"uuid": "MIG-…", "profile": "1g.10gb", "gi": 7, "ci": 0, "compute": 1,
//!                                 "memory_mib": 9856}]}}]}
//! ```
//! It is `<the library's own path>.json`. Write it beside the old one and rename: a file that cannot be read leaves
//! the machine as it was.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Error codes by the name of the function that returns them.
type Codes = BTreeMap<String, u32>;

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Machine {
    /// The driver's version.
    pub(crate) driver: String,
    /// What functions return instead of an answer.
    pub(crate) errors: Codes,
    /// How long functions take, in milliseconds: a driver that hangs.
    pub(crate) sleep_ms: BTreeMap<String, u64>,
    /// How long one record of a process list is, in bytes: drivers 535.43 to 535.98 write 32 where 24 are read.
    pub(crate) process_bytes: Option<usize>,
    /// The cards, by index.
    pub(crate) gpus: Vec<Gpu>,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gpu {
    pub(crate) uuid: String,
    pub(crate) name: String,
    /// The number in `/dev/nvidia<N>`; it need not be the index.
    pub(crate) minor: u32,
    pub(crate) memory_mib: u64,
    #[serde(default)]
    pub(crate) pci: Option<String>,
    /// Fallen off the bus: every question about it is answered with GPU_IS_LOST.
    #[serde(default)]
    pub(crate) lost: bool,
    #[serde(default)]
    pub(crate) errors: Codes,
    #[serde(default)]
    pub(crate) sleep_ms: BTreeMap<String, u64>,
    /// Present when MIG mode is on, even if nothing is cut yet.
    #[serde(default)]
    pub(crate) mig: Option<Mig>,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
    #[serde(default)]
    pub(crate) events: Vec<Happening>,
    /// Busy, in percent of the last sample period.
    #[serde(default)]
    pub(crate) utilization: u32,
    /// Memory errors that could not be corrected, since the driver was loaded.
    #[serde(default)]
    pub(crate) uncorrected: u64,
    /// What it takes now; its counter of energy follows.
    #[serde(default)]
    pub(crate) power_mw: u32,
    /// What it may take.
    #[serde(default)]
    pub(crate) power_limit_mw: Option<u32>,
    /// What its counter of energy said before anybody asked.
    #[serde(default)]
    pub(crate) energy_mj: u64,
    #[serde(default)]
    pub(crate) temperature: u32,
    /// Whether it counts what the engines of its slices do (GPM): Hopper and later.
    #[serde(default)]
    pub(crate) gpm: bool,
}

/// How a card is cut.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mig {
    /// How many slots there are; instances may leave holes.
    #[serde(default = "seven")]
    pub(crate) slots: u32,
    pub(crate) devices: Vec<MigDevice>,
}

const fn seven() -> u32 {
    7
}

/// A MIG device: a compute instance of a GPU instance.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MigDevice {
    pub(crate) uuid: String,
    /// `1g.10gb`, as the driver names it.
    pub(crate) profile: String,
    /// The slot; its place in the list if it is not said.
    #[serde(default)]
    pub(crate) slot: Option<u32>,
    pub(crate) gi: u32,
    #[serde(default)]
    pub(crate) ci: u32,
    /// Compute slices of the GPU instance.
    pub(crate) compute: u32,
    /// Compute slices of the compute instance; all of them if it is not said.
    #[serde(default)]
    pub(crate) own_compute: Option<u32>,
    pub(crate) memory_mib: u64,
    /// How busy its GPU instance is between any two samples, in percent.
    #[serde(default)]
    pub(crate) busy: f64,
}

/// A process on a card, or on one of its MIG devices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// `null`: the driver cannot say.
    #[serde(default = "nothing")]
    pub(crate) memory_mib: Option<u64>,
    #[serde(default)]
    pub(crate) gi: Option<u32>,
    #[serde(default)]
    pub(crate) ci: Option<u32>,
    /// It draws instead of computing.
    #[serde(default)]
    pub(crate) graphics: bool,
    /// How busy it has kept the card of late, in percent.
    #[serde(default)]
    pub(crate) busy: u32,
}

const fn nothing() -> Option<u64> {
    Some(0)
}

/// Something that the driver tells once.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Happening {
    /// Told in this order; each number once.
    pub(crate) number: u64,
    /// The XID.
    pub(crate) xid: u64,
}

/// The file, and what was read of it last.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    path: Option<PathBuf>,
    seen: Option<(i64, i64, u64, u64)>,
    machine: Machine,
}

impl Watched {
    pub(crate) fn at(path: Option<PathBuf>) -> Self {
        Self { path, seen: None, machine: Machine::default() }
    }

    /// The machine as it is now.
    pub(crate) fn now(&mut self) -> &Machine {
        if let Some(path) = &self.path
            && let Ok(metadata) = path.metadata()
        {
            let stamp = (metadata.mtime(), metadata.mtime_nsec(), metadata.ino(), metadata.size());
            if self.seen != Some(stamp)
                && let Some(machine) = read(path)
            {
                self.machine = machine;
                self.seen = Some(stamp);
            }
        }
        &self.machine
    }
}

fn read(path: &Path) -> Option<Machine> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
