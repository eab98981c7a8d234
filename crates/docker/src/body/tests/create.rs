//! Stories of container create.

use serde_json::{Value, json};

use super::super::{BindForm, ContainerRole, KindHint, Restart, Rules, Unresolved, judge_create};
use super::{admin, alice, answer, create_with, host, unlimited};

fn refusal(body: &Value) -> String {
    create_with(&unlimited(), body).expect_err("refused").to_string()
}

fn bytes(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).expect("json")
}

#[test]
fn the_smallest_body_becomes_this() {
    let (body, warnings) = create_with(&alice(), &json!({"Image": "base"})).expect("judged");
    assert_eq!(
        body,
        json!({
            "Image": "base",
            "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "Labels": {},
            "HostConfig": {
                "CapDrop": ["MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"],
                "CgroupParent": "/ds01/alice",
                "Runtime": "runc",
                "Memory": 68_719_476_736_u64,
                "NanoCpus": 8_000_000_000_u64,
                "PidsLimit": 4096,
                "ShmSize": 17_179_869_184_u64,
            },
            "NetworkingConfig": {"EndpointsConfig": {}},
        })
    );
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn keys_are_written_as_the_engine_spells_them() {
    let body = br#"{"image":"base","cmd":"ls","Ho\u017ftConfig":{"memory":7,"mounts":[{"type":"bind","source":"/a","target":"/b","bindoptions":{"nonrecursive":true}}]}}"#;
    let mut judged = judge_create(body, &unlimited()).expect("judged");
    answer(&mut judged);
    let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
    assert_eq!(sent["Image"], "base");
    assert_eq!(sent["Cmd"], json!(["ls"]));
    assert_eq!(sent["HostConfig"]["Memory"], 7);
    assert_eq!(
        sent["HostConfig"]["Mounts"],
        json!([{"Type": "bind", "Source": "/run/ds01/binds/t/0", "Target": "/b", "ReadOnly": false, "BindOptions": {"NonRecursive": true}}])
    );
}

#[test]
fn what_goes_when_it_ends_is_not_started_again() {
    let both = |policy: &str| json!({"Image": "base", "HostConfig": {"AutoRemove": true, "RestartPolicy": {"Name": policy}}});
    for policy in ["always", "unless-stopped", "on-failure"] {
        assert_eq!(refusal(&both(policy)), "can't create 'AutoRemove' container with restart policy");
    }
    for policy in ["", "no"] {
        create_with(&unlimited(), &both(policy)).expect("judged");
    }
}

#[test]
fn a_body_that_can_be_read_in_two_ways_is_refused() {
    let story = [
        (
            r#"{"Image":"a","HostConfig":{},"hostconfig":{}}"#,
            r#""HostConfig" and "hostconfig" are the same field of the body; send it once"#,
        ),
        (
            r#"{"Image":"a","HostConfig":{"Privileged":false,"pRIVILEGED":true}}"#,
            r#""Privileged" and "pRIVILEGED" are the same field of HostConfig; send it once"#,
        ),
        (
            r#"{"Image":"a","HostConfig":{"Mounts":[{"Type":"bind","type":"volume"}]}}"#,
            r#""Type" and "type" are the same field of HostConfig.Mounts[0]; send it once"#,
        ),
        (
            r#"{"Image":"a","HostConfig":{"DeviceRequests":[{"Count":1,"count":8}]}}"#,
            r#""Count" and "count" are the same field of HostConfig.DeviceRequests[0]; send it once"#,
        ),
        (
            r#"{"Image":"a","Labels":{"a":"1","a":"2"}}"#,
            r#"the request was not understood: the key "a" occurs twice in one object, again at byte 31"#,
        ),
        (
            r#"{"Image":"a"} {"HostConfig":{}}"#,
            "the request was not understood: the body has bytes after its JSON value, at byte 14",
        ),
        ("[]", r#""the body" must be an object, not a list"#),
        (r#"{"Image":7}"#, r#""Image" must be a string, not a number"#),
        (r#"{"Tty":"true"}"#, r#""Tty" must be true or false, not a string"#),
        (r#"{"HostConfig":{"Memory":1.5}}"#, r#""HostConfig.Memory" must be a whole number, not a number"#),
        (r#"{"Env":["A=1",2]}"#, r#""Env[1]" must be a string, not a number"#),
        (
            r#"{"HostConfig":{"Binds":{"a":"b"}}}"#,
            r#""HostConfig.Binds" must be a list of strings, not an object"#,
        ),
    ];
    for (body, expected) in story {
        assert_eq!(judge_create(body.as_bytes(), &unlimited()).expect_err(body).message, expected);
    }
    // Labels are data: their keys are not folded.
    let (body, _) = create_with(&unlimited(), &json!({"Labels": {"a": "1", "A": "2"}})).expect("judged");
    assert_eq!(body["Labels"], json!({"a": "1", "A": "2"}));
}

#[test]
fn a_field_nobody_knows_is_dropped_if_it_says_nothing_and_named_if_it_does() {
    for neutral in
        [json!(null), json!(0), json!(""), json!([]), json!({}), json!(false), json!({"X": {"Y": ""}})]
    {
        assert_eq!(host("FutureField", neutral), Ok(Value::Null));
    }
    assert_eq!(
        host("FutureEscapeHatch", json!(true)),
        Err("\"HostConfig.FutureEscapeHatch\" is not known to DS01; ask the admin".into())
    );
    assert_eq!(
        refusal(&json!({"HostConfig": {"RestartPolicy": {"Name": "no", "Backoff": 3}}})),
        "\"HostConfig.RestartPolicy.Backoff\" is not known to DS01; ask the admin"
    );
    assert_eq!(
        create_with(&admin(), &json!({"HostConfig": {"FutureEscapeHatch": true}}))
            .expect_err("admins too")
            .status,
        400
    );
    assert_eq!(
        refusal(&json!({"Privileged": true})),
        "\"Privileged\" belongs inside HostConfig; move it to HostConfig.Privileged"
    );
    assert_eq!(
        refusal(&json!({"bind\u{17f}": ["/:/h"]})),
        "\"bind\u{17f}\" belongs inside HostConfig; move it to HostConfig.Binds"
    );
    assert!(create_with(&unlimited(), &json!({"Memory": 0, "Binds": null, "VolumeDriver": ""})).is_ok());
}

#[test]
fn what_is_root_on_the_host_is_refused_by_name() {
    let story = [
        ("Privileged", json!(true)),
        ("CapAdd", json!(["SYS_ADMIN"])),
        ("CapAdd", json!(["cap_sys_admin"])),
        ("CapAdd", json!(["ALL"])),
        ("CapAdd", json!(["MKNOD"])),
        ("CapAdd", json!(["NET_RAW"])),
        ("SecurityOpt", json!(["apparmor=unconfined"])),
        ("SecurityOpt", json!(["apparmor:unconfined"])),
        ("SecurityOpt", json!(["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"])),
        ("SecurityOpt", json!(["systempaths=unconfined"])),
        ("SecurityOpt", json!(["writable-cgroups=true"])),
        ("MaskedPaths", json!([])),
        ("MaskedPaths", json!(["/proc/kcore"])),
        ("ReadonlyPaths", json!([])),
        ("GroupAdd", json!(["999"])),
        ("GroupAdd", json!(["docker"])),
        ("Sysctls", json!({"net.ipv4.ip_forward": "1"})),
        ("Annotations", json!({"org.systemd.property.MemoryMax": "x"})),
        ("NetworkMode", json!("host")),
        ("PidMode", json!("host")),
        ("IpcMode", json!("host")),
        ("UTSMode", json!("host")),
        ("UsernsMode", json!("host")),
        ("CgroupnsMode", json!("host")),
        ("Cgroup", json!("container:x")),
        ("VolumeDriver", json!("evil")),
        ("Binds", json!(["/a:/b:rshared"])),
        (
            "Mounts",
            json!([{"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": "rslave"}}]),
        ),
        (
            "Mounts",
            json!([{"Type": "volume", "Target": "/b", "VolumeOptions": {"DriverConfig": {"Options": {"o": "bind"}}}}]),
        ),
        (
            "Mounts",
            json!([{"Type": "volume", "Target": "/b", "VolumeOptions": {"DriverConfig": {"Name": "evil"}}}]),
        ),
        ("Mounts", json!([{"Type": "npipe", "Source": "x", "Target": "/b"}])),
        ("Mounts", json!([{"Type": "cluster", "Source": "x", "Target": "/b"}])),
        ("Mounts", json!([{"Type": "BIND", "Source": "/a", "Target": "/b"}])),
        ("Devices", json!([{"PathOnHost": "/dev/sda"}])),
        ("Devices", json!([{"PathOnHost": "/dev/nvidia0"}, {"PathOnHost": "/dev/fuse"}])),
        ("DeviceCgroupRules", json!(["c 195:* rwm"])),
        ("Runtime", json!("io.evil.v1")),
        ("CpuRealtimeRuntime", json!(1)),
        ("BlkioWeightDevice", json!([{"Path": "/dev/sda", "Weight": 3}])),
        ("LogConfig", json!({"Type": "syslog", "Config": {"syslog-address": "unix:///run/x"}})),
        ("LogConfig", json!({"Type": "", "Config": {"syslog-address": "unix:///run/x"}})),
        ("PortBindings", json!({"80/tcp": [{"HostPort": "80"}]})),
        ("PortBindings", json!({"80/tcp": [{"HostPort": "1000-2000"}]})),
        ("PortBindings", json!({"80/tcp": [{"HostPort": "0-2000"}]})),
    ];
    for (field, value) in story {
        let message = host(field, value.clone()).expect_err(&format!("{field} {value}"));
        assert!(message.starts_with(&format!("\"HostConfig.{field}")), "{field} {value}: {message}");
    }
}

/// Programs look for these words of the Engine's.
#[test]
fn what_the_engine_would_refuse_is_refused_in_its_words() {
    let refused = |field: &str, value: Value| host(field, value).expect_err(field);
    assert_eq!(
        refused("LogConfig", json!({"Type": "asdf"})),
        "logger: no log driver named 'asdf' is registered"
    );
    assert!(refused("Tmpfs", json!({"foo": ""})).contains("mount path must be absolute"));
    let checked = |interval: i64| create_with(&unlimited(), &json!({"Healthcheck": {"Interval": interval}}));
    let too_short = checked(999_999).expect_err("too short").to_string();
    assert_eq!(too_short, "Interval in Healthcheck cannot be less than 1ms");
    assert!(checked(1_000_000).is_ok());
}

#[test]
fn what_belongs_to_the_query_may_stand_in_the_body_as_well() {
    let asked = json!({"Image": "base", "name": "web", "platform": "linux/amd64"});
    let (body, warnings) = create_with(&unlimited(), &asked).expect("judged");
    assert_eq!((body.get("name"), body.get("platform"), warnings.len()), (None, None, 0));
    assert!(create_with(&unlimited(), &json!({"Image": "base", "Name": "web"})).is_err());
}

#[test]
fn isolation_is_shown_as_it_was_asked() {
    assert_eq!(host("Isolation", json!("default")), Ok(json!("default")));
    assert_eq!(host("Isolation", json!("hyperv")), Ok(Value::Null));
}

#[test]
fn an_admin_may_use_what_is_dangerous() {
    let rules = admin();
    let asked = json!({
        "Privileged": true, "CapAdd": ["SYS_ADMIN"], "SecurityOpt": ["apparmor=unconfined", "seccomp=unconfined"],
        "MaskedPaths": [], "NetworkMode": "host", "PidMode": "host", "Devices": [{"PathOnHost": "/dev/fuse"}],
        "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 3}], "OomScoreAdj": -500, "Sysctls": {"net.ipv4.ip_forward": "1"},
        "Annotations": {"run.oci.x": "y"}, "Runtime": "crun",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]},
    });
    let (body, warnings) = create_with(&rules, &json!({"Image": "a", "HostConfig": asked})).expect("judged");
    let mut expected = asked;
    for (field, value) in expected.as_object_mut().expect("object") {
        assert_eq!(&body["HostConfig"][field], value, "{field}");
    }
    assert_eq!(body["HostConfig"].get("CapDrop"), None);
    assert_eq!(warnings, [""; 0]);
    // A GPU is a unit for everybody.
    let asked = json!({"HostConfig": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}], "Annotations": {"cdi.k8s.io/a": "nvidia.com/gpu=all", "b": "c"}}});
    let judged = judge_create(&bytes(&asked), &rules).expect("judged");
    assert_eq!(judged.gpu().expect("an ask").units(), 1);
    let (body, _) = create_with(&rules, &asked).expect("judged");
    assert_eq!(body["HostConfig"].get("DeviceRequests"), None);
    assert_eq!(body["HostConfig"]["Annotations"], json!({"b": "c"}));
    assert_eq!(body["HostConfig"]["Runtime"], "ds01");
}

#[test]
fn tightening_is_kept() {
    let story = [
        ("CapDrop", json!(["ALL"]), json!(["ALL"])),
        (
            "CapDrop",
            json!(["cap_mknod", "CHOWN"]),
            json!(["cap_mknod", "CHOWN", "NET_RAW", "AUDIT_WRITE", "SETFCAP"]),
        ),
        (
            "CapAdd",
            json!(["CAP_SYS_PTRACE", "ipc_lock", "NET_BIND_SERVICE"]),
            json!(["SYS_PTRACE", "IPC_LOCK", "NET_BIND_SERVICE"]),
        ),
        ("SecurityOpt", json!(["no-new-privileges"]), json!(["no-new-privileges:true"])),
        (
            "SecurityOpt",
            json!(["no-new-privileges=true", "no-new-privileges:false"]),
            json!(["no-new-privileges:true"]),
        ),
        ("SecurityOpt", json!(["no-new-privileges=false"]), Value::Null),
        (
            "SecurityOpt",
            json!(["seccomp=unconfined", "no-new-privileges:true"]),
            json!(["no-new-privileges:true"]),
        ),
        ("ReadonlyRootfs", json!(true), json!(true)),
        ("GroupAdd", json!(["20100", "+020001"]), json!(["20100", "20001"])),
        ("Sysctls", json!({"net.core.somaxconn": "1024"}), json!({"net.core.somaxconn": "1024"})),
        ("IpcMode", json!("private"), json!("private")),
        ("CgroupnsMode", json!("private"), json!("private")),
        ("MemorySwappiness", json!(-1), Value::Null),
        ("MemorySwappiness", json!(0), json!(0)),
        ("Init", json!(false), json!(false)),
        ("ExtraHosts", json!(["a:host-gateway"]), json!(["a:host-gateway"])),
        (
            "MaskedPaths",
            json!([
                "/proc/asound",
                "/proc/acpi",
                "/proc/kcore",
                "/proc/keys",
                "/proc/timer_list",
                "/proc/scsi",
                "/sys/firmware"
            ]),
            Value::Null,
        ),
        ("LogConfig", json!({"Type": "none", "Config": {}}), json!({"Type": "none", "Config": {}})),
        (
            "PortBindings",
            json!({"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18888"}, {}], "9/udp": null}),
            json!({"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18888"}, {}], "9/udp": null}),
        ),
        ("Tmpfs", json!({"/t": "size=64m,exec,suid"}), json!({"/t": "nosuid,nodev,size=64m,exec"})),
    ];
    for (field, asked, expected) in story {
        assert_eq!(host(field, asked.clone()), Ok(expected), "{field} {asked}");
    }
}

#[test]
fn binds_and_volumes_are_taken_out_and_put_back_where_they_belong() {
    let asked = json!({
        "Image": "base",
        "HostConfig": {
            "Binds": [
                "/home/alice/project:/workspace",
                "/home/alice/data:/data:ro,z,rprivate",
                "cache:/root/.cache:nocopy",
                "/anonymous",
            ],
            "Mounts": [
                {"Type": "bind", "Source": "/srv/datasets", "Target": "/datasets", "ReadOnly": true, "Consistency": "cached",
                 "BindOptions": {"CreateMountpoint": true}},
                {"Type": "volume", "Source": "vscode", "Target": "/vscode", "VolumeOptions": {"NoCopy": true, "Labels": {"ds01.user": "bob", "x": "y"}}},
                {"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 64}},
                {"Type": "image", "Source": "data:1", "Target": "/image"},
            ],
        }
    });
    let mut judged = judge_create(&bytes(&asked), &unlimited()).expect("judged");
    let binds: Vec<_> = judged
        .binds()
        .iter()
        .map(|b| (b.form, b.source.as_str(), b.target.as_str(), b.read_only, b.create_source))
        .collect();
    assert_eq!(
        binds,
        [
            (BindForm::Binds { position: 0 }, "/home/alice/project", "/workspace", false, true),
            (BindForm::Binds { position: 1 }, "/home/alice/data", "/data", true, true),
            (BindForm::Mounts { position: 0 }, "/srv/datasets", "/datasets", true, true),
        ]
    );
    let volumes: Vec<_> = judged.volumes().iter().map(|v| (v.name.as_deref(), v.target.as_str())).collect();
    assert_eq!(volumes, [(Some("cache"), "/root/.cache"), (None, "/anonymous"), (Some("vscode"), "/vscode")]);
    assert_eq!(judged.images(), ["data:1"]);
    assert_eq!(judged.clone().into_body(), Err(Unresolved::Bind(0)));

    answer(&mut judged);
    judged.set_volume(0, "alice.cache");
    let original = judged.original();
    let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
    assert_eq!(sent["HostConfig"]["Binds"], json!(["alice.cache:/root/.cache:nocopy", "/anonymous"]));
    assert_eq!(
        sent["HostConfig"]["Mounts"],
        json!([
            {"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 64}},
            {"Type": "image", "Source": "data:1", "Target": "/image"},
            {"Type": "bind", "Source": "/run/ds01/binds/t/0", "Target": "/workspace", "ReadOnly": false},
            {"Type": "bind", "Source": "/run/ds01/binds/t/1", "Target": "/data", "ReadOnly": true},
            {"Type": "bind", "Source": "/run/ds01/binds/t/2", "Target": "/datasets", "ReadOnly": true},
            {"Type": "volume", "Target": "/vscode", "VolumeOptions": {"NoCopy": true, "Labels": {"x": "y"}}, "Source": "vscode"},
        ])
    );
    assert_eq!(original.asked("Binds"), Some(&asked["HostConfig"]["Binds"]));
    assert_eq!(original.asked("Mounts"), Some(&asked["HostConfig"]["Mounts"]));
    assert_eq!(original.source("/run/ds01/binds/t/1/x").as_deref(), Some("/home/alice/data/x"));
}

#[test]
fn malformed_mounts_are_told_apart() {
    let story = [
        (json!({"Binds": ["a:b:c:d"]}), "\"HostConfig.Binds[0]\": invalid volume specification: 'a:b:c:d'"),
        (json!({"Binds": [":/a"]}), "\"HostConfig.Binds[0]\": invalid volume specification: ':/a'"),
        (json!({"Binds": [""]}), "\"HostConfig.Binds[0]\": invalid volume specification: ''"),
        (json!({"Binds": ["/a:/b:exec"]}), "\"HostConfig.Binds[0]\": invalid mode: exec"),
        (
            json!({"Binds": ["/a:b"]}),
            "\"HostConfig.Binds[0]\": invalid mount path: 'b' mount path must be absolute",
        ),
        (json!({"Binds": ["/a:/x/.."]}), "\"HostConfig.Binds[0]\" \"/x/..\": destination can't be '/'"),
        (
            json!({"Binds": ["./src:/b"]}),
            "\"HostConfig.Binds[0]\": \"./src\" is neither an absolute path nor the name of a volume; to mount a directory give its absolute path",
        ),
        (
            json!({"Mounts": [{"Type": "bind", "Source": "a", "Target": "/b"}]}),
            "\"HostConfig.Mounts[0].Source\" \"a\" is not an absolute path",
        ),
        (
            json!({"Mounts": [{"Type": "tmpfs", "Target": "/b", "BindOptions": {"NonRecursive": true}}]}),
            "\"HostConfig.Mounts[0].BindOptions\" does not belong to a mount of type tmpfs",
        ),
        (
            json!({"VolumesFrom": ["../x"]}),
            "\"HostConfig.VolumesFrom[0]\" names no container: \"../x\" is neither a name nor an id",
        ),
        (
            json!({"PidMode": "container:"}),
            "\"HostConfig.PidMode\" names no container: \"\" is neither a name nor an id",
        ),
    ];
    for (host_config, expected) in story {
        assert_eq!(refusal(&json!({"HostConfig": host_config})), expected);
    }
}

#[test]
fn other_containers_and_networks_are_sent_by_the_daemons_answer() {
    let asked = json!({
        "HostConfig": {"PidMode": "container:web", "IpcMode": "container:/web", "VolumesFrom": ["data:ro", "more"], "Links": ["db:store", "/web:/self/www"], "NetworkMode": "lab"},
        "NetworkingConfig": {"EndpointsConfig": {"lab": {"Aliases": ["db"], "NetworkID": "old", "IPAMConfig": {}}, "second": null}},
    });
    let mut judged = judge_create(&bytes(&asked), &unlimited()).expect("judged");
    let refs: Vec<_> = judged.containers().iter().map(|r| (r.role, r.name.clone())).collect();
    assert_eq!(
        refs,
        [
            (ContainerRole::Pid, "web".into()),
            (ContainerRole::Ipc, "web".into()),
            (ContainerRole::Link, "db".into()),
            (ContainerRole::Link, "web".into()),
            (ContainerRole::VolumesFrom, "data".into()),
            (ContainerRole::VolumesFrom, "more".into()),
        ]
    );
    assert_eq!(judged.networks(), ["lab", "second"]);
    assert!(!judged.uses_default_network());
    assert_eq!(judged.clone().into_body(), Err(Unresolved::Container(0)));
    for slot in 0..6 {
        judged.set_container(slot, &slot.to_string().repeat(64));
    }
    assert_eq!(judged.clone().into_body(), Err(Unresolved::Network("lab".into())));
    judged.set_network("lab", "id-lab");
    judged.set_network("second", "id-lab");
    assert_eq!(judged.clone().into_body(), Err(Unresolved::NetworkTwice("second".into())));
    judged.set_network("second", "id-second");
    let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
    assert_eq!(sent["HostConfig"]["PidMode"], format!("container:{}", "0".repeat(64)));
    assert_eq!(sent["HostConfig"]["IpcMode"], format!("container:{}", "1".repeat(64)));
    assert_eq!(sent["HostConfig"]["VolumesFrom"], json!([format!("{}:ro", "4".repeat(64)), "5".repeat(64)]));
    assert_eq!(sent["HostConfig"]["NetworkMode"], "id-lab");
    assert_eq!(
        sent["HostConfig"]["Links"],
        json!([format!("{}:store", "2".repeat(64)), format!("{}:www", "3".repeat(64))])
    );
    assert_eq!(
        sent["NetworkingConfig"]["EndpointsConfig"],
        json!({"id-lab": {"Aliases": ["db"]}, "id-second": {}})
    );
}

#[test]
fn the_shared_bridge_is_named_once() {
    assert_eq!(
        refusal(&json!({"NetworkingConfig": {"EndpointsConfig": {"default": {}, "bridge": null}}})),
        "\"NetworkingConfig.EndpointsConfig\": default and bridge are the same network; name it once"
    );
}

#[test]
fn the_shared_bridge_can_be_replaced() {
    for (asked, shares) in [
        (json!({}), true),
        (json!({"NetworkMode": "default"}), true),
        (json!({"NetworkMode": "bridge"}), true),
        (json!({"NetworkMode": "none"}), false),
        (json!({"NetworkMode": "container:x"}), false),
    ] {
        let mut judged = judge_create(&bytes(&json!({"HostConfig": asked})), &unlimited()).expect("judged");
        assert_eq!(judged.uses_default_network(), shares, "{asked}");
        judged.set_default_network("ds01-alice");
        answer(&mut judged);
        let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
        assert_eq!(sent["HostConfig"]["NetworkMode"] == "ds01-alice", shares, "{asked}");
    }
    let (body, _) =
        create_with(&unlimited(), &json!({"HostConfig": {"NetworkMode": "container:x"}})).expect("judged");
    assert_eq!(body["HostConfig"]["NetworkMode"], format!("container:{}", "c".repeat(64)));
}

#[test]
fn gpus_are_taken_out_in_whatever_form_they_are_asked_for() {
    let story = [
        json!({"HostConfig": {"DeviceRequests": [{"Driver": "", "Count": 2, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": {}}], "RestartPolicy": {"Name": "always"}}}),
        json!({"HostConfig": {"Runtime": "nvidia"}, "Env": ["NVIDIA_VISIBLE_DEVICES=0,1", "A=b"]}),
        json!({"HostConfig": {"Devices": [{"PathOnHost": "/dev/nvidia0"}, {"PathOnHost": "/dev/nvidia1"}, {"PathOnHost": "/dev/nvidiactl"}]}}),
        json!({"HostConfig": {"Binds": ["/dev/null:/var/run/nvidia-container-devices/0"], "Mounts": [{"Type": "bind", "Source": "/dev/null", "Target": "/x/../var/run/nvidia-container-devices/1"}]}}),
        json!({"HostConfig": {"Annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=0,nvidia.com/gpu=1"}}}),
    ];
    for asked in story {
        let mut judged = judge_create(&bytes(&asked), &unlimited()).expect("judged");
        assert_eq!(judged.gpu().expect("an ask").units(), 2, "{asked}");
        assert_eq!(judged.clone().into_body(), Err(Unresolved::Gpu));
        answer(&mut judged);
        let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
        let host = &sent["HostConfig"];
        assert_eq!(host["Runtime"], "ds01");
        assert_eq!(host["RestartPolicy"], json!({"Name": "no", "MaximumRetryCount": 0}));
        for field in ["DeviceRequests", "Devices", "Annotations", "Binds", "Mounts"] {
            assert_eq!(host.get(field), None, "{asked} {field}");
        }
        let env: Vec<&str> = sent["Env"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
        assert_eq!(
            env.iter().filter(|v| v.starts_with("NVIDIA_")).collect::<Vec<_>>(),
            [&"NVIDIA_VISIBLE_DEVICES=void"]
        );
    }
}

#[test]
fn a_container_without_gpus_is_told_so_exactly_once() {
    let asked = json!({"Env": ["NVIDIA_VISIBLE_DEVICES=void", "A=1", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_MIG_CONFIG_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute", "DOCKER_RESOURCE_GPU=0", "LD_PRELOAD=x"]});
    let (body, warnings) = create_with(&unlimited(), &asked).expect("judged");
    assert_eq!(
        body["Env"],
        json!(["A=1", "NVIDIA_DRIVER_CAPABILITIES=compute", "LD_PRELOAD=x", "NVIDIA_VISIBLE_DEVICES=void"])
    );
    assert_eq!(
        warnings[0],
        "Variables that steer the NVIDIA runtime were dropped: NVIDIA_MIG_CONFIG_DEVICES, DOCKER_RESOURCE_GPU."
    );
    let (_, warnings) =
        create_with(&unlimited(), &json!({"Env": ["NVIDIA_VISIBLE_DEVICES=all"]})).expect("judged");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("--gpus 1"), "{warnings:?}");
    // Asked and denied: as if never asked.
    let asked = json!({"HostConfig": {"DeviceRequests": [{"Count": 1, "Capabilities": [["gpu"]]}], "RestartPolicy": {"Name": "always"}}});
    let mut judged = judge_create(&bytes(&asked), &unlimited()).expect("judged");
    judged.set_gpu(None);
    let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
    assert_eq!(sent["HostConfig"]["Runtime"], "runc");
    assert_eq!(sent["HostConfig"]["RestartPolicy"]["Name"], "always");
}

#[test]
fn parts_of_the_driver_are_the_users_own_as_far_as_there_are_such() {
    let sent = |variable: &str| {
        let (body, warnings) = create_with(&unlimited(), &json!({"Env": [variable]})).expect("judged");
        let env = body["Env"].as_array().expect("variables").clone();
        let kept = env.iter().filter_map(Value::as_str).find(|entry| entry.contains("CAPABILITIES"));
        (kept.map(str::to_owned), warnings)
    };
    for variable in ["compute,utility", "all", "", "video, graphics", "ngx,compat32,display"] {
        let variable = format!("NVIDIA_DRIVER_CAPABILITIES={variable}");
        assert_eq!(sent(&variable), (Some(variable.clone()), vec![]));
    }
    // Without a value it takes the image's away, as with any other variable.
    assert_eq!(sent("NVIDIA_DRIVER_CAPABILITIES").0.as_deref(), Some("NVIDIA_DRIVER_CAPABILITIES"));
    let (kept, warnings) = sent("NVIDIA_DRIVER_CAPABILITIES=video,magic\u{1b}[31m,gpu");
    assert_eq!(kept.as_deref(), Some("NVIDIA_DRIVER_CAPABILITIES=video"));
    assert_eq!(
        warnings,
        [
            "NVIDIA_DRIVER_CAPABILITIES names \"magic[31m\", which no NVIDIA driver has; what is known of it was kept: video."
        ]
    );
    assert_eq!(sent("NVIDIA_DRIVER_CAPABILITIES=magic").0, None, "NVIDIA's own default holds");
}

#[test]
fn a_user_is_numeric_where_he_is_a_number() {
    let user = |asked: &str, binds: &[&str]| {
        let body = json!({"User": asked, "HostConfig": {"Binds": binds}});
        create_with(&unlimited(), &body).expect("judged").0["User"].clone()
    };
    let home = ["/home/alice:/w"];
    assert_eq!(user("", &home), "");
    assert_eq!(user("20001", &[]), "20001:20001");
    assert_eq!(user("+020001", &[]), "20001:20001");
    assert_eq!(user("1000", &home), "1000");
    assert_eq!(user("01000:01000", &home), "1000:1000");
    assert_eq!(user("vscode", &home), "vscode");
    assert_eq!(user("20001:20100", &home), "20001:20100");
    assert_eq!(user("20001:0", &[]), "20001:0");
    assert_eq!(user("20001:0", &home), "20001:20001");
    assert_eq!(user("20001:docker", &home), "20001:20001");
}

#[test]
fn who_works_in_a_dev_container_is_read_from_its_label_or_its_images() {
    let works = |labels: Value, image: &str| {
        judge_create(&bytes(&json!({"Labels": labels})), &unlimited()).expect("judged").remote_user(image)
    };
    let (code, node) = (r#"[{"remoteUser":"vscode"}]"#, r#"[{"remoteUser":"node"}]"#);
    let folder = json!({"devcontainer.local_folder": "/p"});
    assert_eq!(works(json!({"devcontainer.metadata": code}), node), Some("vscode".into()));
    assert_eq!(works(folder.clone(), node), Some("node".into()));
    assert_eq!(works(folder, ""), None);
    // The same image under a plain `docker run` works as the user that it was started as.
    assert_eq!(works(json!({}), node), None);
}

#[test]
fn labels_tell_the_kind_and_the_daemons_own_are_stripped() {
    let hint = |labels: Value| {
        judge_create(&bytes(&json!({"Labels": labels})), &unlimited()).expect("judged").kind_hint()
    };
    assert_eq!(hint(json!({})), KindHint::Docker);
    assert_eq!(
        hint(json!({"devcontainer.local_folder": "/p"})),
        KindHint::DevContainer { local_folder: Some("/p".into()) }
    );
    assert_eq!(
        hint(json!({"com.docker.compose.project": "p", "com.docker.compose.service": "s"})),
        KindHint::Compose { project: "p".into(), service: "s".into() }
    );
    let marked = json!({"Labels": {"ds01.kind": "infrastructure", "com.docker.compose.project": "p"}});
    let by = |admin| judge_create(&bytes(&marked), &Rules { admin, ..unlimited() }).expect("judged");
    assert_eq!(by(true).kind_hint(), KindHint::Infrastructure);
    assert_eq!(by(true).warnings(), [""; 0]);
    assert!(matches!(by(false).kind_hint(), KindHint::Compose { .. }), "only an administrator says so");
    assert_eq!(
        by(false).warnings(),
        ["Labels that begin with ds01. are written by DS01 only: ds01.kind dropped."]
    );
    let asked = json!({"Labels": {"ds01.user": "bob", "mine": "1"}});
    let mut judged = judge_create(&bytes(&asked), &unlimited()).expect("judged");
    assert_eq!(
        judged.warnings(),
        ["Labels that begin with ds01. are written by DS01 only: ds01.user dropped."]
    );
    judged.set_label("ds01.user", "alice");
    let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
    assert_eq!(sent["Labels"], json!({"ds01.user": "alice", "mine": "1"}));
}

#[test]
fn working_directories_do_not_lead_out() {
    for way_out in [
        "/proc/self/fd/8",
        "//proc/self/fd/8",
        "/tmp/../proc/self/fd/8",
        "/./proc",
        "/sys/x",
        "/dev/fd/7",
        "relative",
    ] {
        assert!(create_with(&unlimited(), &json!({"WorkingDir": way_out})).is_err(), "{way_out}");
    }
    for good in ["", "/", "/process", "/workspace", "/dev/shm"] {
        assert_eq!(
            create_with(&unlimited(), &json!({"WorkingDir": good})).expect(good).0["WorkingDir"],
            good
        );
    }
}

#[test]
fn restart_policies_are_read() {
    let restart = |policy: Value| {
        judge_create(&bytes(&json!({"HostConfig": {"RestartPolicy": policy}})), &unlimited())
            .map(|judged| judged.restart())
    };
    assert_eq!(restart(json!(null)), Ok(Restart::No));
    assert_eq!(restart(json!({"Name": "", "MaximumRetryCount": 0})), Ok(Restart::No));
    assert_eq!(
        restart(json!({"name": "on-failure", "maximumretrycount": 3})),
        Ok(Restart::OnFailure { max: 3 })
    );
    assert_eq!(restart(json!({"Name": "unless-stopped"})), Ok(Restart::UnlessStopped));
    assert!(restart(json!({"Name": "sometimes"})).is_err());
    assert!(restart(json!({"Name": "always", "MaximumRetryCount": 3})).is_err());
    assert!(restart(json!({"Name": "on-failure", "MaximumRetryCount": -1})).is_err());
}

#[test]
fn what_the_engine_makes_for_a_container_is_counted() {
    let judged = |body: &Value| judge_create(&bytes(body), &unlimited()).expect("judged");
    let plain = judged(&json!({"Image": "base"}));
    assert_eq!((plain.nameless_volumes(), plain.published_ports(9), plain.memory_mounts()), (0, 0, 0));
    let rich = json!({
        "Image": "base", "Volumes": {"/a": {}, "/b": {}}, "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
        "HostConfig": {
            "Binds": ["/c", "named:/d"], "PortBindings": {"1/tcp": [{}, {}], "3/udp": null},
            "Tmpfs": {"/e": ""}, "Mounts": [{"Type": "tmpfs", "Target": "/f"}, {"Type": "volume", "Target": "/g"}],
        },
    });
    let counted = judged(&rich);
    assert_eq!((counted.nameless_volumes(), counted.published_ports(9), counted.memory_mounts()), (4, 3, 2));
    assert_eq!(plain.listed_bytes(), 0);
    let wordy = json!({"Image": "base", "Labels": {"abc": "de"}, "Cmd": ["ls", "-l"], "HostConfig": {"Binds": ["/a:/home"]}});
    assert_eq!(judged(&wordy).listed_bytes(), 5 + 6 + 5);
    let mut all = rich;
    all["HostConfig"]["PublishAllPorts"] = json!(true);
    assert_eq!(judged(&all).published_ports(9), 14);
}
