//! Names of users, from a directory service that may be slow or down.
//!
//! It answers for an answer within two seconds, always: a fresh one if there is one, else one that it knew
//! before, else the number alone. It must never ask the service on the calling task, and never pile up questions to a
//! service that hangs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{Account, Directory};

/// How many questions may be with the service at once.
const QUESTIONS_MAX: usize = 32;
/// How many users are kept; more than any lab has.
const USERS_MAX: usize = 8192;

/// For how long things hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long a request waits for the directory service.
    pub(super) answer_wait: Duration,
    /// How long an answer is taken as it is.
    pub(super) fresh: Duration,
    /// How long it is by those for whom what was known a while ago will do.
    pub(super) recalled: Duration,
    /// How long "no such user" and "cannot say" are taken as they are.
    pub(super) fresh_nothing: Duration,
    /// How long the service must have known nobody of a number, without a word of failure, to be believed for good.
    pub(super) believed: Duration,
    /// How long a user is still known after the service has ceased to know him: a directory client that has lost its
    /// server says "no such user" as well.
    pub(super) remembered: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer_wait: Duration::from_secs(2),
            fresh: Duration::from_secs(30),
            recalled: Duration::from_mins(5),
            fresh_nothing: Duration::from_secs(5),
            believed: Duration::from_hours(24),
            remembered: Duration::from_hours(1),
        }
    }
}

/// What is known of a user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// An account.
    Account(Arc<Account>),
    /// No account, as far as can be said.
    Nothing,
    /// Not a person's id but one of this user's subordinate ids.
    Subordinate(Arc<str>),
}

impl Known {
    /// The account, if there is one.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::Nothing | Self::Subordinate(_) => None,
        }
    }

    /// Whose subordinate id it is, if it is one.
    #[must_use]
    pub fn subordinate_of(&self) -> Option<&str> {
        match self {
            Self::Subordinate(owner) => Some(owner),
            Self::Account(_) | Self::Nothing => None,
        }
    }
}

/// A question that is with the service.
#[derive(Debug)]
struct Asked {
    /// Closed when the answer has been put into the table.
    answered: watch::Receiver<()>,
    /// Somebody has waited in vain; nobody else waits for it.
    late: bool,
}

#[derive(Debug, Default)]
struct Slot {
    known: Option<Arc<Account>>,
    /// When the service was last asked with an end, whatever it said.
    asked_at: Option<Instant>,
    /// When the service last knew the user.
    seen_at: Option<Instant>,
    /// Since when it has said nothing but that there is no such user.
    nobody_since: Option<Instant>,
    asked: Option<Asked>,
}

impl Slot {
    fn is_fresh(&self, now: Instant, fresh: Duration, patience: &Patience) -> bool {
        let known = self.known.is_some() && self.seen_at == self.asked_at;
        let fresh = if known { fresh } else { patience.fresh_nothing };
        self.asked_at.is_some_and(|at| now.duration_since(at) < fresh)
    }

    /// Takes the service's answer. "No such user" and errors do not make a user unknown at once.
    fn learn(&mut self, answer: std::io::Result<Option<Account>>, now: Instant, patience: &Patience) {
        self.asked = None;
        self.asked_at = Some(now);
        self.nobody_since = matches!(answer, Ok(None)).then(|| self.nobody_since.unwrap_or(now));
        match answer {
            Ok(Some(known)) => {
                self.known = Some(Arc::new(known));
                self.seen_at = Some(now);
            }
            Ok(None) if self.seen_at.is_none_or(|seen| now.duration_since(seen) > patience.remembered) => {
                self.known = None;
            }
            // An error may last as long as it likes: the last that was known is better than nothing.
            Ok(None) | Err(_) => {}
        }
    }
}

/// The cache of names.
pub struct Names {
    directory: Arc<dyn Directory>,
    table: Arc<Mutex<HashMap<u32, Slot>>>,
    patience: Patience,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Names {
    /// An empty cache in front of `directory`.
    #[must_use]
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self::with_patience(directory, Patience::default())
    }

    pub(super) fn with_patience(directory: Arc<dyn Directory>, patience: Patience) -> Self {
        Self { directory, table: Arc::default(), patience }
    }

    /// What is known of `uid`, within two seconds.
    pub async fn lookup(&self, uid: u32) -> Known {
        let mut answered = match self.look_or_ask(uid, self.patience.fresh) {
            Ok(known) => return known,
            Err(answered) => answered,
        };
        // The sender is dropped when the answer is in the table; nothing is ever sent.
        let in_time = timeout(self.patience.answer_wait, answered.changed()).await.is_ok();
        let mut table = lock(&self.table);
        let slot = table.entry(uid).or_default();
        if !in_time && let Some(asked) = &mut slot.asked {
            if !asked.late {
                tracing::warn!(uid, "the directory service does not answer; going on with what is known");
            }
            asked.late = true;
        }
        self.best(uid, slot)
    }

    /// What is known of `uid`, at once. The service is asked where that is old; what it says is for the next time.
    #[must_use]
    pub fn recall(&self, uid: u32) -> Known {
        self.look_or_ask(uid, self.patience.recalled).unwrap_or_else(|_| {
            let mut table = lock(&self.table);
            let slot = table.entry(uid).or_default();
            self.best(uid, slot)
        })
    }

    /// Whether there is an account that is known of, however old that is.
    #[must_use]
    pub fn is_known(&self, uid: u32) -> bool {
        lock(&self.table).get(&uid).is_some_and(|slot| slot.known.is_some())
    }

    /// Whether the service has said for so long that there is no such user that it is believed.
    #[must_use]
    pub fn is_nobody(&self, uid: u32) -> bool {
        let nobody_since = lock(&self.table).get(&uid).and_then(|slot| slot.nobody_since);
        nobody_since.is_some_and(|since| since.elapsed() >= self.patience.believed)
    }

    /// What can be said at once, if it is fresh, or what to wait for.
    fn look_or_ask(&self, uid: u32, fresh: Duration) -> Result<Known, watch::Receiver<()>> {
        let now = Instant::now();
        let mut table = lock(&self.table);
        if table.len() >= USERS_MAX {
            table.retain(|_, slot| slot.asked.is_some());
        }
        let questions = table.values().filter(|slot| slot.asked.is_some()).count();
        let slot = table.entry(uid).or_default();
        if slot.is_fresh(now, fresh, &self.patience) {
            return Ok(self.best(uid, slot));
        }
        match &slot.asked {
            Some(asked) if asked.late => return Ok(self.best(uid, slot)),
            Some(asked) => return Err(asked.answered.clone()),
            None => {}
        }
        if questions >= QUESTIONS_MAX {
            return Ok(self.best(uid, slot));
        }
        let (answer, answered) = watch::channel(());
        if self.ask(uid, answer).is_err() {
            return Ok(self.best(uid, slot));
        }
        slot.asked = Some(Asked { answered: answered.clone(), late: false });
        Err(answered)
    }

    /// What is known without asking. An account comes first: a lab may have given people numbers that lie in
    /// somebody's range, and they are people nevertheless.
    fn best(&self, uid: u32, slot: &Slot) -> Known {
        let account = slot.known.clone().map(Known::Account);
        let subordinate = || self.directory.subordinate_of(uid).map(|owner| Known::Subordinate(owner.into()));
        account.or_else(subordinate).unwrap_or(Known::Nothing)
    }

    /// Asks the service on a thread of its own, which hangs as long as the service does.
    fn ask(&self, uid: u32, answer: watch::Sender<()>) -> std::io::Result<()> {
        let directory = Arc::clone(&self.directory);
        let table = Arc::clone(&self.table);
        let patience = self.patience;
        let ask = move || {
            let found = directory.account(uid);
            lock(&table).entry(uid).or_default().learn(found, Instant::now(), &patience);
            drop(answer);
        };
        std::thread::Builder::new().name("ds01-names".to_owned()).spawn(ask).map(drop)
    }
}

fn lock(table: &Mutex<HashMap<u32, Slot>>) -> MutexGuard<'_, HashMap<u32, Slot>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
