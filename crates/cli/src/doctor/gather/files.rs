//! Files of the machine: what is in them, and who gets at them. With another root, what lies there is taken first.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::libc::{S_IFDIR, S_IFMT};
use nix::unistd::geteuid;

use super::super::facts::{Program, Step, Way};
use super::super::finding::{Seen, Unseen};

/// The longest file that is read, in bytes; what comes after is not looked at.
const FILE_BYTES_MAX: u64 = 4 << 20;
const STICKY: u32 = 0o1000;
const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

/// The root directory, and one that lies over it.
#[derive(Debug, Clone)]
pub(super) struct Root(Option<PathBuf>);

impl Root {
    pub(super) fn new(over: Option<PathBuf>) -> Self {
        Self(over)
    }

    /// Where a path of the machine is.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let over = self.0.as_ref().map(|root| root.join(path.strip_prefix("/").unwrap_or(path)));
        over.filter(|over| over.symlink_metadata().is_ok()).unwrap_or_else(|| path.to_owned())
    }

    /// The text of a file; nothing where there is none.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> Seen<Option<String>> {
        let path = self.at(path);
        let read = || -> io::Result<String> {
            let mut bytes = Vec::new();
            fs::File::open(&path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        seen(&path, read())
    }

    /// The same, where it does not matter why there is none.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        self.read(path).ok().flatten()
    }

    /// What is in a directory, in order.
    pub(super) fn list(&self, path: impl AsRef<Path>) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
    }
}

/// An absence is a fact; a refusal is none.
fn seen<T>(path: &Path, result: io::Result<T>) -> Seen<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !geteuid().is_root() => {
            Err(Unseen::NeedsRoot)
        }
        Err(error) => Err(Unseen::Because(format!("{}: {error}", path.display()))),
    }
}

/// The way to a file, links resolved.
pub(super) fn way(path: &Path) -> Way {
    let Some(real) = seen(path, fs::canonicalize(path))? else { return Ok(None) };
    let mut steps = Vec::new();
    for step in real.ancestors() {
        let Some(found) = seen(step, fs::symlink_metadata(step))? else { return Ok(None) };
        steps.push(Step { path: step.to_owned(), mode: found.mode(), uid: found.uid(), gid: found.gid() });
    }
    steps.reverse();
    Ok(Some(steps))
}

/// A program and whether it is safe to run as root; nothing where it is not there.
pub(super) fn program(path: &Path) -> Seen<Option<Program>> {
    let Some(way) = way(path)? else { return Ok(None) };
    let unsafe_step = way.iter().rev().find(|step| !only_root_moves(step)).map(|step| step.path.clone());
    Ok(Some(Program { path: path.to_owned(), unsafe_step }))
}

/// The same rule by which `ds01-runtime` judges the runtimes that it becomes.
fn only_root_moves(step: &Step) -> bool {
    let is_trusted = step.uid == 0 || step.uid == geteuid().as_raw();
    let is_directory = step.mode & S_IFMT == S_IFDIR;
    is_trusted && (step.mode & GROUP_OR_OTHERS_WRITE == 0 || is_directory && step.mode & STICKY != 0)
}

/// Whether others than root can write a file itself.
pub(super) fn is_writable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.uid() != 0 || found.mode() & GROUP_OR_OTHERS_WRITE != 0)
}
