//! The waiting starts by what they ask for and on whose behalf: all that are alike to the rules are looked at once.
//!
//! Only those that could start, had they units, stand in a queue. In each they stand in order of arrival, so those
//! who were passed by a grant are the first ones of it: it is written once, for the queue.

use std::cmp::Reverse;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::ids::{Ticket, Uid, Weight};
use crate::line::Waiter;
use crate::want::Want;

/// What is asked for, and what the limits say of it. Higher priority comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) priority: Reverse<i32>,
    pub(crate) want: Want,
    pub(crate) allow_full: bool,
    pub(crate) slots: Option<u32>,
}

/// Who asks, and how much he may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kin {
    pub(crate) owner: Uid,
    pub(crate) max: Option<Weight>,
    /// One that came to its queue later than to the line stands in a queue of its own: it has missed some grants.
    alone: Option<Ticket>,
}

impl Shape {
    pub(crate) fn of(waiter: &Waiter) -> Self {
        Self {
            priority: Reverse(waiter.limits.priority),
            want: waiter.want.clone(),
            allow_full: waiter.limits.allow_full_gpu,
            slots: waiter.limits.max_gpu_slots_per_container,
        }
    }
}

impl Kin {
    pub(crate) fn of(waiter: &Waiter) -> Self {
        Self {
            owner: waiter.owner,
            max: waiter.limits.max_gpu_equivalents,
            alone: waiter.missed_some.then_some(waiter.ticket),
        }
    }
}

/// Starts that are alike, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    members: OrdSet<Ticket>,
    /// How often its members had been passed when they came: more than never only where one stands alone.
    before: u32,
    /// The winners of the grants that passed those of its members who came earlier, in order of their tickets.
    winners: Vec<Ticket>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.members.iter().copied()
    }

    pub(crate) fn first(&self) -> Option<Ticket> {
        self.members.get_min().copied()
    }

    /// The first that came after this one.
    pub(crate) fn after(&self, ticket: Ticket) -> Option<Ticket> {
        self.members.range((Excluded(ticket), Unbounded)).next().copied()
    }

    /// The first that came no earlier than this one.
    pub(crate) fn from(&self, ticket: Ticket) -> Option<Ticket> {
        self.first().filter(|first| *first >= ticket).or_else(|| self.members.range(ticket..).next().copied())
    }

    /// How many came earlier than this one.
    pub(crate) fn earlier(&self, ticket: Ticket) -> usize {
        match (self.members.get_min(), self.members.get_max()) {
            (Some(first), _) if *first >= ticket => 0,
            (_, Some(last)) if *last < ticket => self.members.len(),
            _ => self.members.range(..ticket).count(),
        }
    }

    /// How often a member was passed.
    pub(crate) fn overtaken(&self, ticket: Ticket) -> u32 {
        let later = self.winners.len() - self.winners.partition_point(|winner| *winner <= ticket);
        self.before.saturating_add(u32::try_from(later).unwrap_or(u32::MAX))
    }

    /// The ticket before which all members were passed so often.
    pub(crate) fn passed_before(&self, times: u32) -> Ticket {
        let more = usize::try_from(times.saturating_sub(self.before)).unwrap_or(usize::MAX);
        if more == 0 {
            return Ticket(u64::MAX);
        }
        let at = self.winners.len().checked_sub(more);
        at.map_or(Ticket(0), |at| self.winners[at])
    }

    fn passed_by(&mut self, winner: Ticket) {
        if self.first().is_some_and(|first| first < winner) {
            let at = self.winners.partition_point(|known| *known <= winner);
            self.winners.insert(at, winner);
        }
    }

    fn remove(&mut self, ticket: Ticket) {
        self.members.remove(&ticket);
        // Those that passed only who is gone.
        if let Some(first) = self.first() {
            let over = self.winners.partition_point(|winner| *winner <= first);
            self.winners.drain(..over);
        }
    }
}

/// Whom a grant passed: all who came earlier than the winner and stand in these queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overtaking {
    pub(crate) winner: Ticket,
    pub(crate) queues: Vec<(Arc<Shape>, Vec<Kin>)>,
}

/// Everybody who asks for the same.
pub(crate) type Kins = OrdMap<Kin, Arc<Queue>>;

/// All queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queues {
    shapes: OrdMap<Arc<Shape>, Kins>,
}

impl Queues {
    /// By what is asked for, higher priority first.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&Arc<Shape>, &Kins)> {
        self.shapes.iter()
    }

    /// The queue in which somebody stands.
    pub(crate) fn of(&self, waiter: &Waiter) -> Option<&Queue> {
        let queue = self.shapes.get(&Shape::of(waiter))?.get(&Kin::of(waiter))?;
        queue.members.contains(&waiter.ticket).then_some(&**queue)
    }

    pub(crate) fn add(&mut self, waiter: &Waiter) {
        let kins = self.shapes.entry(Arc::new(Shape::of(waiter))).or_default();
        let queue = Arc::make_mut(kins.entry(Kin::of(waiter)).or_default());
        queue.before = waiter.overtaken;
        queue.members.insert(waiter.ticket);
    }

    /// Takes somebody out; whether he stood in a queue.
    pub(crate) fn remove(&mut self, waiter: &Waiter) -> bool {
        let (shape, kin) = (Shape::of(waiter), Kin::of(waiter));
        let Some(kins) = self.shapes.get_mut(&shape) else { return false };
        let Some(queue) = kins.get_mut(&kin).filter(|queue| queue.members.contains(&waiter.ticket)) else {
            return false;
        };
        let queue = Arc::make_mut(queue);
        queue.remove(waiter.ticket);
        if queue.members.is_empty() {
            kins.remove(&kin);
            if kins.is_empty() {
                self.shapes.remove(&shape);
            }
        }
        true
    }

    pub(crate) fn overtake(&mut self, overtaking: &Overtaking) {
        for (shape, some) in &overtaking.queues {
            let Some(kins) = self.shapes.get_mut(shape) else { continue };
            for kin in some {
                if let Some(queue) = kins.get_mut(kin) {
                    Arc::make_mut(queue).passed_by(overtaking.winner);
                }
            }
        }
    }
}
