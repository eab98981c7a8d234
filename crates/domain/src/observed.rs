//! What a look at the machine found. A look may be late and partial; it must never be invented.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ContainerId, Epoch, Time, Token, Uid, UnitId};
use crate::unit::Unit;

/// One look at the Engine, the cgroups and the GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// When the look began. What was recorded since then is newer than anything here.
    pub began: Time,
    /// Whether `containers` and `created` are all that the Engine has.
    pub complete: bool,
    /// Containers by id. One that holds units and that the Engine has forgotten is to be listed as `Run::Gone`, with
    /// what its cgroup says: nothing else frees its units.
    pub containers: BTreeMap<ContainerId, Seen>,
    /// Containers by the token in their labels.
    pub created: BTreeMap<Token, ContainerId>,
    /// Whether `units` are all that the machine has.
    pub units_complete: bool,
    /// Units by UUID.
    pub units: BTreeMap<UnitId, UnitSeen>,
    /// Containers whose start, or restart, was sent and not answered at any moment since the look began: that they
    /// were seen not to run says nothing. A start whose answer was lost stays here until the Engine can be asked.
    pub in_flight: BTreeSet<ContainerId>,
    /// Creates that were sent and not answered at any moment since the look began.
    pub creating: BTreeSet<Token>,
}

/// What was seen of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the Engine says.
    pub run: Run,
    /// What its cgroup says.
    pub cgroup: Occupancy,
    /// What the hinge wrote down at its last start.
    pub receipt: Option<(Epoch, Vec<UnitId>)>,
    /// The units whose devices it can open, where somebody looked.
    pub devices: Option<BTreeSet<UnitId>>,
    /// Whose it is, from the labels that the door wrote; for containers that nobody recorded.
    pub identity: Option<Identity>,
}

impl Seen {
    /// A container that is not ours to adopt: no receipt, no devices, no labels.
    #[must_use]
    pub const fn plain(run: Run, cgroup: Occupancy) -> Self {
        Self { run, cgroup, receipt: None, devices: None, identity: None }
    }
}

/// Whose a container is, from its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub owner: Uid,
    /// His login name.
    pub owner_name: String,
    /// The container's name, without Docker's slash.
    pub name: String,
}

/// What the Engine says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Run {
    /// It never ran.
    Created,
    /// It runs.
    Running,
    /// It is frozen, and has its units all the same.
    Paused,
    /// It ended with this code.
    Exited(i32),
    /// The Engine does not know it.
    Gone,
    /// The Engine did not say.
    Unknown,
}

/// Whether processes are left in a container's cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occupancy {
    /// None, or the cgroup is gone.
    Empty,
    /// Some.
    Occupied,
    /// The look failed.
    Unknown,
}

/// What was seen of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSeen {
    /// What it is.
    pub unit: Unit,
    /// Who is on it.
    pub processes: Processes,
}

/// How many processes the driver sees on a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Processes {
    /// So many.
    Count(u32),
    /// Nobody can know: a simulated unit. The cgroup decides alone.
    Unknowable,
    /// The look failed: nothing may be concluded.
    Unknown,
}
