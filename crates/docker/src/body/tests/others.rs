//! Stories of exec, commit, volumes and networks.

use serde_json::{Value, json};

use super::super::{
    Refusal, judge_commit, judge_connect, judge_disconnect, judge_exec, judge_exec_start, judge_network,
    judge_volume,
};
use super::{GIB, admin, alice, unlimited};

fn bytes(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).expect("json")
}

fn value(body: impl AsRef<[u8]>) -> Value {
    serde_json::from_slice(body.as_ref()).expect("json")
}

#[test]
fn an_exec_carries_the_binding_of_now() {
    let asked = json!({
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true, "User": "1000:1000", "Container": "x",
        "Env": ["A=b", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES"], "WorkingDir": "/workspaces/p", "Cmd": "sh", "Privileged": false,
    });
    let mut judged = judge_exec(&bytes(&asked), &unlimited()).expect("judged");
    assert_eq!((judged.user(), judged.tty()), (Some("1000:1000"), true));
    judged.set_visible_devices(Some("GPU-1,GPU-2"));
    assert_eq!(
        value(judged.into_body()),
        json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true, "User": "1000:1000",
            "Env": ["A=b", "NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2"], "WorkingDir": "/workspaces/p", "Cmd": ["sh"],
        })
    );
    let bare = judge_exec(br#"{"Cmd":["ls"]}"#, &unlimited()).expect("judged");
    assert_eq!(value(bare.into_body()), json!({"Cmd": ["ls"]}));
}

#[test]
fn an_exec_has_no_more_rights_than_its_container() {
    for body in [
        r#"{"Cmd":["sh"],"privileged":true}"#,
        r#"{"Cmd":["sh"],"PRIV\u0131LEGED":true}"#,
        r#"{"Cmd":["sh"],"WorkingDir":"/proc/self/fd/8"}"#,
        r#"{"Cmd":["sh"],"WorkingDir":"x"}"#,
        r#"{"Cmd":["sh"],"Rights":"all"}"#,
        "",
        "{}{}",
    ] {
        assert!(judge_exec(body.as_bytes(), &unlimited()).is_err(), "{body}");
    }
    let judged = judge_exec(br#"{"Cmd":["sh"],"Privileged":true}"#, &admin()).expect("an admin may");
    assert_eq!(value(judged.into_body())["Privileged"], true);
}

#[test]
fn an_exec_starts_attached_or_not() {
    let start = judge_exec_start(br#"{"Detach":false,"Tty":true,"ConsoleSize":[40,120]}"#, &unlimited())
        .expect("judged");
    assert_eq!((start.detach(), start.tty()), (false, true));
    assert_eq!(value(start.into_body()), json!({"Detach": false, "Tty": true, "ConsoleSize": [40, 120]}));
    assert!(judge_exec_start(br#"{"detach":true}"#, &unlimited()).expect("judged").detach());
    // As docker-modem sends it, with options that are its own.
    let modem =
        judge_exec_start(br#"{"hijack":true,"stdin":true,"Tty":false}"#, &unlimited()).expect("judged");
    assert_eq!(modem.into_body(), br#"{"Tty":false}"#);
    assert!(judge_exec_start(br#"{"Checkpoint":"x"}"#, &unlimited()).is_err());
}

#[test]
fn a_commit_bakes_in_nothing_of_the_daemons() {
    let asked = json!({"Cmd": ["/bin/sh"], "Labels": {"ds01.user": "bob", "a": "b"}, "Env": ["NVIDIA_VISIBLE_DEVICES=all", "A=1"], "User": "me", "Image": "x"});
    let judged = judge_commit(&bytes(&asked), &unlimited()).expect("judged");
    assert_eq!(judged.warnings().len(), 1);
    assert_eq!(
        value(judged.into_body()),
        json!({"Cmd": ["/bin/sh"], "Labels": {"a": "b"}, "Env": ["A=1"], "User": "me"})
    );
    assert!(judge_commit(b"", &unlimited()).expect("empty").into_body().is_empty());
    assert!(judge_commit(b"null", &unlimited()).expect("null").into_body().is_empty());
    assert_eq!(judge_commit(b"{}", &unlimited()).expect("object").into_body(), b"{}");
    assert!(judge_commit(br#"{"HostConfig":{"Privileged":true}}"#, &unlimited()).is_err());
}

#[test]
fn a_volume_is_local_and_mounts_nothing() {
    let volume =
        |asked: Value| judge_volume(&bytes(&asked), &alice()).map(|judged| value(judged.into_body()));
    assert_eq!(volume(json!({"Name": "", "Driver": "", "DriverOpts": null, "Labels": null})), Ok(json!({})));
    assert_eq!(
        volume(json!({"Name": "data", "Driver": "nfs"})).map_err(|r| r.status),
        Err(404),
        "no such driver"
    );
    assert_eq!(
        volume(
            json!({"Name": "data", "Driver": "local", "DriverOpts": {}, "Labels": {"a": "b", "ds01.user": "bob"}})
        ),
        Ok(json!({"Name": "data", "Driver": "local", "Labels": {"a": "b"}}))
    );
    assert_eq!(
        volume(
            json!({"Name": "fast", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1000"}})
        ),
        Ok(
            json!({"Name": "fast", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "nosuid,nodev,size=100m,uid=1000"}})
        )
    );
    assert_eq!(
        volume(json!({"Name": "fast", "DriverOpts": {"type": "tmpfs"}})).expect("judged")["DriverOpts"]["o"],
        format!("nosuid,nodev,size={}", 64 * GIB)
    );
    for opts in [
        json!({"type": "none", "o": "bind", "device": "/etc"}),
        json!({"type": "overlay", "o": "lowerdir=/etc", "device": "overlay"}),
        json!({"type": "tmpfs", "device": "/etc", "o": "bind"}),
        json!({"type": "tmpfs", "device": "tmpfs", "o": "bind"}),
        json!({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,lowerdir=/etc"}),
        json!({"o": "bind", "device": "/etc"}),
        json!({"Type": "tmpfs"}),
        json!({"size": "10G"}),
    ] {
        assert!(volume(json!({"Name": "evil", "DriverOpts": opts})).is_err(), "{opts}");
    }
    for bad in [
        json!({"Driver": "nfs"}),
        json!({"Name": "../x"}),
        json!({"ClusterVolumeSpec": {"Group": "g"}}),
        json!({"Name": 1}),
    ] {
        assert!(volume(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn a_network_is_a_bridge_of_the_callers_own() {
    let network =
        |asked: Value| judge_network(&bytes(&asked), &alice()).map(|judged| value(judged.into_body()));
    // docker CLI 20.10 and 28, docker-py, Compose 1.29, Compose 2.
    for asked in [
        json!({"CheckDuplicate": true, "Driver": "bridge", "Scope": "", "EnableIPv6": false, "IPAM": {"Driver": "default", "Options": {}, "Config": []}, "Internal": false, "Attachable": false, "Ingress": false, "ConfigOnly": false, "ConfigFrom": null, "Options": {}, "Labels": {}, "Name": "lab"}),
        json!({"Name": "lab", "Driver": "bridge", "Scope": "", "IPAM": {"Driver": "default", "Options": {}, "Config": []}, "Internal": false, "Attachable": false, "Ingress": false, "ConfigOnly": false, "ConfigFrom": null, "Options": {}, "Labels": {}}),
        json!({"Name": "lab", "Driver": null, "Options": null, "IPAM": null, "CheckDuplicate": null}),
        json!({"Name": "lab_default", "Driver": null, "Options": null, "IPAM": null, "CheckDuplicate": true, "Labels": {"com.docker.compose.network": "default"}, "Attachable": true}),
        json!({"Name": "lab_default", "CheckDuplicate": true, "Driver": "", "EnableIPv6": null, "Options": null, "Labels": {"com.docker.compose.project": "lab"}}),
        json!({"Name": "lab", "Internal": true, "Options": {"com.docker.network.driver.mtu": "1400"}}),
    ] {
        assert!(network(asked.clone()).is_ok(), "{asked}");
    }
    let story = [
        (
            json!({"Name": "n", "Driver": "macvlan"}),
            "\"Driver\" \"macvlan\" is not available here; use bridge",
        ),
        (
            json!({"Name": "n", "Options": {"com.docker.network.bridge.name": "eth9"}}),
            "\"Options\" has the option \"com.docker.network.bridge.name\", which is not available here; leave it out",
        ),
        (
            json!({"Name": "n", "IPAM": {"Config": [{"Subnet": "10.0.0.0/8"}]}}),
            "\"IPAM.Config\" chooses addresses, which can shadow machines of the lab; leave it out and Docker finds a free range",
        ),
        (
            json!({"Name": "n", "IPAM": {"Driver": "dhcp"}}),
            "\"IPAM.Driver\" \"dhcp\" is not available here; leave it out",
        ),
        (
            json!({"Name": "n", "ConfigFrom": {"Network": "x"}}),
            "\"ConfigFrom\" is for swarm and not available here; leave it out",
        ),
        (
            json!({"Name": "n", "Ingress": true}),
            "\"Ingress\" is for swarm and not available here; leave it out",
        ),
        (
            json!({"Name": "n", "Scope": "swarm"}),
            "\"Scope\" \"swarm\" is for swarm and not available here; leave it out",
        ),
        (json!({"Name": "host"}), "\"Name\" \"host\" is the Engine's own; choose another name"),
    ];
    for (asked, expected) in story {
        assert_eq!(network(asked).expect_err(expected).message, expected);
    }
    assert!(
        judge_network(
            &bytes(&json!({"Name": "n", "Driver": "macvlan", "Options": {"parent": "eth0"}})),
            &admin()
        )
        .is_ok()
    );
}

#[test]
fn connecting_names_a_container_and_no_addresses() {
    let connect = |asked: Value| -> Result<(Value, usize), Refusal> {
        let judged = judge_connect(&bytes(&asked), &alice())?;
        let warnings = judged.warnings().len();
        Ok((value(judged.into_body("full-id")), warnings))
    };
    assert_eq!(
        connect(
            json!({"Container": "web", "EndpointConfig": {"IPAMConfig": {}, "Links": null, "Aliases": ["db"], "NetworkID": "x", "MacAddress": "", "DriverOpts": null, "GwPriority": 0}})
        ),
        Ok((json!({"Container": "full-id", "EndpointConfig": {"Aliases": ["db"], "GwPriority": 0}}), 0))
    );
    assert_eq!(connect(json!({"container": "/web"})), Ok((json!({"Container": "full-id"}), 0)));
    assert_eq!(
        connect(
            json!({"Container": "web", "EndpointConfig": {"Links": ["db:db"], "MacAddress": "02:00:00:00:00:01", "DriverOpts": {"com.docker.network.endpoint.sysctls": "x"}}})
        ),
        Ok((json!({"Container": "full-id", "EndpointConfig": {"Links": ["db:db"]}}), 2))
    );
    assert_eq!(
        connect(json!({"Container": "web", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.0.0.1"}}}))
            .expect_err("refused")
            .message,
        "\"EndpointConfig.IPAMConfig.IPv4Address\" asks for a fixed address, which is not available here; use the container's name on the network instead"
    );
    assert!(connect(json!({"EndpointConfig": {}})).is_err());
    let off = judge_disconnect(br#"{"Container":"web","Force":true}"#, &alice()).expect("judged");
    assert_eq!(off.container(), "web");
    assert_eq!(value(off.into_body("full-id")), json!({"Container": "full-id", "Force": true}));
}

#[test]
fn labels_that_everybodys_lists_are_made_of_are_short() {
    let fat = json!({"x": "y".repeat(4096)});
    let usual = json!({"com.docker.compose.project": "p", "com.docker.compose.volume": "v".repeat(200)});
    let volume = |labels: &Value| judge_volume(&bytes(&json!({"Name": "vol", "Labels": labels})), &alice());
    let network = |labels: &Value| judge_network(&bytes(&json!({"Name": "net", "Labels": labels})), &alice());
    assert!(volume(&usual).is_ok() && network(&usual).is_ok());
    for refusal in [volume(&fat).err(), network(&fat).err()] {
        let refusal = refusal.expect("refused").to_string();
        assert!(refusal.contains("\"Labels\" has 4097 bytes of labels"), "{refusal}");
    }
    let options = json!({"Name": "vol", "DriverOpts": {"type": "tmpfs", "o": "rw,".repeat(400)}});
    let refusal = judge_volume(&bytes(&options), &alice()).expect_err("refused").to_string();
    assert!(refusal.contains("options of more than 1024 bytes"), "{refusal}");
}
