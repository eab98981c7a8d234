//! Answers for: the rows of `Config`, the part of a create body that says what runs.
//!
//! Must never: send labels or environment on; those are put together when the daemon has answered.

use super::super::desk::Desk;
use super::super::fields::{
    INFRASTRUCTURE, KIND_LABEL, OWN_LABEL_PREFIX, healthcheck, labels, stop_timeout, text, texts, working_dir,
};
use super::super::refusal::Refusal;
use super::super::shape::Shape::{Bool, Text, TextOrTexts, TextSet, Texts};
use super::super::table::Rule::{Check, Clamp, Drop, Pass, Set};
use super::super::table::{Table, row};
use super::{host, networks};
use crate::gpu::{DRIVER_CAPABILITIES, is_gpu_env_key, known_capabilities};
use crate::json::Json;

type Judged = Result<Option<Json>, Refusal>;

/// `ContainerConfig`, and the two objects beside it.
pub(crate) const CREATE: Table = &[
    row("Hostname", 40, Pass(Text), "a name inside the container"),
    row("Domainname", 40, Pass(Text), "a name inside the container"),
    row("User", 40, Check(user), "numeric ids are written as uid:gid; binds are mapped to the caller"),
    row("AttachStdin", 40, Pass(Bool), "how the client attaches"),
    row("AttachStdout", 40, Pass(Bool), "how the client attaches"),
    row("AttachStderr", 40, Pass(Bool), "how the client attaches"),
    row("ExposedPorts", 40, Pass(TextSet), "documents ports, publishes none"),
    row("Tty", 40, Pass(Bool), "a terminal"),
    row("OpenStdin", 40, Pass(Bool), "how the client attaches"),
    row("StdinOnce", 40, Pass(Bool), "how the client attaches"),
    row("Env", 40, Check(env), "variables that choose GPUs are the daemon's; the rest is the caller's"),
    row("Cmd", 40, Pass(TextOrTexts), "runs inside the container"),
    row("Healthcheck", 40, Clamp(healthcheck), "every check is an exec"),
    row("ArgsEscaped", 40, Drop, "Windows only"),
    row("Image", 40, Check(image), "the daemon looks whether the caller may see it"),
    row("Volumes", 40, Pass(TextSet), "anonymous volumes at paths in the container"),
    row("WorkingDir", 40, Check(working_dir), "/proc/self/fd leads out of the container (CVE-2024-21626)"),
    row("Entrypoint", 40, Pass(TextOrTexts), "runs inside the container"),
    row("NetworkDisabled", 40, Pass(Bool), "takes away"),
    row("MacAddress", 40, Check(mac_address), "a chosen address can be another machine's"),
    row("OnBuild", 40, Pass(Texts), "for images made from this container"),
    row("Labels", 40, Set(own_labels), "ds01.* are the daemon's"),
    row("StopSignal", 40, Pass(Text), "a signal inside the container"),
    row("StopTimeout", 40, Clamp(stop_timeout), "an idle stop waits that long"),
    row("Shell", 40, Pass(TextOrTexts), "runs inside the container"),
    row("HostConfig", 40, Check(host::host_config), "its own table"),
    row("NetworkingConfig", 40, Check(networks::networking_config), "its own table"),
];

fn image(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    desk.found.image = text(path, value)?;
    Ok(Some(Json::text(&desk.found.image)))
}

fn env(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = texts(path, value)?;
    let mut dropped = Vec::new();
    for variable in given {
        let key = super::super::env::key(&variable);
        if is_gpu_env_key(key) {
            // The GPU reading has its own words about the one variable that people do use.
            if key != super::super::env::VISIBLE_DEVICES && !dropped.contains(&key.to_owned()) {
                dropped.push(key.to_owned());
            }
        } else {
            let kept = bounded(desk, variable);
            desk.found.env.extend(kept);
        }
    }
    if !dropped.is_empty() {
        desk.warn(format!("Variables that steer the NVIDIA runtime were dropped: {}.", dropped.join(", ")));
    }
    Ok(None)
}

/// A variable as it is sent on: of the parts of the driver, those that there are.
fn bounded(desk: &mut Desk<'_>, variable: String) -> Option<String> {
    let Some((DRIVER_CAPABILITIES, value)) = variable.split_once('=') else { return Some(variable) };
    let (known, unknown) = known_capabilities(value);
    if let Some(unknown) = unknown {
        desk.warn(format!(
            "{DRIVER_CAPABILITIES} names \"{unknown}\", which no NVIDIA driver has; what is known of it was kept: {}.",
            known.as_deref().unwrap_or("nothing")
        ));
    }
    known.map(|known| format!("{DRIVER_CAPABILITIES}={known}"))
}

fn own_labels(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let said = value.and_then(Json::as_object).and_then(|given| given.get(KIND_LABEL)).and_then(Json::as_str);
    desk.found.infrastructure = desk.rules.admin && said == Some(INFRASTRUCTURE);
    if let Some(Json::Object(kept)) = labels(desk, path, value)? {
        debug_assert!(kept.iter().all(|(key, _)| !key.starts_with(OWN_LABEL_PREFIX)));
        desk.found.labels = kept
            .iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
            .collect();
    }
    Ok(None)
}

fn mac_address(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    if !text(path, value)?.is_empty() {
        desk.warn("MacAddress was dropped: the Engine chooses addresses here.");
    }
    Ok(None)
}

/// `User`, written so that it means the same whatever the image's passwd says: Docker reads
/// `+20001` and `020001` as 20001, and gives a bare uid the gid and groups that the image names.
fn user(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    let own = desk.rules.uid;
    let (name, group) = match given.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (given.as_str(), None),
    };
    let written = match (numeric(name), group.map(|group| (group, numeric(group)))) {
        (Some(uid), None) if uid == own => format!("{uid}:{}", desk.rules.gid),
        (Some(uid), None) => uid.to_string(),
        (Some(uid), Some((_, Some(gid)))) => format!("{uid}:{gid}"),
        (Some(uid), Some((group, None))) => format!("{uid}:{group}"),
        (None, _) => given,
    };
    desk.found.user = (!written.is_empty()).then(|| written.clone());
    Ok(value.map(|_| Json::text(written)))
}

/// A number as the Engine reads it: a sign and leading zeros count for nothing.
pub(crate) fn numeric(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
