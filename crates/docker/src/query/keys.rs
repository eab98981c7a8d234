//! The query keys of every operation: those of the API's descriptions, and those that clients really send besides.
//!
//! A key that is not here is refused unless its value is empty.

use crate::route::Op;

/// How a key is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Text,
    /// Repeatable, every value counts.
    Many,
    Filters,
    /// Sent by some client, without a meaning for any Engine served: read and not passed on.
    Ignored,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

const fn flag(name: &'static str) -> Key {
    Key { name, kind: Kind::Bool }
}
const fn int(name: &'static str) -> Key {
    Key { name, kind: Kind::Int }
}
const fn text(name: &'static str) -> Key {
    Key { name, kind: Kind::Text }
}
const fn many(name: &'static str) -> Key {
    Key { name, kind: Kind::Many }
}
const fn ignored(name: &'static str) -> Key {
    Key { name, kind: Kind::Ignored }
}
const FILTERS: Key = Key { name: "filters", kind: Kind::Filters };

/// The keys of an operation.
pub(super) fn of(op: Op) -> &'static [Key] {
    match op {
        Op::Events => const { &[text("since"), text("until"), FILTERS] },
        Op::SystemDf => const { &[many("type"), flag("verbose")] },
        Op::ContainerList => {
            const {
                &[
                    flag("all"),
                    int("limit"),
                    flag("size"),
                    FILTERS,
                    // docker-py
                    ignored("trunc_cmd"),
                    ignored("since"),
                    ignored("before"),
                ]
            }
        }
        Op::ContainerCreate => const { &[text("name"), text("platform")] },
        Op::ContainerInspect => const { &[flag("size")] },
        Op::ContainerTop => const { &[text("ps_args")] },
        Op::ContainerLogs => LOGS,
        Op::ContainerStats => const { &[flag("stream"), flag("one-shot")] },
        Op::ContainerResize | Op::ExecResize => const { &[int("h"), int("w")] },
        Op::ContainerStart => const { &[text("detachKeys"), text("checkpoint"), text("checkpoint-dir")] },
        Op::ContainerStop | Op::ContainerRestart => const { &[int("t"), text("signal")] },
        Op::ContainerKill => const { &[text("signal")] },
        Op::ContainerRename => const { &[text("name")] },
        Op::ContainerAttach | Op::ContainerAttachWs => {
            const {
                &[
                    text("detachKeys"),
                    flag("logs"),
                    flag("stream"),
                    flag("stdin"),
                    flag("stdout"),
                    flag("stderr"),
                ]
            }
        }
        Op::ContainerWait => const { &[text("condition")] },
        Op::ContainerDelete => const { &[flag("v"), flag("force"), flag("link")] },
        Op::ArchiveGet | Op::ArchiveHead => const { &[text("path")] },
        Op::ArchivePut => const { &[text("path"), flag("noOverwriteDirNonDir"), flag("copyUIDGID")] },
        Op::Commit => {
            const {
                &[
                    text("container"),
                    text("repo"),
                    text("tag"),
                    text("comment"),
                    text("author"),
                    flag("pause"),
                    many("changes"),
                ]
            }
        }
        Op::Build | Op::BuildCancel | Op::BuildPrune => build(op),
        Op::ContainerPrune
        | Op::ImagePrune
        | Op::NetworkPrune
        | Op::VolumePrune
        | Op::NetworkList
        | Op::VolumeList
        | Op::PluginList
        | Op::NodeList
        | Op::TaskList
        | Op::SecretList
        | Op::ConfigList => const { &[FILTERS] },
        Op::NetworkInspect => const { &[flag("verbose"), text("scope")] },
        Op::VolumeDelete | Op::NodeDelete | Op::SwarmLeave => const { &[flag("force")] },
        _ => image_or_cluster(op),
    }
}

const LOGS: &[Key] = &[
    flag("details"),
    flag("follow"),
    flag("stdout"),
    flag("stderr"),
    text("since"),
    text("until"),
    flag("timestamps"),
    text("tail"),
];

fn image_or_cluster(op: Op) -> &'static [Key] {
    match op {
        Op::ImageList => {
            const {
                &[
                    flag("all"),
                    FILTERS,
                    flag("digests"),
                    flag("shared-size"),
                    flag("manifests"),
                    flag("identity"),
                    // docker-py
                    ignored("only_ids"),
                ]
            }
        }
        Op::ImageSearch => const { &[text("term"), int("limit"), FILTERS] },
        Op::ImagesExport => const { &[many("names"), many("platform")] },
        Op::ImageCreate => {
            const {
                &[
                    text("fromImage"),
                    text("fromSrc"),
                    text("repo"),
                    text("tag"),
                    text("message"),
                    many("changes"),
                    text("platform"),
                ]
            }
        }
        Op::ImageLoad => const { &[flag("quiet"), many("platform")] },
        Op::ImageInspect => const { &[flag("manifests"), text("platform")] },
        Op::ImageHistory => const { &[text("platform")] },
        Op::ImageExport => const { &[many("platform")] },
        Op::ImageAttestations => const { &[many("platform"), many("type"), flag("statement")] },
        Op::ImagePush => const { &[text("tag"), text("platform")] },
        Op::ImageTag => const { &[text("repo"), text("tag"), ignored("force")] },
        Op::ImageDelete => const { &[flag("force"), flag("noprune"), many("platforms")] },
        Op::PluginPrivileges | Op::PluginUpgrade => const { &[text("remote")] },
        Op::PluginCreate => const { &[text("name")] },
        Op::PluginPull => const { &[text("remote"), text("name")] },
        Op::PluginDisable | Op::PluginDelete => const { &[flag("force")] },
        Op::PluginEnable => const { &[int("timeout")] },
        Op::ServiceList => const { &[FILTERS, flag("status")] },
        Op::ServiceInspect => const { &[flag("insertDefaults")] },
        Op::ServiceLogs | Op::TaskLogs => LOGS,
        Op::ServiceUpdate => const { &[int("version"), text("registryAuthFrom"), text("rollback")] },
        Op::NodeUpdate | Op::SecretUpdate | Op::ConfigUpdate | Op::VolumeUpdate => {
            const { &[int("version")] }
        }
        Op::SwarmUpdate => {
            const {
                &[
                    int("version"),
                    flag("rotateWorkerToken"),
                    flag("rotateManagerToken"),
                    flag("rotateManagerUnlockKey"),
                ]
            }
        }
        _ => &[],
    }
}

fn build(op: Op) -> &'static [Key] {
    match op {
        Op::BuildCancel => const { &[text("id")] },
        Op::BuildPrune => {
            const {
                &[
                    int("keep-storage"),
                    flag("all"),
                    FILTERS,
                    int("reserved-space"),
                    int("max-used-space"),
                    int("min-free-space"),
                ]
            }
        }
        _ => {
            const {
                &[
                    text("dockerfile"),
                    many("t"),
                    many("extrahosts"),
                    text("remote"),
                    flag("q"),
                    flag("nocache"),
                    text("cachefrom"),
                    flag("pull"),
                    flag("rm"),
                    flag("forcerm"),
                    int("memory"),
                    int("memswap"),
                    int("cpushares"),
                    text("cpusetcpus"),
                    text("cpusetmems"),
                    int("cpuperiod"),
                    int("cpuquota"),
                    text("buildargs"),
                    int("shmsize"),
                    flag("squash"),
                    text("labels"),
                    text("networkmode"),
                    text("platform"),
                    text("target"),
                    text("outputs"),
                    text("version"),
                    // Not in the descriptions.
                    text("cgroupparent"),
                    many("securityopt"),
                    text("ulimits"),
                    text("session"),
                    text("buildid"),
                    ignored("isolation"),
                ]
            }
        }
    }
}

#[cfg(test)]
pub(super) fn names(op: Op) -> Vec<&'static str> {
    of(op).iter().map(|key| key.name).collect()
}
