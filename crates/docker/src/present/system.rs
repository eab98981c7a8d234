//! `/version`, `/_ping`, `/info` and `/system/df`: the machine as users need to know it.

use serde_json::{Map, Value, json};

use super::{Unreadable, object, text};
use crate::version::ApiVersion;

/// The caller's containers by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerCounts {
    /// Running.
    pub running: u64,
    /// Paused.
    pub paused: u64,
    /// Created, exited or dead.
    pub stopped: u64,
}

/// What `/info` is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoView<'a> {
    /// Whether GPUs can be had, so that a runtime `nvidia` is shown (Dev Containers looks for it).
    pub gpus: bool,
    /// The name of the hinge among the Engine's runtimes: not shown.
    pub hinge_runtime: &'a str,
    /// The caller's containers.
    pub containers: ContainerCounts,
    /// The images that the caller may see.
    pub images: u64,
}

/// The reply of `GET /info`.
///
/// # Errors
/// A reply that is no object.
pub fn info(mut reply: Value, view: &InfoView<'_>) -> Result<Value, Unreadable> {
    let info = object(&mut reply, "the Engine's information")?;
    let counts = view.containers;
    for (key, count) in [
        ("Containers", counts.running + counts.paused + counts.stopped),
        ("ContainersRunning", counts.running),
        ("ContainersPaused", counts.paused),
        ("ContainersStopped", counts.stopped),
        ("Images", view.images),
    ] {
        info.insert(key.into(), json!(count));
    }
    if let Some(runtimes) = info.get_mut("Runtimes").and_then(Value::as_object_mut) {
        runtimes.shift_remove(view.hinge_runtime);
        if view.gpus {
            runtimes.entry("nvidia").or_insert_with(|| json!({"path": "nvidia-container-runtime"}));
        } else {
            runtimes.shift_remove("nvidia");
        }
    }
    if text_of(info, "DefaultRuntime") == Some(view.hinge_runtime) {
        info.insert("DefaultRuntime".into(), json!("runc"));
    }
    info.insert("Swarm".into(), no_swarm());
    info.shift_remove("DiscoveredDevices");
    hide_mirror_credentials(info.get_mut("RegistryConfig"));
    Ok(reply)
}

/// Swarm as an Engine shows it that takes part in none.
fn no_swarm() -> Value {
    json!({
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": false,
        "Error": "",
        "RemoteManagers": null,
    })
}

/// Mirrors are addresses that an administrator may have written with a password in them.
fn hide_mirror_credentials(registries: Option<&mut Value>) {
    let Some(registries) = registries else { return };
    let hide = |mirrors: Option<&mut Value>| {
        for mirror in mirrors.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::String(url) = mirror
                && let Some((scheme, rest)) = url.split_once("://")
            {
                let authority = rest.split('/').next().unwrap_or_default();
                if let Some((_, host)) = authority.rsplit_once('@') {
                    *url = format!("{scheme}://{host}{}", &rest[authority.len()..]);
                }
            }
        }
    };
    hide(registries.get_mut("Mirrors"));
    if let Some(indexes) = registries.get_mut("IndexConfigs").and_then(Value::as_object_mut) {
        indexes.values_mut().for_each(|index| hide(index.get_mut("Mirrors")));
    }
}

/// The reply of `GET /version`, with the versions of the API that the door speaks.
///
/// # Errors
/// A reply that is no object.
pub fn version(mut reply: Value) -> Result<Value, Unreadable> {
    let version = object(&mut reply, "the Engine's version")?;
    clamp_versions(version);
    for component in version.get_mut("Components").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(details) = component.get_mut("Details").and_then(Value::as_object_mut) {
            clamp_versions(details);
        }
    }
    Ok(reply)
}

fn clamp_versions(map: &mut Map<String, Value>) {
    if let Some(newest) = text_of(map, "ApiVersion").map(ping_api_version) {
        map.insert("ApiVersion".into(), Value::String(newest));
    }
    if let Some(oldest) = text_of(map, "MinAPIVersion") {
        let oldest =
            ApiVersion::parse(oldest).map_or(ApiVersion::OLDEST, |oldest| oldest.max(ApiVersion::OLDEST));
        map.insert("MinAPIVersion".into(), Value::String(oldest.to_string()));
    }
}

/// What the header `Api-Version` says to clients where the Engine's says `engine`. An Engine whose version cannot be
/// read is spoken to as the oldest.
pub fn ping_api_version(engine: &str) -> String {
    ApiVersion::parse(engine).map_or(ApiVersion::OLDEST, ApiVersion::advertised).to_string()
}

fn text_of<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

/// What of `/system/df` the caller may see.
#[expect(missing_debug_implementations, reason = "predicates have none")]
pub struct DfView<'a> {
    /// By full id.
    pub owns_container: &'a dyn Fn(&str) -> bool,
    /// By name.
    pub owns_volume: &'a dyn Fn(&str) -> bool,
    /// By `repository:tag`.
    pub sees_tag: &'a dyn Fn(&str) -> bool,
    /// By `sha256:…`.
    pub sees_image: &'a dyn Fn(&str) -> bool,
}

/// The reply of `GET /system/df`: the caller's own objects. The size of all layers together stays: the disk is
/// everybody's.
///
/// # Errors
/// A reply whose parts have not the shape of the API.
pub fn system_df(mut reply: Value, view: &DfView<'_>) -> Result<Value, Unreadable> {
    let df = object(&mut reply, "the disk usage")?;
    for (old, new) in [
        ("Containers", "ContainerUsage"),
        ("Images", "ImageUsage"),
        ("Volumes", "VolumeUsage"),
        ("BuildCache", "BuildCacheUsage"),
    ] {
        if let Some(list) = df.get_mut(old) {
            *list = cut_df(old, list.take(), view)?;
        }
        if let Some(usage) = df.get_mut(new).and_then(Value::as_object_mut) {
            cut_usage(old, usage, view)?;
        }
    }
    Ok(reply)
}

fn cut_df(kind: &str, mut list: Value, view: &DfView<'_>) -> Result<Value, Unreadable> {
    if list.is_null() {
        return Ok(list);
    }
    match kind {
        "Containers" => {
            let containers = super::array(&mut list, "the disk usage")?;
            containers.retain(|container| text(container, "Id").is_some_and(view.owns_container));
            containers.iter_mut().for_each(|container| super::hide_labels(container.get_mut("Labels")));
            Ok(list)
        }
        "Images" => super::image_list(list, view.sees_tag, view.sees_image),
        "Volumes" => {
            super::array(&mut list, "the disk usage")?
                .retain(|volume| text(volume, "Name").is_some_and(view.owns_volume));
            Ok(list)
        }
        // Records of the build cache have no owner.
        _ => Ok(json!([])),
    }
}

/// The form since 1.52: sums with, if asked, the items. The counts follow the items that are left; without items
/// there is nothing true to count.
fn cut_usage(kind: &str, usage: &mut Map<String, Value>, view: &DfView<'_>) -> Result<(), Unreadable> {
    usage.retain(|key, _| !matches!(key.as_str(), "ActiveCount" | "TotalCount"));
    if let Some(items) = usage.get_mut("Items") {
        *items = cut_df(kind, items.take(), view)?;
        let count = items.as_array().map_or(0, Vec::len);
        usage.insert("TotalCount".into(), json!(count));
    }
    Ok(())
}
