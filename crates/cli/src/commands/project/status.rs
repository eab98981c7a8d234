//! `project status`: how projects stand, with what they take on the disk.

use std::path::Path;

use ds01_api::Exit;
use serde::Serialize;

use super::known::{self, Standing};
use super::{NOT_FOUND, disk};
use crate::args::StatusArgs;
use crate::client::Door;
use crate::commands::image;
use crate::failure::Failure;
use crate::project::{of_directory, workspace};
use crate::render;
use crate::terminal;
use crate::ui::Ui;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Status {
    projects: Vec<Standing>,
}

pub(super) async fn perform(door: &Door, args: &StatusArgs, ui: Ui) -> Result<u8, Failure> {
    let wanted = match &args.name {
        Some(name) => Some(image::project(name)?),
        None => std::env::current_dir().ok().and_then(|here| of_directory(&here, &workspace().ok()?)),
    };
    let mut projects = known::all(door).await?;
    if let Some(wanted) = &wanted {
        projects.retain(|project| project.project == wanted.as_str());
        if projects.is_empty() {
            let message = format!("there is no project {wanted}");
            return Err(Failure::new(Exit::NotFound, NOT_FOUND, message)
                .with_hint(format!("project init {wanted} makes one; project list shows yours")));
        }
    }
    for project in &mut projects {
        project.disk = project.directory.as_deref().map(|directory| count(Path::new(directory), ui));
    }
    ui.answer(&Status { projects }, |status| render::project_status(&status.projects));
    Ok(0)
}

/// Counts, and tells how far that is where somebody looks on.
fn count(directory: &Path, ui: Ui) -> disk::Disk {
    let columns = terminal::error_columns().filter(|_| !ui.json);
    let mut told = false;
    let disk = disk::count(directory, |disk| {
        if let Some(columns) = columns {
            ui.passing(&render::counting(directory, disk, columns));
            told = true;
        }
    });
    if told {
        ui.passing("");
    }
    disk
}
