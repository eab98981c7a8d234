//! A state as the fewest events that give it again, so that a ledger need not grow for ever.

use super::State;
use crate::event::{Carried, Event};
use crate::unit::{Health, Unit};

impl State {
    /// Events that, applied to an empty state, give what is durable of this one.
    #[must_use]
    pub fn to_events(&self) -> Vec<Event> {
        let mut events =
            vec![Event::Carried(Carried::Counters { last_epoch: self.last_epoch, latest: self.latest })];
        for record in self.units.values() {
            events.push(Event::UnitSeen(Unit::clone(&record.unit)));
            let unit = record.unit.id.clone();
            if record.health != Health::Available {
                let (health, at) = (record.health, record.since);
                events.push(Event::Health { unit: unit.clone(), health, at });
            }
            if let Some(preference) = record.preferred.clone() {
                events.push(Event::Carried(Carried::Preference { unit, preference }));
            }
        }
        events.extend(self.creates().cloned().map(|create| Event::CreatePlanned {
            token: create.token,
            owner: create.owner,
            owner_name: create.owner_name,
            name: create.name,
            kind: create.kind,
            want: create.want,
            restart: create.restart,
            auto_remove: create.auto_remove,
            at: create.at,
        }));
        let containers = self.containers().cloned();
        events.extend(containers.map(|container| Event::Carried(Carried::Container(Box::new(container)))));
        events.extend(self.holdings().cloned().map(|holding| Event::Carried(Carried::Holding(holding))));
        events.extend(self.all_exemptions().cloned().map(Event::Exempted));
        events.extend(self.keeps.iter().map(|(owner, span)| {
            let container = span.container.clone();
            Event::Carried(Carried::Keep { owner, container, from: span.from, until: span.until })
        }));
        events.extend(
            self.usage
                .iter()
                .map(|(owner, hour, amount)| Event::Carried(Carried::Usage { owner, hour, amount })),
        );
        events
    }
}
