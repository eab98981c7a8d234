//! Who owns which object, and with whom it is shared: volumes, networks, image tags, images without one. Containers are
//! the rules' own; execs follow their container.

use rusqlite::{OptionalExtension, params};

use super::{Ledger, LedgerError, sql};

/// A kind of object that has an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A named or anonymous volume, by name.
    Volume,
    /// A network, by full id.
    Network,
    /// An image tag, as `repository:tag`.
    Tag,
    /// An image that lost its last name or never had one, by id.
    UnnamedImage,
}

impl ObjectKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Tag => "tag",
            Self::UnnamedImage => "image",
        }
    }
}

/// One owned object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Its name or id.
    pub name: String,
    /// Its owner.
    pub uid: u32,
}

impl Ledger {
    /// Writes an owner where there is none yet; answers who owns the object now.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn own(&mut self, kind: ObjectKind, name: &str, uid: u32) -> Result<u32, LedgerError> {
        self.db
            .prepare_cached("INSERT OR IGNORE INTO owners (kind, name, uid) VALUES (?1, ?2, ?3)")
            .and_then(|mut s| s.execute(params![kind.as_str(), name, uid]))
            .map_err(sql("an owner cannot be written"))?;
        Ok(self.owner_of(kind, name)?.unwrap_or(uid))
    }

    /// Who owns an object, if anybody does.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn owner_of(&mut self, kind: ObjectKind, name: &str) -> Result<Option<u32>, LedgerError> {
        self.db
            .prepare_cached("SELECT uid FROM owners WHERE kind = ?1 AND name = ?2")
            .and_then(|mut s| s.query_row(params![kind.as_str(), name], |row| row.get(0)).optional())
            .map_err(sql("an owner cannot be read"))
    }

    /// Forgets the owner of an object that is no more.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn disown(&mut self, kind: ObjectKind, name: &str) -> Result<(), LedgerError> {
        // What was shared of it goes with it: the next object of the name is another's to share.
        self.withdraw(kind, name, None)?;
        self.db
            .prepare_cached("DELETE FROM owners WHERE kind = ?1 AND name = ?2")
            .and_then(|mut s| s.execute(params![kind.as_str(), name]))
            .map(drop)
            .map_err(sql("an owner cannot be forgotten"))
    }

    /// All owned objects of a kind.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub fn owned(&mut self, kind: ObjectKind) -> Result<Vec<Owned>, LedgerError> {
        let fail = sql("the owners cannot be read");
        let mut statement = self
            .db
            .prepare_cached("SELECT name, uid FROM owners WHERE kind = ?1 ORDER BY name")
            .map_err(&fail)?;
        let rows = statement
            .query_map([kind.as_str()], |row| Ok(Owned { name: row.get(0)?, uid: row.get(1)? }))
            .map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(fail)
    }
}
