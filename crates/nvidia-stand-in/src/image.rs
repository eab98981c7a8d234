//! What a container asks for, read from its specification as the real runtime reads it: annotations before mounts
//! before the environment.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{Config, Mode};

const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES";
const MOUNT_ROOT: &str = "/var/run/nvidia-container-devices";

/// Why a specification cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("invalid environment variable: {0}")]
    Variable(String),
    #[error("invalid OCI specification: {0}")]
    Spec(&'static str),
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The mode, resolved.
    pub(crate) mode: Mode,
    /// The names; empty means that this is no GPU container, a single empty name is `none`.
    pub(crate) names: Vec<String>,
    /// The container's environment; the last of several entries counts.
    pub(crate) env: BTreeMap<String, String>,
    /// Whether it has `CAP_SYS_ADMIN` in its bounding set.
    pub(crate) privileged: bool,
}

/// Reads a specification.
pub(crate) fn read(config: &Config, spec: &Value) -> Result<Asked, ImageError> {
    let env = env(spec)?;
    let privileged = is_privileged(spec);
    // Annotations count in mode cdi alone; whether that is the mode may depend on them.
    let with_annotations = visible(config, spec, &env, privileged, true);
    let mode = match config.mode {
        Mode::Auto
            if !with_annotations.is_empty() && with_annotations.iter().all(|name| is_qualified(name)) =>
        {
            Mode::Cdi
        }
        Mode::Auto => Mode::JitCdi,
        mode => mode,
    };
    let names =
        if mode == Mode::Cdi { with_annotations } else { visible(config, spec, &env, privileged, false) };
    Ok(Asked { mode, names, env, privileged })
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn env(spec: &Value) -> Result<BTreeMap<String, String>, ImageError> {
    let list = &spec["process"]["env"];
    if !list.is_null() && !list.is_array() {
        return Err(ImageError::Spec("process.env is not a list"));
    }
    strings(list)
        .map(|entry| {
            let (name, value) =
                entry.split_once('=').ok_or_else(|| ImageError::Variable(entry.to_owned()))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn is_privileged(spec: &Value) -> bool {
    strings(&spec["process"]["capabilities"]["bounding"]).any(|capability| capability == "CAP_SYS_ADMIN")
}

fn visible(
    config: &Config,
    spec: &Value,
    env: &BTreeMap<String, String>,
    privileged: bool,
    annotations: bool,
) -> Vec<String> {
    if annotations {
        let names = from_annotations(config, spec);
        if !names.is_empty() {
            return names;
        }
    }
    if config.accept_nvidia_visible_devices_as_volume_mounts {
        let names = from_mounts(spec);
        if !names.is_empty() {
            return names;
        }
    }
    if privileged || config.accept_nvidia_visible_devices_envvar_when_unprivileged {
        return from_env(config, env);
    }
    Vec::new()
}

fn from_annotations(config: &Config, spec: &Value) -> Vec<String> {
    let annotations = spec["annotations"].as_object().into_iter().flatten();
    let mut matching: Vec<_> = annotations
        .filter(|(key, _)| config.annotation_prefixes.iter().any(|prefix| key.starts_with(prefix)))
        .collect();
    matching.sort_by_key(|(key, _)| *key);
    let values = matching.into_iter().filter_map(|(_, value)| value.as_str());
    values.flat_map(|value| value.split(',')).map(ToOwned::to_owned).collect()
}

fn from_mounts(spec: &Value) -> Vec<String> {
    let mut seen = Vec::new();
    let mut names = Vec::new();
    for mount in spec["mounts"].as_array().into_iter().flatten() {
        let path = |key: &str| cleaned(mount[key].as_str().unwrap_or_default());
        let destination = path("destination");
        if path("source") != "/dev/null" || seen.contains(&destination) {
            continue;
        }
        let name = destination.strip_prefix(MOUNT_ROOT).map(|rest| rest.trim_matches('/').to_owned());
        seen.push(destination);
        match name.as_deref() {
            None | Some("") => {}
            Some(name) if name.starts_with("imex/") => {}
            Some(name) => match name.strip_prefix("cdi/") {
                Some(device) => names.extend(cdi_mount(device)),
                None => names.push(name.to_owned()),
            },
        }
    }
    names
}

/// `vendor/class=device` or `vendor/class/device`; anything else is passed over.
fn cdi_mount(device: &str) -> Option<String> {
    if is_qualified(device) {
        return Some(device.to_owned());
    }
    let mut parts = device.splitn(3, '/');
    let (vendor, class, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{vendor}/{class}={name}"))
}

fn from_env(config: &Config, env: &BTreeMap<String, String>) -> Vec<String> {
    let preferred: Vec<&str> =
        config.swarm_resource.split(',').map(str::trim).filter(|name| env.contains_key(*name)).collect();
    let variables = if preferred.is_empty() { vec![VISIBLE_DEVICES] } else { preferred };
    let values: Vec<&String> = variables.iter().filter_map(|name| env.get(*name)).collect();
    let names: Vec<&str> = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
    let legacy_image = set("CUDA_VERSION") && !set("NVIDIA_REQUIRE_CUDA");
    // Among the special words the most restrictive one wins.
    if values.is_empty() && legacy_image {
        vec!["all".to_owned()]
    } else if names.is_empty() || names.contains(&"void") {
        Vec::new()
    } else if names.contains(&"none") {
        vec![String::new()]
    } else if names.contains(&"all") {
        vec!["all".to_owned()]
    } else {
        names.into_iter().map(ToOwned::to_owned).collect()
    }
}

/// Whether a name is a CDI name, `vendor/class=device`.
pub(crate) fn is_qualified(name: &str) -> bool {
    let Some((kind, device)) = name.split_once('=') else { return false };
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let made_of = |text: &str, others: &str| {
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || others.contains(letter))
    };
    let ends_well = |text: &str| text.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    let name_of_kind = |text: &str| {
        text.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && made_of(text, "_-.")
            && ends_well(text)
    };
    let device_ok = device.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && made_of(device, "_-.:")
        && ends_well(device);
    name_of_kind(vendor) && name_of_kind(class) && device_ok
}

/// A path without empty, `.` and `..` parts.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn config(changes: &Value) -> Config {
        let mut config = json!({"machine": "/m"});
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    fn check(changes: &Value, spec: &Value, expected: &Expect) {
        expected.assert_eq(&match read(&config(changes), spec) {
            Ok(asked) => format!("{:?} {:?}", asked.mode, asked.names),
            Err(error) => format!("refused: {error}"),
        });
    }

    fn env(entries: &[&str]) -> Value {
        json!({"process": {"env": entries}})
    }

    #[test]
    fn the_environment() {
        let none = json!({});
        check(&none, &env(&[]), &expect!["JitCdi []"]);
        check(&none, &env(&["NVIDIA_VISIBLE_DEVICES="]), &expect!["JitCdi []"]);
        check(&none, &env(&["NVIDIA_VISIBLE_DEVICES=void,0"]), &expect!["JitCdi []"]);
        check(&none, &env(&["NVIDIA_VISIBLE_DEVICES=all,none"]), &expect![[r#"JitCdi [""]"#]]);
        check(&none, &env(&["NVIDIA_VISIBLE_DEVICES=0,all"]), &expect![[r#"JitCdi ["all"]"#]]);
        check(
            &none,
            &env(&["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES= GPU-1 ,,1"]),
            &expect![[r#"JitCdi ["GPU-1", "1"]"#]],
        );
        check(&none, &env(&["CUDA_VERSION=11"]), &expect![[r#"JitCdi ["all"]"#]]);
        check(&none, &env(&["CUDA_VERSION=11", "NVIDIA_REQUIRE_CUDA=x"]), &expect!["JitCdi []"]);
        check(&none, &env(&["CUDA_VERSION=11", "NVIDIA_VISIBLE_DEVICES=void"]), &expect!["JitCdi []"]);
        check(&none, &env(&["NOTHING"]), &expect!["refused: invalid environment variable: NOTHING"]);
        check(
            &json!({"swarm-resource": "DOCKER_RESOURCE_GPU"}),
            &env(&["NVIDIA_VISIBLE_DEVICES=0", "DOCKER_RESOURCE_GPU=1"]),
            &expect![[r#"JitCdi ["1"]"#]],
        );
    }

    #[test]
    fn the_environment_counts_in_privileged_containers_whatever_the_setting() {
        let closed = json!({"accept-nvidia-visible-devices-envvar-when-unprivileged": false});
        let mut spec = env(&["NVIDIA_VISIBLE_DEVICES=0"]);
        check(&closed, &spec, &expect!["JitCdi []"]);
        spec["process"]["capabilities"] = json!({"bounding": ["CAP_SYS_ADMIN"]});
        check(&closed, &spec, &expect![[r#"JitCdi ["0"]"#]]);
    }

    #[test]
    fn annotations_come_before_mounts_before_the_environment() {
        let open = json!({"accept-nvidia-visible-devices-as-volume-mounts": true});
        let mut spec = env(&["NVIDIA_VISIBLE_DEVICES=0"]);
        spec["mounts"] = json!([
            {"source": "/dev/null", "destination": "/var/run/nvidia-container-devices/../nvidia-container-devices/1"},
            {"source": "/dev/null", "destination": "/var/run/nvidia-container-devices/1"},
            {"source": "/etc", "destination": "/var/run/nvidia-container-devices/2"},
            {"source": "/dev/null", "destination": "/var/run/nvidia-container-devices/imex/0"},
        ]);
        check(&json!({}), &spec, &expect![[r#"JitCdi ["0"]"#]]);
        check(&open, &spec, &expect![[r#"JitCdi ["1"]"#]]);
        spec["annotations"] =
            json!({"cdi.k8s.io/b": "nvidia.com/gpu=3", "cdi.k8s.io/a": "nvidia.com/gpu=2", "x": "y"});
        check(&open, &spec, &expect![[r#"Cdi ["nvidia.com/gpu=2", "nvidia.com/gpu=3"]"#]]);
        let jit = json!({"mode": "jit-cdi"});
        check(&jit, &spec, &expect![[r#"JitCdi ["0"]"#]]);
        spec["annotations"]["cdi.k8s.io/c"] = json!("4");
        check(&json!({}), &spec, &expect![[r#"JitCdi ["0"]"#]]);
    }

    #[test]
    fn qualified_names_choose_the_mode() {
        check(
            &json!({}),
            &env(&["NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=0"]),
            &expect![[r#"Cdi ["nvidia.com/gpu=0"]"#]],
        );
        check(
            &json!({}),
            &env(&["NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=0,1"]),
            &expect![[r#"JitCdi ["nvidia.com/gpu=0", "1"]"#]],
        );
        check(
            &json!({"accept-nvidia-visible-devices-as-volume-mounts": true}),
            &json!({"mounts": [
                {"source": "/dev/null", "destination": "/var/run/nvidia-container-devices/cdi/nvidia.com/gpu/0"},
                {"source": "/dev/null", "destination": "/var/run/nvidia-container-devices/cdi/nvidia.com/gpu=1"},
                {"source": "/dev/null", "destination": "/var/run/nvidia-container-devices/cdi/odd"},
            ]}),
            &expect![[r#"Cdi ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]"#]],
        );
        for (name, expected) in [
            ("nvidia.com/gpu=GPU-1-2", true),
            ("nvidia.com/gpu=0:1", true),
            ("nvidia.com/gpu=", false),
            ("nvidia.com/gpu=-1", false),
            ("gpu=0", false),
            ("/gpu=0", false),
            ("1nvidia/gpu=0", false),
            ("GPU-1", false),
        ] {
            assert_eq!(is_qualified(name), expected, "{name}");
        }
    }
}
