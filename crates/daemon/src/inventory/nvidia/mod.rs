//! The GPUs that the NVIDIA driver shows: a thread of its own asks the driver, and everybody else reads what it last saw.
//!
//! The driver may hang for ever on a broken card: nobody but the thread waits for it without a limit. What cannot be
//! seen now is unknown, never gone.

mod driver;
mod engines;
mod exporter;
mod power;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ds01_domain::{Processes, Unit, UnitId};
use nvml_wrapper::error::NvmlError;
use tokio::sync::{Notify, oneshot};

use super::{Figures, FiguresSeen};
use driver::Driver;
use engines::Engines;
use exporter::Exporter;
use power::Meters;

/// Which number each capability of a slice has, by the driver's own list.
pub(super) const SLICE_NUMBERS: &str = "/proc/driver/nvidia-caps/mig-minors";
/// The major number of `/dev/nvidia<N>`.
const CARD_MAJOR: u32 = 195;
/// How long a look waits for the driver before what it would have said counts as unknown.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);
/// How old what was seen may be for a start to be bound to it: three of the enforcer's looks, and a little.
const FRESH_FOR: Duration = Duration::from_secs(35);
/// How old figures may be to be shown: longer, and nobody knows what the units do now.
const FIGURES_SHOWN_FOR: Duration = Duration::from_secs(10);
/// How often the thread listens for errors between two questions.
const LISTEN_EVERY: Duration = Duration::from_millis(500);
/// How often it looks unasked: whoever waits for a GPU that frees itself waits no longer than that.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon a driver that could not be opened is tried again, at the earliest.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// For how long a card's error is told of; afterwards it is in the log.
const XID_SHOWN_FOR: Duration = Duration::from_secs(60 * 60);
/// What is said while the driver does not answer.
const SILENT: &str = "the NVIDIA driver has not answered for 2 s; `dmesg` may tell of a broken card";
/// What is said while an administrator works on the cards.
const LET_GO: &str = "an administrator has taken them for a while (`ds01 gpu release`)";

/// A unit as the driver showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// What it is.
    pub(super) unit: Unit,
    /// Who computes on it.
    pub(super) processes: Processes,
    /// The number in `/dev/nvidia<N>` of its card.
    pub(super) minor: u32,
    /// The GPU and the compute instance of a slice.
    pub(super) instance: Option<(u32, u32)>,
}

/// What one question to the driver brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// The units, by card and slot.
    pub(super) units: Vec<Seen>,
    /// What they do. Beside the units: they change at every look, and are no news.
    pub(super) figures: BTreeMap<UnitId, Figures>,
    /// Whether a unit that is not among them is gone.
    pub(super) complete: bool,
    /// What an administrator should know, a sentence each.
    pub(super) problems: Vec<String>,
    /// The driver's version, where it was asked.
    pub(super) driver: Option<String>,
    taken: Option<Instant>,
}

impl Reading {
    /// Nothing is known, and why.
    fn unseen(why: &str) -> Self {
        Self { problems: vec![format!("the GPUs cannot be seen: {why}")], ..Self::default() }
    }

    /// Whether it is recent enough to build on.
    pub(super) fn is_fresh(&self) -> bool {
        self.taken.is_some_and(|taken| taken.elapsed() < FRESH_FOR)
    }
}

#[derive(Debug)]
enum Question {
    Look(oneshot::Sender<Arc<Reading>>),
    /// Let go of the driver until then.
    LetGo(Instant, oneshot::Sender<()>),
}

/// Asks the thread, and shows what it saw last.
#[derive(Debug)]
pub(super) struct Watcher {
    questions: mpsc::Sender<Question>,
    latest: Arc<Mutex<Arc<Reading>>>,
    expected: bool,
    /// Whether the last look waited in vain.
    silent: AtomicBool,
    changed: Arc<Notify>,
    exporter: Option<Exporter>,
}

impl Watcher {
    /// Begins to watch. The thread ends when the watcher is dropped, or never where the driver hangs.
    ///
    /// Where GPUs are not `expected`, a machine without the driver's library simply has none. An exporter is asked beside the
    /// driver, within a runtime. What cards take when nobody computes on them is kept in the file `powers`.
    pub(super) fn begin(
        library: Option<PathBuf>,
        expected: bool,
        exporter: Option<SocketAddr>,
        powers: PathBuf,
    ) -> std::io::Result<Self> {
        let (questions, asked) = mpsc::channel();
        let latest = Arc::new(Mutex::new(Arc::new(Reading::default())));
        let changed = Arc::new(Notify::new());
        let watch = Watch {
            library,
            expected,
            latest: latest.clone(),
            changed: changed.clone(),
            xids: Vec::new(),
            trouble: String::new(),
            meters: Meters::kept_in(powers),
        };
        std::thread::Builder::new().name("nvml".into()).spawn(move || watch.run(&asked))?;
        let exporter = exporter.map(Exporter::follow);
        Ok(Self { questions, latest, expected, silent: AtomicBool::new(false), changed, exporter })
    }

    /// What the driver shows now, or what is known while it does not answer: nothing that could be built on.
    pub(super) async fn look(&self) -> Arc<Reading> {
        let (answer, answered) = oneshot::channel();
        if self.questions.send(Question::Look(answer)).is_ok()
            && let Ok(Ok(reading)) = tokio::time::timeout(LOOK_TIME_MAX, answered).await
        {
            self.silent.store(false, Ordering::Relaxed);
            return reading;
        }
        if !self.silent.swap(true, Ordering::Relaxed) {
            tracing::error!("{SILENT}");
        }
        Arc::new(Reading { driver: self.latest().driver.clone(), ..Reading::unseen(SILENT) })
    }

    /// Resolves when an unasked look has shown something new.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether there are GPUs here, or should be.
    pub(super) fn expects_some(&self) -> bool {
        self.expected || !self.latest().units.is_empty()
    }

    /// What an administrator should know, a sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let silent = self.silent.load(Ordering::Relaxed).then(|| Reading::unseen(SILENT).problems);
        silent.into_iter().flatten().chain(self.latest().problems.iter().cloned()).collect()
    }

    /// What was seen last.
    pub(super) fn latest(&self) -> Arc<Reading> {
        // Only ever replaced as a whole.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the units do, as it was seen last.
    pub(super) fn figures(&self) -> FiguresSeen {
        let latest = self.latest();
        match latest.taken.map(|taken| taken.elapsed()) {
            Some(age) if age < FIGURES_SHOWN_FOR => {
                FiguresSeen { age: Some(age), units: self.with_exporter(&latest) }
            }
            _ => FiguresSeen::default(),
        }
    }

    /// What the driver told, and what the exporter tells of the same units.
    fn with_exporter(&self, latest: &Reading) -> BTreeMap<UnitId, Figures> {
        let mut figures = latest.figures.clone();
        let Some(exporter) = &self.exporter else { return figures };
        for seen in &latest.units {
            let instance = seen.instance.map(|(gpu, _)| gpu);
            // Slices that share a GPU instance share its engines: nobody can say whose work it was.
            let shared = instance.is_some()
                && latest.units.iter().any(|other| {
                    other.unit.id != seen.unit.id
                        && other.unit.card == seen.unit.card
                        && other.instance.map(|(gpu, _)| gpu) == instance
                });
            if let Some(told) = figures.get_mut(&seen.unit.id).filter(|_| !shared) {
                told.exporter_percent = exporter.busy(seen.unit.card.as_str(), instance);
            }
        }
        figures
    }

    /// Lets go of the driver for a while, so that an administrator can cut cards anew.
    pub(super) async fn let_go(&self, time: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::LetGo(Instant::now() + time, answer)).is_ok()
            && matches!(tokio::time::timeout(LOOK_TIME_MAX, answered).await, Ok(Ok(())))
    }
}

/// The thread's own.
struct Watch {
    library: Option<PathBuf>,
    expected: bool,
    latest: Arc<Mutex<Arc<Reading>>>,
    changed: Arc<Notify>,
    xids: Vec<(Instant, driver::Xid)>,
    /// What the log was told last, so that it is told once.
    trouble: String,
    meters: Meters,
}

/// Why the driver is put down.
enum Down {
    /// Nobody asks any more.
    Over,
    /// It is let go of until then.
    Until(Instant),
    /// It has to be opened anew: it was upgraded, or gave up.
    Anew,
}

impl Watch {
    fn run(mut self, asked: &mpsc::Receiver<Question>) {
        loop {
            let down = match Driver::open(self.library.as_deref()) {
                Ok(driver) => {
                    tracing::info!(
                        version = driver.version(),
                        library = loaded_from(),
                        "NVIDIA driver opened"
                    );
                    self.ask(&driver, asked)
                }
                Err(error) => {
                    let words = driver::in_words(&error);
                    let none = !self.expected && matches!(error, NvmlError::LibloadingError(_));
                    if !none {
                        self.complain(&words);
                    }
                    let reading = match none {
                        true => Reading { complete: true, ..Reading::default() },
                        false => Reading::unseen(&words),
                    };
                    self.answer_without(reading, asked, Instant::now() + OPEN_AGAIN_AFTER)
                }
            };
            let down = match down {
                Down::Until(time) => self.answer_without(Reading::unseen(LET_GO), asked, time),
                other => other,
            };
            if matches!(down, Down::Over) {
                return;
            }
        }
    }

    /// Answers with what is known without the driver, until it is time to open it again.
    fn answer_without(&self, reading: Reading, asked: &mpsc::Receiver<Question>, until: Instant) -> Down {
        let reading = Arc::new(reading);
        self.show(reading.clone());
        let mut until = until;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match asked.recv_timeout(left) {
                Ok(Question::Look(answer)) => drop(answer.send(reading.clone())),
                Ok(Question::LetGo(time, answer)) => {
                    until = time;
                    let _ = answer.send(());
                }
                Err(RecvTimeoutError::Timeout) => return Down::Anew,
                Err(RecvTimeoutError::Disconnected) => return Down::Over,
            }
        }
    }

    /// Answers questions for as long as the driver can be asked.
    fn ask(&mut self, driver: &Driver, asked: &mpsc::Receiver<Question>) -> Down {
        let ears = driver.listen().ok();
        let mut engines = Engines::default();
        let mut looked = Instant::now();
        loop {
            let first = match asked.recv_timeout(LISTEN_EVERY) {
                Ok(question) => Some(question),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Down::Over,
            };
            for xid in ears.as_ref().map(driver::told).unwrap_or_default() {
                tracing::error!(card = xid.card, xid = xid.number, "a GPU reports a critical error");
                self.xids.push((Instant::now(), xid));
            }
            let mut answers = Vec::new();
            // Whoever asked meanwhile is answered by the same look.
            for question in first.into_iter().chain(asked.try_iter()) {
                match question {
                    Question::Look(answer) => answers.push(answer),
                    Question::LetGo(time, answer) => {
                        let _ = answer.send(());
                        return Down::Until(time);
                    }
                }
            }
            if answers.is_empty() && looked.elapsed() < LOOK_EVERY {
                continue;
            }
            let before = self.latest();
            let (reading, usable) = self.read(driver, &mut engines);
            looked = Instant::now();
            if answers.is_empty() && (before.units != reading.units || before.complete != reading.complete) {
                self.changed.notify_one();
            }
            for answer in answers {
                let _ = answer.send(reading.clone());
            }
            if !usable {
                // Not at once: what fails now mostly fails again.
                return self.answer_without((*reading).clone(), asked, Instant::now() + OPEN_AGAIN_AFTER);
            }
        }
    }

    /// One question to the driver; whether it can be asked again.
    fn read<'d>(&mut self, driver: &'d Driver, engines: &mut Engines<'d>) -> (Arc<Reading>, bool) {
        let began = Instant::now();
        let (mut reading, usable) = match driver.read(engines, &mut self.meters) {
            Ok(reading) => {
                self.trouble.clear();
                (Reading { taken: Some(began), ..reading }, true)
            }
            Err(error) => {
                let words = driver::in_words(&error);
                self.complain(&words);
                (Reading::unseen(&words), false)
            }
        };
        reading.driver = Some(driver.version().to_owned());
        self.xids.retain(|(at, _)| at.elapsed() < XID_SHOWN_FOR);
        reading.problems.extend(self.xids.iter().map(|(_, xid)| {
            format!(
                "{} reported error XID {}; NVIDIA's list of XIDs says what it means",
                xid.card, xid.number
            )
        }));
        let reading = Arc::new(reading);
        self.show(reading.clone());
        (reading, usable)
    }

    /// Tells the log, once for each trouble.
    fn complain(&mut self, words: &str) {
        if self.trouble != words {
            tracing::error!("no GPU can be granted: {words}");
            words.clone_into(&mut self.trouble);
        }
    }

    fn latest(&self) -> Arc<Reading> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, reading: Arc<Reading>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }
}

/// The units to which the nodes of a container's own `/dev` give access.
///
/// A whole card by its number; a slice by its card's and by those of the two capabilities that go with it.
pub(super) fn units_in(reading: &Reading, dev: &Path, slice_numbers: &Path) -> Option<BTreeSet<UnitId>> {
    let nodes = super::nodes_in(dev)?;
    let minors: BTreeSet<u32> =
        nodes.iter().filter(|(_, major, _)| *major == CARD_MAJOR).map(|(_, _, minor)| *minor).collect();
    // Without slices there is neither the directory nor the list.
    let open = super::nodes_in(&dev.join("nvidia-caps")).unwrap_or_default();
    let open: BTreeSet<u32> = open.into_iter().map(|(_, _, minor)| minor).collect();
    let numbers = std::fs::read_to_string(slice_numbers).unwrap_or_default();
    let has = |capability: &str| {
        numbers.lines().filter_map(|line| line.split_once(' ')).any(|(name, number)| {
            name == capability && number.trim().parse().is_ok_and(|n| open.contains(&n))
        })
    };
    let can_open = |seen: &&Seen| {
        minors.contains(&seen.minor)
            && seen.instance.is_none_or(|(gi, ci)| {
                let of = format!("gpu{}/gi{gi}", seen.minor);
                has(&format!("{of}/access")) && has(&format!("{of}/ci{ci}/access"))
            })
    };
    Some(reading.units.iter().filter(can_open).map(|seen| seen.unit.id.clone()).collect())
}

/// Which file the library was loaded from, for the log.
fn loaded_from() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let file = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|file| {
        Path::new(file).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"libnvidia-ml"))
    });
    file.unwrap_or("a library of another name").to_owned()
}

#[cfg(test)]
mod tests;
