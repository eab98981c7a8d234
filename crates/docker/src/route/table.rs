//! The closed route table: every operation of the Engine API, 1.40 to 1.55, and those that no description mentions.
//!
//! What is not a row here does not exist for the door. Order matters only where a greedy `{image}` could swallow a
//! literal word: literal rows come first.

use super::{BodyRule, BodyRule::*, Class, Class::*, Method, Method::*, Op, Row, Tunnel, Tunnel::*};
use crate::BUILDKIT;

const SWARM: &str = "Swarm (services, nodes, secrets, configs, tasks) is switched off on this machine: it has no idea \
                     of who owns what. Use `docker run` or compose instead.";
const PLUGINS: &str = "Engine plugins run as root on this machine and cannot be installed through this socket. Ask an \
                       administrator.";
const CHECKPOINT: &str = "Checkpoints read and write files of this machine as root and are refused. Save your work to \
                          the workspace and start the container again instead.";
const LEGACY_COPY: &str =
    "This form of copying was withdrawn by Docker. Use `docker cp` of any current client.";
const DEBUG: &str = "The Engine's debugging pages show everybody's data. Ask an administrator.";
const CLUSTER_VOLUME: &str = "Cluster volumes need Swarm, which is switched off on this machine. Use a plain volume: \
                              `docker volume create NAME`.";

/// Since the oldest version served.
const OLDEST: u16 = 40;

/// Every row, in the order in which they are tried.
pub static ROWS: &[Row] = &[
    // System
    row(Get, "/_ping", Op::Ping, Pass, None, Never),
    row(Head, "/_ping", Op::PingHead, Pass, None, Never),
    row(Get, "/version", Op::Version, Rewritten, None, Never),
    row(Get, "/info", Op::Info, Rewritten, None, Never),
    row(Get, "/events", Op::Events, Filtered, None, Never),
    row(Get, "/system/df", Op::SystemDf, Filtered, None, Never),
    row(Post, "/auth", Op::Auth, Rewritten, Json, Never),
    row(Options, "/{any}", Op::Options, Pass, None, Never),
    // Containers
    row(Get, "/containers/json", Op::ContainerList, Filtered, None, Never),
    row(Post, "/containers/create", Op::ContainerCreate, Rewritten, Json, Never),
    row(Post, "/containers/prune", Op::ContainerPrune, Filtered, None, Never),
    row(Get, "/containers/{container}/json", Op::ContainerInspect, Own, None, Never),
    row(Get, "/containers/{container}/top", Op::ContainerTop, Own, None, Never),
    row(Get, "/containers/{container}/logs", Op::ContainerLogs, Own, None, Never),
    row(Get, "/containers/{container}/changes", Op::ContainerChanges, Own, None, Never),
    row(Get, "/containers/{container}/export", Op::ContainerExport, Own, None, Never),
    row(Get, "/containers/{container}/stats", Op::ContainerStats, Own, None, Never),
    row(Post, "/containers/{container}/resize", Op::ContainerResize, Own, None, Never),
    row(Post, "/containers/{container}/start", Op::ContainerStart, Rewritten, None, Never),
    row(Post, "/containers/{container}/stop", Op::ContainerStop, Own, None, Never),
    row(Post, "/containers/{container}/restart", Op::ContainerRestart, Rewritten, None, Never),
    row(Post, "/containers/{container}/kill", Op::ContainerKill, Own, None, Never),
    row(Post, "/containers/{container}/update", Op::ContainerUpdate, Rewritten, Json, Never),
    row(Post, "/containers/{container}/rename", Op::ContainerRename, Rewritten, None, Never),
    row(Post, "/containers/{container}/pause", Op::ContainerPause, Own, None, Never),
    row(Post, "/containers/{container}/unpause", Op::ContainerUnpause, Rewritten, None, Never),
    row(Post, "/containers/{container}/attach", Op::ContainerAttach, Own, None, Raw),
    row(Get, "/containers/{container}/attach/ws", Op::ContainerAttachWs, Own, None, WebSocket),
    row(Post, "/containers/{container}/wait", Op::ContainerWait, Own, None, Never),
    row(Delete, "/containers/{container}", Op::ContainerDelete, Own, None, Never),
    row(Get, "/containers/{container}/archive", Op::ArchiveGet, Own, None, Never),
    row(Head, "/containers/{container}/archive", Op::ArchiveHead, Own, None, Never),
    row(Put, "/containers/{container}/archive", Op::ArchivePut, Rewritten, Stream, Never),
    row(Post, "/containers/{container}/exec", Op::ExecCreate, Rewritten, Json, Never),
    row(Post, "/containers/{container}/copy", Op::ContainerCopy, Refused(LEGACY_COPY), None, Never),
    row(Get, "/containers/{container}/checkpoints", Op::CheckpointList, Refused(CHECKPOINT), None, Never),
    row(Post, "/containers/{container}/checkpoints", Op::CheckpointCreate, Refused(CHECKPOINT), None, Never),
    row(
        Delete,
        "/containers/{container}/checkpoints/{other}",
        Op::CheckpointDelete,
        Refused(CHECKPOINT),
        None,
        Never,
    ),
    // Execs
    row(Get, "/exec/{exec}/json", Op::ExecInspect, Own, None, Never),
    row(Post, "/exec/{exec}/start", Op::ExecStart, Own, Json, Raw),
    row(Post, "/exec/{exec}/resize", Op::ExecResize, Own, None, Never),
    // Images
    row(Get, "/images/json", Op::ImageList, Filtered, None, Never),
    row(Get, "/images/search", Op::ImageSearch, Pass, None, Never),
    row(Get, "/images/get", Op::ImagesExport, Filtered, None, Never),
    row(Post, "/images/create", Op::ImageCreate, Rewritten, Stream, Never),
    row(Post, "/images/load", Op::ImageLoad, Rewritten, Stream, Never),
    row(Post, "/images/prune", Op::ImagePrune, Filtered, None, Never),
    row(Get, "/images/{image}/json", Op::ImageInspect, Filtered, None, Never),
    row(Get, "/images/{image}/history", Op::ImageHistory, Filtered, None, Never),
    row(Get, "/images/{image}/get", Op::ImageExport, Filtered, None, Never),
    row(Get, "/images/{image}/attestations", Op::ImageAttestations, Filtered, None, Never).since(55),
    row(Post, "/images/{image}/push", Op::ImagePush, Own, None, Never),
    row(Post, "/images/{image}/tag", Op::ImageTag, Rewritten, None, Never),
    row(Delete, "/images/{image}", Op::ImageDelete, Own, None, Never),
    row(Get, "/distribution/{image}/json", Op::Distribution, Rewritten, None, Never),
    row(Post, "/commit", Op::Commit, Rewritten, Json, Never),
    // Builds
    row(Post, "/build", Op::Build, Rewritten, Stream, Never),
    row(Post, "/build/prune", Op::BuildPrune, Filtered, None, Never),
    row(Post, "/build/cancel", Op::BuildCancel, Own, None, Never),
    row(Post, "/session", Op::Session, Refused(BUILDKIT), Stream, Http2),
    row(Post, "/grpc", Op::Grpc, Refused(BUILDKIT), Stream, Http2),
    // Networks
    row(Get, "/networks", Op::NetworkList, Filtered, None, Never),
    row(Post, "/networks/create", Op::NetworkCreate, Rewritten, Json, Never),
    row(Post, "/networks/prune", Op::NetworkPrune, Filtered, None, Never),
    row(Get, "/networks/{network}", Op::NetworkInspect, Filtered, None, Never),
    row(Delete, "/networks/{network}", Op::NetworkDelete, Own, None, Never),
    row(Post, "/networks/{network}/connect", Op::NetworkConnect, Own, Json, Never),
    row(Post, "/networks/{network}/disconnect", Op::NetworkDisconnect, Own, Json, Never),
    // Volumes
    row(Get, "/volumes", Op::VolumeList, Filtered, None, Never),
    row(Post, "/volumes/create", Op::VolumeCreate, Rewritten, Json, Never),
    row(Post, "/volumes/prune", Op::VolumePrune, Filtered, None, Never),
    row(Get, "/volumes/{volume}", Op::VolumeInspect, Own, None, Never),
    row(Put, "/volumes/{volume}", Op::VolumeUpdate, Refused(CLUSTER_VOLUME), Json, Never).since(42),
    row(Delete, "/volumes/{volume}", Op::VolumeDelete, Own, None, Never),
    // Plugins
    row(Get, "/plugins", Op::PluginList, Admin, None, Never),
    row(Get, "/plugins/privileges", Op::PluginPrivileges, Admin, None, Never),
    row(Get, "/plugins/{image}/json", Op::PluginInspect, Admin, None, Never),
    row(Post, "/plugins/create", Op::PluginCreate, Refused(PLUGINS), Stream, Never),
    row(Post, "/plugins/pull", Op::PluginPull, Refused(PLUGINS), Json, Never),
    row(Post, "/plugins/{image}/enable", Op::PluginEnable, Refused(PLUGINS), None, Never),
    row(Post, "/plugins/{image}/disable", Op::PluginDisable, Refused(PLUGINS), None, Never),
    row(Post, "/plugins/{image}/push", Op::PluginPush, Refused(PLUGINS), None, Never),
    row(Post, "/plugins/{image}/set", Op::PluginSet, Refused(PLUGINS), Json, Never),
    row(Post, "/plugins/{image}/upgrade", Op::PluginUpgrade, Refused(PLUGINS), Json, Never),
    row(Delete, "/plugins/{image}", Op::PluginDelete, Refused(PLUGINS), None, Never),
    // Swarm
    row(Get, "/swarm", Op::SwarmInspect, Refused(SWARM), None, Never),
    row(Get, "/swarm/unlockkey", Op::SwarmUnlockKey, Refused(SWARM), None, Never),
    row(Post, "/swarm/init", Op::SwarmInit, Refused(SWARM), Json, Never),
    row(Post, "/swarm/join", Op::SwarmJoin, Refused(SWARM), Json, Never),
    row(Post, "/swarm/leave", Op::SwarmLeave, Refused(SWARM), None, Never),
    row(Post, "/swarm/unlock", Op::SwarmUnlock, Refused(SWARM), Json, Never),
    row(Post, "/swarm/update", Op::SwarmUpdate, Refused(SWARM), Json, Never),
    row(Get, "/nodes", Op::NodeList, Refused(SWARM), None, Never),
    row(Get, "/nodes/{other}", Op::NodeInspect, Refused(SWARM), None, Never),
    row(Post, "/nodes/{other}/update", Op::NodeUpdate, Refused(SWARM), Json, Never),
    row(Delete, "/nodes/{other}", Op::NodeDelete, Refused(SWARM), None, Never),
    row(Get, "/services", Op::ServiceList, Refused(SWARM), None, Never),
    row(Post, "/services/create", Op::ServiceCreate, Refused(SWARM), Json, Never),
    row(Get, "/services/{other}", Op::ServiceInspect, Refused(SWARM), None, Never),
    row(Get, "/services/{other}/logs", Op::ServiceLogs, Refused(SWARM), None, Never),
    row(Post, "/services/{other}/update", Op::ServiceUpdate, Refused(SWARM), Json, Never),
    row(Delete, "/services/{other}", Op::ServiceDelete, Refused(SWARM), None, Never),
    row(Get, "/tasks", Op::TaskList, Refused(SWARM), None, Never),
    row(Get, "/tasks/{other}", Op::TaskInspect, Refused(SWARM), None, Never),
    row(Get, "/tasks/{other}/logs", Op::TaskLogs, Refused(SWARM), None, Never),
    row(Get, "/secrets", Op::SecretList, Refused(SWARM), None, Never),
    row(Post, "/secrets/create", Op::SecretCreate, Refused(SWARM), Json, Never),
    row(Get, "/secrets/{other}", Op::SecretInspect, Refused(SWARM), None, Never),
    row(Post, "/secrets/{other}/update", Op::SecretUpdate, Refused(SWARM), Json, Never),
    row(Delete, "/secrets/{other}", Op::SecretDelete, Refused(SWARM), None, Never),
    row(Get, "/configs", Op::ConfigList, Refused(SWARM), None, Never),
    row(Post, "/configs/create", Op::ConfigCreate, Refused(SWARM), Json, Never),
    row(Get, "/configs/{other}", Op::ConfigInspect, Refused(SWARM), None, Never),
    row(Post, "/configs/{other}/update", Op::ConfigUpdate, Refused(SWARM), Json, Never),
    row(Delete, "/configs/{other}", Op::ConfigDelete, Refused(SWARM), None, Never),
    // Debugging
    row(Get, "/debug/{any}", Op::Debug, Refused(DEBUG), None, Never),
    row(Post, "/debug/{any}", Op::DebugPost, Refused(DEBUG), None, Never),
];

const fn row(
    method: Method,
    pattern: &'static str,
    op: Op,
    class: Class,
    body: BodyRule,
    tunnel: Tunnel,
) -> Row {
    Row { method, pattern, op, class, since: OLDEST, body, tunnel }
}

impl Row {
    const fn since(self, minor: u16) -> Row {
        Row { since: minor, ..self }
    }
}
