//! One row for each thing that can be wrong: the change to a sound machine, and what is told. Nothing else may be told.

use std::collections::{BTreeMap, BTreeSet};

use ds01_api::{Card, Health, Process, Unit, UnitRef};

use super::super::super::facts::*;
use super::super::super::finding::{Seen, Unseen, Verdict};
use super::super::AREAS;
use super::{end, sound, wrong};

type Change = fn(&mut Facts);

struct Row {
    check: &'static str,
    verdict: Verdict,
    /// Words of what was found.
    found: &'static str,
    /// Words of what helps.
    fix: &'static str,
    change: Change,
}

const fn problem(check: &'static str, found: &'static str, fix: &'static str, change: Change) -> Row {
    Row { check, verdict: Verdict::Problem, found, fix, change }
}

const fn warning(check: &'static str, found: &'static str, fix: &'static str, change: Change) -> Row {
    Row { check, verdict: Verdict::Warning, found, fix, change }
}

const fn unseen(check: &'static str, found: &'static str, change: Change) -> Row {
    Row { check, verdict: Verdict::NotChecked, found, fix: "", change }
}

fn info(facts: &mut Facts) -> &mut Info {
    facts.engine.info.as_mut().unwrap()
}

fn settings(facts: &mut Facts) -> &mut EngineSettings {
    facts.engine.settings.as_mut().unwrap()
}

fn toolkit(facts: &mut Facts, text: &str) {
    facts.nvidia.toolkit = Ok(Some(text.to_owned()));
}

fn version(part: &mut Seen<Part>, version: &str) {
    part.as_mut().unwrap().version = version.to_owned();
}

/// A distribution's package whose changelog names these.
fn packaged(part: &mut Seen<Part>, version: &str, named: &[&str]) {
    let named = named.iter().map(|name| (*name).to_owned()).collect();
    *part = Ok(Part { version: version.to_owned(), package: Some(("runc".to_owned(), named)) });
}

fn set(facts: &mut Facts, key: &'static str, value: u64) {
    facts.host.sysctls.insert(key, value);
}

fn unit(facts: &mut Facts, id: &str, health: Health) {
    let unit = UnitRef {
        id: id.to_owned(),
        address: "1:0".to_owned(),
        model: "A100".to_owned(),
        profile: None,
        memory_mib: 1,
        weight_milli: 1000,
    };
    let units = vec![Unit {
        unit,
        health,
        holder: None,
        preferred_for: None,
        figures: Default::default(),
        ungranted: vec![],
    }];
    let card = Card {
        index: 1,
        uuid: "GPU-1".to_owned(),
        model: "A100".to_owned(),
        memory_mib: 1,
        mig: true,
        units,
    };
    facts.own.machine.as_mut().unwrap().cards.push(card);
}

/// Somebody computes on a unit without a grant, which is dirty for that.
fn ungranted(facts: &mut Facts, container: Option<&str>) {
    unit(facts, MIG, Health::Dirty);
    let cards = &mut facts.own.machine.as_mut().unwrap().cards;
    cards.last_mut().unwrap().units[0].ungranted.push(Process {
        pid: 4711,
        name: "python".to_owned(),
        user: "bob".to_owned(),
        container: container.map(str::to_owned),
    });
}

const MIG: &str = "MIG-33333333-aaaa-bbbb-cccc-000000000003";

const ENGINE: &[Row] = &[
    problem(
        "engine.sockets",
        "everybody on this machine can open /run/docker-engine/docker.sock",
        "chmod 0600",
        |f| {
            end(&mut f.engine.sockets.as_mut().unwrap()[0].1).mode = 0o140_666;
        },
    ),
    problem("engine.sockets", "the group ops (carol) can open", "chown root:root", |f| {
        end(&mut f.engine.sockets.as_mut().unwrap()[0].1).gid = 2000;
    }),
    warning("engine.sockets", "the group docker, which is empty now,", "chown root:root", |f| {
        end(&mut f.engine.sockets.as_mut().unwrap()[0].1).gid = 106;
    }),
    problem("engine.hosts", "listens at tcp://0.0.0.0:2375", "/etc/docker/daemon.json", |f| {
        settings(f).hosts.push("tcp://0.0.0.0:2375".to_owned());
    }),
    warning("engine.hosts", "in the usual place", "docker.socket.conf", |f| {
        f.engine.socket = "/run/docker.sock".into();
        settings(f).hosts = vec!["fd://".to_owned()];
    }),
    problem(
        "engine.docker-group",
        "the group docker (alice, bob)",
        "gpasswd --delete alice docker\ngpasswd --delete bob",
        |f| {
            f.accounts.groups.get_mut(&106).unwrap().1 = vec!["alice".to_owned(), "bob".to_owned()];
        },
    ),
    problem("engine.api", "1.39, older than 1.40", "19.03", |f| f.engine.api = Ok("1.39".to_owned())),
    unseen("engine.api", "the Engine's API", |f| f.engine.api = Ok("new".to_owned())),
    problem("engine.runtime", "the Engine has no runtime ds01", "\"runtimes\": {\"ds01\"", |f| {
        info(f).runtimes.clear()
    }),
    problem("engine.runtime", "which is not there", "install ds01-runtime", |f| f.engine.runtime = Ok(None)),
    problem(
        "engine.runtime",
        "others than root can write /usr/local/sbin",
        "chown root:root /usr/local/sbin",
        |f| {
            f.engine.runtime.as_mut().unwrap().as_mut().unwrap().unsafe_step = Some("/usr/local/sbin".into());
        },
    ),
    problem("engine.default-runtime", "is nvidia", "\"default-runtime\": \"runc\"", |f| {
        info(f).default_runtime = "nvidia".to_owned();
    }),
    warning("engine.default-runtime", "is crun", "runc", |f| info(f).default_runtime = "crun".to_owned()),
    warning("engine.live-restore", "off", "\"live-restore\": true", |f| info(f).live_restore_enabled = false),
    problem("engine.cgroup-driver", "is none", "native.cgroupdriver=cgroupfs", |f| {
        info(f).cgroup_driver = "none".to_owned();
    }),
    problem("engine.user-namespaces", "userns-remap is on", "take \"userns-remap\" out", |f| {
        info(f).security_options.as_mut().unwrap().push("name=userns".to_owned());
    }),
    problem("engine.user-namespaces", "without root", "as root's", |f| {
        info(f).security_options.as_mut().unwrap().push("name=rootless".to_owned());
    }),
    problem("engine.confinement", "seccomp", "seccomp-profile", |f| {
        info(f).security_options = Some(vec!["name=apparmor".to_owned()]);
    }),
    problem("engine.confinement", "seccomp", "seccomp-profile", |f| {
        info(f).security_options.as_mut().unwrap()[1] = "name=seccomp,profile=unconfined".to_owned();
    }),
    warning(
        "engine.confinement",
        "has AppArmor, and the Engine does not use it",
        "apt install apparmor",
        |f| {
            info(f).security_options.as_mut().unwrap().remove(0);
        },
    ),
    warning("engine.confinement", "has SELinux, and the Engine does not use it", "selinux-enabled", |f| {
        info(f).security_options.as_mut().unwrap().remove(0);
        f.host.confinement = vec!["selinux"];
    }),
    warning("engine.confinement", "neither AppArmor nor SELinux", "apparmor=1", |f| {
        info(f).security_options.as_mut().unwrap().remove(0);
        f.host.confinement.clear();
    }),
    problem("engine.limits", "no limits of memory, processes", "cgroup_enable=memory", |f| {
        (info(f).memory_limit, info(f).pids_limit) = (false, false);
    }),
    warning("engine.limits", "does not count swap", "swapaccount=1", |f| info(f).swap_limit = false),
    problem("engine.swarm", "Swarm is active", "docker swarm leave", |f| {
        info(f).swarm.local_node_state = "active".to_owned();
    }),
    warning("engine.storage", "vfs", "overlay2", |f| info(f).driver = "vfs".to_owned()),
    warning("engine.storage", "overlayfs of containerd", "containerd-snapshotter", |f| {
        info(f).driver = "overlayfs".to_owned();
        info(f).driver_status = Some(vec![vec!["driver-type".into(), "io.containerd.snapshotter.v1".into()]]);
    }),
    problem("engine.data-root", "/var/lib/docker has mode 0711", "chmod 0710 /var/lib/docker", |f| {
        end(&mut f.engine.data_root).mode = 0o040_711;
    }),
    unseen("engine.data-root", "the Engine's data directory", |f| f.engine.data_root = Ok(None)),
    warning("engine.logs", "without an end", "\"max-size\"", |f| settings(f).log_opts.clear()),
    warning("engine.logs", "without an end", "\"max-size\"", |f| {
        settings(f).log_opts.insert("max-size".into(), "-1".into());
    }),
    warning("engine.userland-proxy", "is off", "userland-proxy", |f| settings(f).userland_proxy = false),
];

const PARTS: &[Row] = &[
    problem("version.engine", "20.10.8: CVE-2021-41091", "update", |f| {
        version(&mut f.parts.engine, "20.10.8")
    }),
    warning("version.engine", "28.3.2: CVE-2025-54388", "update", |f| version(&mut f.parts.engine, "28.3.2")),
    problem("version.engine", "29.3.0: CVE-2026-34040", "update", |f| {
        version(&mut f.parts.engine, "29.3.0");
        info(f).plugins.authorization = Some(vec!["opa".to_owned()]);
    }),
    problem("version.containerd", "1.7.28: CVE-2024-25621", "update", |f| {
        version(&mut f.parts.containerd, "1.7.28")
    }),
    problem("version.runc", "1.2.7: CVE-2025-31133", "update", |f| version(&mut f.parts.runc, "1.2.7")),
    warning("version.runc", "CVE-2024-45310, CVE-2025-31133", "apt-get changelog runc", |f| {
        packaged(&mut f.parts.runc, "1.1.5+ds1", &["CVE-2024-21626"]);
    }),
    unseen("version.runc", "runc's version", |f| version(&mut f.parts.runc, "unknown")),
    unseen("version.runc", "runc's version", |f| f.parts.runc = because("the Engine does not tell")),
    problem("version.nvidia-toolkit", "1.18.2: CVE-2026-24260", "update", |f| {
        version(&mut f.parts.toolkit, "1.18.2");
    }),
];

const NVIDIA: &[Row] = &[
    problem("nvidia.driver", "470.256.02, older than 510", "install a newer driver", |f| {
        f.nvidia.module = Some("470.256.02".to_owned());
        f.nvidia.library = f.nvidia.module.clone();
    }),
    warning("nvidia.driver", "535.86.05, whose lists", "535.104.05", |f| {
        f.nvidia.module = Some("535.86.05".to_owned());
        f.nvidia.library = f.nvidia.module.clone();
    }),
    problem("nvidia.driver", "not loaded", "modprobe nvidia", |f| {
        (f.nvidia.module, f.nvidia.nodes) = (None, Vec::new());
    }),
    problem("nvidia.library", "not installed", "libnvidia-ml1", |f| f.nvidia.library = None),
    problem(
        "nvidia.library",
        "library is 580.95.05 and the loaded kernel module is 580.65.06",
        "reboot",
        |f| {
            f.nvidia.library = Some("580.95.05".to_owned());
        },
    ),
    problem("nvidia.runtime", "not where ds01-runtime looks", "nvidia-container-toolkit", |f| {
        f.nvidia.runtime = Ok(None)
    }),
    problem("nvidia.runtime", "others than root can write /opt", "chmod go-w /opt", |f| {
        f.nvidia.runtime = Ok(Some(Program {
            path: "/opt/nvidia-container-runtime".into(),
            unsafe_step: Some("/opt".into()),
        }));
    }),
    problem("nvidia.toolkit", "envvar-when-unprivileged is false", "envvar-when-unprivileged = true", |f| {
        toolkit(f, "accept-nvidia-visible-devices-envvar-when-unprivileged = false");
    }),
    problem("nvidia.toolkit", "as-volume-mounts is true", "as-volume-mounts = false", |f| {
        toolkit(f, "accept-nvidia-visible-devices-as-volume-mounts = true");
    }),
    problem("nvidia.toolkit", "swarm-resource is DOCKER_RESOURCE_GPU", "take swarm-resource out", |f| {
        toolkit(f, "swarm-resource = \"DOCKER_RESOURCE_GPU\"");
    }),
    problem("nvidia.toolkit", "no-cgroups is true", "no-cgroups = false", |f| {
        toolkit(f, "[nvidia-container-cli]\nno-cgroups = true");
    }),
    warning("nvidia.mode", "legacy", "mode = \"jit-cdi\"", |f| {
        toolkit(f, "[nvidia-container-runtime]\nmode = \"legacy\"");
    }),
    problem("nvidia.mode", "csv", "mode = \"auto\"", |f| {
        toolkit(f, "[nvidia-container-runtime]\nmode = \"csv\"")
    }),
    problem("nvidia.low-level", "hands over to /usr/local/sbin/ds01-runtime", "runtimes = [\"runc\"]", |f| {
        toolkit(f, "[nvidia-container-runtime]\nruntimes = [\"docker-runc\", \"ds01-runtime\", \"runc\"]");
        f.nvidia.low_level.insert("ds01-runtime".into(), "/usr/local/sbin/ds01-runtime".into());
    }),
    problem("nvidia.low-level", "(crun) none is installed", "runtimes = [\"runc\"]", |f| {
        toolkit(f, "[nvidia-container-runtime]\nruntimes = [\"crun\"]");
    }),
    problem("nvidia.cdi", "there is no specification", "nvidia-ctk cdi generate", |f| {
        toolkit(f, "[nvidia-container-runtime]\nmode = \"cdi\"");
        f.nvidia.cdi.clear();
    }),
    warning(
        "nvidia.cdi",
        "names 1 GPU that the driver does not have: MIG-",
        "--output=/var/run/cdi/nvidia.yaml",
        |f| {
            f.nvidia.cdi[0].uuids.insert(MIG.to_owned());
        },
    ),
    problem(
        "nvidia.cdi",
        "names 2 GPUs that the driver does not have: GPU-0, …",
        "nvidia-ctk cdi generate",
        |f| {
            toolkit(f, "[nvidia-container-runtime]\nmode = \"cdi\"");
            f.nvidia.cdi[0].uuids = BTreeSet::from(["GPU-0".to_owned(), "GPU-1".to_owned()]);
        },
    ),
    warning("nvidia.persistence", "does not run", "nvidia-persistenced", |f| f.nvidia.is_persistent = false),
    problem("nvidia.nodes", "there is no /dev/nvidia0", "nvidia-modprobe", |f| f.nvidia.nodes.clear()),
    problem("nvidia.nodes", "/dev/nvidiactl has mode 0660", "chmod 0666", |f| {
        f.nvidia.nodes[1].mode = 0o020_660
    }),
];

const HOST: &[Row] = &[
    problem("host.kernel", "5.10.0-28-amd64, older than 5.12", "newer kernel", |f| {
        f.host.kernel = "5.10.0-28-amd64".to_owned();
    }),
    unseen("host.kernel", "the kernel", |f| f.host.kernel.clear()),
    problem("host.cgroups", "v1 lack devices, memory", "cgroup_disable", |f| {
        f.host.cgroups.controllers = BTreeSet::from(["cpu".into(), "pids".into()]);
    }),
    problem(
        "host.mounts",
        "/home (2 homes) cannot be mounted into containers: nfs cannot",
        "a workspace on a local disk",
        |f| {
            f.host.places[0].file_system = "nfs4".to_owned();
            f.host.places[0].problem = Ok(Some("nfs cannot translate owners here".to_owned()));
        },
    ),
    unseen("host.mounts", "mounting from homes", |f| {
        f.host.places[0].problem = because("ds01d is of another version")
    }),
    warning(
        "host.mount-options",
        "/home (2 homes) is without nodev",
        "mount -o remount,nosuid,nodev /home",
        |f| {
            f.host.places[0].options.retain(|option| option != "nodev");
        },
    ),
    warning(
        "host.mount-options",
        "/ (2 homes) is without nosuid and nodev",
        "file system of their own",
        |f| {
            f.host.places[0].options.clear();
            f.host.places[0].mount_point = "/".into();
        },
    ),
    problem("host.user-namespaces", "switched off", "user.max_user_namespaces = 10000", |f| {
        set(f, "user/max_user_namespaces", 0);
    }),
    problem("host.links", "hard links are not protected", "fs.protected_hardlinks = 1", |f| {
        set(f, "fs/protected_hardlinks", 0);
    }),
    warning("host.links", "symbolic links are not protected", "fs.protected_symlinks = 1", |f| {
        set(f, "fs/protected_symlinks", 0);
    }),
    warning("host.inotify", "there are 128", "fs.inotify.max_user_instances = 8192", |f| {
        set(f, "fs/inotify/max_user_instances", 128);
    }),
    unseen("host.inotify", "inotify", |f| f.host.sysctls.retain(|key, _| !key.contains("inotify"))),
    problem(
        "host.subordinate-ids",
        "/etc/subuid: the ranges of alice and bob overlap at 165535",
        "give bob a range",
        |f| {
            f.host.subuid = "alice:100000:65536\nbob:165535:65536\n".to_owned();
        },
    ),
    problem("host.subordinate-ids", "/etc/subgid: the range of alice begins at 1000", "from 65536 on", |f| {
        f.host.subgid = "alice:1000:500\nbob:165536:65536\n".to_owned();
    }),
    warning("host.subordinate-ids", "/etc/subuid: no range for bob", "--add-subuids", |f| {
        f.host.subuid = "alice:100000:65536\n".to_owned();
    }),
    warning("host.clock", "nothing keeps the clock", "chrony", |f| f.host.clock = None),
    warning(
        "host.disks",
        "images and containers (/var/lib/docker): 9 GiB free of 200 GiB",
        "docker system df",
        |f| {
            f.host.disks[0].free = 9 << 30;
        },
    ),
    problem("host.disks", "the ledger (/var/lib/ds01): 1023 MiB free", "docker system df", |f| {
        f.host.disks[1].free = 1023 << 20;
    }),
    problem("host.disks", "read-only", "remount,rw", |f| f.host.disks[1].is_read_only = true),
];

const OWN: &[Row] = &[
    problem("ds01.configuration", "ds01d cannot be asked: it is not in /usr/sbin", "install", |f| {
        f.configuration = because("it is not in /usr/sbin");
        // Which is then not known to agree with anything.
        f.own.runtime_settings = Err(Unseen::NeedsRoot);
    }),
    warning("ds01.configuration", "the defaults hold", "Installing, step 3", |f| {
        f.configuration.as_mut().unwrap().file = None;
    }),
    problem(
        "ds01.configuration",
        "has 4 mistakes; nothing of it is used:\na\nb\nc",
        "ds01d check /etc/ds01/ds01.yaml",
        |f| {
            f.configuration.as_mut().unwrap().mistakes = ["a", "b", "c", "d"].map(str::to_owned).into();
        },
    ),
    problem(
        "ds01.configuration-file",
        "the user alice can write",
        "chown root:root /etc/ds01/ds01.yaml",
        |f| {
            end(&mut f.own.file).uid = 1001;
        },
    ),
    problem("ds01.door", "there is no socket", "systemctl start ds01d", |f| f.own.door = Ok(None)),
    problem("ds01.door", "does not answer at /run/docker.sock: Connection refused", "ds01d run", |f| {
        f.own.answers = Err("Connection refused".to_owned());
    }),
    problem("ds01.door", "/run/docker.sock has mode 0660", "chmod 0666 /run/docker.sock", |f| {
        end(&mut f.own.door).mode = 0o140_660;
    }),
    problem("ds01.door", "users do not get through /run (mode 0700)", "chmod o+x /run", |f| {
        f.own.door.as_mut().unwrap().as_mut().unwrap()[1].mode = 0o040_700;
    }),
    problem("ds01.versions", "ds01d is 0.0.9 and ds01 is 0.1.0", "restart ds01d", |f| {
        f.own.daemon.as_mut().unwrap().version = "0.0.9".to_owned();
    }),
    warning("ds01.versions", "was replaced since", "systemctl restart ds01d", |f| {
        f.own.daemon.as_mut().unwrap().is_replaced = true;
    }),
    problem("ds01.runtime", "ds01-runtime is 0.0.9", "of one version", |f| {
        f.own.runtime_version = Ok("0.0.9".to_owned());
    }),
    problem(
        "ds01.runtime-settings",
        "others than root can write /etc/ds01/runtime.json",
        "chmod go-w",
        |f| {
            let settings = f.own.runtime_settings.as_mut().unwrap();
            (settings.is_unsafe, settings.file) = (true, Some("/etc/ds01/runtime.json".into()));
        },
    ),
    problem("ds01.runtime-settings", "cannot be used: no", "mend it", |f| {
        f.own.runtime_settings.as_mut().unwrap().values = Err("no".to_owned());
    }),
    problem(
        "ds01.runtime-settings",
        "has socket /run/other.sock, and ds01d /run/ds01/hinge.sock",
        "\"socket\": \"/run/ds01/hinge.sock\"",
        |f| {
            f.own.runtime_settings.as_mut().unwrap().values.as_mut().unwrap().socket =
                "/run/other.sock".into();
        },
    ),
    problem("ds01.runtime-settings", "has receipts /tmp/r", "\"receipts\": \"/run/ds01/receipts\"", |f| {
        f.own.runtime_settings.as_mut().unwrap().values.as_mut().unwrap().receipts = "/tmp/r".into();
    }),
    problem("ds01.hinge", "not there", "restart ds01d", |f| f.own.hinge = Ok(None)),
    problem("ds01.hinge", "everybody on this machine can get at /run/ds01/hinge.sock", "chmod 0600", |f| {
        end(&mut f.own.hinge).mode = 0o140_666;
    }),
    problem("ds01.receipts", "everybody on this machine can get at", "chmod 0700 /run/ds01/receipts", |f| {
        end(&mut f.own.receipts).mode = 0o040_777;
    }),
    problem(
        "ds01.ledger",
        "everybody on this machine can get at",
        "chmod 0600 /var/lib/ds01/ledger.db",
        |f| {
            end(&mut f.own.ledger).mode = 0o100_644;
        },
    ),
    problem("ds01.ledger", "there is no ledger", "paths.state", |f| f.own.ledger = Ok(None)),
    warning("ds01.units", "GPU 2 cannot be asked", "gpu-status", |f| {
        f.own.machine.as_mut().unwrap().problems.push("GPU 2 cannot be asked".to_owned());
    }),
    warning("ds01.units", "GPU 1:0 is in use by a program that DS01 did not start", "nvidia-smi", |f| {
        unit(f, MIG, Health::Dirty)
    }),
    warning(
        "ds01.units",
        "GPU 1:0 is used by process 4711 (python) of bob, outside of DS01",
        "ps -o user,lstart,args -p 4711",
        |f| ungranted(f, None),
    ),
    warning(
        "ds01.units",
        "GPU 1:0 is used by process 4711 (python) of bob/train, which was not granted it",
        "ps -o user,lstart,args -p 4711",
        |f| ungranted(f, Some("bob/train")),
    ),
    warning("ds01.units", "GPU 1:0 still runs", "gpu-status", |f| unit(f, MIG, Health::Draining)),
    warning("ds01.units", "GPU 1:0 is lost", "reboot", |f| unit(f, MIG, Health::Lost)),
    unseen("ds01.units", "the state of the GPUs", |f| f.own.machine = because("ds01d does not answer")),
    warning("ds01.buildkit", "docker-buildx builds with BuildKit", "DOCKER_BUILDKIT=0", |f| {
        f.own.buildkit_clients.push("/usr/libexec/docker/cli-plugins/docker-buildx".into());
    }),
];

#[test]
fn what_restarts_the_engine_says_what_that_does() {
    let fix = |change: Change| {
        let mut facts = sound();
        settings(&mut facts).log_opts.clear();
        change(&mut facts);
        wrong(&facts).into_iter().find(|entry| entry.check == "engine.logs").unwrap().fix
    };
    assert!(fix(|_| {}).ends_with("\nthen: systemctl restart docker"));
    assert!(fix(|f| info(f).live_restore_enabled = false).contains("stops all containers"));
}

/// Changes that are none of anybody's business.
const FINE: &[(&str, Change)] = &[
    ("no group docker", |f| f.accounts.groups.clear()),
    ("a socket of a group behind a closed door", |f| {
        let way = f.engine.sockets.as_mut().unwrap()[0].1.as_mut().unwrap().as_mut().unwrap();
        (way[3].gid, way[2].mode) = (2000, 0o040_700);
    }),
    ("plugins' holes without plugins", |f| version(&mut f.parts.engine, "29.3.0")),
    ("a package that names its fixes", |f| {
        packaged(&mut f.parts.runc, "1.2.7-1", &["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"]);
    }),
    ("logs that end by themselves", |f| {
        settings(f).log_opts.clear();
        info(f).logging_driver = "local".to_owned();
    }),
    ("no settings of the toolkit", |f| f.nvidia.toolkit = Ok(None)),
    ("an empty swarm-resource", |f| toolkit(f, "swarm-resource = \"\"")),
    ("no specification where none is used", |f| f.nvidia.cdi.clear()),
    ("a slice that ds01d knows", |f| {
        f.nvidia.cdi[0].uuids.insert(MIG.to_owned());
        unit(f, MIG, Health::Available);
    }),
    ("an old kernel that will do", |f| f.host.kernel = "5.15.0".to_owned()),
    ("ranges of one person that overlap", |f| {
        f.host.subuid = "alice:100000:65536\nalice:100000:65536\nbob:165536:65536\n".to_owned();
    }),
    ("little space on a large disk", |f| f.host.disks[0].total = 10_000 << 30),
    ("a small disk with room", |f| (f.host.disks[0].free, f.host.disks[0].total) = (9 << 30, 20 << 30)),
    ("a client that is told", |f| {
        f.own.buildkit_clients.push("/usr/libexec/docker/cli-plugins/docker-buildx".into());
        f.own.buildkit_is_off = true;
    }),
];

#[test]
fn each_thing_that_is_wrong_is_told_and_nothing_else() {
    let mut provoked = BTreeMap::new();
    for row in [ENGINE, PARTS, NVIDIA, HOST, OWN].into_iter().flatten() {
        let mut facts = sound();
        (row.change)(&mut facts);
        let told = wrong(&facts);
        let expected = told.iter().filter(|entry| !entry.needs_root);
        let [entry] = expected.collect::<Vec<_>>()[..] else {
            panic!("{} ({}): {told:#?}", row.check, row.found);
        };
        assert_eq!((entry.check, entry.verdict), (row.check, row.verdict), "{told:#?}");
        assert!(entry.found.contains(row.found), "{}: {}", row.check, entry.found);
        assert!(entry.fix.contains(row.fix), "{}: {}", row.check, entry.fix);
        if entry.verdict > Verdict::NotChecked {
            assert!(!entry.why.is_empty() && !entry.fix.is_empty(), "{}", row.check);
            *provoked.entry(row.check).or_insert(0) += 1;
        }
    }
    for check in AREAS.into_iter().flatten().filter(|check| check.id != "engine.answers") {
        assert!(provoked.contains_key(check.id), "no row for {}", check.id);
    }
}

#[test]
fn what_is_fine_is_not_told() {
    for (what, change) in FINE {
        let mut facts = sound();
        change(&mut facts);
        assert_eq!(wrong(&facts), [], "{what}");
    }
}

#[test]
fn the_mode_by_itself_is_another_one_with_another_toolkit() {
    for (mode, toolkit_version, told, fix) in [
        ("auto", Some("1.19.1"), Verdict::Ok, ""),
        ("auto", Some("1.18.0"), Verdict::Ok, ""),
        ("auto", Some("1.17.8"), Verdict::Warning, "update the toolkit to 1.18.0 or newer"),
        ("auto", None, Verdict::NotChecked, ""),
        ("legacy", Some("1.17.8"), Verdict::Warning, "nvidia-ctk cdi generate"),
        ("legacy", None, Verdict::Warning, "nvidia-ctk cdi generate"),
        ("legacy", Some("1.18.0"), Verdict::Warning, "mode = \"jit-cdi\""),
        ("cdi", Some("1.17.8"), Verdict::Ok, ""),
        ("jit-cdi", None, Verdict::Ok, ""),
    ] {
        let mut facts = sound();
        toolkit(&mut facts, &format!("[nvidia-container-runtime]\nmode = \"{mode}\""));
        match toolkit_version {
            Some(text) => version(&mut facts.parts.toolkit, text),
            None => facts.parts.toolkit = because("it does not say its version"),
        }
        let report = super::judge(&facts);
        let entry = report.findings.iter().find(|entry| entry.check == "nvidia.mode").unwrap();
        assert_eq!(entry.verdict, told, "{mode}, {toolkit_version:?}");
        assert!(entry.fix.contains(fix), "{mode}, {toolkit_version:?}: {}", entry.fix);
    }
}
