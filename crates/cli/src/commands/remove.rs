//! `container remove`: what does not run is removed; what runs only by force. The workspace is never touched.

use ds01_api::{RetireRequest, Retired, codes, paths};
use serde::Serialize;

use super::image::{self, Image};
use super::retire::Gone;
use super::{for_each, targets};
use crate::args::RemoveArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &RemoveArgs, ui: Ui) -> Result<u8, Failure> {
    let names = targets::names(door, &args.targets, targets::is_at_rest).await?;
    let mut stuck = 0;
    let (removed, exit) = for_each(&names, ui, async |name| match remove(door, name, args).await {
        Ok(gone) => Ok(Some(gone.told(ui, render::removed, &mut stuck))),
        Err(failure) if args.force && failure.error.code == codes::CONTAINER_NOT_FOUND => {
            ui.note(&format!("you have no container {name}: nothing to remove"));
            Ok(None)
        }
        Err(failure) => Err(failure),
    })
    .await;
    if ui.json {
        ui.answer(&Report { removed: removed.into_iter().flatten().collect() }, |_| String::new());
    } else if names.is_empty() {
        ui.say("There is nothing to remove.\n");
    }
    Ok(if exit == 0 { stuck } else { exit })
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    removed: Vec<Retired>,
}

async fn remove(door: &Door, name: &str, args: &RemoveArgs) -> Result<Gone, Failure> {
    let image = image::of_its_project(door, name, args.images).await?;
    let request = RetireRequest {
        name: name.to_owned(),
        force: args.force,
        stopped_only: !args.force,
        keep_volumes: !args.volumes,
        ..RetireRequest::default()
    };
    let retired: Retired = door.post(paths::RETIRE, &request).await?;
    Ok(Gone { image: Image::remove(door, image).await, retired })
}
