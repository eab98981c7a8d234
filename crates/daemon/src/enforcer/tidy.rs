//! What is left on the host of creates and containers that nobody names any more: stages, records, receipts.
//!
//! First what there is, then what the state names: what is there and not named belongs to nobody, because a create is
//! planned before anything of it is made.

use std::collections::BTreeSet;
use std::time::Duration;

use ds01_domain::{ContainerId, Token};
use ds01_runtime::receipt;

use super::Enforcer;
use crate::engine::{Listed, RunState};
use crate::gateway;

/// What there was before the state was read.
#[derive(Debug, Default)]
pub(super) struct Left {
    staged: BTreeSet<Token>,
    recorded: Vec<Token>,
}

/// How long staging again may take together before the door opens without it: a start stages what is missing.
const STAGE_AGAIN_TIME_MAX: Duration = Duration::from_secs(10);

impl Enforcer {
    /// Stages again what is missing, as after a reboot: the Engine starts containers by itself, and what they bind has
    /// to be there before.
    pub async fn stage_again(&self) {
        if tokio::time::timeout(STAGE_AGAIN_TIME_MAX, self.stage_all()).await.is_err() {
            tracing::warn!("staging again takes long; what is missing is staged when its container starts");
        }
    }

    async fn stage_all(&self) {
        let read = self.door.coordinator.read(|state, _, _| {
            state.containers().filter(|c| c.exists()).filter_map(|c| c.token.clone()).collect::<Vec<_>>()
        });
        let Ok(tokens) = read.await else { return };
        for token in tokens {
            let staged = match self.door.records.one(&self.door, Some(&token)).await {
                Ok(known) => gateway::ensure_staged(&self.door, &token, &known.record).await,
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = staged {
                tracing::warn!(%token, error = %refusal, "a bind mount could not be staged again");
            }
        }
    }

    /// Lists what there is on the stage and among the records.
    pub(super) async fn left_behind(&self) -> Left {
        let stage = self.door.stage.clone();
        let staged = tokio::task::spawn_blocking(move || stage.tokens()).await;
        let staged = match staged {
            Ok(Ok(staged)) => staged.into_iter().collect(),
            Ok(Err(error)) => {
                tracing::warn!(error = %crate::Chain(&error), "the stage cannot be read");
                BTreeSet::new()
            }
            Err(_) => BTreeSet::new(),
        };
        let recorded = match self.door.coordinator.ledger(|ledger| ledger.record_tokens()).await {
            Ok(Ok(recorded)) => recorded,
            Ok(Err(error)) => {
                tracing::warn!(error = %crate::Chain(&error), "the records cannot be listed");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        Left { staged, recorded }
    }

    /// Takes away what of it the state does not name.
    pub(super) async fn tidy_up(&self, left: Left) {
        let Ok(named) = self.tokens().await else { return };
        for token in left.staged.iter().filter(|token| !named.contains(token)) {
            self.unstage(token).await;
        }
        for token in left.recorded.iter().filter(|token| !named.contains(token)) {
            self.forget_record(token).await;
        }
    }

    /// Takes away what is left of one container, if the state has agreed that it is gone.
    pub(super) async fn forget_if_gone(&self, token: &Token) {
        if self.tokens().await.is_ok_and(|named| !named.contains(token)) {
            self.unstage(token).await;
            self.forget_record(token).await;
        }
    }

    async fn unstage(&self, token: &Token) {
        let (stage, key) = (self.door.stage.clone(), token.clone());
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || stage.unmount(&key)).await {
            tracing::warn!(error = %crate::Chain(&error), %token, "a stage could not be unmounted; it is tried again");
        }
    }

    async fn forget_record(&self, token: &Token) {
        self.door.records.forget(token);
        let key = token.clone();
        if let Ok(Err(error)) = self.door.coordinator.ledger(move |ledger| ledger.forget_record(&key)).await {
            tracing::warn!(error = %crate::Chain(&error), %token, "a record could not be forgotten");
        }
    }

    /// Removes receipts that cannot be read, of containers that do not run and hold nothing.
    pub(super) async fn clear_damaged_receipts(&self, damaged: Vec<ContainerId>, listed: &[Listed]) {
        for id in damaged {
            let over = listed
                .iter()
                .find(|entry| entry.id == id)
                .is_none_or(|entry| matches!(entry.state, RunState::Created | RunState::Exited(_)));
            let key = id.clone();
            let held = self.door.coordinator.read(move |state, _, _| state.holding(&key).is_some()).await;
            // Of no epoch: a sound one that takes its place meanwhile stays.
            if over
                && matches!(held, Ok(false))
                && let Err(error) = receipt::remove(&self.receipts, id.as_str(), 0)
            {
                tracing::warn!(%error, container = %id, "a receipt could not be removed");
            }
        }
    }
}
