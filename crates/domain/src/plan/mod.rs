//! `plan`: what has to be done about the difference between what is recorded and what was seen.
//!
//! It changes nothing itself. Events only trigger a look; the look is compared here. Carrying out a plan and asking
//! again with the same look gives an empty plan.

mod adopt;
mod ended;
mod inventory;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::course::{Cause, Stage};
use crate::decide::{Waits, dismissal, doubtful};
use crate::denial::Denial;
use crate::event::{Event, LeftWhy};
use crate::grant::Grant;
use crate::ids::{ContainerId, Epoch, Ticket, Time, UnitId};
use crate::line::next_grant;
use crate::observed::Observed;
use crate::policy::Policy;
use crate::restart;
use crate::state::State;

/// One thing to do. To be done in order: later ones build on earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A fact to be recorded.
    Record(Event),
    /// Units for the next in line: to be recorded as `Event::Reserved`, then told.
    Grant {
        /// The grant.
        grant: Grant,
        /// Whose turn it is.
        ticket: Ticket,
    },
    /// No units for somebody in line: to be recorded as `Event::Left`, then told.
    Deny {
        /// Whose wait is over.
        ticket: Ticket,
        /// Why.
        denial: Denial,
    },
    /// A container to be started again, through `decide`, because its policy says so.
    Restart {
        /// The container.
        container: ContainerId,
    },
    /// A container to be removed, because it was to be removed when it ends and its start was denied.
    RemoveContainer {
        /// The container.
        container: ContainerId,
    },
    /// The owner of a container to be warned of its stop. To be recorded as `Event::Warned` when he was told, not
    /// before: a daemon that dies in between warns him again instead of stopping him unwarned.
    Warn {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// Why it will be stopped.
        cause: Cause,
        /// How near the stop is.
        stage: Stage,
        /// When it will be stopped.
        stop_at: Time,
    },
    /// A container to be stopped, with the grace of its kind.
    Stop {
        /// The container.
        container: ContainerId,
        /// The grant: of a later one nothing was decided.
        epoch: Epoch,
        /// Why.
        cause: Cause,
    },
    /// A container to be stopped, because a program of it stays on a unit without a grant. It need not hold one itself.
    Expel {
        /// The container.
        container: ContainerId,
    },
    /// Two containers can open one unit. It stays with the one that was granted it last, and is given to nobody else
    /// until the other is gone; a person has to be told.
    Conflict {
        /// The unit.
        unit: UnitId,
        /// Who holds it.
        holder: ContainerId,
        /// Who can open it as well.
        other: ContainerId,
    },
}

impl Action {
    /// The fact that the action makes true.
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        match self {
            Self::Record(event) => Some(event.clone()),
            Self::Grant { grant, .. } => Some(Event::Reserved(grant.clone())),
            Self::Deny { ticket, .. } => Some(Event::Left { ticket: *ticket, why: LeftWhy::Denied }),
            Self::Restart { .. }
            | Self::RemoveContainer { .. }
            | Self::Warn { .. }
            | Self::Stop { .. }
            | Self::Expel { .. }
            | Self::Conflict { .. } => None,
        }
    }
}

/// What has to be done now. An empty look (`Observed::default()`) gives what time alone brings.
#[must_use]
pub fn plan(policy: &Policy, state: &State, observed: &Observed, now: Time) -> Vec<Action> {
    let mut draft =
        Draft { state: state.clone(), actions: Vec::new(), observed, now, claimed: OnceCell::new() };
    inventory::compare(&mut draft);
    adopt::created(&mut draft);
    ended::follow(&mut draft);
    adopt::found(&mut draft);
    inventory::occupied(&mut draft);
    inventory::clean(&mut draft);
    serve(policy, &mut draft);
    // Whoever left may have been what held others back, and a grant may use up the quota of somebody who waits.
    while dismiss(policy, &mut draft) {
        serve(policy, &mut draft);
    }
    for (container, tried) in restart::due(&draft.state, now) {
        draft.record(tried);
        draft.actions.push(Action::Restart { container });
    }
    draft.actions
}

/// A plan in the making: the state as it will be once the actions so far are carried out.
struct Draft<'a> {
    state: State,
    actions: Vec<Action>,
    observed: &'a Observed,
    now: Time,
    /// Units that running containers can open, once somebody has asked: see [`inventory::claimed`].
    claimed: OnceCell<BTreeSet<UnitId>>,
}

impl Draft<'_> {
    fn record(&mut self, event: Event) {
        self.push(Action::Record(event));
    }

    fn push(&mut self, action: Action) {
        if let Some(event) = action.event() {
            self.state.apply(&event);
        }
        self.actions.push(action);
    }

    /// Whether the look says anything about what was recorded at such a time: it must have begun later.
    fn is_newer_than(&self, recorded: Time) -> bool {
        self.observed.began > recorded
    }
}

/// Gives what is free to those who wait for it.
fn serve(policy: &Policy, draft: &mut Draft<'_>) {
    while let Some((grant, ticket)) = next_grant(policy, &draft.state, draft.now) {
        draft.push(Action::Grant { grant, ticket });
    }
}

/// Sends away who has waited long enough, or can no longer be served; whether there was anybody.
fn dismiss(policy: &Policy, draft: &mut Draft<'_>) -> bool {
    // All are judged on the same line: the first to be sent away does not move the others up.
    let before = draft.state.clone();
    let mut waits = Waits::new(policy, &before, draft.now);
    let mut any = false;
    for waiter in doubtful(policy, &before, draft.now) {
        let Some(denial) = dismissal(&mut waits, waiter) else { continue };
        let removes = !matches!(denial, Denial::Running { .. })
            && before.container(&waiter.container).is_some_and(|c| c.auto_remove && c.exists());
        any = true;
        draft.push(Action::Deny { ticket: waiter.ticket, denial });
        if removes {
            draft.push(Action::RemoveContainer { container: waiter.container.clone() });
        }
    }
    any
}
