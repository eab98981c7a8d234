//! The text of a trace. `tests/traces/README.md` describes it for those who write one.
//!
//! A trace tells second by second what happened. What instruments show of it is not its business: see `readings`.

use std::fmt;
use std::iter::repeat_n;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the driver tells of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figures {
    /// A whole card: how busy it was within the last second (`utilization.gpu`).
    Card,
    /// A slice whose engines are told: how busy they were since the last reading.
    Engines,
    /// A slice of which nothing is told but its processes.
    Processes,
}

/// What one container did for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) seconds: u64,
    /// Of each unit: processes that have it open, percent of its engines, CPU of those processes, MiB.
    pub(super) open: Vec<u32>,
    pub(super) gpu: Vec<u32>,
    pub(super) process_cpu: Vec<u64>,
    pub(super) memory: Vec<u64>,
    /// Watts of the card above what it takes when nobody has it open; `None` where its energy is not told.
    pub(super) power: Option<Vec<i64>>,
    pub(super) cpu: u64,
    pub(super) disk: u64,
    pub(super) network: u64,
    /// Somebody comes in at its beginning.
    pub(super) shell: bool,
    /// The driver does not answer.
    pub(super) blind: bool,
}

impl Phase {
    /// Nothing happens on so many units.
    fn quiet(seconds: u64, units: usize) -> Self {
        Self {
            seconds,
            open: vec![0; units],
            gpu: vec![0; units],
            process_cpu: vec![0; units],
            memory: vec![0; units],
            ..Self::default()
        }
    }
}

/// What one container did, and from when on a stop of it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The name of its file, without the ending.
    pub name: String,
    /// From its beginning on; `None` for never.
    pub right: Option<Duration>,
    pub(super) units: Vec<Figures>,
    pub(super) phases: Vec<Phase>,
}

/// A trace that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTrace {
    /// Its file.
    pub path: PathBuf,
    /// Its line; zero for the whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for BadTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            0 => write!(f, "{path}: {}", self.what),
            line => write!(f, "{path}:{line}: {}", self.what),
        }
    }
}

impl std::error::Error for BadTrace {}

impl Trace {
    /// Reads the text of the file at this path.
    ///
    /// # Errors
    /// A line that means nothing, or a trace without units, label or length.
    pub fn parse(path: &Path, text: &str) -> Result<Self, BadTrace> {
        let bad = |line, what| BadTrace { path: path.to_owned(), line, what };
        let mut trace = Reader::default();
        for (index, line) in text.lines().enumerate() {
            trace.line(line.split('#').next().unwrap_or_default()).map_err(|what| bad(index + 1, what))?;
        }
        trace.end_of_repeat();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let right =
            trace.right.ok_or_else(|| bad(0, "no line `right`: from when on is a stop right?".into()))?;
        let trace = Self { name, right, units: trace.units, phases: trace.phases };
        if trace.length().is_zero() {
            return Err(bad(0, "nothing happens in it".into()));
        }
        if trace.right.is_some_and(|right| right >= trace.length()) {
            return Err(bad(0, "it ends before a stop is right: say `right never`".into()));
        }
        Ok(trace)
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs(self.phases.iter().map(|phase| phase.seconds).sum())
    }

    /// The same after so many seconds of nothing: readings fall on other moments of it.
    #[must_use]
    pub fn delayed(mut self, seconds: u64) -> Self {
        self.phases.insert(0, Phase::quiet(seconds, self.units.len()));
        self.right = self.right.map(|right| right + Duration::from_secs(seconds));
        self
    }
}

/// What was read of a trace so far.
#[derive(Default)]
struct Reader {
    units: Vec<Figures>,
    right: Option<Option<Duration>>,
    phases: Vec<Phase>,
    /// The indented phases of a `repeat`, and how often.
    repeated: Vec<Phase>,
    times: usize,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let indented = line.starts_with(' ');
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { return Ok(()) };
        if indented {
            if self.times == 0 {
                return Err("an indented phase belongs to a `repeat`, and here is none".into());
            }
            let phase = phase(first, words, self.units.len())?;
            self.repeated.push(phase);
            return Ok(());
        }
        self.end_of_repeat();
        match first {
            "units" => self.units = words.map(figures).collect::<Result<_, _>>()?,
            "right" => {
                let word = words.next().ok_or("from when on?")?;
                self.right = Some(if word == "never" { None } else { Some(duration(word)?) });
            }
            "repeat" => self.times = number(words.next().ok_or("how often?")?)?,
            _ if self.units.is_empty() => return Err("a line `units` comes first".into()),
            length => self.phases.push(phase(length, words, self.units.len())?),
        }
        Ok(())
    }

    fn end_of_repeat(&mut self) {
        let repeated = std::mem::take(&mut self.repeated);
        self.phases.extend(repeat_n(repeated, std::mem::take(&mut self.times)).flatten());
    }
}

fn figures(word: &str) -> Result<Figures, String> {
    match word {
        "card" => Ok(Figures::Card),
        "slice-engines" => Ok(Figures::Engines),
        "slice" => Ok(Figures::Processes),
        other => Err(format!("`{other}` is no kind of unit: card, slice-engines or slice")),
    }
}

/// One phase: its length, then names with their values.
fn phase<'a>(length: &str, mut words: impl Iterator<Item = &'a str>, units: usize) -> Result<Phase, String> {
    let mut phase = Phase::quiet(duration(length)?.as_secs(), units);
    while let Some(name) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{name}` wants a number"));
        match name {
            "open" => phase.open = each(value()?, units)?,
            "gpu" => phase.gpu = each(value()?, units)?,
            "process-cpu" => phase.process_cpu = each(value()?, units)?,
            "memory" => phase.memory = each(value()?, units)?,
            "power" => phase.power = Some(each(value()?, units)?),
            "cpu" => phase.cpu = number(value()?)?,
            "disk" => phase.disk = number(value()?)?,
            "network" => phase.network = number(value()?)?,
            "shell" => phase.shell = true,
            "blind" => phase.blind = true,
            other => return Err(format!("`{other}` means nothing in a phase")),
        }
    }
    Ok(phase)
}

/// The values for all units: one that holds for each, or one for each.
fn each<T: Copy + TryFrom<u64>>(text: &str, units: usize) -> Result<Vec<T>, String> {
    let values: Vec<T> = text.split(',').map(number).collect::<Result<_, _>>()?;
    match values.as_slice() {
        [one] => Ok(vec![*one; units]),
        all if all.len() == units => Ok(values),
        all => Err(format!("`{text}` has {} values for {units} units", all.len())),
    }
}

/// `90`, `20k`, `5M`.
fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let value = digits.parse::<u64>().ok().and_then(|value| value.checked_mul(factor));
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| format!("`{text}` is no number"))
}

/// `90s`, `25m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no time such as 90s, 25m or 1h30m");
    let mut seconds = 0_u64;
    for part in text.split_inclusive(['h', 'm', 's']) {
        let (digits, unit) = part.split_at_checked(part.len() - 1).ok_or_else(bad)?;
        let factor = match unit {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return Err(bad()),
        };
        let value = digits.parse::<u64>().ok().and_then(|value| value.checked_mul(factor)).ok_or_else(bad)?;
        seconds = seconds.checked_add(value).ok_or_else(bad)?;
    }
    Ok(Duration::from_secs(seconds))
}
