//! Answers for: the rows of `HostConfig`, the part of a create body that touches the host.
//!
//! Must never: have a field of the Engine without a row.

use super::super::desk::Desk;
use super::super::fields::{boolean, integer, text};
use super::super::limits;
use super::super::refusal::Refusal;
use super::super::rules::Restart;
use super::super::shape::Shape::{self, Bool, Integer, List, Struct, Text, Texts};
use super::super::shape::{Part, part};
use super::super::table::Rule::{Allow, Check, Clamp, Drop, Never, Pass, Refuse, Set};
use super::super::table::{Table, judge_object, row};
use super::{devices, log, mounts, ports, security, spaces};
use crate::json::{Json, Object};

type Judged = Result<Option<Json>, Refusal>;

pub(crate) const PRIVILEGED: &str = "would make it root on the host; leave it out, or ask the admin";
const CAPABILITIES: &str = "was taken out of Docker; use CapAdd";
const CGROUP: &str = "joins another container's control group and is not available here; leave it out";
const DEVICE_RULES: &str = "opens raw devices and is not available here; for GPUs use --gpus";
const RAW_DISK: &str = "names a device of the host and is not available here; leave it out";
const REAL_TIME: &str = "takes real-time CPU from everybody and is not available here; leave it out";

const WEIGHT_DEVICE: Shape = List(&Struct(WEIGHT));
const THROTTLE_DEVICE: Shape = List(&Struct(THROTTLE));
pub(crate) const WEIGHT: &[Part] = &[part("Path", Text), part("Weight", Integer)];
pub(crate) const THROTTLE: &[Part] = &[part("Path", Text), part("Rate", Integer)];

/// `HostConfig` with `Resources`. Rows that depend on another row come after it.
pub(crate) const HOST: Table = &[
    // What the container may be.
    row("Privileged", 40, Refuse(Bool, PRIVILEGED), "root on the host"),
    row("CapAdd", 40, Allow(security::cap_add), "most capabilities are root on the host"),
    row("CapDrop", 40, Set(security::cap_drop), "MKNOD on a bind makes device nodes, NET_RAW forges packets"),
    row("Capabilities", 40, Never(CAPABILITIES), "1.40 only; replaces the whole set"),
    row("SecurityOpt", 40, Allow(security::security_opt), "only tightening"),
    row("MaskedPaths", 40, Check(security::masked_paths), "an empty list opens /proc/sys"),
    row("ReadonlyPaths", 40, Check(security::readonly_paths), "as MaskedPaths"),
    row("ReadonlyRootfs", 40, Pass(Bool), "tightening"),
    row("GroupAdd", 40, Allow(security::group_add), "host groups reach binds"),
    row("Sysctls", 40, Allow(security::sysctls), "some reach beyond the container's network"),
    row("Annotations", 43, Check(devices::annotations), "runc and the NVIDIA runtime obey them"),
    // Whom it shares a name space with.
    row("NetworkMode", 40, Check(spaces::network_mode), "the host's or another container's network"),
    row("PidMode", 40, Check(spaces::pid_mode), "the host's or another container's processes"),
    row("IpcMode", 40, Check(spaces::ipc_mode), "the host's or another container's shared memory"),
    row("UTSMode", 40, Check(spaces::uts_mode), "the host's name"),
    row("UsernsMode", 40, Check(spaces::userns_mode), "turns user mapping off"),
    row("CgroupnsMode", 41, Check(spaces::cgroupns_mode), "shows the host's control groups"),
    row("Cgroup", 40, Refuse(Text, CGROUP), "escapes the limits"),
    row("CgroupParent", 40, Set(cgroup_parent), "every container lies under its owner's total"),
    row("Links", 40, Check(spaces::links), "shows another container's environment"),
    // What it sees of the host.
    row("VolumeDriver", 40, Check(mounts::volume_driver), "plugins mount anything"),
    row("Binds", 40, Check(mounts::binds), "staged by the daemon"),
    row("Mounts", 40, Check(mounts::mounts), "staged by the daemon"),
    row("VolumesFrom", 40, Check(mounts::volumes_from), "another container's mounts"),
    row("Tmpfs", 40, Clamp(mounts::tmpfs), "memory, and set-uid files"),
    row("Devices", 40, Check(devices::devices), "raw devices; GPUs are bound at start"),
    row("DeviceCgroupRules", 40, Refuse(Texts, DEVICE_RULES), "raw devices"),
    row("DeviceRequests", 40, Set(devices::taken_out), "GPUs are bound at start"),
    row("Runtime", 40, Set(devices::runtime), "chosen by whether GPUs are asked for"),
    // What it may use up. Period before quota before NanoCpus, memory before swap.
    row("Memory", 40, Clamp(limits::memory), "limit"),
    row("MemorySwap", 40, Clamp(limits::memory_swap), "limit"),
    row("MemoryReservation", 40, Clamp(limits::memory_reservation), "below the limit"),
    row("MemorySwappiness", 40, Check(swappiness), "-1 means: not said"),
    row("KernelMemory", 40, Pass(Integer), "tightening; gone after 1.41"),
    row("KernelMemoryTCP", 40, Pass(Integer), "tightening"),
    row("OomScoreAdj", 40, Clamp(limits::oom_score_adj), "below 0 the host dies first"),
    row("OomKillDisable", 40, Check(limits::oom_kill_disable), "hangs at the limit"),
    row("CpuShares", 40, Pass(Integer), "a share within the owner's total"),
    row("CpuPeriod", 40, Check(limits::cpu_period), "with CpuQuota"),
    row("CpuQuota", 40, Clamp(limits::cpu_quota), "limit"),
    row("NanoCpus", 40, Clamp(limits::nano_cpus), "limit"),
    row("CpuRealtimePeriod", 40, Refuse(Integer, REAL_TIME), "starves the host"),
    row("CpuRealtimeRuntime", 40, Refuse(Integer, REAL_TIME), "starves the host"),
    row("CpusetCpus", 40, Pass(Text), "tightening"),
    row("CpusetMems", 40, Pass(Text), "tightening"),
    row("PidsLimit", 40, Clamp(limits::pids), "limit"),
    row("ShmSize", 40, Clamp(limits::shm_size), "limit"),
    row("Ulimits", 40, Clamp(limits::ulimits), "open files and priorities"),
    row("BlkioWeight", 40, Pass(Integer), "a share within the owner's total"),
    row("BlkioWeightDevice", 40, Refuse(WEIGHT_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceReadBps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceWriteBps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceReadIOps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceWriteIOps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("StorageOpt", 40, Check(storage_opt), "disk"),
    row("LogConfig", 40, Allow(log::log_config), "drivers connect and read files as root"),
    // How it is reached, and how it ends.
    row("PortBindings", 40, Check(ports::port_bindings), "low ports and foreign addresses"),
    row("PublishAllPorts", 40, Pass(Bool), "the Engine chooses high ports"),
    row("Dns", 40, Pass(Texts), "inside the container"),
    row("DnsOptions", 40, Pass(Texts), "inside the container"),
    row("DnsSearch", 40, Pass(Texts), "inside the container"),
    row("ExtraHosts", 40, Pass(Texts), "inside the container"),
    row("RestartPolicy", 40, Check(restart_policy), "ds01d restarts GPU containers itself, through the line"),
    row("AutoRemove", 40, Check(auto_remove), "the daemon must know it"),
    row("Init", 40, Pass(Bool), "inside the container"),
    row("ConsoleSize", 40, Pass(List(&Integer)), "the client's terminal"),
    // What the Engine does not use on Linux.
    row("ContainerIDFile", 40, Drop, "the client's own business"),
    row("Isolation", 40, Check(isolation), "Windows only"),
    row("CpuCount", 40, Drop, "Windows only"),
    row("CpuPercent", 40, Drop, "Windows only"),
    row("IOMaximumIOps", 40, Drop, "Windows only"),
    row("IOMaximumBandwidth", 40, Drop, "Windows only"),
];

pub(crate) fn host_config(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    Ok(Some(Json::Object(judge_object(HOST, desk, path, value.unwrap_or(&Json::Null))?)))
}

fn cgroup_parent(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    text(path, value)?;
    Ok((!desk.rules.cgroup_parent.is_empty()).then(|| Json::text(&desk.rules.cgroup_parent)))
}

fn swappiness(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    Ok(integer(path, value)?.filter(|asked| *asked != -1).map(Json::int))
}

/// Only a size can be said, and only some file systems can keep to it: it is dropped with a word.
fn storage_opt(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = super::super::fields::text_map(path, value)?;
    if given.is_empty() {
        return Ok(None);
    }
    if desk.rules.admin {
        return Ok(Some(super::super::fields::map_json(&given)));
    }
    if let Some((key, _)) = given.iter().find(|(key, _)| key != "size") {
        return Err(Refusal::bad(format!(
            "\"{path}\" has the option {key:?}, which is not available here; leave it out"
        )));
    }
    desk.warn("StorageOpt size was dropped: a container's disk space has no limit here; it is shared with everybody.");
    Ok(None)
}

pub(crate) const RESTART: Table = &[
    row("Name", 40, Pass(Text), "no, always, unless-stopped, on-failure"),
    row("MaximumRetryCount", 40, Pass(Integer), "for on-failure"),
];

/// The policy as the Engine spells it, and as the daemon understands it.
pub(crate) fn read_restart(
    desk: &mut Desk<'_>,
    path: &str,
    value: &Json,
) -> Result<(Restart, Object), Refusal> {
    let judged = judge_object(RESTART, desk, path, value)?;
    let count = judged.get("MaximumRetryCount").and_then(Json::as_i64).unwrap_or_default();
    let restart = match judged.get("Name").and_then(Json::as_str).unwrap_or_default() {
        "" | "no" => Restart::No,
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure {
            max: u32::try_from(count).map_err(|_| Refusal::bad("maximum retry count cannot be negative"))?,
        },
        other => return Err(Refusal::bad(format!("invalid restart policy '{other}'"))),
    };
    if count != 0 && !matches!(restart, Restart::OnFailure { .. }) {
        return Err(Refusal::bad("maximum retry count can only be used with restart policy 'on-failure'"));
    }
    Ok((restart, judged))
}

fn restart_policy(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let Some(value) = value.filter(|value| **value != Json::Null) else { return Ok(None) };
    let (restart, judged) = read_restart(desk, path, value)?;
    desk.found.restart = restart;
    Ok(Some(Json::Object(judged)))
}

fn auto_remove(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    desk.found.auto_remove = boolean(path, value)?;
    // Comes after the restart policy. The Engine would say so, but of a GPU container it is not told the policy.
    if desk.found.auto_remove && desk.found.restart != Restart::No {
        return Err(Refusal::bad("can't create 'AutoRemove' container with restart policy"));
    }
    Ok(value.map(|_| Json::Bool(desk.found.auto_remove)))
}

/// `default` is a word everywhere, and inspect shows it again.
fn isolation(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    Ok((given == "default").then(|| Json::text(given)))
}
