//! Stories of bodies and what is sent on; the tables against the API; the corpus of attacks.

mod clients;
mod complete;
mod confined;
mod corpus;
mod create;
mod limits;
mod load;
mod others;
mod properties;
mod rows;

use serde_json::{Value, json};

use super::{JudgedCreate, Refusal, Rules, judge_create};

const GIB: u64 = 1 << 30;

/// Alice: uid 20001, in group 20100 too, with the limits of a student.
fn alice() -> Rules {
    let mut rules = Rules::lab(20001, 20001, vec![20001, 20100]);
    rules.limits.memory_bytes = Some(64 * GIB);
    rules.limits.cpus_milli = Some(8_000);
    rules.limits.shm_bytes = Some(16 * GIB);
    rules.limits.pids = Some(4096);
    "/ds01/alice".clone_into(&mut rules.cgroup_parent);
    rules
}

/// Alice without limits, so that a body is sent on as it is.
fn unlimited() -> Rules {
    Rules::lab(20001, 20001, vec![20001, 20100])
}

fn admin() -> Rules {
    Rules { admin: true, ..unlimited() }
}

/// Answers every question as a daemon would.
fn answer(judged: &mut JudgedCreate) {
    for bind in judged.binds().to_vec() {
        judged.set_bind(bind.slot, &format!("/run/ds01/binds/t/{}", bind.slot));
    }
    for other in judged.containers().to_vec() {
        judged.set_container(other.slot, &"c".repeat(64));
    }
    for network in judged.networks().to_vec() {
        judged.set_network(&network, &network);
    }
    if judged.gpu().is_some() {
        judged.set_gpu(Some("ds01"));
    }
}

fn create_with(rules: &Rules, body: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let mut judged = judge_create(&serde_json::to_vec(body).expect("json"), rules)?;
    answer(&mut judged);
    let warnings = judged.warnings().to_vec();
    let body = judged.into_body().expect("all answered");
    Ok((serde_json::from_slice(&body).expect("json"), warnings))
}

/// What becomes of a `HostConfig` field of Alice's, without limits; the whole body beside it.
fn host(field: &str, value: Value) -> Result<Value, String> {
    let mut body = json!({"Image": "base", "HostConfig": {}});
    body["HostConfig"][field] = value;
    create_with(&unlimited(), &body)
        .map(|(body, _)| body["HostConfig"][field].clone())
        .map_err(|r| r.to_string())
}
