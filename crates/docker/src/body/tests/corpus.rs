//! The corpus of attacks and of legitimate bodies, as far as a body alone decides; the ownership of
//! paths, containers and networks is decided by a stand-in for the daemon.

use serde_json::Value;

use super::super::paths::{beneath, clean};
use super::super::{
    Rules, judge_commit, judge_connect, judge_create, judge_exec, judge_network, judge_update, judge_volume,
};
use super::{GIB, alice};

const FILES: [&str; 9] = [
    include_str!("../../../tests/data/redteam/10-json-parsing.json"),
    include_str!("../../../tests/data/redteam/30-ownership.json"),
    include_str!("../../../tests/data/redteam/40-host-root.json"),
    include_str!("../../../tests/data/redteam/41-volumes.json"),
    include_str!("../../../tests/data/redteam/50-exec-cp-update.json"),
    include_str!("../../../tests/data/redteam/60-gpu.json"),
    include_str!("../../../tests/data/redteam/70-limits-network.json"),
    include_str!("../../../tests/data/redteam/80-build-image-system.json"),
    include_str!("../../../tests/data/redteam/90-legitimate.json"),
];

/// Alice's quota of GPUs.
const UNITS: u32 = 2;
/// Links in Alice's home that lead to /etc: the stage refuses them.
const LEADS_OUT: [&str; 2] = ["/home/alice/link-to-etc", "/home/alice/p/"];

fn fill(text: &str) -> String {
    let fill = [
        ("{ALICE_UID}", "20001".to_owned()),
        ("{ALICE_GID}", "20001".to_owned()),
        ("{ALICE_GROUP2}", "20100".to_owned()),
        ("{ALICE_HOME}", "/home/alice".to_owned()),
        ("{SHARED}", "/srv/datasets".to_owned()),
        ("{ALICE_CTR}", "a".repeat(64)),
        ("{BOB_CTR}", "b".repeat(64)),
        ("{BOB_CTR_PREFIX4}", "bbbb".to_owned()),
        ("{BOB_NET}", "bob-net".to_owned()),
        ("{QUOTA_MEM}", (64 * GIB).to_string()),
    ];
    fill.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
}

fn body_of(case: &Value) -> Option<Vec<u8>> {
    match &case["body"] {
        Value::Null if case["id"] == "json-20" => {
            let label = "x".repeat(20 << 20);
            Some(format!(r#"{{"Labels":{{"a":"{label}"}},"HostConfig":{{"Privileged":true}}}}"#).into_bytes())
        }
        Value::Null => None,
        Value::String(text) if text.starts_with("{TAR") => None,
        Value::String(text) => Some(fill(text).into_bytes()),
        object => Some(fill(&object.to_string()).into_bytes()),
    }
}

/// `Ok`: the body that is sent on. `Err`: why nothing is.
fn create(body: &[u8], rules: &Rules) -> Result<Vec<u8>, String> {
    let mut judged = judge_create(body, rules).map_err(|refusal| refusal.message)?;
    for bind in judged.binds().to_vec() {
        let path = clean(&bind.source).expect("absolute");
        let own = ["/home/alice", "/srv/datasets"].iter().any(|root| beneath(&path, root));
        if !own || LEADS_OUT.iter().any(|out| path.starts_with(out)) {
            return Err(format!("{path} is not yours"));
        }
        judged.set_bind(bind.slot, &format!("/run/ds01/binds/t/{}", bind.slot));
    }
    for other in judged.containers().to_vec() {
        if other.name != "a".repeat(64) {
            return Err(format!("no such container: {}", other.name));
        }
        judged.set_container(other.slot, &other.name);
    }
    if let Some(network) = judged.networks().first() {
        return Err(format!("network {network} not found"));
    }
    match judged.gpu().map(crate::gpu::GpuAsk::units) {
        Some(units) if units > UNITS => return Err("gpu quota".to_owned()),
        Some(_) => judged.set_gpu(Some("ds01")),
        None => {}
    }
    judged.set_label("ds01.user", "alice");
    judged.into_body().map_err(|open| panic!("{open}"))
}

/// `None`: not decided by a body.
fn judge(case: &Value) -> Option<Result<Vec<u8>, String>> {
    let path = case["path"].as_str()?;
    if case["method"] != "POST" || path.contains("{BOB_") || path.starts_with("/v1.99/") {
        return None;
    }
    let body = body_of(case)?;
    let rules = alice();
    let words = |refusal: super::Refusal| refusal.message;
    let route = path.split('?').next()?.splitn(3, '/').nth(2)?;
    Some(match route {
        "containers/create" => create(&body, &rules),
        "volumes/create" => {
            judge_volume(&body, &rules).map(super::super::JudgedVolume::into_body).map_err(words)
        }
        "networks/create" => {
            judge_network(&body, &rules).map(super::super::JudgedNetwork::into_body).map_err(words)
        }
        "commit" => judge_commit(&body, &rules).map(super::super::JudgedCommit::into_body).map_err(words),
        _ if route.ends_with("/connect") => {
            judge_connect(&body, &rules).map(|j| j.into_body("x")).map_err(words)
        }
        _ if route.ends_with("}/exec") => {
            judge_exec(&body, &rules).map(super::super::JudgedExec::into_body).map_err(words)
        }
        _ if route.ends_with("/update") => {
            judge_update(&body, &rules).map(|j| j.into_body(path.contains("GPU"))).map_err(words)
        }
        _ => return None,
    })
}

fn at<'v>(body: &'v Value, path: &str) -> &'v Value {
    let path = path.replace("['", "/").replace("']", "");
    let (_, path) = path.split_once('.').expect("root");
    let path = path.strip_prefix("Config.").or(path.strip_prefix("Config/")).unwrap_or(path);
    // A label's name holds dots.
    let (fields, label) = path.split_once('/').map_or((path, None), |(fields, label)| (fields, Some(label)));
    let found = fields.split('.').fold(body, |value, field| &value[field]);
    label.map_or(found, |label| &found[label])
}

fn holds(body: &Value, assert: &Value) -> bool {
    let found = at(body, assert[0].as_str().expect("path"));
    let wanted: Value = serde_json::from_str(&fill(&assert[2].to_string())).expect("json");
    let number = |value: &Value| value.as_i64().or(value.as_str().and_then(|text| text.parse().ok()));
    match assert[1].as_str().expect("operator") {
        "==" => *found == wanted,
        "!=" => *found != wanted,
        "absent" => found.is_null(),
        "contains" => found.to_string().contains(wanted.as_str().expect("text")),
        "not-contains" => !found.to_string().contains(wanted.as_str().expect("text")),
        "<=" => number(found) <= number(&wanted),
        "matches" => {
            assert_eq!(wanted, "^[0-9]+:[0-9]+$");
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            found.as_str().and_then(|text| text.split_once(':')).is_some_and(|(u, g)| digits(u) && digits(g))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_case_is_judged_as_it_should_be() {
    let mut judged = 0;
    for case in FILES.iter().flat_map(|file| serde_json::from_str::<Vec<Value>>(file).expect("corpus")) {
        let id = case["id"].as_str().expect("id").to_owned();
        let Some(outcome) = judge(&case) else { continue };
        judged += 1;
        let allowed = |what: &str| case["expect"] == what || case["also_ok"] == what;
        match outcome {
            Err(message) => assert!(allowed("deny"), "{id} was refused: {message}"),
            Ok(body) => {
                assert!(allowed("rewrite") || allowed("allow"), "{id} was let through");
                let body: Value = serde_json::from_slice(&body).expect("json");
                for assert in case["assert"].as_array().into_iter().flatten() {
                    let root = assert[0].as_str().expect("path");
                    assert!(root.starts_with("response") || holds(&body, assert), "{id}: {assert} in {body}");
                }
                if case["path"].as_str().is_some_and(|path| path.contains("containers/create")) {
                    let env = body["Env"].as_array().expect("env");
                    let visible: Vec<_> = env
                        .iter()
                        .filter(|v| v.as_str().is_some_and(|v| v.starts_with("NVIDIA_VISIBLE")))
                        .collect();
                    assert_eq!(visible, ["NVIDIA_VISIBLE_DEVICES=void"], "{id}");
                }
            }
        }
    }
    assert!(judged >= 75, "only {judged} cases were judged");
}

#[test]
fn legitimate_bodies_keep_their_meaning() {
    // Set or lowered by the daemon whatever was asked.
    let set = ["Binds", "Mounts", "CapDrop", "NetworkMode", "Env", "Labels", "Runtime", "CgroupParent"];
    let limits = ["Memory", "NanoCpus", "PidsLimit", "ShmSize"];
    let mut compared = 0;
    for case in serde_json::from_str::<Vec<Value>>(FILES[8]).expect("corpus") {
        let id = case["id"].as_str().expect("id");
        if id == "ok-34" || !case["path"].as_str().is_some_and(|path| path.contains("containers/create")) {
            continue;
        }
        let asked: Value = serde_json::from_slice(&body_of(&case).expect("body")).expect("json");
        let sent = create(&serde_json::to_vec(&asked).expect("json"), &alice()).expect(id);
        let sent: Value = serde_json::from_slice(&sent).expect("json");
        for (asked, sent) in [(&asked, &sent), (&asked["HostConfig"], &sent["HostConfig"])] {
            for (field, value) in asked.as_object().into_iter().flatten() {
                let neutral = matches!(value, Value::Null | Value::Bool(false))
                    || *value == 0
                    || *value == -1
                    || *value == ""
                    || value.as_array().is_some_and(Vec::is_empty)
                    || value.as_object().is_some_and(serde_json::Map::is_empty);
                let ours = set.contains(&field.as_str()) || limits.contains(&field.as_str());
                if ours || matches!(field.as_str(), "HostConfig" | "NetworkingConfig") {
                    continue;
                }
                compared += 1;
                let kept = sent[field] == *value
                    || (neutral && sent[field].is_null())
                    || sent[field].as_array().is_some_and(|list| list.len() == 1 && list[0] == *value);
                assert!(kept, "{id} {field}: {value} became {}", sent[field]);
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
