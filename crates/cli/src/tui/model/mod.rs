//! What the dashboard knows and shows: the door's last answers, what happened, where the cursor is, what is being asked.
//!
//! Pure: news and keys in, commands out. It must never ask, draw, or read a clock.

mod curve;
mod keys;
mod rows;

use std::collections::{HashMap, VecDeque};

use ds01_api::{ContainerList, EventLine, GpuStats, Machine, Queue, Why};
use jiff::Zoned;

use crate::client::Usage;
use crate::failure::Failure;

pub(crate) use curve::Curve;
pub(crate) use rows::{Person, Row};

/// Lines of the journal that are kept.
const EVENTS_MAX: usize = 200;
/// A container is asked what it uses at every so many looks at the most: the Engine works for each answer.
const USE_LOOKS: u64 = 5;

/// What the door answered, all of it at one time.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// When.
    pub(crate) at: Zoned,
    pub(crate) machine: Machine,
    pub(crate) containers: ContainerList,
    pub(crate) queue: Queue,
    /// What the caller's containers do with their GPUs.
    pub(crate) stats: GpuStats,
}

/// What comes from the door.
#[derive(Debug)]
pub(crate) enum News {
    /// Everything, anew.
    Seen(Box<Snapshot>),
    /// Nothing: why.
    Trouble(String),
    /// A line of the journal.
    Happened(Box<EventLine>),
    /// What a container uses; nothing if nobody could say.
    Used(String, Option<Usage>),
    /// Why a container is as it is.
    Why(Result<Why, Failure>),
    /// What became of an act, in a sentence.
    Done(Result<String, Failure>),
}

/// What the model wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// To be told why the container of this id is as it is.
    Why { id: String },
    /// The container kept for so many seconds.
    Keep { id: String, name: String, seconds: u64 },
    /// The container stopped.
    Stop { id: String, name: String },
    /// The lists at once.
    Refresh,
    /// To be put into the background.
    Suspend,
    /// The end, with this exit code.
    Leave(u8),
}

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    Gpus,
    Containers,
    People,
    Line,
    Events,
}

impl Pane {
    /// In the order of Tab.
    pub(crate) const ALL: [Self; 5] = [Self::Gpus, Self::Containers, Self::People, Self::Line, Self::Events];
    /// Those that stand below the containers, beside each other or in each other's place.
    pub(crate) const BELOW: [Self; 3] = [Self::People, Self::Line, Self::Events];

    fn at(self) -> usize {
        self as usize
    }
}

/// What containers are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Age,
    Name,
    User,
    Use,
    Memory,
    Left,
}

impl Sort {
    const ALL: [Self; 6] = [Self::Age, Self::Name, Self::User, Self::Use, Self::Memory, Self::Left];

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Name => "name",
            Self::User => "user",
            Self::Use => "use",
            Self::Memory => "memory",
            Self::Left => "time left",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// A container that something is to be done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) id: String,
    /// What people call it.
    pub(crate) name: String,
}

/// What the keys mean just now.
#[derive(Debug)]
pub(crate) enum Mode {
    /// To look around.
    Look,
    /// To type a filter.
    Filter,
    /// To say for how long a container is to be kept.
    Keep { target: Target, text: String },
    /// To say whether a container is to be stopped.
    Stop { target: Target },
    /// To read why a container is as it is, once it is told.
    Why { target: Target, answer: Option<Result<Why, String>>, scroll: u16 },
    /// To read what the keys do.
    Help { scroll: u16 },
}

/// A sentence at the foot of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) text: String,
    /// Whether something did not go as it was asked for.
    pub(crate) bad: bool,
}

/// Where a list's cursor is.
#[derive(Debug, Clone, Default)]
struct Cursor {
    /// The row it is on, by name, so that it stays there when the list is sorted anew.
    key: Option<String>,
    /// Where that row was last.
    at: usize,
}

/// What the dashboard knows and shows.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) seen: Option<Snapshot>,
    /// Why there is nothing newer than `seen`.
    pub(crate) trouble: Option<String>,
    /// The newest first.
    pub(crate) events: VecDeque<EventLine>,
    /// What units did, by id.
    pub(crate) curves: HashMap<String, Curve>,
    /// What containers use, by id.
    pub(crate) usage: HashMap<String, Usage>,
    pub(crate) pane: Pane,
    /// Which of [`Pane::BELOW`] is seen where there is room for one.
    pub(crate) below: Pane,
    pub(crate) sort: Sort,
    pub(crate) filter: String,
    pub(crate) mode: Mode,
    pub(crate) message: Option<Message>,
    cursors: [Cursor; 5],
    /// Containers in the order in which they are to be asked about what they use, and at which look at the earliest.
    to_ask: VecDeque<(String, u64)>,
    /// How many looks there were.
    looks: u64,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            seen: None,
            trouble: None,
            events: VecDeque::new(),
            curves: HashMap::new(),
            usage: HashMap::new(),
            pane: Pane::Containers,
            below: Pane::Events,
            sort: Sort::Age,
            filter: String::new(),
            mode: Mode::Look,
            message: None,
            cursors: Default::default(),
            to_ask: VecDeque::new(),
            looks: 0,
        }
    }

    /// Takes in what the door says.
    pub(crate) fn hear(&mut self, news: News) {
        match news {
            News::Seen(snapshot) => self.see(*snapshot),
            News::Trouble(why) => {
                self.trouble = Some(why);
                // What is not known is a gap in the curves, not a line.
                self.curves.values_mut().for_each(|curve| curve.push(None, None));
            }
            News::Happened(line) => self.happened(*line),
            News::Used(id, usage) => {
                match usage {
                    Some(usage) => self.usage.insert(id, usage),
                    None => self.usage.remove(&id),
                };
            }
            News::Why(told) => {
                if let Mode::Why { answer, .. } = &mut self.mode {
                    *answer = Some(told.map_err(|failure| failure.error.message));
                }
            }
            News::Done(Ok(text)) => self.message = Some(Message { text, bad: false }),
            News::Done(Err(failure)) => {
                let hint = failure.error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.message = Some(Message { text: failure.error.message + &hint, bad: true });
            }
        }
    }

    fn see(&mut self, snapshot: Snapshot) {
        self.trouble = None;
        self.looks += 1;
        let units = || snapshot.machine.cards.iter().flat_map(|card| &card.units);
        for unit in units() {
            let memory = unit.figures.memory_used_mib.map(|used| percent(used, unit.unit.memory_mib));
            let busy = unit.figures.utilization_percent.map(|busy| percent(busy.into(), 100));
            self.curves.entry(unit.unit.id.clone()).or_default().push(busy, memory);
        }
        self.curves.retain(|id, _| units().any(|unit| unit.unit.id == *id));
        let alive: Vec<&String> = snapshot
            .containers
            .containers
            .iter()
            .filter(|one| one.state.is_alive())
            .map(|one| &one.id)
            .collect();
        self.usage.retain(|id, _| alive.contains(&id));
        self.to_ask.retain(|(id, _)| alive.contains(&id));
        for id in alive {
            if !self.to_ask.iter().any(|(known, _)| known == id) {
                // Nobody knows yet what it uses.
                self.to_ask.push_front((id.clone(), 0));
            }
        }
        self.seen = Some(snapshot);
        self.settle_cursors();
    }

    fn happened(&mut self, line: EventLine) {
        // Told again after the stream broke off.
        if self.events.iter().take_while(|known| known.at >= line.at).any(|known| *known == line) {
            return;
        }
        self.events.push_front(line);
        self.events.truncate(EVENTS_MAX);
        self.settle_cursors();
    }

    /// Whose use is to be asked about next, `most` at most: of those that are shown, who has waited longest; but nobody
    /// again so soon.
    pub(crate) fn ask_next(&mut self, shown: &[String], most: usize) -> Vec<String> {
        let due = |(id, from): &&(String, u64)| *from <= self.looks && shown.contains(id);
        let chosen: Vec<String> =
            self.to_ask.iter().filter(due).take(most).map(|(id, _)| id.clone()).collect();
        self.to_ask.retain(|(id, _)| !chosen.contains(id));
        self.to_ask.extend(chosen.iter().map(|id| (id.clone(), self.looks + USE_LOOKS)));
        chosen
    }
}

/// A part of a whole, in percent.
fn percent(part: u64, whole: u64) -> u8 {
    let percent = u128::from(part.min(whole)) * 100 / u128::from(whole.max(1));
    u8::try_from(percent).unwrap_or(100)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
