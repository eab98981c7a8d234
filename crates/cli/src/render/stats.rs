//! What containers use: `container stats`.

use ds01_api::UnitStats;
use serde::Serialize;

use super::table::{Cell, Column, table};
use super::words::{bytes, mib, share};
use super::{QUIET, TITLE};
use crate::client::Usage;

/// Figures of GPUs that are older than this are said to be, in seconds: the daemon looks every two.
pub(super) const AGE_TOLD_FROM: u64 = 4;

/// What containers use, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    /// Newest first, or in the order in which they were asked for.
    pub(crate) containers: Vec<ContainerStats>,
    /// Whether their GPUs were asked about.
    #[serde(skip)]
    pub(crate) with_gpus: bool,
    /// How old the figures of GPUs are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gpu_age_seconds: Option<u64>,
}

/// One container and what it uses.
#[derive(Debug, Serialize)]
pub(crate) struct ContainerStats {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    pub(crate) owner: String,
    pub(crate) mine: bool,
    #[serde(flatten)]
    pub(crate) usage: Usage,
    /// Its units; absent where they were not asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gpus: Option<Vec<UnitStats>>,
}

impl ContainerStats {
    /// What people call it.
    pub(crate) fn short_name(&self) -> &str {
        match &self.project {
            Some(project) if self.mine => project,
            _ => &self.name,
        }
    }
}

/// `container stats`.
pub(crate) fn stats(stats: &Stats, columns: Option<u16>) -> String {
    if stats.containers.is_empty() {
        return "No container is running.\n".to_owned();
    }
    let others = stats.containers.iter().any(|container| !container.mine);
    let mut heads = vec![Column { title: "NAME", drop: 0 }];
    heads.extend(others.then_some(Column { title: "USER", drop: 0 }));
    let own = [("CPU", 0), ("MEMORY", 0), ("NET IN / OUT", 2), ("DISK READ / WRITTEN", 3), ("PIDS", 1)];
    heads.extend(own.map(|(title, drop)| Column { title, drop }));
    let gpus = [("GPU", 0), ("BUSY", 0), ("GPU MEMORY", 0)];
    heads.extend(
        stats.with_gpus.then_some(gpus).into_iter().flatten().map(|(title, drop)| Column { title, drop }),
    );
    let rows: Vec<Vec<Cell>> =
        stats.containers.iter().flat_map(|container| rows(container, others, stats.with_gpus)).collect();
    let mut text = table(&heads, &rows, columns);
    if let Some(age) = stats.gpu_age_seconds.filter(|age| *age >= AGE_TOLD_FROM) {
        text += &format!("{QUIET}the figures of GPUs are {age} s old{QUIET:#}\n");
    }
    text
}

/// A line for the container with its first unit, and one for each further unit.
fn rows(container: &ContainerStats, others: bool, with_gpus: bool) -> Vec<Vec<Cell>> {
    let mut first: Vec<Cell> = vec![Cell::styled(TITLE, container.short_name())];
    first.extend(others.then(|| container.owner.as_str().into()));
    first.extend(usage(&container.usage));
    if !with_gpus {
        return vec![first];
    }
    let units = container.gpus.as_deref().unwrap_or_default();
    let width = first.len();
    first.extend(units.first().map_or_else(|| ["-"; 3].map(Cell::from), unit));
    let further = units.iter().skip(1).map(|of| (0..width).map(|_| Cell::from("")).chain(unit(of)).collect());
    std::iter::once(first).chain(further).collect()
}

fn usage(usage: &Usage) -> [Cell; 5] {
    let both = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => format!("{} / {}", bytes(a), bytes(b)),
        _ => "-".to_owned(),
    };
    let memory = match (usage.memory_bytes, usage.memory_limit_bytes) {
        (Some(used), Some(limit)) => share(used, limit),
        (Some(used), None) => bytes(used),
        (None, _) => "-".to_owned(),
    };
    [
        usage.cpu_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1}%")),
        memory,
        both(usage.network_in_bytes, usage.network_out_bytes),
        both(usage.disk_read_bytes, usage.disk_written_bytes),
        usage.pids.map_or_else(|| "-".to_owned(), |pids| pids.to_string()),
    ]
    .map(Cell::from)
}

fn unit(of: &UnitStats) -> [Cell; 3] {
    let name = &of.unit;
    let slice = name.profile.as_ref().map(|profile| format!(" {profile}")).unwrap_or_default();
    [
        format!("{}{slice}", name.address),
        busy(of.figures.utilization_percent),
        of.own_memory_mib.map_or_else(|| "-".to_owned(), |own| share(own * MIB, name.memory_mib * MIB)),
    ]
    .map(Cell::from)
}

const MIB: u64 = 1024 * 1024;

/// How busy a unit is.
pub(super) fn busy(percent: Option<u32>) -> String {
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"))
}

/// How full a unit is, of what it has.
pub(super) fn memory(used_mib: Option<u64>, total_mib: u64) -> String {
    used_mib.map_or_else(|| mib(total_mib), |used| share(used * MIB, total_mib * MIB))
}

#[cfg(test)]
mod tests {
    use ds01_api::{Figures, UnitRef};
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    fn container(name: &str, owner: &str, usage: Usage, gpus: Vec<UnitStats>) -> ContainerStats {
        ContainerStats {
            id: "ab".repeat(32),
            name: format!("{name}._.{owner}"),
            project: Some(name.to_owned()),
            owner: owner.to_owned(),
            mine: owner == "alice",
            usage,
            gpus: Some(gpus),
        }
    }

    fn unit(address: &str, profile: Option<&str>, percent: Option<u32>, own: Option<u64>) -> UnitStats {
        let unit = UnitRef {
            id: format!("GPU-{address}"),
            address: address.to_owned(),
            model: "NVIDIA A100-SXM4-80GB".to_owned(),
            profile: profile.map(str::to_owned),
            memory_mib: 81_920,
            weight_milli: 1000,
        };
        let figures = Figures { utilization_percent: percent, memory_used_mib: Some(50_000) };
        UnitStats { unit, figures, processes: own.map(|_| 1), own_memory_mib: own }
    }

    fn two() -> Stats {
        let busy = Usage {
            cpu_percent: Some(150.04),
            memory_bytes: Some(3 << 29),
            memory_limit_bytes: Some(8 << 30),
            pids: Some(12),
            network_in_bytes: Some(876),
            network_out_bytes: Some(0),
            disk_read_bytes: Some(5 << 20),
            disk_written_bytes: Some(2048),
        };
        let units = vec![unit("0", None, Some(97), Some(31_949)), unit("1:0", Some("3g.40gb"), None, None)];
        let containers = vec![
            container("train", "alice", busy, units),
            container("web", "alice", Usage { memory_bytes: Some(700), ..Usage::default() }, vec![]),
        ];
        Stats { containers, with_gpus: false, gpu_age_seconds: Some(2) }
    }

    #[test]
    fn what_containers_use() {
        expect![[r#"
            NAME    CPU      MEMORY         NET IN / OUT   DISK READ / WRITTEN   PIDS
            train   150.0%   1.5 of 8 GiB   876 B / 0 B    5 MiB / 2 KiB         12
            web     -        700 B          -              -                     -
        "#]]
        .assert_eq(&plain(&stats(&two(), Some(80))));
        let none = Stats { containers: vec![], ..two() };
        assert_eq!(stats(&none, None), "No container is running.\n");
    }

    #[test]
    fn with_their_gpus() {
        let with = Stats { with_gpus: true, ..two() };
        expect![[r#"
            NAME    CPU      MEMORY         PIDS   GPU           BUSY   GPU MEMORY
            train   150.0%   1.5 of 8 GiB   12     0             97%    31.2 of 80 GiB
                                                   1:0 3g.40gb   -      -
            web     -        700 B          -      -             -      -
        "#]]
        .assert_eq(&plain(&stats(&with, Some(80))));
        let mut others = Stats { gpu_age_seconds: Some(9), ..with };
        others.containers.remove(0);
        others.containers.push(container("eval", "bob", Usage::default(), vec![]));
        expect![[r#"
            NAME         USER    CPU   MEMORY   NET IN / OUT   DISK READ / WRITTEN   PIDS   GPU   BUSY   GPU MEMORY
            web          alice   -     700 B    -              -                     -      -     -      -
            eval._.bob   bob     -     -        -              -                     -      -     -      -
            the figures of GPUs are 9 s old
        "#]]
        .assert_eq(&plain(&stats(&others, None)));
    }
}
