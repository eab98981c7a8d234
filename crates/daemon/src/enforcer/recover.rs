//! Containers that came through the door and that the ledger does not know: it was lost, or is an old copy. What the
//! door wrote on them tells whose they are; without that their owners could neither see nor remove them.

use std::collections::BTreeSet;

use ds01_domain::{ContainerId, Event, Identity, Kind, RestartPolicy, Token, Uid, Want};
use serde_json::Value;

use super::Enforcer;
use crate::engine::{CgroupDriver, ContainerLook, Listed, RunState};
use crate::gateway;
use crate::totals;

impl Enforcer {
    /// Whose a container is, by what only the door writes on it. The label alone would not do: an image can carry it.
    /// The control group cannot come from an image.
    pub(super) async fn identity_of(&self, look: &ContainerLook) -> Option<Identity> {
        let label = look.reply.pointer("/Config/Labels")?.get(gateway::OWNER_LABEL)?.as_str()?;
        let uid: u32 = label.parse().ok()?;
        let parent = look.reply.pointer("/HostConfig/CgroupParent").and_then(Value::as_str)?;
        // The Engine may have been given another driver since.
        let under = &self.door.config().engine.cgroup_parent;
        let named = |driver| totals::Group::of_user(under, uid, driver).name() == parent;
        if ![CgroupDriver::Cgroupfs, CgroupDriver::Systemd].into_iter().any(named) {
            return None;
        }
        let person = self.door.person(uid, "").await;
        Some(Identity { owner: Uid(uid), owner_name: person.name, name: look.name.clone() })
    }

    /// Writes down containers of the door's that nobody knows.
    pub(super) async fn recover_unknown(&self, listed: &[Listed], known: &BTreeSet<ContainerId>) {
        let unknown: Vec<(&Listed, &Token)> = listed
            .iter()
            .filter(|entry| !known.contains(&entry.id))
            .filter_map(|entry| Some((entry, entry.token.as_ref()?)))
            .collect();
        if unknown.is_empty() {
            return;
        }
        // Read now: a create that ended meanwhile is known by now, and one under way is planned.
        let Ok(tokens) = self.tokens().await else { return };
        for (entry, token) in unknown.into_iter().filter(|(_, token)| !tokens.contains(token)) {
            let Ok(look) = self.door.engine.look(&entry.id).await else { continue };
            // On its way out: it was removed since it was listed.
            if look.state == RunState::Unsettled {
                continue;
            }
            let Some(identity) = self.identity_of(&look).await else { continue };
            tracing::warn!(container = %entry.id, owner = %identity.owner_name, "a container of the door's was not recorded");
            let events = self.as_created(&look, token, &entry.id, identity).await;
            if let Err(fault) = self.door.coordinator.record(events).await {
                tracing::error!(error = %crate::Chain(&fault), "a container could not be recorded");
            }
        }
    }

    async fn as_created(
        &self,
        look: &ContainerLook,
        token: &Token,
        id: &ContainerId,
        identity: Identity,
    ) -> Vec<Event> {
        let at = self.door.coordinator.now().await.unwrap_or_default();
        let host = |key: &str| look.reply.pointer(&format!("/HostConfig/{key}"));
        let gpu = host("Runtime").and_then(Value::as_str) == Some(self.door.config().engine.runtime.as_str());
        let compose = look
            .reply
            .pointer("/Config/Labels")
            .is_some_and(|labels| labels.get("com.docker.compose.project").is_some());
        let planned = Event::CreatePlanned {
            token: token.clone(),
            owner: identity.owner,
            owner_name: identity.owner_name,
            name: identity.name,
            kind: if compose { Kind::Compose } else { Kind::Docker },
            // How much it asked for is lost; what it runs with is found by its receipt.
            want: gpu.then(|| Want::count(1)),
            restart: RestartPolicy::No,
            auto_remove: host("AutoRemove").and_then(Value::as_bool).unwrap_or(false),
            at,
        };
        vec![planned, Event::Created { token: token.clone(), container: id.clone(), at }]
    }
}
