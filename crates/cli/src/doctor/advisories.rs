//! Known holes in what DS01 stands on: one table, each row with its source. Data and the one question put to it.
//!
//! Left out is what only Kubernetes' interface or Swarm reaches, and what cannot be reached on Linux. A row is added when
//! an advisory is published, with the versions as the advisory has them; it must never be removed for being old.

use super::version::Version;

/// A program with holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Engine,
    Containerd,
    Runc,
    NvidiaToolkit,
}

/// One advisory, or several with the same fix.
#[derive(Debug)]
pub(crate) struct Advisory {
    pub(crate) part: Part,
    pub(crate) names: &'static [&'static str],
    /// Ranges of versions: from this one on, up to the one in which it is mended.
    affected: &'static [(&'static str, &'static str)],
    /// Whether a user of DS01 gets out of his container, or at what is not his.
    pub(crate) is_grave: bool,
    /// Only where the Engine has authorization plugins.
    pub(crate) wants_plugins: bool,
    pub(crate) what: &'static str,
    pub(crate) source: &'static str,
}

/// Everything known.
pub(crate) const ADVISORIES: &[Advisory] = &[
    Advisory {
        part: Part::Engine,
        names: &["CVE-2021-41091"],
        affected: &[("0", "20.10.9")],
        is_grave: true,
        wants_plugins: false,
        what: "users of the machine get into the Engine's data directory",
        source: "https://github.com/moby/moby/security/advisories/GHSA-3fwx-pjgw-3558",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2022-36109"],
        affected: &[("0", "20.10.18")],
        is_grave: false,
        wants_plugins: false,
        what: "a container's group restrictions can be passed by",
        source: "https://github.com/moby/moby/security/advisories/GHSA-rc4r-wh2q-q6c4",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2024-23651", "CVE-2024-23652", "CVE-2024-23653"],
        affected: &[("18.9", "24.0.9"), ("25.0.0", "25.0.2")],
        // The door lets nobody but administrators at BuildKit.
        is_grave: false,
        wants_plugins: false,
        what: "a build with BuildKit reads, deletes and runs what it should not",
        source: "https://docs.docker.com/security/security-announcements/",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2024-24557"],
        affected: &[("0", "24.0.9"), ("25.0.0", "25.0.2")],
        is_grave: false,
        wants_plugins: false,
        what: "the classic builder can be made to take another's image for its cache",
        source: "https://github.com/moby/moby/security/advisories/GHSA-xw73-rw38-6vjc",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2024-29018"],
        affected: &[("0", "23.0.11"), ("24.0.0", "25.0.5"), ("26.0.0-rc1", "26.0.0-rc3")],
        is_grave: false,
        wants_plugins: false,
        what: "containers on internal networks reach name servers outside",
        source: "https://github.com/moby/moby/security/advisories/GHSA-mq39-4gv4-mvpx",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2024-41110"],
        affected: &[("0", "23.0.15"), ("24.0.0", "25.0.6"), ("26.0.0", "26.1.5"), ("27.0.0", "27.1.1")],
        is_grave: true,
        wants_plugins: true,
        what: "a request without a body passes by the authorization plugins",
        source: "https://github.com/moby/moby/security/advisories/GHSA-v23v-6jw2-98fq",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2025-54388"],
        affected: &[("28.2.0", "28.3.3")],
        is_grave: false,
        wants_plugins: false,
        what: "after a reload of firewalld, ports on 127.0.0.1 are reached from the network",
        source: "https://github.com/moby/moby/security/advisories/GHSA-x4rx-4gw3-53p4",
    },
    Advisory {
        part: Part::Engine,
        names: &["CVE-2026-34040"],
        affected: &[("0", "29.3.1")],
        is_grave: true,
        wants_plugins: true,
        what: "a request of more than 1 MiB passes by the authorization plugins",
        source: "https://nvd.nist.gov/vuln/detail/CVE-2026-34040",
    },
    Advisory {
        part: Part::Containerd,
        names: &["CVE-2020-15257"],
        affected: &[("0", "1.3.9"), ("1.4.0", "1.4.3")],
        is_grave: true,
        wants_plugins: false,
        what: "a container in the host's network gets out",
        source: "https://github.com/containerd/containerd/security/advisories/GHSA-36xw-fx78-c5r4",
    },
    Advisory {
        part: Part::Containerd,
        names: &["CVE-2021-41103"],
        affected: &[("0", "1.4.11"), ("1.5.0", "1.5.7")],
        is_grave: true,
        wants_plugins: false,
        what: "users of the machine get at the files of containers",
        source: "https://github.com/containerd/containerd/security/advisories/GHSA-c2h3-6mxw-7mvq",
    },
    Advisory {
        part: Part::Containerd,
        names: &["CVE-2024-25621"],
        affected: &[("0", "1.7.29"), ("2.0.0", "2.0.7"), ("2.1.0", "2.1.5")],
        is_grave: true,
        wants_plugins: false,
        what: "users of the machine get into containerd's directories",
        source: "https://github.com/containerd/containerd/security/advisories/GHSA-pwhc-rpq9-4c8w",
    },
    Advisory {
        part: Part::Runc,
        names: &["CVE-2019-5736"],
        affected: &[("0", "1.0.0-rc7")],
        is_grave: true,
        wants_plugins: false,
        what: "a container overwrites runc and becomes root",
        source: "https://nvd.nist.gov/vuln/detail/CVE-2019-5736",
    },
    Advisory {
        part: Part::Runc,
        names: &["CVE-2021-30465"],
        affected: &[("0", "1.0.0-rc95")],
        is_grave: true,
        wants_plugins: false,
        what: "a mount is led out of the container by a symbolic link",
        source: "https://github.com/opencontainers/runc/security/advisories/GHSA-c3xm-pvg7-gh7r",
    },
    Advisory {
        part: Part::Runc,
        names: &["CVE-2023-27561", "CVE-2023-28642"],
        affected: &[("0", "1.1.5")],
        is_grave: false,
        wants_plugins: false,
        what: "an image's /proc can be a link that takes protection away",
        source: "https://github.com/opencontainers/runc/security/advisories/GHSA-g2j6-57v7-gm8c",
    },
    Advisory {
        part: Part::Runc,
        names: &["CVE-2024-21626"],
        affected: &[("1.0.0-rc93", "1.1.12")],
        is_grave: true,
        wants_plugins: false,
        what: "a container whose working directory is a leaked descriptor gets out",
        source: "https://github.com/opencontainers/runc/security/advisories/GHSA-xr7r-f8xq-vfvv",
    },
    Advisory {
        part: Part::Runc,
        names: &["CVE-2024-45310"],
        affected: &[("0", "1.1.14"), ("1.2.0-rc1", "1.2.0-rc3")],
        is_grave: false,
        wants_plugins: false,
        what: "empty files and directories can be made on the host",
        source: "https://github.com/opencontainers/runc/security/advisories/GHSA-jfvp-7x6p-h2pv",
    },
    Advisory {
        part: Part::Runc,
        names: &["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"],
        affected: &[("0", "1.2.8"), ("1.3.0-rc1", "1.3.3"), ("1.4.0-rc1", "1.4.0-rc3")],
        is_grave: true,
        wants_plugins: false,
        what: "a container gets out by racing the mounts that mask /proc",
        source: "https://github.com/opencontainers/runc/security/advisories/GHSA-9493-h29p-rfm2",
    },
    Advisory {
        part: Part::NvidiaToolkit,
        names: &["CVE-2024-0132", "CVE-2024-0133"],
        affected: &[("0", "1.16.2")],
        is_grave: true,
        wants_plugins: false,
        what: "an image gets the host's file system mounted",
        source: "https://nvidia.custhelp.com/app/answers/detail/a_id/5582",
    },
    Advisory {
        part: Part::NvidiaToolkit,
        names: &["CVE-2025-23359"],
        affected: &[("0", "1.17.4")],
        is_grave: true,
        wants_plugins: false,
        what: "an image gets the host's file system mounted, past the first fix",
        source: "https://nvidia.custhelp.com/app/answers/detail/a_id/5616",
    },
    Advisory {
        part: Part::NvidiaToolkit,
        names: &["CVE-2025-23266", "CVE-2025-23267"],
        affected: &[("0", "1.17.8")],
        is_grave: true,
        wants_plugins: false,
        what: "an image runs its own code as root on the host",
        source: "https://nvidia.custhelp.com/app/answers/detail/a_id/5659",
    },
    Advisory {
        part: Part::NvidiaToolkit,
        names: &["CVE-2026-24260"],
        affected: &[("0", "1.19.1")],
        is_grave: true,
        wants_plugins: false,
        what: "an image wins a race while its container is set up, and runs code on the host",
        source: "https://nvidia.custhelp.com/app/answers/detail/a_id/5850",
    },
];

impl Advisory {
    /// The version in which it is mended, for one that has it.
    pub(crate) fn mended_in(&self, version: Version) -> Option<&'static str> {
        let read = |text| Version::read(text).expect("the table's versions can be read");
        self.affected.iter().find(|(from, to)| read(from) <= version && version < read(to)).map(|(_, to)| *to)
    }
}

/// What is known of a version.
pub(crate) fn of(part: Part, version: Version) -> impl Iterator<Item = (&'static Advisory, &'static str)> {
    ADVISORIES
        .iter()
        .filter(move |advisory| advisory.part == part)
        .filter_map(move |advisory| Some((advisory, advisory.mended_in(version)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_read_and_says_where_it_is_from() {
        for row in ADVISORIES {
            assert!(row.source.starts_with("https://"), "{:?}", row.names);
            assert!(row.names.iter().all(|name| name.starts_with("CVE-")), "{:?}", row.names);
            assert!(!row.affected.is_empty() && !row.what.ends_with('.'), "{:?}", row.names);
            for (from, to) in row.affected {
                let (from, to) = (Version::read(from).unwrap(), Version::read(to).unwrap());
                assert!(from < to, "{:?}", row.names);
                assert_eq!(row.mended_in(to), None, "{:?}: mended in {to}", row.names);
                assert!(row.mended_in(from).is_some(), "{:?}: not in {from}", row.names);
            }
        }
    }

    #[test]
    fn what_is_known_of_versions_in_use() {
        let known = |part, version: &str| {
            let version = Version::read(version).unwrap();
            of(part, version).flat_map(|(row, _)| row.names).copied().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            known(Part::Runc, "1.1.11"),
            "CVE-2024-21626 CVE-2024-45310 CVE-2025-31133 CVE-2025-52565 CVE-2025-52881"
        );
        assert_eq!(known(Part::Runc, "1.2.7"), "CVE-2025-31133 CVE-2025-52565 CVE-2025-52881");
        assert_eq!(known(Part::Runc, "1.3.2"), known(Part::Runc, "1.2.7"));
        assert_eq!(known(Part::Runc, "1.4.0-rc.2"), known(Part::Runc, "1.2.7"));
        for good in ["1.2.8", "1.3.3", "1.4.0-rc.3", "1.4.0"] {
            assert_eq!(known(Part::Runc, good), "", "{good}");
        }
        assert_eq!(known(Part::Engine, "27.1.0"), "CVE-2024-41110 CVE-2026-34040");
        assert_eq!(known(Part::Engine, "28.3.2"), "CVE-2025-54388 CVE-2026-34040");
        assert_eq!(known(Part::Engine, "29.3.1"), "");
        assert_eq!(known(Part::Containerd, "1.7.28"), "CVE-2024-25621");
        assert_eq!(known(Part::Containerd, "2.1.5"), "");
        assert_eq!(known(Part::NvidiaToolkit, "1.17.7"), "CVE-2025-23266 CVE-2025-23267 CVE-2026-24260");
        assert_eq!(known(Part::NvidiaToolkit, "1.19.1"), "");
    }
}
