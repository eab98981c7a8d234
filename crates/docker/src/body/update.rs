//! Answers for: the body of container update: limits within the limits, and the restart policy.
//!
//! Must never: change what a container sees of the host.

use super::create::{THROTTLE, WEIGHT, read_restart};
use super::desk::{Desk, Stage};
use super::limits;
use super::refusal::Refusal;
use super::rules::{Restart, Rules};
use super::shape::Shape::{self, Integer, List, Struct, Text};
use super::table::Rule::{Check, Clamp, Drop, Never, Pass, Refuse};
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object, parse};

type Judged = Result<Option<Json>, Refusal>;

const FIXED: &str = "is fixed when a container is created; make a new one";
const REAL_TIME: &str = "takes real-time CPU from everybody and is not available here; leave it out";
const RAW_DISK: &str = "names a device of the host and is not available here; leave it out";
const WEIGHT_DEVICE: Shape = List(&Struct(WEIGHT));
const THROTTLE_DEVICE: Shape = List(&Struct(THROTTLE));
/// The Engine's period where none is given, in microseconds.
const CPU_PERIOD_US_DEFAULT: i64 = 100_000;
const NANO_PER_ONE: i64 = 1_000_000_000;

/// `Resources` and `RestartPolicy`. Rows that depend on another row come after it.
pub(crate) const UPDATE: Table = &[
    row("Memory", 40, Clamp(limits::memory), "limit"),
    row("MemorySwap", 40, Clamp(limits::memory_swap), "limit"),
    row("MemoryReservation", 40, Clamp(limits::memory_reservation), "below the limit"),
    row("MemorySwappiness", 40, Drop, "the Engine does not change it"),
    row("KernelMemory", 40, Pass(Integer), "tightening; gone after 1.41"),
    row("KernelMemoryTCP", 40, Pass(Integer), "tightening"),
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
    row("BlkioWeight", 40, Pass(Integer), "a share within the owner's total"),
    row("BlkioWeightDevice", 40, Refuse(WEIGHT_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceReadBps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceWriteBps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceReadIOps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("BlkioDeviceWriteIOps", 40, Refuse(THROTTLE_DEVICE, RAW_DISK), "host devices"),
    row("CgroupParent", 40, Never(FIXED), "every container lies under its owner's total"),
    row("Devices", 40, Never(FIXED), "raw devices"),
    row("DeviceCgroupRules", 40, Never(FIXED), "raw devices"),
    row("DeviceRequests", 40, Never(FIXED), "GPUs are bound at start"),
    row("Ulimits", 40, Never(FIXED), "the Engine does not change them"),
    row("Init", 40, Drop, "the Engine does not change it"),
    row("CpuCount", 40, Drop, "Windows only"),
    row("CpuPercent", 40, Drop, "Windows only"),
    row("IOMaximumIOps", 40, Drop, "Windows only"),
    row("IOMaximumBandwidth", 40, Drop, "Windows only"),
    row("RestartPolicy", 40, Check(restart_policy), "ds01d restarts GPU containers itself, through the line"),
];

/// An update that was judged.
#[derive(Clone, Debug)]
pub struct JudgedUpdate {
    body: Object,
    restart: Option<Restart>,
    warnings: Vec<String>,
}

fn restart_policy(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let Some(value) = value.filter(|value| !value.is_neutral()) else { return Ok(None) };
    let (restart, judged) = read_restart(desk, path, value)?;
    if judged.get("Name").is_none_or(Json::is_neutral) {
        return Ok(None);
    }
    desk.found.restart = restart;
    Ok(Some(Json::Object(judged)))
}

/// Judges the body of `POST /containers/{id}/update`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_update(body: &[u8], rules: &Rules) -> Result<JudgedUpdate, Refusal> {
    let tree = parse(body)?;
    let mut desk = Desk::new(rules, Stage::Update);
    let mut judged = judge_object(UPDATE, &mut desk, "", &tree)?;
    // A quota is a share of a period: with the container's own period, which is not known here, the
    // same quota could be many times the limit.
    let period = judged.get("CpuPeriod").and_then(Json::as_i64).unwrap_or_default();
    if rules.limits.cpus_milli.is_some() && desk.amounts.cpu_quota != 0 && period == 0 {
        judged.set("CpuPeriod", Json::int(CPU_PERIOD_US_DEFAULT));
    }
    let restart = judged.get("RestartPolicy").is_some().then_some(desk.found.restart);
    Ok(JudgedUpdate { body: judged, restart, warnings: desk.warnings })
}

impl JudgedUpdate {
    /// The restart policy asked for, if one is.
    #[must_use]
    pub fn restart(&self) -> Option<Restart> {
        self.restart
    }

    /// Sentences for the `Warnings` of the reply.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether it limits CPU time by a quota.
    #[must_use]
    pub fn has_cpu_quota(&self) -> bool {
        self.number("CpuQuota") > 0
    }

    /// Says the quota in the other of the Engine's two ways, which cannot be mixed: for a container whose CPUs were
    /// limited at its create, where its user had not limited them.
    pub fn say_quota_as_cpus(&mut self) {
        let period = match self.number("CpuPeriod") {
            0 => CPU_PERIOD_US_DEFAULT,
            period => period,
        };
        let nano = self.number("CpuQuota").saturating_mul(NANO_PER_ONE) / period.max(1);
        self.body.remove("CpuQuota");
        self.body.remove("CpuPeriod");
        self.body.set("NanoCpus", Json::int(nano));
    }

    fn number(&self, field: &str) -> i64 {
        self.body.get(field).and_then(Json::as_i64).unwrap_or_default()
    }

    /// The body for the Engine. Of a container with GPUs the restart policy is the daemon's to carry
    /// out and is not sent on.
    #[must_use]
    pub fn into_body(mut self, has_gpus: bool) -> Vec<u8> {
        if has_gpus {
            self.body.remove("RestartPolicy");
        }
        Json::Object(self.body).to_bytes()
    }
}
