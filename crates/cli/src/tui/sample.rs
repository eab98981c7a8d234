//! The door's answers that the dashboard's tests show: two cards, three people, a line.

use ds01_api::{Container, ContainerList, EventLine, GpuStats, Machine, Queue};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::model::{Model, News, Snapshot};
use crate::client::Usage;

/// 2026-01-31 14:00:00 UTC.
pub(crate) const THEN: i64 = 1_769_868_000;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn unit(address: &str, profile: Option<&str>, memory_mib: u64, weight: u32) -> Value {
    let mut unit = json!({"id": format!("id-{address}"), "address": address, "model": "NVIDIA A100-SXM4-80GB",
        "memory_mib": memory_mib, "weight_milli": weight, "health": "available"});
    if let Some(profile) = profile {
        unit["profile"] = profile.into();
    }
    unit
}

fn with(mut value: Value, more: &Value) -> Value {
    for (key, field) in more.as_object().into_iter().flatten() {
        value[key] = field.clone();
    }
    value
}

/// The machine; `busy` is how busy its whole card is.
pub(crate) fn machine(busy: u32) -> Machine {
    let card = |index: u32, mig: bool, units: Value| {
        json!({"index": index, "uuid": format!("GPU-{index}"), "model": "NVIDIA A100-SXM4-80GB", "memory_mib": 81_920,
               "mig": mig, "units": units})
    };
    let whole = with(
        unit("0", None, 81_920, 1000),
        &json!({"utilization_percent": busy, "memory_used_mib": 31_949,
                "holder": {"owner": "bob", "mine": false, "held_seconds": 7800}}),
    );
    let mine = with(
        unit("1:0", Some("3g.40gb"), 40_960, 500),
        &json!({"memory_used_mib": 700, "holder":
            {"owner": "alice", "mine": true, "container": "train", "held_seconds": 7800, "left_seconds": 79_200}}),
    );
    let kept = with(
        unit("1:1", Some("2g.20gb"), 20_480, 286),
        &json!({"preferred_for": "carol", "memory_used_mib": 0}),
    );
    let lost = with(unit("1:2", Some("1g.10gb"), 9_728, 143), &json!({"health": "lost"}));
    read(json!({"host": "dgx1", "simulated": false, "free_units": 1, "total_units": 4, "waiting": 2,
        "figures_age_seconds": 1,
        "cards": [card(0, false, json!([whole])), card(1, true, json!([mine, kept, lost])), card(2, true, json!([]))]}))
}

/// A container of somebody's.
pub(crate) fn container(name: &str, owner: &str, age: u64) -> Container {
    read(
        json!({"id": format!("{name}-{owner}"), "name": format!("{name}._.{owner}"), "project": name, "owner": owner,
        "mine": owner == "alice", "kind": "ds01", "state": "running", "image": format!("ds01-{owner}/{name}:latest"),
        "created": THEN - i64::try_from(age).unwrap(), "age_seconds": age, "state_seconds": age}),
    )
}

/// What the door answers to alice.
pub(crate) fn snapshot(busy: u32) -> Snapshot {
    let mut train = container("train", "alice", 7900);
    train.units = vec![read(unit("1:0", Some("3g.40gb"), 40_960, 500))];
    train.stop = Some(read(json!({"cause": "runtime", "in_seconds": 79_200, "enforced": true})));
    let mut parked = container("parked", "alice", 90_000);
    parked.stop = Some(read(json!({"cause": "idle", "in_seconds": 250, "enforced": true})));
    let mut next = container("next", "alice", 40);
    next.state = ds01_api::ContainerState::Waiting;
    next.want = Some("1 GPU".to_owned());
    next.waiting =
        Some(read(json!({"position": 2, "of": 2, "reason": "all units are held", "waited_seconds": 30,
        "left_seconds": 150, "holders": []})));
    let stats: GpuStats = read(json!({"age_seconds": 1, "containers": [{"id": "train-alice", "units": [
        with(unit("1:0", Some("3g.40gb"), 40_960, 500), &json!({"own_memory_mib": 700, "processes": 1}))]}]}));
    let queue: Queue = read(json!({"free_units": 0, "waiting": [
        {"position": 1, "owner": "carol", "mine": false, "want": "2 GPUs", "reason": "all 4 units are held",
         "waited_seconds": 90, "left_seconds": 90,
         "outlook": {"text": "expected 14:20, if bob stays idle; at the latest 16:05"}},
        {"position": 2, "owner": "alice", "mine": true, "container": "next", "want": "1 GPU",
         "reason": "all 4 units are held", "waited_seconds": 30, "left_seconds": 150}]}));
    Snapshot {
        at: Timestamp::from_second(THEN).unwrap().to_zoned(TimeZone::UTC),
        machine: machine(busy),
        containers: ContainerList { containers: vec![next, train, parked], hidden: 1 },
        queue,
        stats,
    }
}

/// A line of the journal, so many seconds after [`THEN`].
pub(crate) fn line(
    after: i64,
    event: &str,
    owner: &str,
    container: &str,
    units: &[&str],
    text: &str,
) -> EventLine {
    let text_of = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    EventLine {
        at: THEN + after,
        event: event.to_owned(),
        owner: text_of(owner),
        container: text_of(container),
        units: units.iter().map(|unit| (*unit).to_owned()).collect(),
        text: text.to_owned(),
    }
}

/// A model that has seen some minutes of it.
pub(crate) fn model() -> Model {
    let mut model = Model::new();
    for busy in [0, 0, 10, 35, 60, 90, 97, 95, 97, 40, 5, 0, 55, 97] {
        model.hear(News::Seen(Box::new(snapshot(busy))));
    }
    for line in [
        line(-3000, "granted", "alice", "train", &["1:0"], "after a wait of 5 s"),
        line(-600, "warned", "alice", "parked", &["1:1"], "its GPU is idle; it is stopped in 15 min"),
        line(-60, "unit", "", "", &["1:2"], "is gone from the machine"),
        line(-30, "queued", "alice", "next", &[], "1 GPU"),
    ] {
        model.hear(News::Happened(Box::new(line)));
    }
    let usage = Usage { cpu_percent: Some(150.4), memory_bytes: Some(3 << 29), ..Usage::default() };
    model.hear(News::Used("train-alice".to_owned(), Some(usage)));
    model
}
