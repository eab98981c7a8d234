//! The ledger's tables, the check that a file is whole, and the steps from one schema to the next.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::{LedgerError, sql};

/// The steps from an empty file to today's schema; step n leads to schema n + 1. Steps are never edited, only added.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT;
    CREATE TABLE records (token TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE owners (
        kind TEXT NOT NULL, name TEXT NOT NULL, uid INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX owners_by_uid ON owners (uid, kind);
",
    "
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, owner INTEGER, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX journal_by_time ON journal (at);
    CREATE TABLE stints (
        epoch INTEGER PRIMARY KEY, began INTEGER NOT NULL, until INTEGER NOT NULL, owner INTEGER NOT NULL,
        container TEXT NOT NULL, ending TEXT, exit INTEGER, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX stints_by_time ON stints (until);
    CREATE INDEX stints_by_container ON stints (container);
    CREATE TABLE shares (
        kind TEXT NOT NULL, name TEXT NOT NULL, taker INTEGER NOT NULL, writes INTEGER NOT NULL,
        PRIMARY KEY (kind, name, taker)
    ) STRICT, WITHOUT ROWID;
",
];

/// Tables without which a file is no ledger of any schema.
const TABLES: [&str; 3] = ["events", "owners", "records"];

/// The schema that these steps lead to.
fn newest(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

/// What it means that a ledger cannot be read: the file is damaged, unless it is the disk that fails or is full, which
/// says nothing about the file.
pub(super) fn unreadable(path: &Path) -> impl Fn(rusqlite::Error) -> LedgerError {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) | None => {
            LedgerError::Damaged { path: path.to_path_buf(), detail: error.to_string() }
        }
        Some(_) => LedgerError::Sql { what: "the ledger cannot be read", source: error },
    }
}

/// Looks whether a file is a whole ledger of a schema that is known here; answers which. Changes nothing.
pub(super) fn judge(db: &Connection, path: &Path, steps: &[&str]) -> Result<i64, LedgerError> {
    let damaged = |detail: String| LedgerError::Damaged { path: path.to_path_buf(), detail };
    let unreadable = unreadable(path);
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(&unreadable)?;
    let known = newest(steps);
    if found > known {
        return Err(LedgerError::Newer { path: path.to_path_buf(), found, known });
    }
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(&unreadable)?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let mut statement =
        db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").map_err(&unreadable)?;
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(&unreadable)?;
    if found < 1 || TABLES.iter().any(|ours| !tables.iter().any(|table| table == ours)) {
        return Err(damaged("it holds tables that ds01d did not make, or none".into()));
    }
    Ok(found)
}

/// Opens a ledger for writing as it has to be written.
pub(super) fn set_up(db: &Connection) -> Result<(), LedgerError> {
    let fail = sql("the ledger cannot be prepared");
    db.busy_timeout(std::time::Duration::from_secs(5)).map_err(&fail)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(&fail)?;
    // FULL: a grant that was answered survives a power cut.
    db.pragma_update(None, "synchronous", "FULL").map_err(&fail)
}

/// Takes the steps from a schema to today's; a file that has something in it is copied first.
pub(super) fn step(db: &Connection, path: &Path, found: i64, steps: &[&str]) -> Result<(), LedgerError> {
    let fail = sql("the ledger cannot be brought to today's schema");
    let known = newest(steps);
    if (1..known).contains(&found) {
        let copy = beside(path, &format!("before-{known}"));
        let draft = beside(path, &format!("before-{known}.new"));
        let moved = |source| LedgerError::File { path: copy.clone(), source };
        // Left by a step that was broken off: today's is the same or newer.
        forget(&draft).map_err(moved)?;
        db.execute("VACUUM INTO ?1", [draft.display().to_string()]).map_err(&fail)?;
        std::fs::rename(&draft, &copy).map_err(moved)?;
        tracing::info!(copy = %copy.display(), from = found, to = known, "the ledger was copied before its schema step");
    }
    for (step, statements) in steps.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let next = step + 1;
        db.execute_batch(&format!("BEGIN IMMEDIATE; {statements}; PRAGMA user_version = {next}; COMMIT;"))
            .map_err(&fail)?;
    }
    Ok(())
}

/// A file beside the ledger: `ledger.db` and `before-2` make `ledger.db.before-2`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(if suffix.starts_with('-') { "" } else { "." });
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a file that may not be there.
pub(super) fn forget(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
