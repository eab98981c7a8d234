//! What the caller may have, what he has, and who says so.

use std::time::Duration;

use ds01_api::{Limit, LimitUnit, Limits, Source};
use ds01_domain as domain;
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::gateway::http::{self, Body};
use crate::gateway::person_of;

pub(super) async fn limits(ask: Ask) -> Result<Response<Body>, Fault> {
    let person = person_of(&ask.caller);
    let uid = person.uid;
    let used = ask.door.coordinator.read(move |state, _, _| state.used_by(uid)).await?;
    let containers = crate::gateway::running_containers(&ask.door, ask.caller.uid).await?;
    let limits = ask.door.config().policy.resolve(&person);
    Ok(http::json(
        StatusCode::OK,
        &Limits {
            user: person.name.clone(),
            group: limits.group.clone(),
            admin: person.admin,
            limits: rows(&limits, u64::from(used.as_milli()), u64::from(containers)),
        },
    ))
}

fn rows(limits: &domain::Limits, used_milli: u64, containers: u64) -> Vec<Limit> {
    let row = |key: &str, label: &str, unit, limit: Option<u64>, used| Limit {
        key: key.to_owned(),
        label: label.to_owned(),
        unit,
        limit,
        used,
        source: source_of(limits.source(key)),
    };
    let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
    vec![
        row(
            "max_gpu_equivalents",
            "GPUs at once",
            LimitUnit::GpuMilli,
            limits.max_gpu_equivalents.map(|w| u64::from(w.as_milli())),
            Some(used_milli),
        ),
        row(
            "max_gpu_slots_per_container",
            "GPU units in one container",
            LimitUnit::Count,
            limits.max_gpu_slots_per_container.map(u64::from),
            None,
        ),
        row(
            "allow_full_gpu",
            "full GPUs allowed",
            LimitUnit::Flag,
            Some(u64::from(limits.allow_full_gpu)),
            None,
        ),
        row(
            "max_containers_per_user",
            "running containers",
            LimitUnit::Count,
            limits.max_containers_per_user.map(u64::from),
            Some(containers),
        ),
        row("max_cpus", "CPUs in one container", LimitUnit::CpuMilli, limits.max_cpus_milli, None),
        row("memory", "memory of one container", LimitUnit::Bytes, limits.memory_bytes, None),
        row(
            "memory_swap",
            "memory and swap of one container",
            LimitUnit::Bytes,
            limits.memory_swap_bytes,
            None,
        ),
        row("shm_size", "shared memory of one container", LimitUnit::Bytes, limits.shm_bytes, None),
        row("pids_limit", "processes in one container", LimitUnit::Count, limits.pids_limit, None),
        row(
            "gpu_hold_after_stop_h",
            "GPU preferred for you after a stop",
            LimitUnit::Seconds,
            Some(limits.gpu_hold_after_stop.as_secs()),
            None,
        ),
        row(
            "start_wait",
            "longest wait for a GPU",
            LimitUnit::Seconds,
            seconds(Some(limits.start_wait)),
            None,
        ),
    ]
}

fn source_of(source: &domain::Source) -> Source {
    match source {
        domain::Source::BuiltIn => Source::BuiltIn,
        domain::Source::Defaults => Source::Defaults,
        domain::Source::Group(name) => Source::Group { name: name.clone() },
        domain::Source::User(name) => Source::User { name: name.clone() },
        domain::Source::Admin => Source::Admin,
    }
}
