//! Answers for: what lies before the judge of one body: the rules, the warnings so far, and what was
//! found that the daemon has to answer.
//!
//! Must never: outlive the body.

use std::collections::BTreeMap;

use super::create::{BindAsk, ContainerRef, VolumeAsk};
use super::rules::{Restart, Rules};
use crate::gpu::Strip;
use crate::json::{Json, Object};

/// Whether limits are set for a new container or changed for an existing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Zero and absent mean "no limit": the limit is put in.
    Create,
    /// Zero and absent mean "as it was".
    Update,
}

/// Amounts judged so far, which later rows depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    pub(crate) stage: Stage,
    pub(crate) memory: i64,
    pub(crate) cpu_period: i64,
    pub(crate) cpu_quota: i64,
}

/// How a volume is written in the body that is sent on, but for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VolumeSent {
    /// As a string in `Binds`, with these modes.
    Bind {
        /// `ro,nocopy`
        modes: String,
    },
    /// As an object in `Mounts`.
    Mount(Object),
}

/// What was taken out of a create body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// What the GPU reading takes out, by position.
    pub(crate) strip: Strip,
    pub(crate) image: String,
    pub(crate) user: Option<String>,
    pub(crate) env: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether an administrator marked it as the lab's own.
    pub(crate) infrastructure: bool,
    pub(crate) binds: Vec<BindAsk>,
    /// `BindOptions` of each bind, by slot.
    pub(crate) bind_options: Vec<Option<Json>>,
    pub(crate) volumes: Vec<VolumeAsk>,
    /// How each volume is sent on, by slot.
    pub(crate) volumes_sent: Vec<VolumeSent>,
    pub(crate) other_mounts: Vec<Json>,
    pub(crate) images: Vec<String>,
    pub(crate) containers: Vec<ContainerRef>,
    pub(crate) networks: Vec<String>,
    pub(crate) endpoints: Vec<(String, Json)>,
    pub(crate) network_mode: String,
    pub(crate) restart: Restart,
    pub(crate) auto_remove: bool,
}

/// The judge's desk for one body.
#[derive(Debug)]
pub(crate) struct Desk<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) warnings: Vec<String>,
    pub(crate) amounts: Amounts,
    pub(crate) found: Found,
}

impl<'r> Desk<'r> {
    pub(crate) fn new(rules: &'r Rules, stage: Stage) -> Self {
        Desk {
            rules,
            warnings: Vec::new(),
            amounts: Amounts { stage, memory: 0, cpu_period: 0, cpu_quota: 0 },
            found: Found::default(),
        }
    }

    /// Adds a sentence for the `Warnings` of the reply.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}
