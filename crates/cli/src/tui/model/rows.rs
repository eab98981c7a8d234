//! The rows of each list, as they are sorted and filtered, and the cursor among them.

use std::cmp::Reverse;

use ds01_api::{Card, Container, EventLine, Holder, Unit, UnitStats, Waiter};

use super::{Cursor, Model, Pane, Sort, Target};

/// A row, whichever list it is of.
#[derive(Debug, Clone)]
pub(crate) enum Row<'m> {
    /// A unit; a card that is cut into none is a row as well.
    Gpu(&'m Card, Option<&'m Unit>),
    Container(&'m Container),
    Person(Person<'m>),
    Waiter(&'m Waiter),
    Event(&'m EventLine),
}

/// Somebody who holds or waits for a GPU, or has containers that the caller sees.
#[derive(Debug, Clone)]
pub(crate) struct Person<'m> {
    pub(crate) name: &'m str,
    pub(crate) mine: bool,
    /// The units that he holds, by address.
    pub(crate) units: Vec<&'m str>,
    /// What they count, in thousandths of a card.
    pub(crate) weight_milli: u64,
    /// His starts that wait.
    pub(crate) waiting: usize,
    /// His containers that run and that the caller sees.
    pub(crate) running: usize,
}

impl Row<'_> {
    /// By which it is found again.
    fn key(&self) -> String {
        match self {
            Self::Gpu(card, unit) => unit.map_or(&card.uuid, |unit| &unit.unit.id).clone(),
            Self::Container(container) => container.id.clone(),
            Self::Person(person) => person.name.to_owned(),
            Self::Waiter(waiter) => format!("{}/{:?}", waiter.owner, waiter.container),
            Self::Event(line) => format!("{line:?}"),
        }
    }
}

impl Model {
    /// The rows of a list.
    pub(crate) fn rows(&self, pane: Pane) -> Vec<Row<'_>> {
        if pane == Pane::Events {
            let fits = |line: &&EventLine| {
                self.fits([
                    line.owner.as_deref(),
                    line.container.as_deref(),
                    Some(&line.event),
                    Some(&line.text),
                ])
            };
            return self.events.iter().filter(fits).map(Row::Event).collect();
        }
        let Some(seen) = &self.seen else { return Vec::new() };
        match pane {
            Pane::Gpus => {
                let of = |card| units_of(card).map(move |unit| Row::Gpu(card, unit));
                seen.machine.cards.iter().flat_map(of).collect()
            }
            Pane::Containers => self.containers().into_iter().map(Row::Container).collect(),
            Pane::People => self.people().into_iter().map(Row::Person).collect(),
            Pane::Line => {
                let fits = |waiter: &&Waiter| self.fits([Some(&*waiter.owner), waiter.container.as_deref()]);
                seen.queue.waiting.iter().filter(fits).map(Row::Waiter).collect()
            }
            Pane::Events => unreachable!("answered above"),
        }
    }

    fn containers(&self) -> Vec<&Container> {
        let all = self.seen.iter().flat_map(|seen| &seen.containers.containers);
        let fits = |one: &&Container| self.fits([Some(&*one.name), Some(&one.owner), Some(&one.image)]);
        let mut list: Vec<&Container> = all.filter(fits).collect();
        // Newest first already; what is the same stays so.
        match self.sort {
            Sort::Age => {}
            Sort::Name => list.sort_by_key(|one| one.short_name()),
            Sort::User => list.sort_by_key(|one| one.owner.as_str()),
            Sort::Use => list.sort_by_key(|one| Reverse(self.busy(one))),
            Sort::Memory => list.sort_by_key(|one| Reverse(self.memory(one))),
            Sort::Left => list.sort_by_key(|one| one.stop.as_ref().map_or(u64::MAX, |stop| stop.in_seconds)),
        }
        list
    }

    /// How busy its GPUs are, then its CPUs, as whole numbers that can be compared.
    fn busy(&self, container: &Container) -> (Option<u32>, Option<u64>) {
        let cpu = self.usage.get(&container.id).and_then(|usage| usage.cpu_percent);
        (
            self.units_of(container).iter().filter_map(|unit| unit.figures.utilization_percent).max(),
            // Numbers that are not negative are in the order of their bits.
            cpu.map(|percent| percent.max(0.0).to_bits()),
        )
    }

    fn memory(&self, container: &Container) -> (u64, Option<u64>) {
        (
            self.units_of(container).iter().filter_map(|unit| unit.own_memory_mib).sum(),
            self.usage.get(&container.id).and_then(|usage| usage.memory_bytes),
        )
    }

    /// What a container does with its units.
    pub(crate) fn units_of(&self, container: &Container) -> &[UnitStats] {
        let stats = self.seen.iter().flat_map(|seen| &seen.stats.containers);
        stats.into_iter().find(|one| one.id == container.id).map_or(&[], |one| &one.units)
    }

    fn people(&self) -> Vec<Person<'_>> {
        let Some(seen) = &self.seen else { return Vec::new() };
        let mut people: Vec<Person<'_>> = Vec::new();
        for unit in seen.machine.cards.iter().flat_map(|card| &card.units) {
            if let Some(holder) = &unit.holder {
                let person = person(&mut people, &holder.owner, holder.mine);
                person.units.push(&unit.unit.address);
                person.weight_milli += u64::from(unit.unit.weight_milli);
            }
        }
        for waiter in &seen.queue.waiting {
            person(&mut people, &waiter.owner, waiter.mine).waiting += 1;
        }
        for container in seen.containers.containers.iter().filter(|one| one.state.is_alive()) {
            person(&mut people, &container.owner, container.mine).running += 1;
        }
        people.retain(|person| self.fits([Some(person.name)]));
        people.sort_by_key(|person| (Reverse(person.weight_milli), Reverse(person.waiting), person.name));
        people
    }

    /// Whether one of the words has the filter in it.
    fn fits<const N: usize>(&self, words: [Option<&str>; N]) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || words.into_iter().flatten().any(|word| word.to_lowercase().contains(&wanted))
    }

    /// Which row of a list the cursor is on.
    pub(crate) fn cursor(&self, pane: Pane) -> usize {
        self.cursors[pane.at()].at
    }

    /// Moves the cursor by so many rows, to the ends at most.
    pub(super) fn step(&mut self, by: isize) {
        let rows = self.rows(self.pane);
        let at = self.cursor(self.pane).saturating_add_signed(by).min(rows.len().saturating_sub(1));
        let cursor = Cursor { key: rows.get(at).map(Row::key), at };
        self.cursors[self.pane.at()] = cursor;
    }

    /// Finds the rows again that the cursors are on; where one is gone, the next has its place.
    pub(super) fn settle_cursors(&mut self) {
        for pane in Pane::ALL {
            let rows = self.rows(pane);
            let Cursor { key, at } = &self.cursors[pane.at()];
            let found = key.as_ref().and_then(|key| rows.iter().position(|row| row.key() == *key));
            let at = found.unwrap_or(*at).min(rows.len().saturating_sub(1));
            // At the top one stays at the top: what is new is seen.
            let at = if self.cursors[pane.at()].at == 0 { 0 } else { at };
            let cursor = Cursor { key: rows.get(at).map(Row::key), at };
            self.cursors[pane.at()] = cursor;
        }
    }

    /// The container that the cursor is on, whichever list has it; `None` where it is nobody's or not shown to the caller.
    pub(super) fn target(&self) -> Option<&Container> {
        let row = self.rows(self.pane).into_iter().nth(self.cursor(self.pane))?;
        match row {
            Row::Container(container) => Some(container),
            Row::Gpu(_, unit) => {
                let Holder { owner, container, .. } = unit?.holder.as_ref()?;
                self.container_of(owner, container.as_deref()?)
            }
            Row::Waiter(waiter) => self.container_of(&waiter.owner, waiter.container.as_deref()?),
            Row::Event(line) => self.container_of(line.owner.as_deref()?, line.container.as_deref()?),
            Row::Person(_) => None,
        }
    }

    /// A container by its owner and by what the door calls it: the project, or Docker's name.
    fn container_of(&self, owner: &str, called: &str) -> Option<&Container> {
        let is_it = |one: &&Container| {
            one.owner == owner && (one.project.as_deref() == Some(called) || one.name == called)
        };
        self.seen.as_ref()?.containers.containers.iter().find(is_it)
    }
}

impl From<&Container> for Target {
    fn from(container: &Container) -> Self {
        Self { id: container.id.clone(), name: container.short_name().to_owned() }
    }
}

fn units_of(card: &Card) -> impl Iterator<Item = Option<&Unit>> {
    let none = card.units.is_empty().then_some(None);
    card.units.iter().map(Some).chain(none)
}

fn person<'p, 'm>(people: &'p mut Vec<Person<'m>>, name: &'m str, mine: bool) -> &'p mut Person<'m> {
    let at = people.iter().position(|person| person.name == name).unwrap_or_else(|| {
        people.push(Person { name, mine, units: Vec::new(), weight_milli: 0, waiting: 0, running: 0 });
        people.len() - 1
    });
    &mut people[at]
}
