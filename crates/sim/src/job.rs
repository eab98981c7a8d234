//! What a container's programs really do, and what instruments show of it.
//!
//! The truth is here and nowhere else: what the rules make of the readings is compared with it, never the other way
//! round.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ds01_domain::{Reading, Time, UnitId, UnitReading};

use crate::rng::Rng;

/// The shortest stretch of work. Readings may be missing for up to a minute before that counts, so what is shorter can
/// be missed by right.
const WORK_MIN_MS: u64 = 90_000;
/// The longest that somebody thinks before he goes on.
const THINK_MAX_MS: u64 = 40 * 60_000;
/// A forgotten container is forgotten for good.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// What a program does for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Loads data: CPU and disk work, the units are quiet.
    Load,
    /// Computes on all units.
    Train,
    /// Computes on the units now and then, on the CPU all the time.
    Evaluate,
    /// Somebody thinks before a notebook that has the units open.
    Think,
    /// Its owner's own program saves what there is, because it is being stopped: nobody is at work, though the units are.
    Save,
    /// No program is there.
    Nothing,
}

impl Doing {
    const fn uses_units(self) -> bool {
        matches!(self, Self::Train | Self::Evaluate)
    }

    const fn works(self) -> bool {
        matches!(self, Self::Load | Self::Train | Self::Evaluate)
    }

    const fn is_open(self) -> bool {
        matches!(self, Self::Train | Self::Evaluate | Self::Think | Self::Save)
    }

    /// Whether an instrument sees the units work.
    const fn shows_on_units(self) -> bool {
        matches!(self, Self::Train | Self::Evaluate | Self::Save)
    }
}

/// What the driver tells of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instrument {
    /// How busy it was in the last second: what is short is missed.
    Sampled,
    /// That, and which process worked of late.
    Remembered,
    /// Only who has it open: a slice.
    Processes,
}

/// One run's programs, from the first to the last.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) began: Time,
    instrument: Instrument,
    /// What is done, each until then.
    phases: Vec<(Doing, Time)>,
    /// Whether it ends by itself when the last phase does, and how.
    pub(crate) exit: Option<i32>,
    /// Whether its owner left a program that is run before a stop, and uses the units.
    pub(crate) on_stop: bool,
}

impl Job {
    /// A run that begins now: most are short, some are forgotten.
    pub(crate) fn some(rng: &mut Rng, began: Time) -> Self {
        let instrument = match rng.below(3) {
            0 => Instrument::Sampled,
            1 => Instrument::Remembered,
            _ => Instrument::Processes,
        };
        let mut job = Self { began, instrument, phases: Vec::new(), exit: None, on_stop: rng.permille(300) };
        let exit = i32::from(rng.permille(400));
        if rng.permille(350) {
            let length = if rng.permille(500) { rng.between(1, 9000) } else { rng.between(9000, 600_000) };
            job.then(Doing::Train, length);
            job.exit = Some(exit);
            return job;
        }
        for _ in 0..=rng.below(8) {
            let (doing, most) = match rng.below(6) {
                0 => (Doing::Load, 60 * 60_000),
                1 | 2 => (Doing::Train, 30 * 60_000),
                3 => (Doing::Evaluate, 20 * 60_000),
                4 => (Doing::Think, THINK_MAX_MS),
                _ => (Doing::Nothing, THINK_MAX_MS),
            };
            let least = if doing.works() { WORK_MIN_MS } else { 1000 };
            let length = rng.between(least, most);
            job.then(doing, length);
        }
        match rng.below(4) {
            0 => job.exit = Some(exit),
            1 => job.then(Doing::Nothing, FORGOTTEN),
            // `yes >/dev/null`: work that never touches the units.
            2 if rng.permille(300) => job.then(Doing::Load, FORGOTTEN),
            _ => job.then(Doing::Think, FORGOTTEN),
        }
        job
    }

    fn then(&mut self, doing: Doing, length: Duration) {
        let from = self.end();
        self.phases.push((doing, from.after(length)));
    }

    /// When its last phase ends.
    pub(crate) fn end(&self) -> Time {
        self.phases.last().map_or(self.began, |(_, end)| *end)
    }

    /// The owner's own program runs from now on, and uses the units.
    pub(crate) fn saves(&mut self, now: Time, length: Duration) {
        let doing = self.at(now);
        self.phases.retain(|(_, end)| *end < now);
        self.phases.push((doing, now));
        self.phases.push((Doing::Save, now.after(length)));
        self.phases.push((Doing::Nothing, now.after(FORGOTTEN)));
    }

    fn spans(&self) -> impl Iterator<Item = (Doing, Time, Time)> {
        let begins = std::iter::once(self.began).chain(self.phases.iter().map(|(_, end)| *end));
        begins.zip(&self.phases).map(|(from, (doing, until))| (*doing, from, *until))
    }

    fn last(&self, now: Time, is: impl Fn(Doing) -> bool) -> Time {
        let ends = self.spans().filter(|(doing, from, _)| *from < now && is(*doing));
        ends.map(|(.., until)| until.min(now)).max().unwrap_or(self.began)
    }

    /// Up to when its units worked.
    pub(crate) fn units_worked(&self, now: Time) -> Time {
        self.last(now, Doing::uses_units)
    }

    /// Up to when it worked in any way.
    pub(crate) fn worked(&self, now: Time) -> Time {
        self.last(now, Doing::works)
    }

    /// Since when it does what it does: a program that comes or goes is a sign of life, too.
    pub(crate) fn changed(&self, now: Time) -> Time {
        self.spans().map(|(_, from, _)| from).filter(|from| *from <= now).max().unwrap_or(self.began)
    }

    /// What is done at a moment, and for how much of the time since another each kind of work was done.
    fn share(&self, from: Time, to: Time, is: impl Fn(Doing) -> bool) -> u64 {
        let within = |(_, begins, ends): (Doing, Time, Time)| ends.min(to).since(begins.max(from));
        let busy: Duration = self.spans().filter(|(doing, ..)| is(*doing)).map(within).sum();
        let all = to.since(from).as_millis().max(1);
        u64::try_from(busy.as_millis() * 1000 / all).unwrap_or(1000)
    }

    fn at(&self, now: Time) -> Doing {
        self.spans()
            .find(|(_, from, until)| *from < now && now <= *until)
            .map_or(Doing::Nothing, |(doing, ..)| doing)
    }

    /// A reading, of what was done since the one before; the first of a daemon's life has none to compare with.
    pub(crate) fn reading(&self, rng: &mut Rng, before: Option<Time>, at: Time, units: &[UnitId]) -> Reading {
        let mean = |is: fn(Doing) -> bool, milli: u64| {
            before.map(|from| self.share(from, at, is) * milli / 1000 + 5)
        };
        let doing = self.at(at);
        let open = u32::from(doing.is_open());
        let on_units =
            before.map_or(doing.shows_on_units(), |from| self.share(from, at, Doing::shows_on_units) > 0);
        let busy = match doing {
            Doing::Train | Doing::Save if rng.permille(900) => 90,
            Doing::Evaluate if rng.permille(500) => 40,
            _ => u32::from(rng.permille(50)),
        };
        let unit = UnitReading {
            processes: Some(open),
            process_busy: (self.instrument == Instrument::Remembered && on_units).then_some(60),
            unit_busy: (self.instrument != Instrument::Processes).then_some(busy),
            process_cpu_milli: mean(Doing::shows_on_units, 300).or((open == 0).then_some(0)),
            memory_mib: Some(u64::from(open) * 4000),
            ..UnitReading::default()
        };
        Reading {
            at,
            units: units.iter().map(|id| (id.clone(), unit.clone())).collect::<BTreeMap<_, _>>(),
            cpu_milli: mean(Doing::works, 900),
            disk_bytes: mean(|doing| doing == Doing::Load, 20_000_000),
            network_bytes: before.map(|_| rng.below(900_000)),
            entered: false,
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.instrument)?;
        self.spans().try_for_each(|(doing, from, until)| {
            write!(f, ", {doing:?} {} s", until.since(from).as_secs())
        })?;
        self.exit.map_or(Ok(()), |exit| write!(f, ", exit {exit}"))
    }
}
