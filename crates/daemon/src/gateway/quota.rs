//! How much of everything one user may have, where the kernel or the Engine has one store for all: mounts, address
//! ranges, names. What groups say of GPUs, memory and running containers is the rules' own.

use ds01_docker::body::JudgedCreate;
use ds01_domain::{ContainerId, Denial, Person, Uid};

use super::Door;
use super::http::Refusal;
use super::own;
use crate::coordinator::Fault;
use crate::engine::{ImageFacts, RunState};
use crate::identity::Caller;
use crate::ledger::ObjectKind;

/// Bind mounts of one container. Each is a mount of the host for as long as the container exists, and the kernel
/// allows 100 000 in all.
const BINDS_MAX: usize = 64;
/// What the Engine's list of containers shows of one, in bytes: labels, command, mounts. Everybody's lists are made of
/// all of them.
const LISTED_BYTES_MAX: usize = 256 * 1024;
/// Other objects that one container names: each is looked up.
const NAMED_MAX: usize = 64;
/// Ports of the host that one container is reached by. For each the Engine runs a process of its own.
const PORTS_MAX: usize = 128;
/// Processes that were let in by exec and have not ended, or not begun. The Engine keeps each until its container ends.
const EXECS_MAX: usize = 1000;
/// Containers of one user that exist, running or not.
const CONTAINERS_MAX: usize = 256;
/// Networks of one user: by default the Engine has address ranges for thirty.
const NETWORKS_MAX: usize = 12;
/// Volumes of one user.
const VOLUMES_MAX: usize = 1000;

/// Whether a container names no more than can be looked up one by one.
pub(super) fn few_enough(judged: &JudgedCreate) -> Result<(), Refusal> {
    for (count, max, things) in [
        (judged.binds().len(), BINDS_MAX, "bind mounts"),
        (judged.volumes().len(), NAMED_MAX, "volumes"),
        (judged.networks().len(), NAMED_MAX, "networks"),
        (judged.containers().len(), NAMED_MAX, "other containers"),
        (judged.images().len(), NAMED_MAX, "images mounted"),
        (judged.memory_mounts(), NAMED_MAX, "file systems in memory"),
    ] {
        if count > max {
            return Err(Refusal::bad(format!("a container can have {max} {things} here, not {count}")));
        }
    }
    Ok(())
}

/// Sets what all containers of a person may use together, before one more of them runs.
pub(crate) async fn bound_together(door: &Door, person: &Person) {
    // An Engine that does not answer starts nothing.
    let Ok(group) = door.group_of(person.uid.0).await else { return };
    let total = door.config().policy.resolve(person).aggregate;
    if let Err(error) = group.bound(&total).await {
        tracing::warn!(principal = person.name, %error, "the limits of a user's containers together could not be set");
    }
}

/// Sets it for everybody who has containers: after a start of the daemon, and when the configuration has changed.
pub(crate) async fn bound_everybody(door: &Door) {
    let owners = door
        .coordinator
        .read(|state, _, _| {
            state
                .containers()
                .filter(|c| c.exists())
                .map(|c| (c.owner, c.owner_name.clone()))
                .collect::<std::collections::BTreeMap<_, _>>()
        })
        .await
        .unwrap_or_default();
    for (uid, name) in owners {
        let person = door.person(uid.0, &name).await;
        bound_together(door, &person).await;
    }
}

/// Whether a container gets no more than may be, what its image brings along counted as well.
pub(super) fn few_enough_with(judged: &JudgedCreate, image: &ImageFacts) -> Result<(), Refusal> {
    let listed = judged.listed_bytes() + image.listed_bytes;
    if listed > LISTED_BYTES_MAX {
        return Err(Refusal::bad(format!(
            "the labels, command and mounts of a container are {} KiB at most here, those of its image included; these \
             are {} KiB",
            LISTED_BYTES_MAX >> 10,
            listed.div_ceil(1024)
        )));
    }
    let volumes = judged.nameless_volumes() + image.volumes;
    let ports = judged.published_ports(image.ports);
    if volumes > NAMED_MAX {
        return Err(Refusal::bad(format!(
            "a container can have {NAMED_MAX} volumes without a name here, not {volumes}; those of its image count"
        )));
    }
    if ports > PORTS_MAX {
        return Err(Refusal::bad(format!(
            "a container can publish {PORTS_MAX} ports here, not {ports}; publish those that are needed: -p PORT"
        )));
    }
    Ok(())
}

/// Whether one more process may be let into a container, by the Engine's word on it.
pub(super) fn may_exec(inspect: &serde_json::Value) -> Result<(), Refusal> {
    let execs = inspect.get("ExecIDs").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    if execs < EXECS_MAX {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "{execs} execs of this container run or were never started, the most that there may be; end some, or restart the \
         container"
    )))
}

/// Whether one more container may be made.
pub(super) async fn may_create(door: &Door, caller: &Caller) -> Result<(), Refusal> {
    if caller.admin {
        return Ok(());
    }
    let existing = own::visible_ids(door, caller).await?.map_or(0, |ids| ids.len());
    if existing >= CONTAINERS_MAX {
        return Err(Refusal::conflict(format!(
            "you have {existing} containers, the most that one user may; remove those that you need no more: docker \
             container prune"
        )));
    }
    Ok(())
}

/// How many objects of a kind a user has.
async fn owned(door: &Door, kind: ObjectKind, uid: u32) -> Result<usize, Refusal> {
    let all = door.coordinator.ledger(move |ledger| ledger.owned(kind)).await?.map_err(Fault::from)?;
    Ok(all.into_iter().filter(|object| object.uid == uid).count())
}

/// Whether one more network may be made.
pub(super) async fn may_create_network(door: &Door, caller: &Caller) -> Result<(), Refusal> {
    let owned = owned(door, ObjectKind::Network, caller.uid).await?;
    if caller.admin || owned < NETWORKS_MAX {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "you have {owned} networks, the most that one user may; remove those that you need no more: docker network prune"
    )))
}

/// Whether one more volume may be claimed.
pub(super) async fn may_create_volume(door: &Door, uid: u32, admin: bool) -> Result<(), Refusal> {
    let owned = owned(door, ObjectKind::Volume, uid).await?;
    if admin || owned < VOLUMES_MAX {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "you have {owned} volumes, the most that one user may; remove those that you need no more: docker volume prune"
    )))
}

/// Whether one more of a person's containers may run. At its create fewer may have run than now.
pub(super) async fn may_start(
    door: &Door,
    person: &Person,
    id: &ContainerId,
) -> Result<Option<Denial>, Refusal> {
    let Some(max) = door.config().policy.resolve(person).max_containers_per_user else { return Ok(None) };
    let running = running(door, person.uid).await?;
    let others = running.iter().filter(|other| *other != id).count();
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    if others < max || running.contains(id) {
        return Ok(None);
    }
    match door.engine.look(id).await {
        Ok(look) if matches!(look.state, RunState::Running | RunState::Paused) => Ok(None),
        _ => Ok(Some(Denial::Containers { running: others, max })),
    }
}

/// The containers of a user that run, by our own books: a label alone can be an image's.
pub(super) async fn running(door: &Door, uid: Uid) -> Result<Vec<ContainerId>, Refusal> {
    let filters = format!("{{\"label\":[\"{}={uid}\"]}}", super::OWNER_LABEL);
    let encoded = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/v1.40/containers/json?filters={encoded}");
    let reply = door.engine.ask(hyper::Method::GET, &path, None).await?;
    let listed: Vec<ContainerId> = reply
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("Id").and_then(serde_json::Value::as_str))
        .filter_map(ContainerId::new)
        .collect();
    Ok(door
        .coordinator
        .read(move |state, _, _| {
            listed.into_iter().filter(|id| state.container(id).is_some_and(|c| c.owner == uid)).collect()
        })
        .await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn execs_that_were_never_started_count() {
        assert!(may_exec(&json!({ "ExecIDs": null })).is_ok());
        assert!(may_exec(&json!({ "ExecIDs": vec!["a"; EXECS_MAX - 1] })).is_ok());
        let refusal = may_exec(&json!({ "ExecIDs": vec!["a"; EXECS_MAX] })).unwrap_err();
        assert!(refusal.message.contains("1000 execs"), "{refusal}");
    }
}
