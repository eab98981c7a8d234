//! The ways to say no. Each has a stable code, says who holds what, and offers the next step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{ContainerId, Time, Uid, Weight};
use crate::text;

/// Why not. An answer, not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// There is no such unit.
    UnknownUnit {
        /// As it was named.
        asked: String,
        /// What there is.
        exist: String,
    },
    /// The card was named whole and is cut into slices.
    CutCard {
        /// As it was named.
        asked: String,
        /// Its slices.
        slices: String,
    },
    /// More units in one container than the user may have.
    Slots {
        /// Asked for.
        asked: usize,
        /// Allowed.
        max: u32,
    },
    /// This machine can never do it.
    Never {
        /// What was asked for.
        want: String,
        /// Units that would do, too few.
        fitting: usize,
        /// What there is.
        machine: String,
    },
    /// Only whole cards would do, and the user may not have any.
    FullGpu {
        /// What was asked for.
        want: String,
        /// Slices that would do, too few; `None` if there are none.
        without: Option<usize>,
    },
    /// More than the user's quota, now or ever.
    Quota(Box<Quota>),
    /// As many containers run as the user may have.
    Containers {
        /// Running.
        running: u32,
        /// Allowed.
        max: u32,
    },
    /// It waited in vain.
    Timeout(Box<Timeout>),
    /// The wait was broken off.
    Cancelled {
        /// The container, as its owner calls it.
        name: String,
    },
    /// It waits already.
    Waiting {
        /// The container, as its owner calls it.
        name: String,
    },
    /// It was found running while its start waited.
    Running {
        /// The container, as its owner calls it.
        name: String,
    },
    /// More time than the user may ask for.
    KeepBudget(Box<KeepBudget>),
    /// Nobody knows this container.
    UnknownContainer {
        /// The container.
        container: ContainerId,
    },
}

/// The numbers of a quota that does not suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Whose quota.
    pub owner_name: String,
    /// What was asked for.
    pub want: String,
    /// The least that would weigh.
    pub asked: Weight,
    /// What he holds.
    pub held: Weight,
    /// What he may hold.
    pub max: Weight,
    /// His containers that hold it.
    pub containers: Vec<String>,
}

/// The numbers of a budget of time that does not suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepBudget {
    /// What was asked for.
    pub asked: Duration,
    /// What he has asked for of late.
    pub used: Duration,
    /// What he may ask for.
    pub budget: Duration,
    /// When so much will have come back; `None` for what is more than all of it.
    pub again_in: Option<Duration>,
}

/// How a wait ended that led to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// How long it waited.
    pub waited: Duration,
    /// His own containers that hold units.
    pub own: Vec<String>,
    /// His place in the line at the end; 1 is the head.
    pub position: usize,
    /// How many waited.
    pub of: usize,
    /// Who holds the units that would have done.
    pub holders: Arc<[Arc<Holder>]>,
    /// The end of the wait.
    pub at: Time,
}

/// Who holds units, told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub owner: Uid,
    /// His login name.
    pub owner_name: String,
    /// His container.
    pub container_name: String,
    /// The units, as people call them: `0:1`.
    pub units: Vec<String>,
    /// Since when.
    pub since: Time,
}

impl Holder {
    /// `carol/train (GPU 0:1 for 2 h)`.
    #[must_use]
    pub fn sentence(&self, now: Time) -> String {
        format!("{self} (GPU {} for {})", self.units.join(", "), text::short(now.since(self.since)))
    }
}

impl Denial {
    /// The stable word for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownUnit { .. } | Self::CutCard { .. } => "gpu.unknown-unit",
            Self::Slots { .. } => "gpu.slots",
            Self::Never { .. } => "gpu.never",
            Self::FullGpu { .. } => "gpu.full-gpu",
            Self::Quota(_) => "gpu.quota",
            Self::Containers { .. } => "containers.quota",
            Self::Timeout(_) => "gpu.timeout",
            Self::Cancelled { .. } => "gpu.cancelled",
            Self::Waiting { .. } => "gpu.waiting",
            Self::Running { .. } => "gpu.running",
            Self::KeepBudget(_) => "keep.budget",
            Self::UnknownContainer { .. } => "containers.unknown",
        }
    }

    /// What to do next, where the text does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownUnit { .. } => "ask for a number of GPUs instead, or look at gpu-status",
            Self::CutCard { .. } => "name one of the slices, or ask for a number of GPUs",
            Self::Slots { .. } => "ask for fewer GPUs in one container",
            Self::Never { .. } => "ask for less; gpu-status shows what there is",
            Self::FullGpu { .. } => "ask for a slice, or ask an admin to allow full GPUs",
            Self::Quota(quota) if quota.containers.is_empty() => "ask for less, or ask an admin for more",
            Self::Quota(_) => "stop one, or ask an admin for more",
            Self::Containers { .. } => "stop one; container list shows them",
            Self::Waiting { .. } => "ds01 queue shows its place in the line",
            Self::KeepBudget(_) => "ask for less, use the GPU, or ask an admin for an exemption",
            Self::UnknownContainer { .. } => "container list --all shows what there is",
            Self::Timeout(_) | Self::Cancelled { .. } | Self::Running { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the machine lacked the units, rather than the user the right to them.
    #[must_use]
    pub const fn is_no_resources(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Never { .. })
    }

    /// A wait that its user broke off.
    #[must_use]
    pub fn cancelled(name: &str) -> Self {
        Self::Cancelled { name: name.to_owned() }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownUnit { asked, exist } if exist.is_empty() => {
                write!(f, "there is no gpu {asked}: this machine has no gpu")
            }
            Self::UnknownUnit { asked, exist } => write!(f, "there is no gpu {asked}; there are {exist}"),
            Self::CutCard { asked, slices } => write!(f, "gpu {asked} is cut into slices: {slices}"),
            Self::Slots { asked, max } => {
                write!(f, "gpu limit per container: {asked} asked for, {max} allowed")
            }
            Self::Never { machine, .. } if machine.is_empty() => f.write_str("this machine has no gpu"),
            Self::Never { want, fitting: 0, machine } => {
                write!(f, "this machine cannot give {want}: it has {machine}")
            }
            Self::Never { want, fitting, machine } => {
                write!(f, "this machine cannot give {want}: {fitting} would do, and it has {machine}")
            }
            Self::FullGpu { want, without: None } => {
                write!(f, "only a full GPU would do for {want}, and you may not take one")
            }
            Self::FullGpu { want, without: Some(slices) } => write!(
                f,
                "{want} would take full GPUs, which you may not take: only {slices} slice{} would do",
                text::s(*slices)
            ),
            Self::Quota(quota) => quota.fmt(f),
            Self::Containers { running, max } => {
                write!(f, "container quota reached: {running} of {max} containers run")
            }
            Self::Timeout(timeout) => timeout.fmt(f),
            Self::Cancelled { name } => write!(f, "the wait of {name} for a gpu was cancelled"),
            Self::Waiting { name } => write!(f, "{name} waits for a gpu already"),
            Self::Running { name } => write!(f, "{name} runs already"),
            Self::KeepBudget(budget) => budget.fmt(f),
            Self::UnknownContainer { container } => write!(f, "there is no container {}", container.short()),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner_name, want, asked, held, max, containers } = self;
        if *held == Weight::ZERO {
            return write!(
                f,
                "gpu quota exceeded: {want} would count as {asked}, and {owner_name} may hold {max}"
            );
        }
        write!(f, "gpu quota reached: {owner_name} holds {held} of {max} ({})", containers.join(", "))?;
        if held < max {
            write!(f, ", and {want} needs {asked} more")?;
        }
        Ok(())
    }
}

impl fmt::Display for KeepBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, budget) = (text::long(self.used), text::long(self.budget));
        write!(f, "you may keep idle containers for {budget} in seven days, and have asked for {used}")?;
        match self.again_in {
            Some(again) => {
                write!(f, "; {} can be had again in {}", text::long(self.asked), text::long(again))
            }
            None => write!(f, "; {} is more than all of it", text::long(self.asked)),
        }
    }
}

/// Holders that a message names before it only counts them.
const HOLDERS_NAMED_MAX: usize = 4;

/// The documented message, with facts.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.waited.is_zero() {
            f.write_str("GPU allocation failed: no GPU is free.\n")?;
        } else {
            writeln!(f, "GPU allocation failed after {}.", text::long(self.waited))?;
        }
        f.write_str("\nSuggestions:\n")?;
        match self.own.as_slice() {
            [] => {
                f.write_str("  1. Stop an idle container: container stop <name> (none of yours has a GPU)\n")?
            }
            [one] => writeln!(f, "  1. Stop an idle container: container stop {one}")?,
            [first, rest @ ..] => {
                writeln!(f, "  1. Stop an idle container: container stop {first} (or {})", rest.join(", "))?;
            }
        }
        let place = match self.of {
            0 | 1 => String::new(),
            of => format!("you were {} of {of} in line; ", text::ordinal(self.position)),
        };
        let holders = if self.holders.is_empty() {
            "the GPUs that would do are being cleared".to_owned()
        } else {
            format!("held by {}", holders(&self.holders, self.at))
        };
        writeln!(f, "  2. Wait for a release: {place}{holders}")?;
        f.write_str("  3. Check GPU status: gpu-status")
    }
}

/// `carol/train (GPU 0:1 for 2 h), dave/x (GPU 1 for 5 min) and 3 more`.
fn holders(holders: &[Arc<Holder>], now: Time) -> String {
    let mut named: Vec<String> =
        holders.iter().take(HOLDERS_NAMED_MAX).map(|holder| holder.sentence(now)).collect();
    if let Some(more @ 1..) = holders.len().checked_sub(HOLDERS_NAMED_MAX) {
        named.push(format!("{more} more"));
    }
    text::list(&named)
}

/// `carol/train`: other people's containers are told apart by their owner.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner_name, self.container_name)
    }
}
