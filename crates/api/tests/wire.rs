//! The wire, as text: what is printed here is what the other side and every script reads.

use ds01_api::{
    Container, ContainerList, DeployRequest, Deployed, FrameworkList, Limits, Machine, Queue, RetireRequest,
    Retired, WhoAmI, Why,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads `text` and writes it again: every field has its name, and absent stays absent.
fn check<T: Serialize + DeserializeOwned>(text: &str) {
    let value: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(serde_json::to_string(&value).expect("API types have string keys"), text);
}

const UNIT: &str = r#"{"id":"MIG-1","address":"0:1","model":"A100","profile":"2g.20gb","memory_mib":20480,"weight_milli":286}"#;

#[test]
fn answers() {
    check::<WhoAmI>(
        r#"{"uid":1001,"name":"alice","docker_name":"alice","group":"student","unix_groups":["video"],"admin":false,"via":{"kind":"host"}}"#,
    );
    check::<WhoAmI>(
        r#"{"uid":0,"name":"root","docker_name":"root","group":"staff","unix_groups":[],"admin":true,"via":{"kind":"container","name":"dev"},"login_name":"alice"}"#,
    );
    let free = UNIT.replace('}', r#","health":"available","preferred_for":"carol"}"#);
    let held =
        UNIT.replace('}', r#","health":"draining","holder":{"owner":"bob","mine":false,"held_seconds":5}}"#);
    check::<Machine>(&format!(
        r#"{{"host":"dgx1","simulated":false,"cards":[{{"index":0,"uuid":"GPU-1","model":"A100","memory_mib":81920,"mig":true,"units":[{free},{held}]}}],"free_units":1,"total_units":2,"waiting":0}}"#
    ));
    check::<Limits>(
        r#"{"user":"alice","group":"student","admin":false,"limits":[{"key":"memory","label":"memory","unit":"bytes","limit":null,"used":null,"source":{"kind":"built_in"}},{"key":"max_cpus","label":"CPUs","unit":"cpu_milli","limit":4000,"used":0,"source":{"kind":"group","name":"student"}}]}"#,
    );
    check::<Queue>(
        r#"{"waiting":[{"position":1,"owner":"alice","mine":true,"container":"p","want":"1 GPU","reason":"none is free","waited_seconds":1,"left_seconds":179}],"free_units":0}"#,
    );
    check::<Why>(
        r#"{"name":"p._.alice","verdict":"p runs","facts":[{"label":"GPU","text":"0:1"}],"next":["container list"]}"#,
    );
}

#[test]
fn containers() {
    let container = format!(
        r#"{{"id":"ab","name":"p._.alice","project":"p","owner":"alice","mine":true,"kind":"dev_container","state":"running","image":"x","units":[{UNIT}],"want":"1 GPU","workspace":"/w","created":1,"age_seconds":2,"state_seconds":2}}"#
    );
    check::<Container>(&container);
    check::<ContainerList>(&format!(r#"{{"containers":[{container}],"hidden":3}}"#));
    check::<Deployed>(
        r#"{"id":"ab","name":"p._.alice","project":"p","image":"x","gpus":1,"workspace":"/w","workspace_created":true,"data":[{"source":"/d","target":"/data"}],"state":"created","reused":false,"replaced":false,"dry_run":false,"warnings":[]}"#,
    );
    check::<FrameworkList>(r#"{"frameworks":[{"name":"pytorch","image":"aimehub/pytorch"}]}"#);
    check::<Retired>(&format!(
        r#"{{"name":"p._.alice","project":"p","stopped":true,"released":[{UNIT}],"workspace":"/w","image":"x"}}"#
    ));
}

#[test]
fn requests_are_read_strictly() {
    check::<DeployRequest>(r#"{"project":"p","cpu_only":true,"force":false,"dry_run":false}"#);
    let short: DeployRequest = serde_json::from_str(r#"{"project":"p"}"#).unwrap();
    assert_eq!(short.gpu_count(), 1);
    assert_eq!(DeployRequest { cpu_only: true, ..short }.gpu_count(), 0);
    check::<DeployRequest>(
        r#"{"project":"p","from_project":"q","framework":"pytorch","cpu_only":false,"force":false,"dry_run":false}"#,
    );
    check::<RetireRequest>(r#"{"name":"p","force":false}"#);
    check::<RetireRequest>(
        r#"{"name":"p","force":false,"grace_seconds":60,"stopped_only":true,"keep_volumes":true}"#,
    );
    for wrong in [r#"{"project":"p","privileged":true}"#, r#"{}"#, r#"{"project":"p","gpus":-1}"#] {
        assert!(serde_json::from_str::<DeployRequest>(wrong).is_err(), "{wrong}");
    }
    assert!(serde_json::from_str::<RetireRequest>(r#"{"name":"p","volumes":true}"#).is_err());
}

#[test]
fn answers_may_grow() {
    let why: Why = serde_json::from_str(r#"{"name":"p","verdict":"v","since":5}"#).unwrap();
    assert!(why.facts.is_empty() && why.next.is_empty());
}
