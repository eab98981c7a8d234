//! Images that come and go with a container: a framework's is fetched, a project's own is removed. Whose an image is, the
//! door decides.

use ds01_api::{ApiError, DeployRequest, Exit, FrameworkList, codes, names, paths};

use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::render;
use crate::terminal;
use crate::ui::Ui;

/// What became of a project's image that was to go.
#[derive(Debug)]
pub(in crate::commands) enum Image {
    /// It was not to go, or it is not the project's own.
    Kept,
    Gone,
    /// It was to go and is there still.
    Stuck(Failure),
}

impl Image {
    /// Removes it, if there is one to remove.
    pub(in crate::commands) async fn remove(door: &Door, image: Option<String>) -> Self {
        let Some(image) = image else { return Self::Kept };
        match door.remove_image(&image).await {
            Ok(()) => Self::Gone,
            Err(error) => {
                let mut failure = Failure::from(error);
                failure.error.message =
                    format!("the image {image} is still there: {}", failure.error.message);
                Self::Stuck(failure)
            }
        }
    }
}

/// The image of a container that is to go with it: one in its owner's own namespace, and only if that is wanted.
pub(in crate::commands) async fn of_its_project(
    door: &Door,
    name: &str,
    wanted: bool,
) -> Result<Option<String>, ClientError> {
    if !wanted {
        return Ok(None);
    }
    let container = door.container(name).await?;
    let own = format!("{}/", names::image_namespace(&container.owner));
    Ok(container.image.starts_with(&own).then_some(container.image))
}

/// Fetches the image that a framework stands for, where that is what a deploy lacks; whether it did.
pub(in crate::commands) async fn fetch_framework(
    door: &Door,
    request: &DeployRequest,
    refusal: &ClientError,
    ui: Ui,
) -> Result<bool, Failure> {
    let Some(framework) = &request.framework else { return Ok(false) };
    if refusal.code() != codes::IMAGE_NOT_FOUND || request.dry_run {
        return Ok(false);
    }
    let list: FrameworkList = door.get(paths::FRAMEWORKS).await?;
    let name = framework.to_ascii_lowercase();
    let Some(found) = list.frameworks.into_iter().find(|found| found.name == name) else { return Ok(false) };
    pull(door, &found.image, ui).await.map_err(|error| {
        let why = error.to_string();
        let message = format!(
            "{} for --framework {name} is not on this machine, and could not be fetched: {why}",
            found.image
        );
        let exit = if error.exit() == Exit::NotPermitted { Exit::NotPermitted } else { Exit::NotFound };
        Failure { error: ApiError::new(codes::IMAGE_NOT_FOUND, message), exit: exit.code() }.with_hint(
            format!(
                "ask an admin for docker pull {}, or name an image that is here: docker images",
                found.image
            ),
        )
    })?;
    Ok(true)
}

/// Fetches an image, and tells how far that is.
pub(super) async fn pull(door: &Door, image: &str, ui: Ui) -> Result<(), ClientError> {
    let mut pull = door.pull(image).await?;
    let columns = terminal::error_columns().filter(|_| !ui.json);
    if columns.is_none() {
        ui.note(&format!("fetching {image}, which may take minutes"));
    }
    let ended = loop {
        match pull.next().await {
            Ok(Some(pulled)) => {
                if let Some(columns) = columns {
                    ui.passing(&render::fetching(image, pulled.layers, pulled.of, columns));
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if columns.is_some() {
        ui.passing("");
    }
    ended
}
