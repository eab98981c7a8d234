//! Programs on units that they were not granted: those of no container, and those of a container that holds other units.
//!
//! They are told of, once when they come and once when they go: who started them is for a person to find out. Only a
//! container is ever stopped for one of its programs, and only where the policy says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{ContainerId, Time, UnitId};
use crate::state::State;

/// A process that computes on units without a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outsider {
    /// Which process.
    pub process: ProcessId,
    /// What it calls itself.
    pub name: String,
    /// Whose it is, by login name: in a container the container's owner.
    pub user: String,
    /// The container that it is in; `None` where it is outside of all that are known.
    pub container: Option<ContainerId>,
    /// The units that it is on without a grant.
    pub units: BTreeSet<UnitId>,
}

/// One process, also after its number was given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId {
    /// Its number on the host.
    pub pid: u32,
    /// When it began, as the kernel counts.
    pub began: u64,
}

/// What is new about an outsider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has come.
    Came(Outsider),
    /// Its container is stopped for it.
    Stopped {
        /// Which one.
        outsider: Outsider,
        /// Since when it was known.
        since: Time,
    },
    /// It is gone, or was granted what it is on.
    Gone {
        /// Which one.
        outsider: Outsider,
        /// Since when it was known.
        since: Time,
    },
}

/// The units among these on which a process of this container is without a grant. Units that nobody knows are left out.
#[must_use]
pub fn ungranted(
    state: &State,
    container: Option<&ContainerId>,
    units: &BTreeSet<UnitId>,
) -> BTreeSet<UnitId> {
    let card_of = |id: &UnitId| state.unit(id).map(|view| view.unit.card.clone());
    // While it ends, too: its units are its own until they are free.
    let held = container.and_then(|id| state.holding(id)).map_or(&[][..], |holding| &holding.units);
    // Where the driver does not say on which slice of a card a process is, it counts as on all of them.
    let explained: BTreeSet<_> = units.iter().filter(|id| held.contains(id)).filter_map(card_of).collect();
    units.iter().filter(|id| card_of(id).is_some_and(|card| !explained.contains(&card))).cloned().collect()
}

/// Who is known to be on units without a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outsiders {
    known: BTreeMap<ProcessId, Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    outsider: Outsider,
    since: Time,
    /// Whether it was seen twice: once may be the moment between a grant and a look.
    told: bool,
    /// Whether it was told that its container is stopped.
    stopped: bool,
}

impl Outsiders {
    /// Goes on from those that were told of before.
    #[must_use]
    pub fn resumed(told: impl IntoIterator<Item = (Outsider, Time)>) -> Self {
        let known = |(outsider, since): (Outsider, Time)| {
            (outsider.process, Known { outsider, since, told: true, stopped: false })
        };
        Self { known: told.into_iter().map(known).collect() }
    }

    /// Those that were told of, and since when they are known.
    pub fn told(&self) -> impl Iterator<Item = (&Outsider, Time)> {
        self.known.values().filter(|known| known.told).map(|known| (&known.outsider, known.since))
    }

    /// Takes in who was found. `seen` are the units of which the driver told everybody who is on them: who is not found
    /// on another may be there still.
    pub fn look(&mut self, found: Vec<Outsider>, seen: &BTreeSet<UnitId>, now: Time) -> Vec<Turn> {
        let mut turns = Vec::new();
        let there: BTreeSet<ProcessId> = found.iter().map(|outsider| outsider.process).collect();
        self.known.retain(|process, known| {
            let stays = there.contains(process) || !known.outsider.units.is_subset(seen);
            if !stays && known.told {
                turns.push(Turn::Gone { outsider: known.outsider.clone(), since: known.since });
            }
            stays
        });
        for outsider in found {
            match self.known.get_mut(&outsider.process) {
                Some(known) => {
                    if !std::mem::replace(&mut known.told, true) {
                        turns.push(Turn::Came(outsider.clone()));
                    }
                    known.outsider = outsider;
                }
                None => {
                    let known = Known { outsider, since: now, told: false, stopped: false };
                    self.known.insert(known.outsider.process, known);
                }
            }
        }
        turns
    }

    /// The containers that have had a program on units without a grant for so long, and what is new about that: it is told
    /// once, and holds for as long as the program is there. `may` says of which containers this is so at all.
    pub fn overdue(
        &mut self,
        after: Duration,
        now: Time,
        may: impl Fn(&ContainerId) -> bool,
    ) -> (BTreeSet<ContainerId>, Vec<Turn>) {
        let (mut containers, mut turns) = (BTreeSet::new(), Vec::new());
        for known in self.known.values_mut().filter(|known| known.told && now.since(known.since) >= after) {
            let Some(container) = known.outsider.container.clone().filter(&may) else { continue };
            if !std::mem::replace(&mut known.stopped, true) {
                turns.push(Turn::Stopped { outsider: known.outsider.clone(), since: known.since });
            }
            containers.insert(container);
        }
        (containers, turns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitId {
        UnitId::new(name).unwrap()
    }

    fn outsider(pid: u32, units: &[&str]) -> Outsider {
        Outsider {
            process: ProcessId { pid, began: 7 },
            name: "python".to_owned(),
            user: "bob".to_owned(),
            container: None,
            units: units.iter().map(|name| unit(name)).collect(),
        }
    }

    #[test]
    fn told_once_when_it_comes_and_once_when_it_goes() {
        let seen = BTreeSet::from([unit("GPU-a")]);
        let (bob, mut all) = (outsider(5, &["GPU-a"]), Outsiders::default());
        assert_eq!(
            all.look(vec![bob.clone()], &seen, Time(10)),
            [],
            "once may be a moment between two looks"
        );
        assert_eq!(all.told().count(), 0);
        assert_eq!(all.look(vec![bob.clone()], &seen, Time(20)), [Turn::Came(bob.clone())]);
        assert_eq!(all.look(vec![bob.clone()], &seen, Time(30)), []);
        assert_eq!(all.told().collect::<Vec<_>>(), [(&bob, Time(10))]);
        // The driver says nothing of the unit: that is no news of who is on it.
        assert_eq!(all.look(vec![], &BTreeSet::new(), Time(40)), []);
        let gone = || Turn::Gone { outsider: bob.clone(), since: Time(10) };
        assert_eq!(all.look(vec![], &seen, Time(50)), [gone()]);
        assert_eq!(all.look(vec![], &seen, Time(60)), []);
        // A daemon that was restarted tells nothing again, and does not miss the end.
        let mut all = Outsiders::resumed([(bob.clone(), Time(10))]);
        assert_eq!(all.look(vec![bob.clone()], &seen, Time(70)), []);
        assert_eq!(all.look(vec![], &seen, Time(80)), [gone()]);
    }

    #[test]
    fn a_container_is_overdue_for_as_long_as_its_program_stays() {
        let seen = BTreeSet::from([unit("GPU-a")]);
        let of = |digit: &str| ContainerId::new(&digit.repeat(64)).unwrap();
        let own = |pid, container| Outsider { container, ..outsider(pid, &["GPU-a"]) };
        let (host, lab, bob) = (own(5, None), own(6, Some(of("a"))), own(7, Some(of("b"))));
        let all = || vec![host.clone(), lab.clone(), bob.clone()];
        let may = |container: &ContainerId| *container != of("a");
        let (mut known, after) = (Outsiders::default(), Duration::from_millis(20));
        known.look(all(), &seen, Time(10));
        assert_eq!(
            known.overdue(after, Time(90), may),
            (BTreeSet::new(), Vec::new()),
            "it was told to nobody"
        );
        known.look(all(), &seen, Time(20));
        assert_eq!(known.overdue(after, Time(29), may).0.len(), 0);
        let stopped = Turn::Stopped { outsider: bob.clone(), since: Time(10) };
        assert_eq!(known.overdue(after, Time(30), may), (BTreeSet::from([of("b")]), vec![stopped]));
        assert_eq!(known.overdue(after, Time(40), may), (BTreeSet::from([of("b")]), vec![]), "told once");
        known.look(vec![host.clone(), lab.clone()], &seen, Time(50));
        assert_eq!(known.overdue(after, Time(60), may), (BTreeSet::new(), Vec::new()));
    }

    #[test]
    fn a_number_that_another_process_has_now_is_another_process() {
        let seen = BTreeSet::from([unit("GPU-a")]);
        let bob = outsider(5, &["GPU-a"]);
        let mut all = Outsiders::resumed([(bob.clone(), Time(10))]);
        let other = Outsider { process: ProcessId { pid: 5, began: 8 }, ..bob.clone() };
        let gone = Turn::Gone { outsider: bob, since: Time(10) };
        assert_eq!(all.look(vec![other.clone()], &seen, Time(20)), [gone]);
        assert_eq!(all.look(vec![other.clone()], &seen, Time(30)), [Turn::Came(other)]);
    }
}
