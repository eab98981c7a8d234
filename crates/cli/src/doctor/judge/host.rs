//! The machine: kernel, file systems that people mount from, subordinate ids, clock, disks.

use std::collections::BTreeMap;

use super::super::facts::{Disk, Facts, Place, because, is_remote};
use super::super::finding::{Check, Finding, Judged, Unseen};
use super::super::version::Version;
use crate::render::words::bytes;

/// Idmapped mounts came with it.
const KERNEL_MIN: &str = "5.12";
/// A caller's process can be held on to from here on.
const KERNEL_PIDFD: &str = "6.5";
/// The lowest id that may be a subordinate one.
const SUBID_MIN: u64 = 65_536;
/// Inotify instances for a user number; all containers of one number share them.
const INOTIFY_MIN: u64 = 1024;
/// Less than this is free: nearly full, and full.
const FREE_WARNING: (u64, u64) = (10 << 30, 10);
const FREE_PROBLEM: u64 = 1 << 30;
/// What is named in a sentence, at most.
const NAMED_MAX: usize = 5;

pub(super) const CHECKS: &[Check<Facts>] = &[
    Check { id: "host.kernel", what: "the kernel", judge: kernel },
    Check { id: "host.cgroups", what: "control groups", judge: cgroups },
    Check { id: "host.mounts", what: "mounting from homes and other places", judge: mounts },
    Check { id: "host.mount-options", what: "nosuid and nodev on homes", judge: mount_options },
    Check { id: "host.user-namespaces", what: "user namespaces", judge: user_namespaces },
    Check { id: "host.links", what: "protected links", judge: links },
    Check { id: "host.inotify", what: "inotify instances", judge: inotify },
    Check { id: "host.subordinate-ids", what: "subordinate ids", judge: subordinate_ids },
    Check { id: "host.clock", what: "the clock", judge: clock },
    Check { id: "host.disks", what: "free disk space", judge: disks },
];

fn kernel(facts: &Facts) -> Judged {
    let said = &facts.host.kernel;
    let limit = |text| Version::read(text).expect("the limits can be read");
    match Version::read(said) {
        None => because(format!("{said:?} is no version that can be compared")),
        Some(found) if found < limit(KERNEL_MIN) => Finding::problem(
            format!("the kernel is {said}, older than {KERNEL_MIN}"),
            "owners of mounted files cannot be translated: nobody can mount anything",
            "install a newer kernel; Debian 12 and Ubuntu 22.04 have one",
        )
        .alone(),
        Some(found) if found < limit(KERNEL_PIDFD) => Finding::ok(format!(
            "the kernel is {said}; before {KERNEL_PIDFD} callers are told by process number and start time"
        ))
        .alone(),
        Some(_) => Finding::ok(format!("the kernel is {said}")).alone(),
    }
}

fn cgroups(facts: &Facts) -> Judged {
    let found = &facts.host.cgroups;
    let wanted: &[&str] =
        if found.is_v2 { &["cpu", "memory", "pids"] } else { &["cpu", "devices", "memory", "pids"] };
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| !found.controllers.contains(*name)).collect();
    let kind = if found.is_v2 { "v2" } else { "v1" };
    if !missing.is_empty() {
        return Finding::problem(
            format!("control groups {kind} lack {}", missing.join(", ")),
            "that is not limited for anybody",
            "boot without cgroup_disable, and with cgroup_enable=memory",
        )
        .alone();
    }
    Finding::ok(format!("control groups are {kind}, with every controller that DS01 needs")).alone()
}

fn homes(place: &Place) -> String {
    match place.homes {
        0 => place.directory.display().to_string(),
        1 => format!("{} (1 home)", place.mount_point.display()),
        n => format!("{} ({n} homes)", place.mount_point.display()),
    }
}

fn mounts(facts: &Facts) -> Judged {
    let mut findings = Vec::new();
    for place in &facts.host.places {
        let problem = place.problem.as_ref().map_err(Clone::clone)?;
        findings.push(match problem {
            None => Finding::ok(format!(
                "{} can be mounted into containers ({})",
                homes(place),
                place.file_system
            )),
            Some(why) => Finding::problem(
                format!("{} cannot be mounted into containers: {why}", homes(place)),
                "people's projects lie there; every mount of them is refused",
                network_or_local(place),
            ),
        });
    }
    Ok(findings)
}

fn network_or_local(place: &Place) -> String {
    let local = "ext4, xfs or btrfs";
    if is_remote(&place.file_system) {
        return format!(
            "give each a workspace on a local disk ({local}), and name it under `binds` in ds01.yaml"
        );
    }
    format!("put it on {local}, or take it out of `binds` in ds01.yaml")
}

fn mount_options(facts: &Facts) -> Judged {
    let mut findings = Vec::new();
    for place in facts.host.places.iter().filter(|place| place.homes > 0) {
        let missing: Vec<&str> = ["nosuid", "nodev"]
            .into_iter()
            .filter(|option| !place.options.iter().any(|has| has == option))
            .collect();
        if missing.is_empty() {
            findings.push(Finding::ok(format!("{} is nosuid and nodev", homes(place))));
            continue;
        }
        let fix = match place.mount_point.to_str() {
            Some("/") => "give homes a file system of their own, mounted with nosuid,nodev".to_owned(),
            _ => format!(
                "mount -o remount,nosuid,nodev {0}\nand the same in its line of /etc/fstab",
                place.mount_point.display()
            ),
        };
        findings.push(Finding::warning(
            format!("{} is without {}", homes(place), missing.join(" and ")),
            "DS01 keeps such programs and devices out of containers; on the host only this fence does",
            fix,
        ));
    }
    Ok(findings)
}

/// A number below `/proc/sys`, as a fix for this boot and the next ones.
fn set(key: &str, value: u64) -> String {
    let name = key.replace('/', ".");
    format!("echo '{name} = {value}' >>/etc/sysctl.d/60-ds01.conf && sysctl --system")
}

fn user_namespaces(facts: &Facts) -> Judged {
    match facts.host.sysctls.get("user/max_user_namespaces") {
        None => because("the kernel does not tell"),
        Some(0) => Finding::problem(
            "user namespaces are switched off (user.max_user_namespaces is 0)",
            "ds01d makes one for each translation of owners: nobody can mount anything",
            set("user/max_user_namespaces", 10_000),
        )
        .alone(),
        Some(most) => Finding::ok(format!("{most} user namespaces may be made")).alone(),
    }
}

fn links(facts: &Facts) -> Judged {
    let is_off = |key| facts.host.sysctls.get(key) == Some(&0);
    let (hard, symbolic) = ("fs/protected_hardlinks", "fs/protected_symlinks");
    let mut findings = Vec::new();
    if is_off(hard) {
        findings.push(Finding::problem(
            "hard links are not protected (fs.protected_hardlinks is 0)",
            "anybody links another's file into a directory of his own, and takes it over from a container",
            set(hard, 1),
        ));
    }
    if is_off(symbolic) {
        findings.push(Finding::warning(
            "symbolic links are not protected (fs.protected_symlinks is 0)",
            "in /tmp, a link of one user leads another's program to a file that it does not mean",
            set(symbolic, 1),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("links to other people's files are protected"));
    }
    Ok(findings)
}

fn inotify(facts: &Facts) -> Judged {
    match facts.host.sysctls.get("fs/inotify/max_user_instances") {
        None => because("the kernel does not tell"),
        Some(most) if *most < INOTIFY_MIN => Finding::warning(
            format!("there are {most} inotify instances for each user number"),
            "root of all containers is one number: editors and file watchers of one person use up another's",
            set("fs/inotify/max_user_instances", 8192),
        )
        .alone(),
        Some(most) => Finding::ok(format!("there are {most} inotify instances for each user number")).alone(),
    }
}

/// Ranges of one file, with whose they are.
fn ranges(text: &str) -> Vec<(String, u64, u64)> {
    let range = |line: &'_ str| {
        let mut parts = line.trim().splitn(3, ':');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    text.lines().filter_map(range).collect()
}

fn subordinate_ids(facts: &Facts) -> Judged {
    let people: BTreeMap<String, &str> =
        facts.accounts.people.iter().map(|(name, uid)| (uid.to_string(), name.as_str())).collect();
    let mut findings = Vec::new();
    for (file, text) in [("/etc/subuid", &facts.host.subuid), ("/etc/subgid", &facts.host.subgid)] {
        let owner = |name: String| people.get(&name).map_or(name, |known| (*known).to_owned());
        let mut all: Vec<_> =
            ranges(text).into_iter().map(|(name, from, n)| (from, n, owner(name))).collect();
        all.sort_unstable();
        let low = all.iter().find(|(from, _, _)| *from < SUBID_MIN);
        if let Some((from, _, name)) = low {
            findings.push(Finding::problem(
                format!("{file}: the range of {name} begins at {from}, among the ids of real users"),
                "it is not used; where another program uses it, files of containers are a real user's",
                format!("in {file}: give {name} a range from {SUBID_MIN} on that nobody else has"),
            ));
        }
        let shared = all
            .windows(2)
            .find(|pair| pair[0].0.saturating_add(pair[0].1) > pair[1].0 && pair[0].2 != pair[1].2);
        if let Some([(_, _, one), (from, _, other)]) = shared {
            findings.push(Finding::problem(
                format!("{file}: the ranges of {one} and {other} overlap at {from}"),
                "files of one's containers would be the other's; neither range is used",
                format!("in {file}: give {other} a range of 65536 ids that nobody else has"),
            ));
        }
        let without: Vec<&str> = (facts.accounts.people.iter().map(|(name, _)| name.as_str()))
            .filter(|name| !all.iter().any(|(_, _, owner)| owner == name))
            .collect();
        if !without.is_empty() {
            let option = if file.ends_with("subuid") { "--add-subuids" } else { "--add-subgids" };
            findings.push(Finding::warning(
                format!("{file}: no range for {}", named(&without)),
                "in their containers, what another id than the container's user owns shows as nobody's",
                format!("usermod {option} FIRST-LAST NAME, with 65536 ids that nobody else has"),
            ));
        }
    }
    if findings.is_empty() {
        let n = facts.accounts.people.len();
        findings.push(Finding::ok(format!(
            "no two ranges of subordinate ids overlap; accounts with one: {n} of {n}"
        )));
    }
    Ok(findings)
}

/// The first of them by name, the rest by number.
fn named(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        rest => format!("{shown} and {rest} more"),
    }
}

fn clock(facts: &Facts) -> Judged {
    match &facts.host.clock {
        Some(who) => Finding::ok(format!("the clock is kept by {who}")).alone(),
        None => Finding::warning(
            "nothing keeps the clock right",
            "logs, `ds01 why` and certificates of registries go wrong with it",
            "apt install systemd-timesyncd, or chrony",
        )
        .alone(),
    }
}

fn disks(facts: &Facts) -> Judged {
    if facts.host.disks.is_empty() {
        return Err(Unseen::NeedsRoot);
    }
    Ok(facts.host.disks.iter().map(disk).collect())
}

fn disk(disk: &Disk) -> Finding {
    let Disk { what, path, free, total, .. } = disk;
    let found = format!("{what} ({}): {} free of {}", path.display(), bytes(*free), bytes(*total));
    let why = "when it is full, nothing new is created or started";
    let fix = "docker system df; docker image prune; or a larger disk";
    if disk.is_read_only {
        let fix = "dmesg says why; mount -o remount,rw when the disk is sound";
        return Finding::problem(
            format!("{what} ({}) is on a disk that is read-only", path.display()),
            why,
            fix,
        );
    }
    let (least, percent) = FREE_WARNING;
    match *free {
        0..FREE_PROBLEM => Finding::problem(found, why, fix),
        free if free < least && free < total / 100 * percent => Finding::warning(found, why, fix),
        _ => Finding::ok(found),
    }
}
