//! Every field of the Engine API has a row, and every row is a field of the API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::commit::COMMIT;
use super::super::create::table;
use super::super::endpoint::{ENDPOINT, ENDPOINT_IPAM};
use super::super::exec::{EXEC, EXEC_START};
use super::super::fields::HEALTH;
use super::super::limits::ULIMIT;
use super::super::login::LOGIN;
use super::super::network::{CONFIG_FROM, CONNECT, DISCONNECT, IPAM, IPAM_CONFIG, NETWORK};
use super::super::shape::Part;
use super::super::table::{Rule, Table};
use super::super::update::UPDATE;
use super::super::volume::VOLUME;
use crate::present::ROUND_TRIP;

enum Cover {
    Rows(&'static str, Table),
    Parts(&'static [Part]),
    /// Refused or dropped whole, whatever is in it.
    Whole,
}

fn api() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/engine-api.json")).expect("json")
}

/// Minor version since which a field is there, where the API tells it of the field itself.
type Fields = BTreeMap<String, u64>;

fn fields(object: &Value) -> Fields {
    object
        .as_object()
        .expect("fields")
        .iter()
        .map(|(name, field)| (name.clone(), field["since"].as_u64().unwrap_or(40)))
        .collect()
}

fn definition(name: &str) -> Fields {
    fields(&api()["definitions"][name]["fields"])
}

fn body(operation: &str) -> Fields {
    fields(&api()["operations"][operation]["body_fields"])
}

/// Fields directly in the object that `prefix` names.
fn within(all: &Fields, prefix: &str) -> Fields {
    all.iter()
        .filter_map(|(name, since)| {
            let name = name.strip_prefix(prefix)?;
            (!name.contains('.') && !name.starts_with('+')).then(|| (name.to_owned(), *since))
        })
        .collect()
}

fn objects() -> Vec<(Fields, Cover)> {
    let host: Fields = within(&definition("HostConfig"), "")
        .into_iter()
        .chain(within(&definition("Resources"), ""))
        .collect();
    let resources = definition("Resources");
    let mount = definition("Mount");
    let mut update = within(&resources, "");
    update.insert("RestartPolicy".to_owned(), 40);
    let mut create = definition("ContainerConfig");
    create.extend(within(&body("POST /containers/create"), ""));
    vec![
        (create, Cover::Rows("create", table::CREATE)),
        (host, Cover::Rows("HostConfig", table::HOST)),
        (within(&definition("HostConfig"), "LogConfig."), Cover::Rows("LogConfig", table::LOG)),
        (definition("RestartPolicy"), Cover::Rows("RestartPolicy", table::RESTART)),
        (within(&resources, "BlkioWeightDevice[]."), Cover::Parts(table::WEIGHT)),
        (definition("ThrottleDevice"), Cover::Parts(table::THROTTLE)),
        (within(&resources, "Ulimits[]."), Cover::Parts(ULIMIT)),
        (definition("DeviceMapping"), Cover::Parts(table::DEVICE)),
        (definition("DeviceRequest"), Cover::Parts(table::DEVICE_REQUEST)),
        (within(&mount, ""), Cover::Rows("Mount", table::MOUNT)),
        (within(&mount, "BindOptions."), Cover::Rows("BindOptions", table::BIND_OPTIONS)),
        (within(&mount, "VolumeOptions."), Cover::Rows("VolumeOptions", table::VOLUME_OPTIONS)),
        (within(&mount, "VolumeOptions.DriverConfig."), Cover::Rows("DriverConfig", table::DRIVER_CONFIG)),
        (within(&mount, "TmpfsOptions."), Cover::Rows("TmpfsOptions", table::TMPFS_OPTIONS)),
        (within(&mount, "ImageOptions."), Cover::Rows("ImageOptions", table::IMAGE_OPTIONS)),
        (definition("HealthConfig"), Cover::Rows("HealthConfig", HEALTH)),
        (definition("NetworkingConfig"), Cover::Rows("NetworkingConfig", table::NETWORKING)),
        (definition("EndpointSettings"), Cover::Rows("EndpointSettings", ENDPOINT)),
        (definition("EndpointIPAMConfig"), Cover::Rows("EndpointIPAMConfig", ENDPOINT_IPAM)),
        (body("POST /containers/{id}/exec"), Cover::Rows("exec", EXEC)),
        (body("POST /exec/{id}/start"), Cover::Rows("exec start", EXEC_START)),
        (update, Cover::Rows("update", UPDATE)),
        (definition("AuthConfig"), Cover::Rows("login", LOGIN)),
        (definition("ContainerConfig"), Cover::Rows("commit", COMMIT)),
        (definition("VolumeCreateRequest"), Cover::Rows("volume", VOLUME)),
        (body("POST /networks/create"), Cover::Rows("network", NETWORK)),
        (definition("IPAM"), Cover::Rows("IPAM", IPAM)),
        (definition("IPAMConfig"), Cover::Parts(IPAM_CONFIG)),
        (definition("ConfigReference"), Cover::Parts(CONFIG_FROM)),
        (definition("NetworkConnectRequest"), Cover::Rows("connect", CONNECT)),
        (definition("NetworkDisconnectRequest"), Cover::Rows("disconnect", DISCONNECT)),
        (definition("ClusterVolumeSpec"), Cover::Whole),
    ]
}

/// What clients send beyond the API's description.
const BEYOND: [(&str, &str); 8] = [
    ("exec", "Container"),
    ("exec", "Detach"),
    ("exec", "Id"),
    ("exec start", "hijack"),
    ("exec start", "stdin"),
    ("login", "auth"),
    ("login", "identitytoken"),
    ("login", "registrytoken"),
];

#[test]
fn every_field_of_the_api_has_a_row_and_every_row_is_a_field() {
    for (fields, cover) in objects() {
        assert!(!fields.is_empty());
        let names: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        match cover {
            Cover::Whole => {}
            Cover::Parts(parts) => {
                assert_eq!(parts.iter().map(|part| part.name).collect::<BTreeSet<_>>(), names);
            }
            Cover::Rows(table, rows) => {
                let have: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
                assert_eq!(have.len(), rows.len(), "{table} has a row twice");
                let missing: Vec<_> = names.difference(&have).collect();
                assert!(missing.is_empty(), "{table} has no row for {missing:?}");
                for extra in have.difference(&names) {
                    assert!(BEYOND.contains(&(table, *extra)), "{table}.{extra} is not in the API");
                }
                for row in rows {
                    assert!(!row.why.is_empty() && !row.why.ends_with('.'), "{table}.{}", row.name);
                    // Definitions that got a name later tell the naming's version of their fields.
                    if let Some(since) = fields.get(row.name)
                        && !fields.values().all(|since| *since >= 52)
                    {
                        let told = *since;
                        assert_eq!(
                            u64::from(row.since),
                            told,
                            "{table}.{} is in the API since 1.{told}",
                            row.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_inspect_shows_again_can_be_remembered() {
    for field in ROUND_TRIP {
        assert!(table::remembered_shape(field).is_some(), "{field}");
    }
}

#[test]
fn every_refusal_names_the_field_and_a_way_out() {
    for (_, cover) in objects() {
        let Cover::Rows(table, rows) = cover else { continue };
        for row in rows {
            if let Rule::Refuse(_, sentence) | Rule::Never(sentence) = &row.rule {
                let out = ["leave it out", "ask the admin", "use ", "make a new one", "instead"];
                assert!(out.iter().any(|way| sentence.contains(way)), "{table}.{}: {sentence}", row.name);
            }
        }
    }
}
