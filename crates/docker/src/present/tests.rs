//! Replies, as an Engine sent them and as they are shown.

use serde_json::{Value, json};

use super::*;

/// `docker create --gpus all --restart unless-stopped …` as a bare Engine shows it, and the same request as it stands
/// in the Engine behind the door.
const ASKED: &str = include_str!("../../tests/data/inspect-asked.json");
const DOOR: &str = include_str!("../../tests/data/inspect-door.json");
const STAGE: &str = "/run/ds01/binds/0123456789abcdef0123456789abcdef";

fn data(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn original() -> Original {
    let asked = data(ASKED);
    let mut original = Original::new(asked["HostConfig"].as_object().unwrap());
    original.remember_env("NVIDIA_VISIBLE_DEVICES=all");
    original.remember_source(format!("{STAGE}/1"), "/home/alice/project");
    original.remember_source(format!("{STAGE}/2"), "/home/alice/data/");
    original
}

/// Mounts in the order of their targets: the Engine's own order is that of a map.
fn sorted_mounts(mut container: Value) -> Value {
    let mut mounts = container["Mounts"].as_array().unwrap().clone();
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    container["Mounts"] = Value::Array(mounts);
    container
}

#[test]
fn an_inspect_reads_as_if_there_were_no_door() {
    let shown = sorted_mounts(container_inspect(data(DOOR), Some(&original())).unwrap());
    let bare = sorted_mounts(data(ASKED));
    for part in ["HostConfig", "Config", "Mounts", "State", "Args"] {
        assert_eq!(write(&shown[part]), write(&bare[part]), "{part}");
    }
    let text = String::from_utf8(write(&shown)).unwrap();
    for ours in [STAGE, "ds01"] {
        assert!(!text.contains(ours), "{ours} shines through");
    }
}

#[test]
fn an_untouched_reply_is_written_as_the_engine_wrote_it() {
    for text in
        [ASKED, DOOR, include_str!("../../tests/data/info.json"), include_str!("../../tests/data/list.json")]
    {
        assert_eq!(String::from_utf8(write(&data(text))).unwrap().trim_end(), text.trim_end());
    }
}

#[test]
fn what_the_door_did_not_create_only_loses_the_systems_labels() {
    let shown = container_inspect(data(DOOR), None).unwrap();
    assert_eq!(shown["Config"]["Labels"], json!({"project": "x"}));
    assert_eq!(shown["HostConfig"]["Runtime"], "ds01");
}

#[test]
fn absent_fields_are_shown_as_the_engine_shows_their_absence() {
    let original = Original::new(
        json!({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}).as_object().unwrap(),
    );
    let shown = container_inspect(data(DOOR), Some(&original)).unwrap();
    let host_config = shown["HostConfig"].as_object().unwrap();
    assert_eq!(
        host_config["DeviceRequests"],
        json!([{"Driver": "", "Count": -1, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": null}])
    );
    assert_eq!(host_config["Runtime"], "runc");
    assert_eq!(host_config["RestartPolicy"], json!({"Name": "no", "MaximumRetryCount": 0}));
    assert!(host_config["Binds"].is_null() && !host_config.contains_key("Mounts"));
    // No variable was asked for, so the door's own is not shown either.
    assert_eq!(shown["Config"]["Env"], json!(["A=<b>&c", "PATH=/bin"]));
}

#[test]
fn a_record_survives_storage_and_an_update() {
    let mut original = original();
    original.remember("RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 2}));
    original.remember("Memory", json!(1));
    let stored = serde_json::to_string(&original).unwrap();
    let read: Original = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, original);
    assert_eq!(read.asked("RestartPolicy").unwrap()["Name"], "on-failure");
    assert_eq!(read.asked("Memory"), None);
    assert_eq!(serde_json::from_str::<Original>("{}").unwrap(), Original::default());
}

#[test]
fn staged_paths_are_told_apart_and_told_whole() {
    let mut original = Original::default();
    original.remember_source("/s/1", "/home/a");
    original.remember_source("/s/10", "/home/b");
    assert_eq!(original.source("/s/1").as_deref(), Some("/home/a"));
    assert_eq!(original.source("/s/1/x").as_deref(), Some("/home/a/x"));
    assert_eq!(original.source("/s/100"), None);
    assert_eq!(
        engine_message("error mounting \"/s/10\" and /s/1", &original),
        "error mounting \"/home/b\" and /home/a"
    );
}

#[test]
fn a_list_holds_the_callers_own_in_his_words() {
    let text = include_str!("../../tests/data/list.json");
    let list = ContainerList::read(text.as_bytes()).unwrap();
    let door = list.ids().next().unwrap().to_owned();
    let original = original();
    let shown = list.show(|id| id == door, |_| Some(&original)).unwrap();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    let sources: Vec<&str> = shown[0]["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["Source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["/home/alice/data", "/home/alice/data", "/home/alice/project"]);
    assert_eq!(shown[0]["Labels"], json!({"project": "x"}));
    let as_shown = |text: &str, owns: bool| -> Result<String, Unreadable> {
        let shown = ContainerList::read(text.as_bytes())?.show(|_| owns, |_| None)?;
        Ok(String::from_utf8(shown).unwrap())
    };
    assert_eq!(as_shown(text, false).as_deref(), Ok("[]"));
    assert_eq!(as_shown(r#"[{"Names": ["/x"]}]"#, true).as_deref(), Ok("[]"), "it is nobody's");
    let hidden = HIDDEN_LABELS[0];
    let one =
        format!(r#"[{{"Id":"a","Status":"\u003c 1","Labels":{{"{hidden}":"1","x":"2"}},"Mounts":[]}}]"#);
    let rest = r#"[{"Id":"a","Status":"\u003c 1","Labels":{"x":"2"},"Mounts":[]}]"#;
    assert_eq!(as_shown(&one, true).as_deref(), Ok(rest), "what is not changed is the Engine's own bytes");
    for other in [r#"{"message":"no"}"#, "[1]", "[{}", r#"[{"Id":"a"}] x"#] {
        assert!(as_shown(other, true).is_err(), "{other}");
    }
}

#[test]
fn warnings_come_after_the_engines_own() {
    let reply = with_warnings(json!({"Id": "x", "Warnings": null}), ["lowered".to_owned()]).unwrap();
    assert_eq!(reply, json!({"Id": "x", "Warnings": ["lowered"]}));
}

#[test]
fn images_are_shown_by_the_names_that_may_be_seen() {
    let list = json!([
        {"Id": "sha256:1", "RepoTags": ["busybox:latest", "ds01-bob/x:1"], "RepoDigests": ["busybox@sha256:9", "ds01-bob/x@sha256:9"]},
        {"Id": "sha256:2", "RepoTags": ["ds01-bob/y:1"], "Labels": {"ds01.token": "t"}},
        {"Id": "sha256:3", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]},
        {"Id": "sha256:4", "RepoTags": null},
    ]);
    let public = |tag: &str| !tag.starts_with("ds01-bob/");
    let shown = image_list(list.clone(), public, |id| id == "sha256:3").unwrap();
    assert_eq!(
        shown,
        json!([
            {"Id": "sha256:1", "RepoTags": ["busybox:latest"], "RepoDigests": ["busybox@sha256:9"]},
            {"Id": "sha256:3", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]},
        ])
    );
    let mut committed = list[0].clone();
    committed["Config"]["Env"] = json!(["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=void"]);
    let committed = image_inspect(committed, public).unwrap();
    assert_eq!(committed["Config"]["Env"], json!(["PATH=/bin"]), "what the door adds to a container");
    let one = image_inspect(list[0].clone(), public).unwrap();
    assert_eq!(one["RepoTags"], json!(["busybox:latest"]));
}

#[test]
fn a_history_names_no_tags_of_others() {
    let history = json!([
        {"Id": "sha256:a", "Tags": ["busybox:latest", "bob/secret-project:v1"]},
        {"Id": "<missing>", "Tags": null},
        {"Id": "sha256:b", "Tags": ["bob/base:1"]},
    ]);
    let shown = image_history(history, |tag| tag == "busybox:latest").unwrap();
    assert_eq!(
        shown,
        json!([
            {"Id": "sha256:a", "Tags": ["busybox:latest"]},
            {"Id": "<missing>", "Tags": null},
            {"Id": "sha256:b", "Tags": null},
        ])
    );
    assert!(image_history(json!({}), |_| true).is_err());
}

#[test]
fn networks_show_own_containers_only() {
    let mut networks = data(include_str!("../../tests/data/networks.json"));
    networks[2]["Containers"] = json!({"aa": {"Name": "web"}, "bb": {"Name": "bob-db"}});
    let shown = network_list(networks.clone(), |_, name| name != "n1", |id| id == "aa").unwrap();
    let names: Vec<&str> =
        shown.as_array().unwrap().iter().map(|network| network["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "host", "bridge"]);
    assert_eq!(shown[2]["Containers"], json!({"aa": {"Name": "web"}}));
    let one = network_inspect(networks[2].clone(), |_| false).unwrap();
    assert_eq!(one["Containers"], json!({}));
}

#[test]
fn volumes_are_the_callers_own() {
    let volumes =
        json!({"Volumes": [{"Name": "a", "Labels": {"ds01.token": "t"}}, {"Name": "b"}], "Warnings": null});
    let shown = volume_list(volumes, |name| name == "a").unwrap();
    assert_eq!(shown, json!({"Volumes": [{"Name": "a", "Labels": {}}], "Warnings": null}));
    assert!(volume_list(json!({"Volumes": null}), |_| true).is_ok());
    assert!(volume_list(json!({}), |_| true).is_err());
}

#[test]
fn the_disk_usage_is_the_callers_own() {
    let df = data(include_str!("../../tests/data/system-df.json"));
    let nothing = |_: &str| false;
    let view = DfView {
        owns_container: &nothing,
        owns_volume: &|name| name == "v1",
        sees_tag: &|tag| tag == "cuda:latest",
        sees_image: &nothing,
    };
    let shown = system_df(df, &view).unwrap();
    assert_eq!(shown["Containers"], json!([]));
    assert_eq!(shown["Volumes"][0]["Name"], "v1");
    assert_eq!(shown["Images"].as_array().unwrap().len(), 1);
    assert_eq!(shown["LayersSize"], 1_982_291);
    let newer = json!({"VolumeUsage": {"ActiveCount": 3, "TotalCount": 3, "TotalSize": 9, "Items": [{"Name": "x"}]},
                       "ImageUsage": {"TotalCount": 7}});
    assert_eq!(
        system_df(newer, &view).unwrap(),
        json!({"VolumeUsage": {"TotalSize": 9, "Items": [], "TotalCount": 0}, "ImageUsage": {}})
    );
}

#[test]
fn the_machine_is_shown_with_its_gpus_and_without_its_hinge() {
    let view = InfoView {
        gpus: true,
        hinge_runtime: "ds01",
        containers: ContainerCounts { running: 1, paused: 0, stopped: 2 },
        images: 4,
    };
    let mut reply = data(include_str!("../../tests/data/info.json"));
    reply["Swarm"]["Cluster"] = json!({"ID": "secret"});
    reply["RegistryConfig"]["Mirrors"] =
        json!(["https://user:pass@mirror.example/x@y", "https://plain.example/"]);
    let shown = info(reply.clone(), &view).unwrap();
    let runtimes: Vec<&String> = shown["Runtimes"].as_object().unwrap().keys().collect();
    assert_eq!(
        runtimes,
        ["io.containerd.runc.v2", "io.containerd.runtime.v1.linux", "other", "runc", "nvidia"]
    );
    assert_eq!((&shown["Containers"], &shown["ContainersStopped"]), (&json!(3), &json!(2)));
    assert!(shown["Swarm"].get("Cluster").is_none());
    assert_eq!(
        shown["RegistryConfig"]["Mirrors"],
        json!(["https://mirror.example/x@y", "https://plain.example/"])
    );
    let bare = info(reply, &InfoView { gpus: false, ..view }).unwrap();
    assert!(bare["Runtimes"].get("nvidia").is_none());
}

#[test]
fn clients_negotiate_within_the_table() {
    let shown = version(data(include_str!("../../tests/data/version.json"))).unwrap();
    assert_eq!((&shown["ApiVersion"], &shown["MinAPIVersion"]), (&json!("1.41"), &json!("1.40")));
    assert_eq!(shown["Components"][0]["Details"]["MinAPIVersion"], "1.40");
    let newer = version(json!({"ApiVersion": "1.99", "MinAPIVersion": "1.44"})).unwrap();
    assert_eq!(newer, json!({"ApiVersion": "1.55", "MinAPIVersion": "1.44"}));
    assert_eq!(ping_api_version("1.41"), "1.41");
    assert_eq!(ping_api_version("rubbish"), "1.40");
}

#[test]
fn events_tell_whom_they_concern() {
    let lines: Vec<&str> = include_str!("../../tests/data/events.ndjson").lines().collect();
    let mut kinds = std::collections::BTreeMap::new();
    for line in &lines {
        let event = Event::parse(line.as_bytes()).unwrap();
        let kind = match event.concern() {
            Concern::Container(id) => {
                assert_eq!(id.len(), 64);
                "container"
            }
            Concern::Network { id, container } => {
                assert!(id.len() == 64);
                assert!(event.action() == "destroy" || event.action() == "create" || container.is_some());
                "network"
            }
            Concern::Volume { .. } => "volume",
            Concern::Image { .. } => "image",
            Concern::Engine => "engine",
        };
        *kinds.entry(kind).or_insert(0) += 1;
        assert!(event.time_nanos().is_some());
        let shown = String::from_utf8(event.shown()).unwrap();
        assert!(!shown.contains("ds01.token"));
        if !line.contains("ds01.token") {
            assert_eq!(data(&shown), data(line));
        }
    }
    assert_eq!(kinds.values().sum::<usize>(), lines.len());
    assert!(
        ["container", "network", "volume", "image", "engine"].iter().all(|kind| kinds.contains_key(kind)),
        "{kinds:?}"
    );
    for rubbish in ["", "{}", "[]", "{\"Type\":\"container\"}", "not json", "{\"Actor\":{}}"] {
        assert_eq!(Event::parse(rubbish.as_bytes()), None, "{rubbish}");
    }
    let record = Event::parse(b"\x1e{\"Type\":\"daemon\",\"Actor\":{\"ID\":\"x\"}}\n").unwrap();
    assert_eq!((record.clone().shown()[0], record.concern()), (0x1e, &Concern::Engine));
}
