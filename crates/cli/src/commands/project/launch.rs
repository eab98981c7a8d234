//! `project launch`: the image as its Dockerfile says, then a container of it as `container deploy` makes one.

use ds01_api::Exit;
use ds01_api::names::Project;

use super::NOT_FOUND;
use crate::args::LaunchArgs;
use crate::client::Door;
use crate::commands::image::build::{When, ensure};
use crate::commands::{deploy, image};
use crate::failure::Failure;
use crate::project::Place;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &LaunchArgs, ui: Ui) -> Result<u8, Failure> {
    let making = &args.deploy.making;
    let name = image::project(&making.name)?;
    // Nothing is built for a dry run, nor where another image is wanted.
    if making.image.is_none() && making.framework.is_none() && !making.dry_run {
        let source = making.project.as_deref().map_or_else(|| Ok(name.clone()), image::project)?;
        let when = if args.rebuild { When::Always } else { When::Needed };
        let made = ensure(door, &source, when, ui).await.map_err(|failure| unknown(failure, &source))?;
        if made.build.is_some() && !making.force {
            has_an_older_one(door, &name, ui).await?;
        }
    }
    deploy::perform(door, &args.deploy, ui).await
}

/// A project of which there is nothing at all is none: that is told, and not that it has no Dockerfile.
fn unknown(failure: Failure, project: &Project) -> Failure {
    let is_there = Place::of(project).is_ok_and(|place| place.directory.exists());
    if failure.exit != Exit::NotFound.code() || is_there {
        return failure;
    }
    Failure::new(Exit::NotFound, NOT_FOUND, format!("there is no project {project}"))
        .with_hint(format!("project init {project} makes one; project list shows yours"))
}

/// Tells that a container of the image as it was before goes on to be used.
async fn has_an_older_one(door: &Door, name: &Project, ui: Ui) -> Result<(), Failure> {
    match door.container(name.as_str()).await {
        Ok(_) => ui.warn(&format!(
            "{name} has a container of the image as it was before; --force makes a new one, /workspace stays"
        )),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
