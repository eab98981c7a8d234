//! The files this program touches besides receipts: whose they are, and the bundle's configuration.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use ds01_runtime::bundle::CONFIG_BYTES_MAX;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Whether this user can be trusted with what this process does: root, or the very user it runs as.
pub(crate) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Whether a file belongs to a trusted user and nobody else can write in it.
pub(crate) fn only_root_writes(found: &Metadata) -> bool {
    is_trusted(found.uid()) && found.mode() & GROUP_OR_OTHERS_WRITE == 0
}

/// Whether nobody else can put another file in the place of a trusted user's file in this directory, or of the file
/// that this is. In a sticky directory nobody can move what is somebody else's.
pub(crate) fn only_root_moves(path: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(path)?;
    let sticky = found.is_dir() && found.mode() & STICKY != 0 && is_trusted(found.uid());
    Ok(sticky || only_root_writes(&found))
}

/// The first step of the path, the file itself included, at which somebody else could put another file.
pub(crate) fn unsafe_step(path: &Path) -> io::Result<Option<PathBuf>> {
    for step in path.ancestors() {
        if !only_root_moves(step)? {
            return Ok(Some(step.to_owned()));
        }
    }
    Ok(None)
}

/// A bundle's configuration as it was read.
pub(crate) struct Config {
    /// The text.
    pub(crate) text: String,
    path: PathBuf,
    found: Metadata,
}

impl Config {
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() > CONFIG_BYTES_MAX {
            return Err(io::Error::other(format!("it is not a file of at most {CONFIG_BYTES_MAX} bytes")));
        }
        let mut text = String::with_capacity(usize::try_from(found.len()).unwrap_or_default());
        file.take(CONFIG_BYTES_MAX).read_to_string(&mut text)?;
        Ok(Self { text, path: path.to_owned(), found })
    }

    /// Puts `text` in the configuration's place, whole or not at all, with the same mode and owner.
    pub(crate) fn replace(&self, text: &str) -> io::Result<()> {
        let temporary = self.path.with_extension(format!("json.{}", std::process::id()));
        let written = self.write(&temporary, text).and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let flags = nix::libc::O_NOFOLLOW;
        let mut file: File =
            OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(path)?;
        file.write_all(text.as_bytes())?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (self.found.uid(), self.found.gid()) {
            fchown(&file, Some(self.found.uid()), Some(self.found.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(self.found.mode() & 0o7777))
    }
}
