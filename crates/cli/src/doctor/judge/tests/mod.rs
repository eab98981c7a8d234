//! A machine on which everything is as it should be, and what each change to it is told as.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ds01_api::{Configuration, GpuSource, Machine};

use super::super::facts::*;
use super::super::finding::{Entry, Seen, Unseen, Verdict};
use super::{AREAS, judge};

/// A file's type and the permissions that only root has.
const FILE: u32 = 0o100_600;
const DIRECTORY: u32 = 0o040_755;
pub(super) const UUID: &str = "GPU-11111111-aaaa-bbbb-cccc-000000000001";

/// The way to a file of root's, through directories of root's; the file has this mode.
pub(super) fn way_to(path: &str, mode: u32) -> Way {
    let step = |path: &Path, mode| Step { path: path.to_owned(), mode, uid: 0, gid: 0 };
    let mut steps: Vec<Step> =
        Path::new(path).ancestors().skip(1).map(|above| step(above, DIRECTORY)).collect();
    steps.reverse();
    steps.push(step(Path::new(path), mode));
    Ok(Some(steps))
}

/// The last step of a way.
pub(super) fn end(way: &mut Way) -> &mut Step {
    way.as_mut().unwrap().as_mut().unwrap().last_mut().unwrap()
}

fn program(path: &str) -> Program {
    Program { path: path.into(), unsafe_step: None }
}

fn part(version: &str) -> Seen<Part> {
    Ok(Part { version: version.to_owned(), package: None })
}

/// A server with one card of the driver's, a home directory of its own, alice and bob.
pub(super) fn sound() -> Facts {
    Facts {
        configuration: Ok(configuration()),
        accounts: Accounts {
            people: vec![("alice".to_owned(), 1001), ("bob".to_owned(), 1002)],
            groups: BTreeMap::from([
                (106, ("docker".to_owned(), Vec::new())),
                (2000, ("ops".to_owned(), vec!["carol".to_owned()])),
            ]),
        },
        engine: engine(),
        parts: Parts {
            engine: part("29.3.1"),
            containerd: part("2.1.5"),
            runc: part("1.3.3"),
            toolkit: part("1.19.1"),
        },
        nvidia: nvidia(),
        host: host(),
        own: own(),
    }
}

fn configuration() -> Configuration {
    Configuration {
        file: Some("/etc/ds01/ds01.yaml".into()),
        mistakes: Vec::new(),
        notes: Vec::new(),
        door: "/run/docker.sock".into(),
        engine: "/run/docker-engine/docker.sock".into(),
        hinge: "/run/ds01/hinge.sock".into(),
        receipts: "/run/ds01/receipts".into(),
        ledger: "/var/lib/ds01/ledger.db".into(),
        runtime: "ds01".to_owned(),
        gpus: GpuSource::Nvidia,
        binds_homes: true,
        binds: Vec::new(),
    }
}

fn engine() -> Engine {
    let socket = "/run/docker-engine/docker.sock";
    let runtime = Runtime { path: "/usr/local/sbin/ds01-runtime".into() };
    Engine {
        socket: socket.into(),
        info: Ok(Info {
            driver: "overlay2".to_owned(),
            cgroup_driver: "cgroupfs".to_owned(),
            default_runtime: "runc".to_owned(),
            runtimes: BTreeMap::from([("ds01".to_owned(), runtime)]),
            live_restore_enabled: true,
            logging_driver: "json-file".to_owned(),
            security_options: Some(vec![
                "name=apparmor".to_owned(),
                "name=seccomp,profile=default".to_owned(),
            ]),
            docker_root_dir: "/var/lib/docker".into(),
            memory_limit: true,
            swap_limit: true,
            cpu_cfs_quota: true,
            pids_limit: true,
            ..Info::default()
        }),
        asked_itself: true,
        api: Ok("1.51".to_owned()),
        settings: Ok(EngineSettings {
            file: "/etc/docker/daemon.json".into(),
            hosts: vec![format!("unix://{socket}")],
            userland_proxy: true,
            log_opts: BTreeMap::from([("max-size".to_owned(), "100m".to_owned())]),
        }),
        sockets: Ok(vec![(socket.into(), way_to(socket, 0o140_660))]),
        data_root: way_to("/var/lib/docker", 0o040_710),
        runtime: Ok(Some(program("/usr/local/sbin/ds01-runtime"))),
    }
}

fn nvidia() -> Nvidia {
    let node = |path: &str| Step { path: path.into(), mode: 0o020_666, uid: 0, gid: 0 };
    Nvidia {
        module: Some("580.65.06".to_owned()),
        library: Some("580.65.06".to_owned()),
        toolkit: Ok(Some("[nvidia-container-runtime]\nmode = \"auto\"\n".to_owned())),
        runtime: Ok(Some(program("/usr/bin/nvidia-container-runtime"))),
        low_level: BTreeMap::from([("runc".to_owned(), "/usr/sbin/runc".into())]),
        cdi: vec![CdiSpec {
            path: "/var/run/cdi/nvidia.yaml".into(),
            uuids: BTreeSet::from([UUID.to_owned()]),
        }],
        cards: BTreeSet::from([UUID.to_owned()]),
        is_persistent: true,
        nodes: vec![node("/dev/nvidia0"), node("/dev/nvidiactl")],
    }
}

fn host() -> Host {
    let disk = |what, path: &str| Disk {
        what,
        path: path.into(),
        free: 100 << 30,
        total: 200 << 30,
        is_read_only: false,
    };
    let ranges = "alice:100000:65536\n1002:165536:65536\n".to_owned();
    Host {
        kernel: "6.8.0-51-generic".to_owned(),
        cgroups: Cgroups {
            is_v2: false,
            controllers: ["cpu", "devices", "memory", "pids"].map(str::to_owned).into(),
        },
        places: vec![Place {
            directory: "/home/alice".into(),
            homes: 2,
            mount_point: "/home".into(),
            file_system: "ext4".to_owned(),
            options: ["rw", "nosuid", "nodev"].map(str::to_owned).into(),
            problem: Ok(None),
        }],
        sysctls: BTreeMap::from([
            ("fs/protected_hardlinks", 1),
            ("fs/protected_symlinks", 1),
            ("fs/inotify/max_user_instances", 8192),
            ("user/max_user_namespaces", 10_000),
        ]),
        confinement: vec!["apparmor"],
        clock: Some("chronyd".to_owned()),
        subuid: ranges.clone(),
        subgid: ranges,
        disks: vec![disk("images and containers", "/var/lib/docker"), disk("the ledger", "/var/lib/ds01")],
    }
}

fn own() -> Own {
    Own {
        version: "0.1.0",
        file: way_to("/etc/ds01/ds01.yaml", 0o100_644),
        door: way_to("/run/docker.sock", 0o140_666),
        answers: Ok(()),
        machine: Ok(Machine {
            host: "lab".to_owned(),
            simulated: false,
            cards: Vec::new(),
            free_units: 1,
            total_units: 1,
            waiting: 0,
            figures_age_seconds: None,
            driver: None,
            problems: Vec::new(),
        }),
        daemon: Ok(Running { version: "0.1.0".to_owned(), is_replaced: false }),
        hinge: way_to("/run/ds01/hinge.sock", 0o140_600),
        receipts: way_to("/run/ds01/receipts", 0o040_700),
        ledger: way_to("/var/lib/ds01/ledger.db", FILE),
        runtime_version: Ok("0.1.0".to_owned()),
        runtime_settings: Ok(RuntimeSettings {
            file: None,
            is_unsafe: false,
            values: Ok(RuntimeValues::default()),
        }),
        buildkit_clients: Vec::new(),
        buildkit_is_off: false,
    }
}

/// What is not in order.
pub(super) fn wrong(facts: &Facts) -> Vec<Entry> {
    judge(facts).findings.into_iter().filter(|entry| entry.verdict != Verdict::Ok).collect()
}

#[test]
fn a_sound_machine_has_nothing_wrong() {
    let report = judge(&sound());
    assert_eq!(wrong(&sound()), []);
    assert_eq!((report.problems, report.warnings, report.not_checked), (0, 0, 0));
    // Whatever is in order says so.
    for check in AREAS.into_iter().flatten() {
        assert!(report.findings.iter().any(|entry| entry.check == check.id), "{} says nothing", check.id);
    }
}

#[test]
fn what_a_user_cannot_see_is_not_said_to_be_in_order() {
    let mut facts = sound();
    facts.engine.asked_itself = false;
    facts.engine.settings = Err(Unseen::NeedsRoot);
    facts.engine.sockets = Err(Unseen::NeedsRoot);
    facts.engine.data_root = Err(Unseen::NeedsRoot);
    facts.engine.runtime = Err(Unseen::NeedsRoot);
    facts.host.places[0].problem = Err(Unseen::NeedsRoot);
    for way in [&mut facts.own.hinge, &mut facts.own.receipts, &mut facts.own.ledger] {
        *way = Err(Unseen::NeedsRoot);
    }
    facts.own.daemon = Err(Unseen::NeedsRoot);
    facts.own.runtime_version = Err(Unseen::NeedsRoot);
    facts.own.runtime_settings = Err(Unseen::NeedsRoot);
    let unseen = wrong(&facts);
    assert!(
        unseen.iter().all(|entry| entry.needs_root && entry.verdict == Verdict::NotChecked),
        "{unseen:#?}"
    );
    let checks: Vec<&str> = unseen.iter().map(|entry| entry.check).collect();
    let wanted = "engine.sockets engine.hosts engine.runtime engine.default-runtime engine.swarm engine.data-root \
                  engine.logs engine.userland-proxy host.mounts ds01.versions ds01.runtime ds01.runtime-settings \
                  ds01.hinge ds01.receipts ds01.ledger";
    assert_eq!(checks.join(" "), wanted);
}

#[test]
fn without_an_engine_one_problem_is_told_and_the_rest_is_not_checked() {
    let mut facts = sound();
    facts.engine.info = because("Connection refused");
    facts.engine.api = because("Connection refused");
    let found = wrong(&facts);
    let problems: Vec<&str> =
        found.iter().filter(|e| e.verdict > Verdict::NotChecked).map(|e| e.check).collect();
    assert_eq!(problems, ["engine.answers"]);
    assert!(found.iter().any(|entry| entry.check == "engine.live-restore" && !entry.needs_root));
}

#[test]
fn a_machine_without_nvidia_says_so_once() {
    let mut facts = sound();
    facts.nvidia = Nvidia {
        module: None,
        library: None,
        toolkit: Ok(None),
        runtime: Ok(None),
        low_level: BTreeMap::new(),
        cdi: Vec::new(),
        cards: BTreeSet::new(),
        is_persistent: false,
        nodes: Vec::new(),
    };
    let found: Vec<&str> = wrong(&facts).iter().map(|entry| entry.check).collect();
    assert_eq!(found, ["version.nvidia-toolkit", "nvidia.driver"]);
}

/// Who reaches a file, told by the ways to it.
#[test]
fn every_way_to_a_socket() {
    use super::reach::{Want, who};
    let accounts = sound().accounts;
    let reached = |change: &dyn Fn(&mut Vec<Step>)| {
        let mut steps = way_to("/run/engine/docker.sock", 0o140_660).unwrap().unwrap();
        change(&mut steps);
        who(&steps, Want::Write, &accounts).map(|who| who.to_string())
    };
    let everybody = Some("everybody on this machine".to_owned());
    let ops = Some("the group ops (carol)".to_owned());
    assert_eq!(reached(&|_| {}), None);
    assert_eq!(reached(&|way| way[3].mode |= 0o006), everybody);
    assert_eq!(reached(&|way| (way[3].mode, way[2].mode) = (0o140_666, 0o040_700)), None);
    assert_eq!(reached(&|way| way[3].gid = 2000), ops);
    assert_eq!(reached(&|way| (way[3].gid, way[2].mode) = (2000, 0o040_700)), None);
    assert_eq!(reached(&|way| (way[3].gid, way[2].gid, way[2].mode) = (2000, 2000, 0o040_710)), ops);
    assert_eq!(reached(&|way| (way[2].gid, way[2].mode) = (2000, 0o040_770)), ops);
    assert_eq!(reached(&|way| way[1].mode = 0o040_777), everybody);
    assert_eq!(reached(&|way| way[1].mode = 0o041_777), None, "a sticky directory");
    assert_eq!(reached(&|way| way[2].uid = 1001), Some("the user alice".to_owned()));
    assert_eq!(reached(&|way| way[3].uid = 7), Some("the user 7".to_owned()));
    assert_eq!(reached(&|way| way[3].gid = 106), Some("the group docker, which is empty now,".to_owned()));
    assert_eq!(reached(&|way| way[3].gid = 77), Some("the group 77, which is empty now,".to_owned()));
}
