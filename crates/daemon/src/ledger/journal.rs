//! The journal: what happened, for people to read; and the stints, who held which units from when to when. Beside the
//! events, and of a bounded size: a state is the same without it.
//!
//! Both are written with the events that they tell of, so that neither is missing after a crash. They are read over a
//! connection of one's own, so that nobody who decides waits for somebody who reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_domain::{About, Cause, ContainerId, Ending, Entry, Epoch, Note, Stint, Time, Uid, Weight, What};
use rusqlite::{Connection, OpenFlags, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError, sql};

/// How long lines of the journal are kept.
pub const LINES_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long stints are kept.
pub const STINTS_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The most of either, however short a time they come from.
const ROWS_MAX: i64 = 100_000;
/// Who stops a container and has it removed within this time retires it.
const RETIRED_WITHIN: Duration = Duration::from_secs(60);

/// A line with its number; later ones have higher numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
}

#[derive(Debug, Serialize, Deserialize)]
struct LineRow {
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<AboutRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    units: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct AboutRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    name: String,
    owner: u32,
    owner_name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct StintRow {
    #[serde(flatten)]
    about: AboutRow,
    units: Vec<String>,
    weight_milli: u32,
}

/// Writes notes, in the transaction of the events that they are of.
pub(super) fn write(transaction: &Transaction<'_>, notes: &[Note]) -> rusqlite::Result<()> {
    for note in notes {
        match note {
            Note::Entry(entry) => write_line(transaction, entry)?,
            Note::Stint(stint) => write_stint(transaction, stint)?,
            Note::Freed { epoch, at } => {
                let mut update =
                    transaction.prepare_cached("UPDATE stints SET until = ?2 WHERE epoch = ?1")?;
                update.execute([number(epoch.0), number(at.0)])?;
            }
            Note::Removed { container, at } => {
                let mut update = transaction.prepare_cached(
                    "UPDATE stints SET ending = 'retired' WHERE container = ?1 AND until >= ?2 AND ending = 'by-user'",
                )?;
                let since = number(at.0.saturating_sub(millis(RETIRED_WITHIN)));
                update.execute(params![container.as_str(), since])?;
            }
        }
    }
    Ok(())
}

fn write_line(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let row = LineRow {
        what: entry.what.word().to_owned(),
        about: entry.about.as_ref().map(about_row),
        units: entry.units.clone(),
        text: entry.text.clone(),
    };
    let owner = entry.about.as_ref().map(|about| about.owner.0);
    let mut insert =
        transaction.prepare_cached("INSERT INTO journal (at, owner, body) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![number(entry.at.0), owner, json(&row)]).map(drop)
}

fn write_stint(transaction: &Transaction<'_>, stint: &Stint) -> rusqlite::Result<()> {
    let row = StintRow {
        about: about_row(&stint.about),
        units: stint.units.clone(),
        weight_milli: stint.weight.as_milli(),
    };
    let (ending, exit) = stint.ending.map_or((None, None), |ending| {
        let (word, exit) = ending_row(ending);
        (Some(word), exit)
    });
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO stints (epoch, began, until, owner, container, ending, exit, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert
        .execute(params![
            number(stint.epoch.0),
            number(stint.from.0),
            number(stint.until.unwrap_or(stint.from).0),
            stint.about.owner.0,
            stint.about.container.as_ref().map(ContainerId::as_str).unwrap_or_default(),
            ending,
            exit,
            json(&row),
        ])
        .map(drop)
}

/// Forgets what has been kept for as long as it is to be.
pub(super) fn forget(transaction: &Transaction<'_>, now: Time) -> rusqlite::Result<()> {
    let before = |kept: Duration| number(now.0.saturating_sub(millis(kept)));
    transaction.execute("DELETE FROM journal WHERE at < ?1", [before(LINES_KEPT)])?;
    transaction.execute("DELETE FROM stints WHERE until < ?1", [before(STINTS_KEPT)])?;
    let many = "DELETE FROM journal WHERE seq <= (SELECT max(seq) FROM journal) - ?1";
    transaction.execute(many, [ROWS_MAX])?;
    let many = "DELETE FROM stints WHERE epoch <= (SELECT max(epoch) FROM stints) - ?1";
    transaction.execute(many, [ROWS_MAX]).map(drop)
}

impl Ledger {
    /// Writes notes that came with no fact: who waits in line is not kept, and told all the same.
    ///
    /// # Errors
    /// [`LedgerError::Sql`]; then none of them was written.
    pub fn note_down(&mut self, notes: &[Note]) -> Result<(), LedgerError> {
        let fail = sql("the journal cannot be written");
        let transaction = self.db.transaction().map_err(&fail)?;
        write(&transaction, notes).map_err(&fail)?;
        transaction.commit().map_err(fail)
    }
}

/// Reads the journal beside the daemon that writes it.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
}

/// Which lines or stints are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only those of this user.
    pub owner: Option<Uid>,
    /// From then on.
    pub since: Time,
    /// Up to then.
    pub until: Option<Time>,
}

impl Reader {
    /// Opens a ledger for reading.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(sql("the journal cannot be opened"))?;
        db.busy_timeout(Duration::from_secs(5)).map_err(sql("the journal cannot be opened"))?;
        Ok(Self { db, path: path.to_path_buf() })
    }

    /// The number of the newest line.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn newest(&self) -> Result<u64, LedgerError> {
        let newest = self.db.query_row("SELECT max(seq) FROM journal", [], |row| row.get(0));
        let newest: Option<i64> = newest.map_err(sql("the journal cannot be read"))?;
        Ok(newest.map_or(0, unsigned))
    }

    /// Lines with a number higher than this, the oldest first, at most so many.
    ///
    /// # Errors
    /// [`LedgerError::Sql`], [`LedgerError::Damaged`].
    pub fn lines(&self, wanted: &Wanted, after: u64, most: u32) -> Result<Vec<Line>, LedgerError> {
        let fail = sql("the journal cannot be read");
        let query = "SELECT seq, at, body FROM journal
             WHERE seq > ?1 AND at >= ?2 AND at <= ?3 AND (?4 IS NULL OR owner = ?4) ORDER BY seq LIMIT ?5";
        let mut statement = self.db.prepare_cached(query).map_err(&fail)?;
        let until = wanted.until.map_or(i64::MAX, |until| number(until.0));
        let owner = wanted.owner.map(|owner| owner.0);
        let bounds = params![number(after), number(wanted.since.0), until, owner, most];
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows = statement.query_map(bounds, read).map_err(&fail)?;
        let rows: Vec<(i64, i64, String)> = rows.collect::<Result<_, _>>().map_err(&fail)?;
        let lines = rows.into_iter().map(|(seq, at, body)| {
            let entry = serde_json::from_str(&body).map_err(|error| error.to_string());
            let entry = entry.and_then(|row: LineRow| entry_of(row, Time(unsigned(at))));
            let entry =
                entry.map_err(|detail| self.damaged(format!("line {seq} of the journal: {detail}")))?;
            Ok(Line { seq: unsigned(seq), entry })
        });
        lines.collect()
    }

    /// Stints that ended since, the oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Sql`], [`LedgerError::Damaged`].
    pub fn stints(&self, wanted: &Wanted) -> Result<Vec<Stint>, LedgerError> {
        let fail = sql("the stints cannot be read");
        let query = "SELECT epoch, began, until, ending, exit, body FROM stints
             WHERE until >= ?1 AND began <= ?2 AND (?3 IS NULL OR owner = ?3) ORDER BY began, epoch";
        let mut statement = self.db.prepare_cached(query).map_err(&fail)?;
        let until = wanted.until.map_or(i64::MAX, |until| number(until.0));
        let bounds = params![number(wanted.since.0), until, wanted.owner.map(|owner| owner.0)];
        let read = |row: &Row<'_>| {
            let times = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((times, row.get(3)?, row.get(4)?, row.get(5)?))
        };
        type Found = ((i64, i64, i64), Option<String>, Option<i32>, String);
        let rows = statement.query_map(bounds, read).map_err(&fail)?;
        let rows: Vec<Found> = rows.collect::<Result<_, _>>().map_err(&fail)?;
        let stints = rows.into_iter().map(|((epoch, from, until), ending, exit, body)| {
            let row: Result<StintRow, _> = serde_json::from_str(&body);
            let stint = row.map_err(|error| error.to_string()).and_then(|row| {
                Ok(Stint {
                    epoch: Epoch(unsigned(epoch)),
                    about: about_of(row.about)?,
                    units: row.units,
                    weight: Weight::from_milli(row.weight_milli),
                    from: Time(unsigned(from)),
                    until: Some(Time(unsigned(until))),
                    ending: ending.map(|word| ending_of(&word, exit)).transpose()?,
                })
            });
            stint.map_err(|detail| self.damaged(format!("stint {epoch}: {detail}")))
        });
        stints.collect()
    }

    fn damaged(&self, detail: String) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), detail }
    }
}

fn entry_of(row: LineRow, at: Time) -> Result<Entry, String> {
    let what = What::ALL.into_iter().find(|what| what.word() == row.what);
    let what = what.ok_or_else(|| format!("nothing is called {:?}", row.what))?;
    Ok(Entry { at, what, about: row.about.map(about_of).transpose()?, units: row.units, text: row.text })
}

fn about_row(about: &About) -> AboutRow {
    AboutRow {
        container: about.container.as_ref().map(ToString::to_string),
        name: about.name.clone(),
        owner: about.owner.0,
        owner_name: about.owner_name.clone(),
    }
}

fn about_of(row: AboutRow) -> Result<About, String> {
    let known = |text: &String| ContainerId::new(text).ok_or_else(|| format!("{text:?} is no container id"));
    let container = row.container.as_ref().map(known).transpose()?;
    Ok(About { container, name: row.name, owner: Uid(row.owner), owner_name: row.owner_name })
}

const fn ending_row(ending: Ending) -> (&'static str, Option<i32>) {
    match ending {
        Ending::NotStarted => ("not-started", None),
        Ending::Exited(code) => ("exited", code),
        Ending::ByUser => ("by-user", None),
        Ending::Retired => ("retired", None),
        Ending::Stopped(Cause::Idle) => ("idle", None),
        Ending::Stopped(Cause::Demand) => ("demand", None),
        Ending::Stopped(Cause::Runtime) => ("runtime", None),
    }
}

fn ending_of(word: &str, exit: Option<i32>) -> Result<Ending, String> {
    Ok(match word {
        "not-started" => Ending::NotStarted,
        "exited" => Ending::Exited(exit),
        "by-user" => Ending::ByUser,
        "retired" => Ending::Retired,
        "idle" => Ending::Stopped(Cause::Idle),
        "demand" => Ending::Stopped(Cause::Demand),
        "runtime" => Ending::Stopped(Cause::Runtime),
        other => return Err(format!("nothing ends as {other:?}")),
    })
}

fn json(row: &impl Serialize) -> String {
    // Plain structures of texts and numbers: there is nothing in them that could not be written.
    serde_json::to_string(row).unwrap_or_default()
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
