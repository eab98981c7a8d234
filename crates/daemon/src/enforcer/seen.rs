//! What is seen: of one container, of all of them, of the units. Reported as it is; what it means is for the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ds01_domain::{ContainerId, Epoch, Event, Observed, Occupancy, Phase, Run, Seen, State, Token, UnitId};
use ds01_runtime::receipt::{self, Receipt};

use super::Enforcer;
use crate::cgroup;
use crate::clock;
use crate::coordinator::Fault;
use crate::engine::{ContainerLook, Listed, RunState};
use crate::gateway;
use crate::inventory::Inventory;

/// What the state says of a container before a look.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    exists: bool,
    /// It was granted units and has not shown: a list may be older than its start.
    starting: bool,
    holds: bool,
    wants: bool,
}

fn known_of(state: &State) -> BTreeMap<ContainerId, Known> {
    let known = |container: &ds01_domain::Container| {
        let holding = state.holding(&container.id);
        Known {
            name: container.name.clone(),
            exists: container.exists(),
            starting: holding.is_some_and(|h| matches!(h.phase, Phase::Reserved | Phase::Bound)),
            holds: holding.is_some(),
            wants: container.want.is_some(),
        }
    };
    state.containers().map(|container| (container.id.clone(), known(container))).collect()
}

impl Enforcer {
    /// Reports the units before anything else: a start that comes first must not find an empty machine.
    pub async fn look_at_units(&self) {
        let Ok(began) = self.door.coordinator.begin_look().await else { return };
        let seen = self.inventory.look().await;
        let observed =
            Observed { began, units: seen.units, units_complete: seen.complete, ..Observed::default() };
        self.door.coordinator.observed(observed).await;
    }

    /// Looks at one container. Answers whether it is ending, or nobody can say what it does.
    pub(super) async fn look_at(&self, id: &ContainerId) -> bool {
        let Ok(began) = self.door.coordinator.begin_look().await else { return false };
        let key = id.clone();
        let read = self.door.coordinator.read(move |state, _, _| state.container(&key).cloned()).await;
        let Ok(Some(known)) = read else { return false };
        let look = self.door.engine.look(id).await;
        let run = match &look {
            Ok(look) => run_of(look.state),
            Err(error) if error.is_not_found() => Run::Gone,
            Err(_) => Run::Unknown,
        };
        let receipt = receipt_at(&self.receipts, id);
        let seen = seen_with(run, receipt.as_ref());
        let ending = matches!(seen.run, Run::Exited(_) | Run::Gone) && seen.cgroup != Occupancy::Empty;
        let unsettled = seen.run == Run::Unknown;
        let observed = Observed {
            began,
            containers: BTreeMap::from([(id.clone(), seen)]),
            units: self.inventory.look().await.units,
            ..Observed::default()
        };
        self.door.coordinator.observed(observed).await;
        if let Ok(look) = look
            && known.exists()
            && look.name != known.name
        {
            self.rename(id, look.name).await;
        }
        if run == Run::Gone
            && let Some(token) = &known.token
        {
            self.forget_if_gone(token).await;
        }
        ending || unsettled
    }

    async fn rename(&self, id: &ContainerId, name: String) {
        self.door.coordinator.try_record(vec![Event::Renamed { container: id.clone(), name }]).await;
    }

    /// Looks at everything there is; absence counts.
    pub async fn look_at_everything(&self) {
        if let Err(error) = self.see_everything().await {
            tracing::debug!(%error, "not everything could be looked at");
        }
    }

    async fn see_everything(&self) -> Result<(), Unseen> {
        let began = self.door.coordinator.begin_look().await?;
        // Before the state is read: what is there and not in the state then is nobody's.
        let left = self.left_behind().await;
        // Before the Engine is asked: what is known and not in its list is gone.
        let known = self.door.coordinator.read(|state, _, _| known_of(state)).await?;
        let listed = self.door.engine.list_all().await?;
        self.recover_unknown(&listed, &known.keys().cloned().collect()).await;
        let receipts = receipts(&self.receipts);
        let seen = self.inventory.look().await;
        let mut observed = Observed {
            began,
            complete: true,
            units_complete: seen.complete,
            units: seen.units,
            ..Observed::default()
        };
        self.find_lost_creates(&listed, &mut observed).await?;
        for entry in &listed {
            let receipt = receipts.get(&entry.id);
            let known = known.get(&entry.id);
            if known.is_none() && entry.token.is_none() && receipt.is_none() {
                continue;
            }
            let seen = self.seen_in_list(entry, known, receipt.and_then(Option::as_ref)).await;
            observed.containers.insert(entry.id.clone(), seen);
        }
        for id in known.keys().chain(receipts.keys()) {
            if !observed.containers.contains_key(id) {
                let seen = seen_with(Run::Gone, receipts.get(id).and_then(Option::as_ref));
                observed.containers.insert(id.clone(), seen);
            }
        }
        self.door.coordinator.observed(observed).await;
        self.rename_as_listed(&listed, &known).await;
        let damaged = receipts.into_iter().filter(|(_, receipt)| receipt.is_none()).map(|(id, _)| id);
        self.clear_damaged_receipts(damaged.collect(), &listed).await;
        self.tidy_up(left).await;
        Ok(())
    }

    /// Names the containers of creates whose answers were lost. One that is still being made is its maker's to name.
    async fn find_lost_creates(&self, listed: &[Listed], observed: &mut Observed) -> Result<(), Fault> {
        let lost = self.door.coordinator.lost_creates().await?;
        for (token, id) in listed.iter().filter_map(|entry| Some((entry.token.as_ref()?, &entry.id))) {
            if !lost.contains(token) {
                continue;
            }
            match gateway::found_again(&self.door, token, id).await {
                Some(true) => drop(observed.created.insert(token.clone(), id.clone())),
                Some(false) => {}
                // It is there: nobody may give it up meanwhile.
                None => drop(observed.creating.insert(token.clone())),
            }
        }
        Ok(())
    }

    /// What a list says of a container, and what has to be asked beyond it.
    async fn seen_in_list(&self, entry: &Listed, known: Option<&Known>, receipt: Option<&Receipt>) -> Seen {
        let listed = seen_with(run_of(entry.state), receipt);
        let starting = known.is_some_and(|known| known.starting) && !runs(listed.run);
        // It may hold what nobody has written down.
        let unaccounted = runs(listed.run)
            && listed.receipt.is_none()
            && known.is_none_or(|known| known.wants && !known.holds);
        if !starting && !unaccounted && known.is_some() {
            return listed;
        }
        // Unlike the list this waits for a start that is under way.
        let look = match self.door.engine.look(&entry.id).await {
            Ok(look) => look,
            Err(error) if error.is_not_found() => return seen_with(Run::Gone, receipt),
            Err(_) => return seen_with(Run::Unknown, receipt),
        };
        let mut seen = seen_with(run_of(look.state), receipt);
        if unaccounted && self.went_through_the_hinge(&look) {
            seen.devices = devices_of(look.pid, &self.inventory);
        }
        if known.is_none() {
            seen.identity = self.identity_of(&look).await;
        }
        seen
    }

    fn went_through_the_hinge(&self, look: &ContainerLook) -> bool {
        let runtime = look.reply.pointer("/HostConfig/Runtime").and_then(serde_json::Value::as_str);
        runtime == Some(self.door.config().engine.runtime.as_str())
    }

    /// Names that changed past the door. A name with a slash is another container's word for this one.
    async fn rename_as_listed(&self, listed: &[Listed], known: &BTreeMap<ContainerId, Known>) {
        for entry in listed {
            let other = known.get(&entry.id).is_some_and(|known| known.exists && known.name != entry.name);
            if other && !entry.name.is_empty() && !entry.name.contains('/') {
                self.rename(&entry.id, entry.name.clone()).await;
            }
        }
    }

    /// Every token that the state names, whether or not it has become a container.
    pub(super) async fn tokens(&self) -> Result<BTreeSet<Token>, Fault> {
        self.door
            .coordinator
            .read(|state, _, _| {
                let containers = state.containers().filter(|c| c.exists()).filter_map(|c| c.token.clone());
                containers.chain(state.creates().map(|c| c.token.clone())).collect()
            })
            .await
    }
}

/// Why a look at everything came to nothing.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    #[error(transparent)]
    Coordinator(#[from] Fault),
}

fn run_of(state: RunState) -> Run {
    match state {
        RunState::Created => Run::Created,
        RunState::Running => Run::Running,
        RunState::Paused => Run::Paused,
        RunState::Exited(code) => Run::Exited(code),
        RunState::Unsettled => Run::Unknown,
    }
}

/// What is seen of a container with what the hinge wrote down of it.
fn seen_with(run: Run, receipt: Option<&Receipt>) -> Seen {
    // Without a receipt no runtime was ever let through: there is no cgroup to be in.
    let cgroup = receipt.map_or(Occupancy::Empty, |r| cgroup::occupancy(&r.cgroups_path));
    let mut seen = Seen::plain(run, cgroup);
    seen.receipt = receipt
        .filter(|receipt| !runs(run) || is_of_this_boot(receipt))
        .map(|r| (Epoch(r.epoch), r.units.iter().filter_map(|u| UnitId::new(u)).collect()));
    seen
}

fn runs(run: Run) -> bool {
    matches!(run, Run::Running | Run::Paused)
}

/// A receipt of another boot binds nothing.
fn is_of_this_boot(receipt: &Receipt) -> bool {
    clock::read_boot_id().is_ok_and(|boot| boot == receipt.boot_id)
}

/// The receipts by container; nothing for one that cannot be read: it proves a binding without saying which.
fn receipts(directory: &Path) -> BTreeMap<ContainerId, Option<Receipt>> {
    let found = match receipt::read_all(directory) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the receipts cannot be read");
            return BTreeMap::new();
        }
    };
    let sound = found.sound.into_iter().filter_map(|r| Some((ContainerId::new(&r.container)?, Some(r))));
    let damaged = found.damaged.iter().filter_map(|(path, fault)| {
        tracing::warn!(path = %path.display(), fault, "a receipt cannot be read");
        Some((ContainerId::new(path.file_stem()?.to_str()?)?, None))
    });
    sound.chain(damaged).collect()
}

fn receipt_at(directory: &Path, id: &ContainerId) -> Option<Receipt> {
    receipt::read_one(directory, id.as_str()).unwrap_or_else(|error| {
        tracing::warn!(%error, container = %id, "a receipt cannot be read");
        None
    })
}

/// The units whose devices stand in a process's own root. Whoever is root in there can make nodes of any number, so
/// this counts only where nothing better is left; none can be opened that was not granted.
fn devices_of(pid: i32, inventory: &Inventory) -> Option<BTreeSet<UnitId>> {
    inventory.units_in(Path::new(&format!("/proc/{pid}/root/dev")))
}
