//! What holds for every body, whatever is in it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::create::table::{CREATE, HOST};
use super::super::{
    judge_commit, judge_connect, judge_create, judge_exec, judge_network, judge_update, judge_volume,
};
use super::{GIB, alice, answer};
use crate::json::{Json, parse};

/// A spelling that Go takes for the same key.
fn respelt(name: &str, dice: u64) -> String {
    name.chars()
        .enumerate()
        .map(|(index, letter)| match (dice >> (index % 60) & 3, letter.to_ascii_lowercase()) {
            (0, _) => letter,
            (1, lower) => lower,
            (2, _) => letter.to_ascii_uppercase(),
            (_, 's') => '\u{17f}',
            (_, 'k') => '\u{212a}',
            _ => letter,
        })
        .collect()
}

fn any_value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        "host",
        "none",
        "private",
        "container:web",
        "web",
        "/home/alice:/w:ro",
        "name:/w",
        "/dev/null:/x",
        "bind",
        "volume",
        "tmpfs",
        "SYS_ADMIN",
        "sys_ptrace",
        "ALL",
        "no-new-privileges",
        "seccomp=unconfined",
        "0",
        "20100",
        "size=4g,exec",
        "1",
        "nvidia",
        "NVIDIA_VISIBLE_DEVICES=all",
        "A=b",
        "always",
        "on-failure",
        "json-file",
        "/a/b",
        "true",
        "gpu",
        "nofile",
    ])
    .prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_i64..10).prop_map(Value::from),
        words.clone(),
        words,
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let keys = prop::sample::select(vec![
            "Type",
            "type",
            "Source",
            "Target",
            "ReadOnly",
            "BindOptions",
            "Propagation",
            "VolumeOptions",
            "DriverConfig",
            "Options",
            "Name",
            "Config",
            "MaximumRetryCount",
            "PathOnHost",
            "Driver",
            "Count",
            "Capabilities",
            "DeviceIDs",
            "8080/tcp",
            "HostPort",
            "HostIp",
            "Soft",
            "Hard",
            "web",
            "cdi.k8s.io/x",
            "ds01.x",
            "EndpointsConfig",
            "Aliases",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|map| Value::Object(
                map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Value> {
    let host: Vec<&'static str> = HOST.iter().map(|row| row.name).collect();
    let top: Vec<&'static str> =
        CREATE.iter().map(|row| row.name).filter(|name| *name != "HostConfig").collect();
    let some = |names: Vec<&'static str>| {
        prop::collection::btree_map(prop::sample::select(names), (any::<u64>(), any_value()), 0..4).prop_map(
            |map| {
                map.into_iter()
                    .map(|(name, (dice, value))| (respelt(name, dice), value))
                    .collect::<Map<String, Value>>()
            },
        )
    };
    (some(top), some(host), any::<u64>()).prop_map(|(mut body, host, dice)| {
        body.insert(respelt("HostConfig", dice), Value::Object(host));
        Value::Object(body)
    })
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("object").keys().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_sent_on_is_canonical_and_holds_nothing_dangerous(body in any_body()) {
        let bytes = serde_json::to_vec(&body).expect("json");
        let Ok(mut judged) = judge_create(&bytes, &alice()) else { return Ok(()) };
        let _ = judged.original();
        answer(&mut judged);
        let sent = judged.into_body().expect("answered");
        let tree = parse(&sent).expect("what is written is read again");
        prop_assert_eq!(&tree.to_bytes(), &sent);
        let sent = Value::from(&tree);
        for key in keys(&sent) {
            prop_assert!(CREATE.iter().any(|row| row.name == key), "{}", key);
        }
        let host = &sent["HostConfig"];
        for key in keys(host) {
            prop_assert!(HOST.iter().any(|row| row.name == key), "{}", key);
        }
        for never in ["DeviceRequests", "Devices", "DeviceCgroupRules", "Annotations", "MaskedPaths", "ReadonlyPaths", "Cgroup"] {
            prop_assert_eq!(&host[never], &Value::Null, "{}", never);
        }
        prop_assert_ne!(&host["Privileged"], &json!(true));
        for mode in ["NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"] {
            prop_assert_ne!(&host[mode], "host");
            prop_assert_ne!(&host[mode], "container:web");
        }
        prop_assert!(host["Memory"].as_u64().is_some_and(|memory| memory <= 64 * GIB));
        prop_assert!(host["PidsLimit"].as_u64().is_some_and(|pids| pids <= 4096));
        prop_assert!(host["NanoCpus"].as_i64().unwrap_or(0) > 0 || host["CpuQuota"].as_i64().unwrap_or(0) > 0);
        prop_assert_eq!(&host["CgroupParent"], "/ds01/alice");
        for mount in host["Mounts"].as_array().into_iter().flatten().filter(|mount| mount["Type"] == "bind") {
            prop_assert!(mount["Source"].as_str().is_some_and(|source| source.starts_with("/run/ds01/")));
        }
        for bind in host["Binds"].as_array().into_iter().flatten() {
            let bind = bind.as_str().unwrap_or_default();
            prop_assert!(!bind.starts_with('/') || !bind.contains(':'), "{}", bind);
        }
        // What was sent on is judged the same again: nothing is left that a second look would change.
        let drops = host["CapDrop"].to_string();
        prop_assert!(drops.contains("ALL") || ["MKNOD", "NET_RAW", "SETFCAP", "AUDIT_WRITE"].iter().all(|cap| drops.to_uppercase().contains(cap)));
    }

    #[test]
    fn no_body_makes_a_judge_panic(body in any_body(), junk in prop::collection::vec(any::<u8>(), 0..64)) {
        for bytes in [serde_json::to_vec(&body).expect("json"), junk] {
            let rules = alice();
            let _ = judge_create(&bytes, &super::admin());
            let _ = judge_exec(&bytes, &rules).map(super::super::JudgedExec::into_body);
            let _ = judge_update(&bytes, &rules).map(|judged| judged.into_body(true));
            let _ = judge_commit(&bytes, &rules).map(super::super::JudgedCommit::into_body);
            let _ = judge_volume(&bytes, &rules).map(super::super::JudgedVolume::into_body);
            let _ = judge_network(&bytes, &rules).map(super::super::JudgedNetwork::into_body);
            let _ = judge_connect(&bytes, &rules).map(|judged| judged.into_body("x"));
        }
    }

    #[test]
    fn the_spelling_of_a_key_does_not_change_the_judgement(dice in any::<u64>(), which in 0..HOST.len(), value in any_value()) {
        let name = HOST[which].name;
        let judge = |key: &str| {
            let host: Map<String, Value> = [(key.to_owned(), value.clone())].into_iter().collect();
            let mut judged = judge_create(json!({"HostConfig": host}).to_string().as_bytes(), &alice()).ok()?;
            answer(&mut judged);
            parse(&judged.into_body().expect("answered")).ok()
        };
        prop_assert_eq!(judge(name), judge(&respelt(name, dice)));
        prop_assert!(judge(name).is_none_or(|tree: Json| tree.as_object().is_some()));
    }
}
