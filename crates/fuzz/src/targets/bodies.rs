//! What holds of every body that was judged: it is canonical, made of the table's rows, the same when judged again, and
//! holds nothing that a user may not have.
//!
//! It must never take the judge's word for a value: it looks at the bytes that are sent.

use std::sync::OnceLock;

use ds01_docker::body::{Profile, Rules};
use ds01_docker::json::{self, Json};
use ds01_docker::policy::{self, ObjectPolicy};
use serde_json::Value;

use super::Outcome;
use crate::judged::{self, CGROUP_PARENT, CONTAINER_ID, Judged, Kind, STAGES};

/// The properties of one kind of body, for a student, for one without limits, for one in the strict profile, and for an
/// administrator.
pub(super) fn holds(kind: Kind, bytes: &[u8]) -> Outcome {
    let mut outcome = Outcome::refused("");
    for rules in [judged::admin(), judged::unlimited(), judged::strict(), judged::student()] {
        outcome = match judged::judge(kind, bytes, &rules) {
            Ok(accepted) => sent(kind, &accepted, &rules),
            Err(refusal) => {
                assert!(matches!(refusal.status, 400 | 403 | 404 | 413), "status {}", refusal.status);
                assert!(!refusal.message.is_empty());
                Outcome::refused(&refusal.message)
            }
        };
    }
    outcome
}

fn sent(kind: Kind, accepted: &Judged, rules: &Rules) -> Outcome {
    if kind == Kind::Commit && accepted.body.is_empty() {
        return Outcome::accepted("empty");
    }
    let tree = json::parse(&accepted.body).expect("what is written is read again");
    assert_eq!(tree.to_bytes(), accepted.body, "what is written is canonical");
    check_keys(kind, &tree, rules.admin);
    again(kind, accepted, rules);
    let body = Value::from(&tree);
    if !rules.admin {
        match kind {
            Kind::Create => check_create(&body, accepted.has_gpus, rules),
            Kind::Update => check_amounts(&body, rules, false),
            Kind::Exec => {
                check_exec(&body);
            }
            Kind::Volume => check_volume(&body),
            Kind::Commit => check_shared(&body),
            Kind::Network => check_labels(&body),
            Kind::Connect => assert_eq!(body["Container"], CONTAINER_ID),
            Kind::Disconnect => assert_eq!(body["Container"], CONTAINER_ID),
            Kind::ExecStart | Kind::Auth => {}
        }
    }
    Outcome::accepted((keys(&body), keys(&body["HostConfig"])))
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().into_iter().flat_map(serde_json::Map::keys).collect()
}

/// What was judged once is judged the same again.
fn again(kind: Kind, accepted: &Judged, rules: &Rules) {
    let again = judged::judge(kind, &accepted.body, rules)
        .unwrap_or_else(|refusal| panic!("what is sent would be refused: {refusal}"));
    if !accepted.has_gpus {
        // The runtime that binds GPUs means the plain one where nobody asks for a GPU.
        let read = |body: &[u8]| json::parse(body).map(|tree| Value::from(&tree));
        assert_eq!(read(&again.body), read(&accepted.body), "what is sent would be judged otherwise");
    }
}

fn objects() -> &'static [ObjectPolicy] {
    static OBJECTS: OnceLock<Vec<ObjectPolicy>> = OnceLock::new();
    OBJECTS.get_or_init(policy::objects)
}

/// Every key of every object that has a table is a row of it, and one that may be sent to this caller.
fn check_keys(kind: Kind, body: &Json, admin: bool) {
    for object in objects().iter().filter(|object| object.operation == kind.operation()) {
        let parts: Vec<&str> = object.object.split('.').filter(|part| !part.is_empty()).collect();
        each(body, &parts, &mut |found| {
            for (key, _) in found.as_object().into_iter().flat_map(json::Object::iter) {
                let row = object.fields.iter().find(|field| field.name == key);
                let row = row.unwrap_or_else(|| panic!("{}.{key} has no row", object.object));
                let kept = match row.class {
                    "left out" | "refused to all" => false,
                    "refused" => admin,
                    _ => true,
                };
                assert!(kept, "{}.{key} is {}, and is sent", object.object, row.class);
            }
        });
    }
}

/// Calls with every object at the end of a path such as `HostConfig`, `Mounts[]`.
fn each<'v>(value: &'v Json, path: &[&str], call: &mut impl FnMut(&'v Json)) {
    let Some((first, rest)) = path.split_first() else { return call(value) };
    let name = first.trim_end_matches("[]");
    let Some(inner) = value.as_object().and_then(|object| object.get(name)) else { return };
    match inner {
        Json::Array(items) if first.ends_with("[]") => {
            items.iter().for_each(|item| each(item, rest, call));
        }
        Json::Object(map) if first.ends_with("[]") => {
            map.iter().for_each(|(_, item)| each(item, rest, call));
        }
        other => each(other, rest, call),
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn check_create(body: &Value, has_gpus: bool, rules: &Rules) {
    let host = &body["HostConfig"];
    check_shared(body);
    check_amounts(host, rules, true);
    check_powers(host, rules);
    if rules.profile == Profile::Strict {
        check_confined(body, host, rules);
    }
    check_mounts(host);
    check_ports(host, rules);
    for mode in ["NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"] {
        let mode = host[mode].as_str().unwrap_or_default();
        assert_ne!(mode, "host");
        assert!(!mode.starts_with("container:") || mode == format!("container:{CONTAINER_ID}"), "{mode}");
    }
    for other in texts(&host["VolumesFrom"]).chain(texts(&host["Links"])) {
        assert!(other.starts_with(CONTAINER_ID), "{other}");
    }
    assert!(body["NetworkingConfig"]["EndpointsConfig"]["host"].is_null());
    if has_gpus {
        assert_eq!(host["Runtime"], "ds01");
        assert_eq!(host["RestartPolicy"]["Name"], "no");
    } else {
        assert_eq!(host["Runtime"], "runc");
    }
    if rules.limits.memory_bytes.is_some() {
        assert_eq!(host["CgroupParent"], CGROUP_PARENT);
    } else {
        assert!(host["CgroupParent"].is_null());
    }
}

/// Variables by which NVIDIA's runtime gives a container what was not granted.
const STEERING: [&str; 9] = [
    "CUDA_MPS_PIPE_DIRECTORY",
    "DOCKER_RESOURCE_GPU",
    "NVIDIA_GDS",
    "NVIDIA_IMEX_CHANNELS",
    "NVIDIA_MIG_CONFIG_DEVICES",
    "NVIDIA_MIG_MONITOR_DEVICES",
    "NVIDIA_MOFED",
    "NVIDIA_NVSWITCH",
    "NVIDIA_VISIBLE_DEVICES",
];

/// What create and commit have in common.
fn check_shared(body: &Value) {
    check_labels(body);
    for variable in texts(&body["Env"]) {
        let key = variable.split('=').next().unwrap_or_default();
        assert!(!STEERING.contains(&key) || variable == "NVIDIA_VISIBLE_DEVICES=void", "{variable}");
    }
    check_directory(body);
    let seconds = body["StopTimeout"].as_i64().unwrap_or_default();
    assert!((0..=120).contains(&seconds), "a stop would wait {seconds} s");
    for interval in ["Interval", "StartInterval"] {
        let nanoseconds = body["Healthcheck"][interval].as_i64().unwrap_or_default();
        assert!(nanoseconds <= 0 || nanoseconds >= 1_000_000_000, "checked every {nanoseconds} ns");
    }
}

fn check_labels(body: &Value) {
    let own = keys(&body["Labels"]).into_iter().find(|key| key.starts_with("ds01."));
    assert!(own.is_none(), "{own:?} is the daemon's");
}

fn check_directory(body: &Value) {
    let mut parts: Vec<&str> = Vec::new();
    for part in body["WorkingDir"].as_str().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    assert!(!matches!(parts.as_slice(), ["proc" | "sys", ..] | ["dev", "fd", ..]), "{parts:?}");
}

fn check_exec(body: &Value) {
    assert!(!body["Privileged"].as_bool().unwrap_or_default());
    check_directory(body);
    for variable in texts(&body["Env"]) {
        assert!(!variable.starts_with("NVIDIA_VISIBLE_DEVICES"), "{variable}");
    }
}

fn check_volume(body: &Value) {
    check_labels(body);
    assert!(matches!(body["Driver"].as_str(), None | Some("local")));
    let options = &body["DriverOpts"];
    if !options.is_null() {
        assert_eq!((&options["type"], &options["device"]), (&"tmpfs".into(), &"tmpfs".into()));
        check_memory_options(options["o"].as_str().unwrap_or_default());
    }
}

/// Limits, where the rules have some. An update changes what it names.
fn check_amounts(host: &Value, rules: &Rules, all: bool) {
    let limits = &rules.limits;
    let at_most = |field: &str, most: Option<u64>| {
        let Some(most) = most else { return };
        match host[field].as_i64() {
            None | Some(0) => assert!(!all, "{field} has no limit"),
            Some(amount) => {
                assert!(u64::try_from(amount).is_ok_and(|amount| amount <= most), "{field} {amount}");
            }
        }
    };
    at_most("Memory", limits.memory_bytes);
    if all {
        at_most("PidsLimit", limits.pids);
        at_most("ShmSize", limits.shm_bytes);
    } else if let (Some(most), Some(pids)) = (limits.pids, host["PidsLimit"].as_i64()) {
        assert!(pids > 0 && pids.unsigned_abs() <= most, "PidsLimit {pids}");
    }
    if let (Some(most), Some(swap)) = (limits.memory_bytes, host["MemorySwap"].as_i64()) {
        assert!(swap >= 0 && swap.unsigned_abs() <= 2 * most, "MemorySwap {swap}");
    }
    if let Some(milli) = limits.cpus_milli {
        let milli = i64::try_from(milli).expect("few CPUs");
        let (nano, quota) = (host["NanoCpus"].as_i64().unwrap_or(0), host["CpuQuota"].as_i64().unwrap_or(0));
        let period = host["CpuPeriod"].as_i64().filter(|period| *period > 0).unwrap_or(100_000);
        assert!((0..=milli * 1_000_000).contains(&nano), "NanoCpus {nano}");
        assert!(quota >= 0 && i128::from(quota) * 1000 <= i128::from(period) * i128::from(milli), "{quota}");
        assert!(!all || nano > 0 || quota > 0, "no limit of CPUs");
        // Alone, a quota is a share of the container's own period.
        assert!(all || quota == 0 || host["CpuPeriod"].as_i64().is_some_and(|period| period != 0));
    }
}

const ADDABLE: [&str; 12] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "SYS_PTRACE",
];

fn check_powers(host: &Value, rules: &Rules) {
    for added in texts(&host["CapAdd"]) {
        assert!(ADDABLE.contains(&added), "capability {added}");
    }
    let dropped: Vec<String> = texts(&host["CapDrop"]).map(str::to_uppercase).collect();
    let drops = |name: &str| dropped.iter().any(|dropped| dropped.trim().trim_start_matches("CAP_") == name);
    assert!(drops("ALL") || ["MKNOD", "NET_RAW", "SETFCAP", "AUDIT_WRITE"].into_iter().all(drops));
    for option in texts(&host["SecurityOpt"]) {
        assert_eq!(option, "no-new-privileges:true");
    }
    for never in ["MaskedPaths", "ReadonlyPaths", "Devices", "DeviceRequests", "Annotations", "Capabilities"]
    {
        assert!(host[never].is_null(), "{never} {}", host[never]);
    }
    for group in texts(&host["GroupAdd"]) {
        assert!(group.parse().is_ok_and(|gid: u32| rules.groups.contains(&gid)), "group {group}");
    }
    for (name, _) in host["Sysctls"].as_object().into_iter().flatten() {
        assert!(name.starts_with("net.") || name.starts_with("kernel.shm"), "{name}");
        assert!(!name.contains('/') && !name.contains("all") || name == "kernel.shmall", "{name}");
    }
    let logger = host["LogConfig"]["Type"].as_str().unwrap_or_default();
    assert!(matches!(logger, "" | "json-file" | "local" | "none"), "{logger}");
    assert!(host["OomScoreAdj"].as_i64().unwrap_or_default() >= 0);
    assert!(!host["OomKillDisable"].as_bool().unwrap_or_default());
    for limit in host["Ulimits"].as_array().into_iter().flatten() {
        let name = limit["Name"].as_str().unwrap_or_default();
        assert!(!matches!(name, "rtprio" | "nice"), "{name}");
        for side in ["Soft", "Hard"] {
            let amount = limit[side].as_i64().unwrap_or_default();
            assert!(name != "nofile" || (0..=1 << 20).contains(&amount), "{name} {amount}");
        }
    }
}

/// Nobody inside but the caller himself, without a way to more.
fn check_confined(body: &Value, host: &Value, rules: &Rules) {
    let user = body["User"].as_str().unwrap_or_default();
    let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
    assert_eq!(uid.parse(), Ok(rules.uid), "runs as {user:?}");
    let own = gid.parse().is_ok_and(|gid: u32| gid == rules.gid || rules.groups.contains(&gid));
    assert!(own, "runs in the group {gid:?}");
    assert_eq!(texts(&host["CapAdd"]).count(), 0);
    assert!(texts(&host["CapDrop"]).any(|dropped| dropped.eq_ignore_ascii_case("ALL")));
    assert!(texts(&host["SecurityOpt"]).any(|option| option == "no-new-privileges:true"));
}

fn check_mounts(host: &Value) {
    for mount in host["Mounts"].as_array().into_iter().flatten() {
        let source = mount["Source"].as_str().unwrap_or_default();
        match mount["Type"].as_str().unwrap_or_default() {
            "bind" => {
                assert!(source.starts_with(STAGES) && !source.contains(".."), "{source}");
                let propagation = mount["BindOptions"]["Propagation"].as_str().unwrap_or_default();
                assert!(matches!(propagation, "" | "private" | "rprivate"), "{propagation}");
            }
            "volume" => {
                assert!(!source.contains('/'), "{source}");
                let driver = &mount["VolumeOptions"]["DriverConfig"];
                assert!(matches!(driver["Name"].as_str(), None | Some("" | "local")), "{driver}");
                assert!(keys(&driver["Options"]).is_empty(), "{driver}");
            }
            "tmpfs" | "image" => {}
            other => panic!("a mount of the type {other}"),
        }
    }
    for bind in texts(&host["Binds"]) {
        assert!(!bind.starts_with('/') || !bind.contains(':'), "{bind}");
    }
    for (_, options) in host["Tmpfs"].as_object().into_iter().flatten() {
        check_memory_options(options.as_str().unwrap_or_default());
    }
    assert!(matches!(host["VolumeDriver"].as_str(), None | Some("local")));
}

fn check_memory_options(options: &str) {
    let words: Vec<&str> = options.split(',').collect();
    assert!(words.contains(&"nosuid") && words.contains(&"nodev"), "{options}");
    assert!(!words.contains(&"suid") && !words.contains(&"dev"), "{options}");
}

/// Ports as the Engine reads them: a number, or two with a dash between.
fn check_ports(host: &Value, rules: &Rules) {
    let bindings = host["PortBindings"].as_object().into_iter().flatten();
    for binding in bindings.flat_map(|(_, bindings)| bindings.as_array().into_iter().flatten()) {
        let port = binding["HostPort"].as_str().unwrap_or_default();
        let numbers: Option<Vec<u16>> = port.split('-').map(|number| number.parse().ok()).collect();
        let chosen = numbers.as_deref() == Some(&[0]) || port.is_empty();
        let within = numbers.is_some_and(|all| all.iter().all(|port| rules.host_ports.contains(port)));
        assert!(chosen || within, "port {port:?}");
    }
}
