//! Packages that somebody installed by hand in a container: they go with it, unless they are written into the Dockerfile.

use ds01_api::Exit;
use ds01_api::names::{self, Project};

use super::recipe::{self, Recipe};
use super::{build, store};
use crate::by_hand::{Found, found, telling};
use crate::client::{ClientError, Door};
use crate::dockerfile::{Dockerfile, Package};
use crate::failure::Failure;
use crate::ui::Ui;

/// What becomes of packages that were installed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Saving {
    /// They are written into the Dockerfile; where that cannot be, it is a failure.
    Always,
    /// Whoever sits there is asked.
    Ask,
}

/// Writes the packages of a container into its project's Dockerfile, if they are to be saved; returns those written.
pub(in crate::commands) async fn save(
    door: &Door,
    name: &str,
    saving: Saving,
    ui: Ui,
) -> Result<Vec<String>, Failure> {
    let container = door.container(name).await?;
    let Found { packages, elsewhere } = match (look(door, &container.id).await, saving) {
        (Ok(found), _) => found,
        (Err(error), Saving::Always) => return Err(error.into()),
        // What cannot be looked at cannot be offered.
        (Err(_), Saving::Ask) => return Ok(Vec::new()),
    };
    let own = format!("{}/", names::image_namespace(&container.owner));
    let of_image = container.image.strip_prefix(&own).and_then(|rest| rest.strip_suffix(":latest"));
    let project = of_image.map(str::to_owned).or_else(|| container.project.clone());
    let Some(project) = project.and_then(|project| Project::new(&project).ok()) else {
        return Ok(Vec::new());
    };
    for (place, texts) in elsewhere {
        ui.warn(&format!(
            "installed by hand into {place}, which a Dockerfile's conda does not reach, and gone with the container: {}",
            texts.join(" ")
        ));
    }
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let Some(recipe) = recipe::find(&project)? else {
        return match saving {
            Saving::Always => Err(build::no_recipe(&project, None)),
            Saving::Ask => Ok(Vec::new()),
        };
    };
    let (text, new) = with(&recipe, &packages)?;
    if new.is_empty() {
        return Ok(new);
    }
    let (told, list) = (recipe::spoken(&recipe.path), new.join(" "));
    if saving == Saving::Ask {
        let question =
            format!("Installed by hand, and gone with the container: {list}\nWrite them into {told}?");
        if ui.ask(&question) != Some(true) {
            return Ok(Vec::new());
        }
    }
    store::write(&recipe.path, &text)?;
    ui.note(&format!("{told} installs {list} now; image update {project} --rebuild builds it"));
    Ok(new)
}

/// What was installed in a container, by what it has and its image has not.
async fn look(door: &Door, id: &str) -> Result<Found, ClientError> {
    let changes = door.changes(id).await?;
    let files = door.files(id, &telling(&changes)).await?;
    Ok(found(&changes, &files))
}

/// The Dockerfile's text with these packages, and those of them that are new to it.
fn with(recipe: &Recipe, packages: &[Package]) -> Result<(String, Vec<String>), Failure> {
    let mut dockerfile = Dockerfile::parse(&recipe.text);
    if dockerfile.base().is_none() {
        let message = format!("{} has no FROM, with which a Dockerfile begins", recipe::spoken(&recipe.path));
        return Err(Failure::new(Exit::Failed, "dockerfile.refused", message));
    }
    let mut new = Vec::new();
    for package in packages {
        let before = dockerfile.to_string();
        dockerfile.add(package.installer, &package.text);
        if dockerfile.to_string() != before {
            new.push(package.text.clone());
        }
    }
    Ok((dockerfile.to_string(), new))
}
