//! What a container uses, through Docker's own route. It must never print.

use ds01_api::{Container, paths};
use serde::Serialize;
use serde_json::Value;

use super::{ClientError, Door};

/// What a container used in the last second, and in all. What the Engine does not tell is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// Of one CPU; 150 is one and a half.
    pub(crate) cpu_percent: Option<f64>,
    /// Memory that cannot be had back for the asking, as `docker stats` counts it.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_limit_bytes: Option<u64>,
    pub(crate) pids: Option<u64>,
    /// Through all its networks since it started.
    pub(crate) network_in_bytes: Option<u64>,
    pub(crate) network_out_bytes: Option<u64>,
    /// From and to disks since it started.
    pub(crate) disk_read_bytes: Option<u64>,
    pub(crate) disk_written_bytes: Option<u64>,
}

impl Door {
    /// Asks for one sample; the Engine looks twice for it, which takes it a second or two.
    pub(crate) async fn usage(&self, container: &Container) -> Result<Usage, ClientError> {
        self.usage_of(&container.id).await
    }

    /// As [`Door::usage`], by the container's id.
    pub(crate) async fn usage_of(&self, id: &str) -> Result<Usage, ClientError> {
        let path = paths::with_name("/containers/{name}/stats", id) + "?stream=0";
        Ok(usage(&self.get(&path).await?))
    }
}

fn usage(stats: &Value) -> Usage {
    let memory = &stats["memory_stats"];
    let networks = stats["networks"].as_object();
    let network = |key: &str| networks.map(|all| all.values().filter_map(|one| one[key].as_u64()).sum());
    Usage {
        cpu_percent: cpu_percent(stats),
        memory_bytes: memory["usage"].as_u64().map(|usage| {
            // Control groups of version 1 and 2 name it differently.
            let cached = ["total_inactive_file", "inactive_file"].map(|key| memory["stats"][key].as_u64());
            usage.saturating_sub(cached.into_iter().flatten().next().unwrap_or(0))
        }),
        memory_limit_bytes: memory["limit"].as_u64().filter(|limit| *limit > 0),
        pids: stats["pids_stats"]["current"].as_u64(),
        network_in_bytes: network("rx_bytes"),
        network_out_bytes: network("tx_bytes"),
        disk_read_bytes: disk(stats, "read"),
        disk_written_bytes: disk(stats, "write"),
    }
}

/// What the container's share of all CPU time was between the Engine's two looks.
fn cpu_percent(stats: &Value) -> Option<f64> {
    let used = |of: &str| stats[of]["cpu_usage"]["total_usage"].as_u64();
    let all = |of: &str| stats[of]["system_cpu_usage"].as_u64();
    let own = used("cpu_stats")?.checked_sub(used("precpu_stats")?)?;
    let all = all("cpu_stats")?.checked_sub(all("precpu_stats")?).filter(|all| *all > 0)?;
    let cpus = stats["cpu_stats"]["online_cpus"].as_u64()?;
    // Hundredths of a percent: more is not known.
    let hundredths = u128::from(own) * u128::from(cpus) * 10_000 / u128::from(all);
    u32::try_from(hundredths).ok().map(|hundredths| f64::from(hundredths) / 100.0)
}

fn disk(stats: &Value, what: &str) -> Option<u64> {
    // `null` and an empty list both say that nothing went through.
    let of = stats["blkio_stats"].get("io_service_bytes_recursive")?;
    let mut sum = 0_u64;
    for entry in of.as_array().into_iter().flatten() {
        if entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(what)) {
            sum = sum.saturating_add(entry["value"].as_u64().unwrap_or(0));
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn samples_of_both_kinds_of_control_groups() {
        let mut stats = json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000_u64}, "system_cpu_usage": 60_000_000_000_u64,
                          "online_cpus": 4},
            "precpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000_u64}, "system_cpu_usage": 56_000_000_000_u64},
            "memory_stats": {"usage": 1000, "limit": 4096, "stats": {"inactive_file": 200}},
            "pids_stats": {"current": 7},
            "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 1}, "eth1": {"rx_bytes": 5, "tx_bytes": 2}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"op": "read", "value": 100}, {"op": "Read", "value": 50}, {"op": "Write", "value": 7},
                {"op": "Total", "value": 157}]},
        });
        let known = Usage {
            cpu_percent: Some(150.0),
            memory_bytes: Some(800),
            memory_limit_bytes: Some(4096),
            pids: Some(7),
            network_in_bytes: Some(15),
            network_out_bytes: Some(3),
            disk_read_bytes: Some(150),
            disk_written_bytes: Some(7),
        };
        assert_eq!(usage(&stats), known);
        stats["memory_stats"]["stats"] = json!({"total_inactive_file": 300, "inactive_file": 1});
        stats["blkio_stats"]["io_service_bytes_recursive"] = Value::Null;
        let first =
            Usage { memory_bytes: Some(700), disk_read_bytes: Some(0), disk_written_bytes: Some(0), ..known };
        assert_eq!(usage(&stats), first);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        // What the Engine answers of a container that has just ended, or that is on no network.
        let stats = json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "precpu_stats": {"cpu_usage": {"total_usage": 9}},
            "memory_stats": {}, "pids_stats": {}, "blkio_stats": {},
        });
        assert_eq!(usage(&stats), Usage::default());
    }
}
