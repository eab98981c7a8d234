//! Making a project's directory: whole or not at all. It is made beside its place under another name and renamed when it is
//! complete; whatever breaks that off takes it away again. It must never replace a file.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ds01_api::{Exit, codes};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tokio::process::Command;

use super::EXISTS;
use crate::failure::Failure;
use crate::project::{NewFile, Place};
use crate::signals::Signals;

/// How often a directory that is broken off is tried to be removed.
const REMOVE_TRIES: u32 = 5;

/// How it ended.
#[derive(Debug)]
pub(super) enum Made {
    /// The directory stands; whether with a git repository, or why not.
    Done { git: Result<bool, String> },
    /// A signal came; nothing is left. The exit code that tells of it.
    Interrupted(u8),
}

/// Refuses a place where something is already. An empty directory is nothing: `container deploy` makes one.
pub(super) fn is_free(place: &Place) -> Result<(), Failure> {
    let shown = place.directory.display();
    let taken = match fs::read_dir(&place.directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::symlink_metadata(&place.directory).is_ok()
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => true,
        Err(error) => return Err(failed(&place.directory, &error)),
    };
    if !taken {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, EXISTS, format!("{shown} is there already, and stays as it is"))
        .with_hint("choose another name, or move it away"))
}

/// Makes it.
pub(super) async fn make(place: &Place, files: &[NewFile], git: bool) -> Result<Made, Failure> {
    fs::create_dir_all(&place.above).map_err(|error| failed(&place.above, &error))?;
    let mut signals = Signals::new();
    let beside = Beside::new(place).map_err(|error| failed(&place.above, &error))?;
    let git = tokio::select! {
        made = fill(&beside.path, files, git) => made?,
        exit = signals.fatal() => return Ok(Made::Interrupted(exit)),
    };
    settle(&beside.path, &place.directory).map_err(|error| failed(&place.directory, &error))?;
    Ok(Made::Done { git })
}

/// A directory beside the place, which goes with this value. Renamed, it is not there any more to go.
struct Beside {
    path: PathBuf,
}

impl Beside {
    fn new(place: &Place) -> io::Result<Self> {
        let name = place.directory.file_name().unwrap_or(OsStr::new("project")).to_string_lossy();
        // A name that is no project's, and a template that mkdtemp makes unique.
        let path = nix::unistd::mkdtemp(&place.above.join(format!(".{name}.XXXXXX")))?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { path })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // A git that was killed a moment ago may still have made a file: then there is something left to remove.
        for _ in 0..REMOVE_TRIES {
            if fs::remove_dir_all(&self.path).is_ok() || !self.path.exists() {
                return;
            }
        }
    }
}

async fn fill(directory: &Path, files: &[NewFile], git: bool) -> Result<Result<bool, String>, Failure> {
    for file in files {
        let path = directory.join(file.path);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        fs::write(&path, &file.text).map_err(|error| failed(&path, &error))?;
    }
    Ok(if git { repository(directory).await.map(|()| true) } else { Ok(false) })
}

/// Puts what was made in its place: by one rename, or into the empty directory that is there, which a container may see.
fn settle(made: &Path, place: &Path) -> io::Result<()> {
    let rename = |from: &Path, to: &Path| {
        renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE).map_err(io::Error::from)
    };
    if !place.is_dir() {
        return rename(made, place);
    }
    for entry in fs::read_dir(made)? {
        let entry = entry?;
        rename(&entry.path(), &place.join(entry.file_name()))?;
    }
    Ok(())
}

/// A repository with everything in it that git is to keep.
async fn repository(directory: &Path) -> Result<(), String> {
    git(directory, &["-c", "init.defaultBranch=main", "init", "--quiet"]).await?;
    git(directory, &["add", "--all"]).await?;
    let mut commit = Vec::new();
    let who: Vec<String> = whoever_commits(directory).await;
    for setting in &who {
        commit.extend(["-c", setting.as_str()]);
    }
    commit.extend(["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "Begin the project"]);
    git(directory, &commit).await
}

/// Names for a first commit of somebody who has told git none: git refuses to commit without.
async fn whoever_commits(directory: &Path) -> Vec<String> {
    if git(directory, &["config", "user.email"]).await.is_ok() {
        return Vec::new();
    }
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let user = user.map_or_else(|| "somebody".to_owned(), |user| user.name);
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    vec![format!("user.name={user}"), format!("user.email={user}@{host}")]
}

/// Runs git in `directory`, whatever repository the shell is in.
async fn git(directory: &Path, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(words);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "git is not installed here".to_owned(),
        _ => format!("git: {error}"),
    })?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let line = said.lines().next().unwrap_or("it failed without a word");
    Err(format!("git: {}", line.replace(char::is_control, " ")))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(Exit::Failed, codes::INTERNAL, format!("{}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.with_hint("make room first: du -sh ~/workspace/* shows what is large")
        }
        io::ErrorKind::PermissionDenied => failure.with_hint("ls -ld ~ ~/workspace shows whose they are"),
        _ => failure,
    }
}
