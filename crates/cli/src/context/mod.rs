//! What a build is sent: its Dockerfile, and of the directory around it what the Dockerfile copies.
//!
//! Answers for: choosing the files, leaving out what `.dockerignore` names, telling whether anything has changed since an
//! image was made of them ([`Context::digest`]), packing them. A workspace holds data sets: what no `COPY` names is neither
//! read nor sent.
//! Must never: follow a link, or read what is neither file, directory nor link.

mod ignore;
mod pack;
mod walk;

use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::dockerfile::{Copied, Dockerfile};
use ignore::Patterns;
pub(crate) use pack::pack;

/// The name by which the Dockerfile is sent.
pub(crate) const DOCKERFILE: &str = "Dockerfile";
/// Larger files count by size and time of their last change: whether an image is up to date is asked at each launch.
const READ_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a build is sent.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The text of the Dockerfile.
    pub(crate) dockerfile: String,
    /// Where the files are.
    directory: PathBuf,
    /// Beside the Dockerfile, in order of their paths.
    entries: Vec<Entry>,
}

/// A file, a directory or a link.
#[derive(Debug, Clone)]
struct Entry {
    /// Below the directory, as Docker spells it.
    path: String,
    metadata: Metadata,
}

/// What cannot be read of a context.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", path.display())]
pub(crate) struct ContextError {
    path: PathBuf,
    source: io::Error,
}

impl Context {
    /// What this Dockerfile takes of `directory`, which need not be there.
    pub(crate) fn gather(dockerfile: String, directory: &Path) -> Result<Self, ContextError> {
        let copied = Dockerfile::parse(&dockerfile).copied();
        let ignored = match std::fs::read_to_string(directory.join(".dockerignore")) {
            Ok(text) => Patterns::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Patterns::default(),
            Err(source) => {
                return Err(ContextError { path: directory.join(".dockerignore"), source });
            }
        };
        let mut entries = match copied {
            Copied::These(sources) if sources.is_empty() => Vec::new(),
            copied => walk::entries(directory, &copied, &ignored)?,
        };
        entries.retain(|entry| entry.path != DOCKERFILE);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.dedup_by(|a, b| a.path == b.path);
        Ok(Self { dockerfile, directory: directory.to_owned(), entries })
    }

    /// Bytes of all files together.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.metadata.is_file()).map(|entry| entry.metadata.len()).sum()
    }

    /// The same for the same Dockerfile and the same files, and another one else.
    pub(crate) fn digest(&self) -> Result<String, ContextError> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.dockerfile.as_bytes());
        for entry in &self.entries {
            let path = self.directory.join(&entry.path);
            let content = content(&path, &entry.metadata).map_err(|source| ContextError { path, source })?;
            part(entry.path.as_bytes());
            part(&(entry.metadata.mode() & 0o170_111).to_le_bytes());
            part(&content);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What makes an entry what it is.
fn content(path: &Path, metadata: &Metadata) -> io::Result<Vec<u8>> {
    if metadata.is_symlink() {
        return Ok(std::fs::read_link(path)?.into_os_string().into_encoded_bytes());
    }
    if !metadata.is_file() {
        return Ok(Vec::new());
    }
    if metadata.len() > READ_BYTES_MAX {
        return Ok(format!("{} {} {}", metadata.len(), metadata.mtime(), metadata.mtime_nsec()).into_bytes());
    }
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(READ_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests;
