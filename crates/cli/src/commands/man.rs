//! `ds01 man`: the manual's pages, into a directory. Doing it twice changes nothing; a page of another program is never
//! replaced.

use std::io;
use std::path::{Path, PathBuf};

use ds01_api::Exit;

use crate::args::ManArgs;
use crate::failure::Failure;
use crate::manual::{MANUAL, Page, pages};
use crate::ui::Ui;

pub(super) fn perform(args: &ManArgs, ui: Ui) -> Result<u8, Failure> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => beside_the_program()?,
    };
    std::fs::create_dir_all(&dir).map_err(|error| cannot(&dir, &error))?;
    let (mut written, mut foreign) = (0, Vec::new());
    for page in pages() {
        let path = dir.join(format!("{}.1", page.name));
        match is_ours_or_free(&path) {
            Ok(true) => std::fs::write(&path, &page.text).map_err(|error| cannot(&path, &error))?,
            Ok(false) => {
                foreign.push(page.name);
                continue;
            }
            Err(error) => return Err(cannot(&path, &error)),
        }
        written += 1;
    }
    ui.say(&format!("{}: {written} pages.\n", dir.display()));
    if foreign.is_empty() {
        return Ok(0);
    }
    let message = format!(
        "{} has pages of another program, which were left alone: {}",
        dir.display(),
        foreign.join(", ")
    );
    Err(Failure::new(Exit::Failed, "man.foreign", message)
        .with_hint("move them away, or give another directory: ds01 man DIR"))
}

/// `/usr/local/share/man/man1` for `/usr/local/bin/ds01`.
fn beside_the_program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, "man.failed", format!("where ds01 lies cannot be told: {error}"))
    })?;
    let above = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    Ok(above.join("share/man/man1"))
}

/// Whether a page may be written there: nothing stands there, or an earlier one of ours.
fn is_ours_or_free(path: &Path) -> io::Result<bool> {
    let text = match std::fs::read(path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let title = text.lines().find(|line| line.starts_with(".TH "));
    let leads_to_ours = |page: &Page| page.text.starts_with(".so ") && page.text == text;
    Ok(title.is_some_and(|title| title.contains(MANUAL)) || pages().iter().any(leads_to_ours))
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::new(Exit::NotPermitted, "man.denied", message)
            .with_hint("use sudo, or give a directory of your own: ds01 man ~/.local/share/man/man1"),
        _ => Failure::new(Exit::Failed, "man.failed", message),
    }
}
