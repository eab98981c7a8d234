//! What is told of events: one entry for each that somebody may want to read, and one stint for each time that a
//! container held units.
//!
//! Both are taken from an event and the state before it, while the names that they speak of are still known. They
//! decide nothing: a state is the same without them.

use std::fmt;
use std::time::Duration;

use crate::container::Container;
use crate::course::{Cause, Stage};
use crate::event::{Event, LeftWhy};
use crate::exempt::{Exempt, Exemption};
use crate::grant::{Holding, Phase};
use crate::ids::{ContainerId, Epoch, Time, Uid, UnitId, Weight};
use crate::outsiders::{Outsider, ProcessId, Turn};
use crate::state::State;
use crate::text;
use crate::unit::Health;

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The container; `None` where all of a person's are meant.
    pub container: Option<ContainerId>,
    /// Its name, without Docker's slash.
    pub name: String,
    /// Its owner.
    pub owner: Uid,
    /// His login name.
    pub owner_name: String,
}

impl About {
    fn of(container: &Container) -> Self {
        Self {
            container: Some(container.id.clone()),
            name: container.name.clone(),
            owner: container.owner,
            owner_name: container.owner_name.clone(),
        }
    }
}

/// What kind of thing happened: one stable word for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A start waits in line.
    Queued,
    /// It waits no more, and was given nothing.
    Left,
    /// It was given units.
    Granted,
    /// A container was found with units that nobody had recorded.
    Adopted,
    /// Its run is over.
    Ended,
    /// Its units are free again.
    Released,
    /// Its owner was warned of a stop.
    Warned,
    /// The stop is off.
    Spared,
    /// It would have been stopped, were stops carried out.
    WouldStop,
    /// The rules stop it.
    Stopped,
    /// Its owner asked for time.
    Kept,
    /// An administrator let it run on.
    Exempted,
    /// He took that back.
    NotExempted,
    /// A unit became fit or unfit for granting.
    Unit,
    /// A program computes on a unit that it was not granted.
    Ungranted,
    /// It does so no more.
    Cleared,
}

impl What {
    /// Every one.
    pub const ALL: [Self; 16] = [
        Self::Queued,
        Self::Left,
        Self::Granted,
        Self::Adopted,
        Self::Ended,
        Self::Released,
        Self::Warned,
        Self::Spared,
        Self::WouldStop,
        Self::Stopped,
        Self::Kept,
        Self::Exempted,
        Self::NotExempted,
        Self::Unit,
        Self::Ungranted,
        Self::Cleared,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Left => "left",
            Self::Granted => "granted",
            Self::Adopted => "adopted",
            Self::Ended => "ended",
            Self::Released => "released",
            Self::Warned => "warned",
            Self::Spared => "spared",
            Self::WouldStop => "would-stop",
            Self::Stopped => "stopped",
            Self::Kept => "kept",
            Self::Exempted => "exempted",
            Self::NotExempted => "not-exempted",
            Self::Unit => "unit",
            Self::Ungranted => "ungranted",
            Self::Cleared => "cleared",
        }
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// What happened.
    pub what: What,
    /// To whom; `None` where it is the machine's own business.
    pub about: Option<About>,
    /// The units that it is about, as people call them.
    pub units: Vec<String>,
    /// The rest, in half a sentence.
    pub text: String,
}

/// One time that a container held units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stint {
    /// The grant.
    pub epoch: Epoch,
    /// Whose it was.
    pub about: About,
    /// The units, as people call them.
    pub units: Vec<String>,
    /// What they weigh.
    pub weight: Weight,
    /// From the grant.
    pub from: Time,
    /// Until they were free; `None` while it holds them.
    pub until: Option<Time>,
    /// How it ended; `None` while it goes on.
    pub ending: Option<Ending>,
}

/// How a stint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The start came to nothing.
    NotStarted,
    /// The program ended by itself, with this code where it is known.
    Exited(Option<i32>),
    /// Its owner stopped it.
    ByUser,
    /// Its owner stopped it and had it removed.
    Retired,
    /// The rules stopped it.
    Stopped(Cause),
}

/// What the journal keeps of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A line.
    Entry(Box<Entry>),
    /// A stint that is over, but for the clearing of its units.
    Stint(Box<Stint>),
    /// The units of a stint are free again.
    Freed {
        /// The grant.
        epoch: Epoch,
        /// When.
        at: Time,
    },
    /// The container of an earlier stint was removed by then.
    Removed {
        /// The container.
        container: ContainerId,
        /// When.
        at: Time,
    },
}

/// What is to be kept of an event, by the state before it.
#[must_use]
pub fn notes(before: &State, event: &Event, now: Time) -> Vec<Note> {
    let entry = entry(before, event, now).map(|entry| Note::Entry(Box::new(entry)));
    entry.into_iter().chain(of_stint(before, event)).collect()
}

/// What is to be kept of a program on units that it was not granted. Its container's owner reads it too.
#[must_use]
pub fn note_of(state: &State, turn: &Turn, now: Time) -> Note {
    let (what, outsider) = match turn {
        Turn::Came(outsider) => (What::Ungranted, outsider),
        Turn::Stopped { outsider, .. } => (What::Stopped, outsider),
        Turn::Gone { outsider, .. } => (What::Cleared, outsider),
    };
    let about = outsider.container.as_ref().and_then(|id| state.container(id)).map(About::of);
    let Outsider { process: ProcessId { pid, .. }, name, user, .. } = outsider;
    let (process, outside) = match about {
        Some(_) => (format!("its process {pid} ({name})"), ""),
        None => (format!("process {pid} ({name}) of {user}"), ", outside of DS01"),
    };
    let text = match turn {
        Turn::Came(_) => format!("{process} computes on it without a grant{outside}"),
        Turn::Stopped { since, .. } => format!(
            "stopped: {process} has computed on it without a grant for {}",
            text::short(now.since(*since))
        ),
        Turn::Gone { since, .. } => {
            format!("{process} is no longer on it, after {}", text::short(now.since(*since)))
        }
    };
    let units = outsider.units.iter().map(|unit| state.label(unit)).collect();
    Note::Entry(Box::new(Entry { at: now, what, about, units, text }))
}

/// The stints that go on.
pub fn stints(state: &State) -> impl Iterator<Item = Stint> {
    state.holdings().filter_map(|holding| stint(state, holding))
}

fn stint(state: &State, holding: &Holding) -> Option<Stint> {
    Some(Stint {
        epoch: holding.epoch,
        about: About::of(state.container(&holding.container)?),
        units: labels(state, &holding.units),
        weight: state.weight_of(&holding.units),
        from: holding.since,
        until: None,
        ending: None,
    })
}

/// What an event says of how long units were held, and how that ended.
fn of_stint(before: &State, event: &Event) -> Option<Note> {
    let held = |id: &ContainerId| before.holding(id).filter(|held| held.phase != Phase::Ending);
    let over = |held: &Holding, at: Time, ending: Ending| {
        let stint = Stint { until: Some(at), ending: Some(ending), ..stint(before, held)? };
        Some(Note::Stint(Box::new(stint)))
    };
    match event {
        Event::Ended { container, epoch, at, exit, by_user } => {
            let held = held(container).filter(|held| held.epoch == *epoch)?;
            over(held, *at, ending(held.phase, before.container(container)?, *exit, *by_user))
        }
        Event::Removed { container, at } => match held(container) {
            Some(held) => {
                let asked = before.container(container)?.stop_asked;
                over(held, *at, if asked { Ending::Retired } else { Ending::Exited(None) })
            }
            None => Some(Note::Removed { container: container.clone(), at: *at }),
        },
        Event::Released { container, epoch, at } => match held(container) {
            Some(held) if held.epoch == *epoch => {
                over(held, *at, ending(held.phase, before.container(container)?, None, false))
            }
            Some(_) => None,
            None => Some(Note::Freed { epoch: *epoch, at: *at }),
        },
        // What it was believed to hold ends here, and what it was found with begins.
        Event::Adopted { container, at, .. } => over(held(container)?, *at, Ending::Exited(None)),
        _ => None,
    }
}

fn ending(phase: Phase, container: &Container, exit: Option<i32>, by_user: bool) -> Ending {
    match container.stopping {
        _ if phase != Phase::Running => Ending::NotStarted,
        _ if by_user || container.stop_asked => Ending::ByUser,
        Some(cause) => Ending::Stopped(cause),
        None => Ending::Exited(exit),
    }
}

fn labels(state: &State, units: &[UnitId]) -> Vec<String> {
    units.iter().map(|unit| state.label(unit)).collect()
}

/// The line for an event; `None` for those that nobody reads.
fn entry(before: &State, event: &Event, now: Time) -> Option<Entry> {
    let known = |id: &ContainerId| before.container(id);
    let held = |id: &ContainerId| before.holding(id).map(|held| labels(before, &held.units));
    let of = |id: &ContainerId, at: Time, what: What, text: String| {
        let units = held(id).unwrap_or_default();
        Some(Entry { at, what, about: Some(About::of(known(id)?)), units, text })
    };
    let current =
        |id: &ContainerId, epoch: Epoch| before.holding(id).filter(|holding| holding.epoch == epoch);
    match event {
        Event::Queued(waiter) => {
            let text = format!("waits for {}, place {}", waiter.want.in_words(before), before.waiting() + 1);
            of(&waiter.container, waiter.arrived, What::Queued, text)
        }
        Event::Left { ticket, why } => {
            let waiter = before.waiter(*ticket)?;
            let waited = text::short(now.since(waiter.arrived));
            let text = match why {
                LeftWhy::Denied => format!("got no GPU: its wait ended after {waited}"),
                LeftWhy::Cancelled => format!("gave up after {waited}"),
            };
            of(&waiter.container, now, What::Left, text)
        }
        Event::Reserved(grant) => {
            let about = About::of(known(grant.container())?);
            let waited = before.waiter_of(grant.container()).map(|waiter| grant.at().since(waiter.arrived));
            let text = match waited {
                Some(waited) => format!("after a wait of {}", text::short(waited)),
                None => String::new(),
            };
            let units = labels(before, grant.units());
            Some(Entry { at: grant.at(), what: What::Granted, about: Some(about), units, text })
        }
        Event::Adopted { container, owner, owner_name, name, units, at, .. } => {
            let about = known(container).map(About::of).unwrap_or_else(|| About {
                container: Some(container.clone()),
                name: name.clone(),
                owner: *owner,
                owner_name: owner_name.clone(),
            });
            let text = "was found with them, and nobody had recorded it".to_owned();
            let units = labels(before, units);
            Some(Entry { at: *at, what: What::Adopted, about: Some(about), units, text })
        }
        Event::Ended { container, epoch, at, exit, by_user } => {
            let phase = current(container, *epoch)?.phase;
            if phase == Phase::Ending {
                return None;
            }
            let text = ending(phase, known(container)?, *exit, *by_user).to_string();
            of(container, *at, What::Ended, text)
        }
        Event::Released { container, epoch, at } => {
            let held_for = at.since(current(container, *epoch)?.since);
            of(container, *at, What::Released, format!("held for {}", text::short(held_for)))
        }
        Event::Warned { container, cause, stage, stop_at, at, .. } => {
            let stage = match stage {
                Stage::Half => "half of its time is over",
                Stage::Soon => "first warning",
                Stage::Last => "last warning",
            };
            let left = text::short(stop_at.since(*at));
            of(container, *at, What::Warned, format!("is to be stopped in {left} ({cause}), {stage}"))
        }
        Event::Spared { container, at, .. } => {
            of(container, *at, What::Spared, "it works again, or was given time".to_owned())
        }
        Event::WouldStop { container, cause, at, .. } => {
            of(container, *at, What::WouldStop, format!("{cause}; DS01 only observes"))
        }
        Event::StopDecided { container, cause, at, .. } => {
            of(container, *at, What::Stopped, format!("by DS01: {cause}"))
        }
        Event::Kept { container, until, at } => {
            let text = match until.since(*at) {
                Duration::ZERO => "no longer kept".to_owned(),
                length => format!("for {}", text::short(length)),
            };
            of(container, *at, What::Kept, text)
        }
        Event::Exempted(exemption) => {
            let until = text::short(exemption.until.since(exemption.at));
            let text = format!("for {until}, by {}: {}", exemption.by, exemption.reason);
            of_exemption(before, exemption, exemption.at, What::Exempted, text)
        }
        Event::ExemptionOver { of, by, at } => of_exemption(
            before,
            before.exemption(of)?,
            *at,
            What::NotExempted,
            format!("any longer, by {by}"),
        ),
        Event::Health { unit, health, at } => {
            let text = match health {
                Health::Available => "is in order again",
                Health::Dirty => "is free, and something still uses it: nobody gets it yet",
                Health::Draining => "is still used by something that should have ended: a person has to look",
                Health::Lost => "is gone, and a container holds it",
            };
            Some(of_unit(before, unit, *at, text))
        }
        Event::UnitGone { unit, at } => Some(of_unit(before, unit, *at, "is gone from the machine")),
        _ => None,
    }
}

fn of_exemption(before: &State, exemption: &Exemption, at: Time, what: What, text: String) -> Option<Entry> {
    let about = match &exemption.of {
        Exempt::Container(id) => About::of(before.container(id)?),
        Exempt::Person(owner) => About {
            container: None,
            name: String::new(),
            owner: *owner,
            owner_name: exemption.owner_name.clone(),
        },
    };
    Some(Entry { at, what, about: Some(about), units: Vec::new(), text })
}

fn of_unit(before: &State, unit: &UnitId, at: Time, text: &str) -> Entry {
    Entry { at, what: What::Unit, about: None, units: vec![before.label(unit)], text: text.to_owned() }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("did not start"),
            Self::Exited(Some(0)) => f.write_str("ended"),
            Self::Exited(Some(code)) => write!(f, "ended with error {code}"),
            Self::Exited(None) => f.write_str("ended, nobody saw how"),
            Self::ByUser => f.write_str("stopped by its user"),
            Self::Retired => f.write_str("retired"),
            Self::Stopped(Cause::Idle) => f.write_str("stopped: idle"),
            Self::Stopped(Cause::Demand) => f.write_str("stopped: idle, and somebody waited"),
            Self::Stopped(Cause::Runtime) => f.write_str("stopped: maximum run time"),
        }
    }
}
