//! From names to device nodes, or to the real runtime's error, mode by mode.

use crate::config::{Config, Mode};
use crate::image::{Asked, is_qualified};
use crate::machine::{Found, Machine, Node};

/// The kind under which specifications are made on the spot.
const AUTOMATIC_KIND: &str = "runtime.nvidia.com/gpu";
/// The kind of the specifications on the machine.
const INSTALLED_KIND: &str = "nvidia.com/gpu";
/// The driver capabilities that a legacy container may name.
const CAPABILITIES: &[&str] =
    &["all", "compat32", "compute", "display", "graphics", "ngx", "utility", "video"];

/// The real runtime's errors, in its words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    #[error("nvidia-container-cli: device error: {0}: unknown device")]
    UnknownDevice(String),
    #[error("cannot set {0} in non privileged container")]
    NotPrivileged(&'static str),
    #[error("unsupported capabilities found in '{found}' (allowed '{allowed}')")]
    Capabilities { found: String, allowed: String },
    #[error("could not apply required modification to OCI specification: error modifying OCI spec: failed to inject CDI devices: unresolvable CDI devices {}", .0.join(", "))]
    Unresolvable(Vec<String>),
    #[error(
        "failed to construct OCI spec modifier: requesting a CDI device with vendor 'runtime.nvidia.com' is not supported when requesting other CDI devices"
    )]
    MixedKinds,
    #[error(
        "could not apply required modification to OCI specification: error modifying OCI spec: failed to create the automatic CDI modifier: failed to generate CDI spec for mode \"auto\": failed to construct device spec generators: failed to get NVML device handle for identifier \"{id}\": {why}"
    )]
    NoHandle { id: String, why: String },
}

/// What is to be written into the specification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edits {
    /// The nodes, each once.
    pub(crate) nodes: Vec<Node>,
    /// What the container may do with them.
    pub(crate) access: &'static str,
    /// Whether `NVIDIA_VISIBLE_DEVICES` becomes `void`, as every CDI specification of NVIDIA's makes it.
    pub(crate) void: bool,
}

/// Finds what is asked for; `None` when nothing is.
pub(crate) fn select(
    config: &Config,
    machine: &Machine,
    asked: &Asked,
) -> Result<Option<Edits>, SelectError> {
    if asked.names.is_empty() {
        return Ok(None);
    }
    let (found, access, void) = match asked.mode {
        Mode::Legacy => (legacy(machine, asked)?, "rw", false),
        Mode::Cdi => (qualified(machine, &completed(asked, &config.default_kind))?, "rwm", true),
        Mode::Auto | Mode::JitCdi => (qualified(machine, &completed(asked, AUTOMATIC_KIND))?, "rwm", true),
    };
    let mut nodes: Vec<Node> = Vec::new();
    for node in machine.control.iter().chain(found.into_iter().flat_map(Found::nodes)) {
        if !nodes.contains(node) {
            nodes.push(node.clone());
        }
    }
    Ok(Some(Edits { nodes, access, void }))
}

/// As `nvidia-container-cli` reads a device list.
fn legacy<'a>(machine: &'a Machine, asked: &Asked) -> Result<Vec<Found<'a>>, SelectError> {
    for name in ["NVIDIA_MIG_CONFIG_DEVICES", "NVIDIA_MIG_MONITOR_DEVICES"] {
        if !asked.privileged && asked.env.get(name).is_some_and(|value| !value.is_empty()) {
            return Err(SelectError::NotPrivileged(&name["NVIDIA_".len()..]));
        }
    }
    let capabilities = asked.env.get("NVIDIA_DRIVER_CAPABILITIES").map(String::as_str).unwrap_or_default();
    let named: Vec<&str> = capabilities.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if !named.contains(&"all") && named.iter().any(|name| !CAPABILITIES.contains(name)) {
        let allowed: Vec<&str> = named.into_iter().filter(|name| CAPABILITIES.contains(name)).collect();
        return Err(SelectError::Capabilities { found: capabilities.to_owned(), allowed: allowed.join(",") });
    }
    let mut found = Vec::new();
    for name in asked.names.iter().filter(|name| !name.is_empty()) {
        if name.eq_ignore_ascii_case("all") {
            return Ok(machine.everything());
        }
        let one = machine
            .by_uuid(name)
            .or_else(|| machine.by_pci(name))
            .or_else(|| machine.by_index(name))
            .or_else(|| machine.by_mig_index(name));
        found.push(one.ok_or_else(|| SelectError::UnknownDevice(name.clone()))?);
    }
    Ok(found)
}

/// The names with the kind before those that have none, each once.
fn completed(asked: &Asked, kind: &str) -> Vec<String> {
    let mut names = Vec::new();
    for name in &asked.names {
        let name = if name.is_empty() { "none" } else { name };
        let name = if is_qualified(name) { name.to_owned() } else { format!("{kind}={name}") };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn qualified<'a>(machine: &'a Machine, names: &[String]) -> Result<Vec<Found<'a>>, SelectError> {
    let automatic: Vec<&str> =
        names.iter().filter_map(|name| name.strip_prefix(AUTOMATIC_KIND)?.strip_prefix('=')).collect();
    match automatic.len() {
        0 => installed(machine, names),
        some if some == names.len() => made(machine, &automatic),
        _ => Err(SelectError::MixedKinds),
    }
}

/// Names of the specifications on the machine: index, `card:ordinal`, UUID (in these very capitals) and `all`.
fn installed<'a>(machine: &'a Machine, names: &[String]) -> Result<Vec<Found<'a>>, SelectError> {
    let mut found = Vec::new();
    let mut unresolvable = Vec::new();
    for name in names {
        let device = name.strip_prefix(INSTALLED_KIND).and_then(|rest| rest.strip_prefix('='));
        let ones: Vec<Found<'a>> = match device {
            None => Vec::new(),
            Some("all") => machine.usable(),
            Some(device) => {
                let by_uuid = machine.by_uuid(device).filter(|found| has_uuid(*found, device));
                let one = machine.by_index(device).or_else(|| machine.by_mig_index(device)).or(by_uuid);
                // A card in MIG mode has no entry of its own.
                one.into_iter().filter(|one| machine.usable().contains(one)).collect()
            }
        };
        if ones.is_empty() {
            unresolvable.push(name.clone());
        }
        found.extend(ones);
    }
    if unresolvable.is_empty() { Ok(found) } else { Err(SelectError::Unresolvable(unresolvable)) }
}

fn has_uuid(found: Found<'_>, uuid: &str) -> bool {
    match found {
        Found::Card(card) => card.uuid == uuid,
        Found::Mig(_, mig) => mig.uuid == uuid,
    }
}

/// Identifiers from which a specification is made on the spot.
fn made<'a>(machine: &'a Machine, ids: &[&str]) -> Result<Vec<Found<'a>>, SelectError> {
    let mut found = Vec::new();
    for id in ids {
        let fail = |why: &str| SelectError::NoHandle { id: (*id).to_owned(), why: why.to_owned() };
        let one = match *id {
            "all" => return Ok(machine.usable()),
            "none" => return Ok(Vec::new()),
            id if id.starts_with("GPU-") || id.starts_with("MIG-") => {
                machine.by_uuid(id).filter(|found| has_uuid(*found, id)).ok_or_else(|| fail("Not Found"))?
            }
            id if id.bytes().all(|byte| byte.is_ascii_digit()) => {
                machine.by_index(id).ok_or_else(|| fail("Invalid Argument"))?
            }
            id if id.split(':').count() == 2
                && id.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') =>
            {
                machine.by_mig_index(id).ok_or_else(|| fail("Not Found"))?
            }
            id => return Err(fail(&format!("identifier is not a valid UUID or index: {id:?}"))),
        };
        found.push(one);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn machine() -> Machine {
        let node = |path: &str, minor: u32| json!({"path": path, "type": "b", "major": 7, "minor": minor});
        serde_json::from_value(json!({
            "control": [node("/dev/nvidiactl", 99)],
            "cards": [
                {"uuid": "GPU-aa", "node": node("/dev/nvidia0", 0), "pci": "00000000:07:00.0"},
                {"uuid": "GPU-bb", "node": node("/dev/nvidia1", 1), "mig": [
                    {"uuid": "MIG-cc", "nodes": [node("/dev/nvidia-caps/nvidia-cap12", 12)]},
                    {"uuid": "MIG-dd", "nodes": [node("/dev/nvidia-caps/nvidia-cap21", 21)]},
                ]},
            ],
        }))
        .unwrap()
    }

    fn check(mode: Mode, names: &str, env: &[(&str, &str)], expected: &Expect) {
        let config: Config = serde_json::from_value(json!({"machine": "/m"})).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let asked = Asked {
            mode,
            names: names.split(' ').map(|name| name.replace("none", "")).collect(),
            env: env.collect::<BTreeMap<_, _>>(),
            privileged: false,
        };
        expected.assert_eq(&match select(&config, &machine(), &asked) {
            Ok(Some(edits)) => {
                let paths: Vec<&str> =
                    edits.nodes.iter().map(|node| &node.path["/dev/nvidia".len()..]).collect();
                format!("{} {}{}", paths.join(" "), edits.access, if edits.void { " void" } else { "" })
            }
            Ok(None) => "nothing".to_owned(),
            Err(error) => error
                .to_string()
                .rsplit_once("generators: ")
                .map_or(error.to_string(), |(_, end)| end.to_owned()),
        });
    }

    #[test]
    fn legacy_reads_as_nvidia_container_cli_does() {
        let check = |names, expected: &Expect| check(Mode::Legacy, names, &[], expected);
        check("GPU-aa", &expect!["ctl 0 rw"]);
        check("gpu-AA 0 00000000:07:00.0", &expect!["ctl 0 rw"]);
        check("MIG-dd", &expect!["ctl 1 -caps/nvidia-cap21 rw"]);
        check("1:0", &expect!["ctl 1 -caps/nvidia-cap12 rw"]);
        check("1", &expect!["ctl 1 rw"]);
        check("all", &expect!["ctl 0 1 -caps/nvidia-cap12 -caps/nvidia-cap21 rw"]);
        check("none", &expect!["ctl rw"]);
        check("0 2", &expect!["nvidia-container-cli: device error: 2: unknown device"]);
        check("GPU-a", &expect!["nvidia-container-cli: device error: GPU-a: unknown device"]);
        check("1:2", &expect!["nvidia-container-cli: device error: 1:2: unknown device"]);
        check("+0", &expect!["nvidia-container-cli: device error: +0: unknown device"]);
        check(
            "nvidia.com/gpu=0",
            &expect!["nvidia-container-cli: device error: nvidia.com/gpu=0: unknown device"],
        );
    }

    #[test]
    fn legacy_judges_the_other_variables() {
        check(
            Mode::Legacy,
            "0",
            &[("NVIDIA_MIG_CONFIG_DEVICES", "all")],
            &expect!["cannot set MIG_CONFIG_DEVICES in non privileged container"],
        );
        check(
            Mode::Legacy,
            "0",
            &[("NVIDIA_DRIVER_CAPABILITIES", "compute,magic")],
            &expect!["unsupported capabilities found in 'compute,magic' (allowed 'compute')"],
        );
        check(Mode::Legacy, "0", &[("NVIDIA_DRIVER_CAPABILITIES", "compute,utility")], &expect!["ctl 0 rw"]);
    }

    #[test]
    fn specifications_made_on_the_spot() {
        let check = |names, expected: &Expect| check(Mode::JitCdi, names, &[], expected);
        check("GPU-aa MIG-cc", &expect!["ctl 0 1 -caps/nvidia-cap12 rwm void"]);
        check("0 0", &expect!["ctl 0 rwm void"]);
        check("1:1", &expect!["ctl 1 -caps/nvidia-cap21 rwm void"]);
        check("all", &expect!["ctl 0 1 -caps/nvidia-cap12 -caps/nvidia-cap21 rwm void"]);
        check("none", &expect!["ctl rwm void"]);
        check("GPU-zz", &expect![[r#"failed to get NVML device handle for identifier "GPU-zz": Not Found"#]]);
        check("7", &expect![[r#"failed to get NVML device handle for identifier "7": Invalid Argument"#]]);
        check(
            "0000:07:00.0",
            &expect![[
                r#"failed to get NVML device handle for identifier "0000:07:00.0": identifier is not a valid UUID or index: "0000:07:00.0""#
            ]],
        );
        check(
            "nvidia.com/gpu=0 0",
            &expect![
                "failed to construct OCI spec modifier: requesting a CDI device with vendor 'runtime.nvidia.com' is not supported when requesting other CDI devices"
            ],
        );
    }

    #[test]
    fn specifications_on_the_machine() {
        let check = |names, expected: &Expect| check(Mode::Cdi, names, &[], expected);
        check("nvidia.com/gpu=GPU-aa 1:0", &expect!["ctl 0 1 -caps/nvidia-cap12 rwm void"]);
        check("all", &expect!["ctl 0 1 -caps/nvidia-cap12 -caps/nvidia-cap21 rwm void"]);
        check("runtime.nvidia.com/gpu=0", &expect!["ctl 0 rwm void"]);
        check(
            "none gpu-aa 1 other.com/gpu=0 0",
            &expect![
                "could not apply required modification to OCI specification: error modifying OCI spec: failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=none, nvidia.com/gpu=gpu-aa, nvidia.com/gpu=1, other.com/gpu=0"
            ],
        );
    }
}
