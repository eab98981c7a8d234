//! Asking the system who a user is (NSS: files, LDAP, whatever the machine uses).
//!
//! It answers for one blocking question. It may take for ever when a directory server is down, so nobody but
//! [`super::Names`] asks it, and that on a thread of its own.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// A user as the directory service knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// His name.
    pub name: String,
    /// His primary group.
    pub gid: u32,
    /// His home directory.
    pub home: PathBuf,
    /// All his groups by number, the primary one included.
    pub groups: Vec<u32>,
    /// All his groups by name; one without a name is left out.
    pub unix_groups: Vec<String>,
}

/// Where users are looked up. It may block.
pub trait Directory: Send + Sync + std::fmt::Debug + 'static {
    /// The account with this number; `None` where there surely is none.
    ///
    /// # Errors
    /// Where the directory cannot say.
    fn account(&self, uid: u32) -> io::Result<Option<Account>>;

    /// Whose subordinate id `uid` is, by name; `None` where it is nobody's. Must not block.
    fn subordinate_of(&self, uid: u32) -> Option<String>;
}

/// The machine's own directory: NSS for accounts, `/etc/subuid` for subordinate ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDirectory;

impl Directory for SystemDirectory {
    fn account(&self, uid: u32) -> io::Result<Option<Account>> {
        let Some(user) = User::from_uid(Uid::from_raw(uid))? else { return Ok(None) };
        let name = CString::new(user.name.as_str())?;
        let mut groups: Vec<u32> = getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut unix_groups = Vec::new();
        for group in &groups {
            unix_groups.extend(Group::from_gid(Gid::from_raw(*group))?.map(|group| group.name));
        }
        Ok(Some(Account { name: user.name, gid: user.gid.as_raw(), home: user.dir, groups, unix_groups }))
    }

    fn subordinate_of(&self, uid: u32) -> Option<String> {
        crate::staging::subordinate_owner(&std::fs::read_to_string(crate::staging::SUBUID).ok()?, uid)
    }
}
