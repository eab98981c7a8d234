//! The ledger's tables, the check that a file is whole, and the steps from one schema to the next.

use std::path::Path;

use rusqlite::Connection;

use super::{LedgerError, sql};

/// The steps from an empty file to today's schema; step n leads to schema n + 1. Steps are never edited, only added.
const STEPS: &[&str] = &["
    CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT;
    CREATE TABLE records (token TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE owners (
        kind TEXT NOT NULL, name TEXT NOT NULL, uid INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX owners_by_uid ON owners (uid, kind);
"];

/// Brings an open database to today's schema, or refuses it unchanged.
pub(super) fn prepare(db: &Connection, path: &Path) -> Result<(), LedgerError> {
    let damaged = |detail: String| LedgerError::Damaged { path: path.to_path_buf(), detail };
    let found: i64 =
        db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|e| damaged(e.to_string()))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(LedgerError::Newer { path: path.to_path_buf(), found, known });
    }
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| damaged(e.to_string()))?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let fail = sql("the ledger cannot be prepared");
    db.pragma_update(None, "journal_mode", "WAL").map_err(&fail)?;
    // FULL: a grant that was answered survives a power cut.
    db.pragma_update(None, "synchronous", "FULL").map_err(&fail)?;
    db.busy_timeout(std::time::Duration::from_secs(5)).map_err(&fail)?;
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(&fail)?;
    if found == 0 && tables > 0 {
        return Err(damaged("it holds tables that ds01d did not make".into()));
    }
    if (1..known).contains(&found) {
        let copy = path.with_extension(format!("db.before-{known}"));
        db.execute("VACUUM INTO ?1", [copy.display().to_string()]).map_err(&fail)?;
        tracing::info!(copy = %copy.display(), from = found, to = known, "the ledger was copied before its schema step");
    }
    for (step, statements) in STEPS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let next = step + 1;
        db.execute_batch(&format!("BEGIN IMMEDIATE; {statements} PRAGMA user_version = {next}; COMMIT;"))
            .map_err(&fail)?;
    }
    Ok(())
}
