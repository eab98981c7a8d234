//! What power cards take, by their counters of energy: means between two looks. The next span begins where the last one
//! ended, so nothing is missed however short it is.
//!
//! A number of watts says nothing by itself: cards differ, and a context that is only parked takes more than none. So the
//! least is remembered that each card took for ten seconds while nobody had it open, and while programs had. These floors
//! only fall. They are kept in a file, as a clock keeps its drift: a card may be at work all day when a daemon comes up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ds01_domain::CardId;
use nvml_wrapper::Device;
use serde::{Deserialize, Serialize};

use super::super::{Draw, OnUnit};

/// The shortest span: counters move ten times a second or more, and what a look is late counts for less in a longer one.
const SPAN_MIN: Duration = Duration::from_secs(1);
/// How long a span is remembered: longer than from one reading of containers to the next.
const REMEMBERED: Duration = Duration::from_secs(15);
/// How long nobody must have come to a card, or the last one left it, before what it takes is a floor: clocks come down
/// only after a while.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// Over so long a floor is a mean.
const FLOOR_SPAN: Duration = Duration::from_secs(10);
/// What no card takes, in milliwatts: a counter that stands still, or has begun anew.
const PLAUSIBLE_MW: std::ops::RangeInclusive<i64> = 1_000..=5_000_000;

/// The least that a card has taken, in milliwatts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Floors {
    /// While nobody had it open.
    cold_mw: Option<i64>,
    /// While programs had it open.
    parked_mw: Option<i64>,
}

/// The meters of all cards.
#[derive(Debug, Default)]
pub(super) struct Meters {
    file: PathBuf,
    cards: BTreeMap<CardId, Meter>,
    floors: BTreeMap<CardId, Floors>,
}

impl Meters {
    /// Meters whose floors lie in this file. One that is not there, or says nothing, makes them learn anew.
    pub(super) fn kept_in(file: PathBuf) -> Self {
        let read = || serde_json::from_slice::<BTreeMap<String, Floors>>(&std::fs::read(&file).ok()?).ok();
        let known = read().unwrap_or_default().into_iter();
        let floors = known.filter_map(|(card, floors)| Some((CardId::new(&card)?, floors))).collect();
        Self { file, cards: BTreeMap::new(), floors }
    }

    /// What a card takes, with these on it; `None` where it does not count energy, or not yet, or where nobody can say who is
    /// on it.
    pub(super) fn read(
        &mut self,
        device: &Device<'_>,
        card: &CardId,
        on_it: Option<&[OnUnit]>,
    ) -> Option<Draw> {
        let on_it = on_it?;
        let energy_mj = i64::try_from(device.total_energy_consumption().ok()?).ok()?;
        let meter = self.cards.entry(card.clone()).or_default();
        let floors = self.floors.entry(card.clone()).or_default();
        if meter.take(Instant::now(), energy_mj, !on_it.is_empty(), floors) {
            self.write();
        }
        let floors = self.floors.get(card).copied().unwrap_or_default();
        Some(Draw {
            of_late_mw: self.cards.get(card)?.of_late_mw()?,
            cold_mw: floors.cold_mw,
            parked_mw: floors.parked_mw,
            limit_mw: device.enforced_power_limit().ok().map(i64::from),
            processes: on_it.iter().map(|process| process.pid).collect(),
        })
    }

    /// Forgets the meters of cards that are no more. Floors stay: a card comes back as it was.
    pub(super) fn keep(&mut self, there: &BTreeSet<&CardId>) {
        self.cards.retain(|card, _| there.contains(card));
    }

    fn write(&self) {
        let floors: BTreeMap<&str, &Floors> = self.floors.iter().map(|(c, f)| (c.as_str(), f)).collect();
        let text = serde_json::to_vec(&floors).unwrap_or_default();
        let draft = self.file.with_extension("new");
        let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &self.file));
        if let Err(error) = written {
            let file = Path::display(&self.file);
            tracing::debug!(%file, %error, "what cards take at rest cannot be written down: it is learned anew");
        }
    }
}

/// The meter of one card.
#[derive(Debug, Default)]
struct Meter {
    /// When it was last read, and what it said.
    last: Option<(Instant, i64)>,
    /// When each span ended, and the mean in it.
    spans: VecDeque<(Instant, i64)>,
    calm: Option<Calm>,
}

/// A time in which nobody came to a card and the last one did not leave it.
#[derive(Debug)]
struct Calm {
    /// Whether programs have it open.
    open: bool,
    since: Instant,
    /// When the span of the next floor began, and what the meter said.
    floor: (Instant, i64),
}

impl Meter {
    /// Takes a reading; whether a floor has fallen.
    fn take(&mut self, now: Instant, energy_mj: i64, open: bool, floors: &mut Floors) -> bool {
        match self.last {
            Some((before, _)) if now - before < SPAN_MIN => return false,
            Some((_, less)) if less > energy_mj => *self = Self::default(),
            Some(before) => match mean_mw(before, (now, energy_mj)) {
                Some(mean) => self.spans.push_back((now, mean)),
                // No part of a floor either.
                None => self.calm = None,
            },
            None => {}
        }
        self.last = Some((now, energy_mj));
        self.spans.retain(|(ended, _)| now - *ended < REMEMBERED);
        let calm = self.calm.get_or_insert(Calm { open, since: now, floor: (now, energy_mj) });
        if calm.open != open {
            *calm = Calm { open, since: now, floor: (now, energy_mj) };
        }
        if now - calm.since < SETTLED_AFTER {
            calm.floor = (now, energy_mj);
        } else if now - calm.floor.0 >= FLOOR_SPAN {
            let mean = mean_mw(std::mem::replace(&mut calm.floor, (now, energy_mj)), (now, energy_mj));
            let floor = if open { &mut floors.parked_mw } else { &mut floors.cold_mw };
            if mean.is_some_and(|mean| floor.is_none_or(|known| mean < known)) {
                *floor = mean;
                return true;
            }
        }
        false
    }

    fn of_late_mw(&self) -> Option<i64> {
        self.spans.iter().map(|(_, mean)| *mean).max()
    }
}

/// The mean between two readings, where a card can have taken it.
fn mean_mw(from: (Instant, i64), to: (Instant, i64)) -> Option<i64> {
    let millis = i64::try_from((to.0 - from.0).as_millis()).ok()?;
    let mean = (to.1 - from.1).checked_mul(1000)?.checked_div(millis)?;
    PLAUSIBLE_MW.contains(&mean).then_some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card that is read every two seconds.
    struct Bench {
        meter: Meter,
        floors: Floors,
        now: Instant,
        energy_mj: i64,
        fell: usize,
    }

    impl Bench {
        fn new() -> Self {
            let mut bench = Self {
                meter: Meter::default(),
                floors: Floors::default(),
                now: Instant::now(),
                energy_mj: 1_000_000_000,
                fell: 0,
            };
            bench.meter.take(bench.now, bench.energy_mj, false, &mut bench.floors);
            bench
        }

        /// Lets it take so many watts for a while.
        fn takes(&mut self, watts: i64, seconds: u64, open: bool) -> &mut Self {
            for _ in 0..seconds / 2 {
                self.now += Duration::from_secs(2);
                self.energy_mj += watts * 2_000;
                let fell = self.meter.take(self.now, self.energy_mj, open, &mut self.floors);
                self.fell += usize::from(fell);
            }
            self
        }

        fn floors(&self) -> (Option<i64>, Option<i64>) {
            (self.floors.cold_mw, self.floors.parked_mw)
        }
    }

    #[test]
    fn floors_are_learned_of_calm_times_and_only_fall() {
        let mut card = Bench::new();
        card.takes(60, 36, false);
        assert_eq!(card.floors(), (None, None), "it has not cooled for long enough");
        assert_eq!(card.takes(60, 2, false).floors(), (Some(60_000), None));
        assert_eq!(card.takes(52, 60, false).floors(), (Some(52_000), None));
        assert_eq!(card.takes(70, 600, false).floors(), (Some(52_000), None), "heat is no floor");
        // What programs take as they come is not what they take parked.
        assert_eq!(card.takes(52, 20, true).floors(), (Some(52_000), None));
        assert_eq!(card.takes(300, 7200, true).floors(), (Some(52_000), Some(300_000)));
        assert_eq!(card.takes(95, 60, true).floors(), (Some(52_000), Some(95_000)), "they are parked");
        assert_eq!(card.takes(40, 20, false).floors(), (Some(52_000), Some(95_000)), "they have just left");
        assert_eq!(card.fell, 4, "each fall is written down once");
    }

    #[test]
    fn the_thirstiest_span_is_remembered_until_containers_were_read() {
        let mut card = Bench::new();
        assert_eq!(card.meter.of_late_mw(), None);
        card.takes(60, 20, true).takes(310, 2, true).takes(60, 14, true);
        assert_eq!(card.meter.of_late_mw(), Some(310_000));
        card.takes(60, 2, true);
        assert_eq!(card.meter.of_late_mw(), Some(60_000));
    }

    #[test]
    fn a_counter_that_stands_or_begins_anew_tells_nothing() {
        let mut card = Bench::new();
        card.takes(0, 600, false);
        assert_eq!((card.meter.of_late_mw(), card.floors()), (None, (None, None)));
        card.takes(60, 600, false);
        card.energy_mj = 5;
        card.takes(9, 2, false);
        assert_eq!(card.meter.of_late_mw(), None, "the driver was loaded anew");
        card.takes(61, 2, false);
        assert_eq!((card.meter.of_late_mw(), card.floors()), (Some(61_000), (Some(60_000), None)));
    }

    #[test]
    fn floors_outlive_the_daemon_and_a_broken_file_does_no_harm() {
        let directory = std::env::temp_dir().join(format!("ds01-powers-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("powers");
        let card = CardId::new("GPU-a").unwrap();
        let mut meters = Meters::kept_in(file.clone());
        assert!(meters.floors.is_empty());
        let floors = Floors { cold_mw: Some(52_000), parked_mw: None };
        meters.floors.insert(card.clone(), floors);
        meters.write();
        assert_eq!(Meters::kept_in(file.clone()).floors, BTreeMap::from([(card, floors)]));
        std::fs::write(&file, "{\"GPU-a\": 7}").unwrap();
        assert!(Meters::kept_in(file).floors.is_empty());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
