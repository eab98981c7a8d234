//! Files outside /workspace: they go with the container, unless they are copied out of it first.
//!
//! The Engine tells what a container has that its image has not; what programs leave behind by themselves is passed over.
//! Nothing is run inside, so a container that has stopped tells it as well. It must never write over a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use ds01_api::{Container, Exit};
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use super::image::{Saving, recipe};
use crate::client::{Archive, Change, ClientError, Door};
use crate::failure::Failure;
use crate::render::words::{bytes, count};
use crate::ui::Ui;

/// Directories of the system, where nobody keeps his work; and the one that stays.
const NOT_LOOKED_AT: [&str; 16] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "opt",
    "proc",
    "run",
    "sbin",
    "sys",
    "usr",
    "var",
    "workspace",
];
/// What programs make by themselves, wherever they are; hidden files are theirs, too.
const BY_PROGRAMS: [&str; 4] = ["__pycache__", "site-packages", "dist-packages", "node_modules"];
/// How names begin that programs make in /tmp.
const TEMPORARY: [&str; 3] = ["tmp", "pip-", "torchinductor_"];
/// The directory of the workspace that what was rescued goes to.
const RESCUED: &str = "rescued";
/// Directories of that name that are tried.
const DIRECTORIES_MAX: u32 = 1000;
/// Paths that are looked at, to tell how large they are.
const LOOKED_AT_MAX: usize = 32;
/// Paths that are told by name.
const TOLD_MAX: usize = 4;
/// A head in an archive.
const HEAD_BYTES: usize = 512;
/// Pieces of an archive that wait for the disk.
const PIECES_MAX: usize = 16;

/// Something that somebody may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// The topmost path that the image has not.
    path: String,
    /// If it is a directory, what there is in it.
    files: Option<usize>,
}

/// Copies what a container has outside /workspace into its workspace, if that is to be; returns where it is.
pub(super) async fn rescue(
    door: &Door,
    name: &str,
    saving: Saving,
    ui: Ui,
) -> Result<Option<String>, Failure> {
    let container = door.container(name).await?;
    let Some(workspace) = container.workspace.as_deref().filter(|_| container.mine) else { return Ok(None) };
    let changes = match (door.changes(&container.id).await, saving) {
        (Ok(changes), _) => changes,
        (Err(error), Saving::Always) => return Err(error.into()),
        // What cannot be looked at cannot be offered.
        (Err(_), Saving::Ask) => return Ok(None),
    };
    let mut told = Vec::new();
    let mut meant = Vec::new();
    for (at, found) in found(&changes, &format!("/home/{}", container.owner)).into_iter().enumerate() {
        let size =
            if at < LOOKED_AT_MAX { size_of(door, &container, &found).await } else { Some(String::new()) };
        if let Some(size) = size {
            told.push(format!("{}{size}", found.path));
            meant.push(found.path);
        }
    }
    if meant.is_empty() {
        return Ok(None);
    }
    let into = Path::new(workspace).join(RESCUED);
    if saving == Saving::Ask {
        let question = format!(
            "Outside /workspace, and gone with the container: {}\nCopy {} to {} first?",
            listed(&told),
            if meant.len() == 1 { "it" } else { "them" },
            recipe::spoken(&into)
        );
        if ui.ask(&question) != Some(true) {
            return Ok(None);
        }
    }
    let into = fresh(&into).map_err(|error| not_saved(&container, &into, &error.to_string()))?;
    for path in &meant {
        copy(door, &container, path, &into).await?;
    }
    let spoken = recipe::spoken(&into);
    ui.note(&format!("copied to {spoken}: {}", listed(&told)));
    Ok(Some(spoken))
}

/// The first names of many.
fn listed(told: &[String]) -> String {
    match told.len().checked_sub(TOLD_MAX) {
        None | Some(0) => told.join(", "),
        Some(more) => format!("{} and {more} more", told[..TOLD_MAX].join(", ")),
    }
}

/// What somebody may have made outside /workspace, by its topmost new paths.
fn found(changes: &[Change], home: &str) -> Vec<Found> {
    let new: BTreeSet<&str> =
        changes.iter().filter(|change| change.is_new()).map(|c| c.path.as_str()).collect();
    let has_below = |path: &str| {
        let below = format!("{path}/");
        new.range(below.as_str()..).next().is_some_and(|next| next.starts_with(&below))
    };
    let mut tops: BTreeMap<&str, usize> = BTreeMap::new();
    for path in new.iter().filter(|path| is_somebodys(path) && !has_below(path)) {
        *tops.entry(top_of(path, &new, home)).or_default() += 1;
    }
    let told = |(path, files): (&str, usize)| Found {
        path: path.to_owned(),
        files: has_below(path).then_some(files),
    };
    tops.into_iter().map(told).collect()
}

/// Whether a path looks like a person's work.
fn is_somebodys(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let by_program = |part: &&str| part.starts_with('.') || BY_PROGRAMS.contains(part);
    match parts.as_slice() {
        [] => false,
        ["tmp", name, ..] if TEMPORARY.iter().any(|prefix| name.starts_with(prefix)) => false,
        [first, ..] => !NOT_LOOKED_AT.contains(first) && !parts.iter().any(by_program),
    }
}

/// The topmost new path that leads to this one, below the directories that everybody has.
fn top_of<'p>(path: &'p str, new: &BTreeSet<&str>, home: &str) -> &'p str {
    let is_below = |base: &&str| path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
    let base = [home, "/home", "/root", "/tmp"].into_iter().find(is_below).unwrap_or_default();
    let above = path.match_indices('/').map(|(at, _)| &path[..at]);
    above.filter(|above| above.len() > base.len()).find(|above| new.contains(above)).unwrap_or(path)
}

/// How large it is, as it is told; `None` if nothing is lost with it.
async fn size_of(door: &Door, container: &Container, found: &Found) -> Option<String> {
    let Found { path, files } = found;
    if let Some(files) = files {
        return Some(format!(" ({})", count(u64::try_from(*files).unwrap_or(u64::MAX), "file")));
    }
    match door.archive(&container.id, path).await {
        Ok(archive) => head_of(archive).await.map_or(Some(String::new()), |head| weight(&head)),
        // It is there, and no more is known of it.
        Err(_) => Some(String::new()),
    }
}

/// What the head of an archive tells of the file in it; `None` if it is none, or an empty one.
fn weight(head: &Header) -> Option<String> {
    match head.entry_type() {
        EntryType::Regular => {
            head.size().ok().filter(|size| *size > 0).map(|size| format!(" ({})", bytes(size)))
        }
        // What has a long name, or is very large, has a head of its own before it.
        EntryType::XHeader | EntryType::GNULongName => Some(String::new()),
        _ => None,
    }
}

/// The head with which an archive begins. The rest of it is not waited for.
async fn head_of(mut archive: Archive) -> Option<Header> {
    let mut head = Header::new_old();
    let mut read = BytesMut::new();
    while read.len() < HEAD_BYTES {
        read.extend_from_slice(&archive.next().await.ok()??);
    }
    head.as_mut_bytes().copy_from_slice(&read[..HEAD_BYTES]);
    Some(head)
}

/// A directory that nobody has made yet: `rescued`, `rescued-2`, …
fn fresh(wanted: &Path) -> io::Result<PathBuf> {
    for number in 1..DIRECTORIES_MAX {
        let directory = match number {
            1 => wanted.to_owned(),
            _ => wanted.with_file_name(format!("{RESCUED}-{number}")),
        };
        match std::fs::create_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| directory),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Copies a path with all that is below it, to where it was, below `into`.
async fn copy(door: &Door, container: &Container, path: &str, into: &Path) -> Result<(), Failure> {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above).trim_start_matches('/');
    let into = into.join(above);
    let failed = |error: &dyn Display| not_saved(container, &into, &error.to_string());
    let mut archive = door.archive(&container.id, path).await.map_err(|error| failed(&error))?;
    let (pieces, arriving) = mpsc::channel(PIECES_MAX);
    let target = into.clone();
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(Pieces { arriving, now: Bytes::new() }, &target));
    let came = async {
        while let Some(piece) = archive.next().await? {
            if pieces.send(piece).await.is_err() {
                // Nobody takes it any more: unpacking tells why.
                break;
            }
        }
        Ok::<(), ClientError>(())
    };
    let came = came.await;
    drop(pieces);
    let unpacked = unpacking.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    came.map_err(|error| failed(&error))?;
    unpacked.map_err(|error| failed(&error))
}

/// Unpacks files, directories and links; of what else there may be nothing is worth keeping.
fn unpack(pieces: Pieces, into: &Path) -> io::Result<()> {
    std::fs::create_dir_all(into)?;
    let mut archive = tar::Archive::new(pieces);
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        match entry.header().entry_type() {
            // Last: in one that may not be written to, what belongs into it could not be made.
            EntryType::Directory => directories.push(entry),
            EntryType::Regular | EntryType::Symlink | EntryType::Link => drop(entry.unpack_in(into)?),
            _ => {}
        }
    }
    directories.into_iter().rev().try_for_each(|mut directory| directory.unpack_in(into).map(drop))
}

/// An archive that is read while it arrives.
struct Pieces {
    arriving: mpsc::Receiver<Bytes>,
    now: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.arriving.blocking_recv() {
                Some(piece) => self.now = piece,
                None => return Ok(0),
            }
        }
        let taken = self.now.split_to(room.len().min(self.now.len()));
        room[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

fn not_saved(container: &Container, into: &Path, why: &str) -> Failure {
    let (name, into) = (container.short_name(), recipe::spoken(into));
    Failure::new(
        Exit::Failed,
        "files.not-saved",
        format!("not all of it could be copied to {into} ({why}): {name} stays"),
    )
    .with_hint(format!("container attach {name}, and move to /workspace what you want to keep"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(paths: &[&str]) -> Vec<Change> {
        let changes: Vec<_> =
            paths.iter().map(|path| serde_json::json!({ "Path": path, "Kind": 1 })).collect();
        serde_json::from_value(changes.into()).unwrap()
    }

    fn told(paths: &[&str]) -> Vec<String> {
        let told = |found: Found| found.path + &found.files.map(|n| format!(" {n}")).unwrap_or_default();
        found(&changes(paths), "/home/alice").into_iter().map(told).collect()
    }

    #[test]
    fn what_a_person_made_is_told_by_its_topmost_path() {
        let made = [
            "/home/alice",
            "/home/alice/model.pt",
            "/home/alice/runs",
            "/home/alice/runs/1",
            "/home/alice/runs/1/a",
            "/home/alice/runs/1/b",
            "/model.pt",
            "/root/x",
            "/tmp/results",
            "/tmp/results/log",
            "/tmp/results-2",
            "/srv/data/d",
        ];
        assert_eq!(
            told(&made),
            [
                "/home/alice/model.pt",
                "/home/alice/runs 2",
                "/model.pt",
                "/root/x",
                "/srv/data/d",
                "/tmp/results 1",
                "/tmp/results-2"
            ]
        );
        assert_eq!(told(&["/home/alice"]), ["/home/alice"], "told apart by looking: it is a directory");
    }

    #[test]
    fn what_programs_make_is_passed_over() {
        let made = [
            "/home/alice/.bash_history",
            "/home/alice/.cache/pip/x",
            "/home/alice/lib/__pycache__/a.pyc",
            "/workspace",
            "/usr/lib/python3/dist-packages/x.py",
            "/etc/passwd",
            "/var/lib/dpkg/status",
            "/opt/conda/bin/x",
            "/.dockerenv",
            "/tmp/tmpab12/x",
            "/tmp/.X11-unix",
            "/tmp/pip-build/x",
            "/dev/nvidia0",
            "/run/x",
        ];
        assert_eq!(told(&made), [""; 0]);
        let before: Vec<Change> =
            serde_json::from_value(serde_json::json!([{ "Path": "/root/was-there", "Kind": 0 }])).unwrap();
        assert_eq!(found(&before, "/root"), []);
    }

    #[test]
    fn a_head_tells_what_is_lost() {
        let head = |kind, size| {
            let mut head = Header::new_gnu();
            head.set_entry_type(kind);
            head.set_size(size);
            weight(&head)
        };
        assert_eq!(head(EntryType::Regular, 3 << 20).as_deref(), Some(" (3 MiB)"));
        assert_eq!(head(EntryType::Regular, 0), None);
        assert_eq!(head(EntryType::Directory, 0), None);
        assert_eq!(head(EntryType::XHeader, 100).as_deref(), Some(""));
    }
}
