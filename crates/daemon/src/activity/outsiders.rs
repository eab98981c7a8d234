//! Who else is on the units: programs of no container, and of containers that were not granted them.
//!
//! It finds out and has it told; it must never end anybody itself. Where the policy says so, it has the enforcer stop a
//! container whose program stays on a unit without a grant. Whose a program is, is told by the control group that it is
//! really in: the name of a group proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{ContainerId, Kind, Mode, Outsider, Outsiders, ProcessId, Time, Turn, UnitId, ungranted};
use serde::{Deserialize, Serialize};

use super::sample::{self, FIGURES_AGE_MAX};
use crate::gateway::Door;
use crate::inventory::FiguresSeen;
use crate::{cgroup, identity};

/// A process that the driver shows.
#[derive(Debug)]
struct Shown {
    process: ProcessId,
    name: String,
    uid: u32,
    container: Option<ContainerId>,
    units: BTreeSet<UnitId>,
}

/// What a look at the programs on units comes to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether anybody came or went, and was told of.
    pub(super) news: bool,
    /// The containers to be stopped for it.
    pub(super) stops: BTreeSet<ContainerId>,
}

/// Finds the programs that are on units without a grant, and has it told when one comes or goes.
pub(super) async fn look(door: &Arc<Door>, receipts: &Path, known: &mut Outsiders) -> Found {
    // Before the state is read: who was on a unit when the driver was asked was granted it before, if at all.
    let figures = door.inventory.figures();
    if figures.age.is_none_or(|age| age > FIGURES_AGE_MAX) {
        return Found::default();
    }
    let told = figures.units.iter().filter(|(_, figures)| figures.processes.is_some());
    let seen: BTreeSet<UnitId> = told.map(|(unit, _)| unit.clone()).collect();
    let receipts = receipts.to_owned();
    // Files of the kernel's: quick, but not for a thread that others wait for.
    let Ok(shown) = tokio::task::spawn_blocking(move || shown(&figures, &receipts)).await else {
        return Found::default();
    };
    let without_a_grant = move |state: &ds01_domain::State, _: &_, now: Time| {
        let outside = shown.into_iter().map(|shown| {
            let units = ungranted(state, shown.container.as_ref(), &shown.units);
            let container = shown.container.and_then(|id| state.container(&id));
            let owner = container.map(|container| container.owner_name.clone());
            (Shown { units, container: container.map(|container| container.id.clone()), ..shown }, owner)
        });
        (outside.filter(|(shown, _)| !shown.units.is_empty()).collect::<Vec<_>>(), now)
    };
    let Ok((outside, now)) = door.coordinator.read(without_a_grant).await else { return Found::default() };
    let mut found = Vec::new();
    for (Shown { process, name, uid, container, units }, owner) in outside {
        // Who is root in a container is its owner.
        let user = match owner {
            Some(owner) => owner,
            None => user(door, uid).await,
        };
        found.push(Outsider { process, name, user, container, units });
    }
    let mut turns = known.look(found, &seen, now);
    let mut stops = BTreeSet::new();
    if let Some(after) = door.config().policy.rules.stop_ungranted_after {
        let (overdue, told) = overdue(door, known, after, now).await;
        turns.extend(told);
        stops = overdue;
    }
    Found { news: !turns.is_empty() && door.coordinator.tell(turns).await.is_ok(), stops }
}

/// Whose time on units without a grant is over: not in a lab that is only observed, and never the lab's own containers.
async fn overdue(
    door: &Door,
    known: &mut Outsiders,
    after: Duration,
    now: Time,
) -> (BTreeSet<ContainerId>, Vec<Turn>) {
    if door.board.mode(&door.config().policy.rules) != Mode::Enforce {
        return Default::default();
    }
    let in_question: Vec<ContainerId> =
        known.told().filter_map(|(outsider, _)| outsider.container.clone()).collect();
    let of_users = move |state: &ds01_domain::State, _: &_, _| {
        let found = in_question.iter().filter_map(|id| state.container(id));
        let found = found.filter(|container| container.kind != Kind::Infrastructure);
        found.map(|container| container.id.clone()).collect::<BTreeSet<_>>()
    };
    let Ok(of_users) = door.coordinator.read(of_users).await else { return Default::default() };
    known.overdue(after, now, |id| of_users.contains(id))
}

/// What people call a user; who has the number as a subordinate one acts in a container of his.
async fn user(door: &Door, uid: u32) -> String {
    let known = door.identities.names().lookup(uid).await;
    let name = known.account().map(|account| account.name.to_string());
    name.or_else(|| known.subordinate_of().map(str::to_owned)).unwrap_or_else(|| uid.to_string())
}

/// Everybody whom the driver shows on a unit and who is there still.
fn shown(figures: &FiguresSeen, receipts: &Path) -> Vec<Shown> {
    let mut units: BTreeMap<u32, BTreeSet<UnitId>> = BTreeMap::new();
    for (unit, figures) in &figures.units {
        for process in figures.processes.iter().flatten() {
            units.entry(process.pid).or_default().insert(unit.clone());
        }
    }
    let mut groups = Groups { receipts: receipts.to_owned(), read: BTreeMap::new() };
    let shown = units.into_iter().filter_map(|(pid, units)| {
        let (began, _) = sample::cpu_time(i32::try_from(pid).ok()?)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let process = ProcessId { pid, began };
        Some(Shown { process, name: name(pid), uid: real_uid(&status)?, container: groups.of(pid), units })
    });
    shown.collect()
}

/// The processes of containers, each read once.
struct Groups {
    receipts: PathBuf,
    read: BTreeMap<ContainerId, Vec<i32>>,
}

impl Groups {
    /// The container in whose control group a process is.
    fn of(&mut self, pid: u32) -> Option<ContainerId> {
        let said = identity::named_container(pid)?;
        let read = || {
            let receipt = ds01_runtime::receipt::read_one(&self.receipts, said.as_str()).ok().flatten();
            receipt.map(|receipt| cgroup::processes(&receipt.cgroups_path)).unwrap_or_default()
        };
        let own = self.read.entry(said.clone()).or_insert_with(read);
        own.iter().any(|one| u32::try_from(*one) == Ok(pid)).then_some(said)
    }
}

/// What a process calls itself, fit to be shown: it may call itself anything.
fn name(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let shown = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
    name.trim_ascii_end().iter().map(shown).collect()
}

fn real_uid(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
}

/// One who was told of, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pid: u32,
    began: u64,
    name: String,
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    units: Vec<String>,
    since: u64,
}

/// Those who were told of, to be written down.
pub(super) fn written(known: &Outsiders) -> Vec<Told> {
    let told = |(outsider, since): (&Outsider, Time)| Told {
        pid: outsider.process.pid,
        began: outsider.process.began,
        name: outsider.name.clone(),
        user: outsider.user.clone(),
        container: outsider.container.as_ref().map(ToString::to_string),
        units: outsider.units.iter().map(ToString::to_string).collect(),
        since: since.0,
    };
    known.told().map(told).collect()
}

/// Those who were told of by an earlier daemon.
pub(super) fn resumed(told: Vec<Told>) -> Outsiders {
    Outsiders::resumed(told.into_iter().map(|told| {
        let outsider = Outsider {
            process: ProcessId { pid: told.pid, began: told.began },
            name: told.name,
            user: told.user,
            container: told.container.as_deref().and_then(ContainerId::new),
            units: told.units.iter().filter_map(|unit| UnitId::new(unit)).collect(),
        };
        (outsider, Time(told.since))
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::inventory::{Figures, OnUnit};

    #[test]
    fn a_process_is_shown_with_what_the_kernel_says_of_it() {
        let on = |pid| OnUnit { pid, memory_mib: None, busy_percent: None };
        let unit = |name: &str| UnitId::new(name).unwrap();
        let own = std::process::id();
        let figures = |processes| Figures { processes, ..Figures::default() };
        let figures = FiguresSeen {
            age: Some(Duration::ZERO),
            units: BTreeMap::from([
                // No machine has so high a number.
                (unit("GPU-a"), figures(Some(vec![on(own), on(u32::MAX)]))),
                (unit("GPU-b"), figures(Some(vec![on(own)]))),
                (unit("GPU-c"), figures(None)),
            ]),
        };
        let found = shown(&figures, Path::new("/nonexistent"));
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.process.pid, &one.container), (own, &None));
        assert_eq!(one.units, BTreeSet::from([unit("GPU-a"), unit("GPU-b")]));
        assert_eq!(one.uid, nix::unistd::getuid().as_raw());
        assert!(!one.name.is_empty() && one.name.chars().all(|c| c.is_ascii_graphic()), "{}", one.name);
    }

    #[test]
    fn what_is_written_is_told_again_by_nobody() {
        let outsider = Outsider {
            process: ProcessId { pid: 5, began: 7 },
            name: "python".to_owned(),
            user: "bob".to_owned(),
            container: ContainerId::new(&"a".repeat(64)),
            units: BTreeSet::from([UnitId::new("GPU-a").unwrap()]),
        };
        let known = Outsiders::resumed([(outsider, Time(9))]);
        assert_eq!(resumed(written(&known)), known);
    }
}
