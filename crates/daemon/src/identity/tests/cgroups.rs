//! `/proc/PID/cgroup` and the cgroup mounts, as kernels and drivers write them.

use super::super::cgroup::{Mounted, candidates, mounts, named_by, parse};
use super::container;

fn named(text: &str) -> Vec<ds01_domain::ContainerId> {
    candidates(&parse(text))
}

#[test]
fn version_1_2_and_both() {
    let (a, b) = (container('a'), container('b'));
    let v1 = format!("12:pids:/docker/{a}\n4:cpu,cpuacct:/docker/{a}\n1:name=systemd:/docker/{a}\n");
    let hybrid = format!("9:name=systemd:/\n8:pids:/ds01/alice/{a}\n4:memory:/process_api/15def1dc\n0::/\n");
    let v2 = format!("0::/ds01.slice/ds01-alice.slice/docker-{a}.scope\n");
    let deeper = format!("0::/system.slice/docker-{a}.scope/init.scope\n");
    let nested = format!("0::/docker/{a}/docker/{b}\n");
    let outside_ours = format!("0::/../../docker/{a}\n");
    let removed = format!("0::/docker/{a} (deleted)\n");
    for text in [&v1, &hybrid, &v2, &deeper, &outside_ours, &removed] {
        assert_eq!(named(text), std::slice::from_ref(&a), "{text}");
    }
    assert_eq!(named(&nested), [a, b]);
}

#[test]
fn the_host_names_nobody() {
    for text in [
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        "9:name=systemd:/\n8:pids:/\n0::/\n",
        "0::/system.slice/ssh.service\n",
        "0::/docker/0123456789ab\n",
        "",
        "rubbish\n::\n1:2\n0::relative\nx:pids:/a\n",
    ] {
        assert!(named(text).is_empty(), "{text}");
    }
}

#[test]
fn a_name_is_an_id_with_nothing_else_around_it() {
    let a = container('a');
    for part in [
        format!("{a}"),
        format!("docker-{a}.scope"),
        format!("libpod-{a}.scope"),
        format!("cri-containerd-{a}"),
    ] {
        assert_eq!(named_by(&part), Some(a.clone()), "{part}");
    }
    for part in
        [format!("{a}0"), format!("0{a}"), format!("docker-{a}.service"), format!("ä{a}"), format!("{a}:x")]
    {
        assert_eq!(named_by(&part), None, "{part}");
    }
    assert_eq!(named_by(&"A".repeat(64)), None);
}

#[test]
fn colons_in_a_path_are_part_of_it() {
    let found = parse("0::/a:b/c\n3:cpu,cpuacct:/x:y\n");
    assert_eq!(found[0].path, "/a:b/c");
    assert_eq!((found[1].hierarchy.as_str(), found[1].path.as_str()), ("cpu,cpuacct", "/x:y"));
}

#[test]
fn hierarchies_are_found_where_they_are_mounted() {
    let text = "\
26 22 0:23 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
27 22 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
28 22 0:25 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
29 22 0:26 /sub /mnt/pids rw - cgroup cgroup rw,pids
30 22 8:1 / / rw - ext4 /dev/sda1 rw
";
    let found = mounts(text);
    let names: Vec<_> = found.iter().map(|mount| (mount.hierarchy.as_str(), mount.at.as_str())).collect();
    assert_eq!(
        names,
        [
            ("", "/sys/fs/cgroup/unified"),
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("name=systemd", "/sys/fs/cgroup/systemd"),
            ("pids", "/mnt/pids")
        ]
    );
    assert_eq!(found[0].directory("/a/b").as_deref(), Some("/sys/fs/cgroup/unified/a/b"));
    assert_eq!(found[3].directory("/sub/a").as_deref(), Some("/mnt/pids/a"));
    assert_eq!(found[3].directory("/sub").as_deref(), Some("/mnt/pids"));
    for out_of_sight in ["/other", "/subway", "/sub/../x"] {
        assert_eq!(found[3].directory(out_of_sight), None);
    }
    let whole = Mounted { hierarchy: String::new(), root: "/".to_owned(), at: "/cg".to_owned() };
    assert_eq!((whole.directory("/../x"), whole.directory("/").as_deref()), (None, Some("/cg/")));
}
