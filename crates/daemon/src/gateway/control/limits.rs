//! What the caller may have, what he has, and who says so.

use std::time::Duration;

use ds01_api::{Limit, LimitUnit, Limits, Source};
use ds01_domain as domain;
use ds01_domain::Kind;
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::gateway::http::{self, Body};
use crate::gateway::person_of;
use crate::totals;

pub(super) async fn limits(ask: Ask) -> Result<Response<Body>, Fault> {
    let person = person_of(&ask.caller);
    let uid = person.uid;
    let read = move |state: &domain::State, now| (state.used_by(uid), state.kept_by(uid, now));
    let (gpus, kept) = ask.door.coordinator.read(move |state, _, now| read(state, now)).await?;
    let used = Used {
        gpu_milli: gpus.as_milli().into(),
        containers: crate::gateway::running_containers(&ask.door, ask.caller.uid).await?.into(),
        together: match ask.door.group_of(ask.caller.uid).await {
            Ok(group) => group.used(),
            Err(_) => totals::Use::default(),
        },
        kept_seconds: kept.as_secs(),
        stops: ask.door.board.mode(&ask.door.config().policy.rules) == domain::Mode::Enforce,
    };
    let limits = ask.door.config().policy.resolve(&person);
    Ok(http::json(
        StatusCode::OK,
        &Limits {
            user: person.name.clone(),
            group: limits.group.clone(),
            admin: person.admin,
            limits: rows(&limits, &used)
                .into_iter()
                .chain(times(&ask.door.config().policy, &limits, used.stops))
                .collect(),
        },
    ))
}

/// What the caller uses at this moment.
struct Used {
    gpu_milli: u64,
    containers: u64,
    together: totals::Use,
    /// Time for which he has kept idle containers of late.
    kept_seconds: u64,
    /// Whether idle containers are stopped.
    stops: bool,
}

fn rows(limits: &domain::Limits, used: &Used) -> Vec<Limit> {
    let row = |key: &str, label: &str, unit, limit: Option<u64>, used| Limit {
        key: key.to_owned(),
        label: label.to_owned(),
        unit,
        limit,
        used,
        source: source_of(limits.source(key)),
        enforced: true,
    };
    let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
    let mut rows = vec![
        row(
            "max_gpu_equivalents",
            "GPUs at once",
            LimitUnit::GpuMilli,
            limits.max_gpu_equivalents.map(|w| u64::from(w.as_milli())),
            Some(used.gpu_milli),
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
            Some(used.containers),
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
            "keep_budget_h",
            "time to keep idle containers, in 7 days",
            LimitUnit::Seconds,
            seconds(limits.keep_budget),
            Some(used.kept_seconds),
        ),
        row(
            "start_wait",
            "longest wait for a GPU",
            LimitUnit::Seconds,
            seconds(Some(limits.start_wait)),
            None,
        ),
    ];
    if limits.profile == domain::Profile::Strict {
        rows.push(row("profile", "root inside containers", LimitUnit::Flag, Some(0), None));
    }
    if limits.host_network && limits.source("host_network") != &domain::Source::Admin {
        rows.push(row("host_network", "containers on the host's network", LimitUnit::Flag, Some(1), None));
    }
    // Few labs set them; nobody has to read that there are none.
    let total = &limits.aggregate;
    let together = [
        ("aggregate.max_cpus", "CPUs of all containers", LimitUnit::CpuMilli, total.cpus_milli, None),
        (
            "aggregate.memory",
            "memory of all containers",
            LimitUnit::Bytes,
            total.memory_bytes,
            used.together.memory_bytes,
        ),
        (
            "aggregate.pids_limit",
            "processes in all containers",
            LimitUnit::Count,
            total.pids,
            used.together.pids,
        ),
    ];
    let set = together.into_iter().filter(|(_, _, _, limit, _)| limit.is_some());
    let after = rows.iter().position(|row| row.key == "gpu_hold_after_stop_h").unwrap_or(rows.len());
    let more: Vec<Limit> =
        set.map(|(key, label, unit, limit, used)| row(key, label, unit, limit, used)).collect();
    rows.splice(after..after, more);
    rows
}

/// How long a GPU container of each kind may be idle, and run. Kinds that are as the first are not told of idle times:
/// nobody has to read one number four times.
fn times(policy: &domain::Policy, limits: &domain::Limits, stops: bool) -> Vec<Limit> {
    let kinds = [
        (Kind::Ds01, "GPU container"),
        (Kind::DevContainer, "dev container"),
        (Kind::Compose, "compose service"),
        (Kind::Docker, "docker run"),
    ];
    let usual = policy.times(limits, Kind::Ds01).idle_timeout;
    let of_kind = |(kind, name): (Kind, &str)| {
        let times = policy.times(limits, kind);
        let (idle, runtime) = policy.sources_of_times(limits, kind);
        let key = |key: &str| match kind {
            Kind::Ds01 => key.to_owned(),
            _ => format!("container_types.{}.{}", word(kind), key.trim_end_matches("_h")),
        };
        let row = |key: String, label: String, limit: Option<Duration>, source: &domain::Source| Limit {
            key,
            label,
            unit: LimitUnit::Seconds,
            limit: limit.map(|limit| limit.as_secs()),
            used: None,
            source: source_of(source),
            enforced: stops,
        };
        let idle_row =
            || row(key("idle_timeout_h"), format!("idle time of a {name}"), times.idle_timeout, &idle);
        let told = kind == Kind::Ds01 || times.idle_timeout != usual;
        let runtime = row(key("max_runtime_h"), format!("run time of a {name}"), times.max_runtime, &runtime);
        told.then(idle_row).into_iter().chain([runtime]).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

/// A kind, as the configuration calls it.
const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Ds01 => "ds01",
        Kind::DevContainer => "devcontainer",
        Kind::Compose => "compose",
        Kind::Docker => "docker",
        Kind::Infrastructure => "infrastructure",
    }
}

fn source_of(source: &domain::Source) -> Source {
    match source {
        domain::Source::BuiltIn => Source::BuiltIn,
        domain::Source::Defaults => Source::Defaults,
        domain::Source::Group(name) => Source::Group { name: name.clone() },
        domain::Source::User(name) => Source::User { name: name.clone() },
        domain::Source::Kind(kind) => Source::ContainerType { name: word(*kind).to_owned() },
        domain::Source::Admin => Source::Admin,
    }
}
