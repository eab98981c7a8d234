//! The machine below: kernel, mounts, numbers below `/proc/sys`, subordinate ids, disks.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ds01_api::Probed;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::super::facts::{Cgroups, Disk, Engine, Host, Place, because, is_remote};
use super::super::finding::Seen;
use super::accounts::Found;
use super::files::Root;
use super::{Look, program};

const SYSCTLS: [&str; 4] = [
    "fs/protected_hardlinks",
    "fs/protected_symlinks",
    "fs/inotify/max_user_instances",
    "user/max_user_namespaces",
];
/// Programs that keep the clock, by the name that the kernel has of them.
const CLOCKS: [&str; 5] = ["systemd-timesyn", "chronyd", "ntpd", "ntpsec", "openntpd"];

pub(super) async fn look(look: &Look, accounts: &Found, engine: &Engine) -> Host {
    let root = &look.root;
    let number = |key: &'static str| {
        Some((key, root.text(Path::new("/proc/sys").join(key))?.trim().parse::<u64>().ok()?))
    };
    let mut places = places(look, accounts);
    probe(look, &mut places).await;
    Host {
        kernel: root.text("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        cgroups: cgroups(root),
        places,
        sysctls: SYSCTLS.into_iter().filter_map(number).collect(),
        confinement: confinement(root),
        clock: CLOCKS.into_iter().find(|name| look.processes.contains(*name)).map(|name| match name {
            "systemd-timesyn" => "systemd-timesyncd".to_owned(),
            name => name.to_owned(),
        }),
        subuid: root.text("/etc/subuid").unwrap_or_default(),
        subgid: root.text("/etc/subgid").unwrap_or_default(),
        disks: disks(look, engine),
    }
}

fn cgroups(root: &Root) -> Cgroups {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    if let Some(text) = root.text("/sys/fs/cgroup/cgroup.controllers") {
        return Cgroups { is_v2: true, controllers: words(&text) };
    }
    let text = root.text("/proc/self/cgroup").unwrap_or_default();
    let of_line = |line: &str| line.split(':').nth(1).unwrap_or_default().replace(',', " ");
    let all: Vec<String> = text.lines().map(of_line).collect();
    Cgroups { is_v2: false, controllers: words(&all.join(" ")) }
}

fn confinement(root: &Root) -> Vec<&'static str> {
    let apparmor =
        root.text("/sys/module/apparmor/parameters/enabled").is_some_and(|text| text.trim() == "Y");
    let selinux = root.at("/sys/fs/selinux/enforce").exists();
    [("apparmor", apparmor), ("selinux", selinux)]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name)
        .collect()
}

/// A line of `/proc/self/mountinfo`.
struct Mount {
    point: PathBuf,
    options: Vec<String>,
    file_system: String,
}

fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        Some(Mount {
            point: PathBuf::from(unescaped(left.get(4)?)),
            options: left.get(5)?.split(',').map(str::to_owned).collect(),
            file_system: right.split(' ').next()?.to_owned(),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// A path with `\040` for a blank.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => out.push(char::from(code)),
            None => out.push('\\'),
        }
        rest = &rest[at + if code.is_some() { 4 } else { 1 }..];
    }
    out + rest
}

/// One place for each file system that people mount from.
fn places(look: &Look, accounts: &Found) -> Vec<Place> {
    let mounts = mounts(&look.root.text("/proc/self/mountinfo").unwrap_or_default());
    let homes: &[PathBuf] = if look.paths.binds_homes { &accounts.homes } else { &[] };
    let mut places: Vec<Place> = Vec::new();
    let all = homes.iter().map(|home| (home, 1)).chain(look.paths.binds.iter().map(|path| (path, 0)));
    for (directory, homes) in all {
        let Some((real, mount)) = place_of(directory, &mounts) else { continue };
        match places.iter_mut().find(|place| place.mount_point == mount.point) {
            Some(place) => place.homes += homes,
            None => places.push(Place {
                directory: real,
                homes,
                mount_point: mount.point.clone(),
                file_system: mount.file_system.clone(),
                options: mount.options.clone(),
                problem: because("not asked"),
            }),
        }
    }
    places
}

/// A directory without links, and what it is on; nothing where it is not there.
fn place_of<'a>(directory: &Path, mounts: &'a [Mount]) -> Option<(PathBuf, &'a Mount)> {
    // A server that is gone holds whoever looks: what lies on one is taken by its name.
    if let Some(mount) = mount_of(directory, mounts).filter(|mount| is_remote(&mount.file_system)) {
        return Some((directory.to_owned(), mount));
    }
    let real = std::fs::canonicalize(directory).ok()?;
    let mount = mount_of(&real, mounts)?;
    Some((real, mount))
}

fn mount_of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let on = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    // Of two on one point, what was mounted last lies on top: the last of the longest.
    on.max_by_key(|mount| mount.point.as_os_str().len())
}

/// Has `ds01d` try each place.
async fn probe(look: &Look, places: &mut [Place]) {
    let mut args: Vec<&OsStr> = vec!["probe".as_ref()];
    let directories: Vec<PathBuf> = places.iter().map(|place| place.directory.clone()).collect();
    args.extend(directories.iter().map(|path| path.as_os_str()));
    let answer: Seen<Vec<Probed>> = match look.as_root(|| look.daemon.clone()) {
        Err(unseen) => Err(unseen),
        Ok(daemon) => program::output(&daemon, &args).await.and_then(|said| {
            serde_json::from_str(&said)
                .or_else(|_| because(format!("{} is of another version", daemon.display())))
        }),
    };
    for place in places {
        place.problem = answer.clone().and_then(|answer| {
            let found = answer.into_iter().find(|probed| probed.path == place.directory);
            found.map_or_else(|| because("ds01d does not tell"), |probed| Ok(probed.problem))
        });
    }
}

fn disks(look: &Look, engine: &Engine) -> Vec<Disk> {
    let data = engine.info.as_ref().ok().map(|info| info.docker_root_dir.clone());
    let ledger = look.paths.ledger.parent().map(Path::to_owned);
    let all = [("images and containers", data), ("the ledger", ledger)];
    let disk = |(what, path): (&'static str, Option<PathBuf>)| {
        let path = path?;
        let found = statvfs(&path).ok()?;
        let size = found.fragment_size();
        Some(Disk {
            what,
            free: found.blocks_available() * size,
            total: found.blocks() * size,
            is_read_only: found.flags().contains(FsFlags::ST_RDONLY),
            path,
        })
    };
    all.into_iter().filter_map(disk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_as_the_kernel_writes_them() {
        let text = "36 35 98:0 / /home/two\\040words rw,nosuid,nodev shared:1 - ext4 /dev/sdb1 rw,errors=continue\n\
                    40 35 0:50 / /nfs rw,relatime - nfs4 server:/x rw\nnonsense\n";
        let found = mounts(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].point, Path::new("/home/two words"));
        assert_eq!(found[0].options, ["rw", "nosuid", "nodev"]);
        assert_eq!(found[1].file_system, "nfs4");
        // Never looked at, so it need not be there.
        let (path, mount) = place_of(Path::new("/nfs/gone"), &found).unwrap();
        assert_eq!((path.as_path(), mount.point.as_path()), (Path::new("/nfs/gone"), Path::new("/nfs")));
        assert!(place_of(Path::new("/home/two words/gone"), &found).is_none());
    }

    #[test]
    fn the_mount_on_top_is_meant() {
        let text = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /home rw - ext4 b rw\n3 1 0:9 / /home rw - nfs4 c rw\n\
                    4 1 8:3 / /homeland rw - xfs d rw\n";
        let mounts = mounts(text);
        let on = |path: &str| mount_of(Path::new(path), &mounts).unwrap().file_system.as_str();
        assert_eq!([on("/home/x"), on("/homeland"), on("/homes")], ["nfs4", "xfs", "ext4"]);
    }
}
