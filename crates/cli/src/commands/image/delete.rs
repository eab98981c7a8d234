//! `image delete`: names of images go, and images with their last name. Dockerfiles and workspaces are never touched.

use ds01_api::names::Project;
use ds01_api::{Exit, codes};
use serde::Serialize;

use super::build::image_of;
use super::recipe;
use crate::args::ImageDeleteArgs;
use crate::client::{Door, User};
use crate::commands::for_each;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

/// An image that is gone.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Deleted {
    pub(crate) image: String,
    /// The project whose it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// What it can be built from again, as people write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dockerfile: Option<String>,
    /// Containers that have it still.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) containers: Vec<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    deleted: Vec<Deleted>,
}

pub(super) async fn perform(door: &Door, args: &ImageDeleteArgs, ui: Ui) -> Result<u8, Failure> {
    let users = door.image_users().await?;
    let (deleted, exit) = for_each(&args.names, ui, async |name| {
        let Some(deleted) = delete(door, name, &users, args, ui).await? else { return Ok(None) };
        if !ui.json {
            ui.say(&render::image_deleted(&deleted));
        }
        Ok(Some(deleted))
    })
    .await;
    if ui.json {
        ui.answer(&Report { deleted: deleted.into_iter().flatten().collect() }, |_| String::new());
    }
    Ok(exit)
}

/// Deletes one; `None` if whoever was asked would rather not.
async fn delete(
    door: &Door,
    name: &str,
    users: &[User],
    args: &ImageDeleteArgs,
    ui: Ui,
) -> Result<Option<Deleted>, Failure> {
    // With a slash or a colon it is an image's name as it stands.
    let project = if name.contains(['/', ':']) { None } else { Some(super::project(name)?) };
    let image = match &project {
        Some(project) => image_of(door, project).await?,
        None => name.to_owned(),
    };
    let Some(facts) = door.image(&image).await? else { return Err(missing(&image, project.as_ref())) };
    let using: Vec<&User> = users.iter().filter(|user| user.image_id == facts.id).collect();
    let containers: Vec<String> = using.iter().map(|user| user.name().to_owned()).collect();
    if !using.is_empty() && !args.force {
        let told: Vec<String> =
            using.iter().map(|user| format!("{} ({})", user.name(), user.state)).collect();
        let message = format!("{image} stays: containers were made of it: {}", told.join(", "));
        return Err(Failure::new(Exit::Failed, codes::CONTAINER_CONFLICT, message).with_hint(format!(
            "container retire {} first, or add --force: they run on with what they have",
            containers.first().map_or("NAME", |name| name.split("._.").next().unwrap_or(name))
        )));
    }
    if !args.yes && ui.ask(&format!("Delete {image}, {}?", render::words::bytes(facts.size))) == Some(false) {
        ui.note(&format!("{image} stays"));
        return Ok(None);
    }
    door.untag(&image, args.force).await?;
    let dockerfile = match &project {
        Some(project) => recipe::find(project)?.map(|recipe| recipe::spoken(&recipe.path)),
        None => None,
    };
    Ok(Some(Deleted { image, project: project.map(|project| project.to_string()), dockerfile, containers }))
}

fn missing(image: &str, project: Option<&Project>) -> Failure {
    let message = match project {
        Some(project) => format!("{project} has no image: there is no {image}"),
        None => format!("you have no image {image}"),
    };
    Failure::new(Exit::NotFound, codes::IMAGE_NOT_FOUND, message).with_hint("image list shows what you have")
}
