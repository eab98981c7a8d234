//! Answers for: taking every GPU form out of a create body, and refusing other devices.
//!
//! Must never: send on a device, a runtime or an annotation that the hinge did not choose.

use super::super::desk::Desk;
use super::super::fields::{map_json, text, text_map, texts};
use super::super::refusal::Refusal;
use super::super::shape::{Part, Shape, part};
use super::super::table::{join, same_field};
use crate::gpu::{self, DeviceNode, DeviceRequest, GpuInputs, GpuReading, MountPoint, is_nvidia_runtime};
use crate::json::{Json, Object};

type Judged = Result<Option<Json>, Refusal>;

/// `DeviceMapping`
pub(crate) const DEVICE: &[Part] = &[
    part("PathOnHost", Shape::Text),
    part("PathInContainer", Shape::Text),
    part("CgroupPermissions", Shape::Text),
];

/// `DeviceRequest`
pub(crate) const DEVICE_REQUEST: &[Part] = &[
    part("Driver", Shape::Text),
    part("Count", Shape::Integer),
    part("DeviceIDs", Shape::Texts),
    part("Capabilities", Shape::List(&Shape::Texts)),
    part("Options", Shape::TextMap),
];

/// Reads every GPU form of the body, and gives the environment it read. Comes before the rows, which
/// take out what was read.
pub(crate) fn read_gpu(body: &Object) -> Result<(GpuReading, Vec<String>), Refusal> {
    let host = find(body, "HostConfig").and_then(Json::as_object);
    let at = |name: &str| host.and_then(|host| find(host, name));
    let path = |name: &str| join("HostConfig", name);
    let inputs = GpuInputs {
        device_requests: structs(&path("DeviceRequests"), at("DeviceRequests"), DEVICE_REQUEST)?
            .iter()
            .map(device_request)
            .collect::<Result<_, _>>()?,
        runtime: text(&path("Runtime"), at("Runtime"))?,
        env: texts("Env", find(body, "Env"))?,
        devices: structs(&path("Devices"), at("Devices"), DEVICE)?
            .iter()
            .map(|device| DeviceNode {
                path_on_host: string(device, "PathOnHost"),
                path_in_container: string(device, "PathInContainer"),
                cgroup_permissions: string(device, "CgroupPermissions"),
            })
            .collect(),
        annotations: text_map(&path("Annotations"), at("Annotations"))?,
        binds: texts(&path("Binds"), at("Binds"))?,
        mounts: mount_points(&path("Mounts"), at("Mounts"))?,
    };
    let reading = gpu::read(&inputs).map_err(|refusal| Refusal::bad(refusal.message()))?;
    Ok((reading, inputs.env))
}

fn find<'o>(object: &'o Object, name: &str) -> Option<&'o Json> {
    object.iter().find(|(key, _)| same_field(key, name)).map(|(_, value)| value)
}

fn string(object: &Object, name: &str) -> String {
    object.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn structs(path: &str, value: Option<&Json>, parts: &'static [Part]) -> Result<Vec<Object>, Refusal> {
    let read = value.map(|value| read_list(path, value, parts)).transpose()?;
    Ok(read.unwrap_or_default())
}

fn read_list(path: &str, value: &Json, parts: &'static [Part]) -> Result<Vec<Object>, Refusal> {
    let items = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) => items,
        other => return Err(Refusal::wrong_kind(path, "a list", other.kind())),
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| match Shape::Struct(parts).read(&format!("{path}[{index}]"), item)? {
            Some(Json::Object(object)) => Ok(object),
            _ => Ok(Object::new()),
        })
        .collect()
}

fn device_request(request: &Object) -> Result<DeviceRequest, Refusal> {
    let sets = request.get("Capabilities").and_then(Json::as_array).unwrap_or_default();
    Ok(DeviceRequest {
        driver: string(request, "Driver"),
        count: request.get("Count").and_then(Json::as_i64).unwrap_or_default(),
        device_ids: texts("DeviceIDs", request.get("DeviceIDs"))?,
        capabilities: sets.iter().map(|set| texts("Capabilities", Some(set))).collect::<Result<_, _>>()?,
        options: text_map("Options", request.get("Options"))?,
    })
}

/// Only what the GPU reading needs; the row for `Mounts` judges the rest.
fn mount_points(path: &str, value: Option<&Json>) -> Result<Vec<MountPoint>, Refusal> {
    let items = value.and_then(Json::as_array).unwrap_or_default();
    let field = |item: &Json, name: &str| {
        let value = item.as_object().and_then(|object| find(object, name));
        text(&join(path, name), value)
    };
    items
        .iter()
        .map(|item| {
            Ok(MountPoint {
                kind: field(item, "Type")?,
                source: field(item, "Source")?,
                target: field(item, "Target")?,
            })
        })
        .collect()
}

/// `DeviceRequests`: all of them were read as the GPU ask.
pub(crate) fn taken_out(_desk: &mut Desk<'_>, _path: &str, _value: Option<&Json>) -> Judged {
    Ok(None)
}

pub(crate) fn devices(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = structs(path, value, DEVICE)?;
    let kept: Vec<Object> = given
        .into_iter()
        .enumerate()
        .filter(|(position, _)| !desk.found.strip.devices.contains(position))
        .map(|(_, device)| device)
        .collect();
    match kept.first() {
        None => Ok(None),
        Some(_) if desk.rules.admin => Ok(Some(Json::Array(kept.into_iter().map(Json::Object).collect()))),
        Some(device) => Err(Refusal::forbidden(format!(
            "\"{path}\" asks for the device {:?} of the host, which is not available here; for GPUs use --gpus, \
             otherwise ask the admin",
            string(device, "PathOnHost")
        ))),
    }
}

pub(crate) fn annotations(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let kept: Vec<(String, String)> = text_map(path, value)?
        .into_iter()
        .filter(|(key, _)| !desk.found.strip.annotations.contains(key))
        .collect();
    match kept.first() {
        None => Ok(None),
        Some(_) if desk.rules.admin => Ok(Some(map_json(&kept))),
        Some((key, _)) => Err(Refusal::forbidden(format!(
            "\"{path}\" sets {key:?}, which the container's runtime would obey; leave it out, or ask the admin"
        ))),
    }
}

/// The runtime of a container without GPUs; the daemon puts its own in where GPUs are asked for.
pub(crate) fn runtime(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    let rules = desk.rules;
    let usual = given.is_empty()
        || given == rules.plain_runtime
        || given == rules.gpu_runtime
        || is_nvidia_runtime(&given)
        || matches!(given.as_str(), "runc" | "io.containerd.runc.v2");
    if usual {
        return Ok((!rules.plain_runtime.is_empty()).then(|| Json::text(&rules.plain_runtime)));
    }
    if rules.admin {
        return Ok(Some(Json::text(given)));
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" {given:?} is not available here; leave it out, for GPUs use --gpus"
    )))
}
