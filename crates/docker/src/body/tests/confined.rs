//! Stories of containers in which everybody is the caller himself.

use serde_json::{Value, json};

use super::super::{Profile, Rules, judge_create, judge_exec};
use super::{admin, create_with, unlimited};

fn strict() -> Rules {
    Rules { profile: Profile::Strict, ..unlimited() }
}

/// What is sent on of a user, and the warnings.
fn sent(rules: &Rules, body: &Value) -> (Value, Vec<String>) {
    create_with(rules, body).expect("judged")
}

#[test]
fn whoever_was_asked_for_it_is_the_caller_and_nobody_can_become_more() {
    for user in ["", "0", "root", "root:root", "vscode", "20001", "20001:0", "1000:1000", "20002:20001"] {
        let body = json!({"Image": "base", "User": user, "HostConfig": {
            "CapAdd": ["SYS_PTRACE"], "CapDrop": ["CHOWN"], "SecurityOpt": ["no-new-privileges:false"]}});
        let (sent, warnings) = sent(&strict(), &body);
        assert_eq!(sent["User"], "20001:20001", "{user}");
        assert_eq!(sent["HostConfig"]["CapAdd"], Value::Null, "{user}");
        assert_eq!(sent["HostConfig"]["CapDrop"], json!(["ALL"]), "{user}");
        assert_eq!(sent["HostConfig"]["SecurityOpt"], json!(["no-new-privileges:true"]), "{user}");
        let told = warnings.iter().any(|warning| warning.starts_with("User was set to 20001:20001"));
        let own = matches!(user, "" | "20001");
        assert_eq!(told, !own, "{user}: {warnings:?}");
        assert!(
            warnings.iter().any(|warning| warning.starts_with("CapAdd SYS_PTRACE was dropped")),
            "{user}"
        );
    }
}

#[test]
fn a_group_of_ones_own_is_kept() {
    let (body, warnings) = sent(&strict(), &json!({"Image": "base", "User": "20001:20100"}));
    assert_eq!((body["User"].as_str(), warnings.len()), (Some("20001:20100"), 0));
    let (body, _) = sent(&strict(), &json!({"Image": "base", "User": "20001:20101"}));
    assert_eq!(body["User"], "20001:20001");
}

#[test]
fn what_nobody_may_is_refused_in_this_profile_too() {
    let body = json!({"Image": "base", "HostConfig": {"Privileged": true}});
    assert_eq!(create_with(&strict(), &body).expect_err("refused").status, 403);
    let body = json!({"Image": "base", "HostConfig": {"CapAdd": ["SYS_ADMIN"]}});
    assert_eq!(create_with(&strict(), &body).expect_err("refused").status, 403);
}

#[test]
fn confined_later_is_confined_as_well() {
    let body = serde_json::to_vec(&json!({"Image": "base", "User": "0:0"})).expect("json");
    let mut judged = judge_create(&body, &unlimited()).expect("judged");
    assert!(!judged.is_confined());
    judged.confine();
    judged.confine();
    assert!(judged.is_confined());
    assert_eq!(judged.user(), Some("20001:20001"));
    assert_eq!(judged.warnings().len(), 1);
}

#[test]
fn root_of_the_host_is_himself() {
    let rules = Rules { uid: 0, gid: 0, groups: vec![0], ..admin() };
    let mut judged = judge_create(br#"{"Image":"base","User":"0:0"}"#, &rules).expect("judged");
    judged.confine();
    assert!(!judged.is_confined());
}

#[test]
fn an_exec_is_the_caller_and_says_so_to_whom_wants_root() {
    let confined = |user: &str| {
        let body = serde_json::to_vec(&json!({"Cmd": ["id"], "User": user})).expect("json");
        let mut judged = judge_exec(&body, &unlimited()).expect("judged");
        judged.confine((20001, 20100)).map(|()| judged.user().map(ToOwned::to_owned))
    };
    for user in ["", "vscode", "20001", "1000:0", " 0", "nobody:root"] {
        assert_eq!(confined(user), Ok(Some("20001:20100".to_owned())), "{user}");
    }
    for user in ["root", "0", "0:0", "root:20001", "00", "+0"] {
        let refusal = confined(user).expect_err("refused");
        assert_eq!(refusal.status, 403, "{user}");
        assert!(refusal.message.contains("everything in it runs as you (20001:20100)"), "{user}");
    }
}

#[test]
fn the_hosts_network_is_for_those_who_were_given_it() {
    let body = json!({"Image": "base", "HostConfig": {"NetworkMode": "host"}});
    assert_eq!(create_with(&unlimited(), &body).expect_err("refused").status, 403);
    let (sent, _) = sent(&Rules { host_network: true, ..unlimited() }, &body);
    assert_eq!(sent["HostConfig"]["NetworkMode"], "host");
    for other in ["PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"] {
        let mut body = json!({"Image": "base", "HostConfig": {}});
        body["HostConfig"][other] = json!("host");
        let refused = create_with(&Rules { host_network: true, ..unlimited() }, &body);
        assert_eq!(refused.expect_err("refused").status, 403, "{other}");
    }
}
