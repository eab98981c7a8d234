//! Stories of limits, at create and at update.

use serde_json::{Value, json};

use super::super::{Rules, judge_update};
use super::{GIB, alice, create_with, unlimited};

/// What Alice (64 GiB, 8 CPUs, 4096 processes, 16 GiB shm) gets; only the fields that were asked or set.
fn create(asked: &Value) -> (Value, Vec<String>) {
    create_as(&alice(), asked)
}

fn create_as(rules: &Rules, asked: &Value) -> (Value, Vec<String>) {
    let (body, warnings) = create_with(rules, &json!({"HostConfig": asked})).expect("judged");
    let mut host = body["HostConfig"].clone();
    for always in ["CapDrop", "CgroupParent", "Runtime"] {
        host.as_object_mut().expect("object").remove(always);
    }
    (host, warnings)
}

fn update(rules: &Rules, asked: &Value) -> (Value, Vec<String>) {
    let judged = judge_update(&serde_json::to_vec(asked).expect("json"), rules).expect("judged");
    let warnings = judged.warnings().to_vec();
    (serde_json::from_slice(&judged.into_body(false)).expect("json"), warnings)
}

#[test]
fn less_is_kept_and_more_is_lowered_with_a_word() {
    let (host, warnings) =
        create(&json!({"Memory": GIB, "NanoCpus": 500_000_000, "PidsLimit": 10, "ShmSize": GIB}));
    assert_eq!(host, json!({"Memory": GIB, "NanoCpus": 500_000_000, "PidsLimit": 10, "ShmSize": GIB}));
    assert_eq!(warnings, [""; 0]);

    let (host, warnings) = create(&json!({
        "Memory": 1024 * GIB, "MemorySwap": -1, "NanoCpus": 64_000_000_000_u64, "PidsLimit": -1, "ShmSize": 4096 * GIB,
        "MemoryReservation": 100 * GIB, "OomScoreAdj": -1000, "OomKillDisable": true,
    }));
    assert_eq!(
        host,
        json!({
            "Memory": 64 * GIB, "MemorySwap": 128 * GIB, "NanoCpus": 8_000_000_000_u64, "PidsLimit": 4096, "ShmSize": 16 * GIB,
            "MemoryReservation": 64 * GIB, "OomScoreAdj": 0,
        })
    );
    assert_eq!(
        warnings,
        [
            "Memory limit lowered to 64 GiB, the most that one container may have.",
            "Memory and swap together lowered to 128 GiB, the most that one container may have.",
            "Memory reservation lowered to 64 GiB.",
            "OomScoreAdj raised to 0: a container may not be spared before the system's own processes.",
            "OomKillDisable was dropped: a container over its memory limit would hang instead of ending.",
            "CPUs lowered to 8, the most that one container may have.",
            "Process limit lowered to 4096, the most that one container may have.",
            "Size of /dev/shm lowered to 16 GiB, the most that one container may have.",
        ]
    );
}

#[test]
fn nothing_asked_is_the_limit_without_a_word() {
    let set =
        json!({"Memory": 64 * GIB, "NanoCpus": 8_000_000_000_u64, "PidsLimit": 4096, "ShmSize": 16 * GIB});
    for zero in [
        json!({}),
        json!({"Memory": 0, "NanoCpus": 0, "PidsLimit": 0, "ShmSize": 0}),
        json!({"Memory": null, "PidsLimit": null}),
    ] {
        assert_eq!(create(&zero), (set.clone(), Vec::new()));
    }
    assert_eq!(create_as(&unlimited(), &json!({})).0, json!({}));
    assert_eq!(
        create_as(&unlimited(), &json!({"Memory": -1, "PidsLimit": -1})).0,
        json!({"Memory": -1, "PidsLimit": -1})
    );
}

#[test]
fn swap_keeps_below_its_own_limit() {
    let mut rules = alice();
    rules.limits.memory_swap_bytes = Some(64 * GIB);
    let swap = |asked: Value| create_as(&rules, &asked).0["MemorySwap"].clone();
    // The Engine would give twice the memory.
    assert_eq!(swap(json!({})), 64 * GIB);
    assert_eq!(swap(json!({"Memory": 40 * GIB})), 64 * GIB);
    assert_eq!(swap(json!({"Memory": 10 * GIB})), Value::Null);
    assert_eq!(swap(json!({"Memory": 10 * GIB, "MemorySwap": 15 * GIB})), 15 * GIB);
    assert_eq!(swap(json!({"MemorySwap": -1})), 64 * GIB);
    // A limit on swap below the memory is no limit that the Engine takes.
    rules.limits.memory_swap_bytes = Some(GIB);
    assert_eq!(create_as(&rules, &json!({})).0["MemorySwap"], 64 * GIB);
}

#[test]
fn cpus_are_limited_in_whichever_way_they_are_asked() {
    let cpu = |asked: Value| {
        let host = create(&asked).0;
        ["NanoCpus", "CpuQuota", "CpuPeriod"].map(|field| host[field].as_i64().unwrap_or_default())
    };
    assert_eq!(cpu(json!({})), [8_000_000_000, 0, 0]);
    assert_eq!(cpu(json!({"CpuQuota": 50_000})), [0, 50_000, 0]);
    assert_eq!(cpu(json!({"CpuQuota": -1})), [0, 800_000, 0]);
    assert_eq!(cpu(json!({"CpuQuota": 9_000_000})), [0, 800_000, 0]);
    assert_eq!(cpu(json!({"CpuPeriod": 10_000})), [0, 80_000, 10_000]);
    assert_eq!(cpu(json!({"CpuPeriod": 10_000, "CpuQuota": 90_000})), [0, 80_000, 10_000]);
    assert_eq!(cpu(json!({"CpuPeriod": 0, "CpuQuota": 0, "NanoCpus": 1_500_000_000})), [1_500_000_000, 0, 0]);
}

#[test]
fn ulimits_are_lowered_or_dropped() {
    let asked = json!({"Ulimits": [
        {"Name": "nofile", "Soft": 10_485_760, "Hard": 10_485_760},
        {"Name": "memlock", "Soft": -1, "Hard": -1},
        {"name": "stack", "hard": 67_108_864, "soft": 67_108_864},
        {"Name": "rtprio", "Soft": 99, "Hard": 99},
        {"Name": "nproc", "Soft": 100, "Hard": -1},
    ]});
    let (host, warnings) = create(&asked);
    assert_eq!(
        host["Ulimits"],
        json!([
            {"Name": "nofile", "Soft": 1_048_576, "Hard": 1_048_576},
            {"Name": "memlock", "Soft": -1, "Hard": -1},
            {"Name": "stack", "Hard": 67_108_864, "Soft": 67_108_864},
            {"Name": "nproc", "Soft": 100, "Hard": 4096},
        ])
    );
    assert_eq!(
        warnings,
        [
            "Ulimit nofile lowered to 1048576.",
            "Ulimit rtprio was dropped: real-time and raised priorities are the host's.",
            "Ulimit nproc lowered to 4096.",
        ]
    );
}

#[test]
fn tmpfs_storage_log_and_times_are_bounded() {
    let mut rules = alice();
    rules.limits.memory_bytes = Some(GIB);
    rules.log_bytes = Some(100 << 20);
    let (host, warnings) = create_as(
        &rules,
        &json!({
            "Tmpfs": {"/a": "size=4t,exec", "/b": "", "/c": "size=50%", "/d": "size=512m,mode=1777"},
            "Mounts": [{"Type": "tmpfs", "Target": "/e", "TmpfsOptions": {"SizeBytes": 4096 * GIB}}],
            "StorageOpt": {"size": "10T"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1g", "tag": "x"}},
        }),
    );
    assert_eq!(
        host["Tmpfs"],
        json!({"/a": "nosuid,nodev,size=1073741824,exec", "/b": "nosuid,nodev", "/c": "nosuid,nodev,size=1073741824", "/d": "nosuid,nodev,size=512m,mode=1777"})
    );
    assert_eq!(host["Mounts"][0]["TmpfsOptions"]["SizeBytes"], GIB);
    assert_eq!(host.get("StorageOpt"), None);
    assert_eq!(
        host["LogConfig"],
        json!({"Type": "json-file", "Config": {"max-size": "104857600", "tag": "x"}})
    );
    assert_eq!(warnings.len(), 5, "{warnings:?}");

    let (host, _) = create_as(&rules, &json!({"LogConfig": {"Type": "", "Config": {}}}));
    assert_eq!(
        host["LogConfig"],
        json!({"Type": "json-file", "Config": {"max-size": "104857600", "max-file": "2"}})
    );
    let (host, warnings) =
        create_as(&rules, &json!({"LogConfig": {"Type": "local", "Config": {"max-size": "10m"}}}));
    assert_eq!((host["LogConfig"]["Config"].clone(), warnings.len()), (json!({"max-size": "10m"}), 0));

    let asked = json!({"StopTimeout": 2_147_483_647, "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1_000_000, "StartInterval": 5_000_000, "Retries": 2}});
    let (body, warnings) = create_with(&rules, &asked).expect("judged");
    assert_eq!(body["StopTimeout"], 120);
    assert_eq!(
        body["Healthcheck"],
        json!({"Test": ["CMD", "x"], "Interval": 1_000_000_000, "StartInterval": 1_000_000_000, "Retries": 2})
    );
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let (body, warnings) =
        create_with(&rules, &json!({"StopTimeout": 0, "Healthcheck": {"Test": ["NONE"], "Interval": 0}}))
            .expect("judged");
    assert_eq!((body["StopTimeout"].clone(), warnings.len()), (json!(0), 0));
}

#[test]
fn an_update_leaves_alone_what_it_does_not_name() {
    // What `docker update --memory 1g` sends.
    let asked = json!({
        "CpuShares": 0, "Memory": GIB, "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": null,
        "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "Devices": null, "DeviceCgroupRules": null, "DeviceRequests": null,
        "MemorySwap": 0, "MemorySwappiness": null, "OomKillDisable": null, "PidsLimit": null, "Ulimits": null,
        "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0, "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
    });
    let (sent, warnings) = update(&alice(), &asked);
    assert_eq!(
        sent,
        json!({"CpuShares": 0, "Memory": GIB, "NanoCpus": 0, "BlkioWeight": 0, "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "MemorySwap": 0})
    );
    assert_eq!(warnings, [""; 0]);
    assert_eq!(update(&alice(), &json!({})).0, json!({}));
}

#[test]
fn an_update_cannot_take_limits_away() {
    let (sent, warnings) = update(
        &alice(),
        &json!({"memory": 1024 * GIB, "memoryswap": -1, "NanoCpus": 64_000_000_000_u64, "PidsLimit": -1}),
    );
    assert_eq!(
        sent,
        json!({"Memory": 64 * GIB, "MemorySwap": 128 * GIB, "NanoCpus": 8_000_000_000_u64, "PidsLimit": 4096})
    );
    assert_eq!(warnings.len(), 4);
    assert_eq!(update(&alice(), &json!({"PidsLimit": 0})).0, json!({"PidsLimit": 4096}));
    assert_eq!(
        update(&alice(), &json!({"CpuQuota": 400_000})).0,
        json!({"CpuQuota": 400_000, "CpuPeriod": 100_000})
    );
    assert_eq!(update(&alice(), &json!({"CpuPeriod": 1000})).0, json!({"CpuPeriod": 1000, "CpuQuota": 8000}));
    for fixed in [
        json!({"Devices": [{"PathOnHost": "/dev/sda"}]}),
        json!({"CgroupParent": "/"}),
        json!({"DeviceRequests": [{"Count": 1}]}),
    ] {
        let refusal =
            judge_update(&serde_json::to_vec(&fixed).expect("json"), &alice()).expect_err("refused");
        assert!(
            refusal.message.ends_with("is fixed when a container is created; make a new one"),
            "{refusal}"
        );
    }
}

#[test]
fn the_restart_policy_of_a_container_with_gpus_is_not_sent() {
    let judged = judge_update(br#"{"RestartPolicy":{"Name":"always"},"Memory":1073741824}"#, &alice())
        .expect("judged");
    assert_eq!(judged.restart(), Some(super::super::Restart::Always));
    assert_eq!(String::from_utf8(judged.clone().into_body(true)).expect("text"), r#"{"Memory":1073741824}"#);
    assert!(String::from_utf8(judged.into_body(false)).expect("text").contains("always"));
}

#[test]
fn a_quota_can_be_said_as_cpus() {
    let mut quota = judge_update(br#"{"CpuQuota":50000}"#, &unlimited()).expect("judged");
    assert!(quota.has_cpu_quota());
    quota.say_quota_as_cpus();
    assert_eq!(quota.into_body(false), br#"{"NanoCpus":500000000}"#);
    let mut slower = judge_update(br#"{"CpuQuota":50000,"CpuPeriod":25000}"#, &unlimited()).expect("judged");
    slower.say_quota_as_cpus();
    assert_eq!(slower.into_body(false), br#"{"NanoCpus":2000000000}"#);
    assert!(!judge_update(br#"{"NanoCpus":1}"#, &unlimited()).expect("judged").has_cpu_quota());
}
