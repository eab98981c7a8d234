//! The bodies that well-known clients send, field by field, and what of them is sent on.

use serde_json::{Value, json};

use super::super::{KindHint, Restart, judge_create, judge_exec};
use super::{answer, create_with, unlimited};

/// What is left of a body once everything that says nothing is taken out.
fn telling(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), telling(value)))
                .filter(|(_, value)| {
                    !matches!(value, Value::Null | Value::Bool(false))
                        && *value != json!(0)
                        && *value != json!("")
                        && *value != json!([])
                        && *value != json!({})
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Judges for Alice without limits, and shows what of the body sent on says anything.
fn sent(asked: &Value) -> Value {
    let (body, warnings) = create_with(&unlimited(), asked).expect("judged");
    assert_eq!(warnings, [""; 0], "a usual body warns nobody");
    telling(&body)
}

fn cli(host: &Value, networking: &Value) -> Value {
    json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": true, "AttachStderr": true,
        "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": ["A=1"], "Cmd": ["sleep", "9"], "Image": "busybox",
        "Volumes": {}, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": {},
        "HostConfig": host, "NetworkingConfig": networking,
    })
}

fn cli_host() -> Value {
    serde_json::from_str(
        r#"{
        "Binds": ["/home/alice/p:/p:ro"], "ContainerIDFile": "/home/alice/cid", "LogConfig": {"Type": "", "Config": {}},
        "NetworkMode": "default", "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}, "AutoRemove": false, "VolumeDriver": "",
        "VolumesFrom": null, "ConsoleSize": [0, 0], "CapAdd": null, "CapDrop": null, "CgroupnsMode": "", "Dns": [],
        "DnsOptions": [], "DnsSearch": [], "ExtraHosts": null, "GroupAdd": null, "IpcMode": "", "Cgroup": "",
        "Links": null, "OomScoreAdj": 0, "PidMode": "", "Privileged": false, "PublishAllPorts": false,
        "ReadonlyRootfs": false, "SecurityOpt": null, "UTSMode": "", "UsernsMode": "", "ShmSize": 0, "Isolation": "",
        "CpuShares": 0, "Memory": 1073741824, "NanoCpus": 2000000000, "CgroupParent": "", "BlkioWeight": 0,
        "BlkioWeightDevice": [], "BlkioDeviceReadBps": null, "BlkioDeviceWriteBps": null, "BlkioDeviceReadIOps": null,
        "BlkioDeviceWriteIOps": null, "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0,
        "CpusetCpus": "", "CpusetMems": "", "Devices": [], "DeviceCgroupRules": null,
        "DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": {}}],
        "KernelMemory": 0, "KernelMemoryTCP": 0, "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": -1,
        "OomKillDisable": false, "PidsLimit": 0, "Ulimits": null, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0, "MaskedPaths": null, "ReadonlyPaths": null, "Init": true
    }"#,
    )
    .expect("json")
}

fn cli_sent() -> Value {
    json!({
        "AttachStdout": true, "AttachStderr": true, "Cmd": ["sleep", "9"], "Image": "busybox",
        "Env": ["A=1", "NVIDIA_VISIBLE_DEVICES=void"],
        "HostConfig": {
            "CapDrop": ["MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"], "NetworkMode": "default", "Runtime": "ds01",
            "Memory": 1_073_741_824, "NanoCpus": 2_000_000_000_u64, "ConsoleSize": [0, 0], "Init": true,
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "RestartPolicy": {"Name": "no"},
            "Mounts": [{"Type": "bind", "Source": "/run/ds01/binds/t/0", "Target": "/p", "ReadOnly": true}],
        },
    })
}

#[test]
fn docker_cli_20() {
    let mut host = cli_host();
    host["BlkioDeviceReadBps"] = json!(null);
    assert_eq!(sent(&cli(&host, &json!({"EndpointsConfig": {}}))), cli_sent());
}

#[test]
fn docker_cli_28() {
    let mut host = cli_host();
    for gone in ["KernelMemory", "KernelMemoryTCP"] {
        host.as_object_mut().expect("object").remove(gone);
    }
    host["OomKillDisable"] = json!(null);
    host["PidsLimit"] = json!(null);
    host["BlkioDeviceReadBps"] = json!([]);
    let endpoint = json!({"default": {
        "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null, "GwPriority": 0, "NetworkID": "",
        "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "DNSNames": null,
    }});
    assert_eq!(sent(&cli(&host, &json!({"EndpointsConfig": endpoint}))), cli_sent());
    // On a network of one's own it goes where the daemon says.
    let mut judged =
        judge_create(cli(&host, &json!({"EndpointsConfig": endpoint})).to_string().as_bytes(), &unlimited())
            .expect("judged");
    assert!(judged.uses_default_network());
    judged.set_default_network("ds01-alice");
    answer(&mut judged);
    let sent: Value = serde_json::from_slice(&judged.into_body().expect("answered")).expect("json");
    assert_eq!(sent["NetworkingConfig"], json!({"EndpointsConfig": {"ds01-alice": {"GwPriority": 0}}}));
}

#[test]
fn docker_py() {
    let asked = json!({
        "Hostname": null, "Domainname": null, "ExposedPorts": null, "User": null, "Tty": false, "OpenStdin": false,
        "StdinOnce": false, "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Env": null, "Cmd": ["true"],
        "Image": "busybox", "Volumes": null, "NetworkDisabled": false, "Entrypoint": null, "WorkingDir": null,
        "HostConfig": {
            "NetworkMode": "default",
            "DeviceRequests": [{"Driver": "nvidia", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}],
        },
        "NetworkingConfig": null, "MacAddress": null, "Labels": null, "StopSignal": null, "Healthcheck": null,
        "StopTimeout": null, "Runtime": null,
    });
    assert_eq!(
        sent(&asked),
        json!({
            "Cmd": ["true"], "Image": "busybox", "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "HostConfig": {
                "CapDrop": ["MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"], "NetworkMode": "default", "Runtime": "ds01",
                "RestartPolicy": {"Name": "no"},
            },
        })
    );
    let exec = json!({
        "Container": "a".repeat(64), "User": "", "Privileged": false, "Tty": false, "AttachStdin": false, "AttachStdout": true,
        "AttachStderr": true, "Cmd": ["ls"], "Env": null,
    });
    let judged = judge_exec(exec.to_string().as_bytes(), &unlimited()).expect("judged");
    assert_eq!(
        telling(&serde_json::from_slice(&judged.into_body()).expect("json")),
        json!({"AttachStdout": true, "AttachStderr": true, "Cmd": ["ls"]})
    );
}

#[test]
fn compose_1_29_with_a_gpu_reservation() {
    let asked = json!({
        "Hostname": null, "Domainname": null, "ExposedPorts": {"8888/tcp": {}}, "User": null, "Tty": false, "OpenStdin": false,
        "StdinOnce": false, "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Env": ["MODE=train"],
        "Cmd": ["python", "train.py"], "Image": "train:latest", "Volumes": {"/data": {}}, "NetworkDisabled": false,
        "Entrypoint": null, "WorkingDir": null,
        "HostConfig": {
            "NetworkMode": "lab_default", "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "VolumesFrom": [],
            "Binds": ["/home/alice/data:/data:rw"], "PortBindings": {"8888/tcp": [{"HostIp": "", "HostPort": "18888"}]},
            "Links": [], "LogConfig": {"Type": "", "Config": {}}, "Isolation": null, "ShmSize": null,
            "DeviceRequests": [{"Driver": "nvidia", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}],
        },
        "NetworkingConfig": {"EndpointsConfig": {"lab_default": {"Aliases": ["train"], "IPAMConfig": {}}}},
        "MacAddress": null,
        "Labels": {"com.docker.compose.project": "lab", "com.docker.compose.service": "train", "com.docker.compose.version": "1.29.2"},
        "StopSignal": null, "Healthcheck": null, "StopTimeout": null, "Runtime": null,
    });
    let judged = judge_create(asked.to_string().as_bytes(), &unlimited()).expect("judged");
    assert_eq!(judged.kind_hint(), KindHint::Compose { project: "lab".into(), service: "train".into() });
    assert_eq!(judged.restart(), Restart::OnFailure { max: 3 });
    assert_eq!(judged.networks(), ["lab_default"]);
    let original = judged.original();
    assert_eq!(original.asked("RestartPolicy"), Some(&json!({"Name": "on-failure", "MaximumRetryCount": 3})));

    let sent = sent(&asked);
    assert_eq!(
        sent["HostConfig"],
        json!({
            "CapDrop": ["MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"], "NetworkMode": "lab_default", "Runtime": "ds01",
            "PortBindings": {"8888/tcp": [{"HostIp": "", "HostPort": "18888"}]}, "RestartPolicy": {"Name": "no"},
            "Mounts": [{"Type": "bind", "Source": "/run/ds01/binds/t/0", "Target": "/data", "ReadOnly": false}],
        })
    );
    assert_eq!(sent["NetworkingConfig"], json!({"EndpointsConfig": {"lab_default": {"Aliases": ["train"]}}}));
    assert_eq!(sent["Labels"], asked["Labels"]);
}

#[test]
fn a_dev_container_keeps_its_labels_and_its_debugger() {
    let asked = json!({
        "Image": "base", "AttachStdout": true, "AttachStderr": true, "Entrypoint": ["/bin/sh"], "Cmd": ["-c", "echo Container started", "-"],
        "User": "", "Labels": {"devcontainer.local_folder": "/home/alice/p", "devcontainer.metadata": "[{\"remoteUser\":\"vscode\"}]"},
        "HostConfig": {
            "CapAdd": ["SYS_PTRACE"], "SecurityOpt": ["seccomp=unconfined"],
            "Mounts": [
                {"Type": "bind", "Source": "/home/alice/p", "Target": "/workspaces/p", "Consistency": "cached"},
                {"Type": "volume", "Source": "vscode", "Target": "/vscode"},
            ],
        },
    });
    let (body, warnings) = create_with(&unlimited(), &asked).expect("judged");
    assert_eq!(
        warnings,
        [
            "seccomp=unconfined was dropped: Docker's default filter stays on (debuggers work with cap-add SYS_PTRACE)."
        ]
    );
    assert_eq!(body["HostConfig"]["CapAdd"], json!(["SYS_PTRACE"]));
    assert_eq!(body["HostConfig"].get("SecurityOpt"), None);
    assert_eq!(body["Labels"], asked["Labels"]);
    assert_eq!(body["HostConfig"]["Mounts"][0]["Source"], "/run/ds01/binds/t/0");
    assert_eq!(body["HostConfig"]["Mounts"][1]["Source"], "vscode");
}
