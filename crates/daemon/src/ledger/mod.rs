//! The ledger: what was decided, on disk, before anybody acts on it. The only place that speaks SQL.
//!
//! Append-only events that replay to the state, shortened by rewriting them as the fewest events that give the same
//! state; beside them the door's records of containers, the owners of objects, and the journal. It must never decide anything, and
//! never begin anew over a file that it cannot read.

mod journal;
mod owners;
mod rows;
mod schema;
mod shares;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_domain::{Event, Note, State, Token};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

pub use journal::{LINES_KEPT, Line, Reader, STINTS_KEPT, Wanted};
pub use owners::{ObjectKind, Owned};
pub use shares::{Shared, Taker};

/// Durable events between two shortenings; replaying this many takes some milliseconds.
const EVENTS_PER_SNAPSHOT: u64 = 5_000;
/// Durable events between two tries of a shortening that failed.
const EVENTS_PER_RETRY: u64 = 500;

/// How often it is tried whether another daemon has let go of the ledger.
const LOCK_TRIES: u32 = 50;
/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite's own words: disk full, input/output error.
    #[error("{what}")]
    Sql {
        /// What was being done.
        what: &'static str,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is not what was written.
    #[error(
        "the ledger {path} is damaged ({detail}). Nothing was changed. Put back a copy ({path}.before-* are kept from \
         schema steps), or move {path}, {path}-wal and {path}-shm away to begin anew: running containers keep their \
         GPUs and are found again, but what was asked of them and who used how much is lost"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Written by a later version.
    #[error(
        "the ledger {path} was written by a newer ds01d (schema {found}, this one knows {known}). Nothing was changed. \
         Install the newer version again, or put back {path}.before-{found}"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema in it.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Another daemon holds it.
    #[error("the ledger {path} is in use by another ds01d")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The directory or file cannot be made.
    #[error("the ledger {path} cannot be opened")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

fn sql(what: &'static str) -> impl Fn(rusqlite::Error) -> LedgerError {
    move |source| LedgerError::Sql { what, source }
}

/// What the door remembers of a container beside the rules' own facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the user asked for, as the round trip shows it: [`ds01_docker::present::Original`] as JSON.
    pub original: serde_json::Value,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The bind mounts that are staged for it.
    pub binds: Vec<RecordedBind>,
    /// The named volumes it uses; their owner is looked at again at each start.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Those of them that it may only read.
    #[serde(default)]
    pub read_only_volumes: Vec<String>,
    /// The user's numeric identity at create.
    pub uid: u32,
    /// The user's primary group at create.
    pub gid: u32,
    /// Whether he was an administrator at create.
    #[serde(default)]
    pub admin: bool,
    /// Whom the container runs as, where only a name is known: the binds are staged for root until it is looked up.
    #[serde(default)]
    pub user: Option<String>,
    /// The project, for containers of `container deploy`.
    #[serde(default)]
    pub project: Option<String>,
    /// The workspace on the host, for containers of `container deploy`.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    /// The image as it was named.
    #[serde(default)]
    pub image: String,
    /// The image as it was judged, by its id.
    #[serde(default)]
    pub image_id: String,
    /// Whether everything inside runs as the owner himself, without capabilities.
    #[serde(default)]
    pub confined: bool,
}

/// One staged bind mount, with what is needed to stage it again after a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedBind {
    /// Its slot in the stage.
    pub slot: u32,
    /// What the user named.
    pub source: PathBuf,
    /// Whether it is read-only.
    pub read_only: bool,
    /// The container's effective user, `uid:gid`, whose files are the caller's.
    pub effective: (u32, u32),
    /// Owners are not translated: the container's one user is the owner, in numbers.
    #[serde(default)]
    pub plain: bool,
}

impl Record {
    /// The one user inside, where there is only one.
    #[must_use]
    pub fn only_user(&self) -> Option<(u32, u32)> {
        self.confined.then(|| self.binds.first().map_or((self.uid, self.gid), |bind| bind.effective))
    }

    /// A directory of it lies on a file system that cannot translate owners: whoever gets at it as root is root there.
    #[must_use]
    pub fn plain_bind(&self) -> Option<&RecordedBind> {
        self.binds.iter().find(|bind| bind.plain)
    }
}

/// The open ledger. One writer: the coordinator.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
    path: PathBuf,
    since_snapshot: u64,
    /// Commits of facts since it was opened.
    commits: u64,
    /// Held for as long as the ledger is open: a second daemon is refused.
    _lock: File,
}

impl Ledger {
    /// Opens or creates the ledger and replays it.
    ///
    /// # Errors
    /// Every [`LedgerError`]; a damaged or newer file is refused, never replaced.
    pub fn open(path: &Path) -> Result<(Self, State), LedgerError> {
        Self::open_with(path, schema::STEPS)
    }

    /// Keeps every daemon from a ledger for as long as the answer is held; `None` where there is not even a directory.
    ///
    /// # Errors
    /// [`LedgerError::InUse`] where a daemon has it.
    pub fn keep_out(path: &Path) -> Result<Option<File>, LedgerError> {
        if !path.parent().is_some_and(Path::is_dir) {
            return Ok(None);
        }
        lock_beside(path).map(Some)
    }

    fn open_with(path: &Path, steps: &[&str]) -> Result<(Self, State), LedgerError> {
        let lock = lock_beside(path)?;
        let fail = |source| LedgerError::File { path: path.to_path_buf(), source };
        match std::fs::metadata(path) {
            Ok(file) if file.len() == 0 => {
                let detail = "it is empty".to_owned();
                return Err(LedgerError::Damaged { path: path.to_path_buf(), detail });
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => begin(path, steps)?,
            Err(error) => return Err(fail(error)),
        }
        // Never made here: a file that vanishes this moment must not be begun anew.
        let db = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(sql("the ledger cannot be opened"))?;
        // What people asked for is nobody else's to read; the files beside it take their mode from it.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
        let found = schema::judge(&db, path, steps)?;
        schema::set_up(&db)?;
        schema::step(&db, path, found, steps)?;
        let mut ledger = Self { db, path: path.to_path_buf(), since_snapshot: 0, commits: 0, _lock: lock };
        let state = ledger.replay()?;
        Ok((ledger, state))
    }

    fn replay(&mut self) -> Result<State, LedgerError> {
        let fail = schema::unreadable(&self.path);
        let mut state = State::default();
        let mut statement = self.db.prepare("SELECT seq, body FROM events ORDER BY seq").map_err(&fail)?;
        let mut rows = statement.query([]).map_err(&fail)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(&fail)? {
            let (seq, body): (i64, String) = (row.get(0).map_err(&fail)?, row.get(1).map_err(&fail)?);
            let event = rows::decode(&body).map_err(|detail| LedgerError::Damaged {
                path: self.path.clone(),
                detail: format!("event {seq}: {detail}"),
            })?;
            state.apply(&event);
            count += 1;
        }
        drop(rows);
        drop(statement);
        drop(fail);
        self.since_snapshot = count;
        Ok(state)
    }

    /// Appends the durable ones of some events in one commit; returns when they are on the disk.
    ///
    /// # Errors
    /// [`LedgerError::Sql`]; then none of them was written.
    pub fn append(&mut self, events: &[Event]) -> Result<(), LedgerError> {
        self.append_with(events, &[])
    }

    /// As [`Ledger::append`], with what the journal keeps of these events.
    ///
    /// # Errors
    /// [`LedgerError::Sql`]; then none of them was written.
    pub fn append_with(&mut self, events: &[Event], notes: &[Note]) -> Result<(), LedgerError> {
        if !events.iter().any(Event::is_durable) {
            return Ok(());
        }
        let fail = sql("the ledger cannot be written");
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fail)?;
        let mut written = 0;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events (body) VALUES (?1)").map_err(&fail)?;
            for row in events.iter().filter_map(rows::encode) {
                insert.execute([row]).map_err(&fail)?;
                written += 1;
            }
        }
        journal::write(&transaction, notes).map_err(&fail)?;
        transaction.commit().map_err(&fail)?;
        self.since_snapshot += written;
        self.commits += 1;
        Ok(())
    }

    /// How often facts were committed since it was opened.
    #[must_use]
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Rewrites the events as the fewest that give the same state, when enough have come together.
    ///
    /// # Errors
    /// [`LedgerError::Sql`]; then the long form stands.
    pub fn snapshot_if_due(&mut self, state: &State) -> Result<(), LedgerError> {
        if self.since_snapshot < EVENTS_PER_SNAPSHOT {
            return Ok(());
        }
        let result = self.snapshot(state);
        if result.is_err() {
            // Not with every fact: it was long in vain.
            self.since_snapshot = EVENTS_PER_SNAPSHOT - EVENTS_PER_RETRY;
        }
        result
    }

    fn snapshot(&mut self, state: &State) -> Result<(), LedgerError> {
        let fail = sql("the ledger cannot be shortened");
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fail)?;
        transaction.execute("DELETE FROM events", []).map_err(&fail)?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events (body) VALUES (?1)").map_err(&fail)?;
            for row in state.to_events().iter().filter_map(rows::encode) {
                insert.execute([row]).map_err(&fail)?;
            }
        }
        journal::forget(&transaction, state.latest()).map_err(&fail)?;
        transaction.commit().map_err(&fail)?;
        self.since_snapshot = 0;
        Ok(())
    }

    /// Closes cleanly: one file, no write-ahead log beside it.
    ///
    /// # Errors
    /// [`LedgerError::Sql`]; the ledger is whole all the same.
    pub fn close(&mut self, state: &State) -> Result<(), LedgerError> {
        self.snapshot(state)?;
        self.db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(sql("the write-ahead log cannot be folded in"))
    }

    /// Keeps what the door must remember of a container that will be created.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn keep_record(&mut self, token: &Token, record: &Record) -> Result<(), LedgerError> {
        let body = serde_json::to_string(record).unwrap_or_default();
        self.db
            .prepare_cached("INSERT OR REPLACE INTO records (token, body) VALUES (?1, ?2)")
            .and_then(|mut s| s.execute(params![token.to_string(), body]))
            .map(drop)
            .map_err(sql("a container's record cannot be written"))
    }

    /// What is remembered of a container.
    ///
    /// # Errors
    /// [`LedgerError::Sql`], [`LedgerError::Damaged`].
    pub fn record_of(&mut self, token: &Token) -> Result<Option<Record>, LedgerError> {
        let body: Option<String> = self
            .db
            .prepare_cached("SELECT body FROM records WHERE token = ?1")
            .and_then(|mut s| s.query_row([token.to_string()], |row| row.get(0)).optional())
            .map_err(sql("a container's record cannot be read"))?;
        body.map(|text| {
            serde_json::from_str(&text).map_err(|e| LedgerError::Damaged {
                path: self.path.clone(),
                detail: format!("the record of {token}: {e}"),
            })
        })
        .transpose()
    }

    /// The creates that something is remembered of.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn record_tokens(&mut self) -> Result<Vec<Token>, LedgerError> {
        let fail = sql("the records cannot be listed");
        let mut statement = self.db.prepare_cached("SELECT token FROM records").map_err(&fail)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(&fail)?;
        rows.filter_map(|row| row.map(|token| Token::new(&token)).transpose())
            .collect::<Result<_, _>>()
            .map_err(fail)
    }

    /// Makes the disk full, or not.
    #[cfg(test)]
    pub(crate) fn fill_disk(&self, full: bool) {
        let pages: i64 = self.db.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a count");
        let most = if full { pages } else { 1_000_000 };
        self.db.pragma_update(None, "max_page_count", most).expect("a limit can be set");
    }

    /// Forgets the records of containers that are no more.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn forget_record(&mut self, token: &Token) -> Result<(), LedgerError> {
        self.db
            .prepare_cached("DELETE FROM records WHERE token = ?1")
            .and_then(|mut s| s.execute([token.to_string()]))
            .map(drop)
            .map_err(sql("a container's record cannot be forgotten"))
    }
}

/// Makes a new ledger: whole at once, under another name until it is, so that a file that is there is never half made.
fn begin(path: &Path, steps: &[&str]) -> Result<(), LedgerError> {
    let fail = |source| LedgerError::File { path: path.to_path_buf(), source };
    let log = schema::beside(path, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let detail = format!("it is missing, and its write-ahead log {} is there", log.display());
        return Err(LedgerError::Damaged { path: path.to_path_buf(), detail });
    }
    let draft = schema::beside(path, "new");
    for left in [draft.clone(), schema::beside(&draft, "-wal"), schema::beside(&draft, "-shm")] {
        schema::forget(&left).map_err(fail)?;
    }
    let db = Connection::open(&draft).map_err(sql("the ledger cannot be made"))?;
    schema::set_up(&db)?;
    schema::step(&db, path, 0, steps)?;
    db.close().map_err(|(_, error)| sql("the ledger cannot be made")(error))?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    std::fs::rename(&draft, path).map_err(fail)?;
    if let Some(directory) = path.parent() {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(fail)?;
    }
    tracing::info!(ledger = %path.display(), "a new ledger is begun");
    Ok(())
}

fn lock_beside(path: &Path) -> Result<File, LedgerError> {
    let fail = |source| LedgerError::File { path: path.to_path_buf(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    let lock_path = path.with_extension("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(lock_path)
        .map_err(fail)?;
    // One that was killed a moment ago may still be going down.
    for patience in (0..LOCK_TRIES).rev() {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::WouldBlock) if patience > 0 => std::thread::sleep(LOCK_PAUSE),
            Err(std::fs::TryLockError::WouldBlock) => break,
            Err(std::fs::TryLockError::Error(source)) => return Err(fail(source)),
        }
    }
    Err(LedgerError::InUse { path: path.to_path_buf() })
}

#[cfg(test)]
mod tests;
