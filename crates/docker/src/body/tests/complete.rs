//! Nothing of a request passes because nobody thought of it: every body of the API has a judge, every structure in it a
//! table, and what a user's value passes through unchanged is written down here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{judge_create, judge_update};
use super::{answer, unlimited};
use crate::route::{BodyRule, Class, ROWS};

fn api() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/engine-api.json")).expect("json")
}

/// Bodies that users may send, with what judges them.
const JUDGED: [(&str, &str); 10] = [
    ("POST /auth", "LOGIN"),
    ("POST /commit", "COMMIT"),
    ("POST /containers/create", "CREATE"),
    ("POST /containers/{}/exec", "EXEC"),
    ("POST /containers/{}/update", "UPDATE"),
    ("POST /exec/{}/start", "EXEC_START"),
    ("POST /networks/create", "NETWORK"),
    ("POST /networks/{}/connect", "CONNECT"),
    ("POST /networks/{}/disconnect", "DISCONNECT"),
    ("POST /volumes/create", "VOLUME"),
];

/// Structures that these bodies hold, each of which `rows.rs` holds against a table; `Topology` and what lies in a
/// cluster volume are refused whole,
const STRUCTURES: [&str; 23] = [
    "AuthConfig",
    "ClusterVolumeSpec",
    "ConfigReference",
    "ContainerConfig",
    "DeviceMapping",
    "DeviceRequest",
    "EndpointIPAMConfig",
    "EndpointSettings",
    "HealthConfig",
    "HostConfig",
    "IPAM",
    "IPAMConfig",
    "Mount",
    "MountType",
    "NetworkConnectRequest",
    "NetworkDisconnectRequest",
    "NetworkingConfig",
    "PortMap",
    "Resources",
    "RestartPolicy",
    "ThrottleDevice",
    "Topology",
    "VolumeCreateRequest",
];

/// `POST /containers/{}/exec` for whichever name the path gives its object.
fn shape(operation: &str) -> String {
    let (method, path) = operation.split_once(' ').expect("an operation");
    let path: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
    format!("{method} {}", path.join("/"))
}

/// Adds the structures that a type names, and those within them.
fn reach(api: &Value, of_type: &str, found: &mut BTreeSet<String>) {
    let name = of_type.trim_start_matches("all of ").trim_matches(['[', ']', '{', '}']);
    let Some(definition) = api["definitions"].get(name) else { return };
    if found.insert(name.to_owned()) {
        for field in definition["fields"].as_object().into_iter().flat_map(|fields| fields.values()) {
            reach(api, field["type"].as_str().unwrap_or_default(), found);
        }
    }
}

#[test]
fn every_body_of_the_api_is_judged_or_refused() {
    let api = api();
    let mut structures = BTreeSet::new();
    let mut judged = BTreeSet::new();
    for (name, described) in api["operations"].as_object().expect("operations") {
        let Some(body) = described["body"].as_str() else { continue };
        let row = ROWS
            .iter()
            .find(|row| shape(&format!("{} {}", row.method.as_str(), row.pattern)) == shape(name))
            .unwrap_or_else(|| panic!("{name} has no row"));
        if matches!(row.class, Class::Refused(_) | Class::Admin) {
            continue;
        }
        if body == "string" {
            assert_eq!(row.body, BodyRule::Stream, "{name}");
            continue;
        }
        assert_eq!(row.body, BodyRule::Json, "{name}");
        assert!(JUDGED.iter().any(|(known, _)| *known == shape(name)), "nothing judges the body of {name}");
        judged.insert(shape(name));
        reach(&api, body, &mut structures);
        for field in described["body_fields"].as_object().into_iter().flat_map(|fields| fields.values()) {
            reach(&api, field["type"].as_str().unwrap_or_default(), &mut structures);
        }
    }
    assert_eq!(judged.len(), JUDGED.len());
    assert_eq!(structures.iter().map(String::as_str).collect::<Vec<_>>(), STRUCTURES);
}

#[test]
fn operations_without_a_body_read_none() {
    let api = api();
    let with_body: BTreeSet<String> = api["operations"]
        .as_object()
        .expect("operations")
        .iter()
        .filter(|(_, described)| !described["body"].is_null())
        .map(|(name, _)| shape(name))
        .collect();
    for row in ROWS.iter().filter(|row| row.body != BodyRule::None) {
        let name = shape(&format!("{} {}", row.method.as_str(), row.pattern));
        let refused = matches!(row.class, Class::Refused(_));
        assert!(refused || with_body.contains(&name), "{name} reads a body that the API does not have");
    }
}

/// Values that do harm in some field of this type; none of them is neutral.
fn hostile(of_type: &str) -> Vec<Value> {
    match of_type {
        "string" => vec![json!("host"), json!("/etc/shadow"), json!("container:bob")],
        "boolean" => vec![json!(true)],
        "integer" => vec![json!(-1), json!(1_u64 << 50)],
        "[string]" => vec![json!(["/etc/shadow:/x"]), json!(["/:/host"])],
        "[integer]" => vec![json!([1, 2])],
        "{string}" => vec![json!({"device": "/dev/sda"})],
        "{object}" => vec![json!({"/etc": {}})],
        "PortMap" => vec![json!({"80/tcp": [{"HostPort": "22"}]})],
        "RestartPolicy" => vec![json!({"Name": "always"})],
        "HealthConfig" => vec![json!({"Test": ["CMD", "x"], "Interval": 1})],
        "[object]" | "[ThrottleDevice]" => vec![json!([{"Path": "/dev/sda", "Name": "rtprio"}])],
        "[Mount]" => vec![json!([{"Type": "bind", "Source": "/etc", "Target": "/x"}])],
        "[DeviceMapping]" => vec![json!([{"PathOnHost": "/dev/sda"}])],
        "[DeviceRequest]" => vec![json!([{"Driver": "evil"}])],
        "object" => vec![json!({"Type": "syslog"})],
        other => panic!("a field has the type {other}, of which this test knows no value"),
    }
}

/// Fields of a structure with their types; those of the parts of a field are another test's.
fn fields_of(api: &Value, structure: &str) -> Vec<(String, String)> {
    let fields = api["definitions"][structure]["fields"].as_object().expect("fields");
    fields
        .iter()
        .filter(|(name, _)| !name.contains('.') && !name.starts_with('+'))
        .map(|(name, field)| (name.clone(), field["type"].as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// The fields through which a hostile value of the right type reaches the Engine as it was written.
fn passing(structures: &[&str], send: impl Fn(&str, &Value) -> Option<Value>) -> Vec<String> {
    let api = api();
    let mut passing = BTreeSet::new();
    for (field, of_type) in structures.iter().flat_map(|structure| fields_of(&api, structure)) {
        for value in hostile(&of_type) {
            if send(&field, &value).is_some_and(|sent| sent == value) {
                passing.insert(field.clone());
            }
        }
    }
    passing.into_iter().collect()
}

fn sent_create(body: &Value) -> Option<Value> {
    let mut judged = judge_create(&serde_json::to_vec(body).expect("json"), &unlimited()).ok()?;
    answer(&mut judged);
    for network in judged.networks().to_vec() {
        judged.set_network(&network, "its-id");
    }
    serde_json::from_slice(&judged.into_body().ok()?).ok()
}

/// What a container may be told about itself, and what only takes away from it.
#[test]
fn fields_of_a_container_that_pass_unchanged() {
    let passing = passing(&["ContainerConfig"], |field, value| {
        let mut body = json!({"Image": "base"});
        body[field] = value.clone();
        Some(sent_create(&body)?[field].clone())
    });
    assert_eq!(
        passing,
        [
            "AttachStderr",
            "AttachStdin",
            "AttachStdout",
            "Cmd",
            "Domainname",
            "Entrypoint",
            "ExposedPorts",
            "Hostname",
            "Image",
            "Labels",
            "NetworkDisabled",
            "OnBuild",
            "OpenStdin",
            "Shell",
            "StdinOnce",
            "StopSignal",
            "Tty",
            "User",
            "Volumes",
            "WorkingDir",
        ]
    );
}

/// The same of what touches the host, for a group without limits: with limits the amounts are lowered as well.
#[test]
fn fields_of_the_host_that_pass_unchanged() {
    let passing = passing(&["HostConfig", "Resources"], |field, value| {
        Some(
            sent_create(&json!({"Image": "base", "HostConfig": {field: value}}))?["HostConfig"][field]
                .clone(),
        )
    });
    assert_eq!(
        passing,
        [
            "AutoRemove",
            "BlkioWeight",
            "ConsoleSize",
            "CpuPeriod",
            "CpuQuota",
            "CpuShares",
            "CpusetCpus",
            "CpusetMems",
            "Dns",
            "DnsOptions",
            "DnsSearch",
            "ExtraHosts",
            "Init",
            "KernelMemory",
            "KernelMemoryTCP",
            "Memory",
            "MemoryReservation",
            "MemorySwap",
            "MemorySwappiness",
            "NanoCpus",
            "OomScoreAdj",
            "PidsLimit",
            "PublishAllPorts",
            "ReadonlyRootfs",
            "RestartPolicy",
            "ShmSize",
        ]
    );
}

#[test]
fn fields_of_an_update_that_pass_unchanged() {
    let passing = passing(&["Resources"], |field, value| {
        let body = serde_json::to_vec(&json!({field: value})).expect("json");
        let judged = judge_update(&body, &unlimited()).ok()?;
        serde_json::from_slice::<Value>(&judged.into_body(false)).ok()?.get(field).cloned()
    });
    assert_eq!(
        passing,
        [
            "BlkioWeight",
            "CpuPeriod",
            "CpuQuota",
            "CpuShares",
            "CpusetCpus",
            "CpusetMems",
            "KernelMemory",
            "KernelMemoryTCP",
            "Memory",
            "MemoryReservation",
            "MemorySwap",
            "NanoCpus",
            "PidsLimit",
        ]
    );
}
