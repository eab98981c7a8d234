//! Answers for: the limits of one container: asked for less is kept, more is lowered to the limit.
//!
//! Must never: raise a limit that a user asked for, or leave an unlimited container where a limit holds.

use super::desk::{Desk, Stage};
use super::fields::integer;
use super::refusal::Refusal;
use super::shape::{Part, Shape, part};
use super::size::{show_milli, show_size};
use crate::json::{Json, Object};

type Judged = Result<Option<Json>, Refusal>;

/// The Engine's period where none is given, in microseconds.
const CPU_PERIOD_US_DEFAULT: i64 = 100_000;
const NANO_PER_MILLI: i64 = 1_000_000;
/// Without a limit on swap, memory and swap together are at most twice the memory, which is what
/// the Engine gives where nobody asks.
const SWAP_PER_MEMORY: u64 = 2;

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A limit in bytes or processes that is lowered to `limit`. `zero_means_unlimited` also for updates.
fn lowered(asked: Option<i64>, limit: Option<u64>, stage: Stage) -> (Option<i64>, bool) {
    let Some(limit) = limit.map(whole) else { return (asked, false) };
    match (asked, stage) {
        (None | Some(0), Stage::Create) => (Some(limit), false),
        (None | Some(0), Stage::Update) => (asked, false),
        (Some(asked), _) if asked < 0 || asked > limit => (Some(limit), true),
        (Some(asked), _) => (Some(asked), false),
    }
}

fn bytes(limit: Option<u64>) -> String {
    show_size(limit.unwrap_or_default())
}

pub(crate) fn memory(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let limit = desk.rules.limits.memory_bytes;
    let (judged, warn) = lowered(integer(path, value)?, limit, desk.amounts.stage);
    if warn {
        desk.warn(format!("Memory limit lowered to {}, the most that one container may have.", bytes(limit)));
    }
    desk.amounts.memory = judged.unwrap_or_default();
    Ok(judged.map(Json::int))
}

/// Comes after [`memory`], which it depends on.
pub(crate) fn memory_swap(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let limits = &desk.rules.limits;
    let limit =
        limits.memory_swap_bytes.or(limits.memory_bytes.map(|memory| memory.saturating_mul(SWAP_PER_MEMORY)));
    let asked = integer(path, value)?;
    let Some(limit) = limit else { return Ok(asked.map(Json::int)) };
    let memory = desk.amounts.memory.max(0);
    let most = whole(limit).max(memory);
    let by_default = memory.saturating_mul(whole(SWAP_PER_MEMORY));
    match asked.unwrap_or(0) {
        // The Engine refuses a swap limit without a memory limit.
        0 if desk.amounts.stage == Stage::Update || memory == 0 || by_default <= most => {
            Ok(asked.map(Json::int))
        }
        0 => Ok(Some(Json::int(most))),
        asked if asked < 0 || asked > most => {
            desk.warn(format!(
                "Memory and swap together lowered to {}, the most that one container may have.",
                show_size(most.unsigned_abs())
            ));
            Ok(Some(Json::int(most)))
        }
        asked => Ok(Some(Json::int(asked))),
    }
}

pub(crate) fn memory_reservation(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let asked = integer(path, value)?;
    match (asked, desk.rules.limits.memory_bytes.map(whole)) {
        (Some(asked), Some(limit)) if asked > limit => {
            desk.warn(format!("Memory reservation lowered to {}.", show_size(limit.unsigned_abs())));
            Ok(Some(Json::int(limit)))
        }
        _ => Ok(asked.map(Json::int)),
    }
}

pub(crate) fn shm_size(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let limit = desk.rules.limits.shm_bytes;
    let asked = integer(path, value)?;
    let (judged, warn) = lowered(asked, limit, Stage::Create);
    if warn {
        desk.warn(format!(
            "Size of /dev/shm lowered to {}, the most that one container may have.",
            bytes(limit)
        ));
    }
    Ok(judged.map(Json::int))
}

pub(crate) fn pids(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let limit = desk.rules.limits.pids;
    let asked = integer(path, value)?;
    let (judged, warn) = match (asked, desk.amounts.stage) {
        (None, Stage::Update) => (None, false),
        // Here zero means unlimited in an update too.
        (asked, _) => lowered(asked, limit, Stage::Create),
    };
    if warn {
        desk.warn(format!(
            "Process limit lowered to {}, the most that one container may have.",
            limit.unwrap_or_default()
        ));
    }
    Ok(judged.map(Json::int))
}

pub(crate) fn cpu_period(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let asked = integer(path, value)?;
    desk.amounts.cpu_period = asked.unwrap_or_default();
    Ok(asked.map(Json::int))
}

/// Comes after [`cpu_period`], which it depends on.
pub(crate) fn cpu_quota(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let asked = integer(path, value)?;
    let period = desk.amounts.cpu_period;
    let Some(milli) = desk.rules.limits.cpus_milli else {
        desk.amounts.cpu_quota = asked.unwrap_or_default();
        return Ok(asked.map(Json::int));
    };
    if asked.unwrap_or_default() == 0 && period <= 0 {
        return Ok(asked.map(Json::int));
    }
    let base = if period > 0 { period } else { CPU_PERIOD_US_DEFAULT };
    let most = whole(milli).saturating_mul(base) / 1000;
    let judged = match asked.unwrap_or_default() {
        0 => most,
        asked if asked < 0 || asked > most => {
            desk.warn(format!(
                "CPUs lowered to {}, the most that one container may have.",
                show_milli(milli)
            ));
            most
        }
        asked => asked,
    };
    desk.amounts.cpu_quota = judged;
    Ok(Some(Json::int(judged)))
}

/// Comes after [`cpu_quota`]: the Engine takes only one of the two ways of saying it.
pub(crate) fn nano_cpus(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let asked = integer(path, value)?;
    let by_quota = desk.amounts.cpu_quota != 0;
    let Some(milli) = desk.rules.limits.cpus_milli else { return Ok(asked.map(Json::int)) };
    let most = whole(milli).saturating_mul(NANO_PER_MILLI);
    match asked.unwrap_or_default() {
        0 if by_quota || desk.amounts.stage == Stage::Update => Ok(asked.map(Json::int)),
        0 => Ok(Some(Json::int(most))),
        asked if asked < 0 || asked > most => {
            desk.warn(format!(
                "CPUs lowered to {}, the most that one container may have.",
                show_milli(milli)
            ));
            Ok(Some(Json::int(most)))
        }
        asked => Ok(Some(Json::int(asked))),
    }
}

pub(crate) fn oom_score_adj(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    match integer(path, value)? {
        Some(asked) if asked < 0 && !desk.rules.admin => {
            desk.warn(
                "OomScoreAdj raised to 0: a container may not be spared before the system's own processes.",
            );
            Ok(Some(Json::int(0)))
        }
        asked => Ok(asked.map(Json::int)),
    }
}

pub(crate) fn oom_kill_disable(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    if super::fields::boolean(path, value)? {
        if desk.rules.admin {
            return Ok(Some(Json::Bool(true)));
        }
        desk.warn(
            "OomKillDisable was dropped: a container over its memory limit would hang instead of ending.",
        );
    }
    Ok(None)
}

pub(crate) const ULIMIT: &[Part] =
    &[part("Name", Shape::Text), part("Soft", Shape::Integer), part("Hard", Shape::Integer)];

/// Most open files of a container's process; more would eat kernel memory that no limit counts.
const NOFILE_MAX: i64 = 1_048_576;

pub(crate) fn ulimits(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let read =
        value.map(|value| Shape::List(&Shape::Struct(ULIMIT)).read(path, value)).transpose()?.flatten();
    let Some(Json::Array(entries)) = read else { return Ok(None) };
    if desk.rules.admin {
        return Ok(Some(Json::Array(entries)));
    }
    let mut out = Vec::new();
    for entry in entries {
        let Json::Object(mut entry) = entry else { continue };
        let name = entry.get("Name").and_then(Json::as_str).unwrap_or_default().to_owned();
        let most = match name.as_str() {
            "nofile" => NOFILE_MAX,
            "nproc" => desk.rules.limits.pids.map_or(i64::MAX, whole),
            "as" | "core" | "cpu" | "data" | "fsize" | "locks" | "memlock" | "msgqueue" | "rss"
            | "rttime" | "sigpending" | "stack" => i64::MAX,
            "nice" | "rtprio" => {
                desk.warn(format!(
                    "Ulimit {name} was dropped: real-time and raised priorities are the host's."
                ));
                continue;
            }
            _ => {
                return Err(Refusal::bad(format!(
                    "\"{path}\" names {name:?}, which is no ulimit; leave it out"
                )));
            }
        };
        if clamp_ulimit(&mut entry, most) {
            desk.warn(format!("Ulimit {name} lowered to {most}."));
        }
        out.push(Json::Object(entry));
    }
    Ok(Some(Json::Array(out)))
}

/// Lowers both numbers; -1 means unlimited. True if something was lowered.
fn clamp_ulimit(entry: &mut Object, most: i64) -> bool {
    let mut lowered = false;
    for side in ["Soft", "Hard"] {
        let asked = entry.get(side).and_then(Json::as_i64).unwrap_or_default();
        if most != i64::MAX && (asked < 0 || asked > most) {
            entry.set(side, Json::int(most));
            lowered = true;
        }
    }
    lowered
}
