//! Exemptions: an administrator lets a container, or all of a person's, run on until a day, for a reason. Until then
//! the rules stop none of them; they are warned before that day as before any stop.

use crate::container::Container;
use crate::ids::{ContainerId, Time, Uid};
use crate::state::State;

/// What is exempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exempt {
    /// One container, for as long as it is there.
    Container(ContainerId),
    /// All containers of a person, those to come included.
    Person(Uid),
}

impl Exempt {
    /// Whether a container is meant.
    #[must_use]
    pub fn is_of(&self, container: &Container) -> bool {
        match self {
            Self::Container(id) => container.id == *id,
            Self::Person(owner) => container.owner == *owner,
        }
    }
}

/// An exemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// What is exempt.
    pub of: Exempt,
    /// Whose container it is, or who the person is: his login name.
    pub owner_name: String,
    /// The container's name; empty for a person.
    pub name: String,
    /// Until then.
    pub until: Time,
    /// Why.
    pub reason: String,
    /// The administrator who said so.
    pub by: String,
    /// When he said so.
    pub at: Time,
}

impl State {
    /// The exemptions that hold now.
    pub fn exemptions(&self, now: Time) -> impl Iterator<Item = &Exemption> {
        self.all_exemptions().filter(move |exemption| exemption.until > now)
    }

    /// The exemption that holds for a container now: the one that holds longest.
    #[must_use]
    pub fn exemption_of(&self, container: &Container, now: Time) -> Option<&Exemption> {
        let of = [Exempt::Container(container.id.clone()), Exempt::Person(container.owner)];
        let found = of.iter().filter_map(|of| self.exemption(of));
        found.filter(|exemption| exemption.until > now).max_by_key(|exemption| exemption.until)
    }
}
