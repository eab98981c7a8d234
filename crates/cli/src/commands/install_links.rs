//! `ds01 install-links`: the other spellings, as symbolic links to this program.
//!
//! Doing it twice changes nothing. A file or link of another program is never touched.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ds01_api::Exit;

use crate::args::InstallLinksArgs;
use crate::args::argv::link_names;
use crate::failure::Failure;
use crate::ui::Ui;

pub(super) fn perform(args: &InstallLinksArgs, ui: Ui) -> Result<u8, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, "links.failed", format!("where ds01 lies cannot be told: {error}"))
    })?;
    let home = program.parent().unwrap_or(Path::new("/"));
    let dir = args.dir.as_deref().unwrap_or(home);
    let target = target(&program, dir);
    let (mut made, mut kept, mut foreign) = (0, 0, Vec::new());
    for name in link_names() {
        let link = dir.join(&name);
        match install(&link, &target) {
            Ok(Outcome::Made) => made += 1,
            Ok(Outcome::Kept) => kept += 1,
            Ok(Outcome::Foreign) => foreign.push(name),
            Err(error) => return Err(cannot(&link, &error)),
        }
    }
    ui.say(&format!("{}: {made} made, {kept} there already.\n", dir.display()));
    if foreign.is_empty() {
        return Ok(0);
    }
    let names = foreign.join(", ");
    let message = format!("{} belongs to another program and was left alone: {names}", dir.display());
    Err(Failure::new(Exit::Failed, "links.foreign", message)
        .with_hint("move it away, or give another directory: ds01 install-links DIR"))
}

fn cannot(link: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot make {}: {error}", link.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::new(Exit::NotPermitted, "links.denied", message)
            .with_hint("use sudo, or give a directory of your own: ds01 install-links ~/.local/bin"),
        io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "links.no-directory", message).with_hint("make the directory first")
        }
        _ => Failure::new(Exit::Failed, "links.failed", message),
    }
}

/// What the links say: just the name beside the program (so that a package can be staged elsewhere), else its path.
fn target(program: &Path, dir: &Path) -> PathBuf {
    let beside = |path: &Path| path.canonicalize().ok();
    match (program.file_name(), program.parent().and_then(beside), beside(dir)) {
        (Some(name), Some(home), Some(dir)) if home == dir => name.into(),
        _ => program.to_owned(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Made,
    Kept,
    Foreign,
}

fn install(link: &Path, target: &Path) -> io::Result<Outcome> {
    match symlink(target, link) {
        Ok(()) => return Ok(Outcome::Made),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let Ok(there) = std::fs::read_link(link) else { return Ok(Outcome::Foreign) };
    if there == target {
        return Ok(Outcome::Kept);
    }
    // An older link to a ds01 elsewhere is ours to move; anything else is not.
    if there.file_name() != target.file_name() {
        return Ok(Outcome::Foreign);
    }
    let beside = link.with_file_name(format!(".ds01-link-{}", std::process::id()));
    symlink(target, &beside)?;
    std::fs::rename(&beside, link).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    Ok(Outcome::Made)
}
