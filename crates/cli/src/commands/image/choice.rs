//! A project without an image: on a terminal, whoever deploys it is asked which one it is to have. Where nobody can be asked,
//! the refusal stands, with what helps.

use ds01_api::{DeployRequest, FrameworkList, codes, paths};

use super::build::{self, When};
use super::recipe;
use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::prompts;
use crate::terminal;
use crate::ui::Ui;

/// What most begin with who have nothing of their own.
const USUAL: &str = "pytorch";

/// What a container can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// The project's own, once its Dockerfile is built.
    Dockerfile,
    /// One that is here.
    Image(String),
    /// One that is fetched first.
    Framework(String),
}

/// The deploy as it was asked for, with an image that whoever sits there has chosen; `None` if that is not what it lacks, or
/// nobody can be asked.
pub(in crate::commands) async fn choose_image(
    door: &Door,
    request: &DeployRequest,
    refusal: &ClientError,
    ui: Ui,
) -> Result<Option<DeployRequest>, Failure> {
    let open = request.image.is_none() && request.framework.is_none() && !request.dry_run;
    if refusal.code() != codes::IMAGE_NOT_FOUND || !open || !ui.can_ask() || !terminal::can_draw() {
        return Ok(None);
    }
    let project = super::project(request.from_project.as_ref().unwrap_or(&request.project))?;
    let image = build::image_of(door, &project).await?;
    let own = image.split_once('/').map_or("", |(own, _)| own);
    let here: Vec<String> =
        door.images().await?.iter().flat_map(|image| image.names()).map(str::to_owned).collect();
    let frameworks: FrameworkList = door.get(paths::FRAMEWORKS).await?;
    let recipe = recipe::find(&project)?;
    let mut choices: Vec<(Choice, String)> = Vec::new();
    if let Some(recipe) = recipe {
        choices.push((Choice::Dockerfile, format!("its own, built from {}", recipe::spoken(&recipe.path))));
    }
    let (mine, others): (Vec<String>, Vec<String>) =
        here.iter().cloned().partition(|name| name.split_once('/').is_some_and(|(space, _)| space == own));
    choices.extend(images(mine));
    let has_own = !choices.is_empty();
    choices.extend(frameworks.frameworks.into_iter().filter(|found| is_usual(&found.name)).map(|found| {
        let how = if here.contains(&found.image) { "here" } else { "fetched first" };
        let told = format!("{:12} {how}: {}", found.name, found.image);
        (Choice::Framework(found.name), told)
    }));
    choices.extend(images(others));
    if choices.is_empty() {
        return Ok(None);
    }
    let question = format!("{project} has no image yet (image create makes one). Which one for now?");
    let usual = choices.iter().position(|(choice, _)| *choice == Choice::Framework(USUAL.to_owned()));
    let first = if has_own { 0 } else { usual.unwrap_or(0) };
    let chosen = prompts::choose(&question, choices.iter().map(|(_, told)| told.clone()).collect(), first)?;
    let mut request = request.clone();
    match choices.swap_remove(chosen).0 {
        Choice::Dockerfile => drop(build::ensure(door, &project, When::Needed, ui).await?),
        Choice::Image(name) => request.image = Some(name),
        Choice::Framework(name) => request.framework = Some(name),
    }
    Ok(Some(request))
}

/// Images by their names.
fn images(mut names: Vec<String>) -> impl Iterator<Item = (Choice, String)> {
    names.sort();
    names.into_iter().map(|name| (Choice::Image(name.clone()), name))
}

/// Whether a framework's name stands for its usual version: `pytorch`, and not `pytorch-2.7.1`.
fn is_usual(name: &str) -> bool {
    !name.contains('-')
}
