//! Answers for: with whom a container shares name spaces.
//!
//! Must never: send a container's name on; the daemon answers with a full id.

use super::super::desk::Desk;
use super::super::fields::{text, texts};
use super::super::refusal::Refusal;
use super::{ContainerRef, ContainerRole};
use crate::json::Json;
use crate::object::ObjectRef;

type Judged = Result<Option<Json>, Refusal>;

/// Networks that belong to nobody: the Engine's own.
pub(crate) const DEFAULT_NETWORKS: [&str; 2] = ["default", "bridge"];

fn host(desk: &Desk<'_>, path: &str) -> Result<(), Refusal> {
    if desk.rules.admin {
        return Ok(());
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" may not be \"host\": it would show the container the host itself; leave it out, or ask the admin"
    )))
}

fn unknown(path: &str, given: &str) -> Refusal {
    Refusal::bad(format!("\"{path}\" {given:?} is not known to DS01; leave it out, or ask the admin"))
}

fn refer(desk: &mut Desk<'_>, role: ContainerRole, name: &str, path: &str) -> Result<(), Refusal> {
    let name = container_name(path, name)?;
    let slot = desk.found.containers.len();
    desk.found.containers.push(ContainerRef { slot, role, name, mode: String::new() });
    Ok(())
}

/// The name, id or prefix of another container, without the slash that old clients put in front.
pub(crate) fn container_name(path: &str, name: &str) -> Result<String, Refusal> {
    let name = name.strip_prefix('/').unwrap_or(name);
    match ObjectRef::new(name) {
        Some(name) => Ok(name.to_string()),
        None => {
            Err(Refusal::bad(format!("\"{path}\" names no container: {name:?} is neither a name nor an id")))
        }
    }
}

/// Legacy links, `NAME:ALIAS`, also in the form in which inspect shows them (`/NAME:/SELF/ALIAS`).
pub(crate) fn links(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    for (position, given) in texts(path, value)?.into_iter().enumerate() {
        let path = format!("{path}[{position}]");
        let (name, alias) = given.split_once(':').unwrap_or((&given, &given));
        let name = container_name(&path, name)?;
        let alias = container_name(&path, alias.rsplit('/').next().unwrap_or(alias))?;
        let slot = desk.found.containers.len();
        desk.found.containers.push(ContainerRef { slot, role: ContainerRole::Link, name, mode: alias });
    }
    Ok(None)
}

/// A mode that is empty, one of `plain`, `host` (admins), or where `join` is given another container's.
fn mode(
    desk: &mut Desk<'_>,
    path: &str,
    value: Option<&Json>,
    plain: &[&str],
    join: Option<ContainerRole>,
) -> Judged {
    let given = text(path, value)?;
    if let (Some(role), Some(name)) = (join, given.strip_prefix("container:")) {
        refer(desk, role, name, path)?;
        return Ok(None);
    }
    match given.as_str() {
        "" => {}
        "host" => host(desk, path)?,
        other if plain.contains(&other) => {}
        other => return Err(unknown(path, other)),
    }
    Ok(value.map(|_| Json::text(given)))
}

pub(crate) fn pid_mode(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    mode(desk, path, value, &[], Some(ContainerRole::Pid))
}

pub(crate) fn ipc_mode(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    mode(desk, path, value, &["none", "private", "shareable"], Some(ContainerRole::Ipc))
}

pub(crate) fn uts_mode(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    mode(desk, path, value, &[], None)
}

pub(crate) fn userns_mode(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    mode(desk, path, value, &[], None)
}

pub(crate) fn cgroupns_mode(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    mode(desk, path, value, &["private"], None)
}

pub(crate) fn network_mode(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if let Some(name) = given.strip_prefix("container:") {
        refer(desk, ContainerRole::Network, name, path)?;
        return Ok(None);
    }
    match given.as_str() {
        "" | "none" => {}
        "host" if desk.rules.host_network => {}
        "host" => host(desk, path)?,
        name if DEFAULT_NETWORKS.contains(&name) => {}
        name => super::networks::refer(desk, name),
    }
    desk.found.network_mode = given;
    Ok(None)
}
