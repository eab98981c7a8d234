//! One layer of limits: what may stand under `defaults`, a group or a user.
//!
//! Key names are those of the `resource-limits.yaml` files of such labs, their older names included. A key that
//! DS01 does not carry out is noted, never silently dropped; a key that nobody knows is a mistake.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{Cap, Profile, Settings};

use super::mistake::{Findings, Place};
use super::read;
use super::units::{self, Bare};
use super::yaml::Entry;

/// The smallest memory limit that the Engine takes.
const MEMORY_BYTES_MIN: u64 = 6 << 20;
/// The longest that a start may be told to wait.
const START_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Priorities go from minus to plus this.
const PRIORITY_MAX: i32 = 1000;

/// The keys that are offered when one is misspelt.
pub(super) const KEYS: &[&str] = &[
    "max_gpu_equivalents",
    "max_gpu_slots_per_container",
    "max_containers_per_user",
    "allow_full_gpu",
    "priority",
    "max_cpus",
    "memory",
    "memory_swap",
    "shm_size",
    "pids_limit",
    "idle_timeout_h",
    "max_runtime_h",
    "gpu_hold_after_stop_h",
    "container_hold_after_stop_h",
    "keep_budget_h",
    "start_wait",
    "aggregate",
    "profile",
    "host_network",
];
const AGGREGATE_KEYS: &[&str] = &["cpu_quota", "memory_max", "tasks_max", "max_cpus", "memory", "pids_limit"];

/// Whether limits have this key.
pub(super) fn is_key(key: &str) -> bool {
    KEYS.contains(&key)
}

/// The limits of one layer and where each was written.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) settings: Settings,
    /// By canonical key: the key as written, and the place of its value.
    pub(super) places: BTreeMap<&'static str, (String, Place)>,
    max_tasks: Option<Cap<u64>>,
}

impl Layer {
    /// Takes a key if limits have it; gives false where they do not.
    pub(super) fn take(&mut self, entry: &Entry, findings: &mut Findings) -> bool {
        self.take_gpu(entry, findings)
            || self.take_size(entry, findings)
            || self.take_span(entry, findings)
            || match entry.key.as_str() {
                "aggregate" => {
                    self.take_aggregate(entry, findings);
                    true
                }
                _ => take_without_effect(entry, findings),
            }
    }

    fn take_gpu(&mut self, entry: &Entry, findings: &mut Findings) -> bool {
        let Some(key) = canonical(&entry.key) else { return false };
        let s = &mut self.settings;
        match key {
            "max_gpu_equivalents" => s.max_gpu_equivalents = read::cap(entry, findings, units::weight),
            "max_gpu_slots_per_container" => {
                s.max_gpu_slots_per_container = read::cap(entry, findings, small);
            }
            "max_containers_per_user" => s.max_containers_per_user = read::cap(entry, findings, small),
            "allow_full_gpu" => s.allow_full_gpu = read::one(entry, findings, units::truth),
            "profile" => s.profile = read::one(entry, findings, profile),
            "host_network" => s.host_network = read::one(entry, findings, units::truth),
            "priority" => s.priority = read::one(entry, findings, priority),
            _ => return false,
        }
        if entry.key.starts_with("max_mig_instances") || entry.key == "max_gpu_slots" {
            let message = format!(
                "`{}` is read as max_gpu_equivalents, in whole cards; on a machine with slices write the share you mean",
                entry.key
            );
            findings.note(entry.place, message);
        }
        self.set(key, entry, findings);
        true
    }

    fn take_size(&mut self, entry: &Entry, findings: &mut Findings) -> bool {
        let s = &mut self.settings;
        let key = match entry.key.as_str() {
            "max_cpus" => {
                s.max_cpus_milli = read::cap(entry, findings, units::cpus);
                "max_cpus"
            }
            "memory" => {
                s.memory_bytes = read::cap(entry, findings, memory);
                "memory"
            }
            "memory_swap" => {
                s.memory_swap_bytes = read::cap(entry, findings, memory);
                "memory_swap"
            }
            "shm_size" => {
                s.shm_bytes = read::cap(entry, findings, positive_size);
                "shm_size"
            }
            "pids_limit" => {
                s.pids_limit = read::cap(entry, findings, positive);
                "pids_limit"
            }
            "max_tasks" => {
                self.max_tasks = read::cap(entry, findings, positive);
                "max_tasks"
            }
            _ => return false,
        };
        self.set(key, entry, findings);
        true
    }

    fn take_span(&mut self, entry: &Entry, findings: &mut Findings) -> bool {
        let (key, bare) = match entry.key.strip_suffix("_h") {
            Some(key) => (key, Bare::Hours),
            None => (entry.key.as_str(), Bare::Refused),
        };
        let any = |text: &str| units::span(text, bare);
        let some = |text: &str| match units::span(text, bare)? {
            Duration::ZERO => {
                Err(format!("{text} would stop every container at once; write null for no limit"))
            }
            span => Ok(span),
        };
        let s = &mut self.settings;
        let key = match key {
            "idle_timeout" => {
                s.idle_timeout = read::cap(entry, findings, some);
                "idle_timeout_h"
            }
            "max_runtime" => {
                s.max_runtime = read::cap(entry, findings, some);
                "max_runtime_h"
            }
            "gpu_hold_after_stop" => {
                // A hold without end is a preference without end: others still get the unit when they need it.
                let hold = read::cap(entry, findings, any);
                s.gpu_hold_after_stop = hold.map(|hold| hold.into_option().unwrap_or(units::SPAN_MAX));
                "gpu_hold_after_stop_h"
            }
            "container_hold_after_stop" => {
                s.container_hold_after_stop = read::cap(entry, findings, any);
                "container_hold_after_stop_h"
            }
            "keep_budget" => {
                s.keep_budget = read::cap(entry, findings, any);
                "keep_budget_h"
            }
            "start_wait" if bare == Bare::Refused => {
                s.start_wait = start_wait(entry, findings);
                "start_wait"
            }
            _ => return false,
        };
        self.set(key, entry, findings);
        true
    }

    fn take_aggregate(&mut self, entry: &Entry, findings: &mut Findings) {
        self.set("aggregate", entry, findings);
        let Some(entries) = read::map(&entry.value, "aggregate", findings) else { return };
        for entry in entries {
            let s = &mut self.settings;
            let key = match entry.key.as_str() {
                "cpu_quota" => {
                    s.aggregate_cpus_milli = read::cap(entry, findings, units::quota);
                    "aggregate.max_cpus"
                }
                "max_cpus" => {
                    s.aggregate_cpus_milli = read::cap(entry, findings, units::cpus);
                    "aggregate.max_cpus"
                }
                "memory_max" | "memory" => {
                    s.aggregate_memory_bytes = read::cap(entry, findings, memory);
                    "aggregate.memory"
                }
                "tasks_max" | "pids_max" | "pids_limit" => {
                    s.aggregate_pids = read::cap(entry, findings, positive);
                    "aggregate.pids_limit"
                }
                "memory_high" => {
                    let _ = read::cap(entry, findings, memory);
                    findings.note(
                        entry.place,
                        "`memory_high` has no effect: DS01 sets the hard limit, memory_max",
                    );
                    continue;
                }
                "gpu_limit" => {
                    let _ = read::cap(entry, findings, small);
                    findings.note(entry.place, "`gpu_limit` has no effect: max_gpu_equivalents is the quota");
                    continue;
                }
                _ => {
                    read::unknown(entry, "in `aggregate`", AGGREGATE_KEYS, findings);
                    continue;
                }
            };
            self.set(key, entry, findings);
        }
    }

    /// Remembers where a key was written; two spellings of one key are a mistake.
    fn set(&mut self, key: &'static str, entry: &Entry, findings: &mut Findings) {
        let place = entry.value.place;
        if let Some((other, at)) = self.places.insert(key, (entry.key.clone(), place)) {
            let message =
                format!("`{}` says again what `{other}` on line {} says; keep one", entry.key, at.line);
            findings.mistake(entry.place, message);
        }
    }

    /// Settles what depends on several keys. To be called when all of them were taken.
    pub(super) fn finish(mut self) -> Self {
        self.settings.aggregate_pids = self.settings.aggregate_pids.or(self.max_tasks);
        self
    }
}

/// Older names of the GPU keys.
fn canonical(key: &str) -> Option<&'static str> {
    Some(match key {
        "max_gpu_equivalents" | "max_mig_instances" | "max_gpu_slots" | "max_gpus_per_user" => {
            "max_gpu_equivalents"
        }
        "max_gpu_slots_per_container" | "max_mig_per_container" | "max_gpus_per_container" => {
            "max_gpu_slots_per_container"
        }
        "max_containers_per_user" => "max_containers_per_user",
        "allow_full_gpu" => "allow_full_gpu",
        "profile" => "profile",
        "host_network" => "host_network",
        "priority" => "priority",
        _ => return None,
    })
}

/// Keys of such files that others carry out, or nobody.
fn take_without_effect(entry: &Entry, findings: &mut Findings) -> bool {
    let reason = match entry.key.as_str() {
        "gpu_memory" => "a unit's memory is its own",
        "storage_workspace" | "storage_data" | "storage_tmp" => "disk quotas are the file system's",
        "io_read_bps" | "io_write_bps" | "ulimit_nofile" => "DS01 sets no such limit",
        "reservation_start" | "reservation_end" | "reserved_gpus" => "DS01 has no reservations",
        "policies" => "idleness is judged alike for everybody",
        "reason" | "description" | "approved_by" | "approved_on" => return true,
        _ => return false,
    };
    findings.note(entry.place, format!("`{}` has no effect: {reason}", entry.key));
    true
}

/// How long a start waits; it must end some time.
pub(super) fn start_wait(entry: &Entry, findings: &mut Findings) -> Option<Duration> {
    read::one(entry, findings, |text| match units::span(text, Bare::Refused)? {
        span if span > START_WAIT_MAX => {
            Err(format!("{text} is longer than a day; clients give up long before"))
        }
        span => Ok(span),
    })
}

fn small(text: &str) -> Result<u32, String> {
    u32::try_from(units::count(text)?).map_err(|_| format!("{text} is too large"))
}

fn positive(text: &str) -> Result<u64, String> {
    match units::count(text)? {
        0 => Err("0 leaves nothing; write null for no limit".to_owned()),
        count => Ok(count),
    }
}

fn positive_size(text: &str) -> Result<u64, String> {
    match units::size(text)? {
        0 => Err("0 leaves nothing; write null for no limit".to_owned()),
        bytes => Ok(bytes),
    }
}

fn memory(text: &str) -> Result<u64, String> {
    match units::size(text)? {
        bytes if bytes < MEMORY_BYTES_MIN => {
            let unit =
                if text.bytes().all(|b| b.is_ascii_digit()) { " (a bare number is bytes)" } else { "" };
            Err(format!("{text}{unit} is less than the 6m that the Engine wants; write e.g. 32g"))
        }
        bytes => Ok(bytes),
    }
}

fn profile(text: &str) -> Result<Profile, String> {
    match text {
        "lab" => Ok(Profile::Lab),
        "strict" => Ok(Profile::Strict),
        _ => Err(format!("{text} is no profile; there are `lab` and `strict`")),
    }
}

fn priority(text: &str) -> Result<i32, String> {
    match text.parse::<i32>() {
        Ok(number) if (-PRIORITY_MAX..=PRIORITY_MAX).contains(&number) => Ok(number),
        _ => Err(format!("{text} is not a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}")),
    }
}
