//! The Docker Engine: that nobody reaches it but through the door, and that it is set up as DS01 needs it.

use std::path::Path;

use super::super::facts::{Facts, Info, Step, because};
use super::super::finding::{Check, Finding, Judged, Seen, Unseen};
use super::super::version::Version;
use super::reach::{Want, Who, group, only_roots, who};

/// The oldest API that the door serves.
const API_MIN: &str = "1.40";

pub(super) const CHECKS: &[Check<Facts>] = &[
    Check { id: "engine.answers", what: "the Engine", judge: answers },
    Check { id: "engine.sockets", what: "who reaches the Engine's and containerd's sockets", judge: sockets },
    Check { id: "engine.hosts", what: "where the Engine listens", judge: hosts },
    Check { id: "engine.docker-group", what: "the group docker", judge: docker_group },
    Check { id: "engine.api", what: "the Engine's API", judge: api },
    Check { id: "engine.runtime", what: "the runtime ds01 of the Engine", judge: runtime },
    Check { id: "engine.default-runtime", what: "the Engine's default runtime", judge: default_runtime },
    Check { id: "engine.live-restore", what: "live-restore", judge: live_restore },
    Check { id: "engine.cgroup-driver", what: "the Engine's cgroup driver", judge: cgroup_driver },
    Check { id: "engine.user-namespaces", what: "userns-remap and rootless", judge: user_namespaces },
    Check { id: "engine.confinement", what: "seccomp and AppArmor", judge: confinement },
    Check { id: "engine.limits", what: "limits that the kernel keeps", judge: limits },
    Check { id: "engine.swarm", what: "Swarm", judge: swarm },
    Check { id: "engine.storage", what: "the Engine's storage driver", judge: storage },
    Check { id: "engine.data-root", what: "the Engine's data directory", judge: data_root },
    Check { id: "engine.logs", what: "how long logs grow", judge: logs },
    Check { id: "engine.userland-proxy", what: "the Engine's port proxy", judge: userland_proxy },
];

fn info(facts: &Facts) -> Seen<&Info> {
    match &facts.engine.info {
        Ok(info) => Ok(info),
        Err(Unseen::NeedsRoot) => Err(Unseen::NeedsRoot),
        // Told once, by the first check.
        Err(Unseen::Because(_)) => because("the Engine does not answer"),
    }
}

/// What users are not told of the Engine, even through the door.
fn whole_info(facts: &Facts) -> Seen<&Info> {
    if facts.engine.asked_itself { info(facts) } else { Err(Unseen::NeedsRoot) }
}

/// A line of the Engine's own file, and how it takes it.
fn in_file(facts: &Facts, line: &str) -> String {
    let stops = facts.engine.info.as_ref().is_ok_and(|info| !info.live_restore_enabled);
    let but = if stops { ", which stops all containers: switch live-restore on first" } else { "" };
    format!("{}\nthen: systemctl restart docker{but}", of_file(facts, line))
}

fn of_file(facts: &Facts, line: &str) -> String {
    let file = facts.engine.settings.as_ref().map_or(Path::new("/etc/docker/daemon.json"), |s| &s.file);
    format!("in {}: {line}", file.display())
}

fn answers(facts: &Facts) -> Judged {
    let socket = facts.engine.socket.display();
    match &facts.engine.info {
        Ok(_) if facts.engine.asked_itself => Finding::ok(format!("the Engine answers at {socket}")).alone(),
        Ok(_) => Finding::ok("the Engine answers through the door").alone(),
        Err(Unseen::NeedsRoot) => Err(Unseen::NeedsRoot),
        Err(Unseen::Because(why)) => Finding::problem(
            format!("the Engine does not answer at {socket}: {why}"),
            "ds01d has nothing to stand in front of; requests get 503",
            "systemctl status docker; is `paths.engine` in ds01.yaml the socket that its `hosts` names?",
        )
        .alone(),
    }
}

fn sockets(facts: &Facts) -> Judged {
    let sockets = facts.engine.sockets.as_ref().map_err(Clone::clone)?;
    let mut findings = Vec::new();
    for (socket, way) in sockets {
        let Some(way) = way.as_ref().map_err(Clone::clone)? else { continue };
        let Some(who) = who(way, Want::Write, &facts.accounts) else {
            findings.push(Finding::ok(format!("only root reaches {}", socket.display())));
            continue;
        };
        let found = format!("{who} can open {}", socket.display());
        let fix = format!("chown root:root {0} && chmod 0600 {0}\n{KEEP}", socket.display());
        findings.push(match who {
            Who::Group { members, .. } if members.is_empty() => {
                Finding::warning(found, "whoever joins it is root on this machine", fix)
            }
            _ => Finding::problem(found, "whoever opens it is root on this machine, past every limit", fix),
        });
    }
    Ok(findings)
}

/// What makes it last.
const KEEP: &str = "and to keep it so: `\"group\": \"root\"` in daemon.json, in a directory of mode 0700";

fn hosts(facts: &Facts) -> Judged {
    let settings = facts.engine.settings.as_ref().map_err(Clone::clone)?;
    let mut findings = Vec::new();
    for host in &settings.hosts {
        if host.starts_with("tcp://") {
            findings.push(Finding::problem(
                format!("the Engine listens at {host}"),
                "whoever reaches that address is root on this machine; containers may, too",
                in_file(facts, &format!("take {host} out of `hosts`, or out of dockerd's flags (-H)")),
            ));
        } else if host.starts_with("fd://") {
            let socket = &facts.engine.socket;
            let usual =
                ["/run/docker.sock", "/var/run/docker.sock"].iter().any(|path| socket == Path::new(path));
            findings.push(if usual {
                Finding::warning(
                    "systemd gives the Engine its socket in the usual place (-H fd://)",
                    "docker.socket makes /run/docker.sock for the group docker, in the place of the door",
                    "give it another, with what lies in /usr/share/ds01/docker.socket.conf: see Installing, step 2",
                )
            } else {
                Finding::ok(format!("systemd gives the Engine its socket, {}", socket.display()))
            });
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!("the Engine listens at {} only", join(&settings.hosts))));
    }
    Ok(findings)
}

fn join(hosts: &[String]) -> String {
    if hosts.is_empty() { "its usual socket".to_owned() } else { hosts.join(", ") }
}

fn docker_group(facts: &Facts) -> Judged {
    let found = facts.accounts.groups.iter().find(|(_, (name, _))| name == "docker");
    let Some((&gid, (_, members))) = found else {
        return Finding::ok("there is no group docker").alone();
    };
    if members.is_empty() {
        return Finding::ok("nobody is in the group docker").alone();
    }
    let commands: Vec<String> = members.iter().map(|who| format!("gpasswd --delete {who} docker")).collect();
    Finding::problem(
        format!("{} may open what the Engine hands to its group", group(gid, &facts.accounts)),
        "packages give the Engine's socket to this group; with the door nobody needs it",
        commands.join("\n"),
    )
    .alone()
}

fn api(facts: &Facts) -> Judged {
    let said = facts.engine.api.as_ref().map_err(Clone::clone)?;
    let (Some(version), Some(lowest)) = (Version::read(said), Version::read(API_MIN)) else {
        return because(format!("{said:?} is no version"));
    };
    if version >= lowest {
        return Finding::ok(format!("the Engine's API is {said}, at least {API_MIN}")).alone();
    }
    Finding::problem(
        format!("the Engine's API is {said}, older than {API_MIN}"),
        "older ones take settings where the door does not look; it refuses them",
        "install Docker 19.03 or newer",
    )
    .alone()
}

fn runtime(facts: &Facts) -> Judged {
    let info = whole_info(facts)?;
    let name = facts.configuration.as_ref().map_or("ds01", |c| c.runtime.as_str());
    let Some(found) = info.runtimes.get(name) else {
        let line = format!("\"runtimes\": {{\"{name}\": {{\"path\": \"/usr/local/sbin/ds01-runtime\"}}}}");
        return Finding::problem(
            format!("the Engine has no runtime {name}"),
            "no container with a GPU can start",
            in_file(facts, &line),
        )
        .alone();
    };
    match facts.engine.runtime.as_ref().map_err(Clone::clone)? {
        None => Finding::problem(
            format!("the Engine's runtime {name} is {}, which is not there", found.path.display()),
            "no container with a GPU can start",
            "install ds01-runtime there; the path in daemon.json must begin with /",
        )
        .alone(),
        Some(program) => only_roots(program, &format!("the Engine's runtime {name}"))
            .unwrap_or_else(|| {
                Finding::ok(format!(
                    "the Engine's runtime {name} is {}, root's alone",
                    program.path.display()
                ))
            })
            .alone(),
    }
}

fn default_runtime(facts: &Facts) -> Judged {
    let name = &whole_info(facts)?.default_runtime;
    let fix = in_file(facts, "\"default-runtime\": \"runc\"");
    match name.as_str() {
        "runc" => Finding::ok("the default runtime is runc").alone(),
        "nvidia" => Finding::problem(
            "the default runtime is nvidia",
            "it gives GPUs to whatever asks for them in its environment, also behind the door",
            fix,
        )
        .alone(),
        _ => Finding::warning(
            format!("the default runtime is {name}"),
            "DS01 has been tried with runc only",
            fix,
        )
        .alone(),
    }
}

fn live_restore(facts: &Facts) -> Judged {
    if info(facts)?.live_restore_enabled {
        return Finding::ok("live-restore is on").alone();
    }
    Finding::warning(
        "live-restore is off",
        "a restart or an update of the Engine stops everybody's containers",
        // It is among the few settings that a reload takes, and a restart would do just what is to be prevented.
        format!("{}\nthen: systemctl reload docker", of_file(facts, "\"live-restore\": true")),
    )
    .alone()
}

fn cgroup_driver(facts: &Facts) -> Judged {
    let info = info(facts)?;
    if matches!(info.cgroup_driver.as_str(), "cgroupfs" | "systemd") {
        return Finding::ok(format!("the cgroup driver is {}", info.cgroup_driver)).alone();
    }
    Finding::problem(
        format!("the cgroup driver is {}", info.cgroup_driver),
        "without control groups nobody's containers have limits",
        in_file(facts, "\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]"),
    )
    .alone()
}

fn security_option<'a>(info: &'a Info, name: &str) -> Option<&'a str> {
    let named = format!("name={name}");
    let options = info.security_options.as_deref().unwrap_or_default();
    options.iter().map(String::as_str).find(|option| option.split(',').any(|part| part == named))
}

fn user_namespaces(facts: &Facts) -> Judged {
    let info = info(facts)?;
    if security_option(info, "rootless").is_some() {
        return Finding::problem(
            "the Engine runs without root",
            "DS01 mounts and hands out devices as root does: it does not work with a rootless Engine",
            "install the Engine as root's: https://docs.docker.com/engine/install/",
        )
        .alone();
    }
    if security_option(info, "userns").is_some() {
        return Finding::problem(
            "userns-remap is on",
            "owners would be translated twice: files made in a container belong to nobody",
            in_file(facts, "take \"userns-remap\" out; DS01 translates owners itself, for each user"),
        )
        .alone();
    }
    Finding::ok("neither userns-remap nor rootless").alone()
}

fn confinement(facts: &Facts) -> Judged {
    let info = info(facts)?;
    let mut findings = Vec::new();
    let seccomp = security_option(info, "seccomp");
    if seccomp.is_none_or(|option| option.contains("profile=unconfined")) {
        findings.push(Finding::problem(
            "the Engine filters no system calls (seccomp)",
            "every system call of the kernel is open to every container",
            in_file(facts, "take \"seccomp-profile\" out; is the kernel built with CONFIG_SECCOMP_FILTER?"),
        ));
    }
    let has = |name| facts.host.confinement.contains(&name);
    match ["apparmor", "selinux"].into_iter().find(|name| security_option(info, name).is_some()) {
        Some(name) => findings.push(Finding::ok(format!("containers are confined by {name}"))),
        None if has("apparmor") => findings.push(Finding::warning(
            "the kernel has AppArmor, and the Engine does not use it",
            "a container that gets past one fence meets no second one",
            "apt install apparmor && systemctl restart docker",
        )),
        None if has("selinux") => findings.push(Finding::warning(
            "the kernel has SELinux, and the Engine does not use it",
            "a container that gets past one fence meets no second one",
            in_file(facts, "\"selinux-enabled\": true"),
        )),
        None => findings.push(Finding::warning(
            "the kernel has neither AppArmor nor SELinux switched on",
            "a container that gets past one fence meets no second one",
            "boot with apparmor=1 security=apparmor, the default of Debian's and Ubuntu's kernels",
        )),
    }
    Ok(findings)
}

fn limits(facts: &Facts) -> Judged {
    let info = info(facts)?;
    let kept = [("memory", info.memory_limit), ("CPUs", info.cpu_cfs_quota), ("processes", info.pids_limit)];
    let missing: Vec<&str> = kept.iter().filter(|(_, kept)| !kept).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Finding::problem(
            format!("the kernel keeps no limits of {}", missing.join(", ")),
            "one container takes everything from everybody, whatever ds01.yaml says",
            "boot without cgroup_disable, and with cgroup_enable=memory",
        )
        .alone();
    }
    if !info.swap_limit {
        return Finding::warning(
            "the kernel does not count swap",
            "a container goes on into swap when its memory is used up, and slows everybody down",
            "boot with swapaccount=1, or switch swap off: swapoff -a",
        )
        .alone();
    }
    Finding::ok("the kernel keeps limits of memory, swap, CPUs and processes").alone()
}

fn swarm(facts: &Facts) -> Judged {
    let state = &whole_info(facts)?.swarm.local_node_state;
    if matches!(state.as_str(), "" | "inactive") {
        return Finding::ok("Swarm is off").alone();
    }
    Finding::problem(
        format!("Swarm is {state}"),
        "its services start containers that nobody asked DS01 for",
        "docker swarm leave --force",
    )
    .alone()
}

fn storage(facts: &Facts) -> Judged {
    let info = info(facts)?;
    let status = info.driver_status.as_deref().unwrap_or_default();
    let is_snapshotter = status.iter().flatten().any(|word| word.starts_with("io.containerd.snapshotter"));
    match info.driver.as_str() {
        "overlay2" => Finding::ok("the storage driver is overlay2").alone(),
        "vfs" => Finding::warning(
            "the storage driver is vfs",
            "every container is a whole copy of its image: slow, and the disk is soon full",
            in_file(facts, "\"storage-driver\": \"overlay2\", with the data directory on ext4 or xfs"),
        )
        .alone(),
        driver => Finding::warning(
            format!("images are kept by {driver}{}", if is_snapshotter { " of containerd" } else { "" }),
            "DS01 has been tried with overlay2 only",
            in_file(
                facts,
                "\"features\": {\"containerd-snapshotter\": false}, \"storage-driver\": \"overlay2\"",
            ),
        )
        .alone(),
    }
}

fn data_root(facts: &Facts) -> Judged {
    let Some(way) = facts.engine.data_root.as_ref().map_err(Clone::clone)? else {
        return because("the Engine does not say where it is");
    };
    let Some(Step { path, mode, .. }) = way.last() else { return because("it is not there") };
    if mode & 0o007 == 0 {
        return Finding::ok(format!("{} is closed to users (mode {:04o})", path.display(), mode & 0o7777))
            .alone();
    }
    Finding::problem(
        format!("{} has mode {:04o}", path.display(), mode & 0o7777),
        "users get at the files of everybody's containers and images (CVE-2021-41091)",
        format!("chmod 0710 {}", path.display()),
    )
    .alone()
}

fn logs(facts: &Facts) -> Judged {
    let driver = &info(facts)?.logging_driver;
    if driver != "json-file" {
        return Finding::ok(format!("logs go to {driver}, which has bounds of its own")).alone();
    }
    let settings = facts.engine.settings.as_ref().map_err(Clone::clone)?;
    let Some(size) = settings.log_opts.get("max-size").filter(|size| *size != "-1") else {
        return Finding::warning(
            "what a container prints is kept without an end (json-file without max-size)",
            "one loop that prints fills the Engine's disk",
            in_file(facts, "\"log-opts\": {\"max-size\": \"100m\", \"max-file\": \"3\"}"),
        )
        .alone();
    };
    Finding::ok(format!("a container's log is cut at {size}")).alone()
}

fn userland_proxy(facts: &Facts) -> Judged {
    let settings = facts.engine.settings.as_ref().map_err(Clone::clone)?;
    if settings.userland_proxy {
        return Finding::ok("ports on 127.0.0.1 are served by the Engine's proxy").alone();
    }
    Finding::warning(
        "userland-proxy is off",
        "the kernel then routes 127.0.0.1 for the bridge (route_localnet): containers come nearer to what this \
         machine serves to itself alone",
        in_file(facts, "take \"userland-proxy\": false out"),
    )
    .alone()
}
