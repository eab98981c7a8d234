//! Writing a binding into an OCI bundle's `config.json`.
//!
//! `process.env`, `linux.devices` and `linux.resources.devices` change, and nothing else. Everything else is
//! carried over as the very text it was, unknown fields and large numbers included. A configuration that could be read
//! in two ways, or that asks the NVIDIA runtime for units by another way than the environment, is refused.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::{Bound, DeviceNode, env_name};

/// The largest configuration that is read, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Variables by which a container asks the NVIDIA runtime for devices. None survives unless the binding sets it.
const ASKING: &[&str] = &[
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_MIG_CONFIG_DEVICES",
    "NVIDIA_MIG_MONITOR_DEVICES",
    "NVIDIA_IMEX_CHANNELS",
];
/// Variables of swarm's node resources, which the NVIDIA runtime can be told to prefer over the above.
const ASKING_PREFIX: &str = "DOCKER_RESOURCE_";
/// Annotations by which a container asks for CDI devices.
const ANNOTATION_PREFIX: &str = "cdi.k8s.io/";
/// Mounts beneath these name devices to the NVIDIA runtime, which compares the beginning only.
const MOUNT_PREFIXES: &[&str] = &["/var/run/nvidia-container-devices", "/run/nvidia-container-devices"];

/// Permission bits of a device node in the container: whoever is in there may use it.
const NODE_MODE: u32 = 0o666;

/// Why a configuration cannot carry a binding.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not JSON, or a part that has to be read is of another type than the specification says.
    #[error("{place} is not valid")]
    Json {
        /// The part.
        place: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A part without which there is nothing to bind.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// A key is there twice, or in another spelling that runc would take for it.
    #[error("{0:?} is there more than once, or misspelt")]
    Ambiguous(String),
    /// It asks the NVIDIA runtime for units by another way than the environment.
    #[error("it asks for GPUs by {0}")]
    AsksOtherwise(String),
}

fn invalid(place: &'static str) -> impl FnOnce(serde_json::Error) -> ConfigError {
    move |source| ConfigError::Json { place, source }
}

/// A JSON object whose values are kept as text, in their order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Deserialize<'a> for Fields<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'a> Visitor<'a> for Pairs {
            type Value = Fields<'a>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Fields<'a>, M::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(field) = map.next_entry::<String, &'a RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// How Go's JSON reader compares keys: it takes any capitals, and two letters that capitalise to ASCII ones.
fn folded(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}

impl<'a> Fields<'a> {
    fn read(place: &'static str, text: &'a str) -> Result<Self, ConfigError> {
        serde_json::from_str(text).map_err(invalid(place))
    }

    /// The value under this key; `null` and absent are the same.
    fn get(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        let mut found = None;
        for (name, value) in &self.0 {
            if name != key && folded(name) != key.to_lowercase() {
                continue;
            }
            if name != key || found.replace(value.get()).is_some() {
                return Err(ConfigError::Ambiguous(name.clone()));
            }
        }
        Ok(found.filter(|text| *text != "null"))
    }

    fn need(&self, key: &'static str) -> Result<&'a str, ConfigError> {
        self.get(key)?.ok_or(ConfigError::Missing(key))
    }

    /// The object as text, with these keys' values replaced or added.
    fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut text = String::from("{");
        let kept = self.0.iter().map(|(name, value)| {
            let changed = changes.iter().find(|(key, _)| name == key);
            (name.as_str(), changed.map_or(value.get(), |(_, new)| new))
        });
        let added = changes.iter().filter(|(key, _)| self.0.iter().all(|(name, _)| name != key)).copied();
        for (at, (name, value)) in kept.chain(added).enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(name).to_string());
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }
}

fn list<'a, T: Deserialize<'a>>(place: &'static str, text: Option<&'a str>) -> Result<Vec<T>, ConfigError> {
    text.map_or(Ok(Vec::new()), |text| serde_json::from_str(text).map_err(invalid(place)))
}

fn text_of<T: Serialize>(place: &'static str, value: &T) -> Result<String, ConfigError> {
    serde_json::to_string(value).map_err(invalid(place))
}

/// `linux.cgroupsPath` of a configuration; empty when there is none.
///
/// # Errors
/// When the configuration cannot be read or has no `linux`.
pub fn cgroups_path(config: &str) -> Result<String, ConfigError> {
    let linux = Fields::read("linux", Fields::read("config.json", config)?.need("linux")?)?;
    match linux.get("cgroupsPath")? {
        Some(text) => serde_json::from_str(text).map_err(invalid("linux.cgroupsPath")),
        None => Ok(String::new()),
    }
}

/// The configuration with the binding written in.
///
/// # Errors
/// When the configuration cannot be read for certain, lacks `process` or `linux`, or asks for units by another way.
pub fn bind(config: &str, bound: &Bound) -> Result<String, ConfigError> {
    let top = Fields::read("config.json", config)?;
    refuse_other_ways(&top)?;
    let process = Fields::read("process", top.need("process")?)?;
    let env = list("process.env", process.get("env")?)?;
    let env = text_of("process.env", &bind_env(env, &bound.env))?;
    let process = process.with(&[("env", &env)]);
    if bound.devices.is_empty() {
        return Ok(top.with(&[("process", &process)]));
    }

    let linux = Fields::read("linux", top.need("linux")?)?;
    let nodes = bind_nodes(list("linux.devices", linux.get("devices")?)?, &bound.devices)?;
    let nodes = text_of("linux.devices", &nodes)?;
    let resources = Fields::read("linux.resources", linux.get("resources")?.unwrap_or("{}"))?;
    let rules = bind_rules(list("linux.resources.devices", resources.get("devices")?)?, &bound.devices)?;
    let rules = text_of("linux.resources.devices", &rules)?;
    let resources = resources.with(&[("devices", &rules)]);
    let linux = linux.with(&[("devices", &nodes), ("resources", &resources)]);
    Ok(top.with(&[("process", &process), ("linux", &linux)]))
}

fn refuse_other_ways(top: &Fields<'_>) -> Result<(), ConfigError> {
    if let Some(annotations) = top.get("annotations")? {
        for (name, _) in Fields::read("annotations", annotations)?.0 {
            if name.starts_with(ANNOTATION_PREFIX) {
                return Err(ConfigError::AsksOtherwise(format!("the annotation {name}")));
            }
        }
    }
    for mount in list::<&RawValue>("mounts", top.get("mounts")?)? {
        let Some(destination) = Fields::read("mounts", mount.get())?.get("destination")? else { continue };
        let destination: String = serde_json::from_str(destination).map_err(invalid("mounts"))?;
        let clean = cleaned(&destination);
        if MOUNT_PREFIXES.iter().any(|prefix| clean.starts_with(prefix)) {
            return Err(ConfigError::AsksOtherwise(format!("the mount {clean}")));
        }
    }
    Ok(())
}

/// The path without empty, `.` and `..` parts, as the NVIDIA runtime cleans it before it compares.
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

/// Each bound variable exactly once, where the first of its name stood or else at the end; what asks for devices and
/// is not bound, gone.
fn bind_env(old: Vec<String>, bound: &[String]) -> Vec<String> {
    let asks = |name: &str| ASKING.contains(&name) || name.starts_with(ASKING_PREFIX);
    let mut set = vec![false; bound.len()];
    let mut env = Vec::with_capacity(old.len() + bound.len());
    for entry in old {
        let name = env_name(&entry);
        match bound.iter().position(|new| env_name(new) == name) {
            Some(at) if !set[at] => {
                set[at] = true;
                env.push(bound[at].clone());
            }
            Some(_) => {}
            None if asks(name) => {}
            None => env.push(entry),
        }
    }
    let rest = bound.iter().zip(set).filter(|(_, set)| !set).map(|(entry, _)| entry.clone());
    env.extend(rest);
    env
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node<'a> {
    path: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    major: u32,
    minor: u32,
    file_mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Serialize)]
struct Rule {
    allow: bool,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    major: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<u32>,
    access: &'static str,
}

fn raw<T: Serialize>(place: &'static str, value: &T) -> Result<Box<RawValue>, ConfigError> {
    to_raw_value(value).map_err(invalid(place))
}

/// The nodes that were there, without those whose place a bound one takes, and the bound ones.
fn bind_nodes(old: Vec<&RawValue>, bound: &[DeviceNode]) -> Result<Vec<Box<RawValue>>, ConfigError> {
    let mut nodes = Vec::with_capacity(old.len() + bound.len());
    for node in old {
        let path = Fields::read("linux.devices", node.get())?.need("path")?;
        let path: String = serde_json::from_str(path).map_err(invalid("linux.devices"))?;
        if bound.iter().all(|new| new.path != cleaned(&path)) {
            nodes.push(node.to_owned());
        }
    }
    for DeviceNode { path, kind, major, minor, .. } in bound {
        let (major, minor) = (*major, *minor);
        let node = Node { path, kind: kind.letter(), major, minor, file_mode: NODE_MODE, uid: 0, gid: 0 };
        nodes.push(raw("linux.devices", &node)?);
    }
    Ok(nodes)
}

/// The rules that were there, and one for each bound node. Without any rule runtimes differ, so then all is denied
/// first, which is what the Engine writes.
fn bind_rules(old: Vec<&RawValue>, bound: &[DeviceNode]) -> Result<Vec<Box<RawValue>>, ConfigError> {
    let mut rules: Vec<Box<RawValue>> = old.into_iter().map(ToOwned::to_owned).collect();
    if rules.is_empty() {
        let deny = Rule { allow: false, kind: None, major: None, minor: None, access: "rwm" };
        rules.push(raw("linux.resources.devices", &deny)?);
    }
    for node in bound {
        let rule = Rule {
            allow: true,
            kind: Some(node.kind.letter()),
            major: Some(node.major),
            minor: Some(node.minor),
            access: node.mode.letters(),
        };
        rules.push(raw("linux.resources.devices", &rule)?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::{Access, DeviceKind};

    fn bound(devices: u32) -> Bound {
        let devices = (0..devices).map(|at| DeviceNode {
            path: format!("/dev/nvidia{at}"),
            kind: DeviceKind::Block,
            major: 7,
            minor: 1000 + at,
            mode: Access::ReadWrite,
        });
        Bound {
            epoch: 7,
            units: vec!["GPU-1".to_owned()],
            env: vec!["NVIDIA_VISIBLE_DEVICES=GPU-1".to_owned(), "DS01_UNITS=GPU-1".to_owned()],
            devices: devices.collect(),
            runtime: "runc".to_owned(),
        }
    }

    fn check(config: &str, devices: u32, expected: &Expect) {
        expected.assert_eq(&match bind(config, &bound(devices)) {
            Ok(text) => text,
            Err(error) => format!("refused: {error}"),
        });
    }

    #[test]
    fn a_binding_changes_its_places_and_nothing_else() {
        check(
            r#"{ "ociVersion": "1.0.2",
  "process": {"terminal": true, "env": ["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=all", "A=b", "NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_MIG_CONFIG_DEVICES=all", "DOCKER_RESOURCE_GPU=x", "NVIDIA_VISIBLE_DEVICES"], "rlimits": [{"hard":18446744073709551615}]},
  "linux": {"devices": [{"path":"/dev/fuse","type":"c","major":10,"minor":229}, {"path":"/dev//nvidia0","type":"c","major":195,"minor":0}],
    "resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": 123456789012345678901234567890}}, "unknown": [1.50]},
  "future": {"x": 1e400} }"#,
            2,
            &expect![[
                r#"{"ociVersion":"1.0.2","process":{"terminal":true,"env":["PATH=/bin","NVIDIA_VISIBLE_DEVICES=GPU-1","A=b","DS01_UNITS=GPU-1"],"rlimits":[{"hard":18446744073709551615}]},"linux":{"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229},{"path":"/dev/nvidia0","type":"b","major":7,"minor":1000,"fileMode":438,"uid":0,"gid":0},{"path":"/dev/nvidia1","type":"b","major":7,"minor":1001,"fileMode":438,"uid":0,"gid":0}],"resources":{"devices":[{"allow": false, "access": "rwm"},{"allow":true,"type":"b","major":7,"minor":1000,"access":"rw"},{"allow":true,"type":"b","major":7,"minor":1001,"access":"rw"}],"memory":{"limit": 123456789012345678901234567890}},"unknown":[1.50]},"future":{"x": 1e400}}"#
            ]],
        );
    }

    #[test]
    fn what_is_absent_or_null_is_made() {
        check(
            r#"{"process":{"env":null},"linux":{"devices":null,"resources":null}}"#,
            1,
            &expect![[
                r#"{"process":{"env":["NVIDIA_VISIBLE_DEVICES=GPU-1","DS01_UNITS=GPU-1"]},"linux":{"devices":[{"path":"/dev/nvidia0","type":"b","major":7,"minor":1000,"fileMode":438,"uid":0,"gid":0}],"resources":{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":7,"minor":1000,"access":"rw"}]}}}"#
            ]],
        );
        check(
            r#"{"process":{},"linux":{}}"#,
            0,
            &expect![[
                r#"{"process":{"env":["NVIDIA_VISIBLE_DEVICES=GPU-1","DS01_UNITS=GPU-1"]},"linux":{}}"#
            ]],
        );
    }

    #[test]
    fn what_cannot_be_bound_for_certain_is_refused() {
        check("{", 1, &expect!["refused: config.json is not valid"]);
        check("[]", 1, &expect!["refused: config.json is not valid"]);
        check("{}", 1, &expect!["refused: there is no process"]);
        check(r#"{"process":{}}"#, 1, &expect!["refused: there is no linux"]);
        check(r#"{"process":{"env":[1]},"linux":{}}"#, 1, &expect!["refused: process.env is not valid"]);
        check(
            r#"{"process":{},"Process":{},"linux":{}}"#,
            1,
            &expect![[r#"refused: "Process" is there more than once, or misspelt"#]],
        );
        check(
            r#"{"process":{"env":[],"env":["NVIDIA_VISIBLE_DEVICES=all"]},"linux":{}}"#,
            1,
            &expect![[r#"refused: "env" is there more than once, or misspelt"#]],
        );
        check(
            r#"{"process":{},"linux":{"re\u017fource\u017f":{}}}"#,
            1,
            &expect![[r#"refused: "reſourceſ" is there more than once, or misspelt"#]],
        );
        check(
            r#"{"process":{},"linux":{},"annotations":{"a":"b","cdi.k8s.io/x":"nvidia.com/gpu=all"}}"#,
            0,
            &expect!["refused: it asks for GPUs by the annotation cdi.k8s.io/x"],
        );
        check(
            r#"{"process":{},"linux":{},"mounts":[{"source":"/dev/null","destination":"/var//run/./nvidia-container-devices/all"}]}"#,
            0,
            &expect!["refused: it asks for GPUs by the mount /var/run/nvidia-container-devices/all"],
        );
    }

    #[test]
    fn the_cgroup_is_read() {
        let path = |config| cgroups_path(config).map_err(|error| error.to_string());
        assert_eq!(path(r#"{"linux":{"cgroupsPath":"a:b:c"}}"#).as_deref(), Ok("a:b:c"));
        assert_eq!(path(r#"{"linux":{}}"#).as_deref(), Ok(""));
        assert!(path(r#"{"linux":{"cgroupsPath":1}}"#).is_err());
        assert!(path("{}").is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[xyz\"]{1,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_stays(
            others in proptest::collection::btree_map("x[a-z\"\\\\]{0,6}", value(), 0..5),
            env in proptest::collection::vec("[A-Z]{1,6}=.{0,8}", 0..5),
        ) {
            let mut config = serde_json::Map::from_iter(others);
            config.insert("process".to_owned(), json!({"env": &env, "cwd": "/"}));
            config.insert("linux".to_owned(), json!({"resources": {"pids": {"limit": 5}}}));
            let text = Value::Object(config.clone()).to_string();
            let new: Value = serde_json::from_str(&bind(&text, &bound(1)).unwrap()).unwrap();
            let mut expected = env;
            expected.extend(bound(1).env);
            config["process"]["env"] = json!(expected);
            config["linux"]["devices"] = new["linux"]["devices"].clone();
            config["linux"]["resources"]["devices"] = new["linux"]["resources"]["devices"].clone();
            prop_assert_eq!(new, Value::Object(config));
        }
    }
}
