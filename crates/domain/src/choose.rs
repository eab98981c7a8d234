//! Which units would do for a want, which of them to take, and whether the limits allow it.
//!
//! The smallest sufficient units are taken. Nothing here knows of the line: whoever calls says what may be taken.

use std::cmp::Reverse;

use crate::denial::{Denial, Quota};
use crate::grant::{Choice, Phase};
use crate::ids::{ContainerId, Time, Uid, UnitId, Weight};
use crate::policy::Limits;
use crate::state::{State, UnitView};
use crate::unit::{Health, Place, Unit, weigh};
use crate::want::{Ask, Selector, Want};

/// One container's want, with all that it is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) state: &'a State,
    pub(crate) container: Option<&'a ContainerId>,
    pub(crate) owner: Uid,
    pub(crate) owner_name: &'a str,
    pub(crate) want: &'a Want,
    pub(crate) limits: &'a Limits,
}

impl<'a> Claim<'a> {
    /// Denies what can never be: more than the machine has, or than the limits allow whatever is held.
    pub(crate) fn judge_ever(&self) -> Result<(), Denial> {
        let asked = self.want.units();
        if let Some(max) = self.limits.max_gpu_slots_per_container
            && asked > usize::try_from(max).unwrap_or(usize::MAX)
        {
            return Err(Denial::Slots { asked, max });
        }
        let fitting = self.fitting();
        if fitting.len() < asked {
            return Err(self.never(fitting.len()));
        }
        let allowed = self.sufficient();
        if allowed.len() < asked {
            let largest = if allowed.is_empty() { None } else { Some(allowed.len()) };
            return Err(Denial::FullGpu { want: self.want.in_words(self.state), without: largest });
        }
        let least = weigh(allowed.iter().take(asked).copied());
        match self.limits.max_gpu_equivalents {
            Some(max) if least > max => Err(Denial::Quota(Box::new(self.quota(least, max, Weight::ZERO)))),
            _ => Ok(()),
        }
    }

    /// Denies what the quota does not allow now, because of what the owner's running containers hold.
    pub(crate) fn judge_now(&self) -> Result<(), Denial> {
        self.judge_ever()?;
        let Some(max) = self.limits.max_gpu_equivalents else { return Ok(()) };
        // What has ended is about to be released: it is waited for, not held against him.
        let running = self.others(|phase| phase != Phase::Ending);
        let held = weigh(running.iter().copied());
        let asked = self.want.units();
        let sufficient = self.sufficient();
        let rest: Vec<&Unit> =
            sufficient.iter().copied().filter(|unit| !running.contains(unit)).take(asked).collect();
        let least = if rest.len() < asked {
            held + weigh(sufficient.into_iter().take(asked))
        } else {
            weigh(running.iter().copied().chain(rest))
        };
        if least > max {
            return Err(Denial::Quota(Box::new(self.quota(least.saturating_sub(held), max, held))));
        }
        Ok(())
    }

    /// The units to take of those that may be taken, or `None` if they do not suffice or would exceed the quota.
    pub(crate) fn choose(&self, free: &[UnitView<'a>], now: Time) -> Option<Choice> {
        let sufficient = self.sufficient();
        let mut pool: Vec<UnitView<'a>> =
            free.iter().copied().filter(|view| sufficient.contains(&view.unit)).collect();
        let asked = self.want.units();
        let mut take = |by_preference: bool| {
            pool.sort_by_key(|view| self.rank(view, now, by_preference));
            let units: Vec<&Unit> = pool.iter().take(asked).map(|view| view.unit).collect();
            (units.len() == asked && self.within_quota(&units)).then_some(units)
        };
        // His own last unit comes first, unless only smaller ones fit into the quota.
        let mut units = take(true).or_else(|| take(false))?;
        units.sort_by_key(|unit| self.position(unit));
        Some(Choice {
            weight: weigh(units.iter().copied()),
            units: units.into_iter().map(|unit| unit.id.clone()).collect(),
            hold_after_stop: self.limits.gpu_hold_after_stop,
            overtook: Vec::new(),
        })
    }

    /// Whether this unit could be part of what he gets, were enough others free.
    pub(crate) fn could_use(&self, unit: &Unit) -> bool {
        let sufficient = self.sufficient();
        let others = self.others(|_| true);
        if !sufficient.contains(&unit) || others.contains(&unit) {
            return false;
        }
        let rest = sufficient.into_iter().filter(|other| *other != unit && !others.contains(other));
        let units: Vec<&Unit> = std::iter::once(unit).chain(rest).take(self.want.units()).collect();
        units.len() == self.want.units() && self.within_quota(&units)
    }

    /// All units that would do and that the limits allow, smallest first, whoever holds them.
    pub(crate) fn sufficient(&self) -> Vec<&'a Unit> {
        let mut units = self.fitting();
        units.retain(|unit| self.limits.allow_full_gpu || !unit.is_full());
        units
    }

    /// All units that would do, smallest first, whoever holds them.
    fn fitting(&self) -> Vec<&'a Unit> {
        fitting(self.state, self.want)
    }

    /// The order in which units are taken: his own container's last ones, then the smallest; among equals those that
    /// are kept for him, then those kept for nobody, then those kept for others.
    fn rank(
        &self,
        view: &UnitView<'a>,
        now: Time,
        by_preference: bool,
    ) -> (Reverse<bool>, Weight, u64, u8, Place<'a>) {
        let kept = view.preferred.filter(|preference| preference.until > now);
        let own = by_preference && kept.is_some_and(|kept| Some(&kept.container) == self.container);
        let kept_for = match kept {
            Some(preference) if preference.owner == self.owner => 0,
            None => 1,
            Some(_) => 2,
        };
        (Reverse(own), view.unit.weight, view.unit.memory_mib, kept_for, view.unit.place())
    }

    /// Where the container sees a unit: as it named them, else as people count them.
    fn position(&self, unit: &'a Unit) -> (usize, Place<'a>) {
        let named = match &self.want.ask {
            Ask::Named(selectors) => selectors.iter().position(|s| unit_id(s).as_ref() == Some(&unit.id)),
            Ask::Count(_) => None,
        };
        (named.unwrap_or(0), unit.place())
    }

    fn within_quota(&self, units: &[&Unit]) -> bool {
        let Some(max) = self.limits.max_gpu_equivalents else { return true };
        let others = self.others(|_| true);
        weigh(others.into_iter().chain(units.iter().copied())) <= max
    }

    /// The units of the owner's other containers whose holdings are in such a phase.
    fn others(&self, which: impl Fn(Phase) -> bool) -> Vec<&'a Unit> {
        self.state
            .units_of(self.owner, |holding| {
                Some(&holding.container) != self.container && which(holding.phase)
            })
            .collect()
    }

    fn never(&self, fitting: usize) -> Denial {
        Denial::Never { want: self.want.in_words(self.state), fitting, machine: inventory(self.state) }
    }

    fn quota(&self, asked: Weight, max: Weight, held: Weight) -> Quota {
        let containers = match held {
            Weight::ZERO => Vec::new(),
            _ => running_names(self.state, self.owner, self.container),
        };
        Quota {
            owner_name: self.owner_name.to_owned(),
            want: self.want.in_words(self.state),
            asked,
            held,
            max,
            containers,
        }
    }
}

/// All units that meet a want, smallest first, whoever holds them and whoever asks.
#[must_use]
pub fn fitting<'a>(state: &'a State, want: &Want) -> Vec<&'a Unit> {
    let named: Option<Vec<UnitId>> = match &want.ask {
        Ask::Count(_) => None,
        Ask::Named(selectors) => Some(selectors.iter().filter_map(unit_id).collect()),
    };
    let model = want.model.as_ref().map(|model| model.to_lowercase());
    let mut units: Vec<&Unit> = state
        .units()
        .filter(|view| view.health != Health::Lost)
        .map(|view| view.unit)
        .filter(|unit| named.as_ref().is_none_or(|named| named.contains(&unit.id)))
        .filter(|unit| want.min_memory_mib.is_none_or(|least| unit.memory_mib >= least))
        .filter(|unit| !want.full || unit.is_full())
        .filter(|unit| model.as_ref().is_none_or(|name| unit.is_called(name)))
        .collect();
    units.sort_by_key(|unit| (unit.weight, unit.memory_mib, unit.place()));
    units
}

/// The names of a user's containers that hold units, but for one that is about to start.
pub(crate) fn running_names(state: &State, owner: Uid, but: Option<&ContainerId>) -> Vec<String> {
    let mut names: Vec<String> = state
        .holdings()
        .filter(|holding| holding.owner == owner && holding.phase != Phase::Ending)
        .filter(|holding| Some(&holding.container) != but)
        .map(|holding| match state.container(&holding.container) {
            Some(container) => container.name.clone(),
            None => holding.container.short().to_owned(),
        })
        .collect();
    names.sort();
    names
}

/// Every unit of the machine in words: `0 (NVIDIA A100), 1:0 (3g.40gb)`.
pub(crate) fn inventory(state: &State) -> String {
    describe(state, |_| true)
}

fn describe(state: &State, which: impl Fn(&Unit) -> bool) -> String {
    let mut units: Vec<&Unit> =
        state.units().filter(|view| view.health != Health::Lost).map(|view| view.unit).collect();
    units.retain(|unit| which(unit));
    units.sort_by_key(|unit| unit.place());
    units.into_iter().map(Unit::description).collect::<Vec<_>>().join(", ")
}

fn unit_id(selector: &Selector) -> Option<UnitId> {
    match selector {
        Selector::Uuid(uuid) => UnitId::new(uuid),
        Selector::Index(_) | Selector::Slice(..) => None,
    }
}

/// A want whose units are named by UUID alone, each once; `None` if it asks for nothing.
///
/// # Errors
/// A unit that does not exist, or a card that is cut into slices.
pub(crate) fn resolve(state: &State, want: &Want) -> Result<Option<Want>, Denial> {
    let ask = match &want.ask {
        Ask::Count(0) => return Ok(None),
        Ask::Count(count) => Ask::Count(*count),
        Ask::Named(selectors) => {
            let mut named = Vec::new();
            for selector in selectors {
                let uuid = Selector::Uuid(find(state, selector)?.to_string());
                if !named.contains(&uuid) {
                    named.push(uuid);
                }
            }
            if named.is_empty() {
                return Ok(None);
            }
            Ask::Named(named)
        }
    };
    Ok(Some(Want { ask, ..want.clone() }))
}

fn find<'a>(state: &'a State, selector: &Selector) -> Result<&'a UnitId, Denial> {
    let mut units = state.units().filter(|view| view.health != Health::Lost).map(|view| view.unit);
    let found = units.find(|unit| match selector {
        Selector::Index(index) => unit.slice.is_none() && unit.index == *index,
        Selector::Slice(card, ordinal) => {
            unit.index == *card && unit.slice.as_ref().is_some_and(|slice| slice.ordinal == *ordinal)
        }
        Selector::Uuid(uuid) => unit.id.as_str().eq_ignore_ascii_case(uuid),
    });
    if let Some(unit) = found {
        return Ok(&unit.id);
    }
    let slices = describe(state, |unit| match selector {
        Selector::Index(index) => unit.index == *index,
        Selector::Uuid(uuid) => unit.card.as_str().eq_ignore_ascii_case(uuid),
        Selector::Slice(..) => false,
    });
    Err(if slices.is_empty() {
        Denial::UnknownUnit { asked: selector.to_string(), exist: inventory(state) }
    } else {
        Denial::CutCard { asked: selector.to_string(), slices }
    })
}
