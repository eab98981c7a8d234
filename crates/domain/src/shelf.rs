//! Units by what they are, so that a want need not look at each: how many of a grade there are, and the smallest first.
//!
//! Units of one grade are the same to every want that names none. A machine has a handful of grades, however many
//! units it has.

use std::sync::Arc;

use imbl::OrdMap;

use crate::ids::{UnitId, Weight};
use crate::state::UnitRecord;
use crate::unit::{Unit, is_called};
use crate::want::Want;

/// All of a unit that a want looks at. The smallest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grade {
    weight: Weight,
    memory_mib: u64,
    model: String,
    /// Compute slices, of a slice.
    compute: Option<u8>,
}

impl Grade {
    fn of(unit: &Unit) -> Self {
        Self {
            weight: unit.weight,
            memory_mib: unit.memory_mib,
            model: unit.model.clone(),
            compute: unit.slice.as_ref().map(|slice| slice.compute),
        }
    }

    /// How much it is; units of grades that are as large as each other go by their place.
    fn size(&self) -> (Weight, u64) {
        (self.weight, self.memory_mib)
    }
}

/// What a want says of each unit, ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    min_memory_mib: u64,
    full: bool,
    /// Whether units that take a whole card may be taken.
    allow_full: bool,
    model: Option<String>,
}

impl Measure {
    pub(crate) fn of(want: &Want, allow_full: bool) -> Self {
        Self {
            min_memory_mib: want.min_memory_mib.unwrap_or(0),
            full: want.full,
            allow_full,
            model: want.model.as_ref().map(|model| model.to_lowercase()),
        }
    }

    /// Whether such a unit would do.
    pub(crate) fn takes(&self, unit: &Unit) -> bool {
        self.is_met(unit.weight, unit.memory_mib)
            && self.model.as_ref().is_none_or(|name| unit.is_called(name))
    }

    fn takes_grade(&self, grade: &Grade) -> bool {
        let called = |name: &String| is_called(name, &grade.model, grade.compute, grade.memory_mib);
        self.is_met(grade.weight, grade.memory_mib) && self.model.as_ref().is_none_or(called)
    }

    fn is_met(&self, weight: Weight, memory_mib: u64) -> bool {
        let full = weight >= Weight::CARD;
        memory_mib >= self.min_memory_mib && (full || !self.full) && (self.allow_full || !full)
    }
}

/// Where a unit stands on the shelf: as people count units.
pub(crate) type Spot = (u32, Option<u32>, UnitId);

type Row = OrdMap<Spot, Arc<UnitRecord>>;

/// Units by grade, and in each grade as people count them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    grades: OrdMap<Arc<Grade>, Row>,
}

fn spot(unit: &Unit) -> Spot {
    (unit.index, unit.slice.as_ref().map(|slice| slice.ordinal), unit.id.clone())
}

impl Shelf {
    pub(crate) fn is_empty(&self) -> bool {
        self.grades.is_empty()
    }

    pub(crate) fn put(&mut self, record: &Arc<UnitRecord>) {
        self.grades
            .entry(Arc::new(Grade::of(&record.unit)))
            .or_default()
            .insert(spot(&record.unit), record.clone());
    }

    pub(crate) fn take(&mut self, record: &UnitRecord) {
        let grade = Grade::of(&record.unit);
        if let Some(row) = self.grades.get_mut(&grade) {
            row.remove(&spot(&record.unit));
            if row.is_empty() {
                self.grades.remove(&grade);
            }
        }
    }

    /// How many would do.
    pub(crate) fn count(&self, measure: &Measure) -> usize {
        self.rows(measure).map(|(_, row)| row.len()).sum()
    }

    /// How many there are, in all.
    pub(crate) fn len(&self) -> usize {
        self.grades.values().map(OrdMap::len).sum()
    }

    /// How many of each weight would do, the lightest first.
    pub(crate) fn steps(&self, measure: &Measure) -> Steps {
        Steps(self.rows(measure).map(|(grade, row)| (row.len(), grade.weight)).collect())
    }

    /// Those that would do, the smallest first.
    pub(crate) fn smallest(&self, measure: &Measure) -> Smallest<'_> {
        let mut tiers: Vec<Tier<'_>> = Vec::new();
        for (grade, row) in self.rows(measure) {
            match tiers.last_mut().filter(|tier| tier.size == grade.size()) {
                Some(tier) => tier.rows.push(row),
                None => tiers.push(Tier { size: grade.size(), rows: vec![row] }),
            }
        }
        Smallest { tiers: tiers.into_iter(), current: Vec::new() }
    }

    /// Those that would do, in tiers of one size, the smallest first.
    pub(crate) fn tiers<'a>(&'a self, measure: &Measure) -> impl Iterator<Item = Smallest<'a>> {
        let Smallest { tiers, .. } = self.smallest(measure);
        tiers.map(|tier| Smallest { tiers: Vec::new().into_iter(), current: tier.walks() })
    }

    fn rows<'a>(&'a self, measure: &Measure) -> impl Iterator<Item = (&'a Grade, &'a Row)> {
        self.grades.iter().map(|(grade, row)| (&**grade, row)).filter(|(grade, _)| measure.takes_grade(grade))
    }
}

/// How many units of each weight there are, the lightest first.
#[derive(Clone, Debug)]
pub(crate) struct Steps(Vec<(usize, Weight)>);

impl Steps {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|(count, _)| count).sum()
    }

    /// What the lightest `many` weigh but for the first `skip`, in thousandths, were no two of them of one card. `None`
    /// if there are not so many.
    pub(crate) fn weight_at_most(&self, mut skip: usize, mut many: usize) -> Option<u64> {
        let mut sum = 0;
        for (count, weight) in &self.0 {
            let skipped = skip.min(*count);
            let taken = many.min(*count - skipped);
            sum += u64::from(weight.as_milli()) * taken as u64;
            (skip, many) = (skip - skipped, many - taken);
            if many == 0 {
                return Some(sum);
            }
        }
        None
    }
}

/// Grades of one size.
#[derive(Debug)]
struct Tier<'a> {
    size: (Weight, u64),
    rows: Vec<&'a Row>,
}

type Walk<'a> =
    std::iter::Peekable<imbl::ordmap::Iter<'a, Spot, Arc<UnitRecord>, imbl::shared_ptr::DefaultSharedPtr>>;

impl<'a> Tier<'a> {
    fn walks(self) -> Vec<Walk<'a>> {
        self.rows.into_iter().map(|row| row.iter().peekable()).collect()
    }
}

/// Units by size, then as people count them.
pub(crate) struct Smallest<'a> {
    tiers: std::vec::IntoIter<Tier<'a>>,
    current: Vec<Walk<'a>>,
}

impl<'a> Iterator for Smallest<'a> {
    type Item = &'a UnitRecord;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let first = self
                .current
                .iter_mut()
                .enumerate()
                .filter_map(|(at, walk)| walk.peek().map(|(spot, _)| (*spot, at)))
                .min_by(|(one, _), (other, _)| one.cmp(other));
            match first {
                Some((_, at)) => return self.current[at].next().map(|(_, record)| &**record),
                None => self.current = self.tiers.next()?.walks(),
            }
        }
    }
}
