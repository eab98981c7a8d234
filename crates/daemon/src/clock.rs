//! The only reader of time.
//!
//! Durations are measured on the boot clock, which never jumps and counts suspension; the wall clock only tells people
//! when. Ledger time is boot time carried over restarts: it must never go backwards, whatever the wall clock does.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ds01_domain::Time;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::time::{ClockId, clock_gettime};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The latest ledger time that a clock starts from, some 3000 years on: what lies beyond is damage, not time.
const LEDGER_MILLIS_MAX: u64 = 1 << 47;

/// A moment known by two clocks: kept by the ledger, it lets the next daemon of the same boot go on without a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The boot in which `boottime` counts.
    pub boot_id: String,
    /// Time since boot, suspension included.
    pub boottime: Duration,
    /// Ledger time at that moment.
    pub ledger: Time,
}

/// Tells ledger time. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    boot_id: String,
    /// Boot time and ledger time at the start.
    boottime: Duration,
    ledger: u64,
    /// The latest that was told.
    told: AtomicU64,
}

impl Clock {
    /// Starts where the last daemon left off, or at the wall clock where there was none.
    ///
    /// In the same boot exactly as much time has passed as the boot clock says. After a reboot the wall clock is the
    /// only witness; where it went backwards, ledger time goes on from where it was.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell its boot id or its clocks.
    pub fn start(last: Option<Anchor>) -> io::Result<Self> {
        let boot_id = read_boot_id()?;
        let now = boottime()?;
        let last = last.filter(|anchor| anchor.ledger.0 <= LEDGER_MILLIS_MAX);
        let ledger = match &last {
            Some(anchor) if anchor.boot_id == boot_id && anchor.boottime <= now => {
                anchor.ledger.after(now - anchor.boottime).0
            }
            Some(anchor) => anchor.ledger.0.max(wall_ms()),
            None => wall_ms(),
        };
        let inner = Inner { boot_id, boottime: now, ledger, told: AtomicU64::new(ledger) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Starts no earlier than this, the latest time in the ledger.
    ///
    /// # Errors
    ///
    /// As [`Clock::start`].
    pub fn start_at_least(floor: Time) -> io::Result<Self> {
        Self::start(Some(Anchor { boot_id: String::new(), boottime: Duration::ZERO, ledger: floor }))
    }

    /// Ledger time now.
    #[must_use]
    pub fn ledger_now(&self) -> Time {
        // A boot clock that cannot be read stands still; it never goes back.
        let elapsed = boottime().map_or(Duration::ZERO, |now| now.saturating_sub(self.inner.boottime));
        let now = Time(self.inner.ledger).after(elapsed).0;
        Time(self.inner.told.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// A moment later than every time told so far, and earlier than or equal to every one told from now on: when a
    /// look begins.
    #[must_use]
    pub fn ledger_later(&self) -> Time {
        let later = self.ledger_now().0.saturating_add(1);
        Time(self.inner.told.fetch_max(later, Ordering::AcqRel).max(later))
    }

    /// What the next daemon needs to go on from here.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        let ledger = self.ledger_now();
        let boottime =
            self.inner.boottime + Duration::from_millis(ledger.0.saturating_sub(self.inner.ledger));
        Anchor { boot_id: self.inner.boot_id.clone(), boottime, ledger }
    }

    /// The running boot.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.inner.boot_id
    }

    /// What the wall clock said, or will say, at a ledger time, as far as it can be told today.
    #[must_use]
    pub fn wall_of(&self, time: Time) -> Timestamp {
        let ahead = i128::from(time.0) - i128::from(self.ledger_now().0);
        let millis = i128::from(wall_ms()) + ahead;
        let millis = i64::try_from(millis).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX });
        Timestamp::from_millisecond(millis).unwrap_or(if ahead < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

/// Time since boot, suspension included.
///
/// # Errors
///
/// If the kernel has no boot clock.
pub fn boottime() -> io::Result<Duration> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    Ok(Duration::new(seconds, u32::try_from(now.tv_nsec()).unwrap_or(0)))
}

/// The id of the running boot.
///
/// # Errors
///
/// If `/proc` is not there.
pub fn read_boot_id() -> io::Result<String> {
    // Nobody lives to see another one.
    static READ: OnceLock<String> = OnceLock::new();
    if let Some(read) = READ.get() {
        return Ok(read.clone());
    }
    let read = std::fs::read_to_string(BOOT_ID)?.trim().to_owned();
    Ok(READ.get_or_init(|| read).clone())
}

/// CPU time that this process has had; for telling what something cost.
#[must_use]
pub fn cpu_time() -> Duration {
    let Ok(had) = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID) else { return Duration::ZERO };
    Duration::new(u64::try_from(had.tv_sec()).unwrap_or(0), u32::try_from(had.tv_nsec()).unwrap_or(0))
}

/// The wall clock, in milliseconds since 1970. For telling, never for measuring.
#[must_use]
pub fn wall_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// What the wall clock said, or will say, at a ledger time, in Unix seconds; by what both clocks say now.
#[must_use]
pub fn wall_at(time: Time, now: Time) -> i64 {
    let millis = i128::from(wall_ms()) + i128::from(time.0) - i128::from(now.0);
    i64::try_from(millis.div_euclid(1000)).unwrap_or(i64::MAX)
}

/// The ledger time at which the wall clock said, or will say, these Unix seconds; by what both clocks say now.
#[must_use]
pub fn at_wall(seconds: i64, now: Time) -> Time {
    let millis = i128::from(seconds) * 1000 - i128::from(wall_ms()) + i128::from(now.0);
    Time(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
}

/// A moment that is to come, for people: `14:05`, or with its date where it is not today.
#[must_use]
pub fn soon(ahead: Duration) -> String {
    let now = Timestamp::now().to_zoned(TimeZone::system());
    let Ok(then) = now.checked_add(ahead) else { return "in many years".to_owned() };
    let format = if then.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    then.strftime(format).to_string()
}

/// Unix seconds as programs read them: `2026-11-21T14:05:00Z`.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// A span for people, in its two largest units: `2 h 5 min`, `45 s`, `3 d`.
#[must_use]
pub fn for_people(span: Duration) -> String {
    // Rounded to the smaller of the two units first: 59 min 59.7 s is an hour.
    let seconds = match span.as_secs() {
        0..3600 => span.as_secs() + u64::from(span.subsec_millis() >= 500),
        3600..86_400 => (span.as_secs() + 30) / 60 * 60,
        _ => (span.as_secs() + 1800) / 3600 * 3600,
    };
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let (size, unit) = units[first];
    let whole = format!("{} {unit}", seconds / size);
    match units.get(first + 1).map(|(size, unit)| (seconds % units[first].0 / size, unit)) {
        Some((rest, unit)) if rest > 0 => format!("{whole} {rest} {unit}"),
        _ => whole,
    }
}

/// A moment in the machine's time zone, to the minute: `2026-11-21 14:05`.
#[must_use]
pub fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_for_people() {
        let seconds = |s: u64| for_people(Duration::from_secs(s));
        assert_eq!(seconds(0), "0 s");
        assert_eq!(seconds(59), "59 s");
        assert_eq!(seconds(61), "1 min 1 s");
        assert_eq!(seconds(1800), "30 min");
        assert_eq!(seconds(7500), "2 h 5 min");
        assert_eq!(seconds(7200), "2 h");
        assert_eq!(seconds(86_399), "1 d");
        assert_eq!(seconds(49 * 3600), "2 d 1 h");
        assert_eq!(for_people(Duration::from_millis(59_700)), "1 min");
        assert_eq!(for_people(Duration::from_millis(400)), "0 s");
    }

    #[test]
    fn ledger_time_starts_at_the_floor_and_never_goes_back() {
        let future = Time(wall_ms() + 10_000_000);
        let clock = Clock::start_at_least(future).unwrap();
        let mut last = future;
        for _ in 0..10_000 {
            let now = clock.ledger_now();
            assert!(now >= last);
            last = clock.ledger_later();
            assert!(last > now, "a look begins later than what was recorded");
        }
        assert!(last.since(future) < Duration::from_secs(60));
        assert!([clock.clone(), clock].iter().all(|clock| clock.ledger_now() >= last));
    }

    #[test]
    fn the_same_boot_goes_on_without_a_step() {
        // An hour ahead of the wall clock, as after a correction of it: the next daemon stays an hour ahead.
        let clock = Clock::start_at_least(Time(wall_ms() + 3_600_000)).unwrap();
        let anchor = clock.anchor();
        let next = Clock::start(Some(anchor.clone())).unwrap();
        let step = next.ledger_now().since(anchor.ledger);
        assert!(step < Duration::from_secs(60), "{step:?}");
        // Behind it likewise: a wall clock that was set forward must not make everybody's time run out.
        let behind = Anchor { ledger: Time(1000), ..anchor };
        let next = Clock::start(Some(behind)).unwrap();
        assert!(next.ledger_now() < Time(60_000 + 1000));
    }

    #[test]
    fn another_boot_goes_by_the_wall_clock() {
        let anchor =
            Anchor { boot_id: "another".into(), boottime: Duration::from_secs(5), ledger: Time(1000) };
        let clock = Clock::start(Some(anchor)).unwrap();
        assert!(clock.ledger_now().0 + 60_000 > wall_ms());
        let damaged = Anchor { boot_id: "another".into(), boottime: Duration::ZERO, ledger: Time(u64::MAX) };
        let clock = Clock::start(Some(damaged)).unwrap();
        assert!(clock.ledger_now().0 < LEDGER_MILLIS_MAX);
    }

    #[test]
    fn ledger_time_is_told_by_the_wall() {
        let clock = Clock::start(None).unwrap();
        let in_an_hour = clock.wall_of(clock.ledger_now().after(Duration::from_secs(3600)));
        let ahead = in_an_hour.as_millisecond() - Timestamp::now().as_millisecond();
        assert!((3_590_000..3_610_000).contains(&ahead), "{ahead}");
        assert_eq!(clock.wall_of(Time(u64::MAX)), Timestamp::MAX);
    }

    #[test]
    fn moments_are_the_same_there_and_back() {
        // Ledger time that is an hour ahead.
        let now = Time(wall_ms() + 3_600_000);
        let soon = wall_at(now.after(Duration::from_secs(600)), now);
        assert!((595..=605).contains(&(soon - Timestamp::now().as_second())), "{soon}");
        let back = at_wall(soon, now);
        assert!(back.0.abs_diff(now.0 + 600_000) < 5_000, "{back:?}");
        assert_eq!(at_wall(i64::MIN, now), Time(0));
    }

    #[test]
    fn boots_have_names() {
        assert_eq!(read_boot_id().unwrap().len(), 36);
        assert!(boottime().unwrap() > Duration::ZERO);
    }
}
