//! Answers for: capabilities, security options, groups and kernel parameters.
//!
//! Must never: compare a spelling that the Engine would read as something else.

use std::collections::BTreeSet;

use super::super::desk::Desk;
use super::super::fields::{map_json, text_map, texts};
use super::super::refusal::Refusal;
use super::config::numeric;
use crate::json::Json;

type Judged = Result<Option<Json>, Refusal>;

/// Of Docker's default capabilities, those that no container of a user keeps.
const DROPPED: [&str; 4] = ["MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"];
/// The rest of Docker's default capabilities: adding one after dropping ALL only tightens.
const KEPT: [&str; 10] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// A capability as the Engine reads it: any case, with or without `CAP_`.
fn capability(name: &str) -> String {
    let upper = name.trim().to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

pub(crate) fn cap_add(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = texts(path, value)?;
    if desk.rules.admin {
        return Ok((!given.is_empty()).then(|| Json::texts(given)));
    }
    let mut out = Vec::new();
    for name in given {
        let capability = capability(&name);
        if !KEPT.contains(&capability.as_str()) && !desk.rules.capabilities.contains(&capability) {
            return Err(Refusal::forbidden(format!(
                "\"{path}\" asks for the capability {name:?}, which is not available here (available: {}); \
                 leave it out, or ask the admin",
                desk.rules.capabilities.join(", ")
            )));
        }
        out.push(capability);
    }
    Ok((!out.is_empty()).then(|| Json::texts(out)))
}

pub(crate) fn cap_drop(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let mut given = texts(path, value)?;
    if !desk.rules.admin {
        let dropped: BTreeSet<String> = given.iter().map(|name| capability(name)).collect();
        if !dropped.contains("ALL") {
            given.extend(
                DROPPED.iter().filter(|name| !dropped.contains(**name)).map(|name| (*name).to_owned()),
            );
        }
    }
    Ok((!given.is_empty()).then(|| Json::texts(given)))
}

/// One option split at the first `=`, or `:` as old clients write it.
fn option(text: &str) -> (&str, &str) {
    text.split_once(['=', ':']).unwrap_or((text, ""))
}

pub(crate) fn security_opt(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = texts(path, value)?;
    if desk.rules.admin {
        return Ok((!given.is_empty()).then(|| Json::texts(given)));
    }
    let mut no_new_privileges = false;
    for text in &given {
        match option(text) {
            // Where it is said twice the tighter word holds; `false` is what holds anyway.
            ("no-new-privileges", "" | "true" | "TRUE" | "True" | "t" | "T" | "1") => no_new_privileges = true,
            ("no-new-privileges", "false" | "FALSE" | "False" | "f" | "F" | "0") => {}
            ("seccomp", "builtin") | ("apparmor", "docker-default") => {}
            ("seccomp", "unconfined") => desk.warn(
                "seccomp=unconfined was dropped: Docker's default filter stays on (debuggers work with cap-add SYS_PTRACE).",
            ),
            ("label", "disable") => desk.warn("label=disable was dropped: the Engine's labels stay on."),
            (name, _) => {
                let name: String = name.chars().take(40).collect();
                return Err(Refusal::forbidden(format!(
                    "\"{path}\" {name:?} would loosen what holds the container, and is not available here; \
                     leave it out, or ask the admin"
                )));
            }
        }
    }
    Ok(no_new_privileges.then(|| Json::texts(["no-new-privileges:true"])))
}

/// What every Engine masks. Newer ones mask more.
const MASKED: [&str; 6] =
    ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"];
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(crate) fn masked_paths(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    default_paths(desk, path, value, &MASKED)
}

pub(crate) fn readonly_paths(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    default_paths(desk, path, value, &READONLY)
}

/// `null` is the Engine's own list, and so is a list taken from `docker inspect`; that one is not
/// sent on, so that the Engine's own holds. Everything else opens something, an empty list most.
fn default_paths(desk: &mut Desk<'_>, path: &str, value: Option<&Json>, base: &[&str]) -> Judged {
    let Some(given) = value.filter(|value| **value != Json::Null) else { return Ok(None) };
    let given = texts(path, Some(given))?;
    if desk.rules.admin {
        return Ok(Some(Json::texts(given)));
    }
    if !given.is_empty() && base.iter().all(|path| given.iter().any(|one| one == path)) {
        return Ok(None);
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" would open parts of /proc and /sys that stay closed here (systempaths=unconfined); \
         leave it out, or ask the admin"
    )))
}

pub(crate) fn group_add(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = texts(path, value)?;
    if desk.rules.admin {
        return Ok((!given.is_empty()).then(|| Json::texts(given)));
    }
    let mut out = Vec::new();
    for group in given {
        match numeric(&group) {
            Some(gid) if desk.rules.in_own_groups(gid) => out.push(gid.to_string()),
            Some(_) => {
                return Err(Refusal::forbidden(format!(
                    "\"{path}\" names the group {group}, which is not one of yours; `id -G` lists yours"
                )));
            }
            None => {
                return Err(Refusal::forbidden(format!(
                    "\"{path}\" names the group {group:?}, whose number the image chooses; give the number of one of \
                     your own groups (`id -G`)"
                )));
            }
        }
    }
    Ok((!out.is_empty()).then(|| Json::texts(out)))
}

/// Kernel parameters that belong to the container alone and harm nobody.
fn sysctl_allowed(name: &str) -> bool {
    matches!(name, "net.core.somaxconn" | "net.ipv4.ip_unprivileged_port_start" | "net.ipv4.ping_group_range")
        || matches!(name, "kernel.shmall" | "kernel.shmmax" | "kernel.shmmni" | "kernel.shm_rmid_forced")
}

pub(crate) fn sysctls(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text_map(path, value)?;
    if !desk.rules.admin
        && let Some((name, _)) = given.iter().find(|(name, _)| !sysctl_allowed(name))
    {
        return Err(Refusal::forbidden(format!(
            "\"{path}\" sets {name:?}, which is not available here; leave it out, or ask the admin"
        )));
    }
    Ok((!given.is_empty()).then(|| map_json(&given)))
}
