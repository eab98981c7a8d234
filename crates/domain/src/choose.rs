//! Which units would do for a want, which of them to take, and whether the limits allow it.
//!
//! The smallest sufficient units are taken. Nothing here knows of the line: whoever calls says what may be taken.

use crate::denial::{Denial, Quota};
use crate::grant::{Choice, Phase};
use crate::ids::{ContainerId, Time, Uid, UnitId, Weight};
use crate::policy::Limits;
use crate::shelf::{Measure, Shelf, Smallest, Steps};
use crate::state::{State, UnitRecord};
use crate::unit::{Health, Place, Unit, weigh};
use crate::want::{Ask, Selector, Want};

/// A want, ready to be compared with units.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) want: &'a Want,
    measure: Measure,
    /// The units that it names.
    named: Option<Vec<UnitId>>,
}

/// On which shelf to look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Among {
    /// All units that are not lost, whoever holds them.
    Present,
    /// Those that can be granted now.
    Free,
}

impl Among {
    fn shelf(self, state: &State) -> &Shelf {
        match self {
            Self::Present => state.present(),
            Self::Free => state.free(),
        }
    }
}

impl<'a> Wanted<'a> {
    /// A want of somebody who may or may not take whole cards.
    pub(crate) fn new(want: &'a Want, allow_full: bool) -> Self {
        let named = match &want.ask {
            Ask::Count(_) => None,
            Ask::Named(selectors) => Some(selectors.iter().filter_map(unit_id).collect()),
        };
        Self { want, measure: Measure::of(want, allow_full), named }
    }

    /// Whether a unit would do.
    pub(crate) fn takes(&self, unit: &Unit) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(&unit.id)) && self.measure.takes(unit)
    }

    /// How many would do.
    pub(crate) fn count(&self, state: &State, among: Among) -> usize {
        match &self.named {
            None => among.shelf(state).count(&self.measure),
            Some(named) => self.named_units(state, named, among).len(),
        }
    }

    /// Those that would do, smallest first.
    pub(crate) fn smallest<'s>(&self, state: &'s State, among: Among) -> Sufficient<'s> {
        match &self.named {
            None => Sufficient::Any(among.shelf(state).smallest(&self.measure)),
            Some(named) => Sufficient::Named(self.named_units(state, named, among).into_iter()),
        }
    }

    fn named_units<'s>(&self, state: &'s State, named: &[UnitId], among: Among) -> Vec<&'s UnitRecord> {
        let mut units: Vec<&UnitRecord> = named
            .iter()
            .filter_map(|id| state.record(id))
            .filter(|record| match among {
                Among::Present => record.health != Health::Lost,
                Among::Free => state.unit(&record.unit.id).is_some_and(|view| view.is_free()),
            })
            .filter(|record| self.measure.takes(&record.unit))
            .collect();
        units.sort_by_key(|record| (record.unit.weight, record.unit.memory_mib, record.unit.place()));
        units.dedup_by_key(|record| &record.unit.id);
        units
    }

    /// How many present units of each weight would do; `None` where each has to be looked at.
    fn steps(&self, state: &State) -> Option<Steps> {
        self.named.is_none().then(|| state.present().steps(&self.measure))
    }
}

/// What is sure about a quota without looking at units one by one: all who ask for the same are judged by it.
#[derive(Debug)]
pub(crate) struct Estimate {
    asked: usize,
    steps: Option<Steps>,
}

impl Estimate {
    pub(crate) fn new(state: &State, wanted: &Wanted<'_>) -> Self {
        Self { asked: wanted.want.units(), steps: wanted.steps(state) }
    }

    /// Whether somebody who holds so much, in so many units, surely may start within this quota and these slots.
    pub(crate) fn allows(&self, held: (Weight, usize), max: Option<Weight>, slots: Option<u32>) -> bool {
        let Some(steps) = &self.steps else { return false };
        if slots.is_some_and(|slots| self.asked > usize::try_from(slots).unwrap_or(usize::MAX)) {
            return false;
        }
        let (weight, units) = held;
        match max {
            None => steps.count() >= self.asked,
            Some(max) => steps
                .weight_at_most(units, self.asked)
                .is_some_and(|rest| u64::from(weight.as_milli()) + rest <= u64::from(max.as_milli())),
        }
    }

    /// Whether somebody who holds so much surely could use a unit that he does not hold.
    fn allows_with(&self, unit: &Unit, held: (Weight, usize), max: Option<Weight>) -> bool {
        let more = self.asked.saturating_sub(1);
        let (weight, units) = held;
        let rest = match &self.steps {
            _ if more == 0 => Some(0),
            Some(steps) => steps.weight_at_most(units + 1, more),
            None => None,
        };
        let most = rest.map(|rest| rest + u64::from(weight.as_milli()) + u64::from(unit.weight.as_milli()));
        most.is_some_and(|most| max.is_none_or(|max| most <= u64::from(max.as_milli())))
    }
}

/// Units that would do, smallest first.
pub(crate) enum Sufficient<'s> {
    Any(Smallest<'s>),
    Named(std::vec::IntoIter<&'s UnitRecord>),
}

impl<'s> Iterator for Sufficient<'s> {
    type Item = &'s UnitRecord;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Any(units) => units.next(),
            Self::Named(units) => units.next(),
        }
    }
}

/// One container's want, with all that it is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) state: &'a State,
    pub(crate) container: Option<&'a ContainerId>,
    pub(crate) owner: Uid,
    pub(crate) owner_name: &'a str,
    pub(crate) wanted: &'a Wanted<'a>,
    pub(crate) limits: &'a Limits,
}

impl<'a> Claim<'a> {
    /// Denies what can never be: more than the machine has, or than the limits allow whatever is held.
    pub(crate) fn judge_ever(&self) -> Result<(), Denial> {
        let asked = self.asked();
        if let Some(max) = self.limits.max_gpu_slots_per_container
            && asked > usize::try_from(max).unwrap_or(usize::MAX)
        {
            return Err(Denial::Slots { asked, max });
        }
        let allowed = self.wanted.count(self.state, Among::Present);
        if allowed < asked {
            return Err(self.too_few(allowed));
        }
        let Some(max) = self.limits.max_gpu_equivalents else { return Ok(()) };
        let least = weigh(self.sufficient().take(asked));
        if least > max {
            return Err(Denial::Quota(Box::new(self.quota(least, max, Weight::ZERO))));
        }
        Ok(())
    }

    /// Says why so few units would do: the machine has no more, or the rest are whole cards that he may not take.
    fn too_few(&self, allowed: usize) -> Denial {
        let fitting = Wanted::new(self.wanted.want, true).count(self.state, Among::Present);
        if fitting < self.asked() {
            return self.never(fitting);
        }
        let largest = if allowed == 0 { None } else { Some(allowed) };
        Denial::FullGpu { want: self.wanted.want.in_words(self.state), without: largest }
    }

    /// Denies what the quota does not allow now, because of what the owner's running containers hold.
    pub(crate) fn judge_now(&self) -> Result<(), Denial> {
        self.judge_ever()?;
        let Some(max) = self.limits.max_gpu_equivalents else { return Ok(()) };
        // What has ended is about to be released: it is waited for, not held against him.
        let running = self.others(|phase| phase != Phase::Ending);
        let held = weigh(running.iter().copied());
        let asked = self.asked();
        let rest: Vec<&Unit> = self.sufficient().filter(|unit| !holds(&running, unit)).take(asked).collect();
        let least = if rest.len() < asked {
            held + weigh(self.sufficient().take(asked))
        } else {
            weigh(running.iter().copied().chain(rest))
        };
        if least > max {
            return Err(Denial::Quota(Box::new(self.quota(least.saturating_sub(held), max, held))));
        }
        Ok(())
    }

    /// The units to take of those that are free and may be taken, or `None` if they do not suffice or would exceed the
    /// quota.
    pub(crate) fn choose(&self, now: Time, may: impl Fn(&Unit) -> bool) -> Option<Choice> {
        let asked = self.asked();
        let others = self.others(|_| true);
        let fits = |units: &[&UnitRecord]| {
            units.len() == asked && self.is_within_quota(&others, units.iter().map(|record| &*record.unit))
        };
        let smallest = self.best(asked, now, &may);
        // His own last unit comes first, unless only smaller ones fit into the quota.
        let mut own = self.own(now, &may);
        own.sort_by_key(|record| self.rank(record, now));
        let preferred: Vec<&UnitRecord> = match own.is_empty() {
            true => smallest.clone(),
            false => {
                let rest = self.best(asked, now, &|unit| {
                    may(unit) && !own.iter().any(|record| record.unit.id == unit.id)
                });
                own.into_iter().chain(rest).take(asked).collect()
            }
        };
        let units =
            Some(preferred).filter(|units| fits(units)).or(Some(smallest).filter(|units| fits(units)))?;
        let mut units: Vec<&Unit> = units.into_iter().map(|record| &*record.unit).collect();
        units.sort_by_key(|unit| self.position(unit));
        Some(Choice {
            weight: weigh(units.iter().copied()),
            units: units.into_iter().map(|unit| unit.id.clone()).collect(),
            hold_after_stop: self.limits.gpu_hold_after_stop,
            overtook: None,
        })
    }

    /// The free units that this container had last and that are still kept for it.
    fn own(&self, now: Time, may: &impl Fn(&Unit) -> bool) -> Vec<&'a UnitRecord> {
        let kept = self.container.map_or(&[][..], |container| self.state.kept_for(container));
        kept.iter()
            .filter(|id| self.state.unit(id).is_some_and(|view| view.is_free()))
            .filter_map(|id| self.state.record(id))
            .filter(|record| record.preferred.as_ref().is_some_and(|kept| kept.until > now))
            .filter(|record| self.wanted.takes(&record.unit) && may(&record.unit))
            .collect()
    }

    /// The best free units by rank, no more than so many.
    fn best(&self, many: usize, now: Time, may: &impl Fn(&Unit) -> bool) -> Vec<&'a UnitRecord> {
        let mut best: Vec<&UnitRecord> = Vec::new();
        let tiers = match &self.wanted.named {
            None => self.state.free().tiers(&self.wanted.measure).map(Sufficient::Any).collect(),
            Some(_) => vec![self.wanted.smallest(self.state, Among::Free)],
        };
        for tier in tiers {
            if best.len() >= many {
                break;
            }
            let mut units: Vec<&UnitRecord> = tier.filter(|record| may(&record.unit)).collect();
            units.sort_by_key(|record| self.rank(record, now));
            best.extend(units.into_iter().take(many - best.len()));
        }
        best
    }

    /// Whether this unit could be part of what he gets, were enough others free.
    pub(crate) fn could_use(&self, unit: &Unit) -> bool {
        if !self.wanted.takes(unit) {
            return false;
        }
        let others = self.others(|_| true);
        if holds(&others, unit) {
            return false;
        }
        let more = self.asked().saturating_sub(1);
        let rest = self.sufficient().filter(|other| other.id != unit.id && !holds(&others, other)).take(more);
        let units: Vec<&Unit> = std::iter::once(unit).chain(rest).collect();
        units.len() == self.asked() && self.is_within_quota(&others, units.into_iter())
    }

    /// The same for a unit that is free and would do, where it can be told from an estimate.
    pub(crate) fn could_surely_use(&self, unit: &Unit, estimate: &Estimate) -> bool {
        let account = self.state.account(self.owner);
        let held = account.map_or((Weight::ZERO, 0), |account| (account.total(), account.count()));
        estimate.allows_with(unit, held, self.limits.max_gpu_equivalents)
    }

    /// All units that would do and that the limits allow, smallest first, whoever holds them.
    pub(crate) fn sufficient(&self) -> impl Iterator<Item = &'a Unit> + use<'a> {
        self.wanted.smallest(self.state, Among::Present).map(|record| &*record.unit)
    }

    fn asked(&self) -> usize {
        self.wanted.want.units()
    }

    /// The order in which units are taken, but for his own container's last ones: the smallest; among equals those that
    /// are kept for him, then those kept for nobody, then those kept for others.
    fn rank(&self, record: &'a UnitRecord, now: Time) -> (Weight, u64, u8, Place<'a>) {
        let kept_for = match record.preferred.as_ref().filter(|preference| preference.until > now) {
            Some(preference) if preference.owner == self.owner => 0,
            None => 1,
            Some(_) => 2,
        };
        (record.unit.weight, record.unit.memory_mib, kept_for, record.unit.place())
    }

    /// Where the container sees a unit: as it named them, else as people count them.
    fn position<'u>(&self, unit: &'u Unit) -> (usize, Place<'u>) {
        let named = match &self.wanted.want.ask {
            Ask::Named(selectors) => selectors.iter().position(|s| unit_id(s).as_ref() == Some(&unit.id)),
            Ask::Count(_) => None,
        };
        (named.unwrap_or(0), unit.place())
    }

    fn is_within_quota<'u>(&self, others: &[&'u Unit], units: impl Iterator<Item = &'u Unit>) -> bool {
        let Some(max) = self.limits.max_gpu_equivalents else { return true };
        weigh(others.iter().copied().chain(units)) <= max
    }

    /// The units of the owner's other containers whose holdings are in such a phase.
    fn others(&self, which: impl Fn(Phase) -> bool) -> Vec<&'a Unit> {
        let Some(account) = self.state.account(self.owner) else { return Vec::new() };
        account.units(|entry| Some(&entry.container) != self.container && which(entry.phase)).collect()
    }

    fn never(&self, fitting: usize) -> Denial {
        let want = self.wanted.want.in_words(self.state);
        Denial::Never { want, fitting, machine: inventory(self.state) }
    }

    fn quota(&self, asked: Weight, max: Weight, held: Weight) -> Quota {
        let containers = match held {
            Weight::ZERO => Vec::new(),
            _ => running_names(self.state, self.owner, self.container),
        };
        Quota {
            owner_name: self.owner_name.to_owned(),
            want: self.wanted.want.in_words(self.state),
            asked,
            held,
            max,
            containers,
        }
    }
}

fn holds(units: &[&Unit], unit: &Unit) -> bool {
    units.iter().any(|held| held.id == unit.id)
}

/// All units that meet a want, smallest first, whoever holds them and whoever asks.
#[must_use]
pub fn fitting<'a>(state: &'a State, want: &Want) -> Vec<&'a Unit> {
    Wanted::new(want, true).smallest(state, Among::Present).map(|record| &*record.unit).collect()
}

/// The names of a user's containers that hold units, but for one that is about to start.
pub(crate) fn running_names(state: &State, owner: Uid, but: Option<&ContainerId>) -> Vec<String> {
    let Some(account) = state.account(owner) else { return Vec::new() };
    let mut names: Vec<String> = account
        .entries()
        .iter()
        .filter(|entry| !entry.is_ending() && Some(&entry.container) != but)
        .map(|entry| match state.container(&entry.container) {
            Some(container) => container.name.clone(),
            None => entry.container.short().to_owned(),
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
    let mut units: Vec<&Unit> = present(state).filter(|unit| which(unit)).collect();
    units.sort_by_key(|unit| unit.place());
    units.into_iter().map(Unit::description).collect::<Vec<_>>().join(", ")
}

fn present(state: &State) -> impl Iterator<Item = &Unit> {
    state.records().filter(|record| record.health != Health::Lost).map(|record| &*record.unit)
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
    let exactly = unit_id(selector).and_then(|id| state.record(&id));
    if let Some(record) = exactly.filter(|record| record.health != Health::Lost) {
        return Ok(&record.unit.id);
    }
    let found = present(state).find(|unit| match selector {
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
