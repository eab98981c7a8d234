//! What people share of their images and volumes, and with whom.

use rusqlite::params;

use super::{Ledger, LedgerError, ObjectKind, sql};

/// Shared with everybody: no user has this number.
const EVERYBODY: i64 = -1;

/// With whom something is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Taker {
    /// Whoever comes.
    Everybody,
    /// This user.
    User(u32),
}

impl Taker {
    /// Whether this user is meant.
    #[must_use]
    pub fn is(self, uid: u32) -> bool {
        self == Self::Everybody || self == Self::User(uid)
    }

    fn number(self) -> i64 {
        match self {
            Self::Everybody => EVERYBODY,
            Self::User(uid) => uid.into(),
        }
    }
}

/// One share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The volume's name, or the image's tag.
    pub name: String,
    /// With whom.
    pub taker: Taker,
    /// Whether he may write.
    pub writes: bool,
}

impl Ledger {
    /// Shares an object, or changes how it is shared.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn share(
        &mut self,
        kind: ObjectKind,
        name: &str,
        taker: Taker,
        writes: bool,
    ) -> Result<(), LedgerError> {
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO shares (kind, name, taker, writes) VALUES (?1, ?2, ?3, ?4)",
            )
            .and_then(|mut s| s.execute(params![kind.as_str(), name, taker.number(), writes]))
            .map(drop)
            .map_err(sql("a share cannot be written"))
    }

    /// Takes a share back, or all of an object; answers how many there were.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn withdraw(
        &mut self,
        kind: ObjectKind,
        name: &str,
        taker: Option<Taker>,
    ) -> Result<usize, LedgerError> {
        self.db
            .prepare_cached("DELETE FROM shares WHERE kind = ?1 AND name = ?2 AND taker = ifnull(?3, taker)")
            .and_then(|mut s| s.execute(params![kind.as_str(), name, taker.map(Taker::number)]))
            .map_err(sql("a share cannot be taken back"))
    }

    /// All shares of a kind.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn shared(&mut self, kind: ObjectKind) -> Result<Vec<Shared>, LedgerError> {
        let fail = sql("the shares cannot be read");
        let mut statement = self
            .db
            .prepare_cached("SELECT name, taker, writes FROM shares WHERE kind = ?1 ORDER BY name, taker")
            .map_err(&fail)?;
        let rows = statement
            .query_map([kind.as_str()], |row| {
                let taker = u32::try_from(row.get::<_, i64>(1)?).map_or(Taker::Everybody, Taker::User);
                Ok(Shared { name: row.get(0)?, taker, writes: row.get(2)? })
            })
            .map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(fail)
    }
}
